//! Which of the jars that a build leaves behind is the application.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::tool::Tool;
use crate::diag::{Failure, Reason, Result};
use crate::image::jar;

/// How deep modules lie below a project.
const DEPTH: usize = 4;
/// Jars that are no application.
const NOT: [&str; 7] = [
    "-sources.jar",
    "-javadoc.jar",
    "-tests.jar",
    "-test-sources.jar",
    "-test-fixtures.jar",
    "-plain.jar",
    "-test.jar",
];
/// How the jar with everything in it is called beside the one without.
const FAT: [&str; 6] = [
    "-shaded.jar",
    "-all.jar",
    "-uber.jar",
    "-fat.jar",
    "-jar-with-dependencies.jar",
    "-bundled.jar",
];

/// The jar of a project that was just built. `main`: the class that a user named; `since`: when the build began.
///
/// # Errors
/// [`Reason::ProjectInvalid`] if there is none, or several that may be meant: they are listed.
pub(super) fn find(project: &Path, tool: Tool, main: Option<&str>, since: SystemTime) -> Result<PathBuf> {
    let mut all = Vec::new();
    collect(project, tool, DEPTH, &mut all);
    all.sort();
    choose(project, all, main, since)
}

fn collect(dir: &Path, tool: Tool, depth: usize, found: &mut Vec<PathBuf>) {
    let output = match tool {
        Tool::Maven => dir.join("target"),
        Tool::Gradle => dir.join("build/libs"),
    };
    found.extend(entries(&output).into_iter().filter(|path| is_application(path)));
    if depth == 0 {
        return;
    }
    for path in entries(dir) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let module = !name.starts_with('.') && !["target", "build", "src", "node_modules"].contains(&&*name);
        if module && path.is_dir() && !path.is_symlink() {
            collect(&path, tool, depth - 1, found);
        }
    }
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect()
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn is_application(path: &Path) -> bool {
    let name = name(path);
    name.ends_with(".jar")
        && !NOT.iter().any(|ending| name.ends_with(ending))
        // the shade plugin keeps what it replaced
        && !name.starts_with("original-")
        && path.is_file()
}

fn choose(project: &Path, mut left: Vec<PathBuf>, main: Option<&str>, since: SystemTime) -> Result<PathBuf> {
    let has_class =
        |path: &Path| main.is_some_and(|main| jar::read(path).is_ok_and(|jar| jar.classes.contains_key(main)));
    let is_fat = |path: &Path| FAT.iter().any(|ending| name(path).ends_with(ending));
    let replaced = |path: &Path| path.with_file_name(format!("original-{}", name(path))).is_file();
    let is_new = |path: &Path| path.metadata().and_then(|m| m.modified()).is_ok_and(|at| at >= since);
    let starts = |path: &Path| jar::read(path).is_ok_and(|jar| jar.main_class.is_some());
    // each tells more than the next; one that none or all of them pass tells nothing
    let signs: [&dyn Fn(&Path) -> bool; 5] = [&has_class, &is_fat, &replaced, &starts, &is_new];
    for sign in signs {
        if left.len() < 2 {
            break;
        }
        let kept: Vec<PathBuf> = left.iter().filter(|path| sign(path)).cloned().collect();
        if !kept.is_empty() {
            left = kept;
        }
    }
    match left.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(Failure::new(
            Reason::ProjectInvalid,
            format!("{} was built, but there is no jar", project.display()),
        )
        .evidence("looked in target/ and build/libs/, also of modules")
        .next("give its file: --jar FILE")),
        several => {
            let list: Vec<_> = several.iter().map(|path| path.display().to_string()).collect();
            let failure = Failure::new(
                Reason::ProjectInvalid,
                format!("{} has {} jars that may be meant", project.display(), several.len()),
            )
            .evidence(list.join("\n"));
            Err(list
                .iter()
                .take(3)
                .fold(failure, |failure, path| failure.next(format!("--jar {path}"))))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::image::jar::testing::{class, jar};

    fn project(jars: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for path in jars {
            let path = dir.path().join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            jar(path.parent().unwrap(), &name(&path), &[("a/Job.class", class(17))]);
        }
        dir
    }

    fn found(dir: &tempfile::TempDir, main: Option<&str>) -> Result<String> {
        find(dir.path(), Tool::Maven, main, SystemTime::UNIX_EPOCH)
            .map(|path| path.strip_prefix(dir.path()).unwrap().display().to_string())
    }

    #[test]
    fn the_application_is_told_from_its_companions() {
        let dir = project(&[
            "target/job-1.jar",
            "target/job-1-sources.jar",
            "target/original-job-1.jar",
            "target/lib/x.jar",
        ]);
        assert_eq!(found(&dir, None).unwrap(), "target/job-1.jar");
        let dir = project(&["target/job-1.jar", "target/job-1-shaded.jar", "src/target/no.jar"]);
        assert_eq!(found(&dir, None).unwrap(), "target/job-1-shaded.jar");
        // one module is shaded, the others are its libraries
        let dir = project(&[
            "common/target/common.jar",
            "app/target/app.jar",
            "app/target/original-app.jar",
        ]);
        assert_eq!(found(&dir, None).unwrap(), "app/target/app.jar");
    }

    #[test]
    fn several_that_may_be_meant_are_listed() {
        let dir = project(&["a/target/a.jar", "b/target/b.jar"]);
        let failure = found(&dir, None).unwrap_err();
        assert_eq!(failure.id(), Reason::ProjectInvalid);
        assert!(failure.to_string().ends_with("has 2 jars that may be meant"));
        assert_eq!(failure.next_steps().len(), 2);
        // a class that only one of them has
        jar(&dir.path().join("b/target"), "b.jar", &[("b/Main.class", class(17))]);
        assert_eq!(found(&dir, Some("b.Main")).unwrap(), "b/target/b.jar");
    }

    #[test]
    fn a_jar_of_an_earlier_version_is_not_meant() {
        let dir = project(&["target/job-1.jar", "target/job-2.jar"]);
        let old = SystemTime::now() - Duration::from_secs(3600);
        let file = std::fs::File::options()
            .write(true)
            .open(dir.path().join("target/job-1.jar"))
            .unwrap();
        file.set_modified(old).unwrap();
        let since = old + Duration::from_secs(60);
        let path = find(dir.path(), Tool::Maven, None, since).unwrap();
        assert_eq!(name(&path), "job-2.jar");
    }

    #[test]
    fn a_project_without_a_jar_says_so() {
        let dir = project(&["target/x-tests.jar"]);
        assert!(found(&dir, None).unwrap_err().to_string().contains("there is no jar"));
    }
}
