//! Finds test cases.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::diag::{Failure, Reason, Result};

/// How the name of a test case's file ends.
pub const CASE_SUFFIX: &str = ".test.yaml";

/// The cases that `paths` name: a file is a case itself, a folder holds them at any depth in files that end in
/// `.test.yaml`. Folders whose name begins with a dot, and links to folders, are passed over. In order of their paths,
/// each once.
///
/// # Errors
/// `FILE_UNREADABLE` for a path that is not there or cannot be listed, `CASE_INVALID` for one without any case.
pub fn find_cases(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut cases = BTreeSet::new();
    for path in paths {
        if path.is_dir() {
            let mut below = Vec::new();
            walk(path, &mut below)?;
            if below.is_empty() {
                let message = format!("there is no test case in `{}`", path.display());
                return Err(Failure::new(Reason::CaseInvalid, message)
                    .next(format!("the name of a case's file ends in `{CASE_SUFFIX}`")));
            }
            cases.extend(below);
        } else if !path.exists() {
            let message = format!("there is no file or folder `{}`", path.display());
            return Err(Failure::new(Reason::FileUnreadable, message));
        } else if path.extension().is_some_and(|end| end == "yaml" || end == "yml") {
            cases.insert(path.clone());
        } else {
            let message = format!("`{}` is no test case: those are YAML", path.display());
            let failure = Failure::new(Reason::CaseInvalid, message);
            return Err(match path.extension() {
                Some(end) if end == "sql" => failure.next("name the case that has the script behind `sql:`"),
                _ => failure,
            });
        }
    }
    if cases.is_empty() {
        return Err(Failure::new(Reason::CaseInvalid, "no test case was named").next("dev test PATH"));
    }
    Ok(cases.into_iter().collect())
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let unreadable = |error: std::io::Error| {
        Failure::new(
            Reason::FileUnreadable,
            format!("the folder `{}` cannot be read", folder.display()),
        )
        .evidence(error.to_string())
    };
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // of a link to a folder this says "link": no loops
        let is_folder = entry.file_type().map_err(unreadable)?.is_dir();
        if is_folder && !name.starts_with('.') {
            walk(&entry.path(), found)?;
        } else if !is_folder && name.ends_with(CASE_SUFFIX) {
            found.push(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_are_found_in_order_and_once() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "").unwrap();
            path
        };
        let (b, a) = (file("b/x.test.yaml"), file("a/deep/y.test.yaml"));
        let other = file("c/plain.yaml");
        file("c/notes.txt");
        file(".hidden/z.test.yaml");
        let root = dir.path().to_owned();
        assert_eq!(find_cases(&[root.clone(), b.clone()]).unwrap(), [a.clone(), b.clone()]);
        assert_eq!(find_cases(&[b.clone(), a.clone()]).unwrap(), [a, b]);
        assert_eq!(find_cases(std::slice::from_ref(&other)).unwrap(), [other]);
        let told = |path: &str| find_cases(&[root.join(path)]).unwrap_err();
        assert_eq!(told("c").id(), Reason::CaseInvalid);
        assert!(
            told("c").to_string().starts_with("there is no test case in"),
            "{}",
            told("c")
        );
        assert_eq!(told("absent").id(), Reason::FileUnreadable);
        assert_eq!(told("c/notes.txt").id(), Reason::CaseInvalid);
        assert!(find_cases(&[]).is_err());
    }
}
