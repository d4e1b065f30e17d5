//! A SQL script as a job of the session cluster that follows its file.

use std::collections::BTreeMap;
use std::future::pending;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::Subject;
use crate::config::{Case, CaseProgram, Given, RecordFormat, Records};
use crate::diag::{Failure, Reason, Result};
use crate::e2e::{LABEL_RUN, Names, RunLease, Script, Target, run_id, substitute};
use crate::engine::StepCx;
use crate::flink::{JobSpec, Phase, SessionJob};
use crate::kafka::{Topic, TopicClient};
use crate::sql::{lint, placeholders};

/// How long a job may take to run: the first one on a cold session loads the planner.
const RUNS: Duration = Duration::from_secs(120);

/// A script that runs as a session job, again on each change.
///
/// `${topic.NAME}` is the topic `NAME` itself, which is made if it is not there and stays; `${kafka.bootstrap}` is the
/// broker as jobs reach it, `${registry.url}` the schema registry.
pub struct SqlJob {
    file: PathBuf,
    shown: String,
    target: Target,
    kafka: TopicClient,
    lease: Option<RunLease>,
    run: String,
    number: usize,
    /// Name of a job that may be there.
    made: Option<String>,
    live: Option<Live>,
}

/// A job that was submitted.
struct Live {
    following: AbortOnDropHandle<Failure>,
    phases: watch::Receiver<Phase>,
    script: Script,
}

impl SqlJob {
    /// Gets ready: nothing is submitted yet. A watch that is killed leaves a job that the next `dev test` removes.
    ///
    /// # Errors
    /// [`Reason::FileUnreadable`] if the file cannot be read; those of Kafka and the cluster if they do not answer.
    pub async fn new(file: &Path, cwd: &Path, target: Target) -> Result<Self> {
        read(file)?;
        let run = run_id();
        let (kafka, lease) = tokio::try_join!(
            TopicClient::connect(&target.kafka_local),
            RunLease::take(&target.client, &target.namespace, &run)
        )?;
        Ok(Self {
            file: file.to_owned(),
            shown: super::shown(file, cwd),
            target,
            kafka,
            lease: Some(lease),
            run,
            number: 0,
            made: None,
            live: None,
        })
    }

    /// The script with everything put in, and its topics.
    fn prepare(&self) -> Result<(Script, Vec<Topic>)> {
        let sql = read(&self.file)?;
        let shown = Path::new(&self.shown);
        lint(&sql).map_err(|problem| {
            let failure = Failure::new(Reason::SqlInvalid, problem.message).at(
                shown,
                problem.position.line,
                problem.position.column,
            );
            problem.next.into_iter().fold(failure, Failure::next)
        })?;
        let topics: Vec<String> = placeholders(&sql)
            .iter()
            .filter_map(|p| p.name.strip_prefix("topic."))
            .map(str::to_owned)
            .collect();
        let case = Case {
            name: self.shown.clone(),
            file: shown.to_owned(),
            program: CaseProgram::sql(shown, sql),
            given: topics
                .iter()
                .map(|topic| Given {
                    topic: topic.clone(),
                    partitions: 1,
                    format: RecordFormat::Json,
                    records: Records::default(),
                })
                .collect(),
            within: RUNS,
            ..Case::default()
        };
        let script = substitute(&case, self.target.addresses(), str::to_owned)?;
        let topics = topics.into_iter().map(|name| Topic { name, partitions: 1 }).collect();
        Ok((script, topics))
    }

    /// Removes the job of the round before, if there may be one.
    async fn stop(&mut self) -> Result<bool> {
        self.live = None;
        let Some(name) = &self.made else { return Ok(false) };
        let Target {
            client,
            namespace,
            session,
            ..
        } = &self.target;
        SessionJob::left_behind(client, namespace, session, name)
            .delete()
            .await?;
        self.made = None;
        Ok(true)
    }

