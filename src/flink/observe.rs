//! What the state of a job is, from its `FlinkSessionJob` and from Flink's REST interface: pure.

use serde_json::Value;

use super::refusal::{deepest, is_of_runner, refusal};
use crate::diag::{Failure, Reason};

/// Failures of a job, each followed by a restart, from which on it counts as failed: with a restart strategy that
/// never gives up, a job that fails on each attempt would otherwise be RESTARTING for ever.
pub(super) const RESTARTS: usize = 3;

/// How the reason begins where the operator could not submit the job and will try again.
pub(super) const TRIES_AGAIN: &str = "the operator tries again";

/// How far a job is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Not there yet; the reason, for people.
    Waiting(String),
    /// The operator, its observed generation and Flink agree: all tasks run.
    Running,
    /// It has ended well.
    Finished,
}

/// What Flink says of a job.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JobDetails {
    /// Its state, e.g. `RUNNING`.
    pub state: String,
    /// The states of its tasks with their number, e.g. `2 RUNNING`.
    pub tasks: Vec<(String, u64)>,
    /// Stack traces of its failures, newest first; asked for only when its state is not a good one.
    pub exceptions: Vec<String>,
}

impl JobDetails {
    /// From the answer to `/jobs/<id>`.
    pub fn from_answer(answer: &Value) -> Self {
        let mut tasks = Vec::<(String, u64)>::new();
        for vertex in answer["vertices"].as_array().map_or(&[][..], Vec::as_slice) {
            for (state, count) in vertex["tasks"].as_object().into_iter().flatten() {
                let count = count.as_u64().unwrap_or(0);
                match tasks.iter_mut().find(|(s, _)| s == state) {
                    Some(found) => found.1 += count,
                    None => tasks.push((state.clone(), count)),
                }
            }
        }
        tasks.retain(|(_, count)| *count > 0);
        Self {
            state: answer["state"].as_str().unwrap_or_default().to_owned(),
            tasks,
            exceptions: Vec::new(),
        }
    }

    /// Whether something went wrong, so that its exceptions are worth asking for.
    pub fn troubled(&self) -> bool {
        matches!(
            self.state.as_str(),
            "FAILED" | "FAILING" | "RESTARTING" | "SUSPENDED" | "CANCELED" | "CANCELLING"
        ) || self
            .tasks
            .iter()
            .any(|(state, _)| matches!(state.as_str(), "FAILED" | "CANCELED" | "CANCELING"))
    }

    /// Takes over the answer to `/jobs/<id>/exceptions`.
    pub fn add_exceptions(&mut self, answer: &Value) {
        let entries = answer["exceptionHistory"]["entries"]
            .as_array()
            .map_or(&[][..], Vec::as_slice);
        self.exceptions = entries
            .iter()
            .filter_map(|e| Some(e["stacktrace"].as_str()?.to_owned()))
            .collect();
    }

    fn all_tasks(&self, states: &[&str]) -> bool {
        !self.tasks.is_empty() && self.tasks.iter().all(|(state, _)| states.contains(&state.as_str()))
    }

    /// Whether all its tasks run, or have done their work.
    pub fn runs(&self) -> bool {
        self.state == "RUNNING" && self.all_tasks(&["RUNNING", "FINISHED"])
    }

    /// Its state and those of its tasks, for people.
    pub fn summary(&self) -> String {
        let tasks: Vec<_> = self
            .tasks
            .iter()
            .map(|(state, count)| format!("{count} {state}"))
            .collect();
        if tasks.is_empty() {
            self.state.clone()
        } else {
            format!("{}, tasks: {}", self.state, tasks.join(", "))
        }
    }
}

/// The first line of a stack trace's deepest cause.
pub fn root_cause(stacktrace: &str) -> String {
    deepest(stacktrace)
}

/// Flink's id of the job, once the operator has chosen it.
pub(super) fn job_id(object: &Value) -> Option<&str> {
    object["status"]["jobStatus"]["jobId"]
        .as_str()
        .filter(|id| !id.is_empty())
}

/// Whether the operator is still about to submit the job.
pub(super) fn submitting(object: &Value) -> bool {
    object["status"]["lifecycleState"] == "UPGRADING"
}

/// The state of the job; an error as soon as it is certain that the job does not run.
///
/// `flink` is `None` while Flink does not know the job; with `most` failures it counts as failed.
pub(super) fn judge(
    object: &Value,
    flink: Option<&JobDetails>,
    script: &std::path::Path,
    most: usize,
) -> Result<Phase, Failure> {
    let status = &object["status"];
    if let Some(error) = status["error"].as_str().filter(|e| !e.is_empty()) {
        let refusal = refusal(error);
        if !refusal.transient {
            return Err(refusal.failure(script));
        }
        return Ok(Phase::Waiting(format!("{TRIES_AGAIN}: {}", refusal.message)));
    }
    if let Some(flink) = flink {
        failed(flink, script, most)?;
    }
    let lifecycle = status["lifecycleState"]
        .as_str()
        .unwrap_or("not seen by the operator yet");
    let state = status["jobStatus"]["state"].as_str().unwrap_or_default();
    if lifecycle == "FAILED" || state == "FAILED" {
        return Err(Failure::new(Reason::JobFailed, "the job failed").evidence("the operator reports it as FAILED"));
    }
    let Some(flink) = flink else {
        let session = if state.is_empty() {
            ""
        } else {
            ", Flink does not know the job yet"
        };
        return Ok(Phase::Waiting(format!("operator: {lifecycle}{session}")));
    };
    let seen = object["metadata"]["generation"] == status["observedGeneration"];
    match (state, flink.state.as_str()) {
        ("RUNNING", "RUNNING") if seen && flink.all_tasks(&["RUNNING", "FINISHED"]) => Ok(Phase::Running),
        ("FINISHED", "FINISHED") if seen => Ok(Phase::Finished),
        _ if !flink.exceptions.is_empty() => Ok(Phase::Waiting(format!(
            "Flink restarts the job: {}",
            root_cause(&flink.exceptions[0])
        ))),
        _ => Ok(Phase::Waiting(format!(
            "operator: {lifecycle}; Flink: {}",
            flink.summary()
        ))),
    }
}

/// Whether Flink's word alone says that the job has failed. The `main` method of an application runs in its cluster, so
/// a script that the SQL runner refuses is a failed job there: it is told at its place all the same.
fn failed(flink: &JobDetails, script: &std::path::Path, most: usize) -> Result<(), Failure> {
    let restarts = flink.exceptions.len();
    let what = match flink.state.as_str() {
        "FAILED" => "the job failed".to_owned(),
        "CANCELED" | "CANCELLING" => "the job was cancelled by someone else".to_owned(),
        _ if restarts >= most => format!("the job failed {restarts} times and is restarted again and again"),
        _ => return Ok(()),
    };
    if let Some(trace) = flink.exceptions.first().filter(|trace| is_of_runner(trace)) {
        return Err(refusal(trace).failure(script));
    }
    let mut failure = Failure::new(Reason::JobFailed, what);
    if let Some(trace) = flink.exceptions.first() {
        failure = Failure::new(
            Reason::JobFailed,
            format!("{}: {}", failure.detail().message, root_cause(trace)),
        );
        failure = failure.evidence(causes(trace));
    }
    Err(failure)
}

/// The exceptions of a stack trace without the frames.
fn causes(trace: &str) -> String {
    let lines = trace
        .lines()
        .filter(|l| !l.trim_start().starts_with("at ") && !l.trim_start().starts_with("... "));
    lines.take(12).collect::<Vec<_>>().join("\n")
}
