//! The pod that a SQL session lives in: as small as it goes, owned by the session cluster, ended by Kubernetes after a
//! day's work at the latest.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::diag::{Failure, Reason, Result};
use crate::e2e::{LABEL_RUN, Names, RunLease, run_id, sweep_pods};
use crate::engine::StepCx;
use crate::job::Place;
use crate::kube::{MANAGED_BY, MANAGER, failure, get, pod_problem, pod_request, text, with_log};

/// The program of the pod.
const START: &str = include_str!("start.sh");
/// The pod's container.
pub(super) const CONTAINER: &str = "sql";
/// The port of Flink's REST interface, and that of the gateway.
const REST: &str = "8081";
pub(super) const GATEWAY: u16 = 8083;
/// After that Kubernetes ends the pod, whoever made it.
const LONGEST: Duration = Duration::from_secs(12 * 3600);
/// How long the pod may be in trouble: an image that is not in the node, no room.
const TROUBLE: Duration = Duration::from_secs(8);
const POLL: Duration = Duration::from_millis(150);

/// What runs in the pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Flink's SQL gateway, asked over HTTP.
    Gateway,
    /// Nothing by itself: a client is started in it.
    Client,
}

/// How far the pod is.
enum Seen {
    /// It can be used.
    Ready,
    /// Not yet, and why.
    NotYet(String),
    /// What waiting is unlikely to help; `told` is that at length, and `ended` says that it is over.
    Trouble { reason: String, told: String, ended: bool },
}

/// A pod of ours that runs.
pub struct SqlPod {
    pub(super) client: Client,
    pub(super) namespace: String,
    /// Its name.
    pub name: String,
    session: String,
    lease: Option<RunLease>,
}

impl std::fmt::Debug for SqlPod {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqlPod")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl SqlPod {
    /// Makes the pod, once those of processes that are gone were removed; returns when it can be used. If that fails,
    /// nothing is left of it.
    ///
    /// # Errors
    /// [`Reason::SessionNotFound`] or [`Reason::ComponentNotReady`] of the session cluster; [`Reason::ComponentNotReady`]
    /// with what keeps the pod; [`Reason::Interrupted`].
    pub async fn start(place: &Place, mode: Mode, within: Duration, cx: &StepCx) -> Result<Self> {
        let session = crate::job::session_object(place).await?;
        for removed in sweep_pods(&place.client, &place.namespace).await? {
            cx.events().note(format!("removed {removed}"));
        }
        let run = run_id();
        let lease = RunLease::take(&place.client, &place.namespace, &run).await?;
        let pod = Self {
            client: place.client.clone(),
            namespace: place.namespace.clone(),
            name: Names::new(&run, 0, "sql").job,
            session: place.session.clone(),
            lease: Some(lease),
        };
        match pod.come_up(&session, &run, mode, within, cx).await {
            Ok(()) => Ok(pod),
            Err(failure) => {
                let left = pod.remove().await.err();
                Err(failure.evidence(left.map(|f| format!("it was left behind: {f}")).unwrap_or_default()))
            }
        }
    }

    async fn come_up(&self, session: &Value, run: &str, mode: Mode, within: Duration, cx: &StepCx) -> Result<()> {
        let tried = format!("pod {} cannot be made", self.name);
        let object = serde_json::from_value::<Pod>(self.object(session, run, mode));
        let object = object.map_err(|e| Failure::new(Reason::Internal, tried.clone()).cause(&e))?;
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let made = api.create(&PostParams::default(), &object).await;
        made.map_err(|e| failure(Reason::ApplyFailed, tried, &e))?;
        let end = Instant::now() + within;
        let mut trouble: Option<Instant> = None;
        loop {
            let reason = match self.look(mode).await? {
                Seen::Ready => return Ok(()),
                Seen::NotYet(reason) => {
                    trouble = None;
                    reason
                }
                Seen::Trouble { reason, told, ended } => {
                    if ended || trouble.get_or_insert_with(Instant::now).elapsed() >= TROUBLE {
                        let message = "the pod of the SQL session does not start";
                        return Err(Failure::new(Reason::ComponentNotReady, message).evidence(told));
                    }
                    reason
                }
            };
            cx.waiting(reason.clone());
            if Instant::now() >= end {
                let message = format!("the SQL session is not there after {} s", within.as_secs_f64());
                return Err(Failure::new(Reason::TimedOut, message).evidence(format!("last seen: {reason}")));
            }
            tokio::select! {
                () = sleep(POLL) => {}
                () = cx.cancel().cancelled() => return Err(Failure::new(Reason::Interrupted, "interrupted")),
            }
        }
    }

