//! A job is followed: its object and its events are watched, Flink is asked, until it is certain how it is.

use std::path::PathBuf;
use std::time::Duration;

use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt as _};
use k8s_openapi::api::core::v1::Event;
use kube::api::{Api, PostParams, WatchParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind, WatchEvent};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Client, ResourceExt as _};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::observe::{JobDetails, Phase, RESTARTS, TRIES_AGAIN, job_id, judge, submitting};
use super::rest::Rest;
use crate::diag::{Failure, Reason, Result};
use crate::kube::{MANAGER, bounded};

/// Between two looks at Flink's REST interface, which has no watch.
const POLL: Duration = Duration::from_millis(200);
/// The same while all tasks run: what is still awaited then, the operator's word, comes by a watch.
const CALM: Duration = Duration::from_millis(500);
/// The same while the operator submits the job: what it writes when it has is the moment to ask.
const SUBMITS: Duration = Duration::from_secs(1);
/// How long the API server may refuse the object for reasons that pass (a webhook that is not up yet).
const ACCEPT: Duration = Duration::from_secs(15);
/// How long one answer to a creation may take.
const ANSWER: Duration = Duration::from_secs(5);
/// How long the operator may try again before its errors count: a session cluster that restarts is back by then. It
/// tries after 5 s, and after 7.5 s more.
const TRIES: Duration = Duration::from_secs(20);

/// An object with a job in it, and the Flink that runs it.
#[derive(Debug, Clone)]
pub struct Followed {
    pub(super) api: Api<DynamicObject>,
    pub(super) rest: Rest,
    pub(super) name: String,
    events: Api<Event>,
    /// How long the operator may try again before its errors count.
    tries: Duration,
    /// The user's file, for messages.
    script_file: PathBuf,
    /// Failures, each followed by a restart, from which on the job counts as failed.
    restarts: usize,
    /// The cluster's resource version at the object's creation, if this process created it.
    created: Option<String>,
}

/// The API of a kind of the operator in a namespace.
pub(super) fn api(client: Client, namespace: &str, kind: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("flink.apache.org", "v1beta1", kind);
    Api::namespaced_with(client, namespace, &ApiResource::from_gvk(&kind))
}

impl Followed {
    /// The object `name` of a `kind`, whose job runs in the Flink cluster `cluster`.
    pub(super) fn new(client: &Client, namespace: &str, kind: &str, name: &str, cluster: &str) -> Self {
        Self {
            api: api(client.clone(), namespace, kind),
            rest: Rest::new(client.clone(), namespace, cluster),
            name: name.to_owned(),
            events: Api::namespaced(client.clone(), namespace),
            tries: TRIES,
            script_file: PathBuf::new(),
            restarts: RESTARTS,
            created: None,
        }
    }

    /// With another patience for errors of the operator that pass.
    pub(super) fn with_tries(mut self, tries: Duration) -> Self {
        self.tries = tries;
        self
    }

    /// With another number of failures, each followed by a restart, from which on the job counts as failed.
    pub(super) fn tolerating(mut self, restarts: usize) -> Self {
        self.restarts = restarts;
        self
    }

    /// Flink's REST interface of its cluster.
    pub fn rest(&self) -> &Rest {
        &self.rest
    }

    /// With the user's file, at which failures are told.
    pub(super) fn of_file(mut self, file: PathBuf) -> Self {
        self.script_file = file;
        self
    }

    /// Creates the object.
    ///
    /// # Errors
    /// [`Reason::JobExists`] if one of this name came to be meanwhile; [`Reason::JobSubmitFailed`] with the API
    /// server's words if it does not take the object within 15 s.
    pub(super) async fn create(&mut self, wanted: Value) -> Result<()> {
        let refused = |why: String| {
            let message = format!("the API server refused the job {}", self.name);
            Failure::new(Reason::JobSubmitFailed, message).evidence(why)
        };
        let wanted = serde_json::from_value::<DynamicObject>(wanted).map_err(|e| refused(e.to_string()))?;
        let parameters = PostParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PostParams::default()
        };
        let deadline = Instant::now() + ACCEPT;
        let mut unsure = false;
        loop {
            let answer = tokio::time::timeout(ANSWER, self.api.create(&parameters, &wanted)).await;
            let why = match answer {
                Ok(Ok(object)) => {
                    self.created = object.resource_version();
                    return Ok(());
                }
                // an earlier attempt whose answer was lost; without one it is somebody else's job of the same name
                Ok(Err(kube::Error::Api(status))) if status.code == 409 && unsure => return Ok(()),
                Ok(Err(kube::Error::Api(status))) if status.code == 409 => {
                    let message = format!("a job `{}` came to be at this moment", self.name);
                    return Err(Failure::new(Reason::JobExists, message)
                        .evidence(status.message)
                        .next(format!("dev job status {}", self.name)));
                }
                Ok(Err(kube::Error::Api(status))) if !passes(status.code, &status.message) => {
                    return Err(refused(status.message));
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer within {} s", ANSWER.as_secs()),
            };
            if Instant::now() >= deadline {
                return Err(refused(why));
            }
            unsure = true;
            sleep(POLL).await;
        }
    }

