//! Pods of a Flink cluster that keep a job from running: the operator and Flink are silent about a TaskManager that
//! finds no place, has no image or is killed for its memory.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt as _, watcher as watch};
use kube::{Api, Client, ResourceExt as _};
use tokio::time::{Instant, sleep_until};

use crate::diag::{Failure, Reason};
use crate::kube::{PodProblem, pod_problem, with_log};

/// How long a pod may be stuck before it counts: an image may come, another pod may make room.
const GRACE: Duration = Duration::from_secs(5);

/// Watches the pods of the Flink cluster `cluster` until one of them is stuck; returns that as a failure. Never returns
/// while all is well.
///
/// A container that was killed for its memory counts at once, for Flink replaces the pod within a second.
pub(super) async fn stuck_pod(client: &Client, namespace: &str, cluster: &str) -> Failure {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let config = watcher::Config::default().labels(&super::change::pods_of(cluster));
    let events = watch(api, config).default_backoff();
    tokio::pin!(events);
    let mut stuck: BTreeMap<String, (PodProblem, Instant)> = BTreeMap::new();
    loop {
        let first = stuck.values().map(|(_, since)| *since + GRACE).min();
        tokio::select! {
            event = events.next() => match event {
                // what had failed before the job came is of the past
                Some(Ok(Event::InitApply(pod))) if ended(&pod) => {}
                Some(Ok(Event::Apply(pod) | Event::InitApply(pod))) => {
                    let name = pod.name_any();
                    let found = serde_json::to_value(&pod).ok().and_then(|pod| pod_problem(&pod));
                    let deleted = pod.metadata.deletion_timestamp.is_some();
                    match found {
                        Some(problem) if problem.text.contains("(OOMKilled)") => {
                            return failure(client, namespace, cluster, &problem).await;
                        }
                        Some(problem) if problem.stuck && !deleted => {
                            stuck.entry(name).or_insert_with(|| (problem, Instant::now()));
                        }
                        _ => {
                            stuck.remove(&name);
                        }
                    }
                }
                Some(Ok(Event::Delete(pod))) => {
                    stuck.remove(&pod.name_any());
                }
                Some(_) => {}
                None => std::future::pending().await,
            },
            () = until(first) => {
                let worst = stuck.into_values().min_by_key(|(_, since)| *since);
                if let Some((problem, _)) = worst {
                    return failure(client, namespace, cluster, &problem).await;
                }
                return std::future::pending().await;
            }
        }
    }
}

fn ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|s| s.phase.as_deref());
    matches!(phase, Some("Failed" | "Succeeded"))
}

async fn failure(client: &Client, namespace: &str, cluster: &str, problem: &PodProblem) -> Failure {
    let message = format!("the job cannot run: pod {}: {}", problem.pod, problem.text);
    let told = with_log(client, namespace, problem).await;
    let log: Vec<&str> = told.lines().skip(1).map(str::trim).collect();
    let failure = Failure::new(Reason::JobFailed, message).evidence(log.join("\n"));
    if problem.text.contains("(OOMKilled)") {
        failure.next("give it more memory: `session.task_manager.memory` in the profile, then `dev up`")
    } else if problem.text.contains("finds no place") {
        failure
            .next("dev job ls")
            .next("ask for less: --parallelism, or `session.task_manager` in the profile, then `dev up`")
    } else if problem.text.contains("ErrImageNeverPull") {
        // an application's: what nothing used was tidied away
        failure.next(format!("dev job upgrade {cluster} FILE, which makes the image again"))
    } else {
        failure.next("dev up")
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