    /// Whether it can be used.
    async fn look(&self, mode: Mode) -> Result<Seen> {
        let ended = |reason: &str| Seen::Trouble {
            reason: reason.to_owned(),
            told: reason.to_owned(),
            ended: true,
        };
        let path = format!("/api/v1/namespaces/{}/pods/{}", self.namespace, self.name);
        let Some(pod) = get(&self.client, &path).await? else {
            return Ok(ended("somebody deleted it"));
        };
        if let Some(problem) = pod_problem(&pod) {
            return Ok(if problem.stuck {
                Seen::Trouble {
                    told: with_log(&self.client, &self.namespace, &problem).await,
                    ended: text(&pod, "/status/phase") == "Failed",
                    reason: problem.text,
                }
            } else {
                Seen::NotYet(problem.text)
            });
        }
        if text(&pod, "/status/phase") == "Succeeded" {
            return Ok(ended("it ended by itself"));
        }
        if mode == Mode::Client {
            return Ok(Seen::Ready);
        }
        let (client, namespace, name) = (&self.client, &self.namespace, &self.name);
        let asked = pod_request(client, http::Method::GET, namespace, name, GATEWAY, "/v1/info", None);
        Ok(match asked.await {
            Ok((200, _)) => Seen::Ready,
            Ok((code, _)) => Seen::NotYet(format!("the gateway does not answer yet (HTTP {code})")),
            Err(failure) => Seen::NotYet(failure.to_string()),
        })
    }

    fn object(&self, session: &Value, run: &str, mode: Mode) -> Value {
        let what = match mode {
            Mode::Gateway => "gateway",
            Mode::Client => "wait",
        };
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": self.name,
                "namespace": self.namespace,
                "labels": { MANAGED_BY: MANAGER, LABEL_RUN: run, "app.kubernetes.io/name": "flink-sql" },
                "ownerReferences": [{
                    "apiVersion": "flink.apache.org/v1beta1", "kind": "FlinkDeployment",
                    "name": self.session, "uid": session["metadata"]["uid"],
                }],
            },
            "spec": {
                "restartPolicy": "Never",
                "activeDeadlineSeconds": LONGEST.as_secs(),
                "terminationGracePeriodSeconds": 1,
                "enableServiceLinks": false,
                "automountServiceAccountToken": false,
                "containers": [{
                    "name": CONTAINER,
                    "image": session["spec"]["image"],
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["bash", "-c", START, CONTAINER, what, self.rest(), REST],
                    "resources": {
                        "requests": { "cpu": "50m", "memory": "256Mi" },
                        "limits": { "memory": "768Mi" },
                    },
                }],
            },
        })
    }

    fn rest(&self) -> String {
        format!("{}-rest.{}", self.session, self.namespace)
    }

    /// The command line of Flink's client, which makes these tables first.
    pub(super) fn client_command(&self, term: &str, init: &str) -> Vec<String> {
        let set = format!("TERM={term}");
        [
            "env",
            &set,
            "bash",
            "-c",
            START,
            CONTAINER,
            "client",
            &self.rest(),
            REST,
            init,
        ]
        .map(str::to_owned)
        .to_vec()
    }

    /// Removes the pod; one that is gone is fine.
    ///
    /// # Errors
    /// [`Reason::ApplyFailed`] if the API server does not take it.
    pub async fn remove(mut self) -> Result<()> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let at_once = DeleteParams::default().grace_period(0);
        match api.delete(&self.name, &at_once).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => {
                return Err(failure(
                    Reason::ApplyFailed,
                    format!("pod {} cannot be removed", self.name),
                    &error,
                ));
            }
        }
        if let Some(lease) = self.lease.take() {
            lease.give_back().await;
        }
        Ok(())
    }
}
