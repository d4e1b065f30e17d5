//! The proofs with a job of their own: numbers go in while it is killed or deployed again, and each has to come out
//! once, with a running count that goes on. Whatever comes of it, nothing of it is left.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::super::managed::Managed;
use super::super::stage::Stage;
use super::super::{Place, room, session};
use super::checkpoint::{Recovered, checkpoint};
use super::count::Count;
use super::facts::Moment;
use super::kill::Role;
use super::proof::Proof;
use super::savepoint::{Redeploy, Redeployed, savepoint};
use crate::diag::{Failure, Reason, Result};
use crate::e2e::{LABEL_RUN, Names, RunLease, run_id, sweep_dead};
use crate::engine::StepCx;
use crate::event::EventSink;
use crate::flink::{CHECKPOINTS, JobSpec, Phase, Rest, SAVEPOINTS, SessionJob, Settings, UpgradeMode};
use crate::kafka::{Outgoing, Reader, Topic, TopicClient};
use crate::kube::{PART_OF, delete, list, text};

const SCRIPT: &str = include_str!("counted.sql");
/// Numbers that go in every [`EVERY`].
const BATCH: u64 = 10;
const EVERY: Duration = Duration::from_millis(50);
/// No more than that go in: 200 a second, for more than a quarter of an hour.
const MOST: u64 = 200_000;
/// So many have come out before anything is done to the job.
const WARM: usize = 100;
/// How long the numbers that are still under way may take.
const DRAIN: Duration = Duration::from_secs(60);

/// How a job of our own is proved.
#[derive(Debug, Clone, Copy)]
pub struct Trial {
    /// Between two checkpoints.
    pub interval: Duration,
    /// How long each part may take.
    pub within: Duration,
}

/// The counting job and its topics.
struct Job {
    place: Place,
    name: String,
    kafka: TopicClient,
    /// In and out.
    topics: [Topic; 2],
    lease: Option<RunLease>,
    job: SessionJob,
}

/// Kills a process under a counting job, and compares what it wrote.
///
/// # Errors
/// As [`checkpoint`]; [`Reason::VerifyFailed`] if a number was lost, doubled, or counted anew.
pub async fn counted_checkpoint(
    place: &Place,
    role: Role,
    trial: Trial,
    events: &EventSink,
    cancel: &CancellationToken,
) -> Result<(Recovered, Count)> {
    let job = Job::start(place, trial, State::InMemory, events, cancel).await?;
    let result = job.recovers(role, trial, events, cancel).await;
    job.end(events, result).await
}

/// Deploys a counting job again from a savepoint, and compares what it wrote before and afterwards.
///
/// # Errors
/// As [`savepoint`]; [`Reason::VerifyFailed`] if a number was lost, doubled, or counted anew.
pub async fn counted_savepoint(
    place: &Place,
    path: Option<&str>,
    how: Redeploy,
    trial: Trial,
    events: &EventSink,
    cancel: &CancellationToken,
) -> Result<(Redeployed, Count)> {
    let state = State::Folders(path);
    let job = Job::start(place, trial, state, events, cancel).await?;
    let result = job.goes_on(path, how, trial, events, cancel).await;
    job.end(events, result).await
}

