//! Images of the cache into a node by containerd's API: layers are laid into its store as files and unpacked side by
//! side, also those of one image.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::try_join_all;
use tokio::sync::{Semaphore, watch};

use super::alone::stands_alone;
use super::layout::{Image, Layer, STAGE, chain_ids};
use super::node::ID_LABEL;
use super::{Cache, LoadReport};
use crate::diag::{Failure, Reason, Result};
use crate::engine::StepCx;
use crate::image::containerd::{Expected, Node, Refused, Work};

/// A layer over those below it.
#[derive(Debug, Clone)]
struct Piece {
    layer: Layer,
    /// ChainID of those below; empty if there are none.
    parent: String,
    chain: String,
}

/// Brings images into a node, and sees that they are there. The caller holds the node's lock of this process. What
/// travelled is noted in `report`.
///
/// # Errors
/// [`Reason::ImageLoadFailed`]; [`Reason::TimedOut`] if containerd hangs. Nothing of what was not finished has a name.
pub(in crate::image) async fn bring(
    node: &Arc<Node>,
    cache: &Cache,
    images: &[Image],
    report: &mut LoadReport,
    cx: &StepCx,
) -> Result<()> {
    let _lock = node.lock(cx).await?;
    let staged: Vec<String> = node
        .images()
        .await
        .map_err(Refused::told)?
        .into_keys()
        .filter(|n| n.starts_with(STAGE))
        .collect();
    node.remove(&staged).await.map_err(Refused::told)?;
    let work = node.begin().await.map_err(Refused::told)?;
    match all(&work, node, cache, images, report, cx).await {
        Ok(None) => work.end().await.map_err(Refused::told),
        Ok(Some(lacks)) => {
            work.undo().await;
            let message = format!("{} does not have what it was given", node.name);
            Err(Failure::new(Reason::ImageLoadFailed, message).evidence(lacks))
        }
        Err(failure) => {
            work.undo().await;
            Err(failure)
        }
    }
}

/// All of it; what the node lacks in the end.
async fn all(
    work: &Work,
    node: &Node,
    cache: &Cache,
    images: &[Image],
    report: &mut LoadReport,
    cx: &StepCx,
) -> Result<Option<String>> {
    let chains: Vec<Vec<String>> = images.iter().map(|image| chain_ids(&image.layers)).collect();
    let every: BTreeSet<String> = chains.iter().flatten().cloned().collect();
    let layers: BTreeMap<String, Layer> = images
        .iter()
        .flat_map(|image| &image.layers)
        .map(|layer| (format!("sha256:{}", layer.digest), layer.clone()))
        .collect();
    let (every, digests): (Vec<_>, Vec<_>) = (every.into_iter().collect(), layers.keys().cloned().collect());
    let (unpacked, blobs) = tokio::try_join!(node.unpacked(&every), node.blobs(&digests)).map_err(Refused::told)?;
    let missing: Vec<&Layer> = layers
        .iter()
        .filter(|(digest, _)| !blobs.contains_key(*digest))
        .map(|(_, layer)| layer)
        .collect();
    report.layers = missing.len();
    report.bytes = missing.iter().map(|layer| layer.size).sum();
    let pieces = pieces(images, &chains, &unpacked);
    let texts = images.iter().zip(&chains).map(|(image, chain)| {
        let top = chain.last().map(String::as_str).unwrap_or_default();
        work.texts(&image.config, &image.layers, top)
    });
    let lay = Lay {
        work,
        cache,
        total: report.bytes,
        done: AtomicU64::new(0),
        room: Semaphore::new(std::thread::available_parallelism().map_or(2, usize::from)),
        cx,
    };
    let (manifests, ()) = tokio::try_join!(
        async { try_join_all(texts).await.map_err(Refused::told) },
        lay.all(&missing, &pieces, &unpacked)
    )?;
    let named = images.iter().zip(&manifests).map(|(image, manifest)| {
        let labels = [(ID_LABEL, image.id.as_str())];
        async move { work.publish(manifest, &image.reference, &labels).await }
    });
    try_join_all(named).await.map_err(Refused::told)?;
    for ((image, manifest), chain) in images.iter().zip(&manifests).zip(&chains) {
        let blobs: Vec<(String, u64)> = image
            .layers
            .iter()
            .map(|layer| (format!("sha256:{}", layer.digest), layer.size))
            .collect();
        let expected = Expected {
            name: &image.reference,
            manifest,
            blobs: &blobs,
            top: chain.last().map(String::as_str).unwrap_or_default(),
        };
        if let Some(lacks) = node.lacks(&expected).await.map_err(Refused::told)? {
            // what is not whole must not be found by its name
            node.remove(std::slice::from_ref(&image.reference))
                .await
                .map_err(Refused::told)?;
            return Ok(Some(format!("{}: {lacks}", image.reference)));
        }
    }
    Ok(None)
}

