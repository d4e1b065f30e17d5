//! The Docker engine.

use crate::diag::Reason;
use crate::doctor::RUNTIME;
use crate::doctor::engine::{EngineFacts, EngineState};
use crate::doctor::finding::{Cure, Finding};
use crate::doctor::fix::Action;
use crate::doctor::host::Host;
use crate::doctor::probe::Facts;

/// The oldest API that all we ask of an engine is in (Docker 20.10).
const OLDEST_API: (u32, u32) = (1, 41);
/// From this version on, the engine gives a privileged container only the capabilities it has itself (seen with 20.10,
/// which does not, and with 26.1).
const KNOWS_ITS_CAPABILITIES: u32 = 23;

pub(super) fn engine(facts: &Facts) -> Finding {
    const TITLE: &str = "Docker engine";
    match &facts.engine {
        EngineState::Up { facts: engine, .. } => too_old(engine).unwrap_or_else(|| {
            let rootless = if engine.rootless { ", rootless" } else { "" };
            let evidence =
                format!("Docker {}, API {}, at {}{rootless}", engine.version, engine.api_version, engine.endpoint);
            Finding::ok("engine", TITLE, evidence)
        }),
        EngineState::Forbidden { endpoint } => Finding::fail(
            "engine",
            TITLE,
            format!("the Docker engine's socket {endpoint} is there, but this user may not open it"),
            Reason::EnginePermission,
        )
        .with(Cure::by_hand(
            "makes you a member of the group `docker`; it counts from the next login on (that group is as good as root)",
            "sudo usermod -aG docker \"$USER\" && newgrp docker",
        )),
        EngineState::Down { endpoint, why, ours } => {
            let evidence = format!("no Docker engine answers at {endpoint}: {why}");
            Finding::fail("engine", TITLE, evidence, Reason::EngineUnreachable).with(start(facts, *ours))
        }
    }
}

/// What brings an engine up that does not answer.
fn start(facts: &Facts, ours: bool) -> Cure {
    let host = &facts.host;
    if host.macos {
        return Cure::by_hand(
            "starts Docker Desktop; Colima (`colima start`) or OrbStack will do as well",
            "open -a Docker",
        );
    }
    if !ours {
        return Cure::by_hand(
            "shows the engines that are known; `DOCKER_HOST` and `docker context use` choose one",
            "docker context ls",
        );
    }
    let sudo = host.sudo();
    let run = if host.systemd {
        format!("{sudo}systemctl enable --now docker")
    } else {
        format!("{sudo}sh -c 'setsid dockerd >>/var/log/dockerd.log 2>&1 &'")
    };
    if facts.tools.dockerd.is_some() {
        let explains = "starts the Docker daemon, and waits until it answers";
        return Cure::by_action(host.root, explains, run, vec![Action::StartDaemon]);
    }
    let mut actions = vec![Action::Install("docker.io")];
    if facts.tools.docker.is_none() {
        actions.push(Action::Install("docker-cli"));
    }
    if host.apparmor {
        actions.push(Action::Install("apparmor"));
    }
    actions.push(Action::StartDaemon);
    let command = if host.debian {
        format!("{sudo}apt-get update && {sudo}apt-get install --no-install-recommends docker.io && {run}")
    } else {
        format!("install Docker with your system's package manager, then: {run}")
    };
    Cure::by_action(
        host.curable(),
        "installs Docker from the distribution's packages and starts its daemon",
        command,
        actions,
    )
}

/// The finding of an engine that is too old for what we ask of it.
pub(in crate::doctor) fn too_old(engine: &EngineFacts) -> Option<Finding> {
    let api = api_version(&engine.api_version)?;
    (api < OLDEST_API).then(|| {
        let evidence = format!(
            "Docker {} speaks API {} and is too old: {}.{} (Docker 20.10) is needed",
            engine.version, engine.api_version, OLDEST_API.0, OLDEST_API.1
        );
        Finding::fail("engine", "Docker engine", evidence, Reason::ToolTooOld)
            .with(Cure::by_hand("a newer Docker engine is needed", "docker version"))
    })
}

pub(super) fn command_line(facts: &Facts) -> Finding {
    const TITLE: &str = "Docker command line";
    match &facts.tools.docker {
        Some(path) => Finding::ok("docker-cli", TITLE, path.display().to_string()),
        None => {
            let host = &facts.host;
            let command = format!("{}apt-get install --no-install-recommends docker-cli", host.sudo());
            let actions = vec![Action::Install("docker-cli")];
            Finding::fail(
                "docker-cli",
                TITLE,
                "`docker`, which kind calls, is not on the PATH",
                Reason::ToolMissing,
            )
            .with(Cure::by_action(
                host.curable(),
                "installs Docker's command line",
                command,
                actions,
            ))
        }
    }
}

