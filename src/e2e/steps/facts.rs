//! Facts that steps wait for. None is told by time alone.

use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use super::super::settle::{begun, completed, takes_any};
use super::Stage;
use super::feed::Feeds;
use crate::config::{Fact, JobState};
use crate::diag::{Failure, Reason, Result};
use crate::engine::StepCx;
use crate::flink::{JobDetails, percent_encoded, root_cause};
use crate::kafka::Topic;

/// Between two looks at Flink's REST interface, which has no watch.
const POLL: Duration = Duration::from_millis(150);

impl Stage<'_> {
    /// Waits for a fact; returns what was seen. The caller bounds it.
    ///
    /// # Errors
    /// [`Reason::JobFailed`] if the job has ended, so that the fact cannot come; what Kafka answers.
    pub(super) async fn fact(&self, fact: &Fact, feeds: &mut Feeds, cx: &StepCx) -> Result<String> {
        match fact {
            Fact::Checkpoint(count) => self.checkpoints(*count, cx).await,
            Fact::State(state) => self.state(*state, cx).await,
            Fact::Records { topic, count } => self.records(topic, *count, cx).await,
            Fact::Watermark(millis) => self.watermark(*millis, cx).await,
            Fact::Fed => feeds.all().await.map(|()| "all feeds have ended".to_owned()),
        }
    }

    /// Flink's id of the job and what it tells of it now; `None` while it tells nothing.
    pub(super) async fn flink(&self) -> Option<(String, Value)> {
        let id = self.job.id().await?;
        self.prepared.journal.job(&id);
        let answer = self.job.rest().get(&format!("/jobs/{id}")).await.ok()??;
        Some((id, answer))
    }

    /// A job that has ended brings no fact any more.
    async fn ended(&self, id: &str, answer: &Value) -> Result<()> {
        let state = answer["state"].as_str().unwrap_or_default();
        if !matches!(state, "FAILED" | "CANCELED" | "FINISHED") {
            return Ok(());
        }
        let mut failure = Failure::new(Reason::JobFailed, format!("the job is {state}"));
        let path = format!("/jobs/{id}/exceptions?maxExceptions=3");
        if let Ok(Some(answer)) = self.job.rest().get(&path).await {
            let mut details = JobDetails::default();
            details.add_exceptions(&answer);
            let causes = details.exceptions.iter().map(|trace| root_cause(trace));
            failure = causes.fold(failure, Failure::evidence);
        }
        Err(failure)
    }

    /// Checkpoints that begin from now on. A job that is started anew meanwhile counts from its start.
    async fn checkpoints(&self, count: u64, cx: &StepCx) -> Result<String> {
        // the job, the newest checkpoint that had begun when this began to look, and those complete since
        let mut since: Option<(String, u64)> = None;
        let mut seen: Vec<u64> = Vec::new();
        loop {
            if let Some((id, job)) = self.flink().await {
                self.ended(&id, &job).await?;
                let path = format!("/jobs/{id}/checkpoints");
                if since.as_ref().is_none_or(|(known, _)| *known != id) {
                    let config = self.job.rest().get(&format!("{path}/config")).await;
                    if let Ok(Some(config)) = config
                        && !takes_any(&config)
                    {
                        let message = "the job takes no checkpoints";
                        return Err(Failure::new(Reason::JobFailed, message)
                            .next("SET 'execution.checkpointing.interval' = '1 s' in the script"));
                    }
                }
                if let Ok(Some(answer)) = self.job.rest().get(&path).await {
                    let (known, before) = since.get_or_insert_with(|| (id.clone(), begun(&answer)));
                    if *known != id {
                        (*known, *before) = (id.clone(), 0);
                    }
                    let newest = completed(&answer);
                    if newest > *before && !seen.contains(&newest) {
                        // the history keeps the last ten: what was complete between two looks is in there
                        seen.extend(
                            complete(&answer)
                                .filter(|one| one > before && !seen.contains(one))
                                .collect::<Vec<_>>(),
                        );
                    }
                    if seen.len() as u64 >= count {
                        return Ok(format!("checkpoint {newest} is complete"));
                    }
                    cx.waiting(format!("{} of {count} checkpoints since number {before}", seen.len()));
                }
            } else {
                cx.waiting("Flink does not tell of the job");
            }
            sleep(POLL).await;
        }
    }

    async fn state(&self, wanted: JobState, cx: &StepCx) -> Result<String> {
        loop {
            if let Some((id, answer)) = self.flink().await {
                let details = JobDetails::from_answer(&answer);
                if has_state(&details, wanted) {
                    return Ok(format!("Flink: {}", details.summary()));
                }
                if details.state != wanted.word() {
                    self.ended(&id, &answer).await?;
                }
                cx.waiting(format!("Flink: {}", details.summary()));
            } else {
                cx.waiting("Flink does not tell of the job");
            }
            sleep(POLL).await;
        }
    }

    /// Committed records of a topic, from its beginning.
    async fn records(&self, topic: &str, count: usize, cx: &StepCx) -> Result<String> {
        let name = self.prepared.names.topic(topic);
        let known = self.prepared.topics.iter().find(|known| known.name == name);
        let topics: Vec<Topic> = known.cloned().into_iter().collect();
        let mut reader = self.kafka.reader(&topics).await?;
        let mut seen = 0;
        while seen < count {
            cx.waiting(format!("{seen} of {count} records"));
            tokio::select! {
                records = reader.next(Duration::from_secs(1)) => seen += records?.len(),
                ended = self.failed_for_good() => return Err(ended),
            }
        }
        Ok(format!("{seen} committed records"))
    }

    /// Ends only when the job has failed or was cancelled: what is written stays readable, but nothing more comes.
    async fn failed_for_good(&self) -> Failure {
        loop {
            // a look each second: the records are what is waited for
            sleep(Duration::from_secs(1)).await;
            if let Some((id, answer)) = self.flink().await
                && answer["state"] != "FINISHED"
                && let Err(failure) = self.ended(&id, &answer).await
            {
                return failure;
            }
        }
    }

    async fn watermark(&self, millis: i64, cx: &StepCx) -> Result<String> {
        loop {
            let mut found = None;
            if let Some((id, answer)) = self.flink().await {
                self.ended(&id, &answer).await?;
                let mut lowest: Option<i64> = None;
                for vertex in answer["vertices"].as_array().into_iter().flatten() {
                    let vertex = vertex["id"].as_str().unwrap_or_default();
                    if let Some(one) = self.watermark_of(&id, vertex).await {
                        lowest = Some(lowest.map_or(one, |known| known.min(one)));
                    }
                }
                found = lowest;
            }
            match found {
                Some(found) if found >= millis => return Ok(format!("watermark {}", time(found))),
                Some(found) => cx.waiting(format!("watermark {}", time(found))),
                None => cx.waiting("no task has a watermark yet"),
            }
            sleep(POLL).await;
        }
    }

    /// The lowest watermark that goes out of the subtasks of a task; `None` if it has none.
    async fn watermark_of(&self, job: &str, vertex: &str) -> Option<i64> {
        let path = format!("/jobs/{job}/vertices/{vertex}/subtasks/metrics");
        let names = self.job.rest().get(&path).await.ok()??;
        let wanted = watermarks(&names);
        if wanted.is_empty() {
            return None;
        }
        let path = format!("{path}?get={}&agg=min", wanted.join(","));
        lowest(&self.job.rest().get(&path).await.ok()??)
    }
}

