//! That a job recovers from its latest checkpoint when one of its processes is killed.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

use super::super::managed::{Kind, Managed};
use super::super::trouble;
use super::facts::{Moment, TOLD, interval, task_managers};
use super::kill::{Killed, Role, kill};
use super::proof::{Proof, last_exception, running};
use crate::diag::{Failure, Reason, Result};
use crate::flink::{ENDED, Settings};
use crate::kube::text;

/// How long the first checkpoint may take beyond two intervals.
const FIRST: Duration = Duration::from_secs(10);

/// A job that recovered, and the facts that say so.
#[derive(Debug, Clone, Serialize)]
pub struct Recovered {
    /// The job.
    pub job: String,
    /// What its object is.
    pub kind: Kind,
    /// The Flink cluster that it runs in.
    pub cluster: String,
    /// The interval of its checkpoints, in milliseconds.
    pub interval_ms: u64,
    /// What was killed.
    pub killed: Killed,
    /// Right before that.
    pub before: Moment,
    /// When it ran again.
    pub after: Moment,
    /// From the pod's end to that, in seconds.
    pub seconds: f64,
}

/// Kills a process under a job, and waits until the job runs again from its latest checkpoint.
///
/// # Errors
/// [`Reason::VerifyFailed`] with the fact that does not hold: checkpoints are off, none is complete, high availability
/// is off (for the JobManager), the job does not come back, or comes back with another state.
pub async fn checkpoint(job: &Managed, role: Role, proof: Proof<'_>) -> Result<Recovered> {
    let first = running(job).await?;
    let interval_ms = takes_checkpoints(job, &first.job_id).await?;
    if role == Role::JobManager {
        is_highly_available(job).await?;
    }
    let before = with_checkpoint(job, first, interval_ms, proof).await?;
    let pods = match role {
        Role::TaskManager => task_managers(&vertices(job, &before).await?),
        Role::JobManager => Vec::new(),
    };
    let killed = kill(&job.client, &job.namespace, &job.cluster, role, &pods).await?;
    let start = Instant::now();
    let mut stuck = std::pin::pin!(trouble::stuck_pod(&job.client, &job.namespace, &job.cluster));
    let after = tokio::select! {
        after = back(job, &before, &killed, proof) => after?,
        failure = &mut stuck => return Err(failure.evidence(format!("pod {} was killed before", killed.pod))),
    };
    Ok(Recovered {
        job: job.name.clone(),
        kind: job.kind,
        cluster: job.cluster.clone(),
        interval_ms,
        killed,
        before,
        after,
        seconds: (start.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
    })
}

/// The interval of a job's checkpoints.
async fn takes_checkpoints(job: &Managed, id: &str) -> Result<u64> {
    let config = job.rest.get(&format!("/jobs/{id}/checkpoints/config")).await?;
    config.as_ref().and_then(interval).ok_or_else(|| {
        let message = format!("checkpoints of the job {} are off: it would begin anew", job.name);
        Failure::new(Reason::VerifyFailed, message)
            .evidence("`execution.checkpointing.interval` is set neither by the job nor by its cluster")
            .next("dev job run FILE.sql --replace --set execution.checkpointing.interval=10s")
    })
}

/// Whether the cluster gets over the end of its JobManager.
async fn is_highly_available(job: &Managed) -> Result<()> {
    if Settings::of(&job.rest).await?.is_highly_available() {
        return Ok(());
    }
    let message = format!(
        "high availability of the Flink cluster `{}` is off: no job outlives its JobManager",
        job.cluster
    );
    Err(Failure::new(Reason::VerifyFailed, message)
        .evidence("`high-availability.type` is not set; nothing was killed")
        .next("set `flink: {state: {high_availability: true}}` in the profile, then `dev up`"))
}

/// Waits until a checkpoint is complete.
async fn with_checkpoint(job: &Managed, first: Moment, interval_ms: u64, proof: Proof<'_>) -> Result<Moment> {
    let patience = FIRST + Duration::from_millis(interval_ms.saturating_mul(2));
    let end = Instant::now() + patience;
    let mut moment = first;
    while moment.checkpoint == 0 {
        if Instant::now() >= end.min(proof.end) {
            let message = format!("the job {} has no complete checkpoint to recover from", job.name);
            let answer = job.rest.get(&format!("/jobs/{}/checkpoints", moment.job_id)).await;
            let answer = answer.ok().flatten().unwrap_or_default();
            let counts = &answer["counts"];
            return Err(Failure::new(Reason::VerifyFailed, message)
                .evidence(format!(
                    "every {} s; {} in progress, {} failed; nothing was killed",
                    interval_ms as f64 / 1000.0,
                    counts["in_progress"],
                    counts["failed"]
                ))
                .evidence(text(&answer, "/latest/failed/failure_message"))
                .next(format!("dev job logs {} --level warn", job.name)));
        }
        proof
            .pause("a first checkpoint", "no checkpoint is complete yet")
            .await?;
        moment = running(job).await?;
    }
    Ok(moment)
}

/// The answers about a job's vertices.
async fn vertices(job: &Managed, moment: &Moment) -> Result<Vec<Value>> {
    let id = &moment.job_id;
    let answer = job.rest.get(&format!("/jobs/{id}")).await?.unwrap_or_default();
    let mut all = Vec::new();
    for vertex in answer["vertices"].as_array().map_or(&[][..], Vec::as_slice) {
        let path = format!("/jobs/{id}/vertices/{}", text(vertex, "/id"));
        all.extend(job.rest.get(&path).await?);
    }
    Ok(all)
}

/// Waits until the job runs again, from a checkpoint that is not older than the latest one of before.
async fn back(job: &Managed, before: &Moment, killed: &Killed, proof: Proof<'_>) -> Result<Moment> {
    let mut again: Option<Instant> = None;
    let what = format!(
        "the job {} runs again after its {} was killed",
        job.name,
        killed.role.name()
    );
    loop {
        let reason = match Moment::of(job).await? {
            None => "Flink does not answer for the job".to_owned(),
            Some(now) if now.job_id != before.job_id => {
                let message = format!(
                    "the job {} did not recover: another one was started in its place",
                    job.name
                );
                return Err(Failure::new(Reason::VerifyFailed, message)
                    .evidence(format!("job id {} before, {} afterwards", before.job_id, now.job_id)));
            }
            Some(now) if ENDED.contains(&now.state.as_str()) => {
                let message = format!("the job {} did not recover: it is {}", job.name, now.state);
                return Err(Failure::new(Reason::VerifyFailed, message)
                    .evidence(last_exception(job, &now.job_id).await)
                    .next(format!("dev job logs {} --level warn", job.name)));
            }
            Some(now) if now.runs() => {
                if recovered(before, &now, killed.role) {
                    return Ok(now);
                }
                // what runs may still be the answer of before the pod was missed
                if restarted(before, &now, killed.role) && again.get_or_insert_with(Instant::now).elapsed() >= TOLD {
                    return Err(not_restored(job, before, &now));
                }
                "the job runs, and has not told what it was restored from".to_owned()
            }
            Some(now) => format!("the job is {}", now.state),
        };
        proof.pause(&what, &reason).await?;
    }
}

/// Whether the job was started anew.
fn restarted(before: &Moment, now: &Moment, role: Role) -> bool {
    // a new JobManager counts from 0
    role == Role::JobManager || now.restarts > before.restarts
}

/// Whether it was started anew, from the latest checkpoint of before or a newer one.
pub(super) fn recovered(before: &Moment, now: &Moment, role: Role) -> bool {
    let last = before.restored.as_ref().map(|r| r.at_ms);
    let restored = now
        .restored
        .as_ref()
        .is_some_and(|r| r.id >= before.checkpoint && Some(r.at_ms) != last);
    restarted(before, now, role) && restored
}

fn not_restored(job: &Managed, before: &Moment, now: &Moment) -> Failure {
    let message = format!("the job {} runs again, but not from its latest checkpoint", job.name);
    let restored = now.restored.as_ref().map_or_else(
        || "restored from nothing".to_owned(),
        |r| format!("restored from number {}", r.id),
    );
    Failure::new(Reason::VerifyFailed, message).evidence(format!(
        "the latest complete one before: number {}; {restored}",
        before.checkpoint
    ))
}
