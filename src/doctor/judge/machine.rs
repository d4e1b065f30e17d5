//! The machine: space, memory, CPUs, limits of the kernel, ports.

use super::gib;
use crate::config::Profile;
use crate::diag::Reason;
use crate::doctor::engine::{EngineFacts, Node};
use crate::doctor::finding::{Cure, Finding};
use crate::doctor::fix::Action;
use crate::doctor::host::Host;
use crate::doctor::ports::PortFact;
use crate::doctor::probe::{Facts, runs_here};

/// Space that building all images takes, in MiB.
const BUILD_MIB: u64 = 15 << 10;
/// Space with which builds leave room for a second set of versions, in MiB.
const ROOMY_MIB: u64 = 30 << 10;
/// Space that a cluster of images that are there takes, in MiB.
const RUN_MIB: u64 = 3 << 10;
/// What kind's documentation advises for several nodes; one node takes some 130 of the usual 128 instances.
const INOTIFY: [(&str, u64, u64); 2] = [
    ("fs.inotify.max_user_instances", 512, 512),
    ("fs.inotify.max_user_watches", 65_536, 524_288),
];
/// Open files that broker, Flink and the control plane need together, with room.
const OPEN_FILES: u64 = 8192;
/// CPUs that the control plane's pods request.
const CONTROL_PLANE_CPU: f64 = 0.95;

/// Free space at the engine's root. `builds`: whether images may have to be built.
pub(in crate::doctor) fn disk(free_mib: Option<u64>, builds: bool) -> Finding {
    const TITLE: &str = "Free space";
    let Some(free) = free_mib else {
        return Finding::ok("disk", TITLE, "not checked: the engine's disk is not on this machine");
    };
    let need = if builds { BUILD_MIB } else { RUN_MIB };
    let evidence = format!("{} free where the engine keeps its images", gib(free));
    let prune = || Cure::by_hand("removes what Docker does not use any more", "docker system prune");
    if free < need {
        let what = if builds {
            "building the images"
        } else {
            "running the cluster"
        };
        let evidence = format!("{evidence}; {what} needs {}", gib(need));
        Finding::fail("disk", TITLE, evidence, Reason::DiskShort).with(prune())
    } else if builds && free < ROOMY_MIB {
        Finding::warn(
            "disk",
            TITLE,
            format!("{evidence}; enough for the builds, with little to spare"),
        )
        .with(prune())
    } else {
        Finding::ok("disk", TITLE, evidence)
    }
}

pub(super) fn cpu(facts: &Facts, profile: &Profile) -> Finding {
    const TITLE: &str = "CPU";
    let Some(cpus) = facts.engine().map(|e| e.cpus).filter(|n| *n > 0).or(facts.host.cpus) else {
        return Finding::ok("cpu", TITLE, "not known");
    };
    let session = &profile.session;
    let flink = if session.enabled {
        session.job_manager.cpu + f64::from(session.task_managers) * session.task_manager.cpu
    } else {
        0.0
    };
    let requested = CONTROL_PLANE_CPU + flink;
    let evidence = format!("{cpus}; control plane and session cluster request {requested:.1}");
    if requested > cpus as f64 {
        Finding::warn("cpu", TITLE, format!("{evidence}: pods may find no place")).with(Cure::by_hand(
            "a profile that requests less, or more CPUs for the engine",
            "dev up minimal",
        ))
    } else if cpus < 2 {
        Finding::warn("cpu", TITLE, format!("{evidence}: everything takes long with one CPU"))
    } else {
        Finding::ok("cpu", TITLE, evidence)
    }
}

pub(super) fn memory_of(facts: &Facts, profile: &Profile) -> Finding {
    memory(&facts.host, facts.engine(), profile)
}

