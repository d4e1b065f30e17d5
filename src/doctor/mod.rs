//! Looks at the machine before anything is created on it, says what is missing and what cures it, and carries the
//! cures out when it is told to.
//!
//! [`examine`] only looks: `probe` gathers facts side by side, `judge` turns them into [`Finding`]s (pure). [`fix()`]
//! is the only part that changes anything. [`preflight()`] is the part of it that `dev up` can afford every time.

mod endpoint;
mod engine;
mod finding;
mod fix;
mod host;
mod judge;
mod network;
mod paths;
mod ports;
mod preflight;
mod probe;
#[cfg(test)]
mod real_tests;
#[cfg(test)]
mod testing;
mod tools;

use crate::config::Profile;
use crate::env::Env;

pub use finding::{Cure, Finding, Status, blocking, needs_fix};
pub use fix::{fix, fix_at};
pub use paths::Paths;
pub use preflight::preflight;

/// Name of our wrapper of the runtime: as a program, and as a runtime of the engine.
const RUNTIME: &str = "runc-bounded";

/// Looks at everything that `dev` needs for this profile, side by side, and changes nothing.
///
/// Every probe is bounded; the whole takes less than 4 s, and less than 1 s where everything answers.
pub async fn examine(env: &Env, profile: &Profile) -> Vec<Finding> {
    examine_at(env, profile, &Paths::default()).await
}

/// As [`examine`], for an engine whose files lie elsewhere.
pub async fn examine_at(env: &Env, profile: &Profile, paths: &Paths) -> Vec<Finding> {
    judge::all(&probe::gather(env, profile, paths).await, env, profile)
}
