//! All cases of a run, several side by side; what one made is removed while others go on.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kube::Client;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::case::{Outcome, Prepared, prepare};
use super::evidence;
use super::lease::{RunLease, sweep};
use super::mask::mask;
use super::names::run_id;
use super::report::{CaseReport, Summary};
use crate::config::Case;
use crate::diag::{Failure, Reason, Result};
use crate::event::{EventKind, EventSink, Verdict};
use crate::flink::Rest;
use crate::kafka::TopicClient;

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

/// A case that is to be run, with what it is called.
#[derive(Clone)]
struct Planned {
    case: Arc<Case>,
    title: String,
}

/// A case that ran, before it is told.
struct Ran {
    number: usize,
    report: CaseReport,
    /// What it made, unless that stays.
    made: Option<Arc<Prepared>>,
}

/// What cases of one run share.
struct Shared {
    run: String,
    target: Target,
    kafka: TopicClient,
    options: RunOptions,
    events: EventSink,
    cancel: CancellationToken,
    late: AtomicBool,
    start: Instant,
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
    let (planned, aside) = plan(cases, options.repeat);
    for case in aside {
        told(&mut summary, &events, case);
    }
    let opened = tokio::select! {
        opened = open(&target, &run) => opened,
        () = cancel.cancelled() => Err(Failure::new(Reason::Interrupted, "interrupted")),
    };
    let (kafka, lease) = match opened {
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
    let side_by_side = match options.jobs {
        Some(jobs) => jobs,
        None => free_slots(&target).await,
    };
    let side_by_side = side_by_side.clamp(1, MOST).min(planned.len().max(1));
    events.emit(EventKind::CasesReady {
        total: planned.len(),
        side_by_side,
    });
    let shared = Arc::new(Shared {
        run,
        target: target.clone(),
        kafka: kafka.clone(),
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
    let kept = all(planned, &shared, side_by_side, &mut summary).await;
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
    if kept {
        lease.keep().await;
    } else {
        lease.give_back().await;
    }
    summary.took = start.elapsed();
    summary
}

/// The cases in the order in which they are begun, and those that are not to be run.
fn plan(cases: Vec<Case>, repeat: usize) -> (Vec<Planned>, Vec<CaseReport>) {
    let (mut planned, mut aside) = (Vec::new(), Vec::new());
    // a case may hold many records: there is one of each
    let (to_run, skipped): (Vec<_>, Vec<_>) = cases.into_iter().map(Arc::new).partition(|case| case.skip.is_none());
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

/// Runs all, `side_by_side` at a time; tells whether something of them was kept.
async fn all(planned: Vec<Planned>, shared: &Arc<Shared>, side_by_side: usize, summary: &mut Summary) -> bool {
    let mut waiting = planned.into_iter().enumerate();
    let mut running: JoinSet<Ran> = JoinSet::new();
    let mut begun: HashMap<tokio::task::Id, Planned> = HashMap::new();
    let mut removals = JoinSet::new();
    let mut done: Vec<(usize, CaseReport)> = Vec::new();
    let (mut stopped, mut kept) = (false, false);
    loop {
        while running.len() < side_by_side && !stopped && !shared.cancel.is_cancelled() {
            let Some((number, planned)) = waiting.next() else { break };
            let (task, shared) = (planned.clone(), shared.clone());
            let task = running.spawn(async move { one(task, number, &shared).await });
            begun.insert(task.id(), planned);
        }
        let Some(ended) = running.join_next_with_id().await else {
            break;
        };
        let ran = match ended {
            Ok((id, ran)) => {
                // with its records
                begun.remove(&id);
                ran
            }
            Err(error) => {
                let failure = Failure::new(Reason::Internal, "a case panicked").cause(&error);
                // what it made has no owner any more: the next run removes it with the run's lease
                let Some(planned) = begun.remove(&error.id()) else {
                    continue;
                };
                let report = report(&planned, Duration::ZERO, Duration::ZERO, Err(failure));
                Ran {
                    number: usize::MAX,
                    report,
                    made: None,
                }
            }
        };
        stopped |= shared.options.fail_fast && ran.report.verdict != Verdict::Pass;
        emit(&shared.events, &ran.report);
        done.push((ran.number, ran.report));
        match ran.made {
            Some(prepared) => {
                let shared = shared.clone();
                removals.spawn(async move { prepared.remove(&shared.target, &shared.kafka, &shared.events).await });
            }
            None => kept |= shared.options.keep,
        }
    }
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().for_each(|(_, report)| summary.add(report));
    for (_, planned) in waiting {
        summary.add(blank(&planned, shared.start.elapsed(), Duration::ZERO, Verdict::Skip));
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
    kept
}

/// Runs one case to its verdict, with its evidence; what it made is still there.
async fn one(planned: Planned, number: usize, shared: &Shared) -> Ran {
    let (start, began) = (Instant::now(), shared.start.elapsed());
    let epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_millis() as u64);
    shared.events.emit(EventKind::CaseStarted {
        case: planned.title.clone(),
    });
    let target = &shared.target;
    let prepared = prepare(
        &planned.case,
        &planned.title,
        &shared.run,
        number + 1,
        &target.kafka_internal,
    );
    let prepared = match prepared {
        Ok(prepared) => Arc::new(prepared),
        Err(failure) => {
            let report = report(&planned, began, start.elapsed(), Err(failure));
            return Ran {
                number,
                report,
                made: None,
            };
        }
    };
    let result = prepared
        .run(target, &shared.kafka, &shared.events, &shared.cancel)
        .await;
    let result = result.map_err(|failure| match shared.options.bound {
        Some(bound) if failure.id() == Reason::Interrupted && shared.late.load(Ordering::Relaxed) => Failure::new(
            Reason::TimedOut,
            format!("the run took longer than {} s", bound.as_secs_f64()),
        ),
        _ => failure,
    });
    let mut report = report(&planned, began, start.elapsed(), result);
    let interrupted = report.failure.as_ref().is_some_and(|f| f.id() == Reason::Interrupted);
    let failed = report.verdict != Verdict::Pass && !interrupted;
    if shared.options.history || failed && shared.options.evidence.is_some() {
        let (marks, exhibits) = evidence::history(&prepared, target, epoch).await;
        marks.into_iter().for_each(|mark| prepared.journal.mark(mark));
        if failed {
            report.evidence = evidence::gather(&prepared, target, &report.detail).await;
            report.evidence.extend(exhibits);
        }
    }
    if let Some(parent) = shared.options.evidence.as_ref().filter(|_| failed) {
        match evidence::write(parent, &prepared.names.job, &report.evidence) {
            Ok(folder) => report.folder = Some(folder),
            Err(failure) => shared.events.note(failure.to_string()),
        }
    }
    report.marks = prepared.journal.marks();
    if report.verdict == Verdict::Fail {
        (report.observed, report.mendable) = prepared.journal.observed();
    }
    if failed && shared.options.keep {
        shared.events.note(how_to_look(&prepared, target));
        return Ran {
            number,
            report,
            made: None,
        };
    }
    Ran {
        number,
        report,
        made: Some(prepared),
    }
}

fn how_to_look(prepared: &Prepared, target: &Target) -> String {
    let topics: Vec<_> = prepared.topics.iter().map(|topic| topic.name.as_str()).collect();
    format!(
        "{} is kept for a day: kubectl -n {} get flinksessionjob {}; topics {} at {}; `dev test --remove-kept` takes it away",
        prepared.title,
        target.namespace,
        prepared.names.job,
        topics.join(", "),
        target.kafka_local
    )
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
    let rest = Rest::new(target.client.clone(), &target.namespace, &target.session);
    match rest.get("/overview").await {
        Ok(Some(overview)) => overview["slots-available"].as_u64().map_or(1, |n| n as usize),
        _ => 1,
    }
}

/// Connects to Kafka and takes the run's lease.
async fn open(target: &Target, run: &str) -> Result<(TopicClient, RunLease)> {
    tokio::try_join!(
        TopicClient::connect(&target.kafka_local),
        RunLease::take(&target.client, &target.namespace, run)
    )
}

fn blank(planned: &Planned, began: Duration, took: Duration, verdict: Verdict) -> CaseReport {
    CaseReport {
        name: planned.case.name.clone(),
        tags: planned.case.tags.clone(),
        began,
        took,
        ..CaseReport::new(&planned.title, &planned.case.file, verdict)
    }
}

fn report(planned: &Planned, began: Duration, took: Duration, result: Result<Outcome>) -> CaseReport {
    let blank = |verdict| blank(planned, began, took, verdict);
    match result {
        Ok(Outcome::Pass) => blank(Verdict::Pass),
        Ok(Outcome::Fail(detail)) => CaseReport {
            detail,
            ..blank(Verdict::Fail)
        },
        Err(failure) => CaseReport {
            // a statement's first words may hold a password; a difference is shown as it is
            detail: lines(&failure).iter().map(|line| mask(line)).collect(),
            failure: Some(failure),
            ..blank(Verdict::Error)
        },
    }
}

/// Counts and reports a verdict.
fn told(summary: &mut Summary, events: &EventSink, report: CaseReport) {
    emit(events, &report);
    summary.add(report);
}

fn emit(events: &EventSink, report: &CaseReport) {
    events.emit(EventKind::CaseFinished {
        case: report.title.clone(),
        verdict: report.verdict,
        took: report.took,
        detail: report.detail.clone(),
        failure: report.failure.clone(),
    });
}

/// A failure as lines.
fn lines(failure: &Failure) -> Vec<String> {
    let mut lines = vec![format!("{failure} [{}]", failure.id().entry().id)];
    for evidence in &failure.detail().evidence {
        lines.extend(evidence.lines().map(|line| format!("  {line}")));
    }
    lines
}
