//! What a job is doing, as the operator and Flink tell it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::Place;
use super::managed::{Kind, Look, Managed};
use crate::diag::Result;
use crate::flink::{ENDED, refusal, root_cause};
use crate::kube::text;

/// Failures, each followed by a restart, from which on a job that restarts has failed.
const RESTARTS: usize = 3;

/// A line of the list of jobs.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// What its object is.
    pub kind: Kind,
    /// The Flink cluster it runs in.
    pub cluster: String,
    /// The operator's state of its object, e.g. `STABLE`.
    pub lifecycle: String,
    /// Flink's state of the job, e.g. `RUNNING`; empty if Flink does not know it.
    pub flink: String,
    /// Flink's id of it.
    pub job_id: String,
    /// When Flink started it, in milliseconds since the epoch; 0 if it did not.
    pub started_ms: i64,
    /// Why the operator could not do its work, if so.
    pub error: String,
}

/// The jobs of a namespace.
///
/// # Errors
/// What the API server answers. A Flink cluster that does not answer is no error: its jobs have no state of Flink.
pub async fn rows(place: &Place) -> Result<Vec<Row>> {
    let all = Managed::all(place).await?;
    let mut clusters: BTreeMap<&str, Value> = BTreeMap::new();
    for job in &all {
        if !clusters.contains_key(job.cluster.as_str()) {
            let overview = job.rest.get("/jobs/overview").await.ok().flatten();
            clusters.insert(&job.cluster, overview.unwrap_or_default());
        }
    }
    Ok(all
        .iter()
        .map(|job| {
            let id = text(&job.object, "/status/jobStatus/jobId");
            let jobs = clusters.get(job.cluster.as_str()).and_then(|c| c["jobs"].as_array());
            let flink = jobs.into_iter().flatten().find(|j| !id.is_empty() && j["jid"] == id);
            Row {
                name: job.name.clone(),
                kind: job.kind,
                cluster: job.cluster.clone(),
                lifecycle: text(&job.object, "/status/lifecycleState").to_owned(),
                flink: flink.map_or("", |f| text(f, "/state")).to_owned(),
                job_id: id.to_owned(),
                started_ms: flink.and_then(|f| f["start-time"].as_i64()).unwrap_or_default(),
                error: error(&job.object),
            }
        })
        .collect())
}

/// How a job is, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Operator and Flink agree that it runs.
    Running,
    /// It has ended well.
    Finished,
    /// It was suspended or cancelled, as its object says.
    Suspended,
    /// It failed, or the operator cannot do its work.
    Failed,
    /// On its way, or operator and Flink disagree.
    Unsettled,
}

/// Everything about one job.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Version of this format.
    pub v: u32,
    /// Its name.
    pub name: String,
    /// What its object is.
    pub kind: Kind,
    /// The Flink cluster it runs in.
    pub cluster: String,
    /// How it is.
    pub verdict: Verdict,
    /// What its object asks for: `running` or `suspended`.
    pub wanted: String,
    /// What becomes of its state when it is changed.
    pub upgrade_mode: String,
    /// The operator's state of its object.
    pub lifecycle: String,
    /// The operator's state of the job.
    pub operator: String,
    /// Whether the operator has seen the last change of its object.
    pub seen: bool,
    /// Flink's state of the job; empty if Flink does not know it.
    pub flink: String,
    /// Flink's id of it.
    pub job_id: String,
    /// The states of its tasks with their number.
    pub tasks: Vec<(String, u64)>,
    /// The highest parallelism of its tasks.
    pub parallelism: u64,
    /// When Flink started it, in milliseconds since the epoch.
    pub started_ms: i64,
    /// Completed checkpoints, and the last one's path.
    pub checkpoints: u64,
    /// Where the last checkpoint or savepoint is.
    pub last_checkpoint: String,
    /// How often it was restarted after a failure.
    pub failures: usize,
    /// The root of the last failure.
    pub last_failure: String,
    /// Why the operator could not do its work, or why Flink does not answer.
    pub error: String,
}

