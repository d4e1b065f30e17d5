//! `dev watch`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueHint};

use super::image;
use super::test::target_of_ready;
use crate::cli::session::Session;
use crate::config::Profile;
use crate::diag::{Failure, Reason, Result};
use crate::environment::{self, Context};
use crate::event::EventKind;
use crate::flink::Deployment;
use crate::image::app::{self, Targets};
use crate::image::inputs::{Inputs, Origin};
use crate::plan::ids;
use crate::watch::{self, ImageOf, SqlJob, Subject, Watched, Watcher};

/// Arguments of `dev watch`.
#[derive(Debug, Clone, Args)]
pub struct WatchArgs {
    /// A SQL script: runs as a job of the session cluster, and again on each change
    #[arg(value_name = "SCRIPT", value_hint = ValueHint::FilePath, required_unless_present_any = ["jar", "project"], conflicts_with_all = ["jar", "project"])]
    pub script: Option<PathBuf>,
    /// A jar: each new one becomes an image of the `--deployment`
    #[arg(long, value_name = "JAR", value_hint = ValueHint::FilePath, conflicts_with = "project", requires = "deployment")]
    pub jar: Option<PathBuf>,
    /// A Maven or Gradle project: built on each change of its sources
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, requires = "deployment")]
    pub project: Option<PathBuf>,
    /// The FlinkDeployment that gets the image
    #[arg(long, value_name = "NAME")]
    pub deployment: Option<String>,
    /// Its namespace [default: the session cluster's]
    #[arg(short, long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// The class that Flink starts; it has to be in the jar
    #[arg(long, value_name = "CLASS")]
    pub main: Option<String>,
    /// A jar that the application needs
    #[arg(long = "lib", value_name = "JAR", value_hint = ValueHint::FilePath)]
    pub libraries: Vec<PathBuf>,
    /// A connector or format by its name, in the version for the base's Flink
    #[arg(long = "connector", value_name = "NAME")]
    pub connectors: Vec<String>,
    /// Name of the image, without a tag [default: the jar's, without its version]
    #[arg(long)]
    pub name: Option<String>,
    /// The image below [default: Flink's, of the profile's version]
    #[arg(long, value_name = "IMAGE")]
    pub base: Option<String>,
    /// The environment's profile
    #[arg(short, long, value_name = "PROFILE")]
    pub profile: Option<String>,
}

pub(super) async fn run(session: &Session, args: &WatchArgs) -> Result<ExitCode> {
    let profile = Profile::load(&session.env, args.profile.as_deref())?;
    let context = Context::open(&session.env, profile).await?;
    match &args.script {
        Some(script) => watch_script(session, &context, script).await,
        None => watch_image(session, &context, args).await,
    }
}

async fn watch_script(session: &Session, context: &Context, script: &Path) -> Result<ExitCode> {
    let script = session.env.absolute(script);
    is_ready(context).await?;
    let target = target_of_ready(context).await?;
    let mut subject = SqlJob::new(&script, &session.env.cwd, target).await?;
    let what = Watched {
        files: vec![script],
        folders: Vec::new(),
    };
    follow(session, &mut subject, what, "its job is removed").await
}

async fn watch_image(session: &Session, context: &Context, args: &WatchArgs) -> Result<ExitCode> {
    let absolute = |path: &PathBuf| session.env.absolute(path);
    let (origin, mut what) = match (&args.jar, &args.project) {
        (Some(jar), _) => (
            Origin::Jar(absolute(jar)),
            Watched {
                files: vec![absolute(jar)],
                folders: Vec::new(),
            },
        ),
        (None, Some(dir)) => (
            Origin::Project(absolute(dir)),
            Watched {
                files: Vec::new(),
                folders: vec![absolute(dir)],
            },
        ),
        (None, None) => return Err(Failure::new(Reason::Usage, "nothing is named that can be watched")),
    };
    let Some(deployment) = &args.deployment else {
        return Err(Failure::new(
            Reason::Usage,
            "`--deployment` is missing: what should run the image?",
        ));
    };
    what.files.extend(args.libraries.iter().map(absolute));
    let inputs = Inputs {
        origin,
        main: args.main.clone(),
        libraries: args.libraries.iter().map(absolute).collect(),
        connectors: args.connectors.clone(),
        into: app::Into::Usrlib,
        name: args.name.as_deref().map(app::parse_name).transpose()?,
    };
    inputs.check(&session.env.cwd)?;
    let Context {
        profile, engine, kind, ..
    } = context;
    let base = image::build::base_of(engine, profile, args.base.as_deref(), &inputs).await?;
    let nodes = image::nodes(engine, kind, &[]).await?;
    if nodes.is_empty() {
        let message = format!("the cluster `{}` is not up", kind.name());
        return Err(Failure::new(Reason::ClusterNotFound, message).next("dev up"));
    }
    image::build::fits(&base, &nodes)?;
    let namespace = args.namespace.as_deref().unwrap_or(&profile.session.namespace);
    let deployment = Deployment::find(&context.client().await?, namespace, deployment).await?;
    let mut subject = ImageOf {
        inputs,
        base,
        targets: Targets {
            nodes: nodes.into_iter().map(|node| node.name).collect(),
            // only the cluster runs it
            engine: false,
        },
        deployment,
        engine: engine.clone(),
        env: session.env.clone(),
    };
    follow(
        session,
        &mut subject,
        what,
        "the deployment goes on with its last image",
    )
    .await
}

/// What a session job needs has to be up; images that are newer than the node's are no hindrance.
async fn is_ready(context: &Context) -> Result<()> {
    let status = environment::status(context).await?;
    let needed = [ids::CLUSTER, ids::OPERATOR, ids::KAFKA, ids::SESSION];
    let missing: Vec<_> = status
        .parts
        .iter()
        .filter(|part| !part.ready && needed.contains(&part.id.as_str()))
        .map(|part| format!("{}: {}", part.title, part.reason))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let reason = if status.cluster == "absent" {
        Reason::ClusterNotFound
    } else {
        Reason::ComponentNotReady
    };
    let message = format!("the environment `{}` is not ready", status.name);
    Err(Failure::new(reason, message)
        .evidence(missing.join("\n"))
        .next("dev up"))
}

/// Watches until the user stops it: that is its ordinary end.
async fn follow(session: &Session, subject: &mut dyn Subject, what: Watched, end: &str) -> Result<ExitCode> {
    let mut watcher = Watcher::new(what).await;
    let (events, rendering) = session.render();
    events.note(format!("watching {} (Ctrl-C ends it)", subject.title()));
    let result = watch::run(subject, &mut watcher, &events, &session.cancel).await;
    events.emit(EventKind::RunFinished {
        ok: result.is_ok(),
        summary: match &result {
            Ok(()) => format!("watching ended; {end}"),
            Err(failure) => failure.to_string(),
        },
    });
    drop(events);
    rendering.finish().await;
    result.map(|()| ExitCode::SUCCESS)
}
