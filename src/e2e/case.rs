//! One case from its setup to its verdict.

use std::collections::BTreeMap;
use std::future::pending;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::Target;
use super::case_step::CaseStep;
use super::compare::Board;
use super::faults::Faults;
use super::forbid::Fence;
use super::hooks::play as play_hooks;
use super::journal::Journal;
use super::lease::LABEL_RUN;
use super::names::Names;
use super::registered::{self, Decoder};
use super::settle::Settle;
use super::snapshots;
use super::steps::{Stage, play, unmet};
use super::substitute::{Script, args, substitute_all};
use super::value::{encode, encode_key, encode_registered};
use super::verdict::Boards;
use crate::config::{Addresses, Case, CaseProgram, Given, JobState, Need, RecordFormat};
use crate::diag::{Failure, Reason, Result};
use crate::engine::Done;
use crate::event::EventSink;
use crate::flink::{JobSpec, Phase, Program, SessionJob, UpgradeMode};
use crate::job::{Depot, PythonCode, put_jar};
use crate::kafka::{Fetched, Outgoing, Reader, Topic, TopicClient};
use crate::schema_registry::Registry;

/// How long records are read before they are compared.
const TOGETHER: Duration = Duration::from_millis(200);
/// How soon a record comes that comes right behind another.
const BEHIND: Duration = Duration::from_millis(5);
/// How long the broker is asked once more before a verdict.
const LAST_LOOK: Duration = Duration::from_millis(250);

/// How a case that could be run to its end came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Every expectation holds.
    Pass,
    /// The lines of the difference.
    Fail(Vec<String>),
}

/// A case with its names and everything checked; nothing has been created yet.
pub(super) struct Prepared {
    pub(super) names: Names,
    /// All its topics, with the names they have in Kafka.
    pub(super) topics: Vec<Topic>,
    pub(super) case: Arc<Case>,
    /// What it is called in events and reports.
    pub(super) title: String,
    pub(super) script: Script,
    /// What a program is given.
    args: Vec<String>,
    /// The ids of the schemas of given records, by their topics, once they are registered.
    schemas: OnceLock<BTreeMap<String, u32>>,
    /// Where the operator finds the program's jar, once it was brought there.
    jar: OnceLock<String>,
    /// Those that its steps, setup and teardown run, by their files.
    others: Vec<(PathBuf, Script)>,
    /// What happens in it.
    pub(super) journal: Arc<Journal>,
    run: String,
}

/// Names and checks; creates nothing. `title` is what the case is called in events and reports.
///
/// # Errors
/// As [`substitute_all`].
pub(super) fn prepare(
    case: &Arc<Case>,
    title: &str,
    run: &str,
    number: usize,
    addresses: Addresses<'_>,
) -> Result<Prepared> {
    let names = Names::new(run, number, &case.name);
    let (script, others) = substitute_all(case, addresses, |topic| names.topic(topic))?;
    let mut partitions: BTreeMap<&str, u32> = case.topics().into_iter().map(|topic| (topic, 1)).collect();
    // what is only fed has one partition, see the configuration
    let said = case
        .expect
        .iter()
        .filter_map(|e| Some((e.topic.as_str(), e.partitions?)));
    partitions.extend(said);
    partitions.extend(case.given.iter().map(|g| (g.topic.as_str(), g.partitions.max(1))));
    let topics = partitions
        .iter()
        .map(|(name, &partitions)| Topic {
            name: names.topic(name),
            partitions,
        })
        .collect();
    Ok(Prepared {
        args: args(case, addresses, |topic| names.topic(topic)),
        names,
        topics,
        case: case.clone(),
        title: title.to_owned(),
        schemas: OnceLock::new(),
        jar: OnceLock::new(),
        script,
        others,
        journal: Arc::new(Journal::new()),
        run: run.to_owned(),
    })
}

