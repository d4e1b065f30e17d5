//! The Python files of a job: its own, and the modules beside it that it imports.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::diag::{Failure, Reason, Result};

/// What all files together may have: an object of Kubernetes takes 1.5 MiB, and files grow by a third in it.
const MOST_BYTES: usize = 900 * 1024;

/// The files by their paths below the program's folder: the program, the modules in its folder that it imports, and what
/// those import; of a package, all of it. `shown` is what the program is called in messages.
///
/// # Errors
/// [`Reason::FileUnreadable`]; [`Reason::Usage`] if they are more than a job's object takes.
pub(super) fn files(program: &Path, shown: &Path) -> Result<BTreeMap<String, String>> {
    let folder = program.parent().unwrap_or(Path::new("."));
    let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let text = read(program, shown)?;
    let mut files = BTreeMap::from([(name, text.clone())]);
    add(folder, &text, &mut files)?;
    let size: usize = files.values().map(String::len).sum();
    if size > MOST_BYTES {
        let message = format!("{} and the modules beside it have {size} bytes", shown.display());
        return Err(Failure::new(Reason::Usage, message)
            .evidence(format!("a job's object takes {MOST_BYTES}"))
            .next(format!("dev job run {} --application", shown.display())));
    }
    Ok(files)
}

fn add(folder: &Path, text: &str, files: &mut BTreeMap<String, String>) -> Result<()> {
    for module in imported(text) {
        let (file, package) = (folder.join(format!("{module}.py")), folder.join(&module));
        let found = if package.join("__init__.py").is_file() {
            python_files(&package)?
        } else if file.is_file() {
            vec![file]
        } else {
            continue;
        };
        for path in found {
            let below = path.strip_prefix(folder).unwrap_or(&path);
            let name = below.to_string_lossy().replace('\\', "/");
            if let Entry::Vacant(free) = files.entry(name) {
                let text = free.insert(read(&path, &path)?).clone();
                add(folder, &text, files)?;
            }
        }
    }
    Ok(())
}

/// The Python files below a folder.
fn python_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |e: std::io::Error| Failure::new(Reason::FileUnreadable, "a package cannot be read").cause(&e);
    let mut found = Vec::new();
    for entry in fs_err::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            found.extend(python_files(&path)?);
        } else if path.extension().is_some_and(|end| end == "py") {
            found.push(path);
        }
    }
    Ok(found)
}

/// The first parts of the modules in the `import` statements of a text. A word too many (in a text of several lines, say)
/// only brings a file that nobody asks for.
fn imported(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut add = |name: &str| {
        let first = name.trim().split(['.', ' ', '\t']).next().unwrap_or_default();
        let good = |c: char| c.is_alphanumeric() || c == '_';
        if !first.is_empty() && first.chars().all(good) {
            found.insert(first.to_owned());
        }
    };
    for line in text.lines().map(str::trim_start) {
        if let Some(names) = line.strip_prefix("import ") {
            names
                .split('#')
                .next()
                .unwrap_or_default()
                .split(',')
                .for_each(&mut add);
        } else if let Some(rest) = line.strip_prefix("from ") {
            add(rest);
        }
    }
    found
}

fn read(path: &Path, shown: &Path) -> Result<String> {
    fs_err::read_to_string(path).map_err(|e| {
        Failure::new(Reason::FileUnreadable, "a program cannot be read")
            .at(shown, 0, 0)
            .cause(&e)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_travels_with_the_modules_that_it_imports() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write(
            "job.py",
            "import os, helper as h  # more\nfrom pack.deep import x\nimport other.thing\n",
        );
        write("helper.py", "def f():\n    from second import y\n    import job\n");
        write("second.py", "");
        write("not_imported.py", "");
        write("pack/__init__.py", "");
        write("pack/deep/__init__.py", "import helper");
        write("pack/data.txt", "");
        let found = |name: &str| files(&dir.path().join(name), Path::new(name));
        let names: Vec<String> = found("job.py").unwrap().into_keys().collect();
        assert_eq!(
            names,
            [
                "helper.py",
                "job.py",
                "pack/__init__.py",
                "pack/deep/__init__.py",
                "second.py"
            ]
        );
        assert_eq!(found("gone.py").unwrap_err().id(), Reason::FileUnreadable);
        write("large.py", &"#".repeat(MOST_BYTES + 1));
        assert_eq!(found("large.py").unwrap_err().id(), Reason::Usage);
    }
}
