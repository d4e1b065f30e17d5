//! Which programs are there, and of which version.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::env::Env;
use crate::process::{Program, find};

/// How long a program has to tell its version.
const ANSWER: Duration = Duration::from_secs(2);

/// The oldest kind that understands what we ask of it.
pub(super) const KIND: (u32, u32) = (0, 31);

/// The programs that matter on the host; all else runs inside image builds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tools {
    /// Docker's command line, which kind calls.
    pub(super) docker: Option<PathBuf>,
    /// The daemon.
    pub(super) dockerd: Option<PathBuf>,
    /// Makes a Debian base image where none can be pulled.
    pub(super) debootstrap: Option<PathBuf>,
    /// kind, and what it said of its version.
    pub(super) kind: Option<(PathBuf, String)>,
    /// The kind that dev keeps for itself.
    pub(super) own_kind: Option<PathBuf>,
}

/// Looks for all of them.
pub(super) async fn probe(env: &Env) -> Tools {
    let kind = match find(env, "kind") {
        Some(path) => {
            let told = answer(Program::new(&path).arg("version")).await;
            Some((path, told.unwrap_or_else(|| "does not tell its version".to_owned())))
        }
        None => None,
    };
    Tools {
        docker: find(env, "docker"),
        dockerd: find_admin(env, "dockerd"),
        debootstrap: find_admin(env, "debootstrap"),
        kind,
        own_kind: own_kind(&env.cache_dir().join("tools")),
    }
}

/// What a program prints, on one line; `None` if it does not end well in time.
pub(super) async fn answer(program: Program) -> Option<String> {
    let cancel = CancellationToken::new();
    let text = timeout(ANSWER, program.output(&cancel)).await.ok()?.ok()?;
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Major and minor version in the answer of `kind version` (`kind v0.33.0 go1.26 linux/amd64`).
pub(super) fn kind_version(answer: &str) -> Option<(u32, u32)> {
    let version = answer.split_whitespace().find_map(|word| word.strip_prefix('v'))?;
    let mut parts = version.split(['.', '-', '+']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Looks a program up where administrators have theirs, too: a user's `PATH` often leaves those folders out.
fn find_admin(env: &Env, name: &str) -> Option<PathBuf> {
    find(env, name).or_else(|| {
        ["/usr/local/sbin", "/usr/sbin", "/sbin"]
            .iter()
            .map(|d| Path::new(d).join(name))
            .find(|p| p.is_file())
    })
}

fn own_kind(tools: &Path) -> Option<PathBuf> {
    let names = fs_err::read_dir(tools).ok()?.flatten().map(|e| e.path());
    names
        .into_iter()
        .find(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("kind")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::testing::env;

    #[test]
    fn versions_of_kind() {
        assert_eq!(kind_version("kind v0.33.0 go1.26.3 linux/amd64"), Some((0, 33)));
        assert_eq!(
            kind_version("kind v0.32.0-alpha+1a2b go1.26 darwin/arm64"),
            Some((0, 32))
        );
        assert_eq!(kind_version("does not tell its version"), None);
        assert!(kind_version("kind v0.27.0").unwrap() < KIND);
    }

    #[tokio::test]
    async fn a_kind_on_the_path_is_asked_for_its_version() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let kind = dir.path().join("kind");
        fs_err::write(&kind, "#!/bin/sh\necho kind v0.29.0 go1.24\n").unwrap();
        fs_err::set_permissions(&kind, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut env = env(dir.path());
        env.vars.insert("PATH".into(), dir.path().display().to_string());
        let tools = probe(&env).await;
        assert_eq!(tools.kind, Some((kind, "kind v0.29.0 go1.24".to_owned())));
        assert_eq!(tools.docker, None);
    }
}
