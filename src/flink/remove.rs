//! Removing a job so that nothing of it is left: neither the object nor a job in Flink.

use std::collections::BTreeMap;
use std::time::Duration;

use kube::Client;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::job::{SessionJob, api, name_and_labels};
use super::observe::job_id;
use crate::diag::{Failure, Reason, Result};

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
    let found = api(client.clone(), namespace)
        .list(&ListParams::default().labels(selector))
        .await;
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
        // the script may have named the job otherwise; then its id is what Flink knows it by
        let id = self.id().await;
        let start = Instant::now();
        let mut unlocked = false;
        let mut asked = false;
        loop {
            // deleting what is being deleted changes nothing, so one request is both the order and the question;
            // but each one counts, so after the first it is only asked
            let state = if asked {
                self.api.get_metadata_opt(&self.name).await.map(|o| o.is_some())
            } else {
                match self.api.delete(&self.name, &DeleteParams::default()).await {
                    Ok(answer) => {
                        asked = true;
                        Ok(answer.left().is_some())
                    }
                    Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
                    Err(error) => Err(error),
                }
            };
            let why = match state {
                Ok(false) => break,
                Ok(true) => "the operator has not let go of it".to_owned(),
                Err(error) => error.to_string(),
            };
            let took = start.elapsed();
            if took >= OPERATOR && !unlocked {
                let no_finalizer = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
                let _ = self
                    .api
                    .patch_metadata(&self.name, &PatchParams::default(), &no_finalizer)
                    .await;
                unlocked = true;
            } else if took >= OPERATOR + FLINK {
                return Err(left("the object of job", why));
            }
            sleep(POLL).await;
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

    /// Flink's id of the job, if the operator has written one down.
    pub async fn id(&self) -> Option<String> {
        let object = self.api.get_opt(&self.name).await.ok().flatten()?;
        job_id(&serde_json::to_value(&object).ok()?).map(str::to_owned)
    }

    /// Ids of the jobs of this id or name that Flink has not ended. The name counts too, for the operator may have
    /// started one whose id it never wrote down.
    async fn running(&self, id: Option<&str>) -> Result<Vec<String>> {
        let Some(answer) = self.rest.get("/jobs/overview").await? else {
            return Ok(Vec::new());
        };
        let jobs = answer["jobs"].as_array().map_or(&[][..], Vec::as_slice);
        let alive = |job: &&serde_json::Value| {
            let ours = job["name"] == self.name.as_str() || id.is_some_and(|id| job["jid"] == id);
            ours && !ENDED.contains(&job["state"].as_str().unwrap_or_default())
        };
        Ok(jobs
            .iter()
            .filter(alive)
            .filter_map(|job| Some(job["jid"].as_str()?.to_owned()))
            .collect())
    }
}
