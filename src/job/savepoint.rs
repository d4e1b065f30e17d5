//! Savepoints of a job, each taken by a `FlinkStateSnapshot`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::time::Instant;

use super::change::Changed;
use super::logs;
use super::managed::{Kind, Managed};
use super::report::{Verdict, verdict};
use crate::diag::{Failure, Reason, Result};
use crate::engine::StepCx;
use crate::flink::{SAVEPOINTS, Settings, refusal, root_cause};
use crate::kube::{MANAGED_BY, MANAGER, PART_OF, apply, delete, get, text};

impl Managed {
    /// Takes a savepoint by a `FlinkStateSnapshot`, in `path` or where the cluster keeps its savepoints. Ends when it is
    /// complete; what was seen is its path.
    ///
    /// # Errors
    /// [`Reason::StatePathMissing`]; [`Reason::JobFailed`] with Flink's words; [`Reason::TimedOut`].
    pub async fn savepoint(&self, path: Option<&str>, within: Duration, cx: &StepCx) -> Result<Changed> {
        let before = self.look().await?;
        if verdict(&before) != Verdict::Running {
            let message = format!("the job {} does not run, so it has no state to save", self.name);
            return Err(Failure::new(Reason::JobFailed, message).next(format!("dev job status {}", self.name)));
        }
        // a configured one is known to Flink, and only has to be there
        if path.is_none() {
            self.savepoint_path().await?;
        }
        let millis = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| d.as_millis());
        let name = format!("{}-{millis}", self.name);
        let mut savepoint = json!({ "disposeOnDelete": false, "formatType": "CANONICAL" });
        if let Some(path) = path {
            savepoint["path"] = json!(path);
        }
        let object = json!({
            "apiVersion": "flink.apache.org/v1beta1",
            "kind": "FlinkStateSnapshot",
            "metadata": { "name": name, "namespace": self.namespace,
                "labels": { MANAGED_BY: MANAGER, PART_OF: self.name } },
            "spec": { "backoffLimit": 0, "savepoint": savepoint,
                "jobReference": { "kind": self.kind.object(), "name": self.name } },
        });
        apply(&self.client, &[object]).await?;
        let at = format!(
            "/apis/flink.apache.org/v1beta1/namespaces/{}/flinkstatesnapshots/{name}",
            self.namespace
        );
        let end = Instant::now() + within;
        loop {
            let snapshot = get(&self.client, &at).await?.unwrap_or_default();
            let state = text(&snapshot, "/status/state");
            match state {
                "COMPLETED" => {
                    let path = text(&snapshot, "/status/path").to_owned();
                    let mut changed = self.changed(&before, path);
                    changed.notes.push(format!("FlinkStateSnapshot {name}"));
                    return Ok(changed);
                }
                "FAILED" | "ABANDONED" => {
                    let error = text(&snapshot, "/status/error").to_owned();
                    // its object would only lie about
                    delete(&self.client, &at).await?;
                    let message = format!("the savepoint of {} failed: {}", self.name, refusal(&error).message);
                    return Err(Failure::new(Reason::JobFailed, message)
                        .evidence(self.last_cause().await)
                        .next(format!("dev job logs {} --since 1m", self.name)));
                }
                _ => self.pause(cx, &format!("snapshot: {state}"), end, within).await?,
            }
        }
    }

    /// The root of what the JobManager logged last: the operator does not hand it on. Empty if there is none.
    async fn last_cause(&self) -> String {
        let wanted = logs::Wanted {
            since: Some(Duration::from_secs(10)),
            previous: false,
            level: logs::Level::Trace,
            tail: 5000,
        };
        let lines = logs::logs(self, wanted).await.unwrap_or_default();
        let log = lines.iter().filter(|l| l.from == "jobmanager").map(|l| l.line.as_str());
        checkpoint_cause(log)
            .map(|cause| format!("JobManager: {cause}"))
            .unwrap_or_default()
    }

    /// Where the cluster keeps savepoints.
    pub(super) async fn savepoint_path(&self) -> Result<String> {
        let own = &self.object["spec"]["flinkConfiguration"];
        let cluster = Settings::of(&self.rest).await?;
        SAVEPOINTS
            .iter()
            .find_map(|key| own[*key].as_str().or_else(|| cluster.get(key)))
            .map(str::to_owned)
            .ok_or_else(|| no_savepoint_path(&self.cluster, self.kind, &self.name, own))
    }
}

fn no_savepoint_path(cluster: &str, kind: Kind, job: &str, own: &Value) -> Failure {
    let message = format!("Flink cluster `{cluster}` has no folder for savepoints");
    let what = if own.is_object() {
        "neither the job nor its cluster sets"
    } else {
        "its cluster does not set"
    };
    let failure = Failure::new(Reason::StatePathMissing, message)
        .evidence(format!("{what} `execution.checkpointing.savepoint-dir`"));
    match kind {
        Kind::Session => failure
            .next("set `session: {config: {execution.checkpointing.savepoint-dir: URI}}` in the profile, then `dev up`")
            .next(format!(
                "dev job savepoint {job} --path URI, a place that JobManager and TaskManagers share"
            )),
        Kind::Application => failure.next(format!("dev job savepoint {job} --path URI")),
    }
}

/// The root of the last failed checkpoint in a JobManager's log; other jobs write into it, too.
fn checkpoint_cause<'a>(log: impl Iterator<Item = &'a str>) -> Option<String> {
    let (mut within, mut cause) = (false, None);
    for line in log {
        if line.contains("CheckpointException") {
            within = true;
        } else if logs::Level::of(line).is_some() {
            within = false;
        } else if within && line.starts_with("Caused by: ") {
            cause = Some(root_cause(line));
        }
    }
    cause
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_of_a_checkpoint_is_told_from_those_of_others() {
        let log = "2026-11-25 14:47:00,000 INFO  a.B [] - Failed to trigger checkpoint\n\
                   org.apache.flink.runtime.checkpoint.CheckpointException: IO-problem detected.\n\
                   \tat a.b(C.java:1)\n\
                   Caused by: java.io.IOException: Failed to create savepoint directory at file:/proc/nowhere\n\
                   2026-11-25 14:47:01,000 INFO  a.B [] - other\n\
                   Caused by: java.lang.Exception: of another";
        let cause = checkpoint_cause(log.lines()).unwrap();
        assert_eq!(
            cause,
            "java.io.IOException: Failed to create savepoint directory at file:/proc/nowhere"
        );
        assert_eq!(checkpoint_cause("Caused by: x".lines()), None);
    }
}
