//! All cases of a run, several side by side; what one made is removed while others go on.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kube::Client;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::faults::Faults;
use super::lease::{RunLease, sweep};
use super::names::run_id;
use super::needs::{self, Has, Lack};
use super::report::{CaseReport, Summary};
use super::schedule::{Planned, Shared, all, blank, emit, report};
use crate::config::{Addresses, Case};
use crate::container::Engine;
use crate::diag::{Failure, Reason, Result};
use crate::event::{EventKind, EventSink, Verdict};
use crate::flink::Rest;
use crate::kafka::TopicClient;
use crate::schema_registry::Registry;

/// More cases than that side by side only wait for each other.
const MOST: usize = 16;

/// Where cases run.
#[derive(Clone)]
pub struct Target {
    /// The cluster.
    pub client: Client,
    /// The namespace of the session cluster; its jobs are made there.
    pub namespace: String,
    /// The session cluster's name.
    pub session: String,
    /// The operator's namespace, for its log.
    pub operator: Option<String>,
    /// Kafka's namespace.
    pub kafka: Option<String>,
    /// The engine of the cluster's nodes, the way to the processes in them; a node has its name there.
    pub engine: Option<Engine>,
    /// The containers of the cluster's nodes.
    pub nodes: Vec<String>,
    /// Kafka's address on this machine, `HOST:PORT`.
    pub kafka_local: String,
    /// Kafka's address in the cluster, which `${kafka.bootstrap}` stands for.
    pub kafka_internal: String,
    /// The schema registry, if there is one: its namespace, and its address in the cluster, which `${registry.url}` stands
    /// for.
    pub registry: Option<(String, String)>,
}

impl Target {
    /// Flink's REST interface of the session cluster.
    pub(super) fn rest(&self) -> Rest {
        Rest::new(self.client.clone(), &self.namespace, &self.session)
    }

    /// The API of the schema registry.
    pub(super) fn schema_registry(&self) -> Option<Registry> {
        let (namespace, _) = self.registry.as_ref()?;
        Some(Registry::new(self.client.clone(), namespace))
    }

    /// What scripts find by names.
    pub(crate) fn addresses(&self) -> Addresses<'_> {
        Addresses {
            kafka: Some(&self.kafka_internal),
            registry: self.registry.as_ref().map(|(_, url)| url.as_str()),
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("session", &self.session)
            .field("kafka", &self.kafka_local)
            .finish_non_exhaustive()
    }
}

/// How cases are run.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// How many side by side; as many as task slots are free if nothing is said.
    pub jobs: Option<usize>,
    /// How often each case is run.
    pub repeat: usize,
    /// Whether the first case that does not pass ends the run; those that run are run to their end.
    pub fail_fast: bool,
    /// Whether what a case that did not pass has made is left as it is.
    pub keep: bool,
    /// How long the whole run may take.
    pub bound: Option<Duration>,
    /// The folder below which evidence is written.
    pub evidence: Option<PathBuf>,
    /// Whether Flink is asked for the history of each job, also of those that passed.
    pub history: bool,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            jobs: None,
            repeat: 1,
            fail_fast: false,
            keep: false,
            bound: None,
            evidence: None,
            history: false,
        }
    }
}

