//! A program on its way into the cluster: brought to where Flink finds it, submitted, followed.

use std::ops::Deref;

use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::application::{self, Draft};
use super::artifact::{self, Depot};
use super::code::Code;
use super::managed::Managed;
use super::run::{Cluster, GOES, Place, Wanted, Workshop, unless_interrupted};
use super::stage::Stage;
use super::trouble;
use crate::diag::{Failure, Reason, Result};
use crate::engine::StepCx;
use crate::flink::{Application, Followed, JobSpec, Phase, Program, SessionJob};
use crate::kube::get;

/// What is submitted.
pub(super) struct Ready {
    pub(super) program: Program,
    /// An application's cluster.
    pub(super) cluster: Option<Value>,
    pub(super) image: Option<String>,
}

/// Brings the program to where Flink finds it; nothing of that runs yet.
pub(super) async fn bring(
    place: &Place,
    workshop: Option<&Workshop>,
    wanted: &Wanted,
    draft: Option<Draft>,
    stage: &impl Fn(&str, String) -> Stage,
) -> Result<Ready> {
    let ready = |program, cluster, image| Ready {
        program,
        cluster,
        image,
    };
    match (&wanted.code, draft, workshop) {
        (code, Some(draft), Some(workshop)) if matches!(wanted.cluster, Cluster::Application(_)) => {
            let making = stage("image", format!("image of {}", wanted.name));
            let cx = making.cx().clone();
            let work = unless_interrupted(cx.cancel(), draft.make(workshop, &cx));
            let image = making.run(work, |image| format!("{image} is in the node")).await?;
            let program = draft.program(code, &wanted.name, &workshop.profile.flink.version);
            let cluster = application::cluster(workshop, code, &wanted.name, &image);
            Ok(ready(program, Some(cluster), Some(image)))
        }
        (Code::Sql(script), ..) => {
            let program = Program::Sql {
                script: script.text().to_owned(),
                vars: script.vars.clone(),
                jar: None,
            };
            Ok(ready(program, None, None))
        }
        (Code::Python(python), None, _) => Ok(ready(python.in_session()?, None, None)),
        (Code::Jar(jar), Some(draft), Some(workshop)) => {
            let bringing = stage("jar", format!("jar {}", jar.shown.display()));
            let cancel = bringing.cx().cancel().clone();
            let depot = Depot::of(&place.client, workshop);
            let work = unless_interrupted(&cancel, artifact::put(&depot, &jar.path));
            let uri = bringing
                .run(work, |uri| format!("the operator has it as {uri}"))
                .await?;
            let program = Program::Class {
                jar: Some(uri),
                class: draft.main().map(str::to_owned),
                args: jar.args.clone(),
            };
            Ok(ready(program, None, None))
        }
        (code, ..) => Err(Failure::new(
            Reason::Internal,
            format!("{} was not made ready", code.file().display()),
        )),
    }
}

/// What was submitted.
pub(super) enum Submitted {
    Session(SessionJob),
    Application(Application),
}

impl Deref for Submitted {
    type Target = Followed;

    fn deref(&self) -> &Followed {
        match self {
            Self::Session(job) => job,
            Self::Application(job) => job,
        }
    }
}

impl Submitted {
    /// The Flink cluster that it runs in.
    pub(super) fn cluster<'a>(&'a self, place: &'a Place) -> &'a str {
        match self {
            Self::Session(_) => &place.session,
            Self::Application(job) => job.name(),
        }
    }

    pub(super) async fn delete(&self, place: &Place, cx: &StepCx) -> Result<()> {
        match self {
            Self::Session(job) => job.delete().await,
            Self::Application(job) => match Managed::found(place, job.name()).await? {
                Some(job) => job.remove(GOES, cx).await,
                None => application::remove_values(&place.client, &place.namespace, job.name()).await,
            },
        }
    }
}

pub(super) async fn submit(place: &Place, wanted: &Wanted, ready: &Ready) -> Result<Submitted> {
    let Place { client, namespace, .. } = place;
    let spec = JobSpec {
        name: wanted.name.clone(),
        program: ready.program.clone(),
        script_file: wanted.code.file().to_owned(),
        parallelism: wanted.parallelism(),
        upgrade_mode: wanted.upgrade_mode,
        settings: wanted.settings.clone(),
        from: wanted.from.clone(),
        ..JobSpec::default()
    };
    let Some(cluster) = &ready.cluster else {
        let job = SessionJob::submit(client, namespace, &place.session, &spec).await?;
        return Ok(Submitted::Session(job));
    };
    application::put_values(client, namespace, &spec.name, &wanted.code, None).await?;
    let job = match Application::submit(client, namespace, &spec, cluster).await {
        Ok(job) => job,
        Err(failure) => {
            // why it failed is worth more than what became of its values
            let _ = application::remove_values(client, namespace, &spec.name).await;
            return Err(failure);
        }
    };
    let path = format!("{}/{}", super::session::deployments(namespace), spec.name);
    let owner = get(client, &path).await?;
    application::put_values(client, namespace, &spec.name, &wanted.code, owner.as_ref()).await?;
    Ok(Submitted::Application(job))
}

/// Waits until the job runs or has ended well.
pub(super) async fn follow(
    place: &Place,
    wanted: &Wanted,
    job: &Submitted,
    stage: &Stage,
    end: Instant,
) -> Result<&'static str> {
    let (report, mut phases) = watch::channel(Phase::Waiting("submitted".to_owned()));
    let mut follow = std::pin::pin!(job.follow(&report));
    let mut stuck = std::pin::pin!(trouble::stuck_pod(&place.client, &place.namespace, job.cluster(place)));
    let cancel = stage.cx().cancel();
    loop {
        tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(Failure::new(Reason::Interrupted, "interrupted before the job ran").next("run it again; nothing is left of it")),
            failure = &mut follow => return Err(failure),
            failure = &mut stuck => return Err(failure),
            Ok(()) = phases.changed() => match &*phases.borrow_and_update() {
                Phase::Waiting(reason) => stage.cx().waiting(reason.clone()),
                Phase::Running => return Ok("RUNNING"),
                Phase::Finished => return Ok("FINISHED"),
            },
            () = sleep_until(end) => {
                let message = format!("the job does not run after {} s", wanted.within.as_secs_f64());
                let mut failure = Failure::new(Reason::TimedOut, message);
                if let Phase::Waiting(reason) = &*phases.borrow() {
                    failure = failure.evidence(format!("last seen: {reason}"));
                }
                let evidence = job.evidence().await;
                return Err(evidence.into_iter().fold(failure, Failure::evidence).next("give it longer with --within"));
            }
        }
    }
}