    /// The object's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Follows the job and reports each change of its phase; ends only when the job fails, with why: a refused
    /// submission ([`Reason::JobSubmitFailed`], at its place in the script), or a failure of the running job
    /// ([`Reason::JobFailed`]). The caller bounds it.
    ///
    /// The object and its events are watched; Flink, which cannot be watched, is asked five times a second, twice a second
    /// while all tasks run, and once a second while the operator submits: side by side, that many jobs are work for it and
    /// for the API server in between.
    pub async fn follow(&self, phase: &watch::Sender<Phase>) -> Failure {
        let objects = watcher::watch_object(self.api.clone(), &self.name).default_backoff();
        let mut events = self.told();
        tokio::pin!(objects);
        let mut next_look = Instant::now();
        let mut object = Value::Null;
        let mut flink: Option<JobDetails> = None;
        let mut trouble: Option<Instant> = None;
        loop {
            let mut said = None;
            tokio::select! {
                Some(next) = objects.next() => match next {
                    Ok(Some(found)) => {
                        let submitted = submitting(&object);
                        object = serde_json::to_value(found).unwrap_or_default();
                        if submitted && !submitting(&object) {
                            next_look = Instant::now();
                        }
                    }
                    Ok(None) if object.is_null() => {}
                    Ok(None) => return Failure::new(Reason::JobFailed, "the job's object was deleted by someone else"),
                    Err(error) => said = Some(format!("the API server does not answer: {error}")),
                },
                Some(event) = events.next() => {
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
                () = sleep_until(next_look), if job_id(&object).is_some() => {
                    let id = job_id(&object).unwrap_or_default();
                    match self.details(id).await {
                        Ok(details) => flink = details,
                        Err(failure) => said = Some(failure.detail().evidence.join(" ")),
                    }
                    let calm = flink.as_ref().is_some_and(JobDetails::runs);
                    let pause = if calm {
                        CALM
                    } else if submitting(&object) {
                        SUBMITS
                    } else {
                        POLL
                    };
                    next_look = Instant::now() + pause;
                }
            }
            let now = match judge(&object, flink.as_ref(), &self.script_file, self.restarts) {
                Err(failure) => return failure,
                Ok(Phase::Waiting(reason)) if reason.starts_with(TRIES_AGAIN) => {
                    if trouble.get_or_insert_with(Instant::now).elapsed() >= self.tries {
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

    /// Events about the object. Of one that this process created they are watched from its creation on, and not listed: the
    /// API server keeps all events of an hour, thousands after a few runs of tests, in etcd alone, and reads every one of
    /// them to list those of one object.
    fn told(&self) -> BoxStream<'static, Event> {
        let of_ours = format!("involvedObject.name={}", self.name);
        let since = stream::iter(self.created.clone());
        let (api, params) = (self.events.clone(), WatchParams::default().fields(&of_ours));
        let new = since
            .then(move |version| {
                let (api, params) = (api.clone(), params.clone());
                async move { api.watch(&params, &version).await.map(StreamExt::boxed) }
            })
            .try_flatten()
            // its end, by an error or after the minutes that the API server grants, is the list's beginning
            .take_while(|next| std::future::ready(matches!(next, Ok(told) if !matches!(told, WatchEvent::Error(_)))))
            .filter_map(async |next| match next {
                Ok(WatchEvent::Added(event) | WatchEvent::Modified(event)) => Some(event),
                _ => None,
            });
        let listed = watcher(self.events.clone(), watcher::Config::default().fields(&of_ours))
            .default_backoff()
            .applied_objects()
            .filter_map(async |next| next.ok());
        new.chain(listed).boxed()
    }

    /// What Flink knows of the job; `None` if nothing yet.
    async fn details(&self, id: &str) -> Result<Option<JobDetails>> {
        let Some(answer) = self.rest.get(&format!("/jobs/{id}")).await? else {
            return Ok(None);
        };
        let mut details = JobDetails::from_answer(&answer);
        if details.troubled()
            && let Some(answer) = self
                .rest
                .get(&format!("/jobs/{id}/exceptions?maxExceptions=20"))
                .await?
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

    /// Flink's id of the job, if the operator has written one down.
    pub async fn id(&self) -> Option<String> {
        let object = bounded(self.api.get_opt(&self.name)).await.ok().flatten()?;
        job_id(&serde_json::to_value(&object).ok()?).map(str::to_owned)
    }
}

/// Whether a refusal may pass: the server is overloaded or a webhook is not up yet.
fn passes(code: u16, message: &str) -> bool {
    code == 429 || code >= 500 && message.contains("failed calling webhook") || code == 503 || code == 504
}
