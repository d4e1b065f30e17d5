//! Every decision, from recorded facts.

use std::path::Path;

use super::*;
use crate::diag::Reason;
use crate::doctor::engine::{EngineFacts, EngineState, Node};
use crate::doctor::finding::{Status, blocking, needs_fix};
use crate::doctor::network::{Packages, Reach};
use crate::doctor::ports::PortFact;
use crate::doctor::testing::{engine, env, facts, profile};

pub(super) fn found(facts: &Facts, id: &str) -> Finding {
    let all = all(facts, &env(Path::new("/nowhere")), &profile());
    all.into_iter()
        .find(|f| f.id == id)
        .unwrap_or_else(|| panic!("no finding {id}"))
}

pub(super) fn with_engine(engine: EngineFacts) -> Facts {
    Facts {
        engine: EngineState::Up {
            facts: Box::new(engine),
            registry: Reach::Reached("answers".into()),
        },
        ..facts()
    }
}

pub(super) fn down(ours: bool) -> EngineState {
    EngineState::Down {
        endpoint: "unix:///var/run/docker.sock".into(),
        why: "there is no such socket".into(),
        ours,
    }
}

fn without_registry(mut facts: Facts) -> Facts {
    if let EngineState::Up { registry, .. } = &mut facts.engine {
        *registry = Reach::Unreached("lookup registry.example: no such host".into());
    }
    facts
}

#[test]
fn a_healthy_machine_has_nothing_to_cure() {
    let all = all(&facts(), &env(Path::new("/nowhere")), &profile());
    let bad: Vec<_> = all.iter().filter(|f| f.status != Status::Ok).collect();
    assert!(bad.is_empty(), "{bad:#?}");
    assert!(blocking(&all).is_none() && !needs_fix(&all));
    for finding in &all {
        assert!(!finding.evidence.is_empty(), "{} says nothing", finding.id);
    }
}

#[test]
fn space_is_judged_by_what_is_to_be_done() {
    let of = |mib: u64, builds: bool| disk(Some(mib), builds).status;
    assert_eq!(
        [of(14 << 10, true), of(20 << 10, true), of(40 << 10, true)],
        [Status::Fail, Status::Warn, Status::Ok]
    );
    assert_eq!([of(2 << 10, false), of(14 << 10, false)], [Status::Fail, Status::Ok]);
    let finding = disk(Some(14 << 10), true);
    assert_eq!(finding.reason, Some(Reason::DiskShort));
    assert!(finding.evidence.contains("14.0 GiB free") && finding.evidence.contains("needs 15.0 GiB"));
    assert_eq!(disk(None, true).status, Status::Ok);
}

#[test]
fn memory_is_judged_with_numbers() {
    let need = profile().memory_mib();
    let with = |total: u64, available: u64| {
        let mut facts = with_engine(EngineFacts {
            memory_mib: total,
            ..engine()
        });
        facts.host.available_mib = Some(available);
        found(&facts, "memory")
    };
    assert_eq!(with(need, need).status, Status::Ok);
    assert_eq!(with(need, need - 1).status, Status::Warn);
    let short = with(need - 1, need - 1);
    assert_eq!((short.status, short.reason), (Status::Fail, Some(Reason::MemoryShort)));
    assert!(
        short.evidence.contains(&format!("needs {need} MiB")) && short.evidence.contains(&format!("{} MiB", need - 1))
    );
    assert_eq!(with(16_000, need / 2 - 1).status, Status::Fail);

    // what the cluster itself uses is not missing
    let node = Some(Node {
        running: true,
        ports: [39092].into(),
    });
    let mut facts = with_engine(EngineFacts { node, ..engine() });
    facts.host.available_mib = Some(100);
    assert_eq!(found(&facts, "memory").status, Status::Ok);
    // an engine elsewhere has memory of its own
    let mut facts = with_engine(EngineFacts {
        kernel: "6.6.0-linuxkit".into(),
        ..engine()
    });
    facts.host.available_mib = Some(100);
    assert_eq!(found(&facts, "memory").status, Status::Ok);
}

#[test]
fn cpus_are_held_against_the_requests() {
    let of = |cpus: u64| found(&with_engine(EngineFacts { cpus, ..engine() }), "cpu").status;
    assert_eq!([of(1), of(2)], [Status::Warn, Status::Ok]);
}

#[test]
fn low_limits_of_inotify_are_raised_by_root() {
    let mut facts = facts();
    facts.host.inotify_instances = Some(128);
    let finding = found(&facts, "inotify-instances");
    let cure = finding.cure.unwrap();
    assert!(finding.status == Status::Warn && cure.automatic);
    assert_eq!(cure.command, "sysctl -w fs.inotify.max_user_instances=512");
    facts.host.root = false;
    assert!(
        found(&facts, "inotify-instances")
            .cure
            .unwrap()
            .command
            .starts_with("sudo sysctl")
    );
    facts.host.inotify_watches = Some(8192);
    assert_eq!(found(&facts, "inotify-watches").status, Status::Warn);
}

