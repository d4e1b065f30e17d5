//! A part of a job's way, with its one end among the run's events.

use std::time::Instant;

use tokio_util::sync::CancellationToken;

use crate::diag::{Failure, Result};
use crate::engine::StepCx;
use crate::event::{EventKind, EventSink};

/// A part of a job's way; it ends once.
#[derive(Debug)]
pub struct Stage {
    cx: StepCx,
    title: String,
    start: Instant,
    ended: bool,
}

impl Stage {
    /// Begins it.
    pub fn start(events: &EventSink, cancel: &CancellationToken, id: &str, title: String) -> Self {
        events.emit(EventKind::StepStarted {
            step: id.to_owned(),
            title: title.clone(),
        });
        Self {
            cx: StepCx::detached(id, events.clone(), cancel.clone()),
            title,
            start: Instant::now(),
            ended: false,
        }
    }

    /// The way to report what it waits for, and the token that stops it.
    pub fn cx(&self) -> &StepCx {
        &self.cx
    }

    /// It ended well, with what was seen.
    pub fn done(&mut self, evidence: &str) {
        self.end(|step, title, took| EventKind::StepFinished {
            step,
            title,
            took,
            changed: true,
            evidence: evidence.to_owned(),
        });
    }

    /// It failed.
    pub fn fail(&mut self, failure: &Failure) {
        self.end(|step, title, took| EventKind::StepFailed {
            step,
            title,
            took,
            failure: failure.clone(),
        });
    }

    /// Does `work` and ends with its result.
    ///
    /// # Errors
    /// Those of `work`.
    pub async fn run<T>(mut self, work: impl Future<Output = Result<T>>, told: impl FnOnce(&T) -> String) -> Result<T> {
        let result = work.await;
        match &result {
            Ok(value) => self.done(&told(value)),
            Err(failure) => self.fail(failure),
        }
        result
    }

    fn end(&mut self, kind: impl FnOnce(String, String, std::time::Duration) -> EventKind) {
        if !std::mem::replace(&mut self.ended, true) {
            let event = kind(self.cx.id().to_owned(), self.title.clone(), self.start.elapsed());
            self.cx.events().emit(event);
        }
    }
}
