//! `containerd/api/services/containers/v1/containers.proto`.

/// Filters are alternatives, in the grammar of `containerd/pkg/filters`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::image::containerd) struct ListContainersRequest {
    #[prost(string, repeated, tag = "1")]
    pub filters: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::image::containerd) struct ListContainersResponse {
    #[prost(message, repeated, tag = "1")]
    pub containers: Vec<Container>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::image::containerd) struct Container {
    #[prost(string, tag = "1")]
    pub id: String,
    /// Name of the image that it was made from.
    #[prost(string, tag = "3")]
    pub image: String,
}
