//! The Flink Kubernetes operator with settings for a machine of one developer: it looks often, and its rate limiter,
//! which makes a session cluster READY 20 s later, is set aside.

use std::collections::BTreeMap;
use std::time::Duration;

use ::kube::Client;
use async_trait::async_trait;
use serde_json::{Value, json};

use super::Component;
use super::manifest::{container, document, documents, rename_namespace};
use super::ready::{EVERY, Patience, done, rolled_out};
use crate::config::Profile;
use crate::diag::{Failure, Reason, Result};
use crate::engine::{Done, StepCx};
use crate::kube::{Seen, apply_within, delete, dry_run_or_reason, get, text, until};

const OPERATOR: &str = include_str!("../../manifests/flink-operator/operator.yaml");
const JOBS: &str = include_str!("../../manifests/flink-operator/jobs.yaml");
const WEBHOOK: &str = include_str!("../../manifests/flink-operator/webhook.yaml");
const WEBHOOK_CONTAINER: &str = include_str!("../../manifests/flink-operator/webhook-container.yaml");

const NAME: &str = "flink-kubernetes-operator";
const SELECTOR: &str = "app.kubernetes.io/name=flink-kubernetes-operator";
const BOUND: Duration = Duration::from_secs(180);
/// How long a running operator may take to look at a new resource: it watches, so some 0.1 s here.
const RECONCILES: Duration = Duration::from_secs(60);

/// The operator's settings; a profile's own come over them. Also the defaults of every Flink cluster it makes.
const SETTINGS: &[(&str, &str)] = &[
    // how often it looks: 60 s, 10 s and 10 s by default
    ("kubernetes.operator.reconcile.interval", "1 s"),
    ("kubernetes.operator.observer.progress-check.interval", "250 ms"),
    ("kubernetes.operator.observer.rest-ready.delay", "0 s"),
    // 5 reconciliations in 15 s by default, which the first second of a start uses up
    ("kubernetes.operator.rate-limiter.limit", "1000"),
    ("kubernetes.operator.rate-limiter.refresh-period", "1 s"),
    // uploads and submissions of a cold JobManager take longer than 10 s
    ("kubernetes.operator.flink.client.timeout", "60 s"),
    ("kubernetes.operator.exception.stacktrace.enabled", "true"),
    ("kubernetes.operator.exception.field.max.length", "8192"),
    ("kubernetes.operator.exception.stacktrace.max.length", "8192"),
    ("kubernetes.operator.exception.throwable.list.max.count", "5"),
    // a Flink list: its separator is the semicolon
    ("kubernetes.operator.user.artifacts.allowed-schemes", "https;http;file"),
    ("kubernetes.operator.user.artifacts.disallow-restricted-hosts", "false"),
    ("kubernetes.operator.health.probe.enabled", "true"),
    ("kubernetes.operator.health.probe.port", "8085"),
    ("kubernetes.operator.snapshot.resource.enabled", "true"),
    ("parallelism.default", "1"),
    // Java 17 hides what Flink's serialisers and its planner reach into; the operator's chart sets the same
    (
        "env.java.opts.all",
        "--add-exports=java.rmi/sun.rmi.registry=ALL-UNNAMED --add-exports=java.base/sun.net.util=ALL-UNNAMED \
         --add-exports=java.security.jgss/sun.security.krb5=ALL-UNNAMED \
         --add-exports=jdk.compiler/com.sun.tools.javac.api=ALL-UNNAMED \
         --add-exports=jdk.compiler/com.sun.tools.javac.file=ALL-UNNAMED \
         --add-exports=jdk.compiler/com.sun.tools.javac.parser=ALL-UNNAMED \
         --add-exports=jdk.compiler/com.sun.tools.javac.tree=ALL-UNNAMED \
         --add-exports=jdk.compiler/com.sun.tools.javac.util=ALL-UNNAMED --add-opens=java.base/java.lang=ALL-UNNAMED \
         --add-opens=java.base/java.net=ALL-UNNAMED --add-opens=java.base/java.io=ALL-UNNAMED \
         --add-opens=java.base/java.nio=ALL-UNNAMED --add-opens=java.base/sun.nio.ch=ALL-UNNAMED \
         --add-opens=java.base/java.lang.reflect=ALL-UNNAMED --add-opens=java.base/java.text=ALL-UNNAMED \
         --add-opens=java.base/java.time=ALL-UNNAMED --add-opens=java.base/java.util=ALL-UNNAMED \
         --add-opens=java.base/java.util.concurrent=ALL-UNNAMED \
         --add-opens=java.base/java.util.concurrent.atomic=ALL-UNNAMED \
         --add-opens=java.base/java.util.concurrent.locks=ALL-UNNAMED",
    ),
];

