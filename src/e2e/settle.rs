//! Whether a job has taken one more checkpoint: what it had written but not committed until then is readable since.

use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use crate::flink::SessionJob;

/// Between two looks at Flink's REST interface, which has no watch.
const POLL: Duration = Duration::from_millis(200);

/// Follows the checkpoints of one job.
pub(super) struct Settle {
    job: SessionJob,
    id: Option<String>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing has been asked yet since the last record.
    Asked,
    /// This is the newest checkpoint that had begun by then.
    Since(u64),
    /// A newer one is complete, or the job takes none.
    Settled,
}

impl Settle {
    pub(super) fn new(job: &SessionJob) -> Self {
        Self {
            job: job.clone(),
            id: None,
            state: State::Asked,
        }
    }

    pub(super) fn settled(&self) -> bool {
        self.state == State::Settled
    }

    /// A record came: what is behind it needs a checkpoint that begins from now on.
    pub(super) fn again(&mut self) {
        self.state = State::Asked;
    }

    /// Looks once, after a moment. What Flink does not answer is asked again by the next call.
    pub(super) async fn look(&mut self) {
        if self.state != State::Asked {
            sleep(POLL).await;
        }
        if let Some(state) = self.next().await {
            self.state = state;
        } else {
            sleep(POLL).await;
        }
    }

    /// What is awaited, for a case that was given up.
    pub(super) fn why(&self) -> Option<String> {
        match self.state {
            State::Asked => Some("Flink did not tell its checkpoints".to_owned()),
            State::Since(id) => Some(format!(
                "all records were there, but no checkpoint after number {id} was complete"
            )),
            State::Settled => None,
        }
    }

    async fn next(&mut self) -> Option<State> {
        if self.id.is_none() {
            // not by its name: the script may give it another one
            self.id = self.job.id().await;
        }
        let path = format!("/jobs/{}/checkpoints", self.id.as_deref()?);
        if self.state == State::Asked {
            let config = self.job.rest().get(&format!("{path}/config")).await.ok()??;
            if !takes_any(&config) {
                return Some(State::Settled);
            }
        }
        let answer = self.job.rest().get(&path).await.ok()??;
        Some(match self.state {
            State::Since(before) if completed(&answer) > before => State::Settled,
            State::Asked => State::Since(begun(&answer)),
            state => state,
        })
    }
}

/// Whether a job takes checkpoints by itself; Flink gives the greatest number for an interval that never comes.
pub(super) fn takes_any(config: &Value) -> bool {
    config["interval"]
        .as_u64()
        .is_some_and(|millis| millis > 0 && millis < i64::MAX as u64)
}

fn ids(answer: &Value, which: impl Fn(&Value) -> bool) -> u64 {
    let history = answer["history"].as_array().map_or(&[][..], Vec::as_slice);
    let ids = history
        .iter()
        .filter(|one| which(one))
        .filter_map(|one| one["id"].as_u64());
    ids.max().unwrap_or(0)
}

/// The newest checkpoint that has begun, 0 if none.
pub(super) fn begun(answer: &Value) -> u64 {
    ids(answer, |_| true)
}

/// The newest checkpoint that is complete, 0 if none.
pub(super) fn completed(answer: &Value) -> u64 {
    let latest = answer["latest"]["completed"]["id"].as_u64().unwrap_or(0);
    latest.max(ids(answer, |one| one["status"] == "COMPLETED"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn checkpoints_are_told_from_flinks_answer() {
        let answer = json!({"latest": {"completed": {"id": 4}}, "history": [
            {"id": 5, "status": "IN_PROGRESS"}, {"id": 4, "status": "COMPLETED"}]});
        assert_eq!((begun(&answer), completed(&answer)), (5, 4));
        assert_eq!((begun(&json!({})), completed(&json!({"latest": {}}))), (0, 0));
        assert!(takes_any(&json!({"interval": 1000})));
        for never in [json!(i64::MAX), json!(0), json!(null)] {
            assert!(!takes_any(&json!({"interval": never})));
        }
    }
}