impl Job {
    /// Makes topics and job; returns once it runs.
    async fn start(
        place: &Place,
        trial: Trial,
        state: State<'_>,
        events: &EventSink,
        cancel: &CancellationToken,
    ) -> Result<Self> {
        let Some((local, internal)) = place.kafka.clone() else {
            let message = "a counted stream needs Kafka, which the profile does not have";
            return Err(
                Failure::new(Reason::Usage, message).next("name a job of yours: dev job verify checkpoint NAME")
            );
        };
        let stage = Stage::start(events, cancel, "check", "check session cluster and Kafka".to_owned());
        let check = async {
            let object = session::ready(&place.client, &place.namespace, &place.session).await?;
            let rest = Rest::new(place.client.clone(), &place.namespace, &place.session);
            room::check(&place.client, &object, &rest, 1, 0).await?;
            let settings = state.settings(&rest, &place.session, trial.interval).await?;
            Ok((TopicClient::connect(&local).await?, settings))
        };
        let (kafka, settings) = stage
            .run(check, |_| format!("session cluster {} has room", place.session))
            .await?;
        for removed in sweep_dead(&place.client, &place.namespace, &place.session, &kafka).await? {
            events.note(format!("removed {removed}"));
        }
        let run = run_id();
        let name = Names::new(&run, 0, "verify").job;
        let topics = ["in", "out"].map(|end| Topic {
            name: format!("{name}-{end}"),
            partitions: 1,
        });
        let script = SCRIPT
            .replace("${topic.in}", &topics[0].name)
            .replace("${topic.out}", &topics[1].name)
            .replace("${kafka.bootstrap}", &internal);
        let spec = JobSpec {
            name: name.clone(),
            program: script.into(),
            labels: BTreeMap::from([(LABEL_RUN.to_owned(), run.clone())]),
            parallelism: Some(1),
            upgrade_mode: state.upgrade_mode(),
            settings,
            ..JobSpec::default()
        };
        let stage = Stage::start(events, cancel, "job", format!("counting job {name}"));
        let cx = stage.cx().clone();
        let lease = RunLease::take(&place.client, &place.namespace, &run).await?;
        let mut started = Self {
            place: place.clone(),
            name: name.clone(),
            kafka,
            topics,
            lease: Some(lease),
            job: SessionJob::left_behind(&place.client, &place.namespace, &place.session, &name),
        };
        let result = stage
            .run(started.submit(&spec, trial.within, &cx), |()| "RUNNING".to_owned())
            .await;
        match result {
            Ok(()) => Ok(started),
            Err(failure) => started.end(events, Err(failure)).await,
        }
    }

    async fn submit(&mut self, spec: &JobSpec, within: Duration, cx: &StepCx) -> Result<()> {
        self.kafka.create(&self.topics).await?;
        let Place {
            client,
            namespace,
            session,
            ..
        } = &self.place;
        self.job = SessionJob::submit(client, namespace, session, spec).await?;
        let (report, mut phases) = watch::channel(Phase::Waiting("submitted".to_owned()));
        let mut follow = std::pin::pin!(self.job.follow(&report));
        let end = Instant::now() + within;
        loop {
            let reason = match &*phases.borrow_and_update() {
                Phase::Running => return Ok(()),
                Phase::Finished => return Err(Failure::new(Reason::JobFailed, "the counting job ended by itself")),
                Phase::Waiting(reason) => reason.clone(),
            };
            cx.waiting(reason.clone());
            tokio::select! {
                biased;
                () = cx.cancel().cancelled() => return Err(Failure::new(Reason::Interrupted, "interrupted")),
                failure = &mut follow => return Err(failure),
                Ok(()) = phases.changed() => {}
                () = sleep_until(end) => {
                    let message = format!("the counting job does not run after {} s", within.as_secs_f64());
                    return Err(Failure::new(Reason::TimedOut, message).evidence(format!("last seen: {reason}")));
                }
            }
        }
    }

    async fn recovers(
        &self,
        role: Role,
        trial: Trial,
        events: &EventSink,
        cancel: &CancellationToken,
    ) -> Result<(Recovered, Count)> {
        let managed = Managed::find(&self.place, &self.name).await?;
        let mut output = Output::of(self).await?;
        let feeder = Feeder::start(self.kafka.clone(), &self.topics[0].name, 0);
        let stage = Stage::start(events, cancel, "warm", "numbers come out".to_owned());
        let cx = stage.cx().clone();
        let warm = output.until(WARM, Proof::begin(trial.within, &cx));
        stage.run(warm, |n| format!("{n} committed records")).await?;

        let stage = Stage::start(
            events,
            cancel,
            "kill",
            format!("kill a {} while numbers go in", role.name()),
        );
        let cx = stage.cx().clone();
        let proof = checkpoint(&managed, role, Proof::begin(trial.within, &cx));
        let recovered = stage
            .run(proof, |r| {
                format!(
                    "RUNNING again from checkpoint {} after {:.1} s",
                    restored(&r.after),
                    r.seconds
                )
            })
            .await?;

        // numbers that go in after the recovery count, too
        let count = self.count(&managed, output, feeder, trial, events, cancel).await?;
        Ok((recovered, count))
    }

