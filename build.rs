//! Puts the files that images are built from into the program, so that it needs no checkout to run.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// What of the repository goes in. Maven writes into `sql-runner/target`: watching all of `sql-runner` would have the
/// crate compiled anew after each of its builds. Tests of the SQL runner are no part of its image.
const WANTED: [&str; 4] = [
    "dockerfiles",
    "sql-runner/pom.xml",
    "sql-runner/src/main",
    "sql-runner/python/flinkdev_sql",
];

fn main() {
    // as it is now, not as it was when this program was compiled: a target folder may have been copied
    let root = std::env::var_os("CARGO_MANIFEST_DIR").expect("Cargo sets CARGO_MANIFEST_DIR for build scripts");
    let root = PathBuf::from(root);
    let mut files = Vec::new();
    for wanted in WANTED {
        println!("cargo:rerun-if-changed={wanted}");
        collect(&root, Path::new(wanted), &mut files);
    }
    files.sort();
    let mut code = String::from("&[\n");
    for file in files {
        let path = root.join(&file);
        // the working copy's permissions differ with the umask: what counts is whether it is a program
        let mode = if is_executable(&path) { "0o755" } else { "0o644" };
        let _ = writeln!(code, "    ({file:?}, {mode}, include_bytes!({path:?})),");
    }
    code.push_str("]\n");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("Cargo sets OUT_DIR for build scripts"));
    fs::write(out.join("embedded.rs"), code).expect("Cargo's OUT_DIR is writable");
}

/// Adds `path`, or the files below it if it is a folder.
fn collect(root: &Path, path: &Path, files: &mut Vec<String>) {
    // what Python leaves beside its sources
    if path.ends_with("__pycache__") {
        return;
    }
    let Ok(entries) = fs::read_dir(root.join(path)) else {
        let name = path.to_str().expect("paths of the repository are Unicode");
        files.push(name.replace('\\', "/"));
        return;
    };
    for entry in entries {
        let entry = entry.expect("folders of the repository can be read");
        collect(root, &path.join(entry.file_name()), files);
    }
}

#[cfg(unix)]
fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|m| m.permissions().mode() & 0o100 != 0)
}

#[cfg(not(unix))]
fn is_executable(_: &Path) -> bool {
    false
}
