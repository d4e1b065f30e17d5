//! What has become of the job when the records are as expected.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::facts::has_state;
use crate::config::JobExpectation;
use crate::flink::{JobDetails, SessionJob};

/// How long Flink may take to show what has become of a job.
const BOUND: Duration = Duration::from_secs(5);
/// Between two looks.
const POLL: Duration = Duration::from_millis(200);

/// What is not as expected of a job, a line each, at the end of some seconds; nothing if all is.
pub(in crate::e2e) async fn unmet(wanted: &JobExpectation, job: &SessionJob) -> Vec<String> {
    if wanted.is_empty() {
        return Vec::new();
    }
    let end = Instant::now() + BOUND;
    loop {
        let lines = match look(job).await {
            Some(seen) => differences(wanted, &seen),
            None => vec!["Flink does not tell of the job".to_owned()],
        };
        if lines.is_empty() || Instant::now() >= end {
            let line = wanted.line;
            return lines.into_iter().map(|l| format!("job: {l}  (line {line})")).collect();
        }
        sleep(POLL).await;
    }
}

/// What Flink tells of a job.
struct Seen {
    details: JobDetails,
    exceptions: Value,
    checkpoints: Value,
}

async fn look(job: &SessionJob) -> Option<Seen> {
    let id = job.id().await?;
    let get = async |path: String| job.rest().get(&path).await.ok().flatten();
    Some(Seen {
        details: JobDetails::from_answer(&get(format!("/jobs/{id}")).await?),
        exceptions: get(format!("/jobs/{id}/exceptions?maxExceptions=1000")).await?,
        checkpoints: get(format!("/jobs/{id}/checkpoints")).await.unwrap_or_default(),
    })
}

/// The pure part.
fn differences(wanted: &JobExpectation, seen: &Seen) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(state) = wanted.state
        && !has_state(&seen.details, state)
    {
        lines.push(format!("expected {}, seen {}", state.word(), seen.details.summary()));
    }
    if let Some((least, most)) = wanted.restarts {
        let failures = seen.exceptions["exceptionHistory"]["entries"].as_array();
        let failures = failures.map_or(0, Vec::len) as u64;
        // the last failure of a job that has failed for good is followed by no start
        let restarts = failures.saturating_sub(u64::from(seen.details.state == "FAILED"));
        if restarts < least || restarts > most {
            let range = match (least, most) {
                (least, u64::MAX) => format!("at least {least}"),
                (0, most) => format!("at most {most}"),
                (least, most) => format!("{least} to {most}"),
            };
            lines.push(format!("expected {range} restarts, seen {restarts}"));
        }
    }
    if let Some(wanted) = wanted.restored {
        let restored = &seen.checkpoints["latest"]["restored"];
        match (wanted, restored.is_object()) {
            (true, false) => lines.push("expected to be restored from a checkpoint, was not".to_owned()),
            (false, true) => lines.push(format!(
                "expected not to be restored, was from {} {}",
                if restored["is_savepoint"] == true {
                    "savepoint"
                } else {
                    "checkpoint"
                },
                restored["id"]
            )),
            _ => {}
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::JobState;

    fn seen(state: &str, failures: usize, restored: &Value) -> Seen {
        let entries: Vec<_> = (0..failures).map(|_| json!({"exceptionName": "x"})).collect();
        Seen {
            details: JobDetails::from_answer(&json!({"state": state, "vertices": [{"tasks": {"RUNNING": 1}}]})),
            exceptions: json!({"exceptionHistory": {"entries": entries}}),
            checkpoints: json!({"latest": {"restored": restored}}),
        }
    }

    #[test]
    fn what_became_of_a_job_is_told_where_it_differs() {
        let wanted = JobExpectation {
            state: Some(JobState::Running),
            restarts: Some((1, 2)),
            restored: Some(true),
            line: 7,
        };
        let from = json!({"id": 3, "is_savepoint": false});
        assert!(differences(&wanted, &seen("RUNNING", 1, &from)).is_empty());
        assert_eq!(
            differences(&wanted, &seen("FAILED", 1, &Value::Null)),
            [
                "expected RUNNING, seen FAILED, tasks: 1 RUNNING",
                "expected 1 to 2 restarts, seen 0",
                "expected to be restored from a checkpoint, was not"
            ]
        );
        let wanted = JobExpectation {
            restarts: Some((0, 0)),
            restored: Some(false),
            ..JobExpectation::default()
        };
        assert_eq!(
            differences(&wanted, &seen("RUNNING", 3, &from)),
            [
                "expected at most 0 restarts, seen 3",
                "expected not to be restored, was from checkpoint 3"
            ]
        );
    }
}
