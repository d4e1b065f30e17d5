//! cert-manager, from the manifests of its release, with small requests and a quick start.

use std::time::Duration;

use ::kube::Client;
use async_trait::async_trait;
use futures::future::try_join_all;
use serde_json::{Value, json};

use super::Component;
use super::manifest::container;
use super::ready::{EVERY, Patience, done, rolled_out};
use crate::diag::Result;
use crate::engine::{Done, StepCx};
use crate::kube::{Seen, apply_within, dry_run_or_reason, text, until};

const NAMESPACE: &str = "cert-manager";
const BOUND: Duration = Duration::from_secs(180);

/// cert-manager.
#[derive(Debug, Clone)]
pub struct CertManager {
    version: String,
    deployments: Vec<String>,
    objects: Vec<Value>,
}

impl CertManager {
    /// cert-manager from the objects of its release.
    pub fn new(manifests: Vec<Value>) -> Self {
        let mut objects: Vec<Value> = manifests.into_iter().filter(Value::is_object).collect();
        let (mut version, mut deployments) = (String::new(), Vec::new());
        for object in objects.iter_mut().filter(|o| o["kind"] == "Deployment") {
            deployments.push(text(object, "/metadata/name").to_owned());
            text(object, "/metadata/labels/app.kubernetes.io~1version")
                .trim_start_matches('v')
                .clone_into(&mut version);
            quicken(object);
        }
        Self {
            version,
            deployments,
            objects,
        }
    }
}

/// Small requests, and no needless wait at the start: one replica needs no election, and a probe that looks every
/// second instead of after five.
fn quicken(deployment: &mut Value) {
    let pod = &mut deployment["spec"]["template"]["spec"];
    pod["terminationGracePeriodSeconds"] = json!(5);
    pod["enableServiceLinks"] = json!(false);
    let container = container(deployment);
    container["imagePullPolicy"] = json!("IfNotPresent");
    container["resources"] = json!({"requests": {"cpu": "10m", "memory": "32Mi"}});
    if container["readinessProbe"].is_object() {
        container["readinessProbe"]["initialDelaySeconds"] = json!(0);
        container["readinessProbe"]["periodSeconds"] = json!(1);
    }
    if let Some(args) = container.get_mut("args").and_then(Value::as_array_mut)
        && args
            .iter()
            .any(|a| a.as_str().is_some_and(|a| a.starts_with("--leader-election-namespace")))
    {
        args.retain(|a| a.as_str().is_some_and(|a| !a.starts_with("--leader-elect")));
        args.push(json!("--leader-elect=false"));
    }
}

/// Whether an Issuer and a Certificate would be accepted: the webhook answers, and the API server knows its
/// certificate, which is later than all Deployments being available.
async fn accepted(client: &Client) -> Result<Seen<String>> {
    let name = json!({"name": "flink-dev-probe", "namespace": NAMESPACE});
    let issuer = json!({"apiVersion": "cert-manager.io/v1", "kind": "Issuer", "metadata": name,
                        "spec": {"selfSigned": {}}});
    let certificate = json!({"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": name,
                             "spec": {"secretName": "flink-dev-probe", "dnsNames": ["probe.flink-dev"],
                                      "issuerRef": {"name": "flink-dev-probe"}}});
    let (issuer, certificate) = tokio::try_join!(
        dry_run_or_reason(client, &issuer),
        dry_run_or_reason(client, &certificate)
    )?;
    Ok(match issuer.or(certificate) {
        None => Seen::Done("an Issuer and a Certificate are accepted".to_owned()),
        Some(reason) => Seen::NotYet(reason),
    })
}

#[async_trait]
impl Component for CertManager {
    fn id(&self) -> &'static str {
        "cert-manager"
    }

    fn title(&self) -> String {
        format!("cert-manager {}", self.version)
    }

    fn manifest(&self) -> &Vec<Value> {
        &self.objects
    }

    fn manifest_mut(&mut self) -> &mut Vec<Value> {
        &mut self.objects
    }

    async fn look(&self, client: &Client) -> Result<Seen<String>> {
        let looks = self.deployments.iter().map(|name| rolled_out(client, NAMESPACE, name));
        for seen in try_join_all(looks).await? {
            if let Seen::NotYet(reason) = seen {
                return Ok(Seen::NotYet(reason));
            }
        }
        accepted(client).await
    }

    async fn install(&self, client: &Client, cx: &StepCx) -> Result<Done> {
        let waiting = |reason: String| cx.waiting(reason);
        let report = apply_within(client, &self.objects, BOUND, &waiting).await?;
        let patience = Patience::default();
        let selector = "app.kubernetes.io/instance=cert-manager";
        let seen = until("cert-manager is ready", EVERY, BOUND, &waiting, || async {
            match self.look(client).await? {
                Seen::Done(seen) => Ok(Seen::Done(seen)),
                Seen::NotYet(reason) => {
                    let pods = patience.look(client, NAMESPACE, selector).await?;
                    Ok(Seen::NotYet(format!("{reason}; {pods}")))
                }
            }
        })
        .await?;
        Ok(done(&report, seen))
    }
}
