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

impl Amount {
    fn fits(self, left: Self) -> bool {
        self.cpu_m <= left.cpu_m && self.memory <= left.memory
    }

    fn at_least_none(self) -> Self {
        Self {
            cpu_m: self.cpu_m.max(0),
            memory: self.memory.max(0),
        }
    }
}

impl std::ops::Add for Amount {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            cpu_m: self.cpu_m.saturating_add(other.cpu_m),
            memory: self.memory.saturating_add(other.memory),
        }
    }
}

impl std::ops::Mul<i64> for Amount {
    type Output = Self;

    fn mul(self, times: i64) -> Self {
        Self {
            cpu_m: self.cpu_m.saturating_mul(times),
            memory: self.memory.saturating_mul(times),
        }
    }
}

impl std::fmt::Display for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2} CPU and {} MiB", self.cpu_m as f64 / 1000.0, self.memory >> 20)
    }
}

/// Checks that `parallelism` tasks of a job find slots in the session cluster, `freed` of which a job that goes first
/// has now, or that the node has room for the TaskManagers that Flink would start for them. Returns how many slots are
/// free.
///
/// # Errors
/// [`Reason::SlotsShort`] with what is missing; [`Reason::FlinkUnreachable`].
pub(super) async fn check(client: &Client, session: &Value, rest: &Rest, parallelism: u32, freed: u64) -> Result<u64> {
    let overview = rest.get("/overview").await?.ok_or_else(|| {
        Failure::new(
            Reason::FlinkUnreachable,
            "the session cluster has no REST interface yet",
        )
        .next("dev status")
    })?;
    let number = |key: &str| overview[key].as_u64().unwrap_or_default();
    let total = number("slots-total");
    let free = (number("slots-available") + freed).min(total);
    let wanted = u64::from(parallelism.max(1));
    if free >= wanted {
        return Ok(free);
    }
    let left = left_on_nodes(client, None).await?;
    let each = resource(&session["spec"]["taskManager"]);
    let more = i64::try_from((wanted - free).div_ceil(slots(session))).unwrap_or(i64::MAX);
    if (each * more).fits(left) {
        return Ok(free);
    }
    let message =
        format!("the job wants {wanted} task slots, {free} of {total} are free, and there is no room for more");
    Err(Failure::new(Reason::SlotsShort, message)
        .evidence(format!(
            "{more} more TaskManagers of {each} each; the node has {} left",
            left.at_least_none()
        ))
        .next("dev job ls")
        .next(format!("dev job run … --parallelism {}", free.max(1))))
}

/// Checks that the node has room for the JobManager and the TaskManagers of an application, as its object has them.
/// What an application of its own name asks for now does not count: it goes first. Tells what it asks for.
///
/// # Errors
/// [`Reason::SlotsShort`] with what is missing.
pub(super) async fn check_application(client: &Client, name: &str, object: &Value, parallelism: u32) -> Result<String> {
    let managers = i64::try_from(u64::from(parallelism.max(1)).div_ceil(slots(object))).unwrap_or(i64::MAX);
    let (job_manager, each) = (
        resource(&object["spec"]["jobManager"]),
        resource(&object["spec"]["taskManager"]),
    );
    let wanted = job_manager + each * managers;
    let left = left_on_nodes(client, Some(name)).await?;
    if wanted.fits(left) {
        return Ok(format!("{wanted} of {left} that are left"));
    }
    let message = format!("there is no room for the application: it asks for {wanted}");
    Err(Failure::new(Reason::SlotsShort, message)
        .evidence(format!(
            "a JobManager of {job_manager}, {managers} TaskManagers of {each} each; the node has {} left",
            left.at_least_none()
        ))
        .next("dev job ls")
        .next("ask for less: --parallelism, or `session.job_manager` and `session.task_manager` in the profile"))
}

/// What the nodes have left, but for the pods of the Flink cluster `without`.
async fn left_on_nodes(client: &Client, without: Option<&str>) -> Result<Amount> {
    let (nodes, pods) = tokio::try_join!(list(client, "/api/v1/nodes"), list(client, "/api/v1/pods"))?;
    let others: Vec<Value> = pods
        .into_iter()
        .filter(|pod| without.is_none_or(|name| pod["metadata"]["labels"]["app"] != name))
        .collect();
    Ok(left(&nodes, &others))
}

fn slots(session: &Value) -> u64 {
    let set = &session["spec"]["flinkConfiguration"]["taskmanager.numberOfTaskSlots"];
    let set = set.as_u64().or_else(|| set.as_str()?.parse().ok());
    set.filter(|n| *n > 0).unwrap_or(1)
}

/// What each JobManager or TaskManager asks for, by its part of a `FlinkDeployment`'s spec.
fn resource(part: &Value) -> Amount {
    let resource = &part["resource"];
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
            resource(&session["spec"]["taskManager"]),
            Amount {
                cpu_m: 200,
                memory: 1536 << 20
            }
        );
        assert_eq!(slots(&session), 4);
        let each = resource(&session["spec"]["taskManager"]);
        assert_eq!((each + each * 2).to_string(), "0.60 CPU and 4608 MiB");
        assert!(each.fits(wanted) && !(each * 9).fits(wanted));
    }
}
