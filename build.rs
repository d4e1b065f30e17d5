//! Puts the files that images are built from into the program, so that it needs no checkout to run.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders of the repository that go in. Tests of the SQL runner are no part of its image.
const FOLDERS: [&str; 2] = ["dockerfiles", "sql-runner"];

fn main() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in FOLDERS {
        println!("cargo:rerun-if-changed={folder}");
        collect(&root, Path::new(folder), &mut files);
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

fn collect(root: &Path, folder: &Path, files: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(root.join(folder)) else {
        return;
    };
    for entry in entries.flatten() {
        let path = folder.join(entry.file_name());
        let name = path
            .to_str()
            .expect("paths of the repository are Unicode")
            .replace('\\', "/");
        if name == "sql-runner/target" || name == "sql-runner/src/test" {
            continue;
        }
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => collect(root, &path, files),
            Ok(_) => files.push(name),
            Err(_) => {}
        }
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
