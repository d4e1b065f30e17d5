//! Watching: on each change of files, something is done again, until it is told to stop.

mod files;
mod image;
mod sql;

use std::path::Path;
use std::time::Instant;

use tokio_util::sync::CancellationToken;

pub use files::{Watched, Watcher, sources};
pub use image::ImageOf;
pub use sql::SqlJob;

use crate::diag::{Failure, Result};
use crate::engine::StepCx;
use crate::event::{EventKind, EventSink};

/// What is done on each change.
#[async_trait::async_trait]
pub trait Subject: Send {
    /// What is watched, for people.
    fn title(&self) -> String;

    /// Does it, from the files as they are now; tells what was observed, with its timing. It may be dropped at any
    /// point, when files change again, and must find its way from there.
    ///
    /// # Errors
    /// What is shown; watching goes on.
    async fn round(&mut self, cx: &StepCx) -> Result<String>;

    /// Waits until what [`Self::round`] started fails; for ever if nothing runs.
    async fn failed(&mut self) -> Failure;

    /// Takes away what it made.
    ///
    /// # Errors
    /// What is left behind.
    async fn end(&mut self) -> Result<()>;
}

/// How a round came out.
enum Round {
    Done,
    ChangedAgain,
    Cancelled,
}

/// Does a first round, then one on each change, until `cancel` is triggered; then takes away what was made.
///
/// Each round is a step of `events`: one line, with its timing. What fails is told with its place and evidence.
///
/// # Errors
/// What could not be taken away at the end.
pub async fn run(
    subject: &mut dyn Subject,
    watcher: &mut Watcher,
    events: &EventSink,
    cancel: &CancellationToken,
) -> Result<()> {
    let mut number = 0;
    loop {
        number += 1;
        match one_round(subject, watcher, number, events, cancel).await {
            Round::Cancelled => break,
            Round::ChangedAgain => continue,
            Round::Done => {}
        }
        tokio::select! {
            () = cancel.cancelled() => break,
            () = watcher.changed() => {}
            failure = subject.failed() => {
                // a step's end has only its sentence
            events.note(failure.as_note(2));
                // it does not run any more: only another change helps
                tokio::select! {
                    () = cancel.cancelled() => break,
                    () = watcher.changed() => {}
                }
            }
        }
    }
    subject.end().await
}

async fn one_round(
    subject: &mut dyn Subject,
    watcher: &mut Watcher,
    number: usize,
    events: &EventSink,
    cancel: &CancellationToken,
) -> Round {
    let step = format!("watch/{number}");
    let title = match number {
        1 => subject.title(),
        _ => format!("{}, change {}", subject.title(), number - 1),
    };
    events.emit(EventKind::StepStarted {
        step: step.clone(),
        title: title.clone(),
    });
    let start = Instant::now();
    let cx = StepCx::detached(step.clone(), events.clone(), cancel.clone());
    let result = tokio::select! {
        biased;
        () = cancel.cancelled() => return Round::Cancelled,
        () = watcher.changed() => {
            events.emit(EventKind::StepFinished {
                step,
                title,
                took: start.elapsed(),
                changed: false,
                evidence: "given up: changed again".to_owned(),
            });
            return Round::ChangedAgain;
        }
        result = subject.round(&cx) => result,
    };
    let took = start.elapsed();
    match result {
        Ok(evidence) => events.emit(EventKind::StepFinished {
            step,
            title,
            took,
            changed: true,
            evidence,
        }),
        Err(failure) => {
            events.emit(EventKind::StepFailed {
                step,
                title,
                took,
                failure: failure.clone(),
            });
            // a step's end has only its sentence
            events.note(failure.as_note(2));
        }
    }
    Round::Done
}

/// A path as the user would write it where they are.
pub(crate) fn shown(path: &Path, cwd: &Path) -> String {
    path.strip_prefix(cwd).unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests;
