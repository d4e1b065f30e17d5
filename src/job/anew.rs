//! A job that goes on with another script, or from a place that is named.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::change::Changed;
use super::managed::Managed;
use crate::diag::Result;
use crate::engine::StepCx;
use crate::flink::{Program, UpgradeMode};

impl Managed {
    /// Goes on with another program, from a savepoint that the operator takes of the job. Nothing of it is checked: it is
    /// for tests. Ends when the new job runs.
    ///
    /// # Errors
    /// [`crate::diag::Reason::StatePathMissing`]; the operator's words against the script or the state;
    /// [`crate::diag::Reason::TimedOut`].
    pub async fn go_on_with(&self, program: &Program, within: Duration, cx: &StepCx) -> Result<Changed> {
        self.savepoint_path().await?;
        let mut job = program.spec(&self.name);
        job["upgradeMode"] = json!(UpgradeMode::Savepoint.as_str());
        self.anew(&json!({ "job": job }), within, cx).await
    }

    /// Restarts the job in this way, whatever its own upgrade mode is; from now on this one is. Ends when the new start
    /// runs.
    ///
    /// # Errors
    /// As [`Self::go_on_with`].
    pub async fn restart_by(&self, mode: UpgradeMode, within: Duration, cx: &StepCx) -> Result<Changed> {
        if mode == UpgradeMode::Savepoint {
            self.savepoint_path().await?;
        }
        let spec = json!({ "restartNonce": now(), "job": { "upgradeMode": mode.as_str() } });
        self.anew(&spec, within, cx).await
    }

    /// Cancels the job and starts it from a savepoint. Ends when the new start runs.
    ///
    /// # Errors
    /// As [`Self::go_on_with`].
    pub async fn restart_from(&self, savepoint: &str, within: Duration, cx: &StepCx) -> Result<Changed> {
        let job = json!({ "initialSavepointPath": savepoint, "savepointRedeployNonce": now() });
        self.anew(&json!({ "job": job }), within, cx).await
    }

    /// Changes the specification and waits until another start of the job runs.
    async fn anew(&self, spec: &Value, within: Duration, cx: &StepCx) -> Result<Changed> {
        let before = self.look().await?;
        let old = (before.id().to_owned(), before.started());
        self.change(json!({ "spec": spec })).await?;
        let look = self
            .runs(within, cx, |look| (look.id().to_owned(), look.started()) != old)
            .await?;
        Ok(self.changed(&look, format!("RUNNING as {}, before as {}", look.id(), old.0)))
    }
}

/// A number that no earlier change had.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
