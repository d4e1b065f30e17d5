//! Layers into a node's snapshots, each checked against its digest by containerd while it is unpacked.

use std::path::{Path, PathBuf};

use super::client::{Method, Refused};
use super::wire::diff::{ApplyRequest, ApplyResponse};
use super::wire::snapshots::{
    CommitSnapshotRequest, PrepareSnapshotRequest, PrepareSnapshotResponse, RemoveSnapshotRequest,
};
use super::wire::types::{Descriptor, Mount};
use super::work::Work;
use crate::image::load::{LAYER, Layer};

const PREPARE: Method = Method::new(
    "/containerd.services.snapshots.v1.Snapshots/Prepare",
    "prepare a snapshot",
    120,
);
const COMMIT: Method = Method::new(
    "/containerd.services.snapshots.v1.Snapshots/Commit",
    "commit a snapshot",
    300,
);
const REMOVE: Method = Method::new(
    "/containerd.services.snapshots.v1.Snapshots/Remove",
    "remove a snapshot",
    120,
);
const APPLY: Method = Method::new("/containerd.services.diff.v1.Diff/Apply", "unpack a layer", 1800);

/// Label with the name that a snapshot will have: one that is there is not made twice.
const TARGET: &str = "containerd.io/snapshot.ref";

/// The layer of a chain that was unpacked before the layers below it were there.
#[derive(Debug)]
pub(in crate::image) struct Ahead {
    key: String,
    /// Its files.
    folder: PathBuf,
}

impl Work {
    /// Unpacks a layer over `parent` (a ChainID; empty if it is the lowest) as `chain`.
    pub(in crate::image) async fn unpack(&self, layer: &Layer, parent: &str, chain: &str) -> Result<(), Refused> {
        let Some((key, mounts)) = self.prepare(parent, chain).await? else {
            return Ok(());
        };
        let done = async {
            self.apply(layer, mounts).await?;
            self.commit(&key, chain).await
        };
        self.or_remove(&key, done.await).await
    }

    /// Unpacks a layer by itself, side by side with those below it; `None` if this snapshotter's ways are not known.
    /// Only for layers that stand alone (`image::load::alone`).
    pub(in crate::image) async fn unpack_ahead(&self, layer: &Layer) -> Result<Option<Ahead>, Refused> {
        if self.node.snapshotter != "overlayfs" || !self.node.reach.same_users() {
            return Ok(None);
        }
        let key = self.fresh("ahead");
        let mounts = self.prepared(&key, "", None).await?;
        // without anything below, the snapshotter lends its folder itself
        let folder = match mounts.as_slice() {
            [Mount { kind, source, .. }] if kind == "bind" && source.starts_with('/') => PathBuf::from(source),
            _ => {
                self.remove_snapshot(&key).await?;
                return Ok(None);
            }
        };
        // an overlay's upper folder gets the marks of what a layer removes, whatever is below it
        let upper = Mount {
            kind: "overlay".to_owned(),
            source: "overlay".to_owned(),
            target: String::new(),
            options: vec![format!("upperdir={}", folder.display())],
        };
        match self.apply(layer, vec![upper]).await {
            Ok(()) => Ok(Some(Ahead { key, folder })),
            Err(refused) => self.or_remove(&key, Err(refused)).await,
        }
    }

    /// Puts a layer that was unpacked ahead over `parent`, as `chain`. Whether that was possible; else it is gone.
    pub(in crate::image) async fn settle(&self, ahead: Ahead, parent: &str, chain: &str) -> Result<bool, Refused> {
        let Some((key, mounts)) = self.prepare(parent, chain).await? else {
            self.remove_snapshot(&ahead.key).await?;
            return Ok(true);
        };
        let moved = upper_of(&mounts).is_some_and(|upper| self.moved(&ahead.folder, Path::new(upper)).is_ok());
        let done = if moved {
            self.commit(&key, chain).await.map(|()| true)
        } else {
            self.remove_snapshot(&key).await.map(|()| false)
        };
        let done = self.or_remove(&key, done).await;
        self.remove_snapshot(&ahead.key).await?;
        done
    }

