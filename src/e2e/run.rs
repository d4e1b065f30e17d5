//! All cases of a run, one after another; each one's clean-up goes on beside the next.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use kube::Client;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::case::{Outcome, Prepared, prepare};
use super::lease::{RunLease, sweep};
use super::names::run_id;
use crate::config::Case;
use crate::diag::{Failure, Reason, Result};
use crate::event::{EventKind, EventSink, Verdict};
use crate::kafka::TopicClient;

/// Where cases run.
#[derive(Clone)]
pub struct Target {
    /// The cluster.
    pub client: Client,
    /// The namespace of the session cluster; its jobs are made there.
    pub namespace: String,
    /// The session cluster's name.
    pub session: String,
    /// Kafka's address on this machine, `HOST:PORT`.
    pub kafka_local: String,
    /// Kafka's address in the cluster, which `${kafka.bootstrap}` stands for.
    pub kafka_internal: String,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("session", &self.session)
            .field("kafka", &self.kafka_local)
            .finish_non_exhaustive()
    }
}

/// How many cases came out how.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// Cases whose every expectation held.
    pub passed: usize,
    /// Cases that gave other records.
    pub failed: usize,
    /// Cases that could not be run to their end.
    pub errors: usize,
    /// Cases that were not begun, because the run was interrupted.
    pub skipped: usize,
    /// What could not be removed; empty in every ordinary run.
    pub left_behind: Vec<Failure>,
}

impl Summary {
    /// Whether every case passed.
    pub fn all_passed(&self) -> bool {
        self.failed == 0 && self.errors == 0 && self.skipped == 0
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} with errors",
            self.passed, self.failed, self.errors
        )?;
        if self.skipped > 0 {
            write!(f, ", {} not run", self.skipped)?;
        }
        Ok(())
    }
}

/// Runs cases on `target` and reports each one's verdict to `events`.
///
/// Each case's objects are removed whatever its verdict is, also when `cancel` is triggered, and with them what killed
/// runs left behind; when this returns, all of it is gone or told in [`Summary::left_behind`]. If the cluster or Kafka
/// cannot be reached at all, every case ends with that error.
pub async fn run_cases(cases: Vec<Case>, target: Target, events: EventSink, cancel: CancellationToken) -> Summary {
    let mut summary = Summary::default();
    let run = run_id();
    let opened = tokio::select! {
        opened = open(&target, &run) => opened,
        () = cancel.cancelled() => Err(Failure::new(Reason::Interrupted, "interrupted")),
    };
    let (kafka, lease) = match opened {
        Ok(opened) => opened,
        Err(failure) => {
            for case in &cases {
                let start = Instant::now();
                events.emit(EventKind::CaseStarted {
                    case: case.name.clone(),
                });
                finish(&mut summary, &events, &case.name, start, Err(failure.clone()));
            }
            return summary;
        }
    };
    // beside the first case: leftovers are in nobody's way
    let first_sweep = tokio::spawn({
        let (target, kafka) = (target.clone(), kafka.clone());
        async move { sweep(&target, &kafka).await }
    });

    let mut removals = JoinSet::new();
    for (index, case) in cases.iter().enumerate() {
        if cancel.is_cancelled() {
            summary.skipped += 1;
            continue;
        }
        let start = Instant::now();
        events.emit(EventKind::CaseStarted {
            case: case.name.clone(),
        });
        let result = match prepare(case, &run, index + 1, &target.kafka_internal) {
            Err(failure) => Err(failure),
            Ok(prepared) => {
                let prepared = Arc::new(prepared);
                let result = prepared.run(&target, &kafka, &events, &cancel).await;
                removals.spawn(remove(prepared, target.clone(), kafka.clone(), events.clone()));
                result
            }
        };
        finish(&mut summary, &events, &case.name, start, result);
    }
    while let Some(removed) = removals.join_next().await {
        match removed {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => summary.left_behind.push(failure),
            Err(error) => summary
                .left_behind
                .push(Failure::new(Reason::Internal, "a clean-up panicked").cause(&error)),
        }
    }
    for failure in &summary.left_behind {
        events.note(format!(
            "left behind: {failure}; {}",
            failure.detail().evidence.join("; ")
        ));
    }
    match first_sweep.await {
        Ok(Ok(removed)) => removed
            .into_iter()
            .for_each(|what| events.note(format!("removed {what}"))),
        Ok(Err(failure)) => events.note(format!("leftovers of earlier runs could not be removed: {failure}")),
        Err(error) => events.note(format!("leftovers of earlier runs could not be removed: {error}")),
    }
    lease.give_back().await;
    summary
}

/// Connects to Kafka and takes the run's lease.
async fn open(target: &Target, run: &str) -> Result<(TopicClient, RunLease)> {
    tokio::try_join!(
        TopicClient::connect(&target.kafka_local),
        RunLease::take(&target.client, &target.namespace, run)
    )
}

async fn remove(prepared: Arc<Prepared>, target: Target, kafka: TopicClient, events: EventSink) -> Result<()> {
    prepared.remove(&target, &kafka, &events).await
}

/// Counts and reports a verdict.
fn finish(summary: &mut Summary, events: &EventSink, case: &str, start: Instant, result: Result<Outcome>) {
    let (verdict, detail, failure) = match result {
        Ok(Outcome::Pass) => (Verdict::Pass, Vec::new(), None),
        Ok(Outcome::Fail(lines)) => (Verdict::Fail, lines, None),
        Err(failure) => (Verdict::Error, told(&failure), Some(failure)),
    };
    match verdict {
        Verdict::Pass => summary.passed += 1,
        Verdict::Fail => summary.failed += 1,
        Verdict::Error => summary.errors += 1,
    }
    let (case, took) = (case.to_owned(), start.elapsed());
    events.emit(EventKind::CaseFinished {
        case,
        verdict,
        took,
        detail,
        failure,
    });
}

/// A failure as lines.
fn told(failure: &Failure) -> Vec<String> {
    let mut lines = vec![format!("{failure} [{}]", failure.id().entry().id)];
    for evidence in &failure.detail().evidence {
        lines.extend(evidence.lines().map(|line| format!("  {line}")));
    }
    lines
}