#[test]
fn open_files_are_those_of_the_daemon() {
    let mut engine = engine();
    engine.daemon.as_mut().unwrap().open_files = Some(1024);
    assert_eq!(found(&with_engine(engine), "open-files").status, Status::Warn);
}

#[test]
fn a_taken_port_fails_unless_our_own_cluster_holds_it() {
    let fact = PortFact {
        purpose: "Kafka",
        port: 39092,
        taken: Some("nc (pid 7) listens there".into()),
    };
    let mut facts = Facts {
        ports: vec![fact],
        ..facts()
    };
    let finding = found(&facts, "port");
    assert_eq!(
        (finding.status, finding.reason),
        (Status::Fail, Some(Reason::PortInUse))
    );
    assert!(finding.evidence.contains("39092") && finding.evidence.contains("nc (pid 7)"));
    assert_eq!(finding.cure.unwrap().command, "kafka.port: auto");
    let node = |running| {
        Some(Node {
            running,
            ports: [39092].into(),
        })
    };
    facts.engine = with_engine(EngineFacts {
        node: node(true),
        ..engine()
    })
    .engine;
    assert_eq!(found(&facts, "port").status, Status::Ok);
    facts.engine = with_engine(EngineFacts {
        node: node(false),
        ..engine()
    })
    .engine;
    assert_eq!(
        found(&facts, "port").status,
        Status::Fail,
        "a stopped node holds no port"
    );
}

#[test]
fn kind_is_found_too_old_or_built() {
    let mut facts = facts();
    facts.tools.kind = Some(("/usr/bin/kind".into(), "kind v0.27.0 go1.24 linux/amd64".into()));
    let finding = found(&facts, "kind");
    assert!(finding.status == Status::Warn && finding.evidence.contains("older than 0.31: dev builds its own"));
    facts.tools.kind = None;
    facts.tools.own_kind = Some("/cache/tools/kind".into());
    let finding = found(&facts, "kind");
    assert!(finding.status == Status::Ok && finding.evidence.contains("/cache/tools/kind"));
}

#[test]
fn debootstrap_is_needed_only_where_nothing_can_be_pulled_and_no_base_is_there() {
    let mut facts = facts();
    facts.tools.debootstrap = None;
    assert_eq!(found(&facts, "debootstrap").status, Status::Ok, "images can be pulled");
    let mut facts = without_registry(facts);
    let finding = found(&facts, "debootstrap");
    assert_eq!(
        (finding.status, finding.reason),
        (Status::Fail, Some(Reason::ToolMissing))
    );
    assert!(finding.cure.unwrap().automatic);
    if let EngineState::Up { facts, .. } = &mut facts.engine {
        facts.images.insert("debian:trixie-slim".into());
    }
    assert_eq!(
        found(&facts, "debootstrap").status,
        Status::Ok,
        "the base image is there"
    );
    facts.engine = down(true);
    assert!(
        found(&facts, "debootstrap").status == Status::Warn,
        "installed along with the engine"
    );
}

#[test]
fn registries_are_judged_by_the_source_of_images() {
    let facts = without_registry(facts());
    assert_eq!(found(&facts, "container-registry").status, Status::Warn);
    let mut only = profile();
    only.images.source = ImageSource::Registry;
    let finding = supply::container_registry(&facts, &only);
    assert_eq!(
        (finding.status, finding.reason),
        (Status::Fail, Some(Reason::ImageUnavailable))
    );
    assert!(finding.evidence.contains("no such host"));
    only.images.source = ImageSource::Packages;
    assert_eq!(supply::container_registry(&facts, &only).status, Status::Ok);

    let mut facts = facts;
    facts.packages = vec![
        Packages {
            client: "apt",
            reach: Reach::Unreached("deb.example: refused".into()),
        },
        Packages {
            client: "maven",
            reach: Reach::NotChecked(String::new()),
        },
    ];
    let finding = found(&facts, "package-registries");
    assert_eq!((finding.status, finding.reason), (Status::Fail, Some(Reason::NotReady)));
    assert!(
        finding
            .evidence
            .contains("apt: not reached (deb.example: refused); maven: not checked")
    );
    if let EngineState::Up { facts: engine, .. } = &mut facts.engine {
        engine.images.insert(profile().node_image());
    }
    assert_eq!(
        found(&facts, "package-registries").status,
        Status::Ok,
        "nothing is to be built"
    );
    assert_eq!(found(&facts, "container-registry").status, Status::Ok);
}
