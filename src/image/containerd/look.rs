//! What a node has.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join_all;

use super::client::{Method, Refused};
use super::node::Node;
use super::wire::containers::{ListContainersRequest, ListContainersResponse};
use super::wire::content::{InfoRequest, InfoResponse, ReadContentRequest, ReadContentResponse};
use super::wire::cri::{ImageSpec, ImageStatusRequest, ImageStatusResponse};
use super::wire::images::{Image, ListImagesRequest, ListImagesResponse};
use super::wire::snapshots::{Kind, StatSnapshotRequest, StatSnapshotResponse};
use crate::image::load::LOADED_BY;

const IMAGES: Method = Method::new("/containerd.services.images.v1.Images/List", "list its images", 60);
const STAT: Method = Method::new(
    "/containerd.services.snapshots.v1.Snapshots/Stat",
    "look a snapshot up",
    60,
);
const INFO: Method = Method::new("/containerd.services.content.v1.Content/Info", "look a blob up", 60);
const READ: Method = Method::new("/containerd.services.content.v1.Content/Read", "read a blob", 60);
const CONTAINERS: Method = Method::new(
    "/containerd.services.containers.v1.Containers/List",
    "list its containers",
    60,
);
const STATUS: Method = Method::new(
    "/runtime.v1.ImageService/ImageStatus",
    "tell an image as the kubelet sees it",
    60,
);

/// A name of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::image) struct Record {
    /// Digest of its manifest.
    pub(in crate::image) digest: String,
    pub(in crate::image) labels: BTreeMap<String, String>,
}

impl Node {
    /// All images by their names.
    pub(in crate::image) async fn images(&self) -> Result<BTreeMap<String, Record>, Refused> {
        let listed: ListImagesResponse = self.client.call(IMAGES, ListImagesRequest::default()).await?;
        let record = |image: Image| {
            let digest = image.target.unwrap_or_default().digest;
            (
                image.name,
                Record {
                    digest,
                    labels: image.labels,
                },
            )
        };
        Ok(listed.images.into_iter().map(record).collect())
    }

    /// Which of these ChainIDs are unpacked, all of them.
    pub(in crate::image) async fn unpacked(&self, chains: &[String]) -> Result<BTreeSet<String>, Refused> {
        let asked = chains.iter().map(|chain| async move {
            let request = StatSnapshotRequest {
                snapshotter: self.snapshotter.clone(),
                key: chain.clone(),
            };
            match self.client.call::<_, StatSnapshotResponse>(STAT, request).await {
                Ok(found) => {
                    let committed = found.info.is_some_and(|info| info.kind == Kind::Committed as i32);
                    Ok(committed.then(|| chain.clone()))
                }
                Err(refused) if refused.is_absent() => Ok(None),
                Err(refused) => Err(refused),
            }
        });
        Ok(try_join_all(asked).await?.into_iter().flatten().collect())
    }

    /// Sizes of those of these blobs (`sha256:…`) that are there, whole.
    pub(in crate::image) async fn blobs(&self, digests: &[String]) -> Result<BTreeMap<String, u64>, Refused> {
        let asked = digests.iter().map(|digest| async move {
            let request = InfoRequest { digest: digest.clone() };
            match self.client.call::<_, InfoResponse>(INFO, request).await {
                Ok(found) => {
                    let size = found.info.and_then(|info| u64::try_from(info.size).ok());
                    Ok(size.map(|size| (digest.clone(), size)))
                }
                Err(refused) if refused.is_absent() => Ok(None),
                Err(refused) => Err(refused),
            }
        });
        Ok(try_join_all(asked).await?.into_iter().flatten().collect())
    }

    /// Which of these names containers were made from.
    pub(in crate::image) async fn used(&self, names: &[String]) -> Result<BTreeSet<String>, Refused> {
        if names.is_empty() {
            return Ok(BTreeSet::new());
        }
        let filters = names.iter().map(|name| format!("image==\"{name}\"")).collect();
        let listed: ListContainersResponse = self.client.call(CONTAINERS, ListContainersRequest { filters }).await?;
        Ok(listed.containers.into_iter().map(|container| container.image).collect())
    }

    /// Whether the image of this name was loaded by `dev`, by the mark in its manifest.
    pub(in crate::image) async fn is_marked(&self, name: &str) -> Result<bool, Refused> {
        let images = self.images().await?;
        let Some(record) = images.get(name) else {
            return Ok(false);
        };
        let request = ReadContentRequest {
            digest: record.digest.clone(),
        };
        // a manifest is small: one message holds it
        let read = self.client.converse(READ, futures::stream::iter([request])).await;
        let mark = format!("\"{LOADED_BY}\":\"dev\"");
        match read {
            Ok::<ReadContentResponse, _>(read) => Ok(read.data.windows(mark.len()).any(|part| part == mark.as_bytes())),
            Err(refused) if refused.is_absent() => Ok(false),
            Err(refused) => Err(refused),
        }
    }

    /// The id of the image that the kubelet would start under this name; `None` if there is none for it.
    pub(in crate::image) async fn kubelets(&self, name: &str) -> Result<Option<String>, Refused> {
        let request = ImageStatusRequest {
            image: Some(ImageSpec { image: name.to_owned() }),
        };
        match self.client.call::<_, ImageStatusResponse>(STATUS, request).await {
            Ok(status) => Ok(status.image.map(|image| image.id)),
            Err(refused) if refused.is_absent() || refused.is_early() => Ok(None),
            Err(refused) => Err(refused),
        }
    }
}
