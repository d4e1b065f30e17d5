//! Decisions about the engine, from recorded facts.

use super::engine;
use super::tests::{down, found, with_engine};
use crate::diag::Reason;
use crate::doctor::engine::{EngineFacts, EngineState};
use crate::doctor::finding::Status;
use crate::doctor::probe::Facts;
use crate::doctor::testing::{engine, facts};

#[test]
fn a_silent_engine_is_started_where_we_may() {
    let mut facts = Facts {
        engine: down(true),
        ..facts()
    };
    let finding = found(&facts, "engine");
    assert_eq!(
        (finding.status, finding.reason),
        (Status::Fail, Some(Reason::EngineUnreachable))
    );
    assert!(
        finding
            .evidence
            .contains("unix:///var/run/docker.sock: there is no such socket")
    );
    let cure = finding.cure.unwrap();
    assert!(cure.automatic && cure.command.contains("setsid dockerd"), "{cure:?}");

    facts.host.systemd = true;
    assert_eq!(
        found(&facts, "engine").cure.unwrap().command,
        "systemctl enable --now docker"
    );
    facts.host.root = false;
    let cure = found(&facts, "engine").cure.unwrap();
    assert!(
        !cure.automatic && cure.command == "sudo systemctl enable --now docker",
        "{cure:?}"
    );

    facts.tools.dockerd = None;
    assert!(
        found(&facts, "engine")
            .cure
            .unwrap()
            .command
            .contains("sudo apt-get install --no-install-recommends docker.io")
    );
    facts.host.macos = true;
    assert_eq!(found(&facts, "engine").cure.unwrap().command, "open -a Docker");
}

#[test]
fn an_engine_named_by_the_user_is_never_replaced() {
    let facts = Facts {
        engine: down(false),
        ..facts()
    };
    assert!(!found(&facts, "engine").cure.unwrap().automatic);
}

#[test]
fn a_forbidden_socket_tells_its_own_story() {
    let endpoint = "unix:///var/run/docker.sock".to_owned();
    let facts = Facts {
        engine: EngineState::Forbidden { endpoint },
        ..facts()
    };
    let finding = found(&facts, "engine");
    assert_eq!(finding.reason, Some(Reason::EnginePermission));
    assert!(finding.cure.unwrap().command.contains("usermod -aG docker"));
}

#[test]
fn an_old_engine_is_refused() {
    let old = EngineFacts {
        version: "19.03.15".into(),
        api_version: "1.40".into(),
        ..engine()
    };
    assert_eq!(found(&with_engine(old), "engine").reason, Some(Reason::ToolTooOld));
    let new = EngineFacts {
        version: "29.0.1".into(),
        api_version: "1.52".into(),
        ..engine()
    };
    assert_eq!(found(&with_engine(new), "engine").status, Status::Ok);
}

#[test]
fn a_missing_capability_matters_to_an_old_engine_with_the_stock_runtime_only() {
    let lacking = || {
        let mut engine = engine();
        engine.daemon.as_mut().unwrap().denied = vec!["CAP_SYS_RESOURCE".into()];
        engine
    };
    let finding = found(&with_engine(lacking()), "capabilities");
    assert_eq!((finding.status, finding.reason), (Status::Fail, Some(Reason::NotReady)));
    assert!(finding.evidence.contains("CAP_SYS_RESOURCE") && finding.cure.unwrap().automatic);

    let bounded = EngineFacts {
        runtime_path: "/usr/local/lib/flink-dev/runc-bounded".into(),
        ..lacking()
    };
    assert_eq!(found(&with_engine(bounded), "capabilities").status, Status::Ok);
    let newer = EngineFacts {
        version: "26.1.5+dfsg1".into(),
        ..lacking()
    };
    assert_eq!(found(&with_engine(newer), "capabilities").status, Status::Ok);
    let elsewhere = EngineFacts {
        daemon: None,
        ..lacking()
    };
    assert!(
        found(&with_engine(elsewhere), "capabilities")
            .evidence
            .starts_with("not checked")
    );

    // before there is a daemon, what this machine can give decides
    let mut facts = Facts {
        engine: down(true),
        ..facts()
    };
    assert_eq!(found(&facts, "capabilities").status, Status::Ok);
    facts.host.denied = vec!["CAP_SYS_RESOURCE".into()];
    assert_eq!(found(&facts, "capabilities").status, Status::Fail);
}

#[test]
fn storage_drivers_and_cgroups() {
    let of = |driver: &str| {
        found(
            &with_engine(EngineFacts {
                storage_driver: driver.into(),
                ..engine()
            }),
            "storage",
        )
        .status
    };
    assert_eq!(
        [of("overlay2"), of("overlayfs"), of("vfs"), of("btrfs")],
        [Status::Ok, Status::Ok, Status::Warn, Status::Warn]
    );

    let v1 = EngineFacts {
        cgroup_version: "1".into(),
        ..engine()
    };
    assert_eq!(found(&with_engine(v1.clone()), "cgroup").status, Status::Ok);
    assert_eq!(engine::cgroup(&v1, "1.35.0").status, Status::Warn);
    assert_eq!(
        engine::cgroup(&EngineFacts { rootless: true, ..v1 }, "1.34.4").status,
        Status::Fail
    );
}
