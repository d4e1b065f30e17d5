//! One Kafka broker (KRaft, its own controller), reachable in the cluster and from this machine.

use std::time::Duration;

use ::kube::Client;
use async_trait::async_trait;
use serde_json::{Value, json};

use super::Component;
use super::manifest::{container, document, documents, rename_namespace, set_env};
use super::ready::{EVERY, Patience, done, rolled_out};
use crate::config::Profile;
use crate::diag::Result;
use crate::engine::{Done, StepCx};
use crate::kube::{Seen, apply_within, until};

const MANIFEST: &str = include_str!("../../manifests/kafka/kafka.yaml");

/// The node's port of the external listener, which the container engine publishes to this machine.
pub const EXTERNAL_NODE_PORT: u16 = 30092;

/// How long the broker may take: some 5 s here, more where the machine is busy with everything else.
const BOUND: Duration = Duration::from_secs(180);

/// The Kafka broker of an environment.
#[derive(Debug, Clone)]
pub struct Kafka {
    namespace: String,
    version: String,
    objects: Vec<Value>,
}

impl Kafka {
    /// The broker of a profile, from this image, with this local port.
    pub fn new(profile: &Profile, image: &str, port: u16) -> Self {
        let spec = &profile.kafka;
        let mut objects = documents(MANIFEST);
        rename_namespace(&mut objects, "kafka", &spec.namespace);
        let broker = container(document(&mut objects, "Deployment", "kafka"));
        broker["image"] = json!(image);
        broker["resources"]["limits"] = json!({"memory": format!("{}Mi", spec.memory_mib)});
        let internal = format!("INTERNAL://kafka.{}.svc.cluster.local:9092", spec.namespace);
        let advertised = format!("{internal},EXTERNAL://127.0.0.1:{port}");
        set_env(broker, "KAFKA_ADVERTISED_LISTENERS", advertised);
        // half of it: page cache and the JVM's own memory count against the limit as well
        let heap = (spec.memory_mib / 2).max(128);
        set_env(broker, "KAFKA_HEAP_OPTS", format!("-Xmx{heap}m -Xms{heap}m"));
        Self {
            namespace: spec.namespace.clone(),
            version: spec.version.clone(),
            objects,
        }
    }
}

#[async_trait]
impl Component for Kafka {
    fn id(&self) -> &'static str {
        "kafka"
    }

    fn title(&self) -> String {
        format!("Kafka {}", self.version)
    }

    fn manifest(&self) -> &Vec<Value> {
        &self.objects
    }

    fn manifest_mut(&mut self) -> &mut Vec<Value> {
        &mut self.objects
    }

    async fn look(&self, client: &Client) -> Result<Seen<String>> {
        rolled_out(client, &self.namespace, "kafka").await
    }

    /// The post-condition is a listening broker; whether it answers clients on this machine is seen by a metadata
    /// request of [`crate::kafka`].
    async fn install(&self, client: &Client, cx: &StepCx) -> Result<Done> {
        let waiting = |reason: String| cx.waiting(reason);
        let report = apply_within(client, &self.objects, BOUND, &waiting).await?;
        let patience = Patience::default();
        let seen = until("Kafka is ready", EVERY, BOUND, &waiting, || async {
            match self.look(client).await? {
                Seen::Done(seen) => Ok(Seen::Done(seen)),
                Seen::NotYet(_) => Ok(Seen::NotYet(
                    patience
                        .look(client, &self.namespace, "app.kubernetes.io/name=kafka")
                        .await?,
                )),
            }
        })
        .await?;
        Ok(done(&report, seen))
    }
}