/// What has to be unpacked, each once, the largest first: the last one to begin should be short.
fn pieces(images: &[Image], chains: &[Vec<String>], unpacked: &BTreeSet<String>) -> Vec<Piece> {
    let mut found: BTreeMap<&str, Piece> = BTreeMap::new();
    for (image, chain) in images.iter().zip(chains) {
        for (n, layer) in image
            .layers
            .iter()
            .enumerate()
            .filter(|(n, _)| !unpacked.contains(&chain[*n]))
        {
            found.entry(&chain[n]).or_insert_with(|| Piece {
                layer: layer.clone(),
                parent: n.checked_sub(1).map(|below| chain[below].clone()).unwrap_or_default(),
                chain: chain[n].clone(),
            });
        }
    }
    let mut pieces: Vec<Piece> = found.into_values().collect();
    pieces.sort_by_key(|piece| std::cmp::Reverse(piece.layer.size));
    pieces
}

/// Layers on their way.
struct Lay<'a> {
    work: &'a Work,
    cache: &'a Cache,
    total: u64,
    done: AtomicU64,
    /// How many are unpacked at once.
    room: Semaphore,
    cx: &'a StepCx,
}

impl Lay<'_> {
    /// Lays missing layers into the store, and unpacks pieces as soon as their layer is there.
    async fn all(&self, missing: &[&Layer], pieces: &[Piece], unpacked: &BTreeSet<String>) -> Result<()> {
        let laid: BTreeMap<&str, watch::Sender<bool>> = missing
            .iter()
            .map(|layer| (layer.digest.as_str(), watch::Sender::new(false)))
            .collect();
        let there: BTreeMap<&str, watch::Sender<bool>> = pieces
            .iter()
            .map(|piece| (piece.chain.as_str(), watch::Sender::new(false)))
            .collect();
        // those that are unpacked first are laid first
        let rank = |layer: &&Layer| pieces.iter().position(|piece| piece.layer.digest == layer.digest);
        let mut order = missing.to_vec();
        order.sort_by_key(rank);
        let lay = async {
            for layer in order {
                self.work.lay(layer, &self.cache.blob(&layer.digest)).await?;
                let done = self.done.fetch_add(layer.size, Ordering::Relaxed) + layer.size;
                self.cx.progress(done, self.total, "bytes", "layers into the node");
                if let Some(laid) = laid.get(layer.digest.as_str()) {
                    laid.send_replace(true);
                }
            }
            Ok::<_, Refused>(())
        };
        let unpack = try_join_all(pieces.iter().map(|piece| async {
            wait(laid.get(piece.layer.digest.as_str())).await;
            let below = there.get(piece.parent.as_str());
            self.unpack(piece, below, unpacked).await?;
            there[piece.chain.as_str()].send_replace(true);
            Ok::<_, Failure>(())
        }));
        tokio::try_join!(async { lay.await.map_err(Refused::told) }, unpack)?;
        Ok(())
    }

    /// Unpacks a piece; one whose parent is not there yet by itself, if it stands alone.
    async fn unpack(
        &self,
        piece: &Piece,
        below: Option<&watch::Sender<bool>>,
        unpacked: &BTreeSet<String>,
    ) -> Result<()> {
        let Piece { layer, parent, chain } = piece;
        let first = parent.is_empty() || unpacked.contains(parent) || below.is_none_or(|below| *below.borrow());
        if !first && self.stands_alone(layer).await {
            let ahead = {
                let _room = self.room().await;
                self.work.unpack_ahead(layer).await.map_err(Refused::told)?
            };
            if let Some(ahead) = ahead {
                wait(below).await;
                if self.work.settle(ahead, parent, chain).await.map_err(Refused::told)? {
                    return Ok(());
                }
            }
        }
        wait(below).await;
        let _room = self.room().await;
        self.work.unpack(layer, parent, chain).await.map_err(Refused::told)
    }

    async fn room(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        // nobody closes it
        self.room.acquire().await.ok()
    }

    async fn stands_alone(&self, layer: &Layer) -> bool {
        let path = self.cache.blob(&layer.digest);
        let look = move || std::fs::File::open(path).and_then(|file| stands_alone(std::io::BufReader::new(file)));
        matches!(tokio::task::spawn_blocking(look).await, Ok(Ok(true)))
    }
}

/// Waits until something is said to be there; what nobody speaks of is.
async fn wait(there: Option<&watch::Sender<bool>>) {
    if let Some(there) = there {
        // the sender lives as long as whoever waits
        let _ = there.subscribe().wait_for(|there| *there).await;
    }
}

#[cfg(all(test, target_os = "linux"))]
#[path = "direct_tests.rs"]
mod tests;
