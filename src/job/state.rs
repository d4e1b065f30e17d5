//! The state of a job that is upgraded: how it is kept, and what it was restored from.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

use super::managed::{Look, Managed};
use super::report::{Verdict, verdict};
use super::upgrade::Upgrade;
use crate::diag::{Failure, Reason, Result};
use crate::engine::StepCx;
use crate::flink::UpgradeMode;
use crate::kube::text;

/// How long Flink may take to tell what a job that runs was restored from.
const TELLS: Duration = Duration::from_secs(10);

/// The state that a job began from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// Whether it is a savepoint; else a checkpoint.
    pub savepoint: bool,
    /// Where it is.
    pub path: String,
    /// Its number among the job's checkpoints.
    pub id: u64,
    /// Its size in bytes, where Flink still knows the job that wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// How the job's state is kept; that there is one is seen before anything is changed.
pub(super) async fn kept_by(job: &Managed, before: &Look, upgrade: &Upgrade) -> Result<UpgradeMode> {
    let own = match job.upgrade_mode() {
        "savepoint" => Some(UpgradeMode::Savepoint),
        "last-state" => Some(UpgradeMode::LastState),
        _ => None,
    };
    let mode = upgrade.mode.or(own).unwrap_or(UpgradeMode::Savepoint);
    if upgrade.from.is_some() || mode == UpgradeMode::Stateless {
        return Ok(mode);
    }
    let suspended = verdict(before) == Verdict::Suspended;
    let runs = verdict(before) == Verdict::Running;
    let missing = |message: String| {
        Failure::new(Reason::StatePathMissing, message)
            .next(format!(
                "dev job upgrade {} {} --from-savepoint URI",
                job.name,
                upgrade.code.file().display()
            ))
            .next("to begin anew: --upgrade-mode stateless")
    };
    if mode == UpgradeMode::Savepoint {
        if suspended {
            return Ok(mode);
        }
        if !runs {
            let message = format!("the job {} does not run, so no savepoint of it can be taken", job.name);
            return Err(missing(message).next(format!("dev job status {}", job.name)));
        }
        return job
            .savepoint_path()
            .await
            .map(|_| mode)
            .map_err(|failure| failure.next("to begin anew: --upgrade-mode stateless"));
    }
    if suspended || completed(&checkpoints(job, before.id()).await).is_some() {
        return Ok(mode);
    }
    let message = format!("the job {} has no completed checkpoint to go on from", job.name);
    Err(missing(message).next(
        "set `execution.checkpointing.interval` and `execution.checkpointing.dir`: `session.config` in the profile",
    ))
}

/// Flink's word on the checkpoints of a job; null where it has none, or does not know the job any more.
async fn checkpoints(job: &Managed, id: &str) -> Value {
    let answer = job.rest.get(&format!("/jobs/{id}/checkpoints")).await;
    answer.ok().flatten().unwrap_or_default()
}

fn completed(checkpoints: &Value) -> Option<&Value> {
    ["/latest/completed", "/latest/savepoint"]
        .iter()
        .filter_map(|pointer| checkpoints.pointer(pointer))
        .find(|found| found.is_object())
}

/// What the job that runs was restored from.
pub(super) async fn kept(job: &Managed, before: &Look, now: &Look, cx: &StepCx) -> Result<Option<Kept>> {
    let end = Instant::now() + TELLS;
    let restored = loop {
        let answer = checkpoints(job, now.id()).await;
        if answer["latest"]["restored"].is_object() {
            break answer["latest"]["restored"].clone();
        }
        if job
            .pause(cx, "Flink tells what it was restored from", end, TELLS)
            .await
            .is_err()
        {
            let message = format!("the job {} runs, and began anew: Flink restored no state", job.name);
            return Err(Failure::new(Reason::JobFailed, message).next(format!("dev job logs {} --since 2m", job.name)));
        }
    };
    let id = restored["id"].as_u64().unwrap_or_default();
    let path = text(&restored, "/external_path").to_owned();
    // the job of before, if its cluster still knows it
    let wrote = if before.id() == now.id() {
        Value::Null
    } else {
        checkpoints(job, before.id()).await
    };
    let history = wrote["history"].as_array();
    let entry = history.into_iter().flatten().find(|entry| entry["id"] == id);
    Ok(Some(Kept {
        // a checkpoint that a job is told to begin from is a savepoint to Flink
        savepoint: restored["is_savepoint"] == true && !path.contains("/chk-"),
        path,
        id,
        bytes: entry.and_then(|entry| entry["state_size"].as_u64()),
    }))
}
