//! Changes of a job, each with its post-condition, seen at the operator and at Flink.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::managed::{Kind, Look, Managed};
use super::report::{Verdict, verdict};
use super::{logs, session, trouble};
use crate::diag::{Failure, Reason, Result};
use crate::engine::StepCx;
use crate::flink::{ENDED, SessionJob, refusal, root_cause};
use crate::kube::{MANAGED_BY, MANAGER, PART_OF, apply, delete, get, pods, text};

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
    fn changed(&self, look: &Look, seen: String) -> Changed {
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

    /// Lets a suspended job run again. Ends when operator and Flink agree that it runs.
    ///
    /// # Errors
    /// Why it does not run; [`Reason::TimedOut`].
    pub async fn resume(&self, within: Duration, cx: &StepCx) -> Result<Changed> {
        self.change(json!({ "spec": { "job": { "state": "running" } } }))
            .await?;
        let look = self.runs(within, cx, |_| true).await?;
        Ok(self.changed(
            &look,
            format!("RUNNING, {} tasks in parallel at most", look.parallelism()),
        ))
    }

    /// Restarts the job as its upgrade mode says. Ends when a new start of it runs.
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
        let mut changed = self.changed(&look, format!("RUNNING as {}, before as {}", look.id(), old.0));
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
        let mut changed = self.changed(&look, format!("RUNNING with parallelism {wanted}, before {from}"));
        changed.notes.extend(self.lost_state());
        Ok(changed)
    }

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

    /// Removes the job: its object, and what of it runs in Flink.
    ///
    /// # Errors
    /// [`Reason::JobFailed`] if something is left behind.
    pub async fn remove(&self, within: Duration, cx: &StepCx) -> Result<()> {
        if self.kind == Kind::Session {
            let job = SessionJob::left_behind(&self.client, &self.namespace, &self.cluster, &self.name);
            return job.delete().await;
        }
        delete(&self.client, &self.path()).await?;
        let end = Instant::now() + within;
        while get(&self.client, &self.path()).await?.is_some() {
            self.pause(cx, "the operator has not let go of it", end, within).await?;
        }
        // the cluster was this job's alone
        loop {
            let pods = pods(&self.client, &self.namespace, &pods_of(&self.cluster)).await?;
            if pods.total == 0 {
                return Ok(());
            }
            self.pause(cx, &format!("{} pods of it are still there", pods.total), end, within)
                .await?;
        }
    }

    /// Waits until operator and Flink agree that the job runs, and `more` holds.
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

    async fn pause(&self, cx: &StepCx, reason: &str, end: Instant, within: Duration) -> Result<()> {
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

    fn lost_state(&self) -> Option<String> {
        let stateless = self.upgrade_mode() == "stateless";
        stateless.then(|| "it began anew: its upgrade mode is stateless".to_owned())
    }

    /// Where the cluster keeps savepoints.
    async fn savepoint_path(&self) -> Result<String> {
        const KEYS: [&str; 2] = ["execution.checkpointing.savepoint-dir", "state.savepoints.dir"];
        let own = &self.object["spec"]["flinkConfiguration"];
        let config = self.rest.get("/jobmanager/config").await?.unwrap_or_default();
        let of_cluster = |key: &str| {
            let entries = config.as_array().into_iter().flatten();
            let found = entries.filter(|e| e["key"] == key).find_map(|e| e["value"].as_str());
            found.map(str::to_owned)
        };
        KEYS.iter()
            .find_map(|key| own[*key].as_str().map(str::to_owned).or_else(|| of_cluster(key)))
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
