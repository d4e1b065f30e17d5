//! Which runs are alive, and the removal of what dead ones left behind.
//!
//! A run holds a `Lease` (the object that Kubernetes itself uses for this) named after its id and renews it. What
//! carries the id of a run without a valid lease belongs to nobody: its process was killed. This needs no process ids
//! and holds for several machines that share a cluster; the price is that the leftovers of a run that is over
//! within the last 15 seconds are left to a later run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt as _};
use serde_json::json;
use tokio_util::task::AbortOnDropHandle;

use super::Target;
use super::faults::Paused;
use super::names::{PREFIX, run_of_topic};
use super::registered::forget_dead;
use super::snapshots;
use crate::diag::{Failure, Reason, Result};
use crate::flink::{SessionJob, list_jobs};
use crate::kafka::TopicClient;
use crate::kube::{MANAGED_BY, MANAGER, bounded};
use crate::schema_registry::Registry;

/// The label that carries a run's id.
pub(crate) const LABEL_RUN: &str = "flink-dev/run";
/// How long a lease holds without being renewed.
const HOLDS: Duration = Duration::from_secs(15);
/// How long it holds where the run's objects are kept.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// The label of a lease whose run is over, and whose objects are kept.
const LABEL_KEPT: &str = "flink-dev/kept";
/// The annotation with what the run has paused, as JSON.
const PAUSED: &str = "flink-dev/paused";
/// How long the API server may take to write one down.
const ANSWER: Duration = Duration::from_secs(5);
/// How often it is renewed: four missed renewals lose it.
const RENEW: Duration = Duration::from_secs(3);

/// The lease of this run.
pub(crate) struct RunLease {
    api: Api<Lease>,
    name: String,
    renewing: AbortOnDropHandle<()>,
}

impl RunLease {
    /// Takes the lease and renews it from then on.
    ///
    /// # Errors
    /// [`Reason::ClusterUnreachable`] if the API server does not take it.
    pub(crate) async fn take(client: &Client, namespace: &str, run: &str) -> Result<Self> {
        let api: Api<Lease> = Api::namespaced(client.clone(), namespace);
        let name = lease_name(run);
        let now = MicroTime(Timestamp::now());
        let labels = [(MANAGED_BY, MANAGER), (LABEL_RUN, run)];
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                labels: Some(labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into()),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(run.to_owned()),
                lease_duration_seconds: i32::try_from(HOLDS.as_secs()).ok(),
                acquire_time: Some(now.clone()),
                renew_time: Some(now),
                ..LeaseSpec::default()
            }),
        };
        bounded(api.create(&PostParams::default(), &lease))
            .await
            .map_err(|e| Failure::new(Reason::ClusterUnreachable, "the run's lease cannot be taken").cause(&e))?;
        let renewing = AbortOnDropHandle::new(tokio::spawn(renew(api.clone(), name.clone())));
        Ok(Self { api, name, renewing })
    }

    /// Gives it back; a failure is of no consequence, for it expires by itself.
    pub(crate) async fn give_back(&self) {
        self.renewing.abort();
        let _ = tokio::time::timeout(RENEW, self.api.delete(&self.name, &DeleteParams::default())).await;
    }

    /// Writes down what the run has paused.
    ///
    /// # Errors
    /// [`Reason::ClusterUnreachable`] if the API server does not take it.
    pub(super) async fn note_paused(&self, paused: &[&Paused]) -> Result<()> {
        let text = (!paused.is_empty()).then(|| json!(paused).to_string());
        annotate(&self.api, &self.name, text).await
    }

    /// Lets it run out: what it says is for those who find it.
    pub(super) fn leave(&self) {
        self.renewing.abort();
    }

    /// Lets it hold for a day, so that no later run removes what this one made. A failure means that they do so after
    /// 15 s.
    pub(super) async fn keep(&self) {
        self.renewing.abort();
        let kept = json!({
            "metadata": { "labels": { LABEL_KEPT: "true" } },
            "spec": { "leaseDurationSeconds": KEPT.as_secs(), "renewTime": MicroTime(Timestamp::now()) },
        });
        let kept = Patch::Merge(kept);
        let _ = tokio::time::timeout(RENEW, self.api.patch(&self.name, &PatchParams::default(), &kept)).await;
    }
}

async fn renew(api: Api<Lease>, name: String) {
    loop {
        tokio::time::sleep(RENEW).await;
        let now = json!({ "spec": { "renewTime": MicroTime(Timestamp::now()) } });
        // a missed renewal is made up for by the next one
        // within bounds: one that is never answered would be the last one
        let _ = tokio::time::timeout(RENEW, api.patch(&name, &PatchParams::default(), &Patch::Merge(now))).await;
    }
}

