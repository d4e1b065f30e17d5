//! What is done in a node has a bound: a containerd that hangs must not take `dev` with it.

use std::time::Duration;

use crate::diag::{Failure, Reason, Result};
use crate::engine::StepCx;

/// How long a node may take to tell what it has.
pub(super) const LOOKING: Duration = Duration::from_secs(120);

/// How long a node may take for images that are handed over: gigabytes, on a slow disk.
pub(super) const TAKING: Duration = Duration::from_secs(1800);

/// Waits for something in a node; `what` completes "the node did not".
///
/// # Errors
/// [`Reason::TimedOut`] after `bound`; those of what is waited for.
pub(super) async fn within<T>(
    bound: Duration,
    node: &str,
    what: &str,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    tokio::time::timeout(bound, work)
        .await
        .unwrap_or_else(|_| Err(hangs(node, what, bound)))
}

/// How long something may take before it is told what is waited for.
const SILENT: Duration = Duration::from_secs(1);

/// Waits for something, and tells what is waited for if it takes longer than a second.
pub(super) async fn told<T>(cx: &StepCx, what: impl FnOnce() -> String, work: impl Future<Output = T>) -> T {
    tokio::pin!(work);
    tokio::select! {
        done = &mut work => return done,
        () = tokio::time::sleep(SILENT) => {}
    }
    cx.waiting(what());
    work.await
}

/// The failure of a node that does not answer.
pub(super) fn hangs(node: &str, what: &str, bound: Duration) -> Failure {
    Failure::new(
        Reason::TimedOut,
        format!("the node {node} hangs: it did not {what} within {} s", bound.as_secs()),
    )
    .next(format!("docker exec {node} journalctl --no-pager -n 50 -u containerd"))
    .next(format!("docker exec {node} systemctl restart containerd"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_hangs_is_told_with_the_next_command() {
        let short = Duration::from_millis(1);
        let failure = within(
            short,
            "n1",
            "tell what images it has",
            std::future::pending::<Result<()>>(),
        )
        .await
        .unwrap_err();
        assert_eq!(failure.id(), Reason::TimedOut);
        assert!(
            failure
                .to_string()
                .contains("n1 hangs: it did not tell what images it has"),
            "{failure}"
        );
        assert!(failure.detail().next[1].contains("docker exec n1 systemctl restart containerd"));
    }
}
