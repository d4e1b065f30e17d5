//! Changes of a job, each with its post-condition, seen at the operator and at Flink.

use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::managed::{Kind, Look, Managed};
use super::report::{Verdict, verdict};
use super::{session, trouble};
use crate::diag::{Failure, Reason, Result};
use crate::engine::StepCx;
use crate::flink::{ENDED, refusal};
use crate::kube::text;

/// Between two looks.
const POLL: Duration = Duration::from_millis(200);

/// What a change led to.
#[derive(Debug, Clone, Serialize)]
pub struct Changed {
    /// Version of this format.
    pub v: u32,
    /// The job.
    pub name: String,
    /// What was seen at the end: the post-condition, in one line.
    pub seen: String,
    /// Flink's id of the job.
    pub job_id: String,
    /// What is worth knowing besides.
    pub notes: Vec<String>,
}

impl Managed {
    pub(super) fn changed(&self, look: &Look, seen: String) -> Changed {
        Changed {
            v: 1,
            name: self.name.clone(),
            seen,
            job_id: look.id().to_owned(),
            notes: Vec::new(),
        }
    }

    /// Suspends the job as its upgrade mode says, or (`drop_state`) cancels it for good: its object stays, and a
    /// resumed job begins anew. Ends when the operator shows it suspended and Flink has ended it.
    ///
    /// # Errors
    /// [`Reason::StatePathMissing`]; [`Reason::TimedOut`] with what was seen last.
    pub async fn suspend(&self, drop_state: bool, within: Duration, cx: &StepCx) -> Result<Changed> {
        let before = self.look().await?;
        if !drop_state && self.upgrade_mode() == "savepoint" {
            self.savepoint_path().await?;
        }
        let mut job = json!({ "state": "suspended" });
        if drop_state {
            job["upgradeMode"] = json!("stateless");
        }
        self.change(json!({ "spec": { "job": job } })).await?;
        let id = before.id().to_owned();
        let end = Instant::now() + within;
        loop {
            let look = self.look().await?;
            // the operator may take the id out of the status: Flink is asked for the one that ran
            let (answer, silent) = self.ask(&id).await?;
            let flink = answer.map_or_else(String::new, |a| text(&a, "/state").to_owned());
            let no_cluster = text(&look.object, "/status/jobManagerDeploymentStatus") == "MISSING";
            let ended = match &silent {
                Some(_) => self.kind == Kind::Application && no_cluster,
                None => flink.is_empty() || ENDED.contains(&flink.as_str()),
            };
            if look.seen() && look.lifecycle() == "SUSPENDED" && ended {
                let flink = if flink.is_empty() { "not there" } else { &flink };
                let mut changed = self.changed(&look, format!("operator: SUSPENDED, Flink: {flink}"));
                changed.job_id = id;
                let savepoint = text(&look.object, "/status/jobStatus/upgradeSavepointPath");
                if !drop_state && self.upgrade_mode() == "stateless" {
                    changed
                        .notes
                        .push("its state is lost: its upgrade mode is stateless".to_owned());
                } else if !savepoint.is_empty() && !drop_state {
                    changed.notes.push(format!("its state: {savepoint}"));
                }
                return Ok(changed);
            }
            let flink = silent.unwrap_or(flink);
            let reason = format!("operator: {}, Flink: {flink}", look.lifecycle());
            self.refused(&look)?;
            self.pause(cx, &reason, end, within).await?;
        }
    }

    /// Lets a suspended job run again. Ends when operator and Flink agree that it runs, or has ended well.
    ///
    /// # Errors
    /// Why it does not run; [`Reason::TimedOut`].
    pub async fn resume(&self, within: Duration, cx: &StepCx) -> Result<Changed> {
        self.change(json!({ "spec": { "job": { "state": "running" } } }))
            .await?;
        let look = self.runs(within, cx, |_| true).await?;
        let seen = format!(
            "{}, {} tasks in parallel at most",
            look.flink_state(),
            look.parallelism()
        );
        Ok(self.changed(&look, seen))
    }

    /// Restarts the job as its upgrade mode says. Ends when a new start of it runs, or has ended well.
    ///
    /// # Errors
    /// As [`Self::resume`].
    pub async fn restart(&self, within: Duration, cx: &StepCx) -> Result<Changed> {
        let before = self.look().await?;
        let nonce = before.object["spec"]["restartNonce"].as_i64().unwrap_or_default() + 1;
        self.change(json!({ "spec": { "restartNonce": nonce } })).await?;
        let old = (before.id().to_owned(), before.started());
        let look = self
            .runs(within, cx, |look| (look.id().to_owned(), look.started()) != old)
            .await?;
        let seen = format!("{} as {}, before as {}", look.flink_state(), look.id(), old.0);
        let mut changed = self.changed(&look, seen);
        changed.notes.extend(self.lost_state());
        Ok(changed)
    }

