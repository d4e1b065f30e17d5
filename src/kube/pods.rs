//! Why pods are not ready: what `kubectl describe` and `kubectl logs --previous` would tell, as one sentence.

use ::kube::Client;
use serde_json::Value;

use super::{list, text};
use crate::diag::Result;

/// Lines of log that are shown of a container that ended.
const LOG_LINES: usize = 12;

/// The pods of a selector at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pods {
    /// How many there are, without those that are being deleted.
    pub total: usize,
    /// How many are ready.
    pub ready: usize,
    /// What keeps the first of the others from it; the worst one first.
    pub problem: Option<PodProblem>,
}

/// What keeps a pod from being ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodProblem {
    /// The pod.
    pub pod: String,
    /// One sentence.
    pub text: String,
    /// Whether waiting is unlikely to help: no image, a crash loop, no room on the node.
    pub stuck: bool,
    /// The container whose log tells more, and whether it is the one of its previous run.
    pub log: Option<(String, bool)>,
}

/// Looks at the pods of a label selector.
///
/// # Errors
/// What the API server answered.
pub async fn pods(client: &Client, namespace: &str, selector: &str) -> Result<Pods> {
    let selector = selector.replace('=', "%3D").replace(',', "%2C");
    let items = list(
        client,
        &format!("/api/v1/namespaces/{namespace}/pods?labelSelector={selector}"),
    )
    .await?;
    Ok(judge(&items))
}

/// Why pods of a label selector are not ready, with the last log lines of a container that crashes; `None` if all are.
///
/// # Errors
/// What the API server answered.
pub async fn pods_reason(client: &Client, namespace: &str, selector: &str) -> Result<Option<String>> {
    let pods = pods(client, namespace, selector).await?;
    match pods.problem {
        Some(problem) => Ok(Some(with_log(client, namespace, &problem).await)),
        None if pods.total == 0 => Ok(Some(format!("no pod of {selector} in namespace {namespace} yet"))),
        None => Ok(None),
    }
}

/// The problem's sentence and, below it, the last lines of the log that tells more.
pub(crate) async fn with_log(client: &Client, namespace: &str, problem: &PodProblem) -> String {
    let mut told = format!("pod {}: {}", problem.pod, problem.text);
    let Some((container, previous)) = &problem.log else {
        return told;
    };
    let uri = format!(
        "/api/v1/namespaces/{namespace}/pods/{}/log?container={container}&previous={previous}&tailLines={LOG_LINES}",
        problem.pod
    );
    let Ok(request) = http::Request::get(uri).body(Vec::new()) else {
        return told;
    };
    // the log of a container that was just replaced may be gone: the sentence stands without it
    if let Ok(Ok(log)) = tokio::time::timeout(super::REQUEST, client.request_text(request)).await {
        for line in log.lines() {
            told.push_str("\n    ");
            told.push_str(line);
        }
    }
    told
}

/// The pure part: what pods, as the API server lists them, say.
fn judge(items: &[Value]) -> Pods {
    let mut pods = Pods::default();
    for pod in items
        .iter()
        .filter(|p| text(p, "/metadata/deletionTimestamp").is_empty())
    {
        pods.total += 1;
        match problem(pod) {
            None => pods.ready += 1,
            Some(found) if pods.problem.as_ref().is_none_or(|p| found.stuck && !p.stuck) => pods.problem = Some(found),
            Some(_) => {}
        }
    }
    pods
}

/// What keeps a pod from being ready; `None` if it is ready or has ended well.
pub(crate) fn problem(pod: &Value) -> Option<PodProblem> {
    let name = text(pod, "/metadata/name").to_owned();
    let told = |text: String, stuck: bool, log: Option<(String, bool)>| {
        Some(PodProblem {
            pod: name.clone(),
            text,
            stuck,
            log,
        })
    };
    let condition = |kind: &str| {
        let conditions = pod.pointer("/status/conditions").and_then(Value::as_array);
        conditions.into_iter().flatten().find(|c| c["type"] == kind)
    };
    if text(pod, "/status/phase") == "Succeeded" || condition("Ready").is_some_and(|c| c["status"] == "True") {
        return None;
    }
    if text(pod, "/status/phase") == "Failed" {
        let why = [text(pod, "/status/reason"), text(pod, "/status/message")].join(" ");
        // a TaskManager's pod is not restarted: what ended its container stands there
        let ended = containers(pod).into_iter().find_map(container_problem);
        return match ended {
            Some((text, _, log)) if why.trim().is_empty() => told(text, true, log),
            Some((text, _, log)) => told(format!("{text}; {}", why.trim()), true, log),
            None => told(format!("it failed: {}", why.trim()), true, None),
        };
    }
    if let Some(scheduled) = condition("PodScheduled").filter(|c| c["status"] == "False") {
        // "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: …"
        let message = text(scheduled, "/message");
        let message = message.split(" preemption:").next().unwrap_or_default();
        let message = message.trim_end_matches(" no new claims to deallocate,");
        return told(format!("it finds no place on the node: {message}"), true, None);
    }
    let containers = containers(pod);
    for container in &containers {
        if let Some(found) = container_problem(container) {
            return told(found.0, found.1, found.2);
        }
    }
    match containers.first() {
        Some(container) if container.pointer("/state/running").is_some() => {
            let name = text(container, "/name");
            told(
                format!("container {name} runs, its probe does not succeed yet"),
                false,
                Some((name.to_owned(), false)),
            )
        }
        Some(container) => {
            let waiting = text(container, "/state/waiting/reason");
            let waiting = if waiting.is_empty() { "waiting" } else { waiting };
            told(
                format!("container {}: {waiting}", text(container, "/name")),
                false,
                None,
            )
        }
        None => told("it was created".to_owned(), false, None),
    }
}

