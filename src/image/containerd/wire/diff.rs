//! `containerd/api/services/diff/v1/diff.proto`.

use super::types::{Descriptor, Mount};

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::image::containerd) struct ApplyRequest {
    /// The layer.
    #[prost(message, optional, tag = "1")]
    pub diff: Option<Descriptor>,
    /// Where it is unpacked.
    #[prost(message, repeated, tag = "2")]
    pub mounts: Vec<Mount>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::image::containerd) struct ApplyResponse {
    /// What was unpacked, its digest that of the uncompressed bytes.
    #[prost(message, optional, tag = "1")]
    pub applied: Option<Descriptor>,
}
