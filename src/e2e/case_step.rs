//! A step of a case as events and as a mark on its timeline.

use std::sync::Arc;
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::case::Prepared;
use super::journal::Journal;
use crate::diag::{Failure, Result};
use crate::engine::{Done, StepCx};
use crate::event::{EventKind, EventSink};

/// A step of a case with its one end, reported to the run's events.
pub(super) struct CaseStep {
    pub(super) cx: StepCx,
    kind: &'static str,
    title: String,
    what: String,
    start: Instant,
    journal: Arc<Journal>,
    ended: bool,
}

impl CaseStep {
    /// Reports the beginning of a step; `id` is its name within the case.
    pub(super) fn start(
        prepared: &Prepared,
        events: &EventSink,
        cancel: &CancellationToken,
        id: &str,
        title: &str,
    ) -> Self {
        let step = format!("case/{}/{id}", prepared.names.job);
        let (what, title) = (title.to_owned(), format!("{}: {title}", prepared.title));
        events.emit(EventKind::StepStarted {
            step: step.clone(),
            title: title.clone(),
        });
        let cx = StepCx::detached(step, events.clone(), cancel.clone());
        Self {
            cx,
            kind: "step",
            title,
            what,
            start: Instant::now(),
            journal: prepared.journal.clone(),
            ended: false,
        }
    }

    /// The same as a mark of another kind on the timeline.
    pub(super) fn marked(mut self, kind: &'static str) -> Self {
        self.kind = kind;
        self
    }

    /// Reports the end, once.
    pub(super) fn end(&mut self, result: Result<Done, &Failure>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.journal.span(self.kind, &self.what, self.start, result.is_ok());
        let (step, title, took) = (self.cx.id().to_owned(), self.title.clone(), self.start.elapsed());
        self.cx.events().emit(match result {
            Ok(done) => EventKind::StepFinished {
                step,
                title,
                took,
                changed: done.changed(),
                evidence: done.evidence().to_owned(),
            },
            Err(failure) => EventKind::StepFailed {
                step,
                title,
                took,
                failure: failure.clone(),
            },
        });
    }

    /// Does the work of the step, and reports its end; `told` is what was seen.
    pub(super) async fn run<T>(
        mut self,
        work: impl Future<Output = Result<T>>,
        told: impl FnOnce(&T) -> String,
    ) -> Result<T> {
        let result = work.await;
        self.end(result.as_ref().map(|value| Done::Changed(told(value))));
        result
    }
}
