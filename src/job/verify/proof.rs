//! How a proof goes on: what it waits for, and how it fails.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::managed::Managed;
use super::facts::Moment;
use crate::diag::{Failure, Reason, Result};
use crate::engine::StepCx;
use crate::flink::root_cause;
use crate::kube::text;

/// Between two looks.
const POLL: Duration = Duration::from_millis(200);

/// The bound of a proof, and its way to say what it waits for.
#[derive(Debug, Clone, Copy)]
pub struct Proof<'a> {
    pub(super) within: Duration,
    pub(super) end: Instant,
    pub(super) cx: &'a StepCx,
}

impl<'a> Proof<'a> {
    /// Begins now.
    pub fn begin(within: Duration, cx: &'a StepCx) -> Self {
        Self {
            within,
            end: Instant::now() + within,
            cx,
        }
    }

    /// Waits a moment for what is not there yet.
    ///
    /// # Errors
    /// [`Reason::VerifyFailed`] with `what` once the time is over; [`Reason::Interrupted`].
    pub(super) async fn pause(&self, what: &str, reason: &str) -> Result<()> {
        self.cx.waiting(reason.to_owned());
        if Instant::now() >= self.end {
            let message = format!("{what}: not within {} s", self.within.as_secs_f64());
            return Err(Failure::new(Reason::VerifyFailed, message).evidence(format!("last seen: {reason}")));
        }
        tokio::select! {
            () = sleep(POLL) => Ok(()),
            () = self.cx.cancel().cancelled() => Err(Failure::new(Reason::Interrupted, "interrupted")),
        }
    }
}

/// Flink's view of a job that has to run now.
///
/// # Errors
/// [`Reason::VerifyFailed`] with what it does instead.
pub(super) async fn running(job: &Managed) -> Result<Moment> {
    let moment = Moment::of(job).await?;
    match moment {
        Some(moment) if moment.runs() => Ok(moment),
        other => {
            let state = match other.map(|m| m.state) {
                None => "Flink does not answer for it".to_owned(),
                Some(state) if state.is_empty() => "Flink does not know it".to_owned(),
                Some(state) if state == "RUNNING" => "not all of its tasks run".to_owned(),
                Some(state) => format!("it is {state}"),
            };
            let message = format!(
                "the job {} does not run, so there is nothing to verify: {state}",
                job.name
            );
            Err(Failure::new(Reason::VerifyFailed, message).next(format!("dev job status {}", job.name)))
        }
    }
}

/// The root of a job's last exception, for evidence; empty if Flink tells none.
pub(super) async fn last_exception(job: &Managed, id: &str) -> String {
    let answer = job.rest.get(&format!("/jobs/{id}/exceptions?maxExceptions=1")).await;
    let answer = answer.ok().flatten().unwrap_or_default();
    match text(&answer, "/exceptionHistory/entries/0/stacktrace") {
        "" => String::new(),
        trace => format!("its last exception: {}", root_cause(trace)),
    }
}
