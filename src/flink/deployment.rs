//! The image of a `FlinkDeployment`: set, and followed until Flink runs it.

use std::time::Duration;

use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::refusal::refusal;
use crate::diag::{Failure, Reason, Result};
use crate::engine::StepCx;
use crate::kube::{MANAGER, pods, with_log};

/// Between two looks: the operator writes its status once a second at best.
const POLL: Duration = Duration::from_millis(300);
/// How long a pod may be in trouble before that counts: an image that is pulled, a volume that comes late.
const TROUBLE: Duration = Duration::from_secs(20);

/// A `FlinkDeployment` that somebody made.
#[derive(Clone)]
pub struct Deployment {
    api: Api<DynamicObject>,
    client: Client,
    namespace: String,
    name: String,
}

/// How far a new image is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// Not there yet; the reason, for people.
    Waiting(String),
    /// The operator runs this very image, and its job, if it has one.
    Runs(String),
}

impl std::fmt::Debug for Deployment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deployment")
            .field("namespace", &self.namespace)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Deployment {
    /// The one of that name.
    ///
    /// # Errors
    /// [`Reason::DeploymentUnknown`] with those that there are; [`Reason::ClusterUnreachable`].
    pub async fn find(client: &Client, namespace: &str, name: &str) -> Result<Self> {
        let kind = GroupVersionKind::gvk("flink.apache.org", "v1beta1", "FlinkDeployment");
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &ApiResource::from_gvk(&kind));
        let unreachable = |e: &kube::Error| {
            Failure::new(
                Reason::ClusterUnreachable,
                format!("the FlinkDeployment {name} cannot be read"),
            )
            .cause(e)
        };
        let found = Self {
            api,
            client: client.clone(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        if found.api.get_opt(name).await.map_err(|e| unreachable(&e))?.is_some() {
            return Ok(found);
        }
        let all = found.api.list(&Default::default()).await.map_err(|e| unreachable(&e))?;
        let names: Vec<_> = all.items.iter().filter_map(|o| o.metadata.name.clone()).collect();
        let failure = Failure::new(
            Reason::DeploymentUnknown,
            format!("there is no FlinkDeployment `{name}` in the namespace `{namespace}`"),
        );
        Err(if names.is_empty() {
            failure.evidence("there is none at all in it")
        } else {
            failure.evidence(format!("there are: {}", names.join(", ")))
        })
    }

    /// Sets the image, and leaves all else as it is. Tells whether it was another one.
    ///
    /// # Errors
    /// [`Reason::ApplyFailed`] with the API server's words.
    pub async fn set_image(&self, image: &str) -> Result<bool> {
        let refused = |e: kube::Error| {
            Failure::new(Reason::ApplyFailed, format!("the image of {} cannot be set", self.name)).cause(&e)
        };
        let before = self.api.get(&self.name).await.map_err(refused)?;
        if before.data["spec"]["image"] == image {
            return Ok(false);
        }
        let parameters = PatchParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let patch = Patch::Merge(json!({ "spec": { "image": image } }));
        self.api.patch(&self.name, &parameters, &patch).await.map_err(refused)?;
        Ok(true)
    }

    /// Waits until the operator runs `image` and its job is RUNNING; tells what was seen. The caller bounds it.
    ///
    /// # Errors
    /// [`Reason::JobFailed`] if the operator or Flink gives up, or a pod is in trouble for 20 s: with the pod's words.
    pub async fn runs(&self, image: &str, cx: &StepCx) -> Result<String> {
        let mut trouble: Option<Instant> = None;
        loop {
            let reason = match self.api.get(&self.name).await {
                Ok(object) => match judge(&serde_json::to_value(&object).unwrap_or_default(), image)? {
                    State::Runs(seen) => return Ok(seen),
                    State::Waiting(reason) => reason,
                },
                Err(kube::Error::Api(status)) if status.code == 404 => {
                    return Err(Failure::new(
                        Reason::DeploymentUnknown,
                        format!("{} was deleted", self.name),
                    ));
                }
                Err(error) => format!("the API server does not answer: {error}"),
            };
            let selector = format!("app={},type=flink-native-kubernetes", self.name);
            let problem = pods(&self.client, &self.namespace, &selector)
                .await
                .ok()
                .and_then(|p| p.problem);
            match &problem {
                Some(problem) if problem.stuck => {
                    if trouble.get_or_insert_with(Instant::now).elapsed() >= TROUBLE {
                        let told = with_log(&self.client, &self.namespace, problem).await;
                        return Err(Failure::new(Reason::JobFailed, format!("{} does not start", self.name))
                            .evidence(told)
                            .evidence(reason));
                    }
                }
                _ => trouble = None,
            }
            cx.waiting(match problem {
                Some(problem) => format!("{reason}; pod {}: {}", problem.pod, problem.text),
                None => reason,
            });
            sleep(POLL).await;
        }
    }
}

/// The state of the object: pure.
fn judge(object: &Value, image: &str) -> Result<State> {
    let (spec, status) = (&object["spec"], &object["status"]);
    if spec["image"] != image {
        let other = spec["image"].as_str().unwrap_or("none");
        return Err(Failure::new(Reason::JobFailed, "somebody else set another image").evidence(other));
    }
    let seen = object["metadata"]["generation"] == status["observedGeneration"];
    let lifecycle = status["lifecycleState"]
        .as_str()
        .unwrap_or("not seen by the operator yet");
    if !seen {
        return Ok(State::Waiting(format!(
            "the operator has not seen the new image ({lifecycle})"
        )));
    }
    let job = status["jobStatus"]["state"].as_str().unwrap_or_default();
    let error = status["error"]
        .as_str()
        .filter(|e| !e.is_empty())
        .map(|e| refusal(e).message);
    if lifecycle == "FAILED" || job == "FAILED" {
        let failure = Failure::new(Reason::JobFailed, "the job failed with the new image");
        return Err(match error {
            Some(error) => Failure::new(Reason::JobFailed, format!("the job failed with the new image: {error}")),
            None => failure,
        });
    }
    let reconciled = &status["reconciliationStatus"];
    // a text of JSON: the spec that the operator deployed last
    let deployed: Value = reconciled["lastReconciledSpec"]
        .as_str()
        .and_then(|t| serde_json::from_str(t).ok())
        .unwrap_or_default();
    let ready = status["jobManagerDeploymentStatus"] == "READY" && matches!(lifecycle, "STABLE" | "DEPLOYED");
    let is_session = spec["job"].is_null();
    let runs = is_session || matches!(job, "RUNNING" | "FINISHED");
    if reconciled["state"] == "DEPLOYED" && deployed["spec"]["image"] == image && ready && runs {
        return Ok(State::Runs(if is_session {
            "READY".to_owned()
        } else {
            job.to_owned()
        }));
    }
    let manager = status["jobManagerDeploymentStatus"].as_str().unwrap_or("MISSING");
    let mut reason = format!("operator: {lifecycle}, JobManager: {manager}");
    if !is_session && !job.is_empty() {
        reason.push_str(&format!(", job: {job}"));
    }
    // errors of a moment are usual while pods start
    if let Some(error) = error {
        reason.push_str(&format!(", {error}"));
    }
    Ok(State::Waiting(reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(image: &str, deployed: &str, lifecycle: &str, job: &str, observed: u64) -> Value {
        json!({
            "metadata": { "generation": 3 },
            "spec": { "image": image, "job": { "entryClass": "a.B" } },
            "status": {
                "observedGeneration": observed,
                "lifecycleState": lifecycle,
                "jobManagerDeploymentStatus": "READY",
                "jobStatus": { "state": job },
                "reconciliationStatus": {
                    "state": "DEPLOYED",
                    "lastReconciledSpec": json!({ "spec": { "image": deployed } }).to_string(),
                },
            },
        })
    }

    #[test]
    fn only_the_new_image_counts_as_running() {
        let runs = |o: &Value| judge(o, "app:2").unwrap();
        assert_eq!(
            runs(&object("app:2", "app:2", "STABLE", "RUNNING", 3)),
            State::Runs("RUNNING".to_owned())
        );
        for old in [
            // the status is still that of the image before
            object("app:2", "app:1", "STABLE", "RUNNING", 2),
            object("app:2", "app:1", "STABLE", "RUNNING", 3),
            object("app:2", "app:2", "UPGRADING", "RUNNING", 3),
            object("app:2", "app:2", "DEPLOYED", "CREATED", 3),
        ] {
            assert!(matches!(runs(&old), State::Waiting(_)), "{old}");
        }
        let mut session = object("app:2", "app:2", "STABLE", "", 3);
        session["spec"]["job"] = Value::Null;
        assert_eq!(runs(&session), State::Runs("READY".to_owned()));
    }

    #[test]
    fn a_failure_of_the_new_image_is_told_and_one_of_the_old_is_not() {
        let mut failed = object("app:2", "app:2", "FAILED", "FAILED", 3);
        failed["status"]["error"] = json!({"message": "java.lang.ClassNotFoundException: a.B"})
            .to_string()
            .into();
        let failure = judge(&failed, "app:2").unwrap_err();
        assert_eq!(failure.id(), Reason::JobFailed);
        assert!(failure.to_string().contains("a.B"), "{failure}");
        failed["status"]["observedGeneration"] = 2.into();
        assert!(matches!(judge(&failed, "app:2"), Ok(State::Waiting(_))));
        assert!(
            judge(&failed, "app:3")
                .unwrap_err()
                .to_string()
                .contains("another image")
        );
    }
}
