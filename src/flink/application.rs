//! An application: a `FlinkDeployment` with a job of its own.

use std::ops::Deref;
use std::path::PathBuf;
use std::time::Duration;

use kube::Client;
use serde_json::{Value, json};

use super::follow::Followed;
use super::job::{JobSpec, job_of, labels_of};
use crate::diag::Result;

/// The kind of an application's object.
const KIND: &str = "FlinkDeployment";

/// How long the operator's errors of a start may last: it looks for a volume, then for a JobManager, then for a job in it,
/// and calls each an error that is not there yet. What is really wrong is seen at the pods, or told by Flink.
const STARTS: Duration = Duration::from_secs(120);

/// An application that was submitted.
#[derive(Debug, Clone)]
pub struct Application(Followed);

impl Deref for Application {
    type Target = Followed;

    fn deref(&self) -> &Followed {
        &self.0
    }
}

impl Application {
    /// Creates the object of a job; `cluster` is a `FlinkDeployment` without one, whose image has the program.
    ///
    /// # Errors
    /// Those of [`super::SessionJob::submit`].
    pub async fn submit(client: &Client, namespace: &str, spec: &JobSpec, cluster: &Value) -> Result<Self> {
        let mut job = Self::of(client, namespace, &spec.name, spec.script_file.clone());
        job.0.create(object(spec, namespace, cluster)).await?;
        Ok(job)
    }

    /// One that is there.
    pub fn of(client: &Client, namespace: &str, name: &str, file: PathBuf) -> Self {
        let followed = Followed::new(client, namespace, KIND, name, name);
        Self(followed.of_file(file).with_tries(STARTS))
    }
}

/// The object that the operator runs.
pub(super) fn object(spec: &JobSpec, namespace: &str, cluster: &Value) -> Value {
    let mut deployment = cluster["spec"].clone();
    deployment["job"] = job_of(spec);
    for (key, value) in &spec.settings {
        deployment["flinkConfiguration"][key] = json!(value);
    }
    json!({
        "apiVersion": "flink.apache.org/v1beta1",
        "kind": KIND,
        "metadata": { "name": spec.name, "namespace": namespace, "labels": labels_of(spec) },
        "spec": deployment,
    })
}
