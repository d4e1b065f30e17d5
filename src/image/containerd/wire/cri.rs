//! `k8s.io/cri-api/pkg/apis/runtime/v1/api.proto`: what the kubelet asks, at the same socket.

/// An image by a name or an id.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::image::containerd) struct ImageSpec {
    #[prost(string, tag = "1")]
    pub image: String,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::image::containerd) struct ImageStatusRequest {
    #[prost(message, optional, tag = "1")]
    pub image: Option<ImageSpec>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::image::containerd) struct ImageStatusResponse {
    /// Absent if there is no such image.
    #[prost(message, optional, tag = "1")]
    pub image: Option<Image>,
}

/// An image as the kubelet sees it.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::image::containerd) struct Image {
    /// Digest of its configuration.
    #[prost(string, tag = "1")]
    pub id: String,
    #[prost(string, repeated, tag = "2")]
    pub repo_tags: Vec<String>,
}
