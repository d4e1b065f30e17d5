//! Proofs that a job keeps its state: it is made to fail and recovers from its latest checkpoint, or it is deployed again
//! from a savepoint. Each rests on facts that Flink and Kubernetes tell before and afterwards; a proof that cannot be
//! given is a failure that says which fact is missing.

mod checkpoint;
mod count;
mod counted;
mod facts;
mod kill;
mod proof;
mod savepoint;
#[cfg(test)]
mod tests;

pub use checkpoint::{Recovered, checkpoint};
pub use count::Count;
pub use counted::{Trial, counted_checkpoint, counted_savepoint};
pub use facts::{Moment, Restored};
pub use kill::{Killed, Role};
pub use proof::Proof;
pub use savepoint::{Redeploy, Redeployed, savepoint};