    async fn goes_on(
        &self,
        path: Option<&str>,
        how: Redeploy,
        trial: Trial,
        events: &EventSink,
        cancel: &CancellationToken,
    ) -> Result<(Redeployed, Count)> {
        let managed = Managed::find(&self.place, &self.name).await?;
        let mut output = Output::of(self).await?;
        let stage = Stage::start(events, cancel, "warm", "numbers come out".to_owned());
        let cx = stage.cx().clone();
        let warm = async {
            let feeder = Feeder::start(self.kafka.clone(), &self.topics[0].name, 0);
            output.until(WARM, Proof::begin(trial.within, &cx)).await?;
            // a job that runs on after its savepoint would rightly write again what it wrote since
            let fed = feeder.stop().await?;
            output
                .until(usize::try_from(fed).unwrap_or(usize::MAX), Proof::begin(DRAIN, &cx))
                .await?;
            Ok(fed)
        };
        let fed = stage
            .run(warm, |n| format!("{n} numbers in and out, none under way"))
            .await?;

        let stage = Stage::start(
            events,
            cancel,
            "savepoint",
            "take a savepoint, deploy again from it".to_owned(),
        );
        let cx = stage.cx().clone();
        let proof = savepoint(&managed, path, how, Proof::begin(trial.within, &cx));
        let redeployed = stage
            .run(proof, |r| {
                format!("RUNNING again from {} after {:.1} s", r.savepoint, r.seconds)
            })
            .await;
        let redeployed = match (redeployed, how) {
            // the state is gone, as it was meant to be: the count has to tell it, too
            (Err(failure), Redeploy::Dropped) if failure.id() == Reason::VerifyFailed => Err(failure),
            (other, _) => Ok(other?),
        };

        let feeder = Feeder::start(self.kafka.clone(), &self.topics[0].name, fed);
        let count = self.count(&managed, output, feeder, trial, events, cancel).await;
        match (redeployed, count) {
            (Ok(redeployed), count) => Ok((redeployed, count?)),
            (Err(failure), Err(count)) if count.id() == Reason::VerifyFailed => {
                let seen = count.detail().evidence.join("; ");
                Err(failure.evidence(format!("{count}: {seen}")))
            }
            (Err(failure), _) => Err(failure),
        }
    }

    /// Lets numbers go in until another checkpoint is complete, and compares.
    async fn count(
        &self,
        managed: &Managed,
        output: Output,
        feeder: Feeder,
        trial: Trial,
        events: &EventSink,
        cancel: &CancellationToken,
    ) -> Result<Count> {
        let title = "compare what went in and what came out".to_owned();
        let stage = Stage::start(events, cancel, "count", title);
        let cx = stage.cx().clone();
        let compare = async {
            self.next_checkpoint(managed, Proof::begin(trial.within, &cx)).await?;
            let fed = feeder.stop().await?;
            self.compare(managed, output, fed, &cx).await
        };
        stage.run(compare, told).await
    }

    /// Reads until all `fed` numbers are there and no record can come any more, and compares.
    async fn compare(&self, managed: &Managed, mut output: Output, fed: u64, cx: &StepCx) -> Result<Count> {
        let proof = Proof::begin(DRAIN, cx);
        let wanted = usize::try_from(fed).unwrap_or(usize::MAX);
        // what is missing at the end is told by the comparison, number by number
        match output.until(wanted, proof).await {
            Err(failure) if failure.id() == Reason::VerifyFailed => {}
            read => {
                read?;
            }
        }
        // a record too many becomes readable with the next checkpoint
        self.next_checkpoint(managed, Proof::begin(DRAIN, cx)).await?;
        output.rest(cx).await?;
        Count::of(fed, &output.records).exact()
    }

    /// Waits until a checkpoint that begins from now on is complete.
    async fn next_checkpoint(&self, managed: &Managed, proof: Proof<'_>) -> Result<()> {
        let mut least = None;
        loop {
            let now = Moment::of(managed).await?;
            let reason = match (now, least) {
                (Some(now), _) if !now.runs() => format!("the job is {}", now.state),
                // one may be under way
                (Some(now), None) => {
                    let wanted = now.checkpoint.max(now.restored.map_or(0, |r| r.id)) + 2;
                    least = Some(wanted);
                    format!("checkpoint {wanted} is not complete yet")
                }
                (Some(now), Some(wanted)) if now.checkpoint >= wanted => return Ok(()),
                (Some(_), Some(wanted)) => format!("checkpoint {wanted} is not complete yet"),
                (None, _) => "Flink does not answer for the job".to_owned(),
            };
            proof.pause("one more checkpoint", &reason).await?;
        }
    }

