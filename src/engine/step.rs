//! One step: what it is called, what it needs, how long it may take, and its work.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::diag::{Failure, Reason, Result};
use crate::event::{EventKind, EventSink, StepInfo};

type Work = Box<dyn FnOnce(StepCx) -> Pin<Box<dyn Future<Output = Result<Done>> + Send>> + Send>;

/// How long a step may take.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// From here on it is reported as slow.
    pub soft: Duration,
    /// Here it is given up.
    pub hard: Duration,
}

impl Bounds {
    /// Bounds in whole seconds.
    pub const fn secs(soft: u64, hard: u64) -> Self {
        Self {
            soft: Duration::from_secs(soft),
            hard: Duration::from_secs(hard),
        }
    }
}

/// How a step ended well; the text is the post-condition that was observed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// It changed something.
    Changed(String),
    /// Everything was as it should be.
    Unchanged(String),
}

impl Done {
    /// Whether it changed something.
    pub fn changed(&self) -> bool {
        matches!(self, Self::Changed(_))
    }

    /// What was observed.
    pub fn evidence(&self) -> &str {
        match self {
            Self::Changed(text) | Self::Unchanged(text) => text,
        }
    }
}

/// A step of a run.
pub struct Step {
    /// Id, title and needs.
    pub info: StepInfo,
    bounds: Bounds,
    work: Work,
}

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Step")
            .field("info", &self.info)
            .field("bounds", &self.bounds)
            .finish_non_exhaustive()
    }
}

impl Step {
    /// A step with its work, which gets the step's context when it starts.
    pub fn new<F, Fut>(id: impl Into<String>, title: impl Into<String>, needs: &[&str], bounds: Bounds, work: F) -> Self
    where
        F: FnOnce(StepCx) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Done>> + Send + 'static,
    {
        Self {
            info: StepInfo {
                id: id.into(),
                title: title.into(),
                needs: needs.iter().map(|n| (*n).to_owned()).collect(),
            },
            bounds,
            work: Box::new(move |cx| Box::pin(work(cx))),
        }
    }

    /// Adds one more need.
    #[must_use]
    pub fn needing(mut self, id: impl Into<String>) -> Self {
        self.info.needs.push(id.into());
        self
    }
}

/// What a step's work is given: a way to report, and the token that tells it to stop.
#[derive(Debug, Clone)]
pub struct StepCx {
    id: String,
    events: EventSink,
    cancel: CancellationToken,
    last_reason: Arc<Mutex<String>>,
}

impl StepCx {
    /// A context outside a run, for probes and tests.
    pub fn detached(id: impl Into<String>, events: EventSink, cancel: CancellationToken) -> Self {
        Self {
            id: id.into(),
            events,
            cancel,
            last_reason: Arc::default(),
        }
    }

    /// The step's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The sink of the run.
    pub fn events(&self) -> &EventSink {
        &self.events
    }

    /// Triggered when the step is to stop.
    pub fn cancel(&self) -> &CancellationToken {
        &self.cancel
    }

    /// Reports how far the step is; `total` 0 if unknown.
    pub fn progress(&self, done: u64, total: u64, unit: &'static str, message: impl Into<String>) {
        let message = message.into();
        self.events.emit(EventKind::StepProgress {
            step: self.id.clone(),
            done,
            total,
            unit,
            message,
        });
    }

    /// Reports what the step waits for; the same reason again is not repeated.
    pub fn waiting(&self, reason: impl Into<String>) {
        let reason = reason.into();
        let mut last = self.last_reason.lock().unwrap_or_else(PoisonError::into_inner);
        if *last != reason {
            last.clone_from(&reason);
            self.events.emit(EventKind::StepWaiting {
                step: self.id.clone(),
                reason,
            });
        }
    }

    /// The last reason given to [`Self::waiting`].
    pub fn last_reason(&self) -> String {
        self.last_reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reports a line of output.
    pub fn output(&self, line: impl Into<String>) {
        self.events.emit(EventKind::StepOutput {
            step: self.id.clone(),
            line: line.into(),
        });
    }
}

/// Runs one step within its bounds and reports its start and its one end.
pub(super) async fn execute(step: Step, events: EventSink, cancel: CancellationToken) -> (String, Result<Done>) {
    let Step {
        info: StepInfo { id, title, .. },
        bounds,
        work,
    } = step;
    events.emit(EventKind::StepStarted {
        step: id.clone(),
        title: title.clone(),
    });
    let start = Instant::now();
    let cx = StepCx::detached(id.clone(), events.clone(), cancel.clone());
    let mut future = work(cx.clone());
    let mut slow_told = false;
    let result = loop {
        let next = if slow_told { bounds.hard } else { bounds.soft };
        tokio::select! {
            result = &mut future => break result,
            () = cancel.cancelled() => {
                // in-flight requests are dropped with the future; programs get their signal from src/process
                break Err(Failure::new(Reason::Interrupted, format!("{title}: stopped")));
            }
            () = tokio::time::sleep_until(start + next) => {
                if slow_told {
                    break Err(timed_out(&title, bounds, &cx.last_reason()));
                }
                slow_told = true;
                let (took, bound, reason) = (start.elapsed(), bounds.hard, cx.last_reason());
                events.emit(EventKind::StepSlow { step: id.clone(), took, bound, reason });
            }
        }
    };
    let took = start.elapsed();
    events.emit(match &result {
        Ok(done) => EventKind::StepFinished {
            step: id.clone(),
            title,
            took,
            changed: done.changed(),
            evidence: done.evidence().to_owned(),
        },
        Err(failure) => EventKind::StepFailed {
            step: id.clone(),
            title,
            took,
            failure: failure.clone(),
        },
    });
    (id, result)
}

fn timed_out(title: &str, bounds: Bounds, reason: &str) -> Failure {
    let message = format!("{title}: not done after {} s", bounds.hard.as_secs());
    let failure = Failure::new(Reason::TimedOut, message);
    if reason.is_empty() {
        failure
    } else {
        failure.evidence(format!("last seen: {reason}"))
    }
}
