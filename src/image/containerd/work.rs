//! Changes of a node's images under a lease: what is not finished when `dev` is killed is nobody's, and goes with the
//! lease, at the next load or after an hour.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::try_join_all;

use super::blob::{Blob, Bytes};
use super::client::{Client, Method, Refused};
use super::node::Node;
use super::wire::images::{CreateImageRequest, DeleteImageRequest, Image, ImageResponse, UpdateImageRequest};
use super::wire::leases::{CreateRequest, CreateResponse, DeleteRequest, ListRequest, ListResponse};
use super::wire::types::{Descriptor, FieldMask};
use crate::image::load::{Layer, MANIFEST, manifest, sha256};

const LEASE: Method = Method::new("/containerd.services.leases.v1.Leases/Create", "begin a load", 60);
const LEASES: Method = Method::new(
    "/containerd.services.leases.v1.Leases/List",
    "tell of unfinished loads",
    60,
);
const END: Method = Method::new("/containerd.services.leases.v1.Leases/Delete", "end a load", 120);
const CREATE: Method = Method::new("/containerd.services.images.v1.Images/Create", "name an image", 60);
const UPDATE: Method = Method::new("/containerd.services.images.v1.Images/Update", "name an image anew", 60);
const DELETE: Method = Method::new("/containerd.services.images.v1.Images/Delete", "remove an image", 120);

/// Label of our leases.
const OURS: &str = "dev.flink/load";

/// When containerd ends a lease by itself (`containerd/docs/garbage-collection.md`).
const EXPIRES: &str = "containerd.io/gc.expire";

/// How long a load may take in all.
const HOUR: Duration = Duration::from_secs(3600);

/// How long what a failed load brought may take to go.
const UNDO: Duration = Duration::from_secs(20);

/// Label of images that the kubelet's side of containerd manages (`containerd/internal/cri/labels`): it is the one that
/// it gives to what it pulled.
const MANAGED: (&str, &str) = ("io.cri-containerd.image", "managed");

/// Labels of a blob that name what must stay as long as it does (`containerd/docs/garbage-collection.md`).
const CONTENT: &str = "containerd.io/gc.ref.content.";
const SNAPSHOT: &str = "containerd.io/gc.ref.snapshot.";

/// A manifest in a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::image) struct Manifest {
    /// `sha256:…`
    pub(in crate::image) digest: String,
    /// Its bytes.
    pub(in crate::image) size: u64,
    /// `sha256:` and the digest of its configuration: the image's id for the kubelet.
    pub(in crate::image) config: String,
}

impl Manifest {
    /// That of an image of these layers.
    pub(in crate::image) fn of(config: &[u8], layers: &[Layer]) -> Self {
        Self::of_text(&manifest(config, layers), config)
    }

    fn of_text(text: &[u8], config: &[u8]) -> Self {
        Self {
            digest: format!("sha256:{}", sha256(text)),
            size: text.len() as u64,
            config: format!("sha256:{}", sha256(config)),
        }
    }
}

/// A load on its way. The caller holds the node's lock.
#[derive(Debug)]
pub(in crate::image) struct Work {
    pub(super) node: Arc<Node>,
    /// Its calls belong to the lease.
    pub(super) client: Client,
    lease: String,
    number: AtomicU64,
}

impl Node {
    /// Begins a load, and ends those that were killed.
    pub(in crate::image) async fn begin(self: &Arc<Self>) -> Result<Work, Refused> {
        let now = jiff::Timestamp::now();
        let lease = format!("flink-dev-{}-{}", std::process::id(), now.as_nanosecond());
        let labels = [(OURS, "1".to_owned()), (EXPIRES, (now + HOUR).to_string())];
        let create = CreateRequest {
            id: lease.clone(),
            labels: labels.map(|(key, value)| (key.to_owned(), value)).into(),
        };
        let ours = ListRequest {
            filters: vec![format!("labels.\"{OURS}\"==1")],
        };
        let (left, made) = tokio::join!(
            self.client.call::<_, ListResponse>(LEASES, ours),
            self.client.call::<_, CreateResponse>(LEASE, create)
        );
        made?;
        let left = left?.leases.into_iter().filter(|left| left.id != lease);
        let ended = left.map(|left| self.client.end(left.id, false));
        try_join_all(ended).await?;
        Ok(Work {
            client: self.client.leased(&lease),
            node: Arc::clone(self),
            lease,
            number: AtomicU64::new(0),
        })
    }

