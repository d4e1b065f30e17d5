//! A job of a session cluster as a `FlinkSessionJob`: submitted and followed.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::PathBuf;

use kube::core::DynamicObject;
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};

use super::follow::{Followed, api};
use super::program::Program;
use crate::diag::{Failure, Reason, Result};
use crate::kube::{MANAGED_BY, MANAGER, bounded};

/// The kind of a session job's object.
pub(super) const KIND: &str = "FlinkSessionJob";

/// A job to be submitted.
#[derive(Debug, Clone, Default)]
pub struct JobSpec {
    /// Name of the object and of the job in Flink; at most 45 characters of a DNS label, as the operator demands.
    pub name: String,
    /// What it runs.
    pub program: Program,
    /// The user's file of it, for messages.
    pub script_file: PathBuf,
    /// More labels of the object.
    pub labels: BTreeMap<String, String>,
    /// Its parallelism; 1 if nothing is said.
    pub parallelism: Option<u32>,
    /// What the operator does with its state when it is changed; `stateless` if nothing is said.
    pub upgrade_mode: UpgradeMode,
    /// Settings of the job, over those of the session cluster.
    pub settings: BTreeMap<String, String>,
    /// The savepoint or checkpoint that it begins from.
    pub from: Option<String>,
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
    pub(super) followed: Followed,
    pub(super) session: String,
}

impl Deref for SessionJob {
    type Target = Followed;

    fn deref(&self) -> &Followed {
        &self.followed
    }
}

/// `spec.job` of a new job: the same for a session job and an application.
pub(super) fn job_of(spec: &JobSpec) -> Value {
    let mut job = spec.program.spec(&spec.name);
    job["parallelism"] = json!(spec.parallelism.unwrap_or(1));
    job["upgradeMode"] = json!(spec.upgrade_mode.as_str());
    if let Some(from) = &spec.from {
        job["initialSavepointPath"] = json!(from);
    }
    if let Some(fields) = job.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    job
}

/// Labels of a job's object.
pub(super) fn labels_of(spec: &JobSpec) -> BTreeMap<String, String> {
    let mut labels = spec.labels.clone();
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    labels
}

/// The object that the operator runs.
pub(super) fn object(spec: &JobSpec, namespace: &str, session: &str) -> Value {
    let mut object = json!({
        "apiVersion": "flink.apache.org/v1beta1",
        "kind": KIND,
        "metadata": { "name": spec.name, "namespace": namespace, "labels": labels_of(spec) },
        "spec": { "deploymentName": session, "job": job_of(spec) },
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
    /// [`Reason::JobExists`] if one of this name came to be meanwhile; [`Reason::JobSubmitFailed`] with the API
    /// server's words if it does not take the object within 15 s.
    pub async fn submit(client: &Client, namespace: &str, session: &str, spec: &JobSpec) -> Result<Self> {
        let mut job = Self::left_behind(client, namespace, session, &spec.name);
        job.followed = job.followed.of_file(spec.script_file.clone());
        job.followed.create(object(spec, namespace, session)).await?;
        Ok(job)
    }

    /// The same job, which counts as failed only after so many failures, each followed by a restart.
    #[must_use]
    pub fn tolerating(mut self, restarts: usize) -> Self {
        self.followed = self.followed.tolerating(restarts);
        self
    }

    /// Whether there is an object of this name.
    ///
    /// # Errors
    /// [`Reason::ClusterUnreachable`] if the API server does not tell.
    pub async fn exists(client: &Client, namespace: &str, name: &str) -> Result<bool> {
        let api = api(client.clone(), namespace, KIND);
        let found = bounded(api.get_metadata_opt(name)).await;
        let found = found.map_err(|e| Failure::new(Reason::ClusterUnreachable, "jobs cannot be read").cause(&e))?;
        Ok(found.is_some())
    }

    /// A job that another process left behind, to be deleted.
    pub fn left_behind(client: &Client, namespace: &str, session: &str, name: &str) -> Self {
        Self {
            followed: Followed::new(client, namespace, KIND, name, session),
            session: session.to_owned(),
        }
    }
}

/// Name and labels of a found object.
pub(super) fn name_and_labels(object: &DynamicObject) -> (String, BTreeMap<String, String>) {
    (object.name_any(), object.labels().clone())
}
