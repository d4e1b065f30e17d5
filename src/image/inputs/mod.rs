//! From what a user has (a jar, a project, SQL or Python files, names of connectors) to what an image is made of:
//! projects are built, connectors fetched, and everything is checked against the base before anything is made.

mod base_lib;
mod scripts;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::app::{self, Base, File, Group, Jars, Source, Spec};
use super::connector::{self, Choice};
use super::jar::{self, Artifact, Target};
use super::project;
use crate::container::Engine;
use crate::diag::{Failure, Reason, Result};
use crate::engine::StepCx;
use crate::env::Env;

/// Where the classes of Flink itself lie; what a session cluster runs has to be there.
const LIB: &str = "/opt/flink/lib";

/// What an application is made from. Paths are absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A jar.
    Jar(PathBuf),
    /// A folder with a Maven or Gradle project.
    Project(PathBuf),
    /// SQL scripts; they go into `/opt/flink/usrlib/sql`.
    Sql(Vec<PathBuf>),
    /// Python files; they go into `/opt/flink/usrlib/python`.
    Python(Vec<PathBuf>),
    /// Files that whoever hands them in has checked, with their places in the image.
    Files(Vec<File>),
}

/// All that goes into an image over its base.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// What it is made from.
    pub origin: Origin,
    /// The class that Flink starts.
    pub main: Option<String>,
    /// Jars that it needs.
    pub libraries: Vec<PathBuf>,
    /// Connectors, as a user writes them.
    pub connectors: Vec<String>,
    /// Where libraries and connectors of a jar go; those of scripts always go into `lib`.
    pub into: app::Into,
    /// Name of the image without a tag; `None`: that of the jar or the first script.
    pub name: Option<String>,
}

/// What was made of them.
#[derive(Debug, Clone)]
pub struct Gathered {
    /// What the image is made of.
    pub spec: Spec,
    /// The application's jar, if it has one.
    pub jar: Option<PathBuf>,
    /// What a user should know, one line each.
    pub notes: Vec<String>,
}

impl Inputs {
    /// What can be told before an engine is asked: files are there, scripts can run, a folder is a project.
    ///
    /// # Errors
    /// [`Reason::FileUnreadable`], [`Reason::SqlInvalid`], [`Reason::ProjectInvalid`].
    pub fn check(&self, cwd: &Path) -> Result<()> {
        match &self.origin {
            Origin::Jar(path) => app::Jar::open(path.clone()).map(|_| ()),
            Origin::Project(dir) => project::tool_of(dir).map(|_| ()),
            Origin::Sql(files) => scripts::sql(files, cwd).map(|_| ()),
            Origin::Python(files) => scripts::python(files, cwd).map(|_| ()),
            Origin::Files(_) => Ok(()),
        }?;
        self.libraries
            .iter()
            .try_for_each(|path| app::Jar::open(path.clone()).map(|_| ()))
    }

    /// Builds, fetches and checks. `cx` gets the output and what is waited for.
    ///
    /// # Errors
    /// Those of [`Self::check`], [`project::build`], [`connector::choose`], [`connector::fetch`] and [`jar::check`];
    /// [`Reason::ImageUnavailable`] for Python on a base without one.
    pub async fn gather(&self, engine: &Engine, env: &Env, base: &Base, cx: &StepCx) -> Result<Gathered> {
        let target = Target::of(&base.name, &base.info);
        // what is named wrong is found before a project is built
        let chosen = choose_all(&self.connectors, &target)?;
        let mut notes: Vec<String> = chosen.iter().flat_map(|c| c.notes.clone()).collect();
        let mut artifacts: Vec<Artifact> = chosen.into_iter().flat_map(|c| c.artifacts).collect();
        artifacts.sort();
        artifacts.dedup();
        let app = match &self.origin {
            Origin::Jar(path) => Some(path.clone()),
            Origin::Project(dir) => {
                let built = project::build(dir, self.main.as_deref(), engine, env, cx).await?;
                notes.push(format!(
                    "{} built {}",
                    built.tool,
                    crate::watch::shown(&built.jar, &env.cwd)
                ));
                Some(built.jar)
            }
            Origin::Sql(_) | Origin::Python(_) | Origin::Files(_) => None,
        };
        let lib = if artifacts.is_empty() {
            None
        } else {
            Some(base_lib::jars(engine, env, base).await?)
        };
        let artifacts = without_those_of_the_base(artifacts, lib.as_deref().unwrap_or_default(), base, &mut notes);
        let fetched = connector::fetch(&artifacts, engine, env, cx).await?;
        let open = |path: &PathBuf| app::Jar::open(path.clone());
        let libraries: Vec<app::Jar> = self.libraries.iter().chain(&fetched).map(open).collect::<Result<_>>()?;
        match app {
            Some(path) => {
                let app = open(&path)?;
                let main = self
                    .checked((Some(&app), &libraries), lib, (engine, base, &target), env, &mut notes)
                    .await?;
                let name = self.name.clone().unwrap_or_else(|| app::default_name(&path));
                let jars = Jars {
                    app,
                    libraries,
                    into: self.into,
                    main,
                };
                Ok(Gathered {
                    spec: app::from_jars(&name, &jars, base)?,
                    jar: Some(path),
                    notes,
                })
            }
            None => {
                self.checked((None, &libraries), lib, (engine, base, &target), env, &mut notes)
                    .await?;
                let spec = self.of_scripts(&libraries, engine, base, env).await?;
                Ok(Gathered { spec, jar: None, notes })
            }
        }
    }

