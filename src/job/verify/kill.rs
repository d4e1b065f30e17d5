//! Killing a process of a Flink cluster, as a machine that fails would: its pod is deleted without a moment's notice.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, ListParams, Preconditions};
use kube::{Client, ResourceExt as _};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::super::change::pods_of;
use crate::diag::{Failure, Reason, Result};
use crate::kube::failure;

/// How long the API server may take to forget the pod.
const GONE: Duration = Duration::from_secs(30);
/// Between two looks.
const POLL: Duration = Duration::from_millis(100);

/// Which process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// One that runs tasks of the job.
    TaskManager,
    /// The one that holds the job; it takes high availability to get over that.
    JobManager,
}

impl Role {
    /// The value of the pods' label `component`.
    fn component(self) -> &'static str {
        match self {
            Self::TaskManager => "taskmanager",
            Self::JobManager => "jobmanager",
        }
    }

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::TaskManager => "TaskManager",
            Self::JobManager => "JobManager",
        }
    }
}

/// A pod that was killed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Killed {
    /// What it was.
    pub role: Role,
    /// Its name.
    pub pod: String,
    /// Its unique id: a new pod may have the same name.
    pub uid: String,
}

/// Deletes one pod of the Flink cluster with a grace period of 0, one of `preferred` if it is there; returns once
/// the API server does not have it any more.
///
/// # Errors
/// [`Reason::ComponentNotReady`] if there is none; [`Reason::ApplyFailed`] if it is not let go.
pub(super) async fn kill(
    client: &Client,
    namespace: &str,
    cluster: &str,
    role: Role,
    preferred: &[String],
) -> Result<Killed> {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let selector = format!("{},component={}", pods_of(cluster), role.component());
    let refused = |what: &str, e: &kube::Error| failure(Reason::ApplyFailed, what, e);
    let listed = api.list(&ListParams::default().labels(&selector)).await;
    let mut pods = listed.map_err(|e| refused("pods cannot be listed", &e))?.items;
    pods.retain(|pod| pod.metadata.deletion_timestamp.is_none() && pod.metadata.uid.is_some());
    let chosen = pods
        .iter()
        .find(|pod| preferred.contains(&pod.name_any()))
        .or_else(|| pods.first().filter(|_| preferred.is_empty()));
    let Some(pod) = chosen else {
        let message = format!("the Flink cluster `{cluster}` has no {} that runs the job", role.name());
        return Err(Failure::new(Reason::ComponentNotReady, message).evidence(format!("no pod of {selector}")));
    };
    let (name, uid) = (pod.name_any(), pod.uid().unwrap_or_default());
    let at_once = DeleteParams {
        grace_period_seconds: Some(0),
        preconditions: Some(Preconditions {
            uid: Some(uid.clone()),
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    let what = format!("pod {name} cannot be killed");
    api.delete(&name, &at_once).await.map_err(|e| refused(&what, &e))?;
    let end = Instant::now() + GONE;
    loop {
        let now = api.get_opt(&name).await.map_err(|e| refused(&what, &e))?;
        if now.is_none_or(|now| now.uid().as_ref() != Some(&uid)) {
            return Ok(Killed { role, pod: name, uid });
        }
        if Instant::now() >= end {
            let message = format!("pod {name} is still there {} s after it was killed", GONE.as_secs());
            return Err(Failure::new(Reason::ApplyFailed, message));
        }
        sleep(POLL).await;
    }
}
