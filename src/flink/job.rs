//! A SQL script as a `FlinkSessionJob`: submitted and followed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Event;
use kube::api::{Api, PostParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::observe::{JobDetails, Phase, TRIES_AGAIN, job_id, judge};
use super::rest::Rest;
use crate::diag::{Failure, Reason, Result};
use crate::kube::{MANAGED_BY, MANAGER};

/// The runner's main class, in the session image's `lib` folder.
const ENTRY_CLASS: &str = "io.github.flinkdev.sqlrunner.SqlRunner";
/// Between two looks at Flink's REST interface, which has no watch.
const POLL: Duration = Duration::from_millis(200);
/// How long the API server may refuse the object for reasons that pass (a webhook that is not up yet).
const ACCEPT: Duration = Duration::from_secs(15);

/// How long the operator may try again before its errors count: a session cluster that restarts is back by then. It
/// tries after 5 s, and after 7.5 s more.
const TRIES: Duration = Duration::from_secs(20);

/// A job to be submitted.
#[derive(Debug, Clone, Default)]
pub struct JobSpec {
    /// Name of the object and of the job in Flink; at most 45 characters of a DNS label, as the operator demands.
    pub name: String,
    /// The SQL script, with everything put in.
    pub script: String,
    /// The user's file of the script, for messages.
    pub script_file: PathBuf,
    /// More labels of the object.
    pub labels: BTreeMap<String, String>,
    /// Its parallelism; 1 if nothing is said.
    pub parallelism: Option<u32>,
    /// What the operator does with its state when it is changed; `stateless` if nothing is said.
    pub upgrade_mode: UpgradeMode,
    /// Settings of the job, over those of the session cluster.
    pub settings: BTreeMap<String, String>,
}

/// What the operator does with a job's state when it is changed or suspended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UpgradeMode {
    /// It is lost.
    #[default]
    Stateless,
    /// A savepoint is taken and the job goes on from it.
    Savepoint,
    /// The job goes on from its last checkpoint.
    LastState,
}

impl UpgradeMode {
    /// As the operator spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stateless => "stateless",
            Self::Savepoint => "savepoint",
            Self::LastState => "last-state",
        }
    }
}

/// A submitted job.
#[derive(Debug, Clone)]
pub struct SessionJob {
    pub(super) api: Api<DynamicObject>,
    pub(super) rest: Rest,
    pub(super) name: String,
    events: Api<Event>,
    script_file: PathBuf,
}

/// The API of `FlinkSessionJob`s in a namespace.
pub(super) fn api(client: Client, namespace: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("flink.apache.org", "v1beta1", "FlinkSessionJob");
    Api::namespaced_with(client, namespace, &ApiResource::from_gvk(&kind))
}

/// The object that the operator runs: no `jarURI`, so it uploads an empty jar of its own and runs the entry class
/// from the JobManager's classpath.
pub(super) fn object(spec: &JobSpec, namespace: &str, session: &str) -> Value {
    let mut labels = spec.labels.clone();
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    let script = base64::engine::general_purpose::STANDARD.encode(&spec.script);
    let mut object = json!({
        "apiVersion": "flink.apache.org/v1beta1",
        "kind": "FlinkSessionJob",
        "metadata": { "name": spec.name, "namespace": namespace, "labels": labels },
        "spec": {
            "deploymentName": session,
            "job": {
                "entryClass": ENTRY_CLASS,
                "args": ["--script-base64", script, "--name", spec.name],
                "parallelism": spec.parallelism.unwrap_or(1),
                "upgradeMode": spec.upgrade_mode.as_str(),
            },
        },
    });
    if !spec.settings.is_empty() {
        object["spec"]["flinkConfiguration"] = json!(spec.settings);
    }
    object
}

