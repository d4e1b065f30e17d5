//! `dev image build`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Args, ValueEnum, ValueHint};
use serde_json::json;

use super::{Node, nodes, open, rendered};
use crate::cli::output::{Style, human_bytes};
use crate::cli::session::Session;
use crate::config::Profile;
use crate::container::Engine;
use crate::diag::{Failure, Reason, Result};
use crate::engine::StepCx;
use crate::image::Names;
use crate::image::app::{self, AppImage, Base, Delivery, Targets, Way};
use crate::image::inputs::{Inputs, Origin};

/// Arguments of `dev image build`.
#[derive(Debug, Clone, Args)]
pub struct BuildArgs {
    #[command(flatten)]
    /// What it is built from.
    pub from: From,
    /// The class that Flink starts; it has to be in the jar [default: the jar's manifest names it]
    #[arg(long, value_name = "CLASS", conflicts_with_all = ["sql", "python"])]
    pub main: Option<String>,
    /// A jar that the application needs; it becomes a layer of its own, which changes seldom
    #[arg(long = "lib", value_name = "JAR", value_hint = ValueHint::FilePath)]
    pub libraries: Vec<PathBuf>,
    /// A connector or format by its name (kafka, jdbc, avro-confluent, ...), in the version for the base's Flink; also
    /// NAME:VERSION, or GROUP:ARTIFACT:VERSION of any other one
    #[arg(long = "connector", value_name = "NAME")]
    pub connectors: Vec<String>,
    /// The image below [default: Flink's, of the profile's version; for --sql the session cluster's]
    #[arg(long, value_name = "IMAGE")]
    pub base: Option<String>,
    /// Name of the image; its tag comes from its content [default: the jar's or script's, without its version]
    #[arg(long)]
    pub name: Option<String>,
    /// Folder of the `--lib` jars below /opt/flink
    #[arg(long, value_name = "FOLDER", default_value = "usrlib")]
    pub into: Folder,
    #[command(flatten)]
    /// What a Dockerfile is built with.
    pub dockerfile: super::file::FileArgs,
    #[command(flatten)]
    /// Where it goes.
    pub to: To,
}

/// What an image is built from: one of these.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub struct From {
    /// The application's jar; it goes into /opt/flink/usrlib
    #[arg(long, value_name = "JAR", value_hint = ValueHint::FilePath)]
    pub jar: Option<PathBuf>,
    /// A Maven or Gradle project: it is built, and its jar is taken
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub project: Option<PathBuf>,
    /// SQL scripts; they go into /opt/flink/usrlib/sql
    #[arg(long, value_name = "SCRIPT", num_args = 1.., value_hint = ValueHint::FilePath)]
    pub sql: Vec<PathBuf>,
    /// Python files; they go into /opt/flink/usrlib/python of a base that has Python
    #[arg(long, value_name = "FILE", num_args = 1.., value_hint = ValueHint::FilePath)]
    pub python: Vec<PathBuf>,
    /// A Dockerfile of your own, built by the engine
    #[arg(long, value_name = "DOCKERFILE", value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,
}

/// Where an image goes.
#[derive(Debug, Clone, Args)]
pub struct To {
    /// Leave the engine out: quicker, but `docker run` and `docker push` do not know the image
    #[arg(long)]
    pub no_engine: bool,
    /// Leave the cluster out
    #[arg(long)]
    pub no_load: bool,
    /// A container with containerd in it, instead of the nodes of the profile's cluster
    #[arg(long = "node", value_name = "CONTAINER", conflicts_with = "no_load")]
    pub nodes: Vec<String>,
    /// The environment's profile
    #[arg(short, long, value_name = "PROFILE")]
    pub profile: Option<String>,
}

/// Folders that Flink takes jars from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Folder {
    /// With the job's own classes
    Usrlib,
    /// With Flink's own
    Lib,
}

pub(super) async fn run(session: &Session, args: &BuildArgs) -> Result<ExitCode> {
    let start = Instant::now();
    if let Some(file) = &args.from.file {
        return super::file::run(session, file, args).await;
    }
    args.dockerfile.unused()?;
    let inputs = inputs(session, args)?;
    // what is typed wrong is found before the engine is asked
    inputs.check(&session.env.cwd)?;
    let (profile, engine, kind) = open(session, args.to.profile.as_deref()).await?;
    let base = base_of(&engine, &profile, args.base.as_deref(), &inputs).await?;
    let nodes = if args.to.no_load {
        Vec::new()
    } else {
        nodes(&engine, &kind, &args.to.nodes).await?
    };
    fits(&base, &nodes)?;
    let targets = Targets {
        nodes: nodes.into_iter().map(|node| node.name).collect(),
        engine: !args.to.no_engine,
    };
    let built = rendered(session, async |events| {
        if targets.nodes.is_empty() && !args.to.no_load {
            events.note(format!(
                "the cluster `{}` is not up: the image goes into {}",
                kind.name(),
                if targets.engine { "the engine only" } else { "nothing" }
            ));
        }
        let cx = StepCx::detached("image", events.clone(), session.cancel.clone());
        let gathered = inputs.gather(&engine, &session.env, &base, &cx).await?;
        gathered.notes.iter().for_each(|note| events.note(note.clone()));
        let image = app::assemble(&engine, &session.env, &base, &gathered.spec).await?;
        let made = start.elapsed();
        let delivery = app::deliver(&engine, &session.env, &image, &targets, &cx).await?;
        let summary = format!("{} is ready ({:.2} s)", image.name, start.elapsed().as_secs_f64());
        Ok(((image, delivery, made), summary))
    });
    let (image, delivery, made) = built.await?;
    let took = start.elapsed();
    let round = |duration: std::time::Duration| (duration.as_secs_f64() * 1000.0).round() / 1000.0;
    session.result(
        &text(&image, &delivery, session.out),
        &json!({
            "v": 1, "event": "image_built", "name": image.name, "id": image.id, "base": image.base,
            "layers": image.layers, "nodes": delivery.nodes, "engine": delivery.engine,
            "build_seconds": round(made), "seconds": round(took),
        }),
    );
    Ok(ExitCode::SUCCESS)
}

