//! That a job goes on from a savepoint: one is taken, and the job is deployed again from it.

use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::managed::{Kind, Managed};
use super::facts::{Moment, TOLD, same_path};
use super::proof::{Proof, last_exception, running};
use crate::diag::{Failure, Reason, Result};
use crate::kube::text;

/// How the job is deployed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redeploy {
    /// From the savepoint.
    FromIt,
    /// Without its state, as an upgrade mode `stateless` does: what a proof has to catch.
    Dropped,
}

/// A job that went on from a savepoint, and the facts that say so.
#[derive(Debug, Clone, Serialize)]
pub struct Redeployed {
    /// The job.
    pub job: String,
    /// What its object is.
    pub kind: Kind,
    /// The Flink cluster that it runs in.
    pub cluster: String,
    /// The job's upgrade mode.
    pub upgrade_mode: String,
    /// Where the savepoint is.
    pub savepoint: String,
    /// Its number.
    pub savepoint_id: u64,
    /// Right after it was taken.
    pub before: Moment,
    /// When the job ran again.
    pub after: Moment,
    /// From the change to that, in seconds.
    pub seconds: f64,
}

/// Takes a savepoint of a job and deploys the job again from it; its object is put back as it was afterwards. The
/// savepoint stays.
///
/// # Errors
/// [`Reason::VerifyFailed`] with the fact that does not hold; what taking the savepoint answers.
pub async fn savepoint(job: &Managed, path: Option<&str>, how: Redeploy, proof: Proof<'_>) -> Result<Redeployed> {
    running(job).await?;
    keeps_state(job)?;
    let taken = job.savepoint(path, proof.within, proof.cx).await?.seen;
    let (before, savepoint_id) = told_savepoint(job, &taken, proof).await?;
    let start = Instant::now();
    let spec = &job.object["spec"];
    job.change(match how {
        Redeploy::FromIt => {
            let nonce = spec["job"]["savepointRedeployNonce"].as_i64().unwrap_or_default() + 1;
            json!({ "spec": { "job": { "initialSavepointPath": taken, "savepointRedeployNonce": nonce } } })
        }
        Redeploy::Dropped => {
            let nonce = spec["restartNonce"].as_i64().unwrap_or_default() + 1;
            json!({ "spec": { "restartNonce": nonce, "job": { "upgradeMode": "stateless" } } })
        }
    })
    .await?;
    let old = (before.job_id.clone(), before.started_ms);
    job.runs(proof.within, proof.cx, |look| {
        (look.id().to_owned(), look.started()) != old
    })
    .await?;
    let restored = restored_from(job, &taken, proof).await;
    // whatever was found: the object is to be as it was
    let put_back = if how == Redeploy::FromIt {
        put_back(job, proof).await
    } else {
        Ok(())
    };
    let after = match (restored, put_back) {
        (Ok(after), Ok(())) => after,
        (Ok(_), Err(failure)) => return Err(failure),
        (Err(failure), put_back) => {
            let left = put_back.err().map(|f| format!("its object could not be put back: {f}"));
            return Err(failure.evidence(left.unwrap_or_default()));
        }
    };
    Ok(Redeployed {
        job: job.name.clone(),
        kind: job.kind,
        cluster: job.cluster.clone(),
        upgrade_mode: job.upgrade_mode().to_owned(),
        savepoint: taken,
        savepoint_id,
        before,
        after,
        seconds: (start.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
    })
}

/// A job whose every change drops its state gains nothing by a savepoint that it could go on from.
fn keeps_state(job: &Managed) -> Result<()> {
    if job.upgrade_mode() != "stateless" {
        return Ok(());
    }
    let message = format!(
        "the job {} drops its state with each change: its upgrade mode is stateless",
        job.name
    );
    let failure = Failure::new(Reason::VerifyFailed, message).evidence("no savepoint was taken, nothing was changed");
    Err(match job.kind {
        Kind::Session => failure.next("dev job run FILE.sql --replace --upgrade-mode savepoint"),
        Kind::Application => failure.next(format!(
            "set `spec.job.upgradeMode: savepoint` of FlinkDeployment {}",
            job.name
        )),
    })
}

/// Waits until Flink tells of the savepoint that was taken.
async fn told_savepoint(job: &Managed, taken: &str, proof: Proof<'_>) -> Result<(Moment, u64)> {
    loop {
        let moment = running(job).await?;
        let answer = job.rest.get(&format!("/jobs/{}/checkpoints", moment.job_id)).await?;
        let answer = answer.unwrap_or_default();
        let latest = &answer["latest"]["savepoint"];
        if same_path(text(latest, "/external_path"), taken) {
            return Ok((moment, latest["id"].as_u64().unwrap_or_default()));
        }
        proof
            .pause(
                "Flink tells of the savepoint",
                "Flink has not told of the savepoint yet",
            )
            .await?;
    }
}

/// The job as it runs now, if its state came from the savepoint.
async fn restored_from(job: &Managed, taken: &str, proof: Proof<'_>) -> Result<Moment> {
    let mut since: Option<Instant> = None;
    loop {
        let reason = match Moment::of(job).await? {
            Some(now) if now.runs() => {
                if now
                    .restored
                    .as_ref()
                    .is_some_and(|r| r.savepoint && same_path(&r.path, taken))
                {
                    return Ok(now);
                }
                if since.get_or_insert_with(Instant::now).elapsed() >= TOLD {
                    let from = match &now.restored {
                        None => "nothing".to_owned(),
                        Some(r) => format!("number {} at {}", r.id, r.path),
                    };
                    let message = format!(
                        "the job {} runs again, but its state is not that of the savepoint",
                        job.name
                    );
                    return Err(Failure::new(Reason::VerifyFailed, message)
                        .evidence(format!("savepoint: {taken}; restored from: {from}"))
                        .evidence(last_exception(job, &now.job_id).await)
                        .next(format!("dev job status {}", job.name)));
                }
                "the job runs, and has not told what it was restored from".to_owned()
            }
            Some(now) => format!("the job is {}", now.state),
            None => "Flink does not answer for the job".to_owned(),
        };
        proof
            .pause(&format!("the job {} runs from its savepoint", job.name), &reason)
            .await?;
    }
}

/// Puts the object's fields back. The operator takes a nonce that is gone for no change, and one that is set to another
/// value for an order: one that was there before keeps its new value.
async fn put_back(job: &Managed, proof: Proof<'_>) -> Result<()> {
    let of = &job.object["spec"]["job"];
    let mut fields = json!({ "initialSavepointPath": of.get("initialSavepointPath").cloned().unwrap_or_default() });
    if of.get("savepointRedeployNonce").is_none_or(Value::is_null) {
        fields["savepointRedeployNonce"] = Value::Null;
    }
    let start = job.look().await?;
    let start = (start.id().to_owned(), start.started());
    job.change(json!({ "spec": { "job": fields } })).await?;
    loop {
        let look = job.look().await?;
        if look.seen() && look.lifecycle() == "STABLE" && look.flink_state() == "RUNNING" {
            if (look.id().to_owned(), look.started()) == start {
                return Ok(());
            }
            let message = format!(
                "the job {} was started once more when its object was put back",
                job.name
            );
            return Err(Failure::new(Reason::VerifyFailed, message));
        }
        let reason = format!("operator: {}, Flink: {}", look.lifecycle(), look.flink_state());
        proof
            .pause(&format!("the object of {} is as it was", job.name), &reason)
            .await?;
    }
}
