//! The steps of a case: one after another, each with what was seen at its end.

mod facts;
mod feed;
mod job;
mod job_expectation;

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::Target;
use super::case::{Prepared, interrupted};
use super::case_step::CaseStep;
use super::faults::{Faults, Victim};
use crate::config::{Action, Part, Step};
use crate::diag::{Failure, Reason, Result};
use crate::engine::{Done, StepCx};
use crate::event::EventSink;
use crate::flink::SessionJob;
use crate::kafka::TopicClient;
use feed::Feeds;
pub(super) use job_expectation::unmet;

/// Between two looks at something that is not there yet.
const POLL: Duration = Duration::from_millis(150);

/// What steps work on.
pub(super) struct Stage<'a> {
    pub(super) prepared: &'a Prepared,
    pub(super) target: &'a Target,
    pub(super) kafka: &'a TopicClient,
    pub(super) faults: &'a Faults,
    pub(super) job: &'a SessionJob,
    pub(super) events: &'a EventSink,
    pub(super) cancel: &'a CancellationToken,
    /// When the case's time is over.
    pub(super) end: Instant,
}

/// Runs the steps of a case whose job runs. Feeds with a rate have ended when this returns.
///
/// # Errors
/// The first step that failed: which, where it is written, why.
pub(super) async fn play(stage: &Stage<'_>) -> Result<()> {
    let mut feeds = Feeds::default();
    let mut broken = feeds.broken();
    let mut savepoints = BTreeMap::new();
    for (index, step) in stage.prepared.case.steps.iter().enumerate() {
        let number = index + 1;
        let title = format!("{number}. {}", step.action);
        let id = format!("step-{number}");
        let started = CaseStep::start(stage.prepared, stage.events, stage.cancel, &id, &title);
        let mut shown = match step.action.fault() {
            Some(_) => started.marked("fault"),
            None => started,
        };
        let cx = shown.cx.clone();
        let bound = step.within.min(stage.end.saturating_duration_since(Instant::now()));
        let work = stage.act((number, step), bound, &cx, &mut feeds, &mut savepoints);
        let result = tokio::select! {
            biased;
            () = stage.cancel.cancelled() => Err((number, interrupted())),
            // of the feed, and not of this step
            (number, failure) = broken.failed() => Err((number, failure)),
            result = timeout(bound, work) => {
                let result = result.unwrap_or_else(|_| Err(late(bound, stage.end, &cx)));
                result.map_err(|failure| (number, failure))
            }
        };
        let result = result.map_err(|(number, failure)| stage.at_step(number, failure));
        shown.end(result.as_ref().map(|seen| Done::Changed(seen.clone())));
        result?;
    }
    let left = stage.end.saturating_duration_since(Instant::now());
    tokio::select! {
        biased;
        () = stage.cancel.cancelled() => Err(interrupted()),
        result = timeout(left, feeds.all()) => result.unwrap_or_else(|_| {
            let message = "records are still being fed at the end of the case's time";
            Err(Failure::new(Reason::TimedOut, message).next("raise `rate` of the feed, or `within` of the case"))
        }),
    }
}

fn late(bound: Duration, end: Instant, cx: &StepCx) -> Failure {
    let whose = if Instant::now() >= end {
        "the case's time"
    } else {
        "`within` of the step"
    };
    let message = format!("not seen within {:.1} s ({whose})", bound.as_secs_f64());
    let failure = Failure::new(Reason::TimedOut, message);
    match cx.last_reason() {
        reason if reason.is_empty() => failure,
        reason => failure.evidence(format!("last seen: {reason}")),
    }
}

impl Stage<'_> {
    /// Does what a step says; returns what was seen.
    async fn act(
        &self,
        (number, step): (usize, &Step),
        bound: Duration,
        cx: &StepCx,
        feeds: &mut Feeds,
        savepoints: &mut BTreeMap<String, String>,
    ) -> Result<String> {
        match &step.action {
            Action::Feed(all) => feeds.start(self, number, all).await,
            Action::Await(fact) => self.fact(fact, feeds, cx).await,
            Action::Kill(part) => {
                let before = self.before_kill(*part, cx).await?;
                let victim = self.victim(*part, cx).await?;
                let mut seen = self.faults.kill(&victim).await?;
                if let Some(noticed) = self.noticed(&victim, before, cx).await? {
                    seen = format!("{seen}; {noticed}");
                }
                Ok(seen)
            }
            Action::Pause(part) => {
                let victim = self.victim(*part, cx).await?;
                self.faults.pause(&victim).await
            }
            Action::Resume(part) => self.faults.resume(*part).await,
            Action::Savepoint(name) => {
                let path = self.savepoint(bound, cx).await?;
                savepoints.insert(name.clone(), path.clone());
                Ok(path)
            }
            Action::Restart(restart) => self.restart(restart, savepoints, bound, cx).await,
            Action::Upgrade { sql_file, .. } => self.upgrade(sql_file, bound, cx).await,
            Action::Scale(parallelism) => self.scale(*parallelism, bound, cx).await,
        }
    }

    /// The part that a step hits; one that is not there yet, after a fault of before, is waited for.
    async fn victim(&self, part: Part, cx: &StepCx) -> Result<Victim> {
        loop {
            let id = self.job.id().await;
            match self.faults.victim(part, id.as_deref()).await {
                Err(failure) if failure.id() == Reason::ComponentNotReady => cx.waiting(failure.to_string()),
                found => return found,
            }
            sleep(POLL).await;
        }
    }

    /// A failure of a step at the step's place.
    fn at_step(&self, number: usize, failure: Failure) -> Failure {
        let Some(step) = self.prepared.case.steps.get(number - 1) else {
            return failure;
        };
        if failure.id() == Reason::Interrupted {
            return failure;
        }
        let message = format!("step {number} ({}): {}", step.action, failure.detail().message);
        match failure.detail().location.clone() {
            // a place in a script is more exact
            Some(at) => failure.reworded(message).at(at.file, at.line, at.column),
            None => {
                let file = self.prepared.case.file.clone();
                failure.reworded(message).at(file, step.line, step.column)
            }
        }
    }
}
