//! The session cluster: a FlinkDeployment without a job, whose TaskManagers are there before the first one.

use std::collections::BTreeMap;
use std::time::Duration;

use ::kube::Client;
use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::Component;
use super::manifest::{BUILDS, document, documents};
use super::ready::{EVERY, Patience, done, last_warning};
use crate::config::{Profile, Resources};
use crate::diag::{Failure, Reason, Result};
use crate::engine::{Done, StepCx};
use crate::flink::state;
use crate::kube::{Seen, apply_within, get, service_get, text, until};

const MANIFEST: &str = include_str!("../../manifests/session/session.yaml");

/// The port of Flink's REST interface.
const REST: u16 = 8081;
/// How long the JobManager and its TaskManagers may take: some 10 s here once the operator runs.
const BOUND: Duration = Duration::from_secs(240);
/// How long the resource may show an error before it is taken for one: each start shows ERROR for a moment, because
/// the pod is made before the ConfigMap that it mounts.
const ERROR_GRACE: Duration = Duration::from_secs(5);

/// How much more CPU than requested a Flink process may use: requests of all pods must fit the machine together,
/// while one process alone may have all of it.
const CPU_LIMIT_FACTOR: &str = "20";

/// Options of the JobManager's JVM: it lives for minutes, and its first seconds count.
const QUICK_START: &str = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto";

/// The session cluster of an environment.
#[derive(Debug, Clone)]
pub struct SessionCluster {
    name: String,
    namespace: String,
    version: String,
    slots: u64,
    objects: Vec<Value>,
}

impl SessionCluster {
    /// The session cluster of a profile, from this image.
    pub fn new(profile: &Profile, image: &str) -> Self {
        let spec = &profile.session;
        let slots = u64::from(spec.task_managers) * u64::from(spec.slots);
        let mut settings: BTreeMap<String, String> = state::of_cluster(&profile.flink.state, &spec.name);
        let ours = [
            ("taskmanager.numberOfTaskSlots", spec.slots.to_string()),
            // started before the first job, which is then not the one that waits for them
            ("slotmanager.number-of-slots.min", slots.to_string()),
            // those above the minimum go, at once: a JobManager that takes over starts the minimum before it hears of
            // the TaskManagers that are there, and after a few times the node would have no room for the next one
            ("resourcemanager.taskmanager-timeout", "5 s".to_owned()),
            // so long its jobs wait for those TaskManagers, which look for a dead JobManager first; by default not at all
            ("resourcemanager.previous-worker.recovery.timeout", "15 s".to_owned()),
            // how old the answers of REST may be, in ms; by default a job is seen RUNNING up to 3 s late
            ("web.refresh-interval", "200".to_owned()),
            // how many jobs that have ended it tells of: by default all of the last hour, at each look of the operator, which
            // after a few runs of tests is most of what a JobManager does
            ("jobstore.max-capacity", "50".to_owned()),
            ("web.submit.enable", "true".to_owned()),
            ("kubernetes.jobmanager.cpu.limit-factor", CPU_LIMIT_FACTOR.to_owned()),
            ("kubernetes.taskmanager.cpu.limit-factor", CPU_LIMIT_FACTOR.to_owned()),
            ("env.java.opts.jobmanager", QUICK_START.to_owned()),
            ("env.java.opts.taskmanager", QUICK_START.to_owned()),
        ];
        settings.extend(ours.map(|(key, value)| (key.to_owned(), value)));
        settings.extend(spec.config.clone());

        let mut objects = documents(MANIFEST);
        let session = document(&mut objects, "FlinkDeployment", "session");
        session["metadata"]["name"] = json!(spec.name);
        session["metadata"]["namespace"] = json!(spec.namespace);
        session["spec"]["image"] = json!(image);
        session["spec"]["flinkVersion"] = json!(flink_version(&profile.flink.version));
        session["spec"]["flinkConfiguration"] = json!(settings);
        session["spec"]["jobManager"]["resource"] = resource(spec.job_manager);
        session["spec"]["taskManager"]["resource"] = resource(spec.task_manager);
        state::mount(&profile.flink.state, session);
        objects.extend(state::objects(&profile.flink.state, &spec.namespace));
        Self {
            name: spec.name.clone(),
            namespace: spec.namespace.clone(),
            version: profile.flink.version.clone(),
            slots,
            objects,
        }
    }

    /// The resource and, once there is a JobManager, Flink's own view. The second part tells what is wrong with the
    /// resource.
    async fn state(&self, client: &Client) -> Result<(Seen<String>, Option<String>)> {
        let Self { name, namespace, .. } = self;
        let path = format!("/apis/flink.apache.org/v1beta1/namespaces/{namespace}/flinkdeployments/{name}");
        let Some(resource) = get(client, &path).await? else {
            return Ok((Seen::NotYet(format!("FlinkDeployment {name} is not there yet")), None));
        };
        let (code, overview) = match text(&resource, "/status/jobManagerDeploymentStatus") {
            "" | "MISSING" => (0, Value::Null),
            _ => service_get(client, namespace, &format!("{name}-rest"), REST, "/overview").await?,
        };
        let mut seen = self.judge(&resource, code, &overview);
        if matches!(seen, Seen::Done(_)) && !self.runs_its_build(client).await? {
            seen = Seen::NotYet("the JobManager still runs the build of before".to_owned());
        }
        Ok((seen, error_of(&resource)))
    }

