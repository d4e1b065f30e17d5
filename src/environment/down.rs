//! Takes an environment down.

use super::Context;
use crate::diag::Result;

/// Removes the cluster with all that belongs to it; images, layers and tools stay for the next time. Returns what was
/// removed, one line each; nothing to remove is fine.
///
/// # Errors
/// What [`crate::cluster::Kind::delete`] says.
pub async fn down(context: &Context) -> Result<Vec<String>> {
    context.kind.delete(&context.engine).await
}
