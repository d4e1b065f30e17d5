//! `containerd/api/services/leases/v1/leases.proto`: what is made under a lease stays as long as that.

use std::collections::BTreeMap;

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::image::containerd) struct Lease {
    #[prost(string, tag = "1")]
    pub id: String,
    #[prost(btree_map = "string, string", tag = "3")]
    pub labels: BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::image::containerd) struct CreateRequest {
    #[prost(string, tag = "1")]
    pub id: String,
    #[prost(btree_map = "string, string", tag = "3")]
    pub labels: BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::image::containerd) struct CreateResponse {
    #[prost(message, optional, tag = "1")]
    pub lease: Option<Lease>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::image::containerd) struct DeleteRequest {
    #[prost(string, tag = "1")]
    pub id: String,
    /// Whether what nothing needs any more is gone before the answer.
    #[prost(bool, tag = "2")]
    pub sync: bool,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::image::containerd) struct ListRequest {
    #[prost(string, repeated, tag = "1")]
    pub filters: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::image::containerd) struct ListResponse {
    #[prost(message, repeated, tag = "1")]
    pub leases: Vec<Lease>,
}
