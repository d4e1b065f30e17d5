//! `containerd/api/services/snapshots/v1/snapshots.proto`.

use std::collections::BTreeMap;

use super::types::Mount;

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::image::containerd) struct PrepareSnapshotRequest {
    #[prost(string, tag = "1")]
    pub snapshotter: String,
    /// Name while it can be written to.
    #[prost(string, tag = "2")]
    pub key: String,
    /// Empty if there is nothing below.
    #[prost(string, tag = "3")]
    pub parent: String,
    #[prost(btree_map = "string, string", tag = "4")]
    pub labels: BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::image::containerd) struct PrepareSnapshotResponse {
    #[prost(message, repeated, tag = "1")]
    pub mounts: Vec<Mount>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::image::containerd) struct CommitSnapshotRequest {
    #[prost(string, tag = "1")]
    pub snapshotter: String,
    /// Its name from now on.
    #[prost(string, tag = "2")]
    pub name: String,
    #[prost(string, tag = "3")]
    pub key: String,
    #[prost(btree_map = "string, string", tag = "4")]
    pub labels: BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::image::containerd) struct RemoveSnapshotRequest {
    #[prost(string, tag = "1")]
    pub snapshotter: String,
    #[prost(string, tag = "2")]
    pub key: String,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::image::containerd) struct StatSnapshotRequest {
    #[prost(string, tag = "1")]
    pub snapshotter: String,
    #[prost(string, tag = "2")]
    pub key: String,
}

/// What a snapshot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub(in crate::image::containerd) enum Kind {
    Unknown = 0,
    View = 1,
    /// It can be written to.
    Active = 2,
    /// It is whole and does not change.
    Committed = 3,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::image::containerd) struct Info {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub parent: String,
    #[prost(enumeration = "Kind", tag = "3")]
    pub kind: i32,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::image::containerd) struct StatSnapshotResponse {
    #[prost(message, optional, tag = "1")]
    pub info: Option<Info>,
}
