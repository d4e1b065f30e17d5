//! What tests of this module share.

use std::collections::BTreeMap;

use crate::config::{
    CertManager, ClusterSpec, FlinkSpec, ImageSource, Images, Kafka, Operator, Port, Profile, Resources,
    SchemaRegistry, Session, State, Webhook,
};

/// The default profile, written out.
pub(super) fn profile() -> Profile {
    let resources = Resources {
        memory_mib: 1024,
        cpu: 0.2,
    };
    Profile {
        name: "flink-dev".into(),
        cluster: ClusterSpec {
            kubernetes: "1.34.4".into(),
            timeout_s: 180,
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
            port: Port::Auto,
            memory_mib: 768,
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
            job_manager: resources,
            task_manager: resources,
            config: BTreeMap::new(),
        },
        topics: Vec::new(),
    }
}
