//! Recorded inputs for the tests of this module.

use std::collections::BTreeMap;
use std::path::Path;

use super::engine::{Daemon, EngineFacts, EngineState};
use super::host::Host;
use super::network::{Packages, Reach};
use super::probe::Facts;
use super::tools::Tools;
use crate::config::{
    CertManager, ClusterSpec, FlinkSpec, ImageSource, Images, Kafka, Operator, Port, Profile, Resources,
    SchemaRegistry, Session, State, Webhook,
};
use crate::env::Env;

/// An empty environment with this home.
pub(super) fn env(home: &Path) -> Env {
    Env {
        cwd: home.to_path_buf(),
        home: home.to_path_buf(),
        vars: BTreeMap::new(),
        stdout_is_terminal: false,
        stderr_is_terminal: false,
    }
}

/// A profile that needs 5400 MiB and the local port 39092.
pub(super) fn profile() -> Profile {
    Profile {
        name: "flink-dev".into(),
        cluster: ClusterSpec {
            kubernetes: "1.34.4".into(),
            timeout_s: 120,
        },
        images: Images {
            source: ImageSource::Auto,
            mirror: None,
        },
        cert_manager: CertManager {
            enabled: true,
            version: String::new(),
        },
        operator: Operator {
            version: "1.16.1".into(),
            webhook: Webhook::Auto,
            namespace: "flink-operator".into(),
            config: BTreeMap::new(),
        },
        kafka: Kafka {
            enabled: true,
            version: "4.1.1".into(),
            namespace: "kafka".into(),
            port: Port::Fixed(39092),
            memory_mib: 1000,
        },
        schema_registry: SchemaRegistry::usual(),
        flink: FlinkSpec {
            version: "2.2.1".into(),
            state: State::usual(),
        },
        session: Session {
            enabled: true,
            name: "session".into(),
            namespace: "flink".into(),
            task_managers: 1,
            slots: 4,
            python: false,
            job_manager: Resources {
                memory_mib: 1000,
                cpu: 0.2,
            },
            task_manager: Resources {
                memory_mib: 1600,
                cpu: 0.5,
            },
            config: BTreeMap::new(),
        },
        topics: Vec::new(),
    }
}

/// The engine of a healthy Debian 12.
pub(super) fn engine() -> EngineFacts {
    EngineFacts {
        endpoint: "unix:///var/run/docker.sock".into(),
        version: "20.10.24+dfsg1".into(),
        api_version: "1.41".into(),
        storage_driver: "overlay2".into(),
        cgroup_version: "2".into(),
        cgroup_driver: "systemd".into(),
        root_dir: "/".into(),
        cpus: 4,
        memory_mib: 16_000,
        kernel: "6.1.0".into(),
        default_runtime: "runc".into(),
        runtime_path: "runc".into(),
        daemon: Some(Daemon {
            pid: 700,
            denied: Vec::new(),
            open_files: Some(1 << 20),
        }),
        ..EngineFacts::default()
    }
}

/// A healthy Debian 12 as root, with registries and no images yet.
pub(super) fn facts() -> Facts {
    let reached = || Reach::Reached("answers".into());
    Facts {
        host: Host {
            kernel: Some("6.1.0".into()),
            debian: true,
            root: true,
            memory_mib: Some(16_000),
            available_mib: Some(12_000),
            cpus: Some(4),
            inotify_instances: Some(512),
            inotify_watches: Some(524_288),
            open_files: Some(1 << 20),
            ..Host::default()
        },
        engine: EngineState::Up {
            facts: Box::new(engine()),
            registry: reached(),
        },
        tools: Tools {
            docker: Some("/usr/bin/docker".into()),
            dockerd: Some("/usr/sbin/dockerd".into()),
            debootstrap: Some("/usr/sbin/debootstrap".into()),
            kind: Some(("/usr/local/bin/kind".into(), "kind v0.33.0 go1.26 linux/amd64".into())),
            own_kind: None,
        },
        packages: vec![Packages {
            client: "apt",
            reach: reached(),
        }],
        ports: Vec::new(),
        free_mib: Some(60 << 10),
        ca: Some(("/etc/ssl/certs/ca-certificates.crt".into(), Ok(146))),
    }
}
