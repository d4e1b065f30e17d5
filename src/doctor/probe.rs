//! Gathers all facts side by side.

use std::path::{Path, PathBuf};

use super::engine::{self, EngineFacts, EngineState};
use super::host::{Host, ca_bundle};
use super::network::{self, Packages, Reach};
use super::paths::Paths;
use super::ports::{self, PortFact};
use super::tools::{self, Tools};
use crate::config::{Port, Profile};
use crate::env::Env;

/// Everything that the judges look at.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    /// This machine.
    pub(super) host: Host,
    /// The engine, and the registry of its images.
    pub(super) engine: EngineState,
    /// Programs.
    pub(super) tools: Tools,
    /// Package registries.
    pub(super) packages: Vec<Packages>,
    /// Local ports that the profile asks for.
    pub(super) ports: Vec<PortFact>,
    /// Free space at the engine's root in MiB, where that is on this machine.
    pub(super) free_mib: Option<u64>,
    /// The CA bundle: its path, and how many certificates it has or why it cannot be read.
    pub(super) ca: Option<(PathBuf, Result<usize, String>)>,
}

impl Facts {
    /// The engine's facts, if it answered.
    pub(super) fn engine(&self) -> Option<&EngineFacts> {
        match &self.engine {
            EngineState::Up { facts, .. } => Some(facts),
            _ => None,
        }
    }

    /// What the engine said of the registry of its images.
    pub(super) fn registry(&self) -> Option<&Reach> {
        match &self.engine {
            EngineState::Up { registry, .. } => Some(registry),
            _ => None,
        }
    }
}

/// Gathers all facts; as long as the slowest probe takes.
pub(super) async fn gather(env: &Env, profile: &Profile, paths: &Paths) -> Facts {
    let host = Host::read(Path::new("/"));
    let (engine, tools, packages) = tokio::join!(
        engine::ask(env, profile, paths, true),
        tools::probe(env),
        network::packages(env, Path::new("/"))
    );
    let free_mib = match &engine {
        EngineState::Up { facts, .. } if runs_here(facts, &host) => free_mib(&facts.root_dir),
        EngineState::Up { .. } => None,
        _ => free_mib(Path::new("/var/lib")),
    };
    let ca = ca_bundle(env.var("SSL_CERT_FILE")).map(|path| {
        let count = fs_err::read_to_string(&path)
            .map(|t| certificates(&t))
            .map_err(|e| e.to_string());
        (path, count)
    });
    Facts {
        host,
        engine,
        tools,
        packages,
        ports: wanted_ports(profile),
        free_mib,
        ca,
    }
}

/// The ports of this machine that the profile asks for by number, each tried.
pub(super) fn wanted_ports(profile: &Profile) -> Vec<PortFact> {
    match profile.kafka.port {
        Port::Fixed(port) if profile.kafka.enabled => vec![ports::probe("Kafka", port)],
        _ => Vec::new(),
    }
}

/// Whether the engine runs on this machine and not in a virtual machine or elsewhere: then its root and its memory
/// are ours.
pub(super) fn runs_here(engine: &EngineFacts, host: &Host) -> bool {
    host.kernel.as_deref() == Some(engine.kernel.as_str()) && engine.root_dir.is_dir()
}

/// Free space for everybody but root, in MiB; `None` if the folder is not there.
pub(super) fn free_mib(dir: &Path) -> Option<u64> {
    let stat = nix::sys::statvfs::statvfs(dir).ok()?;
    // the types of these numbers differ by platform
    #[allow(clippy::unnecessary_cast, reason = "u32 on macOS")]
    let (blocks, size) = (stat.blocks_available() as u64, stat.fragment_size() as u64);
    Some(blocks.saturating_mul(size) / (1 << 20))
}

fn certificates(bundle: &str) -> usize {
    bundle
        .lines()
        .filter(|l| l.starts_with("-----BEGIN ") && l.contains("CERTIFICATE-----"))
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::testing::profile;

    #[test]
    fn certificates_are_counted() {
        let pem = "# a comment\n-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n";
        assert_eq!(certificates(&format!("{pem}{pem}")), 2);
        assert_eq!(certificates("nothing of the kind"), 0);
    }

    #[test]
    fn only_fixed_ports_of_what_is_enabled_are_tried() {
        let mut profile = profile();
        profile.kafka.port = Port::Auto;
        assert!(wanted_ports(&profile).is_empty());
        profile.kafka.port = Port::Fixed(39092);
        assert_eq!(wanted_ports(&profile)[0].port, 39092);
        profile.kafka.enabled = false;
        assert!(wanted_ports(&profile).is_empty());
    }

    #[test]
    fn free_space_is_that_of_the_folders_file_system() {
        let here = free_mib(Path::new("/")).unwrap();
        assert!(here > 0 && here < 1 << 40, "{here}");
        assert_eq!(free_mib(Path::new("/no/such/folder")), None);
    }
}
