//! Steps that change the job, and what Flink notices of a killed process.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use super::super::faults::Victim;
use super::Stage;
use crate::config::{Part, Restart};
use crate::diag::{Failure, Reason, Result};
use crate::engine::StepCx;
use crate::flink::{JobDetails, UpgradeMode};
use crate::job::{Changed, Managed, Place};

/// Between two looks at Flink's REST interface, which has no watch.
const POLL: Duration = Duration::from_millis(100);

/// The job as it was before a kill.
pub(super) struct Before {
    /// Flink's id of it.
    pub(super) id: String,
    /// How many failures Flink knew.
    failures: usize,
}

impl Stage<'_> {
    /// Before a TaskManager is killed: its job runs, or the kill would hit nothing.
    pub(super) async fn before_kill(&self, part: Part, cx: &StepCx) -> Result<Option<Before>> {
        if part != Part::TaskManager {
            return Ok(None);
        }
        loop {
            if let Some((id, answer)) = self.flink().await {
                if JobDetails::from_answer(&answer).runs() {
                    let failures = self.failures(&id).await.unwrap_or(0);
                    return Ok(Some(Before { id, failures }));
                }
                cx.waiting(format!("the job is {}", answer["state"].as_str().unwrap_or_default()));
            }
            sleep(POLL).await;
        }
    }

    /// Waits until Flink has noticed that a TaskManager is gone: what is looked at from then on is not how it was
    /// before.
    pub(super) async fn noticed(&self, victim: &Victim, before: Option<Before>, cx: &StepCx) -> Result<Option<String>> {
        let Some(before) = before else { return Ok(None) };
        loop {
            let there = self.job.rest().get("/taskmanagers").await.ok().flatten();
            let there = there.is_some_and(|answer| lists(&answer, &victim.pod));
            let failures = self.failures(&before.id).await;
            if !there && failures.is_some_and(|now| now > before.failures) {
                return Ok(Some("Flink has noticed".to_owned()));
            }
            cx.waiting(if there {
                format!("Flink still lists {}", victim.pod)
            } else {
                "the job has not failed yet".to_owned()
            });
            sleep(POLL).await;
        }
    }

    /// How many failures of a job Flink knows.
    async fn failures(&self, id: &str) -> Option<usize> {
        let path = format!("/jobs/{id}/exceptions?maxExceptions=1000");
        let answer = self.job.rest().get(&path).await.ok()??;
        answer["exceptionHistory"]["entries"].as_array().map(Vec::len)
    }

    async fn managed(&self) -> Result<Managed> {
        let place = Place {
            client: self.target.client.clone(),
            namespace: self.target.namespace.clone(),
            session: self.target.session.clone(),
            kafka: None,
            registry: None,
        };
        Managed::find(&place, &self.prepared.names.job).await
    }

    fn changed(&self, changed: &Changed) -> String {
        if !changed.job_id.is_empty() {
            self.prepared.journal.job(&changed.job_id);
        }
        changed.seen.clone()
    }

    /// Takes a savepoint; returns its path.
    pub(super) async fn savepoint(&self, bound: Duration, cx: &StepCx) -> Result<String> {
        let taken = self.managed().await?.savepoint(None, bound, cx).await?;
        Ok(taken.seen)
    }

    pub(super) async fn restart(
        &self,
        restart: &Restart,
        savepoints: &BTreeMap<String, String>,
        bound: Duration,
        cx: &StepCx,
    ) -> Result<String> {
        let job = self.managed().await?;
        let changed = match restart {
            Restart::Savepoint => job.restart_by(UpgradeMode::Savepoint, bound, cx).await?,
            Restart::Checkpoint => job.restart_by(UpgradeMode::LastState, bound, cx).await?,
            Restart::Nothing => job.restart_by(UpgradeMode::Stateless, bound, cx).await?,
            Restart::Named(name) => {
                let path = savepoints
                    .get(name)
                    .ok_or_else(|| Failure::new(Reason::Internal, format!("the savepoint `{name}` is not known")))?;
                job.restart_from(path, bound, cx).await?
            }
        };
        Ok(self.changed(&changed))
    }

    pub(super) async fn upgrade(&self, sql_file: &Path, bound: Duration, cx: &StepCx) -> Result<String> {
        let script = self.prepared.other(sql_file)?;
        let program = self.prepared.with_jar(script);
        let changed = self.managed().await?.go_on_with(&program, bound, cx).await;
        let changed = changed.map_err(|failure| {
            // the operator's word names no file
            let place = failure.detail().location.clone();
            let failure = match place.filter(|place| place.file == Path::new("(script)")) {
                Some(place) => failure.at(sql_file, place.line, place.column),
                None => failure,
            };
            super::super::case::at_users_place(failure, sql_file, script)
        });
        Ok(self.changed(&changed?))
    }

    pub(super) async fn scale(&self, parallelism: u32, bound: Duration, cx: &StepCx) -> Result<String> {
        let changed = self.managed().await?.scale(parallelism, bound, cx).await?;
        Ok(self.changed(&changed))
    }
}

/// Whether Flink's answer to `/taskmanagers` has one of this id.
fn lists(answer: &Value, id: &str) -> bool {
    let all = answer["taskmanagers"].as_array().into_iter().flatten();
    all.filter_map(|one| one["id"].as_str()).any(|one| one == id)
}
