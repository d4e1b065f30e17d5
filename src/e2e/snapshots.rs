//! The `FlinkStateSnapshot`s of a case's job: the operator makes one for each savepoint, and leaves it.

use std::collections::BTreeSet;
use std::time::Duration;

use kube::Client;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::diag::{Failure, Reason, Result};
use crate::kube::{delete, list, text};

/// How long the operator may take to let go of them.
const BOUND: Duration = Duration::from_secs(15);
/// Between two looks.
const POLL: Duration = Duration::from_millis(200);

/// Names of the jobs of all snapshots.
///
/// # Errors
/// [`Reason::ClusterUnreachable`].
pub(super) async fn jobs(client: &Client, namespace: &str) -> Result<BTreeSet<String>> {
    let all = list(client, &path(namespace)).await?;
    Ok(all.iter().map(|one| job_of(one).to_owned()).collect())
}

fn path(namespace: &str) -> String {
    format!("/apis/flink.apache.org/v1beta1/namespaces/{namespace}/flinkstatesnapshots")
}

fn job_of(snapshot: &Value) -> &str {
    text(snapshot, "/spec/jobReference/name")
}

/// Removes the snapshots of the jobs that `ours` tells by their names; returns how many.
///
/// # Errors
/// [`Reason::ClusterUnreachable`]; [`Reason::JobFailed`] if one is still there after 15 s.
pub(super) async fn remove(client: &Client, namespace: &str, ours: impl Fn(&str) -> bool) -> Result<usize> {
    let all = path(namespace);
    let end = Instant::now() + BOUND;
    let mut asked = Vec::new();
    loop {
        let found: Vec<String> = list(client, &all)
            .await?
            .iter()
            .filter(|one| ours(job_of(one)))
            .map(|one| text(one, "/metadata/name").to_owned())
            .collect();
        if found.is_empty() {
            return Ok(asked.len());
        }
        for name in found.iter() {
            if !asked.contains(name) {
                delete(client, &format!("{all}/{name}")).await?;
                asked.push(name.clone());
            }
        }
        if Instant::now() >= end {
            let message = "snapshots of a job could not be removed";
            return Err(Failure::new(Reason::JobFailed, message)
                .evidence(found.join(", "))
                .next(format!(
                    "kubectl -n {namespace} delete flinkstatesnapshot {}",
                    found.join(" ")
                )));
        }
        sleep(POLL).await;
    }
}
