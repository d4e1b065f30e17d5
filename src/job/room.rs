//! Whether the job's tasks find a place: free slots now, and room on the node for another TaskManager.

use kube::Client;
use serde_json::Value;

use crate::diag::{Failure, Reason, Result};
use crate::flink::Rest;
use crate::kube::{list, text};

/// CPU in thousandths and memory in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Amount {
    cpu_m: i64,
    memory: i64,
}

/// Checks that `parallelism` tasks of a job find slots in the session cluster, or that the node has room for the
/// TaskManagers that Flink would start for them. Returns how many slots are free.
///
/// # Errors
/// [`Reason::SlotsShort`] with what is missing; [`Reason::FlinkUnreachable`].
pub(super) async fn check(client: &Client, session: &Value, rest: &Rest, parallelism: u32) -> Result<u64> {
    let overview = rest.get("/overview").await?.ok_or_else(|| {
        Failure::new(
            Reason::FlinkUnreachable,
            "the session cluster has no REST interface yet",
        )
        .next("dev status")
    })?;
    let number = |key: &str| overview[key].as_u64().unwrap_or_default();
    let (free, total) = (number("slots-available"), number("slots-total"));
    let wanted = u64::from(parallelism.max(1));
    if free >= wanted {
        return Ok(free);
    }
    let (nodes, pods) = tokio::try_join!(list(client, "/api/v1/nodes"), list(client, "/api/v1/pods"))?;
    let left = left(&nodes, &pods);
    let each = task_manager(session);
    let slots = slots(session);
    let more = i64::try_from((wanted - free).div_ceil(slots)).unwrap_or(i64::MAX);
    if each.cpu_m.saturating_mul(more) <= left.cpu_m && each.memory.saturating_mul(more) <= left.memory {
        return Ok(free);
    }
    let message =
        format!("the job wants {wanted} task slots, {free} of {total} are free, and there is no room for more");
    Err(Failure::new(Reason::SlotsShort, message)
        .evidence(format!(
            "{more} more TaskManagers of {} CPU and {} MiB each; the node has {} CPU and {} MiB left",
            cpu(each.cpu_m),
            each.memory >> 20,
            cpu(left.cpu_m.max(0)),
            left.memory.max(0) >> 20
        ))
        .next("dev job ls")
        .next(format!("dev job run … --parallelism {}", free.max(1))))
}

fn cpu(thousandths: i64) -> String {
    format!("{:.2}", thousandths as f64 / 1000.0)
}

fn slots(session: &Value) -> u64 {
    let set = &session["spec"]["flinkConfiguration"]["taskmanager.numberOfTaskSlots"];
    let set = set.as_u64().or_else(|| set.as_str()?.parse().ok());
    set.filter(|n| *n > 0).unwrap_or(1)
}

/// What each TaskManager asks for.
fn task_manager(session: &Value) -> Amount {
    let resource = &session["spec"]["taskManager"]["resource"];
    let cpu = resource["cpu"].as_f64().unwrap_or(1.0);
    Amount {
        cpu_m: (cpu * 1000.0).round() as i64,
        // the operator reads `1536m` as Flink does: MiB
        memory: text(resource, "/memory")
            .trim_end_matches(['m', 'M', 'b', 'B', 'i'])
            .trim()
            .parse::<i64>()
            .unwrap_or(0)
            << 20,
    }
}

/// What the nodes have left together: one node is all that our clusters have.
fn left(nodes: &[Value], pods: &[Value]) -> Amount {
    let mut left = Amount::default();
    for node in nodes {
        left.cpu_m += cpu_of(text(node, "/status/allocatable/cpu"));
        left.memory += memory_of(text(node, "/status/allocatable/memory"));
    }
    let alive = |p: &&Value| {
        !matches!(text(p, "/status/phase"), "Succeeded" | "Failed") && !text(p, "/spec/nodeName").is_empty()
    };
    for container in pods
        .iter()
        .filter(alive)
        .flat_map(|p| p["spec"]["containers"].as_array().into_iter().flatten())
    {
        left.cpu_m -= cpu_of(text(container, "/resources/requests/cpu"));
        left.memory -= memory_of(text(container, "/resources/requests/memory"));
    }
    left
}

/// `2`, `0.5` or `500m` in thousandths.
fn cpu_of(quantity: &str) -> i64 {
    match quantity.strip_suffix('m') {
        Some(thousandths) => thousandths.parse().unwrap_or(0),
        None => (quantity.parse::<f64>().unwrap_or(0.0) * 1000.0).round() as i64,
    }
}

/// `1Gi`, `512Mi`, `24689676Ki` or bytes.
fn memory_of(quantity: &str) -> i64 {
    let digits = quantity.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number = digits.parse::<f64>().unwrap_or(0.0);
    let unit = match &quantity[digits.len()..] {
        "Ki" => 1024.0,
        "Mi" => 1048576.0,
        "Gi" => 1073741824.0,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        _ => 1.0,
    };
    (number * unit).round() as i64
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_left_is_what_pods_do_not_ask_for() {
        let node = json!({ "status": { "allocatable": { "cpu": "2", "memory": "4Gi" } } });
        let pod = |node: &str, phase: &str| {
            json!({ "spec": { "nodeName": node, "containers": [
                { "resources": { "requests": { "cpu": "250m", "memory": "512Mi" } } }, { "resources": {} }] },
                "status": { "phase": phase } })
        };
        let pods = [pod("a", "Running"), pod("a", "Succeeded"), pod("", "Pending")];
        let wanted = Amount {
            cpu_m: 1750,
            memory: 3584 << 20,
        };
        assert_eq!(left(&[node], &pods), wanted);
        assert_eq!((cpu_of("0.5"), memory_of("1000k"), memory_of("7")), (500, 1_000_000, 7));
        let session = json!({ "spec": { "taskManager": { "resource": { "memory": "1536m", "cpu": 0.2 } },
            "flinkConfiguration": { "taskmanager.numberOfTaskSlots": "4" } } });
        assert_eq!(
            task_manager(&session),
            Amount {
                cpu_m: 200,
                memory: 1536 << 20
            }
        );
        assert_eq!(slots(&session), 4);
    }
}
