//! `dev job`.

pub(in crate::cli) mod args;
mod change;
mod logs;
mod look;
mod run;
mod upgrade;
pub(in crate::cli) mod verify;

use std::process::ExitCode;

use args::{JobCommand, Where};
use change::Change;

use crate::cli::session::Session;
use crate::config::Profile;
use crate::diag::{Failure, Reason, Result};
use crate::environment::{self, Context};
use crate::job::{Place, Workshop};
use crate::schema_registry;

pub(super) async fn run(session: &Session, command: JobCommand) -> Result<ExitCode> {
    match command {
        JobCommand::Run(args) => run::run(session, &args).await,
        JobCommand::Upgrade(args) => upgrade::run(session, &args).await,
        JobCommand::Ls { place } => look::list(session, &place).await,
        JobCommand::Status { name, place } => look::status(session, &name, &place).await,
        JobCommand::Logs(args) => logs::run(session, &args).await,
        JobCommand::Savepoint { name, path, how } => change::run(session, &name, Change::Savepoint(path), &how).await,
        JobCommand::Scale { name, parallelism, how } => {
            change::run(session, &name, Change::Scale(parallelism), &how).await
        }
        JobCommand::Suspend(one) => change::run(session, &one.name, Change::Suspend, &one.how).await,
        JobCommand::Resume(one) => change::run(session, &one.name, Change::Resume, &one.how).await,
        JobCommand::Restart(one) => change::run(session, &one.name, Change::Restart, &one.how).await,
        JobCommand::Cancel(one) => change::run(session, &one.name, Change::Cancel, &one.how).await,
        JobCommand::Verify(args) => verify::run(session, &args).await,
        JobCommand::Rm { names, if_exists, how } => change::remove(session, &names, if_exists, &how).await,
    }
}

/// The profile's cluster and what runs in it.
pub(super) async fn place(session: &Session, place: &Where) -> Result<Place> {
    Ok(opened(session, place).await?.0)
}

/// The same, and what files are brought into it with.
pub(super) async fn opened(session: &Session, place: &Where) -> Result<(Place, Workshop)> {
    let profile = Profile::load(&session.env, place.profile.as_deref())?;
    let context = Context::open(&session.env, profile).await?;
    let endpoints = environment::listening(&context).await?;
    let profile = &context.profile;
    if endpoints.is_empty() {
        let message = format!("the cluster `{}` does not run", profile.name);
        return Err(Failure::new(Reason::ClusterNotFound, message));
    }
    let kafka = |from: &str| {
        let found = endpoints.iter().find(|e| e.name == "Kafka" && e.from == from);
        found.map(|e| e.address.clone())
    };
    let nodes = context.kind.running_nodes(&context.engine).await?;
    let place = Place {
        client: context.client().await?,
        namespace: profile.session.namespace.clone(),
        session: profile.session.name.clone(),
        kafka: kafka("this machine").zip(kafka("in the cluster")),
        registry: schema_registry::url(profile),
    };
    let workshop = Workshop {
        engine: context.engine.clone(),
        env: session.env.clone(),
        nodes: nodes.into_iter().map(|node| node.name).collect(),
        profile: profile.clone(),
    };
    Ok((place, workshop))
}
