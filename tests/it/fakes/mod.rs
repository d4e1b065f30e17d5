//! What the built program meets in place of an engine and a cluster.

pub(crate) mod apiserver;
pub(crate) mod docker;
pub(crate) mod flink;