pub(super) fn capabilities_of(facts: &Facts) -> Finding {
    match &facts.engine {
        EngineState::Down { ours: false, .. } | EngineState::Forbidden { .. } => Finding::ok(
            "capabilities",
            "Capabilities",
            "not checked: the engine does not answer",
        ),
        _ => capabilities(&facts.host, facts.engine()),
    }
}

/// Whether privileged containers, which kind's nodes are, can start. `engine` is `None` while it is not running.
pub(in crate::doctor) fn capabilities(host: &Host, engine: Option<&EngineFacts>) -> Finding {
    const TITLE: &str = "Capabilities";
    let denied = match engine {
        None => &host.denied,
        Some(engine) => match &engine.daemon {
            Some(daemon) => &daemon.denied,
            None => {
                return Finding::ok(
                    "capabilities",
                    TITLE,
                    "not checked: the daemon's process is not on this machine",
                );
            }
        },
    };
    if denied.is_empty() {
        return Finding::ok("capabilities", TITLE, "privileged containers can be given all of them");
    }
    let lacking = denied.join(", ");
    if let Some(engine) = engine {
        if engine.runtime_path.rsplit('/').next() == Some(RUNTIME) {
            let evidence = format!(
                "{lacking} cannot be had here; the runtime `{}` leaves it out",
                engine.runtime_path
            );
            return Finding::ok("capabilities", TITLE, evidence);
        }
        if major(&engine.version) >= Some(KNOWS_ITS_CAPABILITIES) || engine.rootless {
            let evidence = format!(
                "{lacking} cannot be had here; Docker {} does not ask for it",
                engine.version
            );
            return Finding::ok("capabilities", TITLE, evidence);
        }
    }
    let evidence = format!(
        "this machine cannot give {lacking}, and Docker's stock runtime asks for every capability: \
         no privileged container, and so no node, can start"
    );
    let explains = format!(
        "installs a wrapper of runc that leaves out what cannot be had, and makes it the engine's default runtime \
         (`{RUNTIME}` in daemon.json, all else in it stays)"
    );
    // by hand it takes a file that only the cure brings along
    let command = format!("{}dev doctor --fix", host.sudo());
    Finding::fail("capabilities", TITLE, evidence, Reason::NotReady).with(Cure::by_action(
        host.root,
        explains,
        command,
        vec![Action::WriteRuntime, Action::UseRuntime],
    ))
}

pub(super) fn storage(engine: &EngineFacts) -> Finding {
    const TITLE: &str = "Storage driver";
    let driver = engine.storage_driver.as_str();
    let warn = |why: &str| {
        Finding::warn("storage", TITLE, format!("{driver}: {why}")).with(Cure::by_hand(
            "set `storage-driver` to overlay2 in daemon.json; images are then to be had anew",
            "docker info",
        ))
    };
    match driver {
        "overlay2" | "overlayfs" | "fuse-overlayfs" | "stargz" => Finding::ok("storage", TITLE, driver),
        "vfs" => warn("every layer is a full copy: slow, and several times the space"),
        "btrfs" | "zfs" => warn("kind's nodes may not find the device of their file system"),
        _ => warn("not one that kind is used with"),
    }
}

pub(super) fn cgroup(engine: &EngineFacts, kubernetes: &str) -> Finding {
    const TITLE: &str = "cgroups";
    let evidence = format!("v{}, driver {}", engine.cgroup_version, engine.cgroup_driver);
    if engine.cgroup_version != "1" {
        return Finding::ok("cgroup", TITLE, evidence);
    }
    if engine.rootless {
        let evidence = format!("{evidence}: a rootless engine cannot run nodes on cgroup v1");
        return Finding::fail("cgroup", TITLE, evidence, Reason::NotReady).with(Cure::by_hand(
            "boots with cgroup v2",
            "systemd.unified_cgroup_hierarchy=1 on the kernel's command line",
        ));
    }
    let minor = kubernetes.split('.').nth(1).and_then(|m| m.parse::<u32>().ok());
    if minor > Some(34) {
        let evidence = format!("{evidence}: Kubernetes {kubernetes} runs on cgroup v1 only against its own advice");
        return Finding::warn("cgroup", TITLE, evidence).with(Cure::by_hand(
            "the last version that takes cgroup v1 without being asked",
            "cluster.kubernetes: 1.34.4",
        ));
    }
    Finding::ok("cgroup", TITLE, evidence)
}

fn api_version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}