    async fn submit(&mut self, script: Script) -> Result<()> {
        self.number += 1;
        let stem = self.file.file_stem().unwrap_or_default().to_string_lossy();
        let name = Names::new(&self.run, self.number, &format!("watch {stem}")).job;
        // known before it exists: this may be dropped while the API server takes it
        self.made = Some(name.clone());
        let spec = JobSpec {
            name,
            program: script.text.clone().into(),
            script_file: PathBuf::from(&self.shown),
            labels: BTreeMap::from([(LABEL_RUN.to_owned(), self.run.clone())]),
            ..JobSpec::default()
        };
        let Target {
            client,
            namespace,
            session,
            ..
        } = &self.target;
        let job = SessionJob::submit(client, namespace, session, &spec).await?;
        let (report, phases) = watch::channel(Phase::Waiting("submitted".to_owned()));
        self.live = Some(Live {
            following: AbortOnDropHandle::new(tokio::spawn(async move { job.follow(&report).await })),
            phases,
            script,
        });
        Ok(())
    }
}

impl Live {
    /// Waits until the job runs or has ended well.
    async fn runs(&mut self, cx: &StepCx) -> Result<&'static str> {
        let Self {
            following,
            phases,
            script,
        } = self;
        let deadline = tokio::time::Instant::now() + RUNS;
        loop {
            let reason = match &*phases.borrow_and_update() {
                Phase::Running => return Ok("RUNNING"),
                Phase::Finished => return Ok("FINISHED"),
                Phase::Waiting(reason) => reason.clone(),
            };
            cx.waiting(reason.clone());
            tokio::select! {
                biased;
                failure = &mut *following => return Err(at_users_place(script, ended(failure))),
                Ok(()) = phases.changed() => {}
                () = tokio::time::sleep_until(deadline) => {
                    let message = format!("the job does not run after {} s", RUNS.as_secs());
                    return Err(Failure::new(Reason::TimedOut, message).evidence(format!("last seen: {reason}")));
                }
            }
        }
    }
}

fn ended(result: std::result::Result<Failure, tokio::task::JoinError>) -> Failure {
    result.unwrap_or_else(|e| Failure::new(Reason::Internal, "following the job panicked").cause(&e))
}

/// Columns of the text that Flink was given become those of the user's file.
fn at_users_place(script: &Script, failure: Failure) -> Failure {
    match failure.detail().location.clone() {
        Some(place) if place.column > 0 => {
            let column = script.column(place.line, place.column);
            failure.at(place.file, place.line, column)
        }
        _ => failure,
    }
}

fn read(file: &Path) -> Result<String> {
    fs_err::read_to_string(file)
        .map_err(|e| Failure::new(Reason::FileUnreadable, format!("{} cannot be read", file.display())).cause(&e))
}

#[async_trait::async_trait]
impl Subject for SqlJob {
    fn title(&self) -> String {
        self.shown.clone()
    }

    async fn round(&mut self, cx: &StepCx) -> Result<String> {
        // what can be told without Flink leaves the running job alone
        let (script, topics) = self.prepare()?;
        let begin = Instant::now();
        let stopped = self.stop().await?;
        let stop_took = begin.elapsed();
        self.kafka.create(&topics).await?;
        let submitted = Instant::now();
        self.submit(script).await?;
        let Some(live) = &mut self.live else {
            return Err(Failure::new(
                Reason::Internal,
                "the job that was submitted is not followed",
            ));
        };
        let state = live.runs(cx).await;
        if state.is_err() {
            // the operator would try it again for an hour
            self.stop().await?;
        }
        let state = state?;
        let before = if stopped {
            format!("the one before stopped in {:.1} s, ", stop_took.as_secs_f64())
        } else {
            String::new()
        };
        Ok(format!(
            "{state} ({before}submitted to {state} in {:.1} s)",
            submitted.elapsed().as_secs_f64()
        ))
    }

    async fn failed(&mut self) -> Failure {
        let Some(live) = &mut self.live else {
            return pending().await;
        };
        let failure = at_users_place(&live.script, ended((&mut live.following).await));
        // an object that is deleted now would say nothing new; the next round removes it
        self.live = None;
        failure
    }

    async fn end(&mut self) -> Result<()> {
        let stopped = self.stop().await;
        if let Some(lease) = self.lease.take() {
            lease.give_back().await;
        }
        stopped.map(|_| ())
    }
}
