//! The profile as users write it. The descriptions of the JSON Schema are the comments of this file.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::profile::{ImageSource, StateBackend, Webhook};
use super::topic::RawTopic;
use super::units::{Format, Memory, PortChoice, Setting, Span, SpanOrOff, VolumeChoice};

/// A profile of `dev`: what an environment holds. Every key but `version` may be left out; what is left out is taken
/// from the profile it extends.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Profile of dev")]
pub(super) struct RawProfile {
    /// The version of this format, 1.
    #[expect(dead_code, reason = "checked before the rest is read")]
    pub(super) version: Format,
    /// The shipped profile that this one is laid over; `default` if none is named.
    #[expect(dead_code, reason = "used before the layers are one")]
    pub(super) extends: Option<Base>,
    /// The name of the environment, and of its cluster: a DNS label of at most 30 characters.
    pub(super) name: String,
    /// The Kubernetes cluster.
    pub(super) cluster: RawCluster,
    /// Where container images come from.
    pub(super) images: RawImages,
    /// cert-manager, which gives the operator's webhook its certificate.
    pub(super) cert_manager: RawCertManager,
    /// The Flink Kubernetes operator.
    pub(super) operator: RawOperator,
    /// The Kafka broker.
    pub(super) kafka: RawKafka,
    /// The schema registry, for values of the format `avro-confluent`.
    pub(super) schema_registry: RawSchemaRegistry,
    /// Flink itself.
    pub(super) flink: RawFlink,
    /// The Flink session cluster that runs SQL jobs and tests.
    pub(super) session: RawSession,
    /// Topics as tables of `dev sql`, by the table's name.
    #[serde(default)]
    pub(super) topics: BTreeMap<String, RawTopic>,
}

/// A shipped profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum Base {
    /// Everything, for a machine with 8 GiB of memory.
    Default,
    /// No cert-manager, least memory.
    Minimal,
}

/// The Kubernetes cluster.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct RawCluster {
    /// The version of Kubernetes, e.g. `1.34.4`.
    pub(super) kubernetes: String,
    /// How long the node may take to become Ready, e.g. `3m`.
    pub(super) timeout: Span,
}

/// Where container images come from.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct RawImages {
    /// `registry`: pulled. `packages`: built on this machine, from packages. `auto`: what the Docker engine has, else
    /// pulled, else built.
    pub(super) source: ImageSource,
    /// `HOST[:PORT][/PREFIX]` of a registry that mirrors the public ones.
    pub(super) mirror: Option<String>,
}

/// cert-manager.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct RawCertManager {
    /// Whether it is installed.
    pub(super) enabled: bool,
    /// Its version, or `newest`: the newest that the source of images has.
    pub(super) version: String,
}

/// The Flink Kubernetes operator.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct RawOperator {
    /// Its version, e.g. `1.16.1`.
    pub(super) version: String,
    /// Whether its admission webhook is installed. `auto`: where cert-manager is on and the operator's image has it.
    pub(super) webhook: Webhook,
    /// The namespace it runs in.
    pub(super) namespace: String,
    /// More settings of the operator, e.g. `kubernetes.operator.reconcile.interval: 5 s`.
    pub(super) config: BTreeMap<String, Setting>,
}

/// The Kafka broker.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct RawKafka {
    /// Whether it is installed.
    pub(super) enabled: bool,
    /// Its version, e.g. `4.1.1`.
    pub(super) version: String,
    /// The namespace it runs in.
    pub(super) namespace: String,
    /// The port of this machine at which programs outside of the cluster reach it; `auto`: a free one.
    pub(super) port: PortChoice,
    /// Its memory limit, e.g. `768m`.
    pub(super) memory: Memory,
}

/// The schema registry (Apicurio Registry, by the API of Confluent's), in the namespace of the Kafka broker. What it knows is
/// in its memory: another pod begins anew.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct RawSchemaRegistry {
    /// Whether it is installed; the image of the session cluster then has the format `avro-confluent`.
    pub(super) enabled: bool,
    /// Its version, e.g. `3.0.9`.
    pub(super) version: String,
    /// Its memory limit, e.g. `512m`.
    pub(super) memory: Memory,
}

/// Flink itself.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct RawFlink {
    /// Its version, e.g. `2.2.1`.
    pub(super) version: String,
    /// Where jobs keep their state, in the session cluster and in applications.
    pub(super) state: RawState,
}

/// Where jobs keep their state.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct RawState {
    /// What TaskManagers keep it in while a job runs: `hashmap` (the Java heap) or `rocksdb` (local disk).
    pub(super) backend: StateBackend,
    /// How often jobs of `dev job run` take a checkpoint, e.g. `10s`, or `off`. Test cases take none unless their
    /// script sets `execution.checkpointing.interval`.
    pub(super) checkpoints: SpanOrOff,
    /// How many completed checkpoints of a job are kept.
    pub(super) retained: u32,
    /// Whether jobs outlive their JobManager: what it knows of them is kept in ConfigMaps and in the volume.
    pub(super) high_availability: bool,
    /// What JobManagers and TaskManagers share for checkpoints, savepoints and high availability. `node`: a folder of the
    /// cluster's node. `default`, or the name of a storage class: a claim of that class. `none`: nothing.
    pub(super) volume: VolumeChoice,
}

/// The session cluster.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct RawSession {
    /// Whether there is one.
    pub(super) enabled: bool,
    /// Its name, a DNS label of at most 45 characters.
    pub(super) name: String,
    /// The namespace it and its jobs run in.
    pub(super) namespace: String,
    /// How many TaskManagers are started before the first job.
    pub(super) task_managers: u32,
    /// The task slots of each TaskManager.
    pub(super) slots: u32,
    /// Whether it runs Python jobs and Python functions of SQL scripts: its image is then one with PyFlink, which is made
    /// when it is first asked for.
    pub(super) python: bool,
    /// The JobManager.
    pub(super) job_manager: RawResources,
    /// Each TaskManager.
    pub(super) task_manager: RawResources,
    /// More settings of Flink, e.g. `parallelism.default: 2`.
    pub(super) config: BTreeMap<String, Setting>,
}

/// What a Flink process gets.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct RawResources {
    /// Process memory, e.g. `1536m` or `1.5Gi`.
    pub(super) memory: Memory,
    /// CPUs that are requested; more are used where they are free.
    pub(super) cpu: f64,
}