async fn annotate(api: &Api<Lease>, name: &str, text: Option<String>) -> Result<()> {
    let patch = Patch::Merge(json!({ "metadata": { "annotations": { PAUSED: text } } }));
    let patched = tokio::time::timeout(ANSWER, api.patch(name, &PatchParams::default(), &patch)).await;
    let what = "what is paused cannot be written down";
    match patched {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(Failure::new(Reason::ClusterUnreachable, what).cause(&error)),
        Err(_) => Err(Failure::new(Reason::ClusterUnreachable, what).evidence("the API server does not answer")),
    }
}

/// What a lease says that its run has paused.
pub(super) fn paused_of(lease: &Lease) -> Vec<Paused> {
    let text = lease.annotations().get(PAUSED).map(String::as_str);
    text.and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}

/// Takes what is paused out of a lease.
///
/// # Errors
/// [`Reason::ClusterUnreachable`].
pub(super) async fn forget_paused(client: &Client, namespace: &str, lease: &Lease) -> Result<()> {
    let api: Api<Lease> = Api::namespaced(client.clone(), namespace);
    annotate(&api, &lease.name_any(), None).await
}

/// The leases of all runs.
///
/// # Errors
/// [`Reason::ClusterUnreachable`].
pub(super) async fn run_leases(client: &Client, namespace: &str) -> Result<Vec<Lease>> {
    let api: Api<Lease> = Api::namespaced(client.clone(), namespace);
    let selector = format!("{MANAGED_BY}={MANAGER},{LABEL_RUN}");
    let unreachable = || Failure::new(Reason::ClusterUnreachable, "leases cannot be listed");
    let leases = bounded(api.list(&ListParams::default().labels(&selector))).await;
    Ok(leases.map_err(|e| unreachable().cause(&e))?.items)
}

fn lease_name(run: &str) -> String {
    format!("{MANAGER}-run-{run}")
}

/// Removes the jobs, topics, subjects and leases of runs that are not alive, with `kept` also of those that are over and were
/// kept. Returns what was removed, one line each.
///
/// # Errors
/// The first thing that could not be listed or removed.
pub(super) async fn sweep(target: &Target, kafka: &TopicClient, kept: bool) -> Result<Vec<String>> {
    let broker = (kafka, target.schema_registry());
    sweep_in(&target.client, &target.namespace, &target.session, broker, kept).await
}

/// As [`sweep`], of runs that were not kept: what a process that was killed left behind.
///
/// # Errors
/// As [`sweep`].
pub(crate) async fn sweep_dead(
    client: &Client,
    namespace: &str,
    session: &str,
    kafka: &TopicClient,
) -> Result<Vec<String>> {
    sweep_in(client, namespace, session, (kafka, None), false).await
}

async fn sweep_in(
    client: &Client,
    namespace: &str,
    session: &str,
    (kafka, registry): (&TopicClient, Option<Registry>),
    kept: bool,
) -> Result<Vec<String>> {
    let selector = format!("{MANAGED_BY}={MANAGER},{LABEL_RUN}");
    // subjects, topics and jobs are listed before the leases: what comes into being in between has a lease by then
    let subjects = match &registry {
        Some(registry) => registry.subjects().await?,
        None => Vec::new(),
    };
    let prefix = format!("{PREFIX}-");
    let (topics, jobs) = tokio::join!(kafka.list(&prefix), list_jobs(client, namespace, &selector));
    let (topics, jobs) = (topics?, jobs?);
    let with_snapshots = snapshots::jobs(client, namespace).await?;
    let api: Api<Lease> = Api::namespaced(client.clone(), namespace);
    let leases = run_leases(client, namespace).await?;
    let now = Timestamp::now();
    let (alive, dead): (Vec<_>, Vec<_>) = leases
        .iter()
        .partition(|lease| holds(lease, now) && !(kept && lease.labels().contains_key(LABEL_KEPT)));
    let alive: BTreeSet<&str> = alive
        .iter()
        .filter_map(|l| Some(l.labels().get(LABEL_RUN)?.as_str()))
        .collect();

    let mut removed = Vec::new();
    for (name, labels) in orphans(&jobs, &alive) {
        SessionJob::left_behind(client, namespace, session, name)
            .delete()
            .await?;
        removed.push(format!("job {name} of a run that is over ({})", labels[LABEL_RUN]));
    }
    // by the names of their jobs: the operator gives them no label of ours
    let dead_job = |name: &str| run_of_topic(&format!("{name}-")).is_some_and(|run| !alive.contains(run));
    snapshots::remove(client, namespace, |name| {
        with_snapshots.contains(name) && dead_job(name)
    })
    .await?;
    let topics: Vec<_> = topics
        .into_iter()
        .filter(|t| run_of_topic(t).is_some_and(|run| !alive.contains(run)))
        .collect();
    kafka.delete(&topics).await?;
    removed.extend(topics.iter().map(|t| format!("topic {t} of a run that is over")));
    if let Some(registry) = &registry {
        removed.extend(forget_dead(subjects, |run| alive.contains(run), registry).await?);
    }
    // one that has something paused stays for those who can let it go on
    for lease in dead.into_iter().filter(|lease| paused_of(lease).is_empty()) {
        let _ = bounded(api.delete(&lease.name_any(), &DeleteParams::default())).await;
    }
    Ok(removed)
}

