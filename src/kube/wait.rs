//! Waiting for a fact: asked again and again at short intervals, with a bound and the last reason.

use std::time::Duration;

use tokio::time::Instant;

use crate::diag::{Failure, Reason, Result};

/// What one look saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen<T> {
    /// The fact is there.
    Done(T),
    /// Not yet, and why.
    NotYet(String),
}

/// Looks until the fact is there; each new reason goes to `waiting`.
///
/// A look that fails ends the wait, except with [`Reason::ClusterUnreachable`]: API servers restart while a cluster
/// boots, so that is a reason to wait like any other.
///
/// # Errors
/// The failure of a look; after `bound`, [`Reason::ComponentNotReady`] with `what` and the last reason.
pub async fn until<T, Look, Fut>(
    what: &str,
    every: Duration,
    bound: Duration,
    waiting: &(dyn Fn(String) + Send + Sync),
    mut look: Look,
) -> Result<T>
where
    Look: FnMut() -> Fut,
    Fut: Future<Output = Result<Seen<T>>>,
{
    let end = Instant::now() + bound;
    loop {
        let reason = match look().await {
            Ok(Seen::Done(value)) => return Ok(value),
            Ok(Seen::NotYet(reason)) => reason,
            Err(failure) if failure.id() == Reason::ClusterUnreachable => failure
                .detail()
                .evidence
                .first()
                .cloned()
                .unwrap_or_else(|| failure.to_string()),
            Err(failure) => return Err(failure),
        };
        waiting(reason.clone());
        if Instant::now() + every > end {
            let message = format!("{what}: not after {} s", bound.as_secs());
            return Err(Failure::new(Reason::ComponentNotReady, message).evidence(format!("last seen: {reason}")));
        }
        tokio::time::sleep(every).await;
    }
}
