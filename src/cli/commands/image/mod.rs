//! `dev image`.

pub(in crate::cli) mod args;
pub(super) mod build;
mod file;
mod load;
mod ls;
mod prune;
mod rm;

use std::process::ExitCode;

use crate::cli::session::Session;
use crate::cluster::Kind;
use crate::config::Profile;
use crate::container::Engine;
use crate::diag::{Failure, Reason, Result};
use crate::event::{EventKind, EventSink};
use args::ImageCommand;

pub(super) async fn run(session: &Session, command: ImageCommand) -> Result<ExitCode> {
    match command {
        ImageCommand::Build(args) => build::run(session, &args).await,
        ImageCommand::Load(args) => load::run(session, &args).await,
        ImageCommand::Ls(args) => ls::run(session, &args).await,
        ImageCommand::Rm(args) => rm::run(session, &args).await,
        ImageCommand::Prune(args) => prune::run(session, &args).await,
    }
}

/// Does something with the events rendered beside it; tells its result and, for people, its one line.
async fn rendered<T>(session: &Session, work: impl AsyncFnOnce(EventSink) -> Result<(T, String)>) -> Result<T> {
    let (events, rendering) = session.render();
    let result = tokio::select! {
        result = work(events.clone()) => result,
        () = session.cancel.cancelled() => Err(Failure::new(Reason::Interrupted, "stopped")),
    };
    events.emit(EventKind::RunFinished {
        ok: result.is_ok(),
        summary: match &result {
            Ok((_, summary)) => summary.clone(),
            Err(failure) => failure.to_string(),
        },
    });
    drop(events);
    rendering.finish().await;
    result.map(|(value, _)| value)
}

/// A container that images go into.
pub(super) struct Node {
    pub(super) name: String,
    /// In OCI's names; empty if nobody knows.
    architecture: String,
}

/// The nodes that were named, or those of the profile's cluster; none if it is not up.
pub(super) async fn nodes(engine: &Engine, kind: &Kind, named: &[String]) -> Result<Vec<Node>> {
    let containers = if named.is_empty() {
        kind.running_nodes(engine).await?
    } else {
        let mut found = Vec::new();
        for name in named {
            match engine.container(name).await? {
                Some(container) if container.running => found.push(container),
                Some(_) => {
                    return Err(
                        Failure::new(Reason::ClusterNotFound, format!("the node {name} does not run"))
                            .next(format!("docker start {name}")),
                    );
                }
                None => {
                    return Err(
                        Failure::new(Reason::ClusterNotFound, format!("there is no container {name}"))
                            .next("docker ps"),
                    );
                }
            }
        }
        found
    };
    let mut nodes = Vec::new();
    for container in containers {
        let image = engine.image(&container.image_id).await?;
        nodes.push(Node {
            name: container.name,
            architecture: image.map(|image| image.architecture).unwrap_or_default(),
        });
    }
    Ok(nodes)
}

/// The engine, and the handle of the profile's cluster.
async fn open(session: &Session, profile: Option<&str>) -> Result<(Profile, Engine, Kind)> {
    let profile = Profile::load(&session.env, profile)?;
    let engine = Engine::connect(&session.env).await?;
    let kind = Kind::new(&session.env, &profile);
    Ok((profile, engine, kind))
}
