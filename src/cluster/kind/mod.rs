//! A cluster of one node, made by [kind](https://kind.sigs.k8s.io).
//!
//! kind's exit status is checked, a half-made cluster of ours is found and replaced, and kind runs tethered to this
//! process: it has no signal handling of its own, and one that outlives us would delete a later cluster of the same
//! name when it fails.

mod create;
mod delete;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use super::sysctl;
use crate::component::EXTERNAL_NODE_PORT;
use crate::config::Profile;
use crate::container::{ContainerInfo, Engine};
use crate::diag::{Failure, Reason, Result};
use crate::env::Env;
use crate::image;

/// Docker network of all clusters of ours; it also tells them from clusters that others made.
pub const NETWORK: &str = "flink-dev";

/// Label that kind puts on a cluster's containers, with the cluster's name.
const CLUSTER_LABEL: &str = "io.x-k8s.kind.cluster";

/// Label with what a container of the cluster is for, and the value of one that runs no pods.
const ROLE_LABEL: &str = "io.x-k8s.kind.role";
const LOAD_BALANCER: &str = "external-load-balancer";

/// How long between two looks at a node that is being made.
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(100);

/// What Docker knows of the cluster's node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeState {
    /// There is no such container.
    Absent,
    /// It exists and does not run, e.g. after the engine was restarted.
    Stopped,
    /// It runs.
    Running {
        /// The container's id.
        id: String,
        /// Id of the image it was made from.
        image_id: String,
        /// Local port that leads to Kafka's outside listener.
        kafka_port: Option<u16>,
        /// Local port of the API server.
        api_port: Option<u16>,
    },
    /// A container of that name that was not made by `dev`.
    Foreign,
}

/// The cluster of a profile.
#[derive(Debug, Clone)]
pub struct Kind {
    name: String,
    dir: PathBuf,
    /// Where locks lie that processes of this user share.
    locks: PathBuf,
    /// Where the kernel shows its settings.
    kernel: PathBuf,
}

impl Kind {
    /// The cluster of this profile, whether it exists or not.
    pub fn new(env: &Env, profile: &Profile) -> Self {
        Self {
            name: profile.cluster_name().to_owned(),
            dir: env.cluster_dir(profile.cluster_name()),
            locks: image::locks_dir(env),
            kernel: sysctl::KERNEL.into(),
        }
    }

    /// The cluster's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Name of the node's container.
    pub fn node(&self) -> String {
        format!("{}-control-plane", self.name)
    }

    /// Containers of all its nodes that run, in the order of their names; none if the cluster is not up.
    ///
    /// # Errors
    /// [`Reason::ClusterForeign`] if the cluster was not made by `dev`; what the engine answers.
    pub async fn running_nodes(&self, engine: &Engine) -> Result<Vec<ContainerInfo>> {
        let mut nodes = engine
            .containers_with_label(&format!("{CLUSTER_LABEL}={}", self.name))
            .await?;
        if nodes.iter().any(|node| !is_ours(node)) {
            return Err(Failure::new(
                Reason::ClusterForeign,
                format!("the cluster `{}` was not made by dev", self.name),
            )
            .next("name its nodes: --node CONTAINER"));
        }
        nodes.retain(|node| node.running && node.labels.get(ROLE_LABEL).is_none_or(|role| role != LOAD_BALANCER));
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(nodes)
    }

    /// The cluster's own kubeconfig; the user's is left alone. It is there if, and only if, the cluster was finished.
    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.join("kubeconfig")
    }

    /// The same as kind writes it, before the cluster is finished.
    fn unpublished(&self) -> PathBuf {
        self.dir.join("kubeconfig.new")
    }

    /// A client by what kind has written, for a cluster that is not finished yet.
    ///
    /// # Errors
    /// What [`crate::kube::client`] says.
    pub async fn unpublished_client(&self) -> Result<kube::Client> {
        crate::kube::client(&self.unpublished()).await
    }

    /// Puts the kubeconfig where it belongs: the cluster is finished.
    ///
    /// # Errors
    /// [`Reason::ClusterCreateFailed`] if the file cannot be moved.
    pub fn publish_kubeconfig(&self) -> Result<()> {
        fs_err::rename(self.unpublished(), self.kubeconfig()).map_err(|e| {
            Failure::new(Reason::ClusterCreateFailed, "the kubeconfig cannot be put in its place").cause(&e)
        })
    }

    /// The lock of the kernel's settings: who notes them, hands them to another cluster or puts them back is alone with
    /// that until the clusters that run are those that it found.
    async fn lock_settings(&self) -> Result<std::fs::File> {
        image::lock_in(&self.locks, "kernel-settings")
            .await
            .map_err(|e| Failure::new(Reason::Internal, "no lock for the kernel's settings").cause(&e))
    }

    /// Another cluster of ours that runs, if there is one.
    async fn neighbour(&self, engine: &Engine) -> Result<Option<Self>> {
        let ours = engine.containers_with_label(CLUSTER_LABEL).await?;
        let name = ours
            .iter()
            .filter(|c| is_ours(c) && c.running)
            .filter_map(|c| c.labels.get(CLUSTER_LABEL))
            .find(|name| **name != self.name);
        Ok(name.map(|name| Self {
            name: name.clone(),
            dir: self.dir.with_file_name(name),
            ..self.clone()
        }))
    }

    /// What Docker knows of it now.
    ///
    /// # Errors
    /// What the engine answers.
    pub async fn observe(&self, engine: &Engine) -> Result<NodeState> {
        Ok(match engine.container(&self.node()).await? {
            None => NodeState::Absent,
            Some(info) if !is_ours(&info) => NodeState::Foreign,
            Some(info) if !info.running => NodeState::Stopped,
            Some(info) => NodeState::Running {
                kafka_port: info.ports.get(&EXTERNAL_NODE_PORT).copied(),
                api_port: info.ports.get(&6443).copied(),
                id: info.id,
                image_id: info.image_id,
            },
        })
    }
}

fn is_ours(info: &ContainerInfo) -> bool {
    info.networks.contains_key(NETWORK)
}