/// Whether a job has a state; RUNNING only if all its tasks run.
pub(super) fn has_state(details: &JobDetails, wanted: JobState) -> bool {
    let tasks = wanted != JobState::Running || details.runs();
    details.state == wanted.word() && tasks
}

/// Ids of the complete checkpoints of Flink's history.
fn complete(answer: &Value) -> impl Iterator<Item = u64> + '_ {
    let history = answer["history"].as_array().into_iter().flatten();
    let newest = answer["latest"]["completed"]["id"].as_u64();
    let told = history
        .filter(|one| one["status"] == "COMPLETED")
        .filter_map(|one| one["id"].as_u64());
    let mut all: Vec<u64> = told.chain(newest).collect();
    all.sort_unstable();
    all.dedup();
    all.into_iter()
}

/// Names of the metrics of a task's outgoing watermarks; those of the operators of a chain each have their own.
fn watermarks(names: &Value) -> Vec<String> {
    let all = names
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|one| one["id"].as_str());
    let wanted = all.filter(|id| id.ends_with("currentOutputWatermark"));
    // in a query, what the names of operators may hold has to be escaped
    wanted.map(percent_encoded).collect()
}

/// The lowest of the values that are one at all: before the first watermark there is the smallest number.
fn lowest(answer: &Value) -> Option<i64> {
    let values = answer
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|one| one["min"].as_f64());
    // Flink tells numbers with a fraction; up to the year 285,000 they are exact
    let whole = values.map(|value| value as i64).filter(|value| *value > i64::MIN + 1);
    whole.max()
}

fn time(millis: i64) -> String {
    match jiff::Timestamp::from_millisecond(millis) {
        Ok(at) => at.to_string(),
        Err(_) => "at the end of time".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_watermark_of_a_task_is_what_its_last_operator_sends() {
        let names = json!([{"id": "Source__orders[1].currentOutputWatermark"}, {"id": "numRecordsIn"}]);
        assert_eq!(watermarks(&names), ["Source__orders%5B1%5D.currentOutputWatermark"]);
        let answer =
            json!([{"id": "a", "min": 1000.0}, {"id": "b", "min": 900.0}, {"id": "c", "min": i64::MIN as f64}]);
        assert_eq!(lowest(&answer), Some(1000));
        assert_eq!(lowest(&json!([{"id": "c", "min": i64::MIN as f64}])), None);
    }

    #[test]
    fn complete_checkpoints_are_counted_once() {
        let answer = json!({"latest": {"completed": {"id": 4}},
            "history": [{"id": 5, "status": "IN_PROGRESS"}, {"id": 4, "status": "COMPLETED"}, {"id": 3, "status": "COMPLETED"}]});
        assert_eq!(complete(&answer).collect::<Vec<_>>(), [3, 4]);
    }

    #[test]
    fn a_job_runs_when_all_its_tasks_do() {
        let details = |state: &str, tasks: Value| {
            JobDetails::from_answer(&json!({"state": state, "vertices": [{"tasks": tasks}]}))
        };
        assert!(has_state(&details("RUNNING", json!({"RUNNING": 2})), JobState::Running));
        assert!(!has_state(
            &details("RUNNING", json!({"RUNNING": 1, "DEPLOYING": 1})),
            JobState::Running
        ));
        assert!(has_state(&details("FAILED", json!({"CANCELED": 2})), JobState::Failed));
        assert!(!has_state(&details("RUNNING", json!({"RUNNING": 2})), JobState::Failed));
    }
}
