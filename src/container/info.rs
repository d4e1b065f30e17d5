//! What the engine says of itself.

use serde::Serialize;

use super::Engine;
use crate::diag::Result;

/// The engine and its machine.
#[derive(Debug, Clone, Serialize)]
pub struct EngineInfo {
    /// Version of the engine, e.g. `20.10.24`.
    pub version: String,
    /// Version of the API it speaks, e.g. `1.41`.
    pub api_version: String,
    /// Its storage driver, e.g. `overlay2`.
    pub storage_driver: String,
    /// Whether images lie in containerd's store, where an image's id is that of its manifest.
    pub containerd_store: bool,
    /// `1` or `2`.
    pub cgroup_version: String,
    /// `systemd` or `cgroupfs`.
    pub cgroup_driver: String,
    /// Where it keeps its data, a path on its machine.
    pub root_dir: String,
    /// CPUs of its machine.
    pub cpus: u64,
    /// Memory of its machine in bytes.
    pub memory_bytes: u64,
    /// Architecture in OCI's names, e.g. `amd64`.
    pub arch: String,
    /// Operating system in OCI's names, e.g. `linux`.
    pub os: String,
    /// Its machine's system for people, e.g. `Docker Desktop`.
    pub operating_system: String,
    /// The runtime it uses unless told otherwise.
    pub default_runtime: String,
    /// All runtimes, sorted.
    pub runtimes: Vec<String>,
    /// Whether it runs without root.
    pub rootless: bool,
    /// Its own proxy settings.
    pub http_proxy: Option<String>,
    /// Its own proxy settings.
    pub https_proxy: Option<String>,
    /// Its own proxy settings.
    pub no_proxy: Option<String>,
}

impl Engine {
    /// Asks the engine what it is.
    ///
    /// # Errors
    /// [`crate::diag::Reason::EngineError`] or [`crate::diag::Reason::EngineUnreachable`].
    pub async fn info(&self) -> Result<EngineInfo> {
        let (info, version) = tokio::join!(self.docker.info(), self.docker.version());
        let info = info.map_err(|e| self.failed("describe itself", &e))?;
        let version = version.map_err(|e| self.failed("tell its version", &e))?;
        let status = info.driver_status.unwrap_or_default();
        let mut runtimes: Vec<String> = info.runtimes.unwrap_or_default().into_keys().collect();
        runtimes.sort();
        let some = |text: Option<String>| text.filter(|t| !t.is_empty());
        Ok(EngineInfo {
            version: info.server_version.unwrap_or_default(),
            api_version: version.api_version.unwrap_or_default(),
            storage_driver: info.driver.unwrap_or_default(),
            containerd_store: status
                .iter()
                .any(|pair| matches!(pair.as_slice(), [_, value] if value.starts_with("io.containerd.snapshotter"))),
            cgroup_version: info.cgroup_version.map(|v| v.to_string()).unwrap_or_default(),
            cgroup_driver: info.cgroup_driver.map(|d| d.to_string()).unwrap_or_default(),
            root_dir: info.docker_root_dir.unwrap_or_default(),
            cpus: info.ncpu.and_then(|n| u64::try_from(n).ok()).unwrap_or_default(),
            memory_bytes: info.mem_total.and_then(|n| u64::try_from(n).ok()).unwrap_or_default(),
            arch: version.arch.unwrap_or_default(),
            os: version.os.unwrap_or_default(),
            operating_system: info.operating_system.unwrap_or_default(),
            default_runtime: info.default_runtime.unwrap_or_default(),
            runtimes,
            rootless: info
                .security_options
                .unwrap_or_default()
                .iter()
                .any(|o| o == "name=rootless"),
            http_proxy: some(info.http_proxy),
            https_proxy: some(info.https_proxy),
            no_proxy: some(info.no_proxy),
        })
    }
}