    /// Moves an unpacked layer to where the snapshotter expects it.
    fn moved(&self, from: &Path, to: &Path) -> std::io::Result<()> {
        let name = |path: &Path| {
            let name = path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
            name.ok_or_else(|| std::io::Error::other("a folder without a name"))
        };
        let above = |path: &Path| self.node.reach.folder(path.parent().unwrap_or(path));
        let (old, new) = (above(from)?, above(to)?);
        let (from, to) = (name(from)?, name(to)?);
        if old.owner(&from)? != new.owner(&to)? {
            return Err(std::io::Error::other("the layers below belong to someone else"));
        }
        old.move_to(&from, &new, &to)
    }

    /// A snapshot to unpack into; `None` if what it would become is there.
    async fn prepare(&self, parent: &str, chain: &str) -> Result<Option<(String, Vec<Mount>)>, Refused> {
        let key = self.fresh("extract");
        match self.prepared(&key, parent, Some(chain)).await {
            Ok(mounts) => Ok(Some((key, mounts))),
            Err(refused) if refused.is_there() && !self.node.unpacked(&[chain.to_owned()]).await?.is_empty() => {
                Ok(None)
            }
            Err(refused) => Err(refused),
        }
    }

    async fn prepared(&self, key: &str, parent: &str, target: Option<&str>) -> Result<Vec<Mount>, Refused> {
        let request = PrepareSnapshotRequest {
            snapshotter: self.node.snapshotter.clone(),
            key: key.to_owned(),
            parent: parent.to_owned(),
            labels: target
                .map(|chain| (TARGET.to_owned(), chain.to_owned()))
                .into_iter()
                .collect(),
        };
        let prepared: PrepareSnapshotResponse = self.client.call(PREPARE, request).await?;
        Ok(prepared.mounts)
    }

    async fn apply(&self, layer: &Layer, mounts: Vec<Mount>) -> Result<(), Refused> {
        let digest = format!("sha256:{}", layer.digest);
        let request = ApplyRequest {
            diff: Some(Descriptor {
                media_type: LAYER.to_owned(),
                digest: digest.clone(),
                size: i64::try_from(layer.size).unwrap_or(i64::MAX),
                annotations: std::collections::BTreeMap::new(),
            }),
            mounts,
        };
        let applied: ApplyResponse = self.client.call(APPLY, request).await?;
        let found = applied.applied.unwrap_or_default().digest;
        if found == digest {
            return Ok(());
        }
        // containerd believes a file's name: bytes that were wrong must not stay for the next one to find
        self.client.forget(&digest).await?;
        Err(self
            .client
            .refused(APPLY, format!("the bytes of {digest} have the digest {found}")))
    }

    async fn commit(&self, key: &str, chain: &str) -> Result<(), Refused> {
        let request = CommitSnapshotRequest {
            snapshotter: self.node.snapshotter.clone(),
            name: chain.to_owned(),
            key: key.to_owned(),
            labels: [(TARGET.to_owned(), chain.to_owned())].into(),
        };
        match self.client.call::<_, ()>(COMMIT, request).await {
            // someone else was quicker
            Err(refused) if refused.is_there() => self.remove_snapshot(key).await,
            other => other,
        }
    }

    async fn remove_snapshot(&self, key: &str) -> Result<(), Refused> {
        let request = RemoveSnapshotRequest {
            snapshotter: self.node.snapshotter.clone(),
            key: key.to_owned(),
        };
        match self.client.call::<_, ()>(REMOVE, request).await {
            Err(refused) if !refused.is_absent() => Err(refused),
            _ => Ok(()),
        }
    }

    /// What came of work with a snapshot that is removed if that failed.
    async fn or_remove<T>(&self, key: &str, done: Result<T, Refused>) -> Result<T, Refused> {
        if done.is_err() {
            // the first failure tells more; the lease takes it otherwise
            let _ = self.remove_snapshot(key).await;
        }
        done
    }
}

/// The folder that an overlay's changes go to.
fn upper_of(mounts: &[Mount]) -> Option<&str> {
    match mounts {
        [Mount { kind, options, .. }] if kind == "overlay" => {
            options.iter().find_map(|option| option.strip_prefix("upperdir="))
        }
        _ => None,
    }
}