/// Looks at a job.
///
/// # Errors
/// [`crate::diag::Reason::JobUnknown`].
pub async fn report(job: &Managed) -> Result<Report> {
    let look = job.look().await?;
    let id = look.id().to_owned();
    let (mut checkpoints, mut exceptions) = (Value::Null, Value::Null);
    if look.flink.is_some() {
        let (checkpoints_path, exceptions_path) = (
            format!("/jobs/{id}/checkpoints"),
            format!("/jobs/{id}/exceptions?maxExceptions=20"),
        );
        let (c, e) = tokio::join!(job.rest.get(&checkpoints_path), job.rest.get(&exceptions_path));
        // where checkpoints are off, Flink answers with an error
        checkpoints = c.ok().flatten().unwrap_or_default();
        exceptions = e.ok().flatten().unwrap_or_default();
    }
    let entries = exceptions["exceptionHistory"]["entries"].as_array();
    let failures: Vec<&str> = entries
        .into_iter()
        .flatten()
        .filter_map(|e| e["stacktrace"].as_str())
        .collect();
    let latest = ["/latest/completed/external_path", "/latest/savepoint/external_path"];
    let last = latest.iter().map(|p| text(&checkpoints, p)).find(|p| !p.is_empty());
    Ok(Report {
        v: 1,
        name: job.name.clone(),
        kind: job.kind,
        cluster: job.cluster.clone(),
        verdict: match verdict(&look) {
            Verdict::Unsettled if look.flink_state() == "RESTARTING" && failures.len() >= RESTARTS => Verdict::Failed,
            Verdict::Unsettled if forgotten(&look) => Verdict::Finished,
            verdict => verdict,
        },
        wanted: wanted(&look.object).to_owned(),
        upgrade_mode: job.upgrade_mode().to_owned(),
        lifecycle: look.lifecycle().to_owned(),
        operator: text(&look.object, "/status/jobStatus/state").to_owned(),
        seen: look.seen(),
        flink: look.flink_state().to_owned(),
        tasks: look.details().map(|d| d.tasks).unwrap_or_default(),
        parallelism: look.parallelism(),
        started_ms: look.started(),
        checkpoints: checkpoints["counts"]["completed"].as_u64().unwrap_or_default(),
        last_checkpoint: last.unwrap_or_default().to_owned(),
        failures: failures.len(),
        last_failure: failures.first().map(|t| root_cause(t)).unwrap_or_default(),
        error: match (error(&look.object), &look.silent) {
            (error, Some(why)) if error.is_empty() && wanted(&look.object) != "suspended" => why.clone(),
            (error, _) => error,
        },
        job_id: id,
    })
}

pub(super) fn wanted(object: &Value) -> &str {
    match text(object, "/spec/job/state") {
        "" => "running",
        state => state,
    }
}

/// The pure part: what operator and Flink say together.
pub(super) fn verdict(look: &Look) -> Verdict {
    let operator = text(&look.object, "/status/jobStatus/state");
    let all_run = || {
        let details = look.details().unwrap_or_default();
        !details.tasks.is_empty() && details.tasks.iter().all(|(s, _)| s == "RUNNING" || s == "FINISHED")
    };
    if look.lifecycle() == "FAILED" || look.flink_state() == "FAILED" {
        return Verdict::Failed;
    }
    let error = text(&look.object, "/status/error");
    match (wanted(&look.object), look.flink_state()) {
        ("suspended", flink) if look.seen() && look.lifecycle() == "SUSPENDED" => {
            if flink.is_empty() || ENDED.contains(&flink) {
                Verdict::Suspended
            } else {
                Verdict::Unsettled
            }
        }
        ("running", "RUNNING") if look.seen() && operator == "RUNNING" && error.is_empty() && all_run() => {
            Verdict::Running
        }
        ("running", "FINISHED") if look.seen() && operator == "FINISHED" => Verdict::Finished,
        _ if !error.is_empty() && !refusal(error).transient => Verdict::Failed,
        _ => Verdict::Unsettled,
    }
}

