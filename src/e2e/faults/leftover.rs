//! What a run paused that was killed before it could let it go on.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use kube::Client;
use tokio::time::{Instant, sleep};

use super::super::lease::{forget_paused, holds, paused_of, run_leases};
use super::node;
use crate::container::Engine;
use crate::diag::Result;

/// How long a run is waited for that may be alive: the lease of one that was killed is over by then.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks.
const EVERY: Duration = Duration::from_millis(500);

/// Lets go on what runs that are over have paused, and tells what it was. A run whose lease still holds may have been
/// killed a moment ago: it is waited for, for 20 s at most.
///
/// # Errors
/// What API server and engine answer.
pub async fn recover(
    client: &Client,
    namespace: &str,
    engine: &Engine,
    waiting: &(dyn Fn(String) + Sync),
) -> Result<Vec<String>> {
    let start = Instant::now();
    let mut told = Vec::new();
    let mut said = false;
    loop {
        let now = Timestamp::now();
        let mut alive = Vec::new();
        for lease in run_leases(client, namespace).await? {
            let paused = paused_of(&lease);
            if paused.is_empty() {
                continue;
            }
            if holds(&lease, now) {
                alive.extend(paused.into_iter().map(|one| one.what));
                continue;
            }
            for one in &paused {
                let seen = node::go_on(engine, &one.node, &one.container).await?;
                told.push(format!("{} of a run that is over: {seen}", one.what));
            }
            forget_paused(client, namespace, &lease).await?;
        }
        if alive.is_empty() || start.elapsed() >= PATIENCE {
            return Ok(told);
        }
        if !said {
            waiting(format!("another run has paused {}: is it alive?", alive.join(", ")));
            said = true;
        }
        sleep(EVERY).await;
    }
}
