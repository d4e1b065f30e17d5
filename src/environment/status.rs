//! What runs, which versions, where it listens, and why something is not ready.

use serde::Serialize;

use super::{Context, up};
use crate::cluster::NodeState;
use crate::diag::Result;
use crate::plan::{Action, ids};
use crate::schema_registry;

/// The state of an environment.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// Version of this format.
    pub v: u32,
    /// The cluster's name.
    pub name: String,
    /// `running`, `stopped`, `absent`, `half made` or `foreign`.
    pub cluster: &'static str,
    /// Whether everything of the profile is ready.
    pub ready: bool,
    /// Cluster and components.
    pub parts: Vec<PartStatus>,
    /// Where things listen.
    pub endpoints: Vec<Endpoint>,
}

/// One part of the environment.
#[derive(Debug, Clone, Serialize)]
pub struct PartStatus {
    /// Its id.
    pub id: String,
    /// Its title, with the version.
    pub title: String,
    /// Whether it works.
    pub ready: bool,
    /// What was seen, or why it does not work.
    pub reason: String,
}

/// Where something listens.
#[derive(Debug, Clone, Serialize)]
pub struct Endpoint {
    /// What it is.
    pub name: &'static str,
    /// From where the address is valid: `this machine`, `in the cluster`.
    pub from: &'static str,
    /// The address.
    pub address: String,
}

/// Observes an environment. Changes nothing.
///
/// # Errors
/// What the engine answers.
pub async fn status(context: &Context) -> Result<Status> {
    let node = context.kind.observe(&context.engine).await?;
    let profile = &context.profile;
    let (cluster, mut parts) = match &node {
        NodeState::Absent => ("absent", Vec::new()),
        NodeState::Foreign => ("foreign", Vec::new()),
        NodeState::Stopped => ("stopped", Vec::new()),
        NodeState::Running { .. } => {
            let plan = up::prepare(context).await?.plan;
            let shown = [
                ids::CLUSTER,
                ids::LOAD,
                ids::CERT_MANAGER,
                ids::OPERATOR,
                ids::KAFKA,
                ids::SCHEMA_REGISTRY,
                ids::SESSION,
            ];
            let parts: Vec<PartStatus> = shown
                .iter()
                .filter_map(|id| plan.step(id))
                .map(|step| PartStatus {
                    id: step.id.clone(),
                    title: step.title.clone(),
                    ready: step.action == Action::Keep,
                    reason: step.why.clone(),
                })
                .collect();
            let half_made = plan.step(ids::CLEAN).is_some();
            (if half_made { "half made" } else { "running" }, parts)
        }
    };
    if parts.is_empty() {
        parts.push(PartStatus {
            id: ids::CLUSTER.to_owned(),
            title: format!("cluster `{}`", profile.name),
            ready: false,
            reason: cluster.to_owned(),
        });
    }
    let endpoints = endpoints(context, &node);
    let ready = parts.iter().all(|p| p.ready);
    Ok(Status {
        v: 1,
        name: profile.name.clone(),
        cluster,
        ready,
        parts,
        endpoints,
    })
}

/// Where the parts of an environment listen, by what Docker knows of its node.
///
/// # Errors
/// What the engine answers.
pub async fn listening(context: &Context) -> Result<Vec<Endpoint>> {
    Ok(endpoints(context, &context.kind.observe(&context.engine).await?))
}

fn endpoints(context: &Context, node: &NodeState) -> Vec<Endpoint> {
    let profile = &context.profile;
    let mut endpoints = Vec::new();
    if let NodeState::Running {
        kafka_port, api_port, ..
    } = node
    {
        if let Some(port) = api_port {
            endpoints.push(Endpoint {
                name: "Kubernetes API",
                from: "this machine",
                address: format!("https://127.0.0.1:{port}"),
            });
        }
        if let (true, Some(port)) = (profile.kafka.enabled, kafka_port) {
            endpoints.push(Endpoint {
                name: "Kafka",
                from: "this machine",
                address: format!("127.0.0.1:{port}"),
            });
            let address = format!("kafka.{}.svc.cluster.local:9092", profile.kafka.namespace);
            endpoints.push(Endpoint {
                name: "Kafka",
                from: "in the cluster",
                address,
            });
        }
        if let Some(address) = schema_registry::url(profile) {
            endpoints.push(Endpoint {
                name: "schema registry",
                from: "in the cluster",
                address,
            });
        }
        if profile.session.enabled {
            let address = format!(
                "http://{}-rest.{}.svc.cluster.local:8081",
                profile.session.name, profile.session.namespace
            );
            endpoints.push(Endpoint {
                name: "Flink REST",
                from: "in the cluster",
                address,
            });
        }
        let address = context.kind.kubeconfig().display().to_string();
        endpoints.push(Endpoint {
            name: "kubeconfig",
            from: "this machine",
            address,
        });
    }
    endpoints
}
