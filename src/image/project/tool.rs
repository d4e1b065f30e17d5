//! Which tool builds a project.

use std::path::{Path, PathBuf};

use crate::diag::{Failure, Reason, Result};
use crate::env::Env;
use crate::image::maven;
use crate::process::find;

/// The files that make a folder a project, in the order in which they are looked for.
const MAVEN: &str = "pom.xml";
const GRADLE: [&str; 4] = [
    "build.gradle",
    "build.gradle.kts",
    "settings.gradle",
    "settings.gradle.kts",
];

/// What builds a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// There is a `pom.xml`.
    Maven,
    /// There is a `build.gradle` or its kin.
    Gradle,
}

/// The tool that builds the project in `dir`.
///
/// # Errors
/// [`Reason::FileUnreadable`] if there is no such folder; [`Reason::ProjectInvalid`] if it is no project.
pub fn tool_of(dir: &Path) -> Result<Tool> {
    let shown = dir.display();
    if !dir.is_dir() {
        let what = if dir.exists() { "is no folder" } else { "is not there" };
        return Err(Failure::new(
            Reason::FileUnreadable,
            format!("the project {shown} {what}"),
        ));
    }
    if dir.join(MAVEN).is_file() {
        return Ok(Tool::Maven);
    }
    if GRADLE.iter().any(|name| dir.join(name).is_file()) {
        return Ok(Tool::Gradle);
    }
    let failure = Failure::new(
        Reason::ProjectInvalid,
        format!("{shown} is neither a Maven nor a Gradle project"),
    )
    .evidence("it has no pom.xml and no build.gradle(.kts)");
    // most often it is the folder above, or one of those in it
    let near = dir.parent().into_iter().map(Path::to_owned).chain(folders(dir));
    Err(match near.into_iter().find(|d| build_files(d).next().is_some()) {
        Some(near) => failure.next(format!("--project {}", near.display())),
        None => failure,
    }
    .next("a jar that is built already: --jar FILE"))
}

/// The build files of a folder that are there.
pub fn build_files(dir: &Path) -> impl Iterator<Item = PathBuf> + '_ {
    std::iter::once(MAVEN)
        .chain(GRADLE)
        .map(|name| dir.join(name))
        .filter(|path| path.is_file())
}

fn folders(dir: &Path) -> Vec<PathBuf> {
    let entries = fs_err::read_dir(dir).into_iter().flatten().flatten();
    let mut folders: Vec<_> = entries.map(|e| e.path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

/// The project's Gradle wrapper, else the Gradle on the `PATH`.
///
/// # Errors
/// [`Reason::ToolMissing`] if there is neither.
pub(super) fn gradle(env: &Env, dir: &Path) -> Result<PathBuf> {
    let build_file = GRADLE
        .into_iter()
        .find(|name| dir.join(name).is_file())
        .unwrap_or(GRADLE[0]);
    maven::wrapper(dir, "gradlew", build_file)
        .or_else(|| find(env, "gradle"))
        .ok_or_else(|| {
            Failure::new(
                Reason::ToolMissing,
                format!(
                    "{} is a Gradle project without a wrapper, and there is no `gradle`",
                    dir.display()
                ),
            )
            .next("add the wrapper to the project: gradle wrapper")
            .next("build it yourself, then: dev image build --jar FILE")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_told_by_its_files() {
        let dir = tempfile::tempdir().unwrap();
        let module = dir.path().join("app");
        fs_err::create_dir_all(&module).unwrap();
        fs_err::write(module.join("build.gradle.kts"), "").unwrap();
        assert_eq!(tool_of(&module).unwrap(), Tool::Gradle);
        let failure = tool_of(dir.path()).unwrap_err();
        assert_eq!(failure.id(), Reason::ProjectInvalid);
        assert_eq!(failure.next_steps()[0], format!("--project {}", module.display()));
        fs_err::write(dir.path().join("pom.xml"), "").unwrap();
        assert_eq!(tool_of(dir.path()).unwrap(), Tool::Maven);
        assert_eq!(
            tool_of(&dir.path().join("none")).unwrap_err().id(),
            Reason::FileUnreadable
        );
        assert_eq!(
            tool_of(&dir.path().join("pom.xml")).unwrap_err().id(),
            Reason::FileUnreadable
        );
    }
}
