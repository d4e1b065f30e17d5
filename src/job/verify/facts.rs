//! What Flink tells of a job's checkpoints and restarts at one moment.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::super::managed::Managed;
use crate::diag::Result;
use crate::kube::text;

/// How long a job that runs again may take to tell what it was restored from: Flink's answers are cached.
pub(super) const TOLD: Duration = Duration::from_secs(6);

/// What Flink knows of a job at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// Flink's id of the job.
    pub job_id: String,
    /// When Flink started it, in milliseconds since the epoch.
    pub started_ms: i64,
    /// Its state; empty if Flink does not know it.
    pub state: String,
    /// Whether all of its tasks run.
    pub tasks_run: bool,
    /// The number of the newest checkpoint that is complete; 0 if none is.
    pub checkpoint: u64,
    /// Where it is; empty where the JobManager keeps it in its memory.
    pub checkpoint_path: String,
    /// How many are complete.
    pub completed: u64,
    /// How often its tasks were started anew: the highest attempt of any of them, the first one being 0.
    pub restarts: u64,
    /// What its state was restored from last.
    pub restored: Option<Restored>,
}

/// What a job's state was restored from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Restored {
    /// The number of the checkpoint or savepoint.
    pub id: u64,
    /// Whether it is a savepoint.
    pub savepoint: bool,
    /// Where it is; empty where the JobManager keeps it in its memory.
    pub path: String,
    /// When it was restored, in milliseconds since the epoch, as the JobManager's clock has it.
    pub at_ms: i64,
}

/// Where Flink says that only the JobManager itself knows a checkpoint.
const NOWHERE: &str = "<checkpoint-not-externally-addressable>";

impl Moment {
    /// Asks Flink. `None` while it does not answer.
    ///
    /// # Errors
    /// [`crate::diag::Reason::JobUnknown`] if the job's object is gone; what the API server answers.
    pub(super) async fn of(job: &Managed) -> Result<Option<Self>> {
        let look = job.look().await?;
        let Some(flink) = &look.flink else { return Ok(None) };
        let id = look.id().to_owned();
        // a Flink that goes away between two questions is asked again by the caller
        let Ok(answer) = job.rest.get(&format!("/jobs/{id}/checkpoints")).await else {
            return Ok(None);
        };
        let mut attempts = Vec::new();
        for vertex in flink["vertices"].as_array().map_or(&[][..], Vec::as_slice) {
            let path = format!("/jobs/{id}/vertices/{}", text(vertex, "/id"));
            let Ok(vertex) = job.rest.get(&path).await else {
                return Ok(None);
            };
            attempts.push(vertex.unwrap_or_default());
        }
        Ok(Some(Self::from_answers(
            &id,
            flink,
            &answer.unwrap_or_default(),
            &attempts,
        )))
    }

    /// From the answers to `/jobs/ID`, `/jobs/ID/checkpoints` and `/jobs/ID/vertices/…`.
    pub(super) fn from_answers(id: &str, job: &Value, checkpoints: &Value, vertices: &[Value]) -> Self {
        let latest = &checkpoints["latest"];
        let number = |value: &Value| value.as_u64().unwrap_or_default();
        let restored = latest.get("restored").filter(|r| r.is_object()).map(|r| Restored {
            id: number(&r["id"]),
            savepoint: r["is_savepoint"].as_bool().unwrap_or_default(),
            path: path_of(text(r, "/external_path")),
            at_ms: r["restore_timestamp"].as_i64().unwrap_or_default(),
        });
        let tasks = job["vertices"].as_array().map_or(&[][..], Vec::as_slice);
        let tasks_run = !tasks.is_empty()
            && tasks.iter().all(|task| {
                let counts = task["tasks"].as_object().into_iter().flatten();
                let mut others = counts.filter(|(state, n)| *state != "RUNNING" && n.as_u64() != Some(0));
                others.next().is_none()
            });
        let attempts = vertices
            .iter()
            .flat_map(|v| v["subtasks"].as_array().map_or(&[][..], Vec::as_slice))
            .map(|task| number(&task["attempt"]));
        Self {
            job_id: id.to_owned(),
            started_ms: job["start-time"].as_i64().unwrap_or_default(),
            state: text(job, "/state").to_owned(),
            tasks_run,
            checkpoint: number(&latest["completed"]["id"]),
            checkpoint_path: path_of(text(latest, "/completed/external_path")),
            completed: number(&checkpoints["counts"]["completed"]),
            restarts: attempts.max().unwrap_or_default(),
            restored,
        }
    }

    /// Whether the job runs with all its tasks.
    pub fn runs(&self) -> bool {
        self.state == "RUNNING" && self.tasks_run
    }
}

/// A path as Flink tells it, in one of its spellings.
fn path_of(told: &str) -> String {
    if told == NOWHERE {
        String::new()
    } else {
        told.to_owned()
    }
}

/// Whether two paths are the same: `file:///a` is `file:/a`, and a slash at the end says nothing.
pub(super) fn same_path(a: &str, b: &str) -> bool {
    let plain = |path: &str| {
        let path = path.trim_end_matches('/');
        path.strip_prefix("file:")
            .map_or_else(|| path.to_owned(), |rest| format!("/{}", rest.trim_start_matches('/')))
    };
    plain(a) == plain(b)
}

/// The interval of a job's checkpoints in milliseconds, from the answer to `/jobs/ID/checkpoints/config`; `None` where
/// it takes none by itself: Flink gives the greatest number for an interval that never comes.
pub(super) fn interval(config: &Value) -> Option<u64> {
    config["interval"]
        .as_u64()
        .filter(|millis| *millis > 0 && *millis < i64::MAX as u64)
}

/// The pods of the TaskManagers that run a job's tasks: Flink calls a TaskManager by its pod.
pub(super) fn task_managers(vertices: &[Value]) -> Vec<String> {
    let tasks = vertices
        .iter()
        .flat_map(|v| v["subtasks"].as_array().map_or(&[][..], Vec::as_slice));
    let mut pods: Vec<String> = tasks
        .map(|task| text(task, "/taskmanager-id").to_owned())
        .filter(|id| !id.is_empty() && !id.starts_with('('))
        .collect();
    pods.sort_unstable();
    pods.dedup();
    pods
}