    /// Removes everything, whatever came of it.
    async fn end<T>(mut self, events: &EventSink, result: Result<T>) -> Result<T> {
        // a run that was interrupted cleans up, too
        let stage = Stage::start(
            events,
            &CancellationToken::new(),
            "clean-up",
            format!("remove {}", self.name),
        );
        let names: Vec<String> = self.topics.iter().map(|t| t.name.clone()).collect();
        let remove = async {
            self.job.delete().await?;
            self.savepoints().await?;
            self.kafka.delete(&names).await
        };
        let removed = stage.run(remove, |()| "nothing is left of it".to_owned()).await;
        if let (Ok(()), Some(lease)) = (&removed, self.lease.take()) {
            lease.give_back().await;
        }
        match (result, removed) {
            (Ok(value), Ok(())) => Ok(value),
            (Ok(_), Err(left)) => Err(left),
            (Err(failure), Ok(())) => Err(failure),
            (Err(failure), Err(left)) => Err(failure.evidence(format!("it was left behind: {left}"))),
        }
    }

    /// Disposes of the savepoints that were taken of the job, which is gone.
    async fn savepoints(&self) -> Result<()> {
        let Place { client, namespace, .. } = &self.place;
        let all = format!("/apis/flink.apache.org/v1beta1/namespaces/{namespace}/flinkstatesnapshots");
        let rest = Rest::new(client.clone(), namespace, &self.place.session);
        for snapshot in list(client, &all).await? {
            let of = text(&snapshot, "/spec/jobReference/name");
            if of != self.name && snapshot["metadata"]["labels"][PART_OF] != self.name.as_str() {
                continue;
            }
            let path = text(&snapshot, "/status/path");
            if !path.is_empty() {
                rest.dispose(path).await?;
            }
            delete(client, &format!("{all}/{}", text(&snapshot, "/metadata/name"))).await?;
        }
        Ok(())
    }
}

/// Where the counting job's state goes.
#[derive(Debug, Clone, Copy)]
enum State<'a> {
    /// Where the cluster keeps it; that may be the JobManager's memory.
    InMemory,
    /// Into folders: below this one, or the cluster's.
    Folders(Option<&'a str>),
}

impl State<'_> {
    fn upgrade_mode(self) -> UpgradeMode {
        match self {
            Self::InMemory => UpgradeMode::Stateless,
            Self::Folders(_) => UpgradeMode::Savepoint,
        }
    }

    /// The job's settings.
    ///
    /// # Errors
    /// [`Reason::StatePathMissing`] if there are no folders: the operator refuses a job that is to keep its state.
    async fn settings(self, rest: &Rest, cluster: &str, every: Duration) -> Result<BTreeMap<String, String>> {
        let mut settings = settings(every);
        match self {
            Self::InMemory => {}
            Self::Folders(Some(path)) => {
                let path = path.trim_end_matches('/');
                settings.insert(CHECKPOINTS[0].to_owned(), format!("{path}/checkpoints"));
                settings.insert(SAVEPOINTS[0].to_owned(), path.to_owned());
            }
            Self::Folders(None) => {
                let set = Settings::of(rest).await?;
                let missing = [CHECKPOINTS, SAVEPOINTS]
                    .into_iter()
                    .find(|keys| set.any_of(*keys).is_none());
                if let Some([key, _]) = missing {
                    let message = format!("Flink cluster `{cluster}` has no folder for its state");
                    return Err(Failure::new(Reason::StatePathMissing, message)
                        .evidence(format!("it does not set `{key}`"))
                        .next(format!(
                            "set `session: {{config: {{{key}: URI}}}}` in the profile, then `dev up`"
                        ))
                        .next("dev job verify savepoint --path URI, a place that JobManager and TaskManagers share"));
                }
            }
        }
        Ok(settings)
    }
}

