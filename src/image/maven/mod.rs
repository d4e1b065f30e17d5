//! Maven: the user's own, with all its settings, or the one in `flink-dev/jdk`, on machines that have none.

mod image;
mod told;

use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

pub(super) use image::{UPDATE_SNAPSHOTS, run_in_image};
pub(super) use told::{errors, unavailable};

use crate::env::Env;
use crate::process::{Program, find};

/// A Maven that is already on this machine: the project's wrapper, else the one on the `PATH`. `None` if there is
/// neither, or it does not even tell its version (no Java).
pub(super) async fn on_this_machine(env: &Env, project: Option<&Path>, cancel: &CancellationToken) -> Option<PathBuf> {
    let wrapper = project.and_then(|dir| wrapper(dir, "mvnw", "pom.xml"));
    let program = wrapper.or_else(|| find(env, "mvn"))?;
    let asked = Program::new(&program).arg("--version").tethered();
    let asked = match project {
        Some(dir) => asked.cwd(dir),
        None => asked,
    };
    asked.output(cancel).await.is_ok().then_some(program)
}

/// The wrapper of a build tool: in the project, or above it where the project is one of several modules.
pub(super) fn wrapper(project: &Path, name: &str, build_file: &str) -> Option<PathBuf> {
    project
        .ancestors()
        .take_while(|dir| *dir == project || dir.join(build_file).is_file())
        .map(|dir| dir.join(name))
        .find(|path| is_program(path))
}

#[cfg(unix)]
fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs_err::metadata(path).is_ok_and(|info| info.is_file() && info.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(path: &Path) -> bool {
    path.is_file()
}

/// The user's settings (mirrors, proxies, passwords of repositories); an empty file's worth if there are none.
pub(super) fn user_settings(env: &Env) -> Vec<u8> {
    fs_err::read(env.home.join(".m2/settings.xml")).unwrap_or_else(|_| b"<settings/>\n".to_vec())
}
