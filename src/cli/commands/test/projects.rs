//! Projects whose jars cases run: built once a run, before the first case.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::cli::session::Session;
use crate::config::Case;
use crate::container::Engine;
use crate::diag::{Failure, Reason, Result};
use crate::event::EventSink;
use crate::image::{jar, project};
use crate::job::Stage;
use crate::watch::sources;

/// Adds the sources of their projects to the files that cases are made of, before they are built.
pub(super) fn add_sources(cases: &mut [Case]) {
    for case in cases {
        if let Some((folder, _)) = case.program.project() {
            case.files.extend(sources(folder));
        }
    }
}

/// Builds the projects of cases, each once; the cases have their jars then.
///
/// # Errors
/// Those of [`project::build`]; [`Reason::JarInvalid`] if a jar has not the class that a case starts, or names none.
pub(super) async fn build(session: &Session, engine: &Engine, cases: &mut [Case], events: &EventSink) -> Result<()> {
    let mut made: BTreeMap<(PathBuf, Option<String>), PathBuf> = BTreeMap::new();
    for case in cases.iter_mut().filter(|case| case.skip.is_none()) {
        let Some((folder, class)) = case.program.project() else {
            continue;
        };
        let key = (folder.to_owned(), class.map(str::to_owned));
        let jar = match made.get(&key) {
            Some(jar) => jar.clone(),
            None => {
                let title = format!(
                    "build {}",
                    folder.strip_prefix(&session.env.cwd).unwrap_or(folder).display()
                );
                let stage = Stage::start(events, &session.cancel, "project", title);
                let cx = stage.cx().clone();
                let building = project::build(folder, class, engine, &session.env, &cx);
                let told = |built: &project::Built| format!("{} by {}", built.jar.display(), built.tool);
                stage.run(building, told).await?.jar
            }
        };
        let main = main_class(case, &jar)?;
        case.program = std::mem::take(&mut case.program).built(jar.clone(), main);
        made.insert(key, jar);
    }
    Ok(())
}

/// The class of a jar that starts the job of a case; none is asked for where a script runs.
fn main_class(case: &Case, path: &Path) -> Result<Option<String>> {
    if !case.program.script().is_empty() {
        return Ok(None);
    }
    let asked = case.program.project().and_then(|(_, class)| class);
    let class = jar::main_class(&[jar::read(path)?], asked).map_err(|failure| failure.at(case.file.clone(), 0, 0))?;
    let none = || {
        let message = format!("the manifest of {} names no class", path.display());
        let failure = Failure::new(Reason::JarInvalid, message).at(case.file.clone(), 0, 0);
        failure.next("say `class: CLASS` in the case")
    };
    class.map(Some).ok_or_else(none)
}