impl SessionJob {
    /// Creates the object. From here on [`Self::delete`] has to be called, whatever happens: the operator tries a
    /// refused job again for more than an hour.
    ///
    /// # Errors
    /// [`Reason::JobSubmitFailed`] with the API server's words if it does not take the object within 15 s.
    pub async fn submit(client: &Client, namespace: &str, session: &str, spec: &JobSpec) -> Result<Self> {
        let refused = |why: String| {
            Failure::new(
                Reason::JobSubmitFailed,
                format!("the API server refused the job {}", spec.name),
            )
            .evidence(why)
        };
        let wanted = serde_json::from_value::<DynamicObject>(object(spec, namespace, session));
        let wanted = wanted.map_err(|e| refused(e.to_string()))?;
        let job = Self {
            api: api(client.clone(), namespace),
            rest: Rest::new(client.clone(), namespace, session),
            name: spec.name.clone(),
            events: Api::namespaced(client.clone(), namespace),
            script_file: spec.script_file.clone(),
        };
        let parameters = PostParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PostParams::default()
        };
        let deadline = Instant::now() + ACCEPT;
        let mut unsure = false;
        loop {
            match job.api.create(&parameters, &wanted).await {
                Ok(_) => return Ok(job),
                // an earlier attempt whose answer was lost; without one it is somebody else's job of the same name
                Err(kube::Error::Api(status)) if status.code == 409 && unsure => return Ok(job),
                Err(kube::Error::Api(status)) if !passes(status.code, &status.message) => {
                    return Err(refused(status.message));
                }
                Err(error) if Instant::now() >= deadline => return Err(refused(error.to_string())),
                Err(_) => {
                    unsure = true;
                    sleep(POLL).await;
                }
            }
        }
    }

    /// Whether there is an object of this name.
    ///
    /// # Errors
    /// [`Reason::ClusterUnreachable`] if the API server does not tell.
    pub async fn exists(client: &Client, namespace: &str, name: &str) -> Result<bool> {
        let found = api(client.clone(), namespace).get_metadata_opt(name).await;
        let found = found.map_err(|e| Failure::new(Reason::ClusterUnreachable, "jobs cannot be read").cause(&e))?;
        Ok(found.is_some())
    }

    /// A job that another process left behind, to be deleted.
    pub fn left_behind(client: &Client, namespace: &str, session: &str, name: &str) -> Self {
        Self {
            api: api(client.clone(), namespace),
            rest: Rest::new(client.clone(), namespace, session),
            name: name.to_owned(),
            events: Api::namespaced(client.clone(), namespace),
            script_file: PathBuf::new(),
        }
    }

    /// The object's name, which is also the job's in Flink.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Follows the job and reports each change of its phase; ends only when the job fails, with why: a refused
    /// submission ([`Reason::JobSubmitFailed`], at its place in the script), or a failure of the running job
    /// ([`Reason::JobFailed`]). The caller bounds it.
    ///
    /// The object and its events are watched; Flink, which cannot be watched, is asked five times a second.
    pub async fn follow(&self, phase: &watch::Sender<Phase>) -> Failure {
        let objects = watcher::watch_object(self.api.clone(), &self.name).default_backoff();
        let warnings = watcher::Config::default().fields(&format!("involvedObject.name={}", self.name));
        let events = watcher(self.events.clone(), warnings)
            .default_backoff()
            .applied_objects();
        tokio::pin!(objects, events);
        let mut tick = interval(POLL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut object = Value::Null;
        let mut flink: Option<JobDetails> = None;
        let mut trouble: Option<Instant> = None;
        loop {
            let mut said = None;
            tokio::select! {
                Some(next) = objects.next() => match next {
                    Ok(Some(found)) => object = serde_json::to_value(found).unwrap_or_default(),
                    Ok(None) if object.is_null() => {}
                    Ok(None) => return Failure::new(Reason::JobFailed, "the job's object was deleted by someone else"),
                    Err(error) => said = Some(format!("the API server does not answer: {error}")),
                },
                Some(Ok(event)) = events.next() => {
                    // where the operator's webhook is off, its validation speaks through an event
                    let message = event.message.unwrap_or_default();
                    if event.reason.as_deref() == Some("ValidationError") {
                        return Failure::new(Reason::JobSubmitFailed, "the operator refused the job").evidence(message);
                    }
                    if event.type_.as_deref() == Some("Warning") {
                        let first = message.lines().next().unwrap_or_default();
                        said = Some(format!("{}: {first}", event.reason.unwrap_or_default()));
                    }
                }
                _ = tick.tick(), if job_id(&object).is_some() => {
                    let id = job_id(&object).unwrap_or_default();
                    match self.details(id).await {
                        Ok(details) => flink = details,
                        Err(failure) => said = Some(failure.detail().evidence.join(" ")),
                    }
                }
            }
            let now = match judge(&object, flink.as_ref(), &self.script_file) {
                Err(failure) => return failure,
                Ok(Phase::Waiting(reason)) if reason.starts_with(TRIES_AGAIN) => {
                    if trouble.get_or_insert_with(Instant::now).elapsed() >= TRIES {
                        let message = "the operator could not submit the job";
                        return Failure::new(Reason::JobSubmitFailed, message)
                            .evidence(reason)
                            .next("dev status");
                    }
                    Phase::Waiting(reason)
                }
                Ok(Phase::Waiting(reason)) => Phase::Waiting(said.unwrap_or(reason)),
                Ok(now) => {
                    trouble = None;
                    now
                }
            };
            phase.send_if_modified(|last| {
                let changed = *last != now;
                *last = now;
                changed
            });
        }
    }

    /// What Flink knows of the job; `None` if nothing yet.
    async fn details(&self, id: &str) -> Result<Option<JobDetails>> {
        let Some(answer) = self.rest.get(&format!("/jobs/{id}")).await? else {
            return Ok(None);
        };
        let mut details = JobDetails::from_answer(&answer);
        if details.troubled()
            && let Some(answer) = self.rest.get(&format!("/jobs/{id}/exceptions?maxExceptions=5")).await?
        {
            details.add_exceptions(&answer);
        }
        Ok(Some(details))
    }

    /// What helps to understand why the job gave no records: its last exceptions and the cluster's slots.
    pub async fn evidence(&self) -> Vec<String> {
        let mut evidence = Vec::new();
        if let Some(id) = self.id().await
            && let Ok(Some(answer)) = self.rest.get(&format!("/jobs/{id}/exceptions?maxExceptions=3")).await
        {
            let mut details = JobDetails::default();
            details.add_exceptions(&answer);
            evidence.extend(
                details
                    .exceptions
                    .iter()
                    .map(|t| format!("exception: {}", super::root_cause(t))),
            );
        }
        if let Ok(Some(overview)) = self.rest.get("/overview").await {
            let (total, free) = (&overview["slots-total"], &overview["slots-available"]);
            evidence.push(format!(
                "task slots: {free} of {total} free, {} TaskManagers",
                overview["taskmanagers"]
            ));
        }
        evidence
    }
}

/// Whether a refusal may pass: the server is overloaded or a webhook is not up yet.
fn passes(code: u16, message: &str) -> bool {
    code == 429 || code >= 500 && message.contains("failed calling webhook") || code == 503 || code == 504
}

/// Name and labels of a found object.
pub(super) fn name_and_labels(object: &DynamicObject) -> (String, BTreeMap<String, String>) {
    (object.name_any(), object.labels().clone())
}