    /// Whether the JobManager was made from the build that is wanted: for a moment after a change, the resource shows
    /// the old one as ready.
    async fn runs_its_build(&self, client: &Client) -> Result<bool> {
        let pointer = format!("/spec/podTemplate/metadata/annotations/{}", BUILDS.replace('/', "~1"));
        let wanted = self
            .objects
            .iter()
            .map(|object| text(object, &pointer))
            .find(|b| !b.is_empty());
        let Some(wanted) = wanted else { return Ok(true) };
        let path = format!("/apis/apps/v1/namespaces/{}/deployments/{}", self.namespace, self.name);
        let deployment = get(client, &path).await?.unwrap_or_default();
        let pointer = format!("/spec/template/metadata/annotations/{}", BUILDS.replace('/', "~1"));
        Ok(text(&deployment, &pointer) == wanted)
    }

    /// The pure part: whether resource and overview show a working cluster.
    fn judge(&self, resource: &Value, code: u16, overview: &Value) -> Seen<String> {
        let number = |value: &Value, pointer: &str| value.pointer(pointer).and_then(Value::as_u64);
        let job_manager = text(resource, "/status/jobManagerDeploymentStatus");
        let generation = number(resource, "/metadata/generation").unwrap_or_default();
        match number(resource, "/status/observedGeneration") {
            None => return Seen::NotYet("the operator has not looked at the session cluster yet".to_owned()),
            Some(seen) if seen < generation => {
                return Seen::NotYet("the operator has not seen the last change yet".to_owned());
            }
            Some(_) => {}
        }
        if code != 200 {
            return Seen::NotYet(format!(
                "JobManager {}: its REST interface does not answer",
                shown(job_manager)
            ));
        }
        let slots = number(overview, "/slots-total").unwrap_or_default();
        if slots < self.slots {
            return Seen::NotYet(format!("{slots} of {} task slots registered", self.slots));
        }
        if job_manager != "READY" {
            return Seen::NotYet(format!(
                "{slots} slots registered, the operator shows {}",
                shown(job_manager)
            ));
        }
        let (version, managers) = (
            text(overview, "/flink-version"),
            number(overview, "/taskmanagers").unwrap_or_default(),
        );
        Seen::Done(format!("Flink {version}: {managers} TaskManagers, {slots} slots"))
    }
}

fn shown(status: &str) -> &str {
    if status.is_empty() { "not started" } else { status }
}

/// The error that a resource shows, unless it is one of those of every start.
fn error_of(resource: &Value) -> Option<String> {
    let error = text(resource, "/status/error");
    let passing = ["FailedMount", "MountVolume", "configmap"]
        .iter()
        .any(|t| error.contains(t));
    (!error.is_empty() && !passing).then(|| error.to_owned())
}

fn resource(wanted: Resources) -> Value {
    json!({"memory": format!("{}m", wanted.memory_mib), "cpu": wanted.cpu})
}

/// The operator's name of a version: `v2_2` for `2.2.1`.
pub(super) fn flink_version(version: &str) -> String {
    let mut parts = version.split('.');
    let (major, minor) = (parts.next().unwrap_or_default(), parts.next().unwrap_or("0"));
    format!("v{major}_{minor}")
}

/// It needs no other component: the resource is applied as soon as its kind is served, and the operator finds it when it
/// starts.
#[async_trait]
impl Component for SessionCluster {
    fn id(&self) -> &'static str {
        "session"
    }

    fn title(&self) -> String {
        format!(
            "session cluster {}/{} (Flink {})",
            self.namespace, self.name, self.version
        )
    }

    fn manifest(&self) -> &Vec<Value> {
        &self.objects
    }

    fn manifest_mut(&mut self) -> &mut Vec<Value> {
        &mut self.objects
    }

    async fn look(&self, client: &Client) -> Result<Seen<String>> {
        Ok(self.state(client).await?.0)
    }

    async fn install(&self, client: &Client, cx: &StepCx) -> Result<Done> {
        let waiting = |reason: String| cx.waiting(reason);
        let report = apply_within(client, &self.objects, BOUND, &waiting).await?;
        let patience = Patience::default();
        let error_since: Mutex<Option<Instant>> = Mutex::default();
        let selector = format!("app={},type=flink-native-kubernetes", self.name);
        let seen = until("the session cluster is ready", EVERY, BOUND, &waiting, || async {
            let (seen, error) = self.state(client).await?;
            let Seen::NotYet(reason) = seen else { return Ok(seen) };
            let mut since = error_since.lock().await;
            match error {
                Some(error) if since.get_or_insert_with(Instant::now).elapsed() > ERROR_GRACE => {
                    let message = format!("the operator cannot start the session cluster {}", self.name);
                    let warning = last_warning(client, &self.namespace, "FlinkDeployment", &self.name).await;
                    return Err(Failure::new(Reason::ComponentNotReady, message)
                        .evidence(error)
                        .evidence(warning));
                }
                Some(_) => {}
                None => *since = None,
            }
            let pods = patience.look(client, &self.namespace, &selector).await?;
            Ok(Seen::NotYet(if pods.starts_with("pod ") {
                format!("{reason}; {pods}")
            } else {
                reason
            }))
        })
        .await?;
        Ok(done(&report, seen))
    }
}
