//! `containerd/api/types/{descriptor,mount}.proto`, `google/protobuf/field_mask.proto`.

use std::collections::BTreeMap;

/// A blob, told by its digest.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::image::containerd) struct Descriptor {
    #[prost(string, tag = "1")]
    pub media_type: String,
    /// `sha256:…`
    #[prost(string, tag = "2")]
    pub digest: String,
    #[prost(int64, tag = "3")]
    pub size: i64,
    #[prost(btree_map = "string, string", tag = "5")]
    pub annotations: BTreeMap<String, String>,
}

/// How a snapshot is mounted; paths are the node's.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::image::containerd) struct Mount {
    #[prost(string, tag = "1")]
    pub kind: String,
    #[prost(string, tag = "2")]
    pub source: String,
    #[prost(string, tag = "3")]
    pub target: String,
    #[prost(string, repeated, tag = "4")]
    pub options: Vec<String>,
}

/// Which fields an update changes.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::image::containerd) struct FieldMask {
    #[prost(string, repeated, tag = "1")]
    pub paths: Vec<String>,
}
