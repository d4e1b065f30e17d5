//! The lock of all loads into a node: those by the API and those by programs in the node hold the same one.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use super::node::Node;
use crate::diag::{Failure, Reason, Result};
use crate::engine::StepCx;
use crate::image::store::take_lock;

/// The lock's file in the node (flock(2)).
const LOCK: &str = "/run/flink-dev-load.lock";

/// How long another load may hold it.
const WAIT: Duration = Duration::from_secs(300);

impl Node {
    /// From now on, until this is dropped, no other load changes the node's images.
    ///
    /// # Errors
    /// [`Reason::ImageLoadFailed`] if the file cannot be had; [`Reason::TimedOut`] if another load does not end.
    pub(in crate::image) async fn lock(&self, cx: &StepCx) -> Result<File> {
        let file = self.reach.lock_file(Path::new(LOCK)).map_err(|e| {
            Failure::new(Reason::ImageLoadFailed, format!("there is no lock in {}", self.name)).cause(&e)
        })?;
        take_lock(file, &format!("another load into {}", self.name), WAIT, cx).await
    }
}