/// Runs cases on `target` and reports each one's verdict to `events`.
///
/// Each case's objects are removed whatever its verdict is, also when `cancel` is triggered, and with them what killed
/// runs left behind; when this returns, all of it is gone or told in [`Summary::left_behind`], or kept because
/// [`RunOptions::keep`] says so. If the cluster or Kafka cannot be reached at all, every case ends with that error.
pub async fn run_cases(
    cases: Vec<Case>,
    target: Target,
    options: &RunOptions,
    events: EventSink,
    cancel: CancellationToken,
) -> Summary {
    let (mut summary, start) = (Summary::default(), Instant::now());
    let run = run_id();
    let opened = tokio::select! {
        opened = open(&target, &run, &cases) => opened,
        () = cancel.cancelled() => Err(Failure::new(Reason::Interrupted, "interrupted")),
    };
    let has = opened.as_ref().ok().map(|(_, _, has)| *has);
    let (planned, aside) = plan(cases, options.repeat, has);
    for case in aside {
        told(&mut summary, &events, case);
    }
    let (kafka, lease, _) = match opened {
        Ok(opened) => opened,
        Err(failure) => {
            for planned in &planned {
                events.emit(EventKind::CaseStarted {
                    case: planned.title.clone(),
                });
                told(
                    &mut summary,
                    &events,
                    report(planned, start.elapsed(), Duration::ZERO, Err(failure.clone())),
                );
            }
            summary.took = start.elapsed();
            return summary;
        }
    };
    // beside the first cases: leftovers are in nobody's way
    let first_sweep = tokio::spawn({
        let (target, kafka) = (target.clone(), kafka.clone());
        async move { sweep(&target, &kafka, false).await }
    });
    let slots = free_slots(&target).await;
    let side_by_side = options.jobs.unwrap_or(slots).clamp(1, MOST);
    // who asks for more cases at a time than there are slots for lets them wait for each other
    let slots = slots.max(side_by_side);
    let side_by_side = side_by_side.min(planned.len().max(1));
    events.emit(EventKind::CasesReady {
        total: planned.len(),
        side_by_side,
        alone: planned.iter().filter(|planned| planned.alone()).count(),
    });
    let shared = Arc::new(Shared {
        run,
        target: target.clone(),
        kafka: kafka.clone(),
        faults: Faults::new(target.clone(), lease),
        options: options.clone(),
        events: events.clone(),
        cancel: cancel.child_token(),
        late: AtomicBool::new(false),
        start,
    });
    let _bound = options.bound.map(|bound| {
        let shared = shared.clone();
        AbortOnDropHandle::new(tokio::spawn(async move {
            tokio::time::sleep(bound).await;
            shared.late.store(true, Ordering::Relaxed);
            shared.cancel.cancel();
        }))
    });
    let _told = AbortOnDropHandle::new(tokio::spawn({
        let (cancel, events) = (cancel.clone(), events.clone());
        async move {
            cancel.cancelled().await;
            let reason = "interrupted".to_owned();
            events.emit(EventKind::CancelBegan { reason });
        }
    }));
    let kept = all(planned, &shared, (side_by_side, slots), &mut summary).await;
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
    // a case that panicked has not let go on what it had paused
    let (_, still) = shared.faults.resume_all().await;
    summary.left_behind.extend(still.iter().cloned());
    let lease = shared.faults.lease();
    match (kept, still.is_empty()) {
        (_, false) => lease.leave(),
        (true, true) => lease.keep().await,
        (false, true) => lease.give_back().await,
    }
    summary.took = start.elapsed();
    summary
}

/// The cases in the order in which they are told, and those that are not to be run; `has` is what the environment has,
/// if that is known.
fn plan(cases: Vec<Case>, repeat: usize, has: Option<Has>) -> (Vec<Planned>, Vec<CaseReport>) {
    let (mut planned, mut aside) = (Vec::new(), Vec::new());
    // a case may hold many records: there is one of each
    let (mut to_run, skipped): (Vec<_>, Vec<_>) = cases.into_iter().map(Arc::new).partition(|case| case.skip.is_none());
    to_run.retain(|case| {
        let Some(lack) = has.and_then(|has| has.lack(case)) else {
            return true;
        };
        let planned = Planned {
            title: case.name.clone(),
            case: case.clone(),
        };
        aside.push(match lack {
            Lack::Said(why) => CaseReport {
                detail: vec![why],
                ..blank(&planned, Duration::ZERO, Duration::ZERO, Verdict::Skip)
            },
            Lack::Unsaid(failure) => report(&planned, Duration::ZERO, Duration::ZERO, Err(failure)),
        });
        false
    });
    for attempt in 1..=repeat.max(1) {
        for case in &to_run {
            let title = if repeat > 1 {
                format!("{} #{attempt}", case.name)
            } else {
                case.name.clone()
            };
            planned.push(Planned {
                case: case.clone(),
                title,
            });
        }
    }
    for case in skipped {
        let why = case.skip.clone().filter(|why| !why.trim().is_empty());
        let why = why.unwrap_or_else(|| "the case says so".to_owned());
        let planned = Planned {
            title: case.name.clone(),
            case,
        };
        let mut report = blank(&planned, Duration::ZERO, Duration::ZERO, Verdict::Skip);
        report.detail = vec![why];
        aside.push(report);
    }
    (planned, aside)
}

/// Removes what runs with [`RunOptions::keep`] left, and what killed ones did; one line each.
///
/// # Errors
/// What could not be reached or removed.
pub async fn remove_kept(target: &Target) -> Result<Vec<String>> {
    let kafka = TopicClient::connect(&target.kafka_local).await?;
    sweep(target, &kafka, true).await
}

/// Task slots that are free; what Flink does not tell counts as one.
async fn free_slots(target: &Target) -> usize {
    let rest = target.rest();
    match rest.get("/overview").await {
        Ok(Some(overview)) => overview["slots-available"].as_u64().map_or(1, |n| n as usize),
        _ => 1,
    }
}

/// Connects to Kafka, takes the run's lease, and looks at what the session cluster has.
async fn open(target: &Target, run: &str, cases: &[Case]) -> Result<(TopicClient, RunLease, Has)> {
    tokio::try_join!(
        TopicClient::connect(&target.kafka_local),
        RunLease::take(&target.client, &target.namespace, run),
        needs::look(target, cases)
    )
}

/// Counts and reports a verdict.
fn told(summary: &mut Summary, events: &EventSink, report: CaseReport) {
    emit(events, &report);
    summary.add(report);
}