/// Memory against the profile's need. The engine's total counts, and what is available where it runs here.
pub(in crate::doctor) fn memory(host: &Host, engine: Option<&EngineFacts>, profile: &Profile) -> Finding {
    const TITLE: &str = "Memory";
    let need = profile.memory_mib();
    let Some(total) = engine.map(|e| e.memory_mib).filter(|n| *n > 0).or(host.memory_mib) else {
        return Finding::ok("memory", TITLE, "not known");
    };
    let smaller = || {
        Cure::by_hand(
            "a profile that needs less, or more memory for the engine",
            "dev up minimal",
        )
    };
    let evidence = format!("the profile `{}` needs {} MiB", profile.name, need);
    if total < need {
        let evidence = format!("{evidence}, the engine's machine has {total} MiB");
        return Finding::fail("memory", TITLE, evidence, Reason::MemoryShort).with(smaller());
    }
    if engine.and_then(|e| e.node.as_ref()).is_some_and(|n| n.running) {
        return Finding::ok(
            "memory",
            TITLE,
            format!("{total} MiB; {evidence}, and its cluster runs already"),
        );
    }
    let here = engine.is_none_or(|e| runs_here(e, host));
    match host.available_mib.filter(|_| here) {
        // pods' limits are not all used up, so a little less than the sum still works; half of it never does
        Some(available) if available < need / 2 => {
            let evidence = format!("{evidence}, of {total} MiB only {available} MiB are available");
            Finding::fail("memory", TITLE, evidence, Reason::MemoryShort).with(smaller())
        }
        Some(available) if available < need => {
            let evidence = format!("{evidence}, of {total} MiB {available} MiB are available");
            Finding::warn("memory", TITLE, evidence).with(smaller())
        }
        Some(available) => Finding::ok(
            "memory",
            TITLE,
            format!("{available} of {total} MiB available; {evidence}"),
        ),
        None => Finding::ok("memory", TITLE, format!("{total} MiB; {evidence}")),
    }
}

/// The kernel's limits of inotify. Too low, nodes fail with messages that speak of anything else.
pub(super) fn inotify(host: &Host) -> Vec<Finding> {
    let values = [host.inotify_instances, host.inotify_watches];
    let ids = ["inotify-instances", "inotify-watches"];
    let mut findings = Vec::new();
    for ((id, value), (key, least, wanted)) in ids.into_iter().zip(values).zip(INOTIFY) {
        let Some(value) = value else { continue };
        let title = key.rsplit('.').next().unwrap_or(key).replace('_', " ");
        let title = format!("inotify {title}");
        findings.push(if value >= least {
            Finding::ok(id, title, value.to_string())
        } else {
            let command = format!("{}sysctl -w {key}={wanted}", host.sudo());
            let cure = Cure::by_action(
                host.root,
                format!("raises it to {wanted} until the next boot"),
                command,
                vec![Action::Sysctl { key, value: wanted }],
            );
            Finding::warn(
                id,
                title,
                format!("{value}; with less than {least} a second node may fail to start"),
            )
            .with(cure)
        });
    }
    findings
}

pub(super) fn open_files(facts: &Facts) -> Finding {
    const TITLE: &str = "Open files";
    let daemon = facts
        .engine()
        .and_then(|e| e.daemon.as_ref())
        .and_then(|d| d.open_files);
    match daemon.or(facts.host.open_files) {
        None => Finding::ok(
            "open-files",
            TITLE,
            "not checked: the engine's limits are not visible here",
        ),
        Some(u64::MAX) => Finding::ok("open-files", TITLE, "no limit"),
        Some(limit) if limit >= OPEN_FILES => Finding::ok("open-files", TITLE, format!("at most {limit}")),
        Some(limit) => {
            let evidence = format!("at most {limit}; broker and Flink together may need {OPEN_FILES}");
            Finding::warn("open-files", TITLE, evidence).with(Cure::by_hand(
                "raises the limit before the daemon is started",
                "ulimit -n 65536",
            ))
        }
    }
}

/// The ports that the profile asks for; those that its own running cluster holds are fine.
pub(in crate::doctor) fn ports(ports: &[PortFact], node: Option<&Node>) -> Vec<Finding> {
    ports
        .iter()
        .map(|fact| {
            let title = format!("Port {} ({})", fact.port, fact.purpose);
            let own = node.is_some_and(|n| n.running && n.ports.contains(&fact.port));
            match &fact.taken {
                None => Finding::ok("port", title, "free"),
                Some(_) if own => Finding::ok("port", title, "held by this profile's cluster"),
                Some(why) => {
                    let evidence = format!(
                        "port {} of this machine, for {}, cannot be had: {why}",
                        fact.port, fact.purpose
                    );
                    let command = format!("{}.port: auto", fact.purpose.to_lowercase());
                    Finding::fail("port", title, evidence, Reason::PortInUse)
                        .with(Cure::by_hand("another port, or `auto`, in the profile", command))
                }
            }
        })
        .collect()
}
