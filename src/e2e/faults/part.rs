//! Which pod and which container a part of the environment is.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::Target;
use crate::config::Part;
use crate::diag::{Failure, Reason, Result};
use crate::kube::{list, text};

/// A container that is to be hit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::e2e) struct Victim {
    /// What it is.
    pub(in crate::e2e) part: Part,
    /// Its pod's namespace.
    pub(in crate::e2e) namespace: String,
    /// Its pod; for a TaskManager also its id in Flink.
    pub(in crate::e2e) pod: String,
    /// The node it runs on, which is also the name of the node's container in the engine.
    pub(in crate::e2e) node: String,
    /// Its id in the node's containerd.
    pub(in crate::e2e) container: String,
}

/// The pods of a part: namespace, label selector, and the container that matters.
pub(super) fn pods_of(target: &Target, part: Part) -> Result<(String, String, &'static str)> {
    let missing = |what: &str| Failure::new(Reason::ConfigInvalid, format!("the environment has no {what}"));
    let flink = |component: &str| {
        (
            target.namespace.clone(),
            format!("app={},component={component}", target.session),
            "flink-main-container",
        )
    };
    Ok(match part {
        Part::TaskManager => flink("taskmanager"),
        Part::JobManager => flink("jobmanager"),
        Part::Broker => (
            target.kafka.clone().ok_or_else(|| missing("Kafka"))?,
            "app.kubernetes.io/name=kafka".to_owned(),
            "kafka",
        ),
        Part::Operator => (
            target.operator.clone().ok_or_else(|| missing("operator"))?,
            "app.kubernetes.io/name=flink-kubernetes-operator".to_owned(),
            "flink-kubernetes-operator",
        ),
    })
}

/// The container of a part. Of several TaskManagers it is one that runs tasks of the job.
///
/// # Errors
/// [`Reason::ComponentNotReady`] if none of its pods runs.
pub(super) async fn find(target: &Target, part: Part, job: Option<&str>) -> Result<Victim> {
    let (namespace, selector, container) = pods_of(target, part)?;
    let selector = selector.replace('=', "%3D").replace(',', "%2C");
    let path = format!("/api/v1/namespaces/{namespace}/pods?labelSelector={selector}");
    let pods = list(&target.client, &path).await?;
    let wanted = match (part, job) {
        (Part::TaskManager, Some(job)) => Some(task_managers(target, job).await?),
        _ => None,
    };
    let name = |pod: &&Value| text(pod, "/metadata/name").to_owned();
    let found = pods
        .iter()
        .filter(|pod| text(pod, "/metadata/deletionTimestamp").is_empty())
        .filter(|pod| wanted.as_ref().is_none_or(|wanted| wanted.contains(&name(pod))))
        .find_map(|pod| Some((pod, running(pod, container)?)));
    let Some((pod, container)) = found else {
        let message = match wanted {
            Some(_) => "no TaskManager runs tasks of the job".to_owned(),
            None => format!("no {} runs", part.word()),
        };
        let states: Vec<_> = pods
            .iter()
            .map(|pod| format!("pod {}: {}", name(&pod), text(pod, "/status/phase")))
            .collect();
        return Err(Failure::new(Reason::ComponentNotReady, message).evidence(states.join("\n")));
    };
    Ok(Victim {
        part,
        namespace,
        pod: name(&pod),
        node: text(pod, "/spec/nodeName").to_owned(),
        container,
    })
}

/// The id of a container of a pod that runs: the one of this name, else the first.
fn running(pod: &Value, name: &str) -> Option<String> {
    let statuses = pod.pointer("/status/containerStatuses")?.as_array()?;
    let status = statuses.iter().find(|s| s["name"] == name).or(statuses.first())?;
    status.pointer("/state/running")?;
    let (_, id) = text(status, "/containerID").split_once("://")?;
    Some(id.to_owned())
}

/// Ids of the TaskManagers that run tasks of a job; the operator's session clusters name them as their pods.
pub(super) async fn task_managers(target: &Target, job: &str) -> Result<BTreeSet<String>> {
    let rest = target.rest();
    let Some(details) = rest.get(&format!("/jobs/{job}")).await? else {
        return Ok(BTreeSet::new());
    };
    let mut ids = BTreeSet::new();
    for vertex in details["vertices"].as_array().into_iter().flatten() {
        let id = vertex["id"].as_str().unwrap_or_default();
        let answer = rest
            .get(&format!("/jobs/{job}/vertices/{id}"))
            .await?
            .unwrap_or_default();
        let tasks = answer["subtasks"].as_array().into_iter().flatten();
        ids.extend(
            tasks
                .filter(|task| task["status"] == "RUNNING")
                .filter_map(|task| Some(task["taskmanager-id"].as_str()?.to_owned())),
        );
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_container_that_runs_is_hit() {
        let pod = |state: Value| {
            json!({"status": {"containerStatuses": [
                {"name": "flink-webhook", "containerID": "containerd://w", "state": {"running": {}}},
                {"name": "flink-kubernetes-operator", "containerID": "containerd://o", "state": state}]}})
        };
        let id = |state| running(&pod(state), "flink-kubernetes-operator");
        assert_eq!(id(json!({"running": {"startedAt": "x"}})).as_deref(), Some("o"));
        assert_eq!(id(json!({"waiting": {}})), None);
        assert_eq!(running(&json!({}), "x"), None);
    }
}
