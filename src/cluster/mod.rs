//! The Kubernetes cluster under an environment: created by kind, found again by what Docker knows of it.

mod kind;
mod port;
mod sysctl;

pub use kind::{Kind, NETWORK, NodeState};
pub use port::free_port;
