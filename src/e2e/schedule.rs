//! The order of a run's cases: as many side by side as there are slots for, those that take longest first, and those with
//! faults alone, at the end.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::case::{Outcome, Prepared, prepare};
use super::case_step::CaseStep;
use super::evidence;
use super::faults::{Faults, slots_kept};
use super::mask::mask;
use super::report::{CaseReport, Summary};
use super::verdict::quiet;
use super::{RunOptions, Target};
use crate::config::Case;
use crate::diag::{Failure, Reason, Result};
use crate::event::{EventKind, EventSink, Verdict};
use crate::kafka::TopicClient;

/// A case that is to be run, with what it is called.
#[derive(Clone)]
pub(super) struct Planned {
    pub(super) case: Arc<Case>,
    pub(super) title: String,
}

impl Planned {
    /// Whether nothing else may run beside it: it kills or pauses what all cases share.
    pub(super) fn alone(&self) -> bool {
        !self.case.faults().is_empty()
    }
}

/// A case that ran, before it is told.
struct Ran {
    number: usize,
    report: CaseReport,
    /// What it made, unless that stays.
    made: Option<Arc<Prepared>>,
}

/// What cases of one run share.
pub(super) struct Shared {
    pub(super) run: String,
    pub(super) target: Target,
    pub(super) kafka: TopicClient,
    pub(super) faults: Faults,
    pub(super) options: RunOptions,
    pub(super) events: EventSink,
    pub(super) cancel: CancellationToken,
    pub(super) late: AtomicBool,
    pub(super) start: Instant,
}

/// What is taken away of cases that have ended, beside those that run.
#[derive(Default)]
struct Removals {
    tasks: JoinSet<Result<()>>,
    failures: Vec<Failure>,
}

impl Removals {
    fn begin(&mut self, prepared: Arc<Prepared>, shared: &Arc<Shared>) {
        let shared = shared.clone();
        self.tasks
            .spawn(async move { prepared.remove(&shared.target, &shared.kafka, &shared.events).await });
    }

    /// Waits for the end of all of them.
    async fn all(&mut self) {
        while let Some(removed) = self.tasks.join_next().await {
            match removed {
                Ok(Ok(())) => {}
                Ok(Err(failure)) => self.failures.push(failure),
                Err(error) => self
                    .failures
                    .push(Failure::new(Reason::Internal, "a clean-up panicked").cause(&error)),
            }
        }
    }
}

/// Whether a case can begin beside those that run; `most` are cases and task slots.
fn fits<'a>(next: &Planned, running: impl Iterator<Item = &'a Planned>, most: (usize, usize)) -> bool {
    let (mut count, mut used, mut one_alone) = (0, 0, false);
    for one in running {
        count += 1;
        used += one.case.slots();
        one_alone |= one.alone();
    }
    let room = count < most.0 && used + next.case.slots() <= most.1;
    count == 0 || room && !next.alone() && !one_alone
}

/// The order in which cases begin, each with its number. Those that wait longest for quiet come first, for at the end nothing
/// else would run beside them; those with faults last.
fn in_order(planned: Vec<Planned>) -> impl Iterator<Item = (usize, Planned)> {
    let numbered = planned.into_iter().enumerate();
    let (alone, mut together): (Vec<_>, Vec<_>) = numbered.partition(|(_, planned)| planned.alone());
    together.sort_by_key(|(_, planned)| Reverse(quiet(planned.case.expect.iter(), !planned.case.forbid.is_empty())));
    together.into_iter().chain(alone)
}

/// Runs all, `most` cases and task slots at a time; those with faults alone, after the others. Tells whether something of
/// them was kept.
pub(super) async fn all(
    planned: Vec<Planned>,
    shared: &Arc<Shared>,
    most: (usize, usize),
    summary: &mut Summary,
) -> bool {
    let mut waiting = in_order(planned).peekable();
    let mut running: JoinSet<Ran> = JoinSet::new();
    let mut begun: HashMap<tokio::task::Id, Planned> = HashMap::new();
    let mut removals = Removals::default();
    let mut done: Vec<(usize, CaseReport)> = Vec::new();
    let (mut stopped, mut kept) = (false, false);
    loop {
        while !stopped && !shared.cancel.is_cancelled() {
            let next = waiting.next_if(|(_, next)| fits(next, begun.values(), most));
            let Some((number, planned)) = next else { break };
            if planned.alone() {
                // a fault would hit what the operator is about to take away
                removals.all().await;
            }
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
            Some(prepared) => removals.begin(prepared, shared),
            None => kept |= shared.options.keep,
        }
    }
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().for_each(|(_, report)| summary.add(report));
    for (_, planned) in waiting {
        summary.add(blank(&planned, shared.start.elapsed(), Duration::ZERO, Verdict::Skip));
    }
    removals.all().await;
    summary.left_behind.append(&mut removals.failures);
    kept
}

