//! Faults of a run: parts of the environment that are killed or paused, and that what was paused goes on again.
//!
//! A pause outlives the process that made it. So it is written into the run's lease before it happens: whoever finds a
//! lease that is over lets everything in it go on ([`recover`]).

mod heal;
mod leftover;
mod node;
mod part;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::Target;
use super::lease::RunLease;
use crate::config::Part;
use crate::container::Engine;
use crate::diag::{Failure, Reason, Result};
use crate::kube::delete;
pub(super) use heal::{heal, slots_kept};
pub use leftover::recover;
pub(super) use part::Victim;

/// A paused container: where it is, as the lease keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub(super) struct Paused {
    /// The node's container in the engine.
    pub(super) node: String,
    /// Its id in the node.
    pub(super) container: String,
    /// What it is, for people.
    pub(super) what: String,
}

/// The faults of one run.
pub(super) struct Faults {
    target: Target,
    lease: RunLease,
    paused: Arc<Mutex<BTreeMap<Part, Paused>>>,
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults")
            .field("paused", &self.paused)
            .finish_non_exhaustive()
    }
}

impl Faults {
    /// Faults in `target`; what is paused is written into `lease`.
    pub(super) fn new(target: Target, lease: RunLease) -> Self {
        Self {
            target,
            lease,
            paused: Arc::default(),
        }
    }

    /// The run's lease.
    pub(super) fn lease(&self) -> &RunLease {
        &self.lease
    }

    /// The way into the nodes.
    fn engine(&self) -> Result<&Engine> {
        self.target.engine.as_ref().ok_or_else(|| {
            Failure::new(
                Reason::EngineUnreachable,
                "without the nodes' engine no process in them can be killed or paused",
            )
        })
    }

    /// The part that a step hits. A TaskManager is one that runs tasks of the job with this id of Flink's.
    ///
    /// # Errors
    /// [`Reason::ComponentNotReady`] if there is none; what API server and Flink answer.
    pub(super) async fn victim(&self, part: Part, job: Option<&str>) -> Result<Victim> {
        part::find(&self.target, part, job).await
    }

    /// Ends the process of a part as SIGKILL does; returns once the node's containerd runs it no more. The pods of
    /// JobManager and operator are replaced besides: after a few kills, the kubelet would wait for minutes before it
    /// starts the same pod's container again. The broker's stays, with its records.
    ///
    /// # Errors
    /// [`Reason::ToolFailed`] if it still runs; what engine and API server answer.
    pub(super) async fn kill(&self, victim: &Victim) -> Result<String> {
        node::kill(self.engine()?, &victim.node, &victim.container).await?;
        if matches!(victim.part, Part::JobManager | Part::Operator) {
            let path = format!(
                "/api/v1/namespaces/{}/pods/{}?gracePeriodSeconds=0",
                victim.namespace, victim.pod
            );
            delete(&self.target.client, &path).await?;
        }
        Ok(format!("{} is gone", victim.pod))
    }

    /// Stops all processes of a part; returns once each of them was seen to stand still.
    ///
    /// # Errors
    /// [`Reason::ToolFailed`] if one still runs; what engine and API server answer.
    pub(super) async fn pause(&self, victim: &Victim) -> Result<String> {
        let engine = self.engine()?;
        let mut paused = self.paused.clone().lock_owned().await;
        paused.insert(
            victim.part,
            Paused {
                node: victim.node.clone(),
                container: victim.container.clone(),
                what: format!("{} {}", victim.part.word(), victim.pod),
            },
        );
        // first the note, then the deed: a process that is killed in between leaves nothing paused that nobody knows of
        self.note(&paused).await?;
        // to its end, also if nobody waits for it any more: it would stop a process after that was let go on
        let (engine, node, container) = (engine.clone(), victim.node.clone(), victim.container.clone());
        let stopping = tokio::spawn(async move {
            let stopped = node::stop(&engine, &node, &container).await;
            drop(paused);
            stopped
        });
        let stopped = stopping.await;
        let count = stopped.map_err(|e| Failure::new(Reason::Internal, "a pause panicked").cause(&e))??;
        Ok(format!("{}: {count} processes stand still", victim.pod))
    }

    /// Lets a part go on; returns once its processes were seen to. One that is gone, or was not paused, is fine.
    ///
    /// # Errors
    /// [`Reason::ToolFailed`] if one still stands; what engine and API server answer.
    pub(super) async fn resume(&self, part: Part) -> Result<String> {
        let mut paused = self.paused.lock().await;
        let Some(one) = paused.get(&part).cloned() else {
            return Ok("was not paused".to_owned());
        };
        let seen = node::go_on(self.engine()?, &one.node, &one.container).await?;
        paused.remove(&part);
        self.note(&paused).await?;
        Ok(format!("{}: {seen}", one.what))
    }

    /// Lets everything go on that is paused; returns what was, and what could not be.
    pub(super) async fn resume_all(&self) -> (Vec<String>, Vec<Failure>) {
        let parts: Vec<Part> = self.paused.lock().await.keys().copied().collect();
        let (mut told, mut failures) = (Vec::new(), Vec::new());
        for part in parts {
            match self.resume(part).await {
                Ok(seen) => told.push(seen),
                Err(failure) => failures.push(failure),
            }
        }
        (told, failures)
    }

    async fn note(&self, paused: &BTreeMap<Part, Paused>) -> Result<()> {
        let all: Vec<&Paused> = paused.values().collect();
        self.lease.note_paused(&all).await
    }

    /// Waits until the environment is as it was before a case with faults: `slots` task slots, JobManager, operator and
    /// broker answer.
    ///
    /// # Errors
    /// [`Reason::ComponentNotReady`] with what is not, at the end of a minute and a half.
    pub(super) async fn heal(&self, slots: u64, waiting: &(dyn Fn(String) + Sync)) -> Result<String> {
        let start = Instant::now();
        heal(&self.target, slots, waiting).await?;
        Ok(format!("all parts answer after {:.1} s", start.elapsed().as_secs_f64()))
    }
}
