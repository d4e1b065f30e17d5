//! The built program in an environment of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A home, a current directory, and nothing of the caller's environment but the `PATH`.
pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    vars: Vec<(String, String)>,
}

/// What a run left behind.
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_dev"))
}

/// What fakes live in.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

impl World {
    /// A fresh one, in which no Docker engine can be reached.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = format!("unix://{}/no-docker.sock", dir.path().display());
        Self {
            dir,
            vars: vec![("DOCKER_HOST".to_owned(), socket)],
        }
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.vars.retain(|(n, _)| n != name);
        self.vars.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program());
        command
            .args(args)
            .current_dir(self.dir.path())
            .env_clear()
            .stdin(Stdio::null());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.dir.path());
        command.envs(self.vars.iter().map(|(n, v)| (n, v)));
        command
    }

    #[must_use]
    pub(crate) fn run(&self, args: &[&str]) -> Run {
        let output = self.command(args).output().unwrap();
        Run::of(&output, self.dir.path())
    }
}

impl Run {
    pub(crate) fn of(output: &Output, dir: &Path) -> Self {
        let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&dir.display().to_string(), "$DIR");
        Self {
            code: output.status.code(),
            stdout: shown(&output.stdout),
            stderr: shown(&output.stderr),
        }
    }
}
