//! What images there are, and where: in the engine, in each node, as layers in the cache; what of it is stale, and how
//! it goes.

mod cap;
mod node;
mod plan;
#[cfg(test)]
mod real_tests;
mod remove;
mod rows;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use futures::future::join_all;

pub use self::cap::cache_cap;
pub(super) use self::cap::enforce;
pub(super) use self::node::NodeStock;
pub(super) use self::node::remove_replaced;
pub use self::plan::{Item, Plan, Thing};
pub use self::remove::{Removed, carry_out, remove};
pub use self::rows::{Place, Row, rows};
use super::load::{Cache, normalize};
use crate::container::{Engine, EngineImage};
use crate::diag::{Failure, Reason, Result};
use crate::env::Env;

/// Label with which kind marks a cluster's containers.
const CLUSTER_LABEL: &str = "io.x-k8s.kind.cluster";

/// An image of which the cache has a note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedImage {
    /// Its id in the engine, in hex.
    pub id: String,
    /// Its configuration's and its layers' digests in hex.
    pub blobs: Vec<String>,
    /// Its layers, lowest first.
    pub layers: Vec<String>,
}

/// A file of the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedFile {
    /// Its bytes.
    pub size: u64,
    /// When it was last used.
    pub used: SystemTime,
}

/// What lies in the cache.
#[derive(Debug, Clone, Default)]
pub struct CacheStock {
    /// Images.
    pub images: Vec<CachedImage>,
    /// Layers and configurations by their digests in hex.
    pub files: BTreeMap<String, CachedFile>,
}

impl CacheStock {
    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.values().map(|file| file.size).sum()
    }
}

/// Everything, as it was found.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    /// Images of the engine.
    pub engine: Vec<EngineImage>,
    /// Nodes of our clusters that run.
    pub nodes: Vec<NodeStock>,
    /// Nodes that do not run or do not answer: what they have is not known.
    pub silent: Vec<String>,
    /// The cache.
    pub cache: CacheStock,
    /// Registry of names without one.
    pub registry: String,
}

impl Inventory {
    /// Looks at everything.
    ///
    /// # Errors
    /// What the engine answers.
    pub async fn take(engine: &Engine, env: &Env) -> Result<Self> {
        let mut inventory = Self::names(engine).await?;
        for stock in &mut inventory.nodes {
            // a node of another cluster may go at any moment; what it has is only looked at
            stock.unnamed = node::unnamed(engine, &stock.node).await.unwrap_or_default();
        }
        let cache = Cache::of(engine, env).await?;
        let stock = tokio::task::spawn_blocking(move || cache.stock()).await;
        inventory.cache = stock.map_err(|e| Failure::new(Reason::Internal, "reading the cache panicked").cause(&e))?;
        Ok(inventory)
    }

    /// Looks at what has a name, in the engine and in nodes.
    pub(super) async fn names(engine: &Engine) -> Result<Self> {
        let registry = engine.default_registry().await?.to_owned();
        let (images, all) = tokio::try_join!(engine.images(), nodes(engine))?;
        let mut images = images;
        // builds of an application are told apart by when they got their names: a build that the engine had in its
        // cache is as old as when it was made first
        for image in images.iter_mut().filter(|i| i.labels.contains_key(super::APP_LABEL)) {
            image.tagged = engine.tagged_at(&image.id).await?;
        }
        let (running, silent): (Vec<_>, Vec<_>) = all.into_iter().partition(|(_, running)| *running);
        let mut silent: Vec<String> = silent.into_iter().map(|(name, _)| name).collect();
        let answers = join_all(running.iter().map(|(name, _)| node::stock(engine, name))).await;
        let mut stocks = Vec::new();
        for ((name, _), answer) in running.into_iter().zip(answers) {
            match answer {
                Ok(stock) => stocks.push(stock),
                // one that boots or breaks at the moment must not stand in the way of all others
                Err(_) => silent.push(name),
            }
        }
        Ok(Self {
            engine: images,
            nodes: stocks,
            silent,
            cache: CacheStock::default(),
            registry,
        })
    }

    fn full(&self, name: &str) -> String {
        normalize(name, &self.registry)
    }

    /// Full names of the images that containers in nodes run.
    fn used_in_nodes(&self) -> BTreeSet<&str> {
        self.nodes
            .iter()
            .flat_map(|node| node.used.iter().map(String::as_str))
            .collect()
    }
}

/// Names of the nodes of all our clusters, and whether each runs.
async fn nodes(engine: &Engine) -> Result<Vec<(String, bool)>> {
    let containers = engine.containers_with_label(CLUSTER_LABEL).await?;
    let ours = containers
        .into_iter()
        .filter(|c| c.networks.contains_key(crate::cluster::NETWORK));
    Ok(ours.map(|c| (c.name, c.running)).collect())
}

/// A digest without its algorithm.
fn hex(digest: &str) -> &str {
    digest.strip_prefix("sha256:").unwrap_or(digest)
}

/// Repository and tag of a content-addressed build: `orders:0123456789ab`.
fn content_tag(name: &str) -> Option<(&str, &str)> {
    let (repository, tag) = name.rsplit_once(':')?;
    super::is_content_tag(tag).then_some((repository, tag))
}