    /// Looks into all jars before anything is made of them; tells the class that is to be started.
    async fn checked(
        &self,
        (app, libraries): (Option<&app::Jar>, &[app::Jar]),
        lib: Option<Vec<jar::Jar>>,
        (engine, base, target): (&Engine, &Base, &Target),
        env: &Env,
        notes: &mut Vec<String>,
    ) -> Result<Option<String>> {
        let jars: Vec<app::Jar> = app.into_iter().chain(libraries).cloned().collect();
        let (cwd, scripts) = (env.cwd.clone(), app.is_none());
        let look = move || {
            let looked = jars.iter().map(|jar| {
                let shown = jar.path.strip_prefix(&cwd).unwrap_or(&jar.path);
                let mut looked = match &jar.bytes {
                    Some(bytes) => jar::read_bytes(shown, bytes)?,
                    None => jar::read(&jar.path)?,
                };
                shown.clone_into(&mut looked.path);
                if scripts {
                    // the manifest of a library says nothing about what is to be started
                    looked.main_class = None;
                }
                Ok(looked)
            });
            looked.collect::<Result<Vec<_>>>()
        };
        let looked = tokio::task::spawn_blocking(look)
            .await
            .map_err(|e| Failure::new(Reason::Internal, "looking into jars panicked").cause(&e))??;
        // only what has connectors can clash with the image's
        let lib = match lib {
            Some(lib) => lib,
            None if looked.iter().any(|jar| !jar.factories.is_empty()) => base_lib::jars(engine, env, base).await?,
            None => Vec::new(),
        };
        let checked = jar::check(&looked, self.main.as_deref(), target, &lib)?;
        notes.extend(checked.notes);
        Ok(checked.main_class)
    }

    async fn of_scripts(&self, libraries: &[app::Jar], engine: &Engine, base: &Base, env: &Env) -> Result<Spec> {
        let (files, first) = match &self.origin {
            Origin::Sql(files) => (scripts::sql(files, &env.cwd)?, files.first()),
            Origin::Python(files) => {
                scripts::needs_python(engine, base).await?;
                (scripts::python(files, &env.cwd)?, files.first())
            }
            Origin::Files(files) => (files.clone(), None),
            Origin::Jar(_) | Origin::Project(_) => (Vec::new(), None),
        };
        let name = self
            .name
            .clone()
            .or_else(|| first.map(|path| app::default_name(path)))
            .unwrap_or_else(|| "app".to_owned());
        let library = |jar: &app::Jar| File {
            target: format!("{LIB}/{}", jar.path.file_name().unwrap_or_default().to_string_lossy()),
            source: jar
                .bytes
                .clone()
                .map_or_else(|| Source::Path(jar.path.clone()), Source::Bytes),
            mode: 0o644,
        };
        Ok(Spec {
            name,
            groups: vec![
                Group {
                    title: "libraries".to_owned(),
                    files: libraries.iter().map(library).collect(),
                },
                Group {
                    title: "scripts".to_owned(),
                    files,
                },
            ],
            env: BTreeMap::new(),
            labels: BTreeMap::new(),
        })
    }
}

/// Names of the jars in a base image's `lib` folder.
///
/// # Errors
/// What the engine answers.
pub async fn lib_of(engine: &Engine, env: &Env, base: &Base) -> Result<Vec<String>> {
    let jars = base_lib::jars(engine, env, base).await?;
    Ok(jars.iter().map(jar::Jar::name).collect())
}

/// What the base has already, under its very name, is left out.
fn without_those_of_the_base(
    artifacts: Vec<Artifact>,
    lib: &[jar::Jar],
    base: &Base,
    notes: &mut Vec<String>,
) -> Vec<Artifact> {
    let (there, missing): (Vec<_>, Vec<_>) = artifacts
        .into_iter()
        .partition(|artifact| lib.iter().any(|jar| jar.name() == artifact.file()));
    notes.extend(
        there
            .iter()
            .map(|artifact| format!("{} has {} {} already", base.name, artifact.id, artifact.version)),
    );
    missing
}

/// What names of connectors stand for on this base: pure.
fn choose_all(asked: &[String], target: &Target) -> Result<Vec<Choice>> {
    asked
        .iter()
        .map(|name| match &target.flink {
            Some(flink) => connector::choose(name, flink, &target.image),
            None => Err(Failure::new(
                Reason::ConnectorInvalid,
                format!(
                    "nothing tells which Flink {} has, so no version of `{name}` can be chosen",
                    target.image
                ),
            )
            .next("give the connector's file: --lib FILE")
            .next("a base that tells: --base flink:2.2.1-java17")),
        })
        .collect()
}
