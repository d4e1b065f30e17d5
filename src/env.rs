//! What the process found around it when it started: the only reader of the environment.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// The process's surroundings, read once in `main` and handed on.
#[derive(Debug, Clone)]
pub struct Env {
    /// The current directory.
    pub cwd: PathBuf,
    /// The user's home directory.
    pub home: PathBuf,
    /// The environment variables that are valid Unicode.
    pub vars: BTreeMap<String, String>,
    /// Whether standard output is a terminal.
    pub stdout_is_terminal: bool,
    /// Whether standard error is a terminal.
    pub stderr_is_terminal: bool,
}

impl Env {
    /// Reads the environment of this process.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the environment"
    )]
    pub fn from_process() -> Self {
        let vars: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
            .collect();
        let home = vars.get("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from);
        Self {
            cwd: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
            home,
            vars,
            stdout_is_terminal: std::io::stdout().is_terminal(),
            stderr_is_terminal: std::io::stderr().is_terminal(),
        }
    }

    /// The value of a variable, if it is set and not empty.
    pub fn var(&self, name: &str) -> Option<&str> {
        self.vars.get(name).map(String::as_str).filter(|v| !v.is_empty())
    }

    /// A proxy variable in either spelling (`HTTP_PROXY` or `http_proxy`).
    pub fn proxy(&self, name: &str) -> Option<&str> {
        self.var(&name.to_uppercase())
            .or_else(|| self.var(&name.to_lowercase()))
    }

    /// `path` made absolute against the current directory.
    pub fn absolute(&self, path: &Path) -> PathBuf {
        if path.is_absolute() {
            path.to_path_buf()
        } else {
            self.cwd.join(path)
        }
    }

    /// Where things lie that can be made again: layers, tools (`$XDG_CACHE_HOME/flink-dev`).
    pub fn cache_dir(&self) -> PathBuf {
        self.base("XDG_CACHE_HOME", ".cache")
    }

    /// Where a cluster's kubeconfig lies (`$XDG_STATE_HOME/flink-dev/NAME`).
    pub fn cluster_dir(&self, cluster: &str) -> PathBuf {
        self.base("XDG_STATE_HOME", ".local/state").join(cluster)
    }

    fn base(&self, variable: &str, below_home: &str) -> PathBuf {
        self.var(variable)
            .map_or_else(|| self.home.join(below_home), PathBuf::from)
            .join("flink-dev")
    }

    /// Whether output may be drawn over: a terminal that understands it, and nobody asked for plain lines
    /// (<https://no-color.org>, `TERM=dumb`, a CI system).
    pub fn smart_terminal(&self, is_terminal: bool) -> bool {
        is_terminal
            && self.var("NO_COLOR").is_none()
            && self.var("TERM").is_some_and(|term| term != "dumb")
            && self.var("CI").is_none()
    }
}
