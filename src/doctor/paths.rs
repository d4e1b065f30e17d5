//! Where the engine's files lie. One place, so that a second engine beside the machine's own can be looked after in
//! the same way.

use std::path::PathBuf;

/// Where the engine's files lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// The socket it listens on.
    pub socket: PathBuf,
    /// The folder of `daemon.json`.
    pub config_dir: PathBuf,
    /// The folder that our wrapper of the runtime is installed to.
    pub runtime_dir: PathBuf,
    /// Where the daemon's output goes if we start it.
    pub log: PathBuf,
    /// More arguments for the daemon if we start it.
    pub daemon_args: Vec<String>,
    /// Whether services are started through the system's service manager, if there is one.
    pub service: bool,
}

impl Default for Paths {
    /// The system's own engine.
    fn default() -> Self {
        Self {
            socket: "/var/run/docker.sock".into(),
            config_dir: "/etc/docker".into(),
            runtime_dir: "/usr/local/lib/flink-dev".into(),
            log: "/var/log/dockerd.log".into(),
            daemon_args: Vec::new(),
            service: true,
        }
    }
}

impl Paths {
    /// The socket as `DOCKER_HOST` names it.
    pub fn endpoint(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// The daemon's configuration.
    pub fn config(&self) -> PathBuf {
        self.config_dir.join("daemon.json")
    }

    /// Our wrapper of the runtime.
    pub fn runtime(&self) -> PathBuf {
        self.runtime_dir.join(super::RUNTIME)
    }
}
