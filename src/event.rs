//! The one event type. Renderers (human, lines, JSON) are its consumers; nothing else reports progress.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};
use tokio::sync::mpsc;

use crate::diag::Failure;

/// Something that happened, in the order of `seq`.
#[derive(Debug, Clone, Serialize)]
pub struct Event {
    /// Version of this format.
    pub v: u32,
    /// Counts from 1 without gaps within a run.
    pub seq: u64,
    /// Milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Seconds since the run began.
    #[serde(serialize_with = "seconds")]
    pub elapsed: Duration,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// A step as it is announced before anything runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepInfo {
    /// Unique within the run, e.g. `image/kafka`.
    pub id: String,
    /// For people, e.g. `build apache/kafka:4.1.1`.
    pub title: String,
    /// Ids of the steps that come before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
}

/// The kinds of events. Step events are lossless; `StepProgress` and `StepWaiting` may be coalesced by a renderer.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventKind {
    /// All steps of the run, before the first one starts.
    PlanReady {
        /// In the order of the plan.
        steps: Vec<StepInfo>,
    },
    /// A step began.
    StepStarted {
        /// Its id.
        step: String,
        /// Its title.
        title: String,
    },
    /// A step moved on.
    StepProgress {
        /// Its id.
        step: String,
        /// How far it is, in `unit`.
        done: u64,
        /// Of how much; 0 if unknown.
        total: u64,
        /// What is counted: `bytes`, `steps`.
        unit: &'static str,
        /// What it does at the moment.
        message: String,
    },
    /// A step waits for something outside; the reason is the last one observed.
    StepWaiting {
        /// Its id.
        step: String,
        /// What is not there yet.
        reason: String,
    },
    /// One line of output of a program or build.
    StepOutput {
        /// Its id.
        step: String,
        /// Without the line's end.
        line: String,
    },
    /// A step takes longer than it usually does.
    StepSlow {
        /// Its id.
        step: String,
        /// How long it has taken so far.
        #[serde(serialize_with = "seconds")]
        took: Duration,
        /// When it will be given up.
        #[serde(serialize_with = "seconds")]
        bound: Duration,
        /// The last reason it gave.
        reason: String,
    },
    /// A step ended well.
    StepFinished {
        /// Its id.
        step: String,
        /// Its title.
        title: String,
        /// How long it took.
        #[serde(serialize_with = "seconds")]
        took: Duration,
        /// Whether it changed anything.
        changed: bool,
        /// The post-condition that was observed.
        evidence: String,
    },
    /// A step failed.
    StepFailed {
        /// Its id.
        step: String,
        /// Its title.
        title: String,
        /// How long it took.
        #[serde(serialize_with = "seconds")]
        took: Duration,
        /// Why.
        failure: Failure,
    },
    /// Something worth knowing that is not an error.
    Note {
        /// One line.
        message: String,
    },
    /// Test cases are about to begin.
    CasesReady {
        /// How many.
        total: usize,
        /// How many of them at a time.
        side_by_side: usize,
        /// How many of all are run alone, after the others: they kill or pause what all share.
        alone: usize,
    },
    /// A test case began.
    CaseStarted {
        /// Its name.
        case: String,
    },
    /// A test case has its verdict.
    CaseFinished {
        /// Its name.
        case: String,
        /// The verdict.
        verdict: Verdict,
        /// How long it took.
        #[serde(serialize_with = "seconds")]
        took: Duration,
        /// Differences of expected and seen records, or why it could not be run; empty for `pass`.
        detail: Vec<String>,
        /// The failure, for `error`.
        #[serde(skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
    },
    /// The run is being stopped; what runs gets a moment to clean up.
    CancelBegan {
        /// Why.
        reason: String,
    },
    /// The last event of every run.
    RunFinished {
        /// Whether all went well.
        ok: bool,
        /// One line, for people.
        summary: String,
    },
}

/// The outcome of a test case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every expectation held.
    Pass,
    /// The job ran and gave other records.
    Fail,
    /// The case could not be run to its end.
    Error,
    /// The case was not run.
    Skip,
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((duration.as_secs_f64() * 1000.0).round() / 1000.0)
}

/// Where events go in. Cheap to clone; never blocks.
#[derive(Debug, Clone)]
pub struct EventSink {
    sender: mpsc::UnboundedSender<Event>,
    seq: Arc<AtomicU64>,
    start: Instant,
}

impl EventSink {
    /// A sink and the stream of its events.
    pub fn channel() -> (Self, mpsc::UnboundedReceiver<Event>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (
            Self {
                sender,
                seq: Arc::new(AtomicU64::new(0)),
                start: Instant::now(),
            },
            receiver,
        )
    }

    /// A sink whose events nobody reads, for probes and tests.
    pub fn discard() -> Self {
        Self::channel().0
    }

    /// Reports an event.
    pub fn emit(&self, kind: EventKind) {
        let at_ms = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| d.as_millis() as u64);
        let seq = self.seq.fetch_add(1, Ordering::Relaxed) + 1;
        // a closed receiver means that the renderer is gone: there is nobody left to tell
        let _ = self.sender.send(Event {
            v: 1,
            seq,
            at_ms,
            elapsed: self.start.elapsed(),
            kind,
        });
    }

    /// Reports a [`EventKind::Note`].
    pub fn note(&self, message: impl Into<String>) {
        self.emit(EventKind::Note {
            message: message.into(),
        });
    }

    /// Time since the run began.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }
}