/// The operator of an environment.
#[derive(Debug, Clone)]
pub struct FlinkOperator {
    namespace: String,
    version: String,
    webhook: bool,
    job_namespace: String,
    flink_version: String,
    objects: Vec<Value>,
}

impl FlinkOperator {
    /// The operator of a profile, from this image, with or without its admission webhook (which needs cert-manager),
    /// and with its custom resource definitions.
    pub fn new(profile: &Profile, image: &str, webhook: bool, crds: Vec<Value>) -> Self {
        let spec = &profile.operator;
        let job_namespace = profile.session.namespace.clone();
        let mut settings: BTreeMap<String, String> = SETTINGS
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        settings.insert(
            "kubernetes.operator.watched.namespaces".to_owned(),
            job_namespace.clone(),
        );
        settings.extend(spec.config.clone());

        let mut objects = documents(OPERATOR);
        let files = &mut document(&mut objects, "ConfigMap", "flink-operator-config")["data"];
        files["config.yaml"] = json!(flat_yaml(&settings));
        let digest = digest(files);
        let deployment = document(&mut objects, "Deployment", NAME);
        container(deployment)["image"] = json!(image);
        // a changed ConfigMap reaches a running operator after minutes: new settings are a new pod
        deployment["spec"]["template"]["metadata"]["annotations"] = json!({"flink-dev/settings": digest});
        if webhook {
            add_webhook(deployment, image);
            objects.extend(webhook_objects(&spec.namespace));
        }
        rename_namespace(&mut objects, "flink-operator", &spec.namespace);
        let mut jobs = documents(JOBS);
        rename_namespace(&mut jobs, "flink", &job_namespace);
        objects.extend(jobs);
        // namespaces may coincide; one object is applied once
        let mut seen = std::collections::BTreeSet::new();
        objects.retain(|o| o["kind"] != "Namespace" || seen.insert(o["metadata"]["name"].to_string()));
        objects.extend(crds.into_iter().map(relaxed));
        Self {
            namespace: spec.namespace.clone(),
            version: spec.version.clone(),
            webhook,
            job_namespace,
            flink_version: super::session::flink_version(&profile.flink.version),
            objects,
        }
    }

    /// A FlinkDeployment that the operator takes for a probe of itself: it reconciles it without starting anything.
    fn canary(&self) -> Value {
        json!({
            "apiVersion": "flink.apache.org/v1beta1",
            "kind": "FlinkDeployment",
            "metadata": {"name": "flink-dev-canary", "namespace": self.job_namespace,
                         "labels": {"flink.apache.org/canary": "true"}},
            "spec": {"flinkVersion": self.flink_version, "image": "canary", "serviceAccount": "flink",
                     "jobManager": {"resource": {"memory": "1024m", "cpu": 0.1}},
                     "taskManager": {"resource": {"memory": "1024m", "cpu": 0.1}}},
        })
    }

    /// Sees the operator work: it puts its finalizer on a new resource, and takes it off a deleted one.
    pub(super) async fn reconciles(
        &self,
        client: &Client,
        bound: Duration,
        waiting: &(dyn Fn(String) + Send + Sync),
    ) -> Result<()> {
        let canary = self.canary();
        let path = crate::kube::coordinates(client, &canary).await?.path();
        apply_within(client, std::slice::from_ref(&canary), BOUND, waiting).await?;
        let adopted = until("the operator reconciles", EVERY, bound, waiting, || async {
            let seen = get(client, &path).await?.unwrap_or_default();
            Ok(match seen.pointer("/metadata/finalizers/0") {
                Some(_) => Seen::Done(()),
                None => Seen::NotYet("the operator has not taken up a new resource yet".to_owned()),
            })
        })
        .await;
        // in any case: nothing of ours stays behind
        delete(client, &path).await?;
        adopted
    }
}