/// Whether a job has ended well and Flink does not know it any more: it tells of the last ones that ended, for an hour and
/// until its JobManager is a new one. Nothing that is awaited may rest on this: within an upgrade, too, the operator says
/// FINISHED of the job before, and Flink does not know the next one yet.
fn forgotten(look: &Look) -> bool {
    let finished = text(&look.object, "/status/jobStatus/state") == "FINISHED" && look.lifecycle() == "STABLE";
    let quiet = text(&look.object, "/status/error").is_empty() && look.silent.is_none();
    wanted(&look.object) == "running" && look.seen() && finished && look.flink.is_none() && quiet
}

/// The operator's error, brought down to what matters.
pub(super) fn error(object: &Value) -> String {
    match text(object, "/status/error") {
        "" => String::new(),
        error => refusal(error).message,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn look(wanted: &str, lifecycle: &str, operator: &str, flink: &str) -> Look {
        let flink = (!flink.is_empty()).then(
            || json!({ "state": flink, "vertices": [{ "parallelism": 2, "tasks": { flink: 2, "CREATED": 0 } }] }),
        );
        Look {
            object: json!({ "metadata": { "generation": 3 }, "spec": { "job": { "state": wanted } },
                "status": { "observedGeneration": 3, "lifecycleState": lifecycle, "jobStatus": { "state": operator, "jobId": "ab" } } }),
            flink,
            silent: None,
        }
    }

    #[test]
    fn a_verdict_is_what_operator_and_flink_agree_on() {
        let of = |w, l, o, f| verdict(&look(w, l, o, f));
        assert_eq!(of("running", "STABLE", "RUNNING", "RUNNING"), Verdict::Running);
        assert_eq!(of("running", "STABLE", "RUNNING", ""), Verdict::Unsettled);
        assert_eq!(of("running", "STABLE", "RUNNING", "RESTARTING"), Verdict::Unsettled);
        assert_eq!(of("running", "STABLE", "FINISHED", "FINISHED"), Verdict::Finished);
        assert_eq!(of("suspended", "SUSPENDED", "CANCELED", "CANCELED"), Verdict::Suspended);
        assert_eq!(of("suspended", "SUSPENDED", "FINISHED", ""), Verdict::Suspended);
        assert_eq!(of("suspended", "SUSPENDED", "CANCELED", "RUNNING"), Verdict::Unsettled);
        assert_eq!(of("running", "STABLE", "RUNNING", "FAILED"), Verdict::Failed);
        let mut old = look("running", "STABLE", "RUNNING", "RUNNING");
        old.object["metadata"]["generation"] = json!(4);
        assert_eq!(
            verdict(&old),
            Verdict::Unsettled,
            "the operator has not seen the last change"
        );
        let mut refused = look("running", "STABLE", "RUNNING", "RUNNING");
        refused.object["status"]["error"] = json!("Could not execute application.\nCaused by: a.B: no");
        assert_eq!(
            (verdict(&refused), error(&refused.object).as_str()),
            (Verdict::Failed, "a.B: no")
        );
        assert_eq!(look("", "", "", "RUNNING").parallelism(), 2);
    }

    #[test]
    fn a_job_that_ended_is_finished_when_flink_has_forgotten_it_and_within_an_upgrade_it_is_not() {
        let of = |lifecycle, operator, flink| forgotten(&look("running", lifecycle, operator, flink));
        assert!(of("STABLE", "FINISHED", ""));
        assert!(
            !of("UPGRADING", "FINISHED", "") && !of("STABLE", "FINISHED", "RUNNING") && !of("STABLE", "RUNNING", "")
        );
        assert_eq!(verdict(&look("running", "STABLE", "FINISHED", "")), Verdict::Unsettled);
        let mut silent = look("running", "STABLE", "FINISHED", "");
        silent.silent = Some("no answer".to_owned());
        assert!(!forgotten(&silent));
    }
}