impl Prepared {
    /// Runs the case: topics, then the job and the given records side by side, then what comes out, to the verdict.
    ///
    /// # Errors
    /// Why there is no verdict: the job was refused or failed, Kafka or Flink does not answer, the job did not run in
    /// time, or `cancel` was triggered.
    pub(super) async fn run(
        &self,
        target: &Target,
        kafka: &TopicClient,
        faults: &Faults,
        (events, cancel): (&EventSink, &CancellationToken),
    ) -> Result<Outcome> {
        let step = |id, title| CaseStep::start(self, events, cancel, id, title);
        let topics = kafka.create(&self.topics);
        step("topics", "topics")
            .run(or_cancelled(cancel, topics), |()| self.created_text())
            .await?;
        if let (true, Some(registry)) = (self.registers(), target.schema_registry()) {
            let register = or_cancelled(cancel, registered::register(&self.case, &self.names, &registry));
            let ids = step("schemas", "schemas").run(register, |ids| format!("{} registered", ids.len()));
            let ids = ids.await?;
            self.schemas.get_or_init(|| ids);
        }
        play_hooks(self, ("setup", &self.case.setup), target, events, cancel).await?;

        if let Some(jar) = self.case.program.jar() {
            let bring = or_cancelled(cancel, self.bring(jar.path(), target));
            step("jar", "jar").run(bring, Clone::clone).await?;
        }

        let submitted = Instant::now();
        let mut job_step = step("job", "job");
        let spec = self.job_spec().inspect_err(|failure| job_step.end(Err(failure)))?;
        let submit = SessionJob::submit(&target.client, &target.namespace, &target.session, &spec);
        let records = self.messages(&self.case.given);
        let produce = or_cancelled(cancel, kafka.produce(records));
        let produced = step("records", "records").run(produce, |n| format!("{n} acknowledged"));
        // the submission is one short request that is never dropped half way, so that it is known what exists
        let (job, produced) = tokio::join!(submit, produced);
        let job = job.inspect_err(|failure| job_step.end(Err(failure)))?;
        let job = job.tolerating(self.failures_allowed());
        if let Err(failure) = produced {
            job_step.end(Err(&failure));
            return Err(failure);
        }
        // begins when the job runs, so that what fails is one step: the job, or the records
        let mut expect_step = None;
        let end = submitted + self.case.within;
        let result = async {
            if !self.case.steps.is_empty() {
                self.await_running(&job, &mut job_step, end).await?;
                let stage = Stage {
                    prepared: self,
                    target,
                    kafka,
                    faults,
                    job: &job,
                    events,
                    cancel,
                    end,
                };
                play(&stage).await?;
                expect_step.get_or_insert_with(|| self.expecting(events, cancel));
            }
            let registry = target.schema_registry();
            self.await_records(&job, (kafka, registry), (&mut job_step, &mut expect_step), end)
                .await
        }
        .await;
        let result = result.map_err(|failure| at_users_place(failure, self.case.program.file(), &self.script));
        let step = expect_step.as_mut().unwrap_or(&mut job_step);
        match &result {
            Ok(Outcome::Pass) => step.end(Ok(Done::Unchanged("all as expected".to_owned()))),
            Ok(Outcome::Fail(_)) => {
                step.end(Err(&Failure::new(
                    Reason::TestFailed,
                    "what was seen is not what is expected",
                )));
            }
            Err(failure) => step.end(Err(failure)),
        }
        result
    }

    /// Whether it gives values whose schemas have to be registered.
    fn registers(&self) -> bool {
        let mut formats = self.case.given.iter().map(|given| &given.format);
        formats.any(|format| matches!(format, RecordFormat::AvroConfluent(_)))
    }

