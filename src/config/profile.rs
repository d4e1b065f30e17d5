//! The profile: what an environment holds. This is the resolved form, with every default in place; how it is read,
//! layered and checked is in `load.rs`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::topic::TopicTable;

/// An environment, fully resolved.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Profile {
    /// The cluster's name; its objects in Docker are called after it.
    pub name: String,
    /// The Kubernetes cluster.
    pub cluster: ClusterSpec,
    /// Where images come from.
    pub images: Images,
    /// cert-manager, if the environment has it.
    pub cert_manager: CertManager,
    /// The Flink Kubernetes operator.
    pub operator: Operator,
    /// The Kafka broker.
    pub kafka: Kafka,
    /// The schema registry, if the environment has one.
    pub schema_registry: SchemaRegistry,
    /// Flink itself.
    pub flink: FlinkSpec,
    /// The session cluster.
    pub session: Session,
    /// Topics as tables of SQL sessions, by name.
    pub topics: Vec<TopicTable>,
}

/// The Kubernetes cluster.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClusterSpec {
    /// Kubernetes version without the leading `v`, e.g. `1.34.4`.
    pub kubernetes: String,
    /// How long the node may take to become Ready, in seconds.
    pub timeout_s: u64,
}

/// Where images come from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Images {
    /// Which source is asked.
    pub source: ImageSource,
    /// `HOST[:PORT][/PREFIX]` of a registry that mirrors the public ones; images are pulled from there and given
    /// their public names.
    pub mirror: Option<String>,
}

/// Which source is asked for images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum ImageSource {
    /// What is in the engine, else pulled, else built from packages.
    Auto,
    /// Pulled only.
    Registry,
    /// Built from packages only.
    Packages,
}

/// cert-manager.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CertManager {
    /// Whether it is installed.
    pub enabled: bool,
    /// Its version without the leading `v`; empty: the newest that the image source has.
    pub version: String,
}

/// The Flink Kubernetes operator.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Operator {
    /// Its version.
    pub version: String,
    /// Whether its admission webhook is installed.
    pub webhook: Webhook,
    /// Namespace of the operator.
    pub namespace: String,
    /// More settings of the operator, over ours.
    pub config: BTreeMap<String, String>,
}

/// Whether the operator's admission webhook is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Webhook {
    /// Where cert-manager is on and the operator's image has it.
    Auto,
    /// Always; an error where it cannot be.
    // YAML 1.1 reads `on` and `off` as booleans, and so do people
    #[serde(alias = "true")]
    On,
    /// Never.
    #[serde(alias = "false")]
    Off,
}

/// The Kafka broker.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Kafka {
    /// Whether it is installed.
    pub enabled: bool,
    /// Its version.
    pub version: String,
    /// Namespace of the broker.
    pub namespace: String,
    /// The local port at which clients on this machine reach it.
    pub port: Port,
    /// Its memory limit in MiB.
    pub memory_mib: u64,
}

/// The schema registry, beside the Kafka broker.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SchemaRegistry {
    /// Whether it is installed.
    pub enabled: bool,
    /// Its version.
    pub version: String,
    /// Its memory limit in MiB.
    pub memory_mib: u64,
}

#[cfg(test)]
impl SchemaRegistry {
    /// That of the profile `default`.
    pub(crate) fn usual() -> Self {
        Self {
            enabled: false,
            version: "3.0.9".to_owned(),
            memory_mib: 512,
        }
    }
}

/// A local port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Port {
    /// A free one, chosen when the cluster is created.
    Auto,
    /// This one.
    Fixed(u16),
}

/// Flink itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FlinkSpec {
    /// Its version, e.g. `2.2.1`.
    pub version: String,
    /// Where state is kept, of the session cluster and of applications.
    pub state: State,
}

/// Where Flink keeps the state of jobs, and what of it lives on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct State {
    /// What TaskManagers keep it in while a job runs.
    pub backend: StateBackend,
    /// Milliseconds between two checkpoints of jobs that stay; `None`: they take none of themselves.
    pub checkpoints_ms: Option<u64>,
    /// How many completed checkpoints of a job are kept.
    pub retained: u32,
    /// Whether JobManagers keep in Kubernetes what they know of their jobs, so that jobs outlive them.
    pub high_availability: bool,
    /// What JobManagers and TaskManagers share.
    pub volume: StateVolume,
}

#[cfg(test)]
impl State {
    /// That of the profile `default`.
    pub(crate) fn usual() -> Self {
        Self {
            backend: StateBackend::Hashmap,
            checkpoints_ms: Some(10_000),
            retained: 3,
            high_availability: false,
            volume: StateVolume::Node,
        }
    }
}

/// What TaskManagers keep a job's state in while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum StateBackend {
    /// The Java heap: the quickest, bounded by memory.
    Hashmap,
    /// RocksDB on local disk: as large as the disk, checkpoints are increments.
    Rocksdb,
}

/// The volume that JobManagers and TaskManagers share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StateVolume {
    /// A folder of the cluster's node: there at once, outlives restarts of the node, goes with the cluster.
    Node,
    /// A claim of the cluster's default storage class.
    DefaultClass,
    /// A claim of this storage class.
    Class(String),
    /// None: checkpoints stay in the JobManager's memory, and there are no savepoints unless a setting says where.
    None,
}

/// Memory and CPU of a Flink process.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Resources {
    /// Process memory in MiB.
    pub memory_mib: u64,
    /// Requested CPUs; the limit is a multiple of it.
    pub cpu: f64,
}

/// The session cluster.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Session {
    /// Whether there is one.
    pub enabled: bool,
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// TaskManagers that are started before the first job.
    pub task_managers: u32,
    /// Task slots of each TaskManager.
    pub slots: u32,
    /// Whether its image has Python and PyFlink.
    pub python: bool,
    /// The JobManager.
    pub job_manager: Resources,
    /// Each TaskManager.
    pub task_manager: Resources,
    /// More Flink settings, over ours.
    pub config: BTreeMap<String, String>,
}

impl Profile {
    /// Name of kind's cluster.
    pub fn cluster_name(&self) -> &str {
        &self.name
    }

    /// Name of the node image, as upstream names it.
    pub fn node_image(&self) -> String {
        format!("kindest/node:v{}", self.cluster.kubernetes)
    }

    /// Memory in MiB that everything of this profile takes together, with the control plane.
    pub fn memory_mib(&self) -> u64 {
        // kind's control plane idles at 525 MB here; the operator is given 512 MB of heap
        let mut sum = 900 + 700;
        if self.cert_manager.enabled {
            sum += 200;
        }
        if self.kafka.enabled {
            sum += self.kafka.memory_mib;
        }
        if self.schema_registry.enabled {
            sum += self.schema_registry.memory_mib;
        }
        if self.session.enabled {
            sum += self.session.job_manager.memory_mib;
            sum += u64::from(self.session.task_managers) * self.session.task_manager.memory_mib;
        }
        sum
    }
}