/// Removes the pods of runs that are not alive. Returns what was removed, one line each.
///
/// # Errors
/// [`Reason::ClusterUnreachable`] if they cannot be listed or removed.
pub(crate) async fn sweep_pods(client: &Client, namespace: &str) -> Result<Vec<String>> {
    let selector = format!("{MANAGED_BY}={MANAGER},{LABEL_RUN}");
    let failed = |e: kube::Error| Failure::new(Reason::ClusterUnreachable, "pods of ours cannot be listed").cause(&e);
    let labelled = ListParams::default().labels(&selector);
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    // listed before the leases: what comes into being in between has a lease by then
    let found = pods.list_metadata(&labelled).await.map_err(failed)?.items;
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let leases: Api<Lease> = Api::namespaced(client.clone(), namespace);
    let now = Timestamp::now();
    let leases = leases.list(&labelled).await.map_err(failed)?.items;
    let alive: Vec<&String> = leases
        .iter()
        .filter(|lease| holds(lease, now))
        .filter_map(|lease| lease.labels().get(LABEL_RUN))
        .collect();
    let mut removed = Vec::new();
    for pod in found {
        if pod.labels().get(LABEL_RUN).is_some_and(|run| !alive.contains(&run)) {
            let name = pod.name_any();
            pods.delete(&name, &DeleteParams::default().grace_period(0))
                .await
                .map_err(failed)?;
            removed.push(format!("pod {name} of a run that is over"));
        }
    }
    Ok(removed)
}

type Job = (String, BTreeMap<String, String>);

fn orphans<'a>(jobs: &'a [Job], alive: &BTreeSet<&str>) -> Vec<&'a Job> {
    jobs.iter()
        .filter(|(_, labels)| labels.get(LABEL_RUN).is_some_and(|run| !alive.contains(run.as_str())))
        .collect()
}

/// Whether a lease is renewed, so that its run is alive.
pub(super) fn holds(lease: &Lease, now: Timestamp) -> bool {
    let spec = lease.spec.as_ref();
    let renewed = spec.and_then(|s| s.renew_time.as_ref());
    let seconds = spec.and_then(|s| s.lease_duration_seconds).unwrap_or(0);
    renewed.is_some_and(|at| now.duration_since(at.0) < SignedDuration::from_secs(seconds.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(renewed: Option<Timestamp>) -> Lease {
        let spec = LeaseSpec {
            lease_duration_seconds: Some(15),
            renew_time: renewed.map(MicroTime),
            ..LeaseSpec::default()
        };
        Lease {
            spec: Some(spec),
            ..Lease::default()
        }
    }

    #[test]
    fn a_lease_holds_as_long_as_it_is_renewed() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let ago = |s| Some(now - SignedDuration::from_secs(s));
        assert!(holds(&lease(ago(14)), now));
        assert!(!holds(&lease(ago(15)), now));
        assert!(!holds(&lease(None), now));
        assert!(!holds(&Lease::default(), now));
    }

    #[test]
    fn only_jobs_of_dead_runs_are_orphans() {
        let job = |name: &str, run: Option<&str>| {
            (
                name.to_owned(),
                run.map(|r| (LABEL_RUN.to_owned(), r.to_owned())).into_iter().collect(),
            )
        };
        let jobs = [job("a", Some("alive000")), job("b", Some("dead0000")), job("c", None)];
        let found: Vec<_> = orphans(&jobs, &BTreeSet::from(["alive000"]))
            .iter()
            .map(|j| j.0.as_str())
            .collect();
        assert_eq!(found, ["b"]);
    }
}