#[async_trait]
impl Component for FlinkOperator {
    fn id(&self) -> &'static str {
        "flink-operator"
    }

    fn title(&self) -> String {
        let webhook = if self.webhook { " with its webhook" } else { "" };
        format!("Flink operator {}{webhook}", self.version)
    }

    fn needs(&self) -> &'static [&'static str] {
        if self.webhook { &["cert-manager"] } else { &[] }
    }

    fn manifest(&self) -> &Vec<Value> {
        &self.objects
    }

    fn manifest_mut(&mut self) -> &mut Vec<Value> {
        &mut self.objects
    }

    async fn look(&self, client: &Client) -> Result<Seen<String>> {
        rolled_out(client, &self.namespace, NAME).await
    }

    async fn install(&self, client: &Client, cx: &StepCx) -> Result<Done> {
        let waiting = |reason: String| cx.waiting(reason);
        let report = apply_within(client, &self.objects, BOUND, &waiting).await?;
        let patience = Patience::default();
        let seen = until("the Flink operator is ready", EVERY, BOUND, &waiting, || async {
            match self.look(client).await? {
                Seen::Done(seen) => Ok(Seen::Done(seen)),
                Seen::NotYet(_) => Ok(Seen::NotYet(patience.look(client, &self.namespace, SELECTOR).await?)),
            }
        })
        .await
        .map_err(|failure| told(failure, &self.namespace))?;
        // the webhook, where there is one, answers dry runs; its certificate may take a moment to be known
        let canary = self.canary();
        until(
            "the API server accepts a FlinkDeployment",
            EVERY,
            BOUND,
            &waiting,
            || async {
                Ok(match dry_run_or_reason(client, &canary).await? {
                    None => Seen::Done(()),
                    Some(reason) => Seen::NotYet(reason),
                })
            },
        )
        .await?;
        self.reconciles(client, RECONCILES, &waiting).await?;
        let evidence = format!("{seen}; a FlinkDeployment is accepted and taken up");
        Ok(done(&report, evidence))
    }
}

/// The definition of FlinkBlueGreenDeployment without its schema, the others as they are.
///
/// The operator does not start without the kind, but hardly anyone uses it, and its schema (180 KB: a whole
/// FlinkDeployment once more) takes the API server 2.5 s of CPU at a moment when everything else starts too. Objects of
/// the kind are accepted and stored as they are; the operator validates them when it reads them.
fn relaxed(mut definition: Value) -> Value {
    if text(&definition, "/metadata/name") == "flinkbluegreendeployments.flink.apache.org" {
        let open = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        let versions = definition.pointer_mut("/spec/versions").and_then(Value::as_array_mut);
        for version in versions.into_iter().flatten() {
            let schema = json!({"type": "object", "properties": {"spec": open.clone(), "status": open.clone()}});
            version["schema"] = json!({"openAPIV3Schema": schema});
        }
    }
    definition
}

fn told(failure: Failure, namespace: &str) -> Failure {
    if failure.id() == Reason::ComponentNotReady {
        failure.next(format!("kubectl -n {namespace} logs deploy/{NAME}"))
    } else {
        failure
    }
}

fn webhook_objects(namespace: &str) -> Vec<Value> {
    let mut objects = documents(WEBHOOK);
    let service = format!("flink-operator-webhook-service.{namespace}.svc");
    document(&mut objects, "Certificate", "flink-operator-serving-cert")["spec"]["dnsNames"] =
        json!([service, format!("{service}.cluster.local")]);
    for kind in ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"] {
        let configuration = document(&mut objects, kind, "flink-operator-webhook-configuration");
        configuration["metadata"]["annotations"]["cert-manager.io/inject-ca-from"] =
            json!(format!("{namespace}/flink-operator-serving-cert"));
        configuration["webhooks"][0]["clientConfig"]["service"]["namespace"] = json!(namespace);
    }
    objects
}

fn add_webhook(deployment: &mut Value, image: &str) {
    let mut second = documents(WEBHOOK_CONTAINER).swap_remove(0);
    second["image"] = json!(image);
    let pod = &mut deployment["spec"]["template"]["spec"];
    if let Some(containers) = pod["containers"].as_array_mut() {
        containers.push(second);
    }
    if let Some(volumes) = pod["volumes"].as_array_mut() {
        let items = json!([{"key": "keystore.p12", "path": "keystore.p12"}]);
        volumes.push(json!({"name": "keystore", "secret": {"secretName": "webhook-server-cert", "items": items}}));
    }
}

/// Settings as YAML with one flat key a line; JSON's strings are YAML's double-quoted ones.
fn flat_yaml(settings: &BTreeMap<String, String>) -> String {
    settings
        .iter()
        .map(|(key, value)| format!("{key}: {}\n", Value::String(value.clone())))
        .collect()
}

fn digest(files: &Value) -> String {
    use sha2::{Digest, Sha256};
    hex::encode(&Sha256::digest(files.to_string())[..8])
}
