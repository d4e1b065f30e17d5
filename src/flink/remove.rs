//! Removing a job so that nothing of it is left: neither the object nor a job in Flink.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::StreamExt as _;
use kube::Client;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use serde_json::json;
use tokio::time::{Instant, sleep, timeout_at};

use super::follow::api;
use super::job::{KIND, SessionJob, name_and_labels};
use crate::diag::{Failure, Reason, Result};
use crate::kube::bounded;

/// How long the operator may take to cancel the job and let the object go.
const OPERATOR: Duration = Duration::from_secs(20);
/// How long Flink may take to end a job after that.
const FLINK: Duration = Duration::from_secs(10);
/// Between two looks.
const POLL: Duration = Duration::from_millis(100);
/// States in which a job has ended for good.
pub(crate) const ENDED: [&str; 4] = ["FINISHED", "CANCELED", "FAILED", "SUSPENDED"];

/// Names and labels of the `FlinkSessionJob`s of a namespace that match `selector`.
///
/// # Errors
/// [`Reason::ClusterUnreachable`] if the API server does not list them.
pub async fn list_jobs(
    client: &Client,
    namespace: &str,
    selector: &str,
) -> Result<Vec<(String, BTreeMap<String, String>)>> {
    let api = api(client.clone(), namespace, KIND);
    let found = bounded(api.list(&ListParams::default().labels(selector))).await;
    let found =
        found.map_err(|e| Failure::new(Reason::ClusterUnreachable, "session jobs cannot be listed").cause(&e))?;
    Ok(found.items.iter().map(name_and_labels).collect())
}

impl SessionJob {
    /// Deletes the object, waits until it is gone, and makes sure that Flink runs no job of its name. Where the
    /// operator does not let go of the object within 20 s (it may be gone itself), its finalizer is taken off.
    ///
    /// Both are safe to repeat; an object that is not there is fine.
    ///
    /// # Errors
    /// [`Reason::JobFailed`] if the object or the job is still there after about 40 s.
    pub async fn delete(&self) -> Result<()> {
        let left = |what: &str, why: String| {
            Failure::new(Reason::JobFailed, format!("{what} {} could not be removed", self.name))
                .evidence(why)
                .next(format!("kubectl delete flinksessionjob {}", self.name))
        };
        // the script may have named the job otherwise; its id is what Flink knows it by, and the operator may write
        // that down as late as it lets go of the object
        let mut id = self.id().await;
        let end = Instant::now() + OPERATOR;
        let asked = self.ask_to_go(end + FLINK).await;
        let gone = asked.map_err(|why| left("the object of job", why))?;
        if !gone && self.await_gone(&mut id, end).await.is_err() {
            let no_finalizer = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
            let parameters = PatchParams::default();
            let _ = bounded(self.api.patch_metadata(&self.name, &parameters, &no_finalizer)).await;
            let gone = self.await_gone(&mut id, end + FLINK).await;
            gone.map_err(|why| left("the object of job", why))?;
        }
        let deadline = Instant::now() + FLINK;
        loop {
            let why = match self.running(id.as_deref()).await {
                Ok(ids) if ids.is_empty() => return Ok(()),
                Ok(ids) => {
                    for id in &ids {
                        let _ = self.rest.cancel(id).await;
                    }
                    format!("Flink still runs {}", ids.join(", "))
                }
                Err(failure) => failure.detail().evidence.join(" "),
            };
            if Instant::now() >= deadline {
                return Err(left("job", why));
            }
            sleep(POLL).await;
        }
    }

    /// Has the API server delete the object; tells whether it is gone by that. Why it does not take the request by `end`.
    async fn ask_to_go(&self, end: Instant) -> std::result::Result<bool, String> {
        loop {
            let why = match bounded(self.api.delete(&self.name, &DeleteParams::default())).await {
                Ok(answer) => return Ok(answer.right().is_some()),
                Err(kube::Error::Api(status)) if status.code == 404 => return Ok(true),
                Err(error) => error.to_string(),
            };
            if Instant::now() >= end {
                return Err(why);
            }
            sleep(POLL).await;
        }
    }

    /// Waits until the object is not there, and notes Flink's id of the job meanwhile. Why it still is at `end`.
    async fn await_gone(&self, id: &mut Option<String>, end: Instant) -> std::result::Result<(), String> {
        let objects = watcher::watch_object(self.api.clone(), &self.name).default_backoff();
        tokio::pin!(objects);
        let mut why = "the API server does not tell of it".to_owned();
        while let Ok(Some(next)) = timeout_at(end, objects.next()).await {
            match next {
                Ok(None) => return Ok(()),
                Ok(Some(object)) => {
                    let seen = object.data["status"]["jobStatus"]["jobId"].as_str();
                    *id = seen.filter(|id| !id.is_empty()).map(str::to_owned).or(id.take());
                    "the operator has not let go of it".clone_into(&mut why);
                }
                Err(error) => why = error.to_string(),
            }
        }
        Err(why)
    }

    /// Ids of the jobs of this id that Flink has not ended. Where no id is known, those of its name, for the operator
    /// may have started one whose id it never wrote down; but none that is another object's, whatever its script calls
    /// it.
    async fn running(&self, id: Option<&str>) -> Result<Vec<String>> {
        let Some(answer) = self.rest.get("/jobs/overview").await? else {
            return Ok(Vec::new());
        };
        let jobs = answer["jobs"].as_array().map_or(&[][..], Vec::as_slice);
        let alive: Vec<(&str, &str)> = jobs
            .iter()
            .filter(|job| !ENDED.contains(&job["state"].as_str().unwrap_or_default()))
            .filter_map(|job| Some((job["jid"].as_str()?, job["name"].as_str()?)))
            .collect();
        let named = alive.iter().any(|(jid, name)| *name == self.name && id != Some(*jid));
        let others = if named {
            self.ids_of_others().await?
        } else {
            BTreeSet::new()
        };
        let ours = |jid: &str, name: &str| id == Some(jid) || name == self.name && !others.contains(jid);
        let ids = alive.iter().filter(|(jid, name)| ours(jid, name));
        Ok(ids.map(|(jid, _)| (*jid).to_owned()).collect())
    }

    /// Flink's ids of the other jobs of the session cluster.
    async fn ids_of_others(&self) -> Result<BTreeSet<String>> {
        let found = bounded(self.api.list(&ListParams::default())).await;
        let found =
            found.map_err(|e| Failure::new(Reason::ClusterUnreachable, "session jobs cannot be listed").cause(&e))?;
        let others = found.items.iter().filter(|object| {
            object.metadata.name.as_deref() != Some(&self.name)
                && object.data["spec"]["deploymentName"] == self.session.as_str()
        });
        Ok(others
            .filter_map(|object| object.data["status"]["jobStatus"]["jobId"].as_str())
            .map(str::to_owned)
            .collect())
    }
}
