//! `dev test`.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::session::Session;
use crate::config::{Case, Profile, find_cases};
use crate::diag::{Failure, Reason, Result};
use crate::e2e::{self, Target};
use crate::environment::{self, Context};
use crate::event::{EventKind, EventSink};

pub(super) async fn run(session: &Session, paths: &[PathBuf], profile: Option<&str>) -> Result<ExitCode> {
    let profile = Profile::load(&session.env, profile)?;
    let absolute: Vec<PathBuf> = paths.iter().map(|p| session.env.absolute(p)).collect();
    // every case is read before the first one runs: what is typed wrong is found before anything is created
    let cases = find_cases(&absolute)?
        .iter()
        .map(|p| Case::load(p))
        .collect::<Result<Vec<_>>>()?;
    let context = Context::open(&session.env, profile).await?;
    let target = target(&context).await?;
    let (events, rendering) = session.render();
    let passed = run_cases(session, cases, target, &events).await;
    drop(events);
    rendering.finish().await;
    Ok(if passed {
        ExitCode::SUCCESS
    } else {
        exit_of_failed(session)
    })
}

/// Runs cases and reports the end of the run; tells whether all passed.
pub(super) async fn run_cases(session: &Session, cases: Vec<Case>, target: Target, events: &EventSink) -> bool {
    let summary = e2e::run_cases(cases, target, events.clone(), session.cancel.clone()).await;
    let ok = summary.all_passed();
    events.emit(EventKind::RunFinished {
        ok,
        summary: summary.to_string(),
    });
    ok
}

/// The exit code after cases that did not pass.
pub(super) fn exit_of_failed(session: &Session) -> ExitCode {
    let reason = if session.cancel.is_cancelled() {
        Reason::Interrupted
    } else {
        Reason::TestFailed
    };
    ExitCode::from(reason.entry().exit_code)
}

/// Where cases run: the environment has to be up.
pub(super) async fn target(context: &Context) -> Result<Target> {
    let status = environment::status(context).await?;
    if !status.ready {
        let why: Vec<_> = status
            .parts
            .iter()
            .filter(|p| !p.ready)
            .map(|p| format!("{}: {}", p.title, p.reason))
            .collect();
        let reason = if status.cluster == "absent" {
            Reason::ClusterNotFound
        } else {
            Reason::ComponentNotReady
        };
        return Err(
            Failure::new(reason, format!("the environment `{}` is not ready", status.name))
                .evidence(why.join("\n"))
                .next("dev up"),
        );
    }
    target_of_ready(context).await
}

/// Where cases run in an environment that was just seen to be ready.
pub(super) async fn target_of_ready(context: &Context) -> Result<Target> {
    let endpoints = environment::listening(context).await?;
    let profile = &context.profile;
    let missing = |what: &str| Failure::new(Reason::ConfigInvalid, format!("cases need {what} in the profile"));
    if !profile.session.enabled {
        return Err(missing("a session cluster"));
    }
    let kafka = endpoints.iter().find(|e| e.name == "Kafka" && e.from == "this machine");
    let kafka_internal = endpoints
        .iter()
        .find(|e| e.name == "Kafka" && e.from == "in the cluster");
    let (Some(local), Some(internal)) = (kafka, kafka_internal) else {
        return Err(missing("Kafka"));
    };
    Ok(Target {
        client: context.client().await?,
        namespace: profile.session.namespace.clone(),
        session: profile.session.name.clone(),
        kafka_local: local.address.clone(),
        kafka_internal: internal.address.clone(),
    })
}
