//! `containerd/api/services/images/v1/images.proto`.

use std::collections::BTreeMap;

use super::types::{Descriptor, FieldMask};

/// A name with the manifest that it leads to.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::image::containerd) struct Image {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(btree_map = "string, string", tag = "2")]
    pub labels: BTreeMap<String, String>,
    #[prost(message, optional, tag = "3")]
    pub target: Option<Descriptor>,
}

/// The answer to a creation and to an update.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::image::containerd) struct ImageResponse {
    #[prost(message, optional, tag = "1")]
    pub image: Option<Image>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::image::containerd) struct CreateImageRequest {
    #[prost(message, optional, tag = "1")]
    pub image: Option<Image>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::image::containerd) struct UpdateImageRequest {
    #[prost(message, optional, tag = "1")]
    pub image: Option<Image>,
    #[prost(message, optional, tag = "2")]
    pub update_mask: Option<FieldMask>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::image::containerd) struct ListImagesRequest {
    #[prost(string, repeated, tag = "1")]
    pub filters: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::image::containerd) struct ListImagesResponse {
    #[prost(message, repeated, tag = "1")]
    pub images: Vec<Image>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::image::containerd) struct DeleteImageRequest {
    #[prost(string, tag = "1")]
    pub name: String,
    /// Whether what nothing needs any more is gone before the answer.
    #[prost(bool, tag = "2")]
    pub sync: bool,
}