/// Waits until the environment is well again after the faults of a case, as a step of it.
async fn heal(prepared: &Prepared, slots: u64, shared: &Shared) -> Result<()> {
    let never = CancellationToken::new();
    let step = CaseStep::start(prepared, &shared.events, &never, "heal", "all parts are back");
    let cx = step.cx.clone();
    let waiting = |reason: String| cx.waiting(reason);
    step.run(shared.faults.heal(slots, &waiting), Clone::clone)
        .await
        .map(|_| ())
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
        target.addresses(),
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
    let faults = &shared.faults;
    let slots = if planned.alone() { slots_kept(target).await } else { 0 };
    let result = prepared
        .run(target, &shared.kafka, faults, (&shared.events, &shared.cancel))
        .await;
    if planned.alone() {
        // whatever came of it, also where it was interrupted
        let (told, failures) = faults.resume_all().await;
        told.into_iter()
            .for_each(|seen| shared.events.note(format!("{}: {seen}", planned.title)));
        failures
            .iter()
            .for_each(|failure| shared.events.note(failure.to_string()));
    }
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
            report.evidence.retain(|exhibit| planned.case.collects(&exhibit.name));
        }
    }
    if let Some(parent) = shared.options.evidence.as_ref().filter(|_| failed) {
        match evidence::write(parent, &prepared.names.job, &report.evidence) {
            Ok(folder) => report.folder = Some(folder),
            Err(failure) => shared.events.note(failure.to_string()),
        }
    }
    if planned.alone()
        && let Err(failure) = heal(&prepared, slots, shared).await
    {
        // the next cases would be hit, and it is this one that has left it so
        shared.cancel.cancel();
        spoil(&mut report, failure, &shared.events);
    }
    if !(failed && shared.options.keep)
        && let Err(failure) = prepared.tear_down(target, &shared.events).await
    {
        spoil(&mut report, failure, &shared.events);
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

/// What went wrong after the verdict of a case: one that passed has not passed; of another one it is told besides.
fn spoil(report: &mut CaseReport, failure: Failure, events: &EventSink) {
    if report.verdict != Verdict::Pass {
        events.note(format!("{}: {failure}", report.title));
        return;
    }
    report.verdict = Verdict::Error;
    report.detail = lines(&failure);
    report.failure = Some(failure);
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

/// A report that says no more than the verdict.
pub(super) fn blank(planned: &Planned, began: Duration, took: Duration, verdict: Verdict) -> CaseReport {
    CaseReport {
        name: planned.case.name.clone(),
        tags: planned.case.tags.clone(),
        began,
        took,
        ..CaseReport::new(&planned.title, &planned.case.file, verdict)
    }
}

/// The report of a case that came out like this.
pub(super) fn report(planned: &Planned, began: Duration, took: Duration, result: Result<Outcome>) -> CaseReport {
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

/// Tells a verdict.
pub(super) fn emit(events: &EventSink, report: &CaseReport) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Action, Expectation, Part, Step};
    use crate::e2e::tests::plain_case;

    fn planned(actions: Vec<Action>) -> Planned {
        let step = |action| Step {
            action,
            within: Duration::from_secs(1),
            line: 1,
            column: 1,
        };
        let case = Case {
            steps: actions.into_iter().map(step).collect(),
            ..plain_case()
        };
        Planned {
            title: case.name.clone(),
            case: Arc::new(case),
        }
    }

    #[test]
    fn those_that_wait_longest_begin_first_and_those_with_faults_last() {
        let quiet = |seconds| {
            let mut planned = planned(vec![]);
            let case = Arc::get_mut(&mut planned.case).unwrap();
            case.expect.push(Expectation {
                quiet: Some(Duration::from_secs(seconds)),
                ..Expectation::default()
            });
            planned
        };
        let faulty = planned(vec![Action::Kill(Part::Broker)]);
        let order = in_order(vec![faulty, quiet(4), quiet(9), quiet(4), quiet(5)]);
        assert_eq!(order.map(|(number, _)| number).collect::<Vec<_>>(), [2, 4, 1, 3, 0]);
    }

    #[test]
    fn cases_with_faults_run_alone_and_the_others_as_slots_allow() {
        let (plain, wide) = (planned(vec![]), planned(vec![Action::Scale(3)]));
        let faulty = planned(vec![Action::Kill(Part::Broker)]);
        let fits = |next: &Planned, running: &[&Planned]| fits(next, running.iter().copied(), (3, 4));
        assert!(fits(&plain, &[&plain, &plain]) && !fits(&plain, &[&plain, &plain, &plain]));
        assert!(fits(&wide, &[&plain]) && !fits(&wide, &[&plain, &plain]));
        assert!(fits(&faulty, &[]) && !fits(&faulty, &[&plain]) && !fits(&plain, &[&faulty]));
        // more than there is room for at all: it waits in Flink, and says so there
        assert!(fits(&planned(vec![Action::Scale(9)]), &[]));
    }
}
