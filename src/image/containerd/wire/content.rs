//! `containerd/api/services/content/v1/content.proto`.

use std::collections::BTreeMap;

use super::types::FieldMask;

/// A blob that is there.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::image::containerd) struct Info {
    /// `sha256:…`
    #[prost(string, tag = "1")]
    pub digest: String,
    #[prost(int64, tag = "2")]
    pub size: i64,
    #[prost(btree_map = "string, string", tag = "5")]
    pub labels: BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::image::containerd) struct InfoRequest {
    #[prost(string, tag = "1")]
    pub digest: String,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::image::containerd) struct InfoResponse {
    #[prost(message, optional, tag = "1")]
    pub info: Option<Info>,
}

/// All of a blob.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::image::containerd) struct ReadContentRequest {
    #[prost(string, tag = "1")]
    pub digest: String,
}

/// A part of it.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::image::containerd) struct ReadContentResponse {
    #[prost(bytes = "bytes", tag = "2")]
    pub data: bytes::Bytes,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::image::containerd) struct UpdateRequest {
    #[prost(message, optional, tag = "1")]
    pub info: Option<Info>,
    #[prost(message, optional, tag = "2")]
    pub update_mask: Option<FieldMask>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::image::containerd) struct UpdateResponse {
    #[prost(message, optional, tag = "1")]
    pub info: Option<Info>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::image::containerd) struct DeleteContentRequest {
    #[prost(string, tag = "1")]
    pub digest: String,
}

/// What a message of a write does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub(in crate::image::containerd) enum WriteAction {
    /// Tells how far it is.
    Stat = 0,
    /// Writes data at an offset.
    Write = 1,
    /// Writes data, then ends the blob.
    Commit = 2,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::image::containerd) struct WriteContentRequest {
    #[prost(enumeration = "WriteAction", tag = "1")]
    pub action: i32,
    /// Name of the unfinished blob.
    #[prost(string, tag = "2")]
    pub r#ref: String,
    /// The blob's size.
    #[prost(int64, tag = "3")]
    pub total: i64,
    /// The blob's digest. One that lies in the store already, for another namespace or as a file that nobody
    /// registered, is taken as it is.
    #[prost(string, tag = "4")]
    pub expected: String,
    #[prost(int64, tag = "5")]
    pub offset: i64,
    #[prost(bytes = "bytes", tag = "6")]
    pub data: bytes::Bytes,
    /// The blob's labels; given with the commit.
    #[prost(btree_map = "string, string", tag = "7")]
    pub labels: BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::image::containerd) struct WriteContentResponse {
    #[prost(enumeration = "WriteAction", tag = "1")]
    pub action: i32,
    #[prost(int64, tag = "4")]
    pub offset: i64,
    #[prost(int64, tag = "5")]
    pub total: i64,
    #[prost(string, tag = "6")]
    pub digest: String,
}