    /// Given records as they are produced, by the topic's name in Kafka; made one by one.
    pub(super) fn messages<'a>(
        &self,
        given: impl IntoIterator<Item = &'a Given>,
    ) -> BTreeMap<String, impl Iterator<Item = Outgoing> + Send + 'a> {
        messages(&self.names, given, self.schemas.get())
    }

    /// The id of the run that it is of.
    pub(super) fn run_id(&self) -> &str {
        &self.run
    }

    /// What is to be done whatever the verdict is; it is not ended by an interruption, but by the bounds of its steps.
    ///
    /// # Errors
    /// What did not work.
    pub(super) async fn tear_down(&self, target: &Target, events: &EventSink) -> Result<()> {
        let never = CancellationToken::new();
        play_hooks(self, ("teardown", &self.case.teardown), target, events, &never).await
    }

    fn created_text(&self) -> String {
        format!("{} with a leader", self.topics.len())
    }

    /// What is expected and forbidden, and the topics that are read for it.
    fn boards(&self) -> (Boards, Vec<Topic>) {
        let boards = self.case.expect.iter();
        let boards: Vec<_> = boards
            .map(|e| (self.names.topic(&e.topic), Board::new(e.clone())))
            .collect();
        let fences = self.case.forbid.iter();
        let fences: Vec<_> = fences.map(|f| (self.names.topic(&f.topic), Fence::new(f))).collect();
        let read = |name: &String| boards.iter().any(|(n, _)| n == name) || fences.iter().any(|(n, _)| n == name);
        let watched = self.topics.iter().filter(|t| read(&t.name)).cloned().collect();
        (Boards::new(boards, fences), watched)
    }

    /// Failures of the job, each followed by a restart, that do not count as one for good.
    fn failures_allowed(&self) -> usize {
        const USUAL: usize = 3;
        // a fault may cost several starts: the first ones find no TaskManager, or no broker
        const OF_A_FAULT: usize = 10;
        let asked = self.case.job.restarts.and_then(|(least, most)| {
            let most = if most == u64::MAX { least } else { most };
            usize::try_from(most).ok()
        });
        let faults = self.case.steps.iter().filter(|s| s.action.fault().is_some()).count();
        USUAL + asked.unwrap_or(0) + OF_A_FAULT * faults
    }

    /// Whether a step takes a savepoint of the job, or goes on from one.
    fn keeps_state(&self) -> bool {
        let mut steps = self.case.steps.iter();
        steps.any(|step| step.action.need() == Some(Need::Savepoints))
    }

    /// Brings the program's jar to where the operator fetches it; tells where that is.
    async fn bring(&self, jar: &Path, target: &Target) -> Result<String> {
        let (Some(engine), Some(operator)) = (&target.engine, &target.operator) else {
            return Err(Failure::new(Reason::Internal, "there is no engine to bring a jar with"));
        };
        let depot = Depot {
            client: &target.client,
            engine,
            nodes: &target.nodes,
            operator,
        };
        let uri = put_jar(&depot, jar).await?;
        Ok(self.jar.get_or_init(|| uri).clone())
    }

    /// The script of a step, of setup or teardown.
    ///
    /// # Errors
    /// [`Reason::Internal`] if the case has none of this file.
    pub(super) fn other(&self, file: &Path) -> Result<&Script> {
        let found = self.others.iter().find(|(known, _)| known == file);
        found.map(|(_, script)| script).ok_or_else(|| {
            let message = format!("the script {} is not known to case {}", file.display(), self.case.name);
            Failure::new(Reason::Internal, message)
        })
    }

    /// The step in which expected records are waited for.
    fn expecting(&self, events: &EventSink, cancel: &CancellationToken) -> CaseStep {
        CaseStep::start(self, events, cancel, "expect", "expected records")
    }

    /// A script with the jar that it needs, if it does.
    pub(super) fn with_jar(&self, script: &Script) -> Program {
        Program::Sql {
            script: script.text.clone(),
            vars: BTreeMap::new(),
            jar: self.jar.get().cloned(),
        }
    }

    fn program(&self) -> Result<Program> {
        match &self.case.program {
            CaseProgram::Sql { .. } => Ok(self.with_jar(&self.script)),
            CaseProgram::Jar { class, .. } => Ok(Program::Class {
                jar: self.jar.get().cloned(),
                class: class.clone(),
                args: self.args.clone(),
            }),
            CaseProgram::Python { file, .. } => PythonCode {
                path: file.clone(),
                shown: file.clone(),
                args: self.args.clone(),
            }
            .in_session(),
        }
    }

    /// What is submitted.
    fn job_spec(&self) -> Result<JobSpec> {
        Ok(JobSpec {
            upgrade_mode: if self.keeps_state() {
                UpgradeMode::Savepoint
            } else {
                UpgradeMode::Stateless
            },
            name: self.names.job.clone(),
            program: self.program()?,
            script_file: self.case.program.file().to_owned(),
            labels: BTreeMap::from([(LABEL_RUN.to_owned(), self.run.clone())]),
            ..JobSpec::default()
        })
    }

    /// Follows the job until it runs or has ended: before, there is nothing that a step could do.
    async fn await_running(&self, job: &SessionJob, job_step: &mut CaseStep, end: Instant) -> Result<()> {
        let (report, mut phases) = watch::channel(Phase::Waiting("submitted".to_owned()));
        let mut follow = std::pin::pin!(job.follow(&report));
        let cancel = job_step.cx.cancel().clone();
        loop {
            let phase = phases.borrow_and_update().clone();
            let reason = match phase {
                Phase::Waiting(reason) => reason,
                Phase::Running | Phase::Finished => {
                    job_step.end(Ok(Done::Changed(told(&phase).to_owned())));
                    if let Some(id) = job.id().await {
                        self.journal.job(&id);
                    }
                    return Ok(());
                }
            };
            job_step.cx.waiting(&reason);
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(interrupted()),
                failure = &mut follow => return Err(failure),
                Ok(()) = phases.changed() => {}
                () = sleep_until(end) => {
                    let (boards, _) = self.boards();
                    return Err(self.not_running(job, &reason, &boards).await);
                }
            }
        }
    }

    /// Follows the job and reads its topics until there is a verdict.
    async fn await_records(
        &self,
        job: &SessionJob,
        (kafka, registry): (&TopicClient, Option<Registry>),
        (job_step, expect_step): (&mut CaseStep, &mut Option<CaseStep>),
        end: Instant,
    ) -> Result<Outcome> {
        let (mut boards, watched) = self.boards();
        let mut decoder = Decoder::new(&self.case, &self.names, registry);
        let mut reader = kafka.reader(&watched).await?;
        let mut settle = Settle::new(job);
        let (mut restless, mut ended) = (false, false);

        let (report, mut phases) = watch::channel(Phase::Waiting("submitted".to_owned()));
        let mut follow = std::pin::pin!(job.follow(&report));
        let cancel = job_step.cx.cancel().clone();
        let mut phase = phases.borrow_and_update().clone();
        loop {
            if let Some(step) = &expect_step {
                step.cx.waiting(boards.waiting());
            }
            let settling = boards.exactly() && phase == Phase::Running && boards.boards_hold();
            let verdict_at = boards.verdict_at(&phase, settle.settled());
            let look_at = verdict_at.map(|at| at.checked_sub(LAST_LOOK).unwrap_or(at));
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(interrupted()),
                failure = &mut follow, if !ended => {
                    if failure.id() != Reason::JobFailed || self.case.job.state != Some(JobState::Failed) {
                        return Err(failure);
                    }
                    // as it is expected to: no more records come than those that are there
                    (ended, phase) = (true, Phase::Finished);
                    job_step.end(Ok(Done::Changed("FAILED".to_owned())));
                    expect_step.get_or_insert_with(|| self.expecting(job_step.cx.events(), &cancel));
                }
                Ok(()) = phases.changed(), if !ended => {
                    phase = phases.borrow_and_update().clone();
                    if let Phase::Waiting(reason) = &phase {
                        expect_step.as_ref().unwrap_or(job_step).cx.waiting(reason);
                        continue;
                    }
                    job_step.end(Ok(Done::Changed(told(&phase).to_owned())));
                    expect_step.get_or_insert_with(|| self.expecting(job_step.cx.events(), &cancel));
                }
                () = until(look_at), if verdict_at.is_some() => {
                    // that time passed tells nothing if nobody looked meanwhile: the broker has the last word
                    let late = reader.next(LAST_LOOK).await?;
                    if late.is_empty() && verdict_at.is_none_or(|at| at <= Instant::now()) {
                        break;
                    }
                    self.take(late, (&mut reader, &mut decoder), &mut boards, &mut settle).await?;
                }
                () = sleep_until(end), if verdict_at.is_none() => break,
                () = sleep_until(end + boards.patience()), if verdict_at.is_some() => {
                    restless = true;
                    break;
                }
                () = settle.look(), if settling && !settle.settled() => {}
                records = reader.next(Duration::from_secs(1)) => {
                    self.take(records?, (&mut reader, &mut decoder), &mut boards, &mut settle).await?;
                }
            }
        }
        let decided = boards.verdict_at(&phase, settle.settled()).is_some();
        if decided && boards.hold() && (!restless || boards.others_may_come()) {
            let unmet = unmet(&self.case.job, job).await;
            return Ok(if unmet.is_empty() {
                Outcome::Pass
            } else {
                Outcome::Fail(unmet)
            });
        }
        if let Phase::Waiting(reason) = phase {
            return Err(self.not_running(job, &reason, &boards).await);
        }
        let mut lines = boards.difference();
        let (observed, enough) = boards.observed();
        self.journal.observe((observed, enough && !restless));
        if restless {
            let within = self.case.within.as_secs_f64();
            lines.push(format!(
                "records did not stop coming within {within} s and the quiet after it"
            ));
        }
        if !decided {
            if lines.is_empty() {
                lines.extend(settle.why());
            }
            lines.push(format!(
                "within {} s; {}",
                self.case.within.as_secs_f64(),
                boards.waiting()
            ));
            lines.extend(job.evidence().await);
        }
        Ok(Outcome::Fail(lines))
    }

    /// Takes over records, and those that come right behind them: to compare many is no work for each few.
    async fn take(
        &self,
        mut records: Vec<Fetched>,
        (reader, decoder): (&mut Reader, &mut Decoder),
        boards: &mut Boards,
        settle: &mut Settle,
    ) -> Result<()> {
        let end = Instant::now() + TOGETHER;
        while !records.is_empty() {
            settle.again();
            decoder.put(&mut records).await?;
            self.journal
                .records(&records, |topic| self.names.short(topic).to_owned());
            boards.add(&records);
            if Instant::now() >= end {
                break;
            }
            records = reader.next(BEHIND).await?;
        }
        Ok(())
    }

    async fn not_running(&self, job: &SessionJob, reason: &str, boards: &Boards) -> Failure {
        let message = format!("the job does not run after {} s", self.case.within.as_secs_f64());
        let failure = Failure::new(Reason::TimedOut, message).evidence(format!("last seen: {reason}"));
        let failure = failure.evidence(boards.waiting());
        job.evidence().await.into_iter().fold(failure, Failure::evidence)
    }

    /// Removes the job and the topics. Needs nothing of [`Self::run`] but that it has ended.
    ///
    /// # Errors
    /// What is left behind. It is bounded: about 40 s for the job, 15 s for the topics.
    pub(super) async fn remove(&self, target: &Target, kafka: &TopicClient, events: &EventSink) -> Result<()> {
        let step = CaseStep::start(self, events, &CancellationToken::new(), "cleanup", "clean up");
        let work = async {
            let job = SessionJob::left_behind(&target.client, &target.namespace, &target.session, &self.names.job);
            // first the job: without its topics it would only fail
            let mut job = job.delete().await;
            if self.keeps_state() {
                let ours = |name: &str| name == self.names.job;
                let gone = snapshots::remove(&target.client, &target.namespace, ours).await;
                job = job.and(gone.map(|_| ()));
            }
            let names: Vec<_> = self.topics.iter().map(|t| t.name.clone()).collect();
            let mut gone = kafka.delete(&names).await.and(job);
            if let (true, Some(registry)) = (self.case.uses_registry(), target.schema_registry()) {
                gone = gone.and(registered::forget(names.iter().map(String::as_str), &registry).await);
            }
            gone
        };
        step.run(work, |()| format!("job gone, {} topics deleted", self.topics.len()))
            .await
    }
}