    /// Takes names away; those that are not there are fine.
    pub(in crate::image) async fn remove(&self, names: &[String]) -> Result<(), Refused> {
        let removed = names.iter().map(|name| async move {
            let request = DeleteImageRequest {
                name: name.clone(),
                sync: false,
            };
            match self.client.call::<_, ()>(DELETE, request).await {
                Err(refused) if !refused.is_absent() => Err(refused),
                _ => Ok(()),
            }
        });
        try_join_all(removed).await.map(drop)
    }
}

impl Client {
    async fn end(&self, lease: String, sync: bool) -> Result<(), Refused> {
        match self.call::<_, ()>(END, DeleteRequest { id: lease, sync }).await {
            Err(refused) if !refused.is_absent() => Err(refused),
            _ => Ok(()),
        }
    }
}

impl Work {
    /// A blob into the store, checked against its digest (`sha256:…`), but for one that was laid there.
    pub(in crate::image) async fn keep(
        &self,
        digest: &str,
        size: u64,
        bytes: Bytes,
        labels: BTreeMap<String, String>,
    ) -> Result<(), Refused> {
        let blob = Blob {
            digest,
            size,
            bytes,
            labels,
        };
        self.client.keep(&self.fresh("blob"), blob).await
    }

    /// The texts of an image: its configuration, which keeps the snapshot `top` (a ChainID), and its manifest, which
    /// keeps its blobs.
    pub(in crate::image) async fn texts(
        &self,
        config: &[u8],
        layers: &[Layer],
        top: &str,
    ) -> Result<Manifest, Refused> {
        let text = manifest(config, layers);
        let told = Manifest::of_text(&text, config);
        let keeps_snapshot = [(format!("{SNAPSHOT}{}", self.node.snapshotter), top.to_owned())].into();
        let mut keeps_blobs: BTreeMap<String, String> = layers
            .iter()
            .enumerate()
            .map(|(n, layer)| (format!("{CONTENT}l.{n}"), format!("sha256:{}", layer.digest)))
            .collect();
        keeps_blobs.insert(format!("{CONTENT}config"), told.config.clone());
        let config = bytes::Bytes::copy_from_slice(config);
        tokio::try_join!(
            self.keep(&told.config, config.len() as u64, Bytes::Here(config), keeps_snapshot),
            self.keep(&told.digest, told.size, Bytes::Here(text.into()), keeps_blobs)
        )?;
        Ok(told)
    }

    /// Names an image, first by its id, as the kubelet's side of containerd does when it pulls one: it has nothing left
    /// to do but to take note. Names that lead elsewhere lead here from now on.
    pub(in crate::image) async fn publish(
        &self,
        manifest: &Manifest,
        name: &str,
        labels: &[(&str, &str)],
    ) -> Result<(), Refused> {
        self.name(&manifest.config, manifest, &[]).await?;
        self.name(name, manifest, labels).await
    }

    async fn name(&self, name: &str, manifest: &Manifest, labels: &[(&str, &str)]) -> Result<(), Refused> {
        let labels = labels.iter().chain([&MANAGED]);
        let image = Image {
            name: name.to_owned(),
            labels: labels
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
            target: Some(Descriptor {
                media_type: MANIFEST.to_owned(),
                digest: manifest.digest.clone(),
                size: i64::try_from(manifest.size).unwrap_or(i64::MAX),
                annotations: BTreeMap::new(),
            }),
        };
        let create = CreateImageRequest {
            image: Some(image.clone()),
        };
        match self.client.call::<_, ImageResponse>(CREATE, create).await {
            Err(refused) if refused.is_there() => {}
            other => return other.map(drop),
        }
        let update = UpdateImageRequest {
            image: Some(image),
            update_mask: Some(FieldMask {
                paths: vec!["target".to_owned(), "labels".to_owned()],
            }),
        };
        self.client.call::<_, ImageResponse>(UPDATE, update).await.map(drop)
    }

    /// Ends the load; what has a name stays.
    pub(in crate::image) async fn end(self) -> Result<(), Refused> {
        self.node.client.end(self.lease, false).await
    }

    /// Ends a load that failed: what it brought is gone when this returns. An error here would only hide the first one,
    /// and a containerd that hangs is not waited for once more: the next load does it again.
    pub(in crate::image) async fn undo(self) {
        let _ = tokio::time::timeout(UNDO, self.node.client.end(self.lease, true)).await;
    }

    /// A name in this load that nothing else has.
    pub(super) fn fresh(&self, what: &str) -> String {
        format!("{}-{what}-{}", self.lease, self.number.fetch_add(1, Ordering::Relaxed))
    }
}
