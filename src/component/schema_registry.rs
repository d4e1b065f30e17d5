//! One schema registry, beside the Kafka broker.

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
use crate::schema_registry::{Registry, SERVICE};

const MANIFEST: &str = include_str!("../../manifests/schema-registry/schema-registry.yaml");

/// How long it may take: some 5 s here, more where the machine is busy with everything else.
const BOUND: Duration = Duration::from_secs(180);

/// The schema registry of an environment.
#[derive(Debug, Clone)]
pub struct SchemaRegistry {
    namespace: String,
    version: String,
    objects: Vec<Value>,
}

impl SchemaRegistry {
    /// The registry of a profile, from this image.
    pub fn new(profile: &Profile, image: &str) -> Self {
        let spec = &profile.schema_registry;
        let mut objects = documents(MANIFEST);
        rename_namespace(&mut objects, "kafka", &profile.kafka.namespace);
        let registry = container(document(&mut objects, "Deployment", SERVICE));
        registry["image"] = json!(image);
        registry["resources"]["limits"] = json!({"memory": format!("{}Mi", spec.memory_mib)});
        // half of it: its classes and threads take some 150 MiB
        let heap = spec.memory_mib / 2;
        let options = format!("-Xmx{heap}m -XX:TieredStopAtLevel=1");
        set_env(registry, "JAVA_OPTS_APPEND", options);
        Self {
            namespace: profile.kafka.namespace.clone(),
            version: spec.version.clone(),
            objects,
        }
    }
}

#[async_trait]
impl Component for SchemaRegistry {
    fn id(&self) -> &'static str {
        "schema-registry"
    }

    fn title(&self) -> String {
        format!("schema registry {}", self.version)
    }

    fn manifest(&self) -> &Vec<Value> {
        &self.objects
    }

    fn manifest_mut(&mut self) -> &mut Vec<Value> {
        &mut self.objects
    }

    /// It works if it answers, through the Service that Flink asks, too.
    async fn look(&self, client: &Client) -> Result<Seen<String>> {
        let rolled_out = rolled_out(client, &self.namespace, SERVICE).await?;
        if matches!(rolled_out, Seen::NotYet(_)) {
            return Ok(rolled_out);
        }
        let subjects = Registry::new(client.clone(), &self.namespace).subjects().await;
        Ok(match subjects {
            Ok(subjects) => Seen::Done(format!("its API answers, {} subjects", subjects.len())),
            Err(failure) => {
                let why = failure.detail().evidence.join("; ");
                Seen::NotYet(format!("{failure}: {why}"))
            }
        })
    }

    async fn install(&self, client: &Client, cx: &StepCx) -> Result<Done> {
        let waiting = |reason: String| cx.waiting(reason);
        let report = apply_within(client, &self.objects, BOUND, &waiting).await?;
        let patience = Patience::default();
        let selector = format!("app.kubernetes.io/name={SERVICE}");
        let seen = until("the schema registry answers", EVERY, BOUND, &waiting, || async {
            let reason = match self.look(client).await? {
                Seen::Done(seen) => return Ok(Seen::Done(seen)),
                Seen::NotYet(reason) => reason,
            };
            let pods = patience.look(client, &self.namespace, &selector).await?;
            Ok(Seen::NotYet(if pods.starts_with("pod ") { pods } else { reason }))
        })
        .await?;
        Ok(done(&report, seen))
    }
}
