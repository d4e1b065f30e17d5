//! What `dev up` checks before it creates anything: the part of the examination that takes no time.

use std::path::Path;

use super::engine::{self, EngineState};
use super::finding::Finding;
use super::host::Host;
use super::judge;
use super::paths::Paths;
use super::probe::{free_mib, runs_here, wanted_ports};
use crate::config::Profile;
use crate::diag::Reason;
use crate::env::Env;

/// Checks what would make `dev up` fail halfway: the engine and its runtime, memory, free space, ports. `builds`:
/// whether images are to be built from packages, which takes more space.
///
/// Takes some 30 ms with an engine on this machine; asks nothing beyond it, starts no program and changes nothing.
/// Give the result to [`super::blocking`].
pub async fn preflight(env: &Env, profile: &Profile, builds: bool) -> Vec<Finding> {
    preflight_at(env, profile, builds, &Paths::default()).await
}

/// As [`preflight()`], for an engine whose files lie elsewhere.
pub(super) async fn preflight_at(env: &Env, profile: &Profile, builds: bool, paths: &Paths) -> Vec<Finding> {
    let host = Host::read(Path::new("/"));
    let engine = match engine::ask(env, profile, paths, false).await {
        EngineState::Up { facts, .. } => facts,
        EngineState::Forbidden { endpoint } => {
            let evidence = format!("the Docker engine's socket {endpoint} may not be opened by this user");
            return vec![Finding::fail(
                "engine",
                "Docker engine",
                evidence,
                Reason::EnginePermission,
            )];
        }
        EngineState::Down { endpoint, why, .. } => {
            let evidence = format!("no Docker engine answers at {endpoint}: {why}");
            return vec![Finding::fail(
                "engine",
                "Docker engine",
                evidence,
                Reason::EngineUnreachable,
            )];
        }
    };
    let free = if runs_here(&engine, &host) {
        free_mib(&engine.root_dir)
    } else {
        None
    };
    let mut findings: Vec<Finding> = judge::too_old(&engine).into_iter().collect();
    findings.push(judge::capabilities(&host, Some(&engine)));
    findings.push(judge::memory(&host, Some(&engine), profile));
    findings.push(judge::disk(free, builds));
    findings.extend(judge::ports(&wanted_ports(profile), engine.node.as_ref()));
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::blocking;
    use crate::doctor::testing::{env, profile};

    #[tokio::test]
    async fn without_an_engine_there_is_one_finding_and_it_names_the_socket() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths {
            socket: dir.path().join("docker.sock"),
            ..Paths::default()
        };
        let findings = preflight_at(&env(dir.path()), &profile(), false, &paths).await;
        let failure = blocking(&findings).unwrap();
        assert_eq!(failure.id(), Reason::EngineUnreachable);
        assert!(failure.to_string().contains("docker.sock"));
        assert_eq!(failure.next_steps(), ["dev doctor --fix"]);
    }
}
