//! `dev image build --file`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Args, ValueHint};
use serde_json::json;

use super::build::BuildArgs;
use super::{load, nodes, open, rendered};
use crate::cli::session::Session;
use crate::diag::{Failure, Reason, Result};
use crate::engine::{Bounds, Done, Step};
use crate::image::{self, Dockerfile, app};

/// What a Dockerfile is built with.
#[derive(Debug, Clone, Args)]
pub struct FileArgs {
    /// An argument of the Dockerfile
    #[arg(long = "build-arg", value_name = "KEY=VALUE")]
    pub build_args: Vec<String>,
    /// The stage to build [default: the last one]
    #[arg(long, value_name = "STAGE")]
    pub target: Option<String>,
    /// Folder that the Dockerfile copies from [default: the Dockerfile's own]
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub context: Option<PathBuf>,
}

impl FileArgs {
    /// None of these means anything without a Dockerfile.
    pub(super) fn unused(&self) -> Result<()> {
        let given = [
            ("--build-arg", !self.build_args.is_empty()),
            ("--target", self.target.is_some()),
            ("--context", self.context.is_some()),
        ];
        match given.iter().find(|(_, given)| *given) {
            None => Ok(()),
            Some((option, _)) => {
                let message = format!("{option} is of no use without --file");
                Err(Failure::new(Reason::Usage, message).next("dev image build --help"))
            }
        }
    }
}

/// A build takes what it takes; beyond that something hangs.
const BOUNDS: Bounds = Bounds::secs(600, 3600);

pub(super) async fn run(session: &Session, file: &Path, args: &BuildArgs) -> Result<ExitCode> {
    let start = Instant::now();
    let dockerfile = Dockerfile {
        file: file.to_owned(),
        context: args.dockerfile.context.clone(),
        args: build_args(session, &args.dockerfile.build_args)?,
        target: args.dockerfile.target.clone().unwrap_or_default(),
        name: name(args.name.as_deref())?,
    };
    let jars_only = [
        ("--main", args.main.is_some()),
        ("--lib", !args.libraries.is_empty()),
        ("--connector", !args.connectors.is_empty()),
        ("--base", args.base.is_some()),
        ("--no-engine", args.to.no_engine),
    ];
    if let Some((option, _)) = jars_only.iter().find(|(_, given)| *given) {
        return Err(
            Failure::new(Reason::Usage, format!("{option} is of no use with --file")).next("dev image build --help"),
        );
    }
    dockerfile.check(&session.env)?;
    let (_, engine, kind) = open(session, args.to.profile.as_deref()).await?;
    let nodes = if args.to.no_load {
        Vec::new()
    } else {
        nodes(&engine, &kind, &args.to.nodes).await?
    };
    let nodes: Vec<String> = nodes.into_iter().map(|node| node.name).collect();
    let done = rendered(session, async |events| {
        if nodes.is_empty() && !args.to.no_load {
            events.note(format!(
                "the cluster `{}` is not up: the image goes into the engine only",
                kind.name()
            ));
        }
        let (sender, receiver) = std::sync::mpsc::channel();
        let (builder, env, to) = (engine.clone(), session.env.clone(), nodes.clone());
        let title = format!("build {}", dockerfile.name);
        let step = Step::new("image", title, &[], BOUNDS, move |cx| async move {
            let built = image::build(&builder, &env, &dockerfile, &cx).await?;
            let images = [built.name.clone()];
            let brought = match to.is_empty() {
                true => Vec::new(),
                false => image::bring(&builder, &env, &to, &images, &cx).await?,
            };
            let text = format!("{}, {} steps ran, {} were cached", built.name, built.ran, built.cached);
            let _ = sender.send((built, brought));
            Ok(Done::Changed(text))
        });
        crate::engine::run(vec![step], &events, &session.cancel).await?;
        let (built, brought) = receiver
            .try_recv()
            .map_err(|e| Failure::new(Reason::Internal, "a build ended without an image").cause(&e))?;
        let summary = format!("{} is ready ({:.2} s)", built.name, start.elapsed().as_secs_f64());
        Ok(((built, brought), summary))
    });
    let (built, brought) = done.await?;
    let mut lines = vec![session.out.bold(&built.name), format!("  id      {}", built.id)];
    lines.extend(brought.iter().map(|node| format!("  node    {node}")));
    let nodes: Vec<_> = brought.iter().map(load::as_json).collect();
    session.result(
        &lines.join("\n"),
        &json!({
            "v": 1, "event": "image_built", "name": built.name, "id": built.id, "file": file,
            "steps": {"ran": built.ran, "cached": built.cached}, "nodes": nodes,
            "seconds": (start.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
        }),
    );
    Ok(ExitCode::SUCCESS)
}

/// The image's name, with a tag or without; `latest` says nothing about what is in it.
fn name(given: Option<&str>) -> Result<String> {
    let Some(name) = given else {
        return Err(Failure::new(Reason::Usage, "an image of a Dockerfile needs a name").next("--name orders"));
    };
    let (repository, tag) = match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
        _ => (name, None),
    };
    app::parse_name(repository)?;
    let word = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    match tag {
        None => Ok(name.to_owned()),
        Some("latest") => Err(Failure::new(
            Reason::Usage,
            format!("`{name}`: pods would not be restarted when it is rebuilt"),
        )
        .next(format!("--name {repository} (its tag comes from its content)"))),
        Some(tag) if !tag.is_empty() && tag.len() <= 128 && tag.chars().all(word) && !tag.starts_with(['.', '-']) => {
            Ok(name.to_owned())
        }
        Some(tag) => Err(Failure::new(Reason::Usage, format!("`{tag}` is no tag"))
            .next(format!("--name {repository} (its tag comes from its content)"))),
    }
}

/// `KEY=VALUE`, or `KEY` alone for a variable of the environment, as Docker's client has it.
fn build_args(session: &Session, given: &[String]) -> Result<BTreeMap<String, String>> {
    let pair = |text: &String| match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        None if session.env.var(text).is_some() => {
            Ok((text.clone(), session.env.var(text).unwrap_or_default().to_owned()))
        }
        _ => Err(Failure::new(
            Reason::Usage,
            format!("`--build-arg {text}` has no value, and the environment has no {text}"),
        )
        .next("--build-arg KEY=VALUE")),
    };
    given.iter().map(pair).collect()
}