    /// Runs the job with another parallelism. Ends when Flink's tasks have it.
    ///
    /// # Errors
    /// As [`Self::resume`].
    pub async fn scale(&self, parallelism: u32, within: Duration, cx: &StepCx) -> Result<Changed> {
        let wanted = u64::from(parallelism);
        let before = self.look().await?;
        // Flink keeps the tasks of a job that has failed: the number alone does not tell that it runs
        let asked = before.object["spec"]["job"]["parallelism"].as_u64();
        if asked == Some(wanted) && before.parallelism() == wanted && verdict(&before) == Verdict::Running {
            return Ok(self.changed(&before, format!("it has parallelism {wanted} already")));
        }
        self.change(json!({ "spec": { "job": { "parallelism": parallelism } } }))
            .await?;
        let look = self.runs(within, cx, |look| look.parallelism() == wanted).await?;
        let from = before.parallelism();
        let seen = format!("{} with parallelism {wanted}, before {from}", look.flink_state());
        let mut changed = self.changed(&look, seen);
        changed.notes.extend(self.lost_state());
        Ok(changed)
    }

    /// Waits until operator and Flink agree that the job runs, or has ended well, and `more` holds.
    pub(super) async fn runs(&self, within: Duration, cx: &StepCx, more: impl Fn(&Look) -> bool) -> Result<Look> {
        let end = Instant::now() + within;
        let before = self.object["status"]["jobStatus"]["jobId"].clone();
        let mut stuck = std::pin::pin!(trouble::stuck_pod(&self.client, &self.namespace, &self.cluster));
        loop {
            let look = tokio::select! {
                look = self.look() => look?,
                failure = &mut stuck => return Err(failure),
            };
            let ended_well = verdict(&look) == Verdict::Finished;
            if (verdict(&look) == Verdict::Running || ended_well) && more(&look) {
                return Ok(look);
            }
            self.refused(&look)?;
            if look.flink_state() == "FAILED" && look.seen() && before != look.id() {
                let message = format!("the job {} failed", self.name);
                return Err(Failure::new(Reason::JobFailed, message).next(format!("dev job status {}", self.name)));
            }
            let flink = look.silent.as_deref().unwrap_or(look.flink_state());
            let reason = format!("operator: {}, Flink: {flink}", look.lifecycle());
            tokio::select! {
                paused = self.pause(cx, &reason, end, within) => paused?,
                failure = &mut stuck => return Err(failure),
            }
        }
    }

    /// A final word of the operator against the last change.
    fn refused(&self, look: &Look) -> Result<()> {
        let error = text(&look.object, "/status/error");
        if error.is_empty() || !look.seen() {
            return Ok(());
        }
        let refusal = refusal(error);
        if refusal.transient {
            return Ok(());
        }
        Err(refusal
            .failure(std::path::Path::new("(script)"))
            .next(format!("dev job logs {} --level warn", self.name))
            .next(format!("dev job rm {}", self.name)))
    }

    pub(super) async fn pause(&self, cx: &StepCx, reason: &str, end: Instant, within: Duration) -> Result<()> {
        cx.waiting(reason.to_owned());
        if Instant::now() >= end {
            let message = format!("job {}: not after {} s", self.name, within.as_secs_f64());
            return Err(Failure::new(Reason::TimedOut, message)
                .evidence(format!("last seen: {reason}"))
                .next(format!("dev job status {}", self.name)));
        }
        tokio::select! {
            () = sleep(POLL) => Ok(()),
            () = cx.cancel().cancelled() => Err(Failure::new(Reason::Interrupted, "interrupted")
                .evidence(format!("the change was asked for; last seen: {reason}"))),
        }
    }

    pub(super) fn lost_state(&self) -> Option<String> {
        let stateless = self.upgrade_mode() == "stateless";
        stateless.then(|| "it began anew: its upgrade mode is stateless".to_owned())
    }
}

/// The pods' label of a Flink cluster.
pub(super) fn pods_of(cluster: &str) -> String {
    format!("app={cluster},type=flink-native-kubernetes")
}

/// Whether the session cluster of a job is there; for a better word than Flink's silence.
///
/// # Errors
/// [`Reason::SessionNotFound`]; [`Reason::ComponentNotReady`] with what keeps it.
pub async fn cluster_ready(job: &Managed) -> Result<()> {
    if job.kind == Kind::Session {
        session::ready(&job.client, &job.namespace, &job.cluster).await?;
    }
    Ok(())
}