/// What the arguments name, with absolute paths.
fn inputs(session: &Session, args: &BuildArgs) -> Result<Inputs> {
    let absolute = |path: &PathBuf| session.env.absolute(path);
    let all = |paths: &[PathBuf]| paths.iter().map(absolute).collect::<Vec<_>>();
    let From {
        jar,
        project,
        sql,
        python,
        file: _,
    } = &args.from;
    let origin = match (jar, project) {
        (Some(jar), _) => Origin::Jar(absolute(jar)),
        (None, Some(dir)) => Origin::Project(absolute(dir)),
        (None, None) if !sql.is_empty() => Origin::Sql(all(sql)),
        (None, None) if !python.is_empty() => Origin::Python(all(python)),
        (None, None) => {
            let message = "nothing is named that an image can be built from";
            return Err(Failure::new(Reason::Usage, message).next("dev image build --help"));
        }
    };
    Ok(Inputs {
        origin,
        main: args.main.clone(),
        libraries: all(&args.libraries),
        connectors: args.connectors.clone(),
        into: match args.into {
            Folder::Usrlib => app::Into::Usrlib,
            Folder::Lib => app::Into::Lib,
        },
        name: args.name.as_deref().map(app::parse_name).transpose()?,
    })
}

/// The image below: the one that was named, else Flink's, for scripts that of the session cluster.
pub(in crate::cli::commands) async fn base_of(
    engine: &Engine,
    profile: &Profile,
    named: Option<&str>,
    inputs: &Inputs,
) -> Result<Base> {
    let names = Names::of(profile);
    let usual = match inputs.origin {
        Origin::Sql(_) | Origin::Files(_) => names.session,
        Origin::Python(_) if profile.session.python => names.session,
        Origin::Jar(_) | Origin::Project(_) | Origin::Python(_) => names.flink,
    };
    Base::find(engine, named.unwrap_or(&usual)).await
}

/// A base that the nodes cannot run is refused before anything is made.
pub(in crate::cli::commands) fn fits(base: &Base, nodes: &[Node]) -> Result<()> {
    let ours = &base.info.architecture;
    let other = nodes
        .iter()
        .find(|node| !node.architecture.is_empty() && node.architecture != *ours);
    match other {
        None => Ok(()),
        Some(node) => Err(Failure::new(
            Reason::ImageUnavailable,
            format!(
                "{} is for {ours}, and the node {} is {}",
                base.name, node.name, node.architecture
            ),
        )
        .next(format!("--base with an image for {}", node.architecture))),
    }
}

fn text(image: &AppImage, delivery: &Delivery, style: Style) -> String {
    let mut lines = vec![style.bold(&image.name)];
    lines.push(format!("  id      {}", image.id));
    lines.push(format!("  base    {}", image.base.name));
    for layer in &image.layers {
        let files = if layer.files == 1 { "file " } else { "files" };
        let reused = if layer.reused { ", from the cache" } else { "" };
        lines.push(format!(
            "  layer   sha256:{}  {:11} {:3} {files} {:>7}{reused}",
            &layer.digest[..12],
            layer.title,
            layer.files,
            human_bytes(layer.size)
        ));
    }
    let line = |to: &str, way: Way, what: String, removed: &[String], took: std::time::Duration| {
        let what = match way {
            Way::Unchanged => "had it".to_owned(),
            Way::Layers => what,
            Way::Files => format!("{what}, as files"),
            Way::Archive => format!("{what}, as one archive"),
        };
        let gone = match removed.len() {
            0 => String::new(),
            1 => format!(", {} removed", removed[0]),
            n => format!(", {n} older builds removed"),
        };
        format!(
            "  {to}  {what}{gone} {}",
            style.dim(&format!("({:.2} s)", took.as_secs_f64()))
        )
    };
    for node in &delivery.nodes {
        let layers = if node.layers == 1 { "layer" } else { "layers" };
        let what = format!("{} {layers}, {}", node.layers, human_bytes(node.bytes));
        lines.push(line(
            &format!("node    {}", node.node),
            node.way,
            what,
            &node.removed,
            node.took,
        ));
    }
    if let Some(engine) = &delivery.engine {
        lines.push(line(
            "engine",
            engine.way,
            "loaded".to_owned(),
            &engine.removed,
            engine.took,
        ));
    }
    lines.join("\n")
}
