//! `containerd/api/services/version/v1/version.proto`.

/// Which containerd answers.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::image::containerd) struct VersionResponse {
    #[prost(string, tag = "1")]
    pub version: String,
    #[prost(string, tag = "2")]
    pub revision: String,
}
