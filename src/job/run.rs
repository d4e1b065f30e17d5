//! A program to a running job: everything that can be known is checked first, then it is submitted, and followed until
//! the operator and Flink agree that it runs. What does not run leaves nothing behind.

use std::collections::BTreeMap;
use std::time::Duration;

use kube::Client;
use serde::Serialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::application::Extras;
use super::check::{self, Checked};
use super::code::Code;
use super::stage::Stage;
use super::submit::{bring, follow, submit};
use crate::config::{Addresses, Profile};
use crate::container::Engine;
use crate::diag::{Failure, Reason, Result};
use crate::engine::StepCx;
use crate::env::Env;
use crate::event::EventSink;
use crate::flink::UpgradeMode;

/// How long a job that goes first may take.
pub(super) const GOES: Duration = Duration::from_secs(60);

/// Where jobs run.
#[derive(Clone)]
pub struct Place {
    /// The cluster.
    pub client: Client,
    /// The namespace of the session cluster.
    pub namespace: String,
    /// The session cluster's name.
    pub session: String,
    /// Kafka's address on this machine and in the cluster, if there is Kafka.
    pub kafka: Option<(String, String)>,
    /// The schema registry's address in the cluster, if there is one.
    pub registry: Option<String>,
}

impl Place {
    /// What scripts find by names.
    pub fn addresses(&self) -> Addresses<'_> {
        Addresses {
            kafka: self.kafka.as_ref().map(|(_, internal)| internal.as_str()),
            registry: self.registry.as_deref(),
        }
    }
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place")
            .field("namespace", &self.namespace)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

/// What files are brought into the cluster with. A SQL script in a session needs none of it.
#[derive(Clone)]
pub struct Workshop {
    /// The engine that the nodes live in.
    pub engine: Engine,
    /// The process's surroundings.
    pub env: Env,
    /// The nodes' containers.
    pub nodes: Vec<String>,
    /// The environment's profile.
    pub profile: Profile,
}

impl std::fmt::Debug for Workshop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Workshop")
            .field("nodes", &self.nodes)
            .finish_non_exhaustive()
    }
}

/// Where a job runs.
#[derive(Debug, Clone)]
pub enum Cluster {
    /// In the session cluster, with others.
    Session,
    /// In a cluster of its own, from an image of its own.
    Application(Extras),
}

/// A job that is wanted.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Its name, see [`super::job_name`].
    pub name: String,
    /// What it runs.
    pub code: Code,
    /// Where it runs.
    pub cluster: Cluster,
    /// Its parallelism.
    pub parallelism: Option<u32>,
    /// Its settings.
    pub settings: BTreeMap<String, String>,
    /// What becomes of its state when it is changed.
    pub upgrade_mode: UpgradeMode,
    /// The savepoint or checkpoint that it begins from.
    pub from: Option<String>,
    /// Remove a job of its name first.
    pub replace: bool,
    /// Do not wait until it runs.
    pub detach: bool,
    /// How long it may take to run.
    pub within: Duration,
}

impl Wanted {
    /// The parallelism that is asked for, or that the program sets.
    pub(super) fn parallelism(&self) -> Option<u32> {
        self.parallelism.or(self.code.parallelism())
    }
}

/// A job that was started.
#[derive(Debug, Clone, Serialize)]
pub struct Started {
    /// Its name.
    pub name: String,
    /// Flink's id of it; empty after `detach`.
    pub job_id: String,
    /// `RUNNING`, `FINISHED`, or `SUBMITTED` after `detach`.
    pub state: &'static str,
    /// The Flink cluster that it runs in: the session's name, or its own.
    pub cluster: String,
    /// The image of an application.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// From the submission to that state, in seconds.
    pub seconds: f64,
}

/// Runs a job. Unless it runs (or was detached from), its object is removed again, also when `cancel` is triggered.
///
/// # Errors
/// What the checks find, before anything is created; then why it does not run.
pub async fn run(
    place: &Place,
    workshop: Option<&Workshop>,
    wanted: &Wanted,
    events: &EventSink,
    cancel: &CancellationToken,
) -> Result<Started> {
    start(place, workshop, wanted, events, cancel)
        .await
        .map_err(|failure| wanted.code.masked(failure))
}

async fn start(
    place: &Place,
    workshop: Option<&Workshop>,
    wanted: &Wanted,
    events: &EventSink,
    cancel: &CancellationToken,
) -> Result<Started> {
    let stage = |id: &str, title: String| Stage::start(events, cancel, id, title);
    let checking = stage("check", format!("check {}", wanted.code.file().display()));
    let cx = checking.cx().clone();
    let checks = wanted.code.masking(check::check(place, workshop, wanted, &cx));
    let checks = unless_interrupted(cancel, checks);
    let Checked { draft, old, .. } = checking.run(checks, |seen: &Checked| seen.told.clone()).await?;
    if let Some(draft) = &draft {
        draft.notes().iter().for_each(|note| events.note(note.clone()));
    }
    let ready = bring(place, workshop, wanted, draft, &stage).await?;
    // as late as can be: a job that is there runs on while the new one is made ready
    if let Some(old) = old {
        let removing = stage("replace", format!("remove the job {} of before", old.name));
        let cx = removing.cx().clone();
        let work = unless_interrupted(cancel, old.remove(GOES, &cx));
        removing.run(work, |()| "nothing is left of it".to_owned()).await?;
    }

    let start = Instant::now();
    let mut running = stage("job", format!("job {}", wanted.name));
    // one short request that is never dropped half way, so that it is known what exists
    let job = match submit(place, wanted, &ready).await {
        Ok(job) => job,
        Err(failure) => {
            running.fail(&wanted.code.masked(failure.clone()));
            return Err(failure);
        }
    };
    let started = |state, job_id: Option<String>| Started {
        name: wanted.name.clone(),
        job_id: job_id.unwrap_or_default(),
        state,
        cluster: job.cluster(place).to_owned(),
        image: ready.image.clone(),
        seconds: (start.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
    };
    if wanted.detach {
        running.done("submitted; nothing more was awaited");
        return Ok(started("SUBMITTED", None));
    }
    match follow(place, wanted, &job, &running, start + wanted.within).await {
        Ok(state) => {
            let id = job.id().await;
            running.done(&format!("{state}: operator, generation and Flink agree"));
            Ok(started(state, id))
        }
        Err(failure) => {
            running.fail(&wanted.code.masked(failure.clone()));
            let removing = stage("clean-up", format!("remove job {}", wanted.name));
            // an interrupted run is cleaned up all the same
            let cx = StepCx::detached("clean-up", events.clone(), CancellationToken::new());
            // what is left behind is worth knowing, but why it failed is worth more
            match removing
                .run(job.delete(place, &cx), |()| "nothing is left of it".to_owned())
                .await
            {
                Ok(()) => Err(failure),
                Err(left) => Err(failure
                    .evidence(format!("it was left behind: {left}"))
                    .next(format!("dev job rm {}", wanted.name))),
            }
        }
    }
}

pub(super) async fn unless_interrupted<T>(
    cancel: &CancellationToken,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    tokio::select! {
        done = work => done,
        () = cancel.cancelled() => Err(Failure::new(Reason::Interrupted, "interrupted before anything was created")),
    }
}
