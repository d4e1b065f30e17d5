//! Runs the steps of a plan as a graph: each as soon as what it needs is done, side by side, with bounds, one
//! terminal event each, and cancellation.

mod step;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::diag::{Failure, Reason, Result};
use crate::event::{EventKind, EventSink, StepInfo};

pub use step::{Bounds, Done, Step, StepCx};

/// How long steps that are under way get to end by themselves once the run is cancelled.
const GRACE: Duration = Duration::from_secs(10);

/// What a run did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Steps that changed something.
    pub changed: usize,
    /// Steps that found everything as it should be.
    pub unchanged: usize,
}

/// Runs all steps and reports them to `events`.
///
/// The first failure cancels the others, which get a grace period, and is the result. Needs that name no step of the
/// run count as met, so that a caller may leave out what is there already.
///
/// # Errors
/// The first step's failure; [`Reason::Interrupted`] if `cancel` was triggered from outside; [`Reason::Internal`] if
/// the needs form a circle.
pub async fn run(steps: Vec<Step>, events: &EventSink, cancel: &CancellationToken) -> Result<Summary> {
    events.emit(EventKind::PlanReady {
        steps: steps.iter().map(|s| s.info.clone()).collect(),
    });
    let known: BTreeSet<String> = steps.iter().map(|s| s.info.id.clone()).collect();
    let mut waiting: BTreeMap<String, (Step, BTreeSet<String>)> = BTreeMap::new();
    let mut order: Vec<String> = Vec::new();
    for step in steps {
        let needs = step.info.needs.iter().filter(|n| known.contains(*n)).cloned().collect();
        order.push(step.info.id.clone());
        waiting.insert(step.info.id.clone(), (step, needs));
    }

    let inner = cancel.child_token();
    let mut running: JoinSet<(String, Result<Done>)> = JoinSet::new();
    let mut summary = Summary {
        changed: 0,
        unchanged: 0,
    };
    let mut failure: Option<Failure> = None;
    loop {
        if failure.is_none() && !cancel.is_cancelled() {
            order.retain(|id| {
                let ready = waiting.get(id).is_some_and(|(_, needs)| needs.is_empty());
                if ready && let Some((step, _)) = waiting.remove(id) {
                    running.spawn(step::execute(step, events.clone(), inner.child_token()));
                }
                !ready
            });
        }
        if running.is_empty() {
            break;
        }
        let ended = tokio::select! {
            ended = running.join_next() => ended,
            () = inner.cancelled(), if failure.is_none() => {
                events.emit(EventKind::CancelBegan { reason: "interrupted".to_owned() });
                failure = Some(Failure::new(Reason::Interrupted, "interrupted"));
                continue;
            }
            () = tokio::time::sleep(GRACE), if failure.is_some() => {
                running.abort_all();
                continue;
            }
        };
        match ended {
            Some(Ok((id, Ok(done)))) => {
                if done.changed() {
                    summary.changed += 1;
                } else {
                    summary.unchanged += 1;
                }
                for (_, needs) in waiting.values_mut() {
                    needs.remove(&id);
                }
            }
            Some(Ok((_, Err(error)))) => {
                if failure.is_none() {
                    failure = Some(error);
                    inner.cancel();
                }
            }
            Some(Err(error)) if error.is_panic() && failure.is_none() => {
                failure = Some(Failure::new(Reason::Internal, "a step panicked").cause(&error));
                inner.cancel();
            }
            Some(Err(_)) | None => {}
        }
    }
    match failure {
        Some(failure) => Err(failure),
        None if cancel.is_cancelled() => Err(Failure::new(Reason::Interrupted, "interrupted")),
        None if !waiting.is_empty() => {
            let circle: Vec<_> = waiting.into_keys().collect();
            Err(Failure::new(
                Reason::Internal,
                format!("steps need each other: {}", circle.join(", ")),
            ))
        }
        None => Ok(summary),
    }
}

/// The announced form of steps, for a dry run.
pub fn infos(steps: &[Step]) -> Vec<StepInfo> {
    steps.iter().map(|s| s.info.clone()).collect()
}

#[cfg(test)]
mod tests;