/// The settings of the counting job.
fn settings(every: Duration) -> BTreeMap<String, String> {
    let interval = format!("{} ms", every.as_millis());
    [
        ("execution.checkpointing.interval", interval.as_str()),
        ("execution.checkpointing.mode", "EXACTLY_ONCE"),
        // a pod that is killed takes the job with it more than once while the next one starts
        ("restart-strategy.type", "fixed-delay"),
        ("restart-strategy.fixed-delay.attempts", "100"),
        ("restart-strategy.fixed-delay.delay", "500 ms"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

fn restored(moment: &Moment) -> u64 {
    moment.restored.as_ref().map_or(0, |r| r.id)
}

fn told(count: &Count) -> String {
    format!(
        "{} numbers in, {} out: each once, none counted anew",
        count.fed, count.read
    )
}

/// Writes numbers until it is stopped.
struct Feeder {
    stop: CancellationToken,
    task: AbortOnDropHandle<Result<u64>>,
}

impl Feeder {
    /// Begins behind the number `last`.
    fn start(kafka: TopicClient, topic: &str, last: u64) -> Self {
        let (stop, topic) = (CancellationToken::new(), topic.to_owned());
        let stopped = stop.clone();
        let task = AbortOnDropHandle::new(tokio::spawn(async move {
            let mut writer = kafka.writer(&topic).await?;
            let mut number = last;
            while !stopped.is_cancelled() && number < MOST {
                for _ in 0..BATCH {
                    number += 1;
                    let value = Bytes::from(json!({ "n": number }).to_string());
                    writer
                        .write(Outgoing {
                            value: Some(value),
                            ..Outgoing::default()
                        })
                        .await?;
                }
                tokio::select! {
                    () = sleep(EVERY) => {}
                    () = stopped.cancelled() => {}
                }
            }
            writer.finish().await?;
            Ok(number)
        }));
        Self { stop, task }
    }

    /// Ends it; the last number, once all are acknowledged.
    async fn stop(self) -> Result<u64> {
        self.stop.cancel();
        let ended = self.task.await;
        ended.unwrap_or_else(|e| Err(Failure::new(Reason::Internal, "feeding panicked").cause(&e)))
    }
}

/// What came out so far.
struct Output {
    reader: Reader,
    records: Vec<(u64, u64)>,
}

impl Output {
    async fn of(job: &Job) -> Result<Self> {
        Ok(Self {
            reader: job.kafka.reader(std::slice::from_ref(&job.topics[1])).await?,
            records: Vec::new(),
        })
    }

    /// Reads until there are so many records.
    async fn until(&mut self, wanted: usize, proof: Proof<'_>) -> Result<usize> {
        while self.records.len() < wanted {
            let reason = format!("{} of {wanted} records", self.records.len());
            self.more(Duration::from_millis(500)).await?;
            if self.records.len() < wanted {
                proof.pause("numbers come out", &reason).await?;
            }
        }
        Ok(self.records.len())
    }

    /// Reads what else is there.
    async fn rest(&mut self, cx: &StepCx) -> Result<()> {
        cx.waiting("looking for records too many");
        while self.more(Duration::from_secs(1)).await? > 0 {}
        Ok(())
    }

    async fn more(&mut self, wait: Duration) -> Result<usize> {
        let records = self.reader.next(wait).await?;
        for record in &records {
            let value: Value = serde_json::from_slice(record.value.as_deref().unwrap_or_default()).unwrap_or_default();
            let number = |key: &str| value[key].as_u64().unwrap_or_default();
            self.records.push((number("n"), number("seen")));
        }
        Ok(records.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_one_job_and_everything_is_put_in() {
        let filled = SCRIPT.replace("${topic.in}", "a").replace("${topic.out}", "b");
        let found = crate::sql::lint(&filled.replace("${kafka.bootstrap}", "kafka:9092")).unwrap();
        assert_eq!(found.inserts, 1);
        assert_eq!(crate::sql::placeholders(&filled).len(), 2);
        assert_eq!(
            settings(Duration::from_millis(500))["execution.checkpointing.interval"],
            "500 ms"
        );
    }
}