/// The statuses of a pod's containers that are not ready.
fn containers(pod: &Value) -> Vec<&Value> {
    ["/status/initContainerStatuses", "/status/containerStatuses"]
        .iter()
        .filter_map(|p| pod.pointer(p).and_then(Value::as_array))
        .flatten()
        .filter(|c| c["ready"] != true)
        .collect()
}

/// The sentence, whether waiting is unlikely to help, and whose log tells more.
type ContainerProblem = (String, bool, Option<(String, bool)>);

/// What a container's status says besides "not yet".
fn container_problem(container: &Value) -> Option<ContainerProblem> {
    let name = text(container, "/name");
    let restarts = container["restartCount"].as_u64().unwrap_or_default();
    let waiting = text(container, "/state/waiting/reason");
    match waiting {
        "ErrImagePull" | "ImagePullBackOff" | "ErrImageNeverPull" | "InvalidImageName" | "ImageInspectError" => {
            let image = text(container, "/image");
            let message = text(container, "/state/waiting/message");
            return Some((
                format!("image {image} is not in the node ({waiting}: {message})"),
                true,
                None,
            ));
        }
        "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
            let message = text(container, "/state/waiting/message");
            return Some((
                format!("container {name} cannot be started ({waiting}: {message})"),
                true,
                None,
            ));
        }
        _ => {}
    }
    let (ended, previous) = match container.pointer("/state/terminated") {
        Some(ended) => (ended, false),
        None => (container.pointer("/lastState/terminated")?, true),
    };
    let code = ended["exitCode"].as_i64().unwrap_or_default();
    let how = match text(ended, "/reason") {
        "OOMKilled" => "was killed for using more memory than its limit (OOMKilled)".to_owned(),
        "Completed" => return None,
        reason => format!("ended with exit code {code} ({reason})"),
    };
    let stuck = waiting == "CrashLoopBackOff" || restarts >= 2;
    let text = format!("container {name} {how}, {restarts} restarts");
    Some((text, stuck, Some((name.to_owned(), previous))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(status: impl Into<Value>) -> Value {
        json!({"metadata": {"name": "p"}, "status": status.into()})
    }

    fn waiting(reason: &str) -> Value {
        pod(
            json!({"phase": "Pending", "containerStatuses": [{"name": "c", "image": "i:1", "ready": false,
            "restartCount": 0, "state": {"waiting": {"reason": reason, "message": "why"}}}]}),
        )
    }

    #[test]
    fn ready_and_succeeded_pods_have_no_problem_and_deleted_ones_do_not_count() {
        let ready = pod(json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}));
        let mut gone = waiting("ErrImagePull");
        gone["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        let seen = judge(&[ready, pod(json!({"phase": "Succeeded"})), gone]);
        assert_eq!(
            seen,
            Pods {
                total: 2,
                ready: 2,
                problem: None
            }
        );
    }

    #[test]
    fn a_pod_without_room_says_what_the_node_lacks() {
        let message = "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available.";
        let seen = problem(&pod(json!({"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}]})));
        let seen = seen.unwrap();
        assert!(seen.stuck && seen.text.ends_with("1 Insufficient cpu."), "{seen:?}");
    }

    #[test]
    fn a_missing_image_is_named() {
        let seen = problem(&waiting("ImagePullBackOff")).unwrap();
        assert!(
            seen.stuck && seen.text.contains("image i:1 is not in the node"),
            "{seen:?}"
        );
        let creating = problem(&waiting("ContainerCreating")).unwrap();
        assert!(
            !creating.stuck && creating.text.contains("ContainerCreating"),
            "{creating:?}"
        );
    }

    #[test]
    fn a_crash_loop_points_to_the_log_of_the_previous_run_and_memory_is_told_apart() {
        let crashed = |reason: &str| {
            problem(&pod(
                json!({"phase": "Running", "containerStatuses": [{"name": "c", "ready": false,
                "restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": {"reason": reason, "exitCode": 137}}}]}),
            ))
            .unwrap()
        };
        let error = crashed("Error");
        assert_eq!(error.log, Some(("c".to_owned(), true)));
        assert!(error.stuck && error.text.contains("exit code 137"), "{error:?}");
        assert!(crashed("OOMKilled").text.contains("more memory than its limit"));
    }

    #[test]
    fn a_failed_pod_says_what_ended_its_container() {
        let killed = pod(
            json!({"phase": "Failed", "containerStatuses": [{"name": "c", "ready": false,
            "restartCount": 0, "state": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}}]}),
        );
        let seen = problem(&killed).unwrap();
        assert!(seen.stuck && seen.text.contains("(OOMKilled)"), "{seen:?}");
        let evicted = pod(json!({"phase": "Failed", "reason": "Evicted", "message": "low on disk"}));
        assert_eq!(problem(&evicted).unwrap().text, "it failed: Evicted low on disk");
    }

    #[test]
    fn a_stuck_pod_is_told_before_one_that_only_starts() {
        let seen = judge(&[waiting("ContainerCreating"), waiting("ErrImagePull")]);
        assert!(seen.problem.unwrap().stuck);
        assert_eq!((seen.total, seen.ready), (2, 0));
    }

    #[test]
    fn a_running_container_that_is_not_ready_waits_for_its_probe() {
        let seen = problem(&pod(
            json!({"phase": "Running", "containerStatuses": [{"name": "c", "ready": false,
            "restartCount": 0, "state": {"running": {}}}]}),
        ));
        assert!(seen.unwrap().text.contains("probe"));
    }
}
