//! What is installed in the cluster: cert-manager, the Flink operator, Kafka, a schema registry, the session cluster. Each knows its
//! objects, how to see whether it is there, and the post-condition that shows that it works.

mod cert_manager;
mod flink_operator;
mod kafka;
mod manifest;
mod ready;
mod schema_registry;
mod session;

use std::collections::BTreeMap;

use ::kube::Client;
use async_trait::async_trait;
use serde_json::Value;

use crate::config::Profile;
use crate::diag::Result;
use crate::engine::{Done, StepCx};
use crate::kube::{Seen, State, observe};
use manifest::name_builds;

pub use cert_manager::CertManager;
pub use flink_operator::FlinkOperator;
pub use kafka::{EXTERNAL_NODE_PORT, Kafka};
pub use schema_registry::SchemaRegistry;
pub use session::SessionCluster;

/// What a look at a component saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// Nothing of it is there.
    Absent,
    /// Some of its objects are missing or other than wanted; the text names them.
    Drifted(String),
    /// Its objects are as wanted, but it does not work (yet); the text says why.
    NotReady(String),
    /// It works; the text is what was observed.
    Ready(String),
}

/// One component of an environment.
#[async_trait]
pub trait Component: Send + Sync {
    /// Its id, which is also its step's: `cert-manager`, `flink-operator`, `kafka`, `schema-registry`, `session`.
    fn id(&self) -> &'static str;

    /// For people: what is installed, with its version.
    fn title(&self) -> String;

    /// Ids of the components that must work before this one is installed.
    fn needs(&self) -> &'static [&'static str] {
        &[]
    }

    /// Its objects, as they are applied.
    fn manifest(&self) -> &Vec<Value>;

    /// The same, to be changed.
    fn manifest_mut(&mut self) -> &mut Vec<Value>;

    /// Whether it works, without a look at what of its objects is there.
    ///
    /// # Errors
    /// [`crate::diag::Reason::ClusterUnreachable`] if the API server does not answer.
    async fn look(&self, client: &Client) -> Result<Seen<String>>;

    /// A copy of its objects.
    fn objects(&self) -> Vec<Value> {
        self.manifest().clone()
    }

    /// Has its pods name the builds of the images that they run (`ids`: image id by name), so that a pod of another
    /// build under the same name is one that differs.
    fn run_builds(&mut self, ids: &BTreeMap<String, String>) {
        name_builds(self.manifest_mut(), ids);
    }

    /// Looks at it: fast, changes nothing.
    ///
    /// # Errors
    /// [`crate::diag::Reason::ClusterUnreachable`] if the API server does not answer.
    async fn probe(&self, client: &Client) -> Result<Probe> {
        probe_with(client, self.manifest(), self.look(client)).await
    }

    /// Applies its objects and waits for its post-condition; nothing is written where all is as it should be.
    ///
    /// # Errors
    /// [`crate::diag::Reason::ApplyFailed`] or [`crate::diag::Reason::ComponentNotReady`] with what was seen.
    async fn install(&self, client: &Client, cx: &StepCx) -> Result<Done>;
}

/// Every object that an environment is made of, except what comes out of packages (cert-manager's manifests and the
/// operator's CRDs): for the validation against published schemas, and for people who want to read them.
///
/// `images` names the images of operator, Kafka, schema registry and session cluster; `kafka_port` is the local port of Kafka.
pub fn render_all(profile: &Profile, images: [&str; 4], webhook: bool, kafka_port: u16) -> Vec<Value> {
    let [operator, kafka, registry, session] = images;
    let mut objects = FlinkOperator::new(profile, operator, webhook, Vec::new()).objects();
    if profile.kafka.enabled {
        objects.extend(Kafka::new(profile, kafka, kafka_port).objects());
    }
    if profile.schema_registry.enabled {
        objects.extend(SchemaRegistry::new(profile, registry).objects());
    }
    if profile.session.enabled {
        objects.extend(SessionCluster::new(profile, session).objects());
    }
    objects
}

/// The answer of a probe from what is there of the objects and, if all is, from `look`.
async fn probe_with<Look>(client: &Client, objects: &[Value], look: Look) -> Result<Probe>
where
    Look: Future<Output = Result<Seen<String>>>,
{
    // side by side: one round trip less when all is well
    let (states, seen) = tokio::join!(observe(client, objects), look);
    let states = states?;
    let own = || states.iter().filter(|(at, _)| at.kind != "Namespace");
    if own().all(|(_, state)| *state == State::Absent) {
        return Ok(Probe::Absent);
    }
    let other: Vec<String> = states
        .iter()
        .filter_map(|(at, state)| match state {
            State::Same => None,
            State::Absent => Some(format!("{at} is missing")),
            State::Differs(why) => Some(format!("{at}: {why}")),
        })
        .collect();
    Ok(match (other.split_first(), seen?) {
        (Some((first, [])), _) => Probe::Drifted(first.clone()),
        (Some((first, rest)), _) => Probe::Drifted(format!("{first} (and {} more)", rest.len())),
        (None, Seen::Done(evidence)) => Probe::Ready(evidence),
        (None, Seen::NotYet(why)) => Probe::NotReady(why),
    })
}

#[cfg(test)]
mod tests;
