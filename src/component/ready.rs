//! Looks that several components share: is a workload rolled out, and are its pods stuck.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::kube::Client;
use serde_json::Value;
use tokio::time::Instant;

use crate::diag::{Failure, Reason, Result};
use crate::engine::Done;
use crate::kube::{ApplyReport, PodProblem, Seen, get, pods, text, with_log};

/// How often a fact is looked at.
pub(super) const EVERY: Duration = Duration::from_millis(100);

/// How often pods are looked at while a fact is waited for: they only tell why it is not there yet.
const PODS_EVERY: Duration = Duration::from_secs(1);

/// How long a pod may look stuck before it is a failure: an image may still be on its way into the node, a first
/// crash may be one of a start in the wrong order.
const GRACE: Duration = Duration::from_secs(20);

/// Whether a Deployment has rolled out what was applied last.
pub(super) async fn rolled_out(client: &Client, namespace: &str, name: &str) -> Result<Seen<String>> {
    let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments/{name}");
    let Some(workload) = get(client, &path).await? else {
        return Ok(Seen::NotYet(format!("Deployment {name} is not there yet")));
    };
    let number = |pointer: &str| workload.pointer(pointer).and_then(Value::as_u64).unwrap_or_default();
    let wanted = workload.pointer("/spec/replicas").and_then(Value::as_u64).unwrap_or(1);
    if number("/status/observedGeneration") < number("/metadata/generation") {
        return Ok(Seen::NotYet(format!("{name}: its controller has not seen it yet")));
    }
    let (updated, ready) = (number("/status/updatedReplicas"), number("/status/readyReplicas"));
    if wanted == 0 {
        return Ok(Seen::NotYet(format!("{name} is scaled to 0 pods")));
    }
    if updated < wanted || ready < wanted || number("/status/replicas") > wanted {
        return Ok(Seen::NotYet(format!("{name}: {ready} of {wanted} pods ready")));
    }
    Ok(Seen::Done(format!("{name}: {ready} of {wanted} pods ready")))
}

/// Remembers since when pods look stuck, and makes it a failure after a grace period.
#[derive(Debug, Default)]
pub(super) struct Patience {
    since: Mutex<Option<(String, Instant)>>,
    last: Mutex<Option<(String, Instant)>>,
}

impl Patience {
    /// Looks at the pods of a selector, at most once a second: the reason why they are not ready.
    ///
    /// # Errors
    /// [`Reason::ComponentNotReady`] with the last log lines if they have looked stuck for the grace period.
    pub(super) async fn look(&self, client: &Client, namespace: &str, selector: &str) -> Result<String> {
        if let Some((reason, at)) = &*lock(&self.last)
            && at.elapsed() < PODS_EVERY
        {
            return Ok(reason.clone());
        }
        let reason = self.look_now(client, namespace, selector).await?;
        *lock(&self.last) = Some((reason.clone(), Instant::now()));
        Ok(reason)
    }

    async fn look_now(&self, client: &Client, namespace: &str, selector: &str) -> Result<String> {
        let seen = pods(client, namespace, selector).await?;
        let Some(problem) = seen.problem else {
            *lock(&self.since) = None;
            return Ok(match seen.total {
                0 => "no pod yet".to_owned(),
                total => format!("{} of {total} pods ready", seen.ready),
            });
        };
        if self.exhausted(&problem) {
            let told = with_log(client, namespace, &problem).await;
            let message = format!("pod {namespace}/{} does not start", problem.pod);
            return Err(Failure::new(Reason::ComponentNotReady, message)
                .evidence(told)
                .next(format!("kubectl -n {namespace} describe pod {}", problem.pod)));
        }
        Ok(format!("pod {}: {}", problem.pod, problem.text))
    }

    fn exhausted(&self, problem: &PodProblem) -> bool {
        let mut since = lock(&self.since);
        if !problem.stuck {
            *since = None;
            return false;
        }
        match &*since {
            Some((pod, start)) if *pod == problem.pod => start.elapsed() >= GRACE,
            _ => {
                *since = Some((problem.pod.clone(), Instant::now()));
                false
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The last Warning event about an object, for people; empty if there is none.
pub(super) async fn last_warning(client: &Client, namespace: &str, kind: &str, name: &str) -> String {
    let selector = format!("involvedObject.kind%3D{kind},involvedObject.name%3D{name},type%3DWarning");
    let path = format!("/api/v1/namespaces/{namespace}/events?fieldSelector={selector}");
    // only an addition to a failure that is told anyway
    let events = crate::kube::list(client, &path).await.unwrap_or_default();
    let last = events.iter().max_by_key(|e| text(e, "/lastTimestamp").to_owned());
    last.map(|e| format!("event {}: {}", text(e, "/reason"), text(e, "/message")))
        .unwrap_or_default()
}

/// What a component's installation has done, with what was seen of it.
pub(super) fn done(report: &ApplyReport, seen: String) -> Done {
    if report.changed.is_empty() {
        Done::Unchanged(seen)
    } else {
        Done::Changed(seen)
    }
}