/// Places in the script that Flink was given become places in the user's file.
pub(super) fn at_users_place(failure: Failure, sql_file: &Path, script: &Script) -> Failure {
    match failure.detail().location.clone() {
        Some(place) if place.file == sql_file && place.column > 0 => {
            let column = script.column(place.line, place.column);
            failure.at(place.file, place.line, column)
        }
        _ => failure,
    }
}

/// What was seen of a job that is under way.
fn told(phase: &Phase) -> &'static str {
    match phase {
        Phase::Waiting(_) => "submitted",
        Phase::Running => "RUNNING, all tasks",
        Phase::Finished => "FINISHED",
    }
}

/// The given records as they are produced, by the topic's name in Kafka; made one by one. `ids` are those of the schemas that
/// were registered for them.
pub(super) fn messages<'a>(
    names: &Names,
    given: impl IntoIterator<Item = &'a Given>,
    ids: Option<&BTreeMap<String, u32>>,
) -> BTreeMap<String, impl Iterator<Item = Outgoing> + Send + 'a> {
    let all = |g: &'a Given| {
        let id = ids.and_then(|ids| ids.get(&g.topic)).copied().unwrap_or_default();
        let first = g.records.first().map(|r| r.value).unwrap_or_default();
        g.records.iter().map(move |record| Outgoing {
            key: record.key.as_ref().and_then(encode_key),
            value: match &g.format {
                RecordFormat::AvroConfluent(Some(schema)) => encode_registered(&record.value, schema, id),
                format => encode(&record.value, format, &first),
            },
            headers: record
                .headers
                .iter()
                .flatten()
                .map(|(name, value)| (name.clone(), encode_key(value)))
                .collect(),
            timestamp: record.timestamp,
            partition: record.partition.and_then(|p| i32::try_from(p).ok()),
        })
    };
    given.into_iter().map(|g| (names.topic(&g.topic), all(g))).collect()
}

pub(super) fn interrupted() -> Failure {
    Failure::new(Reason::Interrupted, "interrupted")
}

async fn or_cancelled<T>(cancel: &CancellationToken, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(interrupted()),
        result = work => result,
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}
