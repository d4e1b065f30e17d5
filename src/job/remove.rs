//! A job goes, and nothing of it stays.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::application;
use super::managed::{Kind, Managed};
use crate::diag::Result;
use crate::engine::StepCx;
use crate::flink::SessionJob;
use crate::kube::{delete, get, list, text};

/// The collections that hold what the operator makes of an application, by the application's name as label `app`.
const MADE: [(&str, &str); 4] = [
    ("/api/v1", "pods"),
    ("/api/v1", "services"),
    ("/api/v1", "configmaps"),
    ("/apis/apps/v1", "deployments"),
];

impl Managed {
    /// Removes the job: its object, what of it runs in Flink, and the objects of its savepoints; their files stay. Of an
    /// application nothing stays that the operator made for it.
    ///
    /// # Errors
    /// [`crate::diag::Reason::JobFailed`] if something of a session job is left behind;
    /// [`crate::diag::Reason::TimedOut`] with what is.
    pub async fn remove(&self, within: Duration, cx: &StepCx) -> Result<()> {
        let end = Instant::now() + within;
        // while the operator lives: their finalizers are its own
        self.remove_snapshots().await?;
        if self.kind == Kind::Session {
            let job = SessionJob::left_behind(&self.client, &self.namespace, &self.cluster, &self.name);
            return job.delete().await;
        }
        delete(&self.client, &self.path()).await?;
        while get(&self.client, &self.path()).await?.is_some() {
            self.end_lone_task_managers().await?;
            self.pause(cx, "the operator has not let go of it", end, within).await?;
        }
        application::remove_values(&self.client, &self.namespace, &self.name).await?;
        // the cluster was this job's alone
        loop {
            let left = self.left().await?;
            if left.is_empty() {
                return Ok(());
            }
            self.pause(cx, &format!("still there: {}", left.join(", ")), end, within)
                .await?;
        }
    }

    /// Ends the TaskManagers of a cluster whose last `JobManager` is gone. Nothing waits for them but the Deployment that
    /// owns them (it is deleted in the foreground), and one that still starts uses up its grace period.
    async fn end_lone_task_managers(&self) -> Result<()> {
        let pods = self.made("/api/v1", "pods").await?;
        if pods
            .iter()
            .any(|pod| text(pod, "/metadata/labels/component") == "jobmanager")
        {
            return Ok(());
        }
        for pod in &pods {
            let name = text(pod, "/metadata/name");
            let at_once = format!("/api/v1/namespaces/{}/pods/{name}?gracePeriodSeconds=0", self.namespace);
            delete(&self.client, &at_once).await?;
        }
        Ok(())
    }

    /// The objects of a kind that the operator and Flink made for an application.
    async fn made(&self, group: &str, plural: &str) -> Result<Vec<Value>> {
        let path = format!(
            "{group}/namespaces/{}/{plural}?labelSelector=app%3D{}%2Ctype%3Dflink-native-kubernetes",
            self.namespace, self.cluster
        );
        list(&self.client, &path).await
    }

    /// Which of them are still there.
    async fn left(&self) -> Result<Vec<String>> {
        let mut left = Vec::new();
        for (group, plural) in MADE {
            let found = self.made(group, plural).await?;
            left.extend(found.iter().map(|o| format!("{plural} {}", text(o, "/metadata/name"))));
        }
        Ok(left)
    }

    async fn remove_snapshots(&self) -> Result<()> {
        let all = format!(
            "/apis/flink.apache.org/v1beta1/namespaces/{}/flinkstatesnapshots",
            self.namespace
        );
        let ours = |snapshot: &&Value| {
            let of = &snapshot["spec"]["jobReference"];
            of["kind"] == self.kind.object() && of["name"] == self.name.as_str()
        };
        for snapshot in list(&self.client, &all).await?.iter().filter(ours) {
            delete(&self.client, &format!("{all}/{}", text(snapshot, "/metadata/name"))).await?;
        }
        Ok(())
    }
}
