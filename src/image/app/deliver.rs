//! An application image to where it is used: all nodes and the engine side by side. What cannot be done the quick way
//! is done in a slower one, and that is told.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use serde::{Serialize, Serializer};

use super::archive::{Archive, Contents, Inside};
use super::layer::Content;
use super::node::{self, Outcome, Wanted};
use super::{AppImage, direct, engine as into_engine};
use crate::container::Engine;
use crate::diag::{Failure, Reason, Result};
use crate::engine::StepCx;
use crate::env::Env;
use crate::image::containerd;
use crate::image::load::{self, Cache, Image, Layer, LoadReport, normalize};
use crate::image::store::{host_lock, process_lock, write_whole};

/// Where an image goes.
#[derive(Debug, Clone, Default)]
pub struct Targets {
    /// Containers of nodes.
    pub nodes: Vec<String>,
    /// Whether it goes into the engine, too.
    pub engine: bool,
}

/// How an image came to be where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// It was there.
    Unchanged,
    /// Missing layers were handed over.
    Layers,
    /// Missing layers, some of the base's among them or large ones, were laid into the node's store as files.
    Files,
    /// All layers were handed over in one archive.
    Archive,
}

/// By what a node was spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// containerd's API, at the node's socket.
    Api,
    /// Programs in the node: from here its socket cannot be reached.
    Exec,
}

/// What was done for a node.
#[derive(Debug, Clone, Serialize)]
pub struct NodeDelivery {
    /// The node's container.
    pub node: String,
    /// How.
    pub way: Way,
    /// By what.
    pub by: By,
    /// How many layers travelled.
    pub layers: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Older builds that nothing used and that are gone.
    pub removed: Vec<String>,
    /// How long it took.
    #[serde(serialize_with = "seconds", rename = "seconds")]
    pub took: Duration,
}

/// What was done for the engine.
#[derive(Debug, Clone, Serialize)]
pub struct EngineDelivery {
    /// How.
    pub way: Way,
    /// Older builds that nothing used and that are gone.
    pub removed: Vec<String>,
    /// How long it took.
    #[serde(serialize_with = "seconds", rename = "seconds")]
    pub took: Duration,
}

/// What was done.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Delivery {
    /// For each node, in the order in which they were named.
    pub nodes: Vec<NodeDelivery>,
    /// For the engine.
    pub engine: Option<EngineDelivery>,
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_f64((duration.as_secs_f64() * 1000.0).round() / 1000.0)
}

/// Brings an image to its targets, sees it there, and removes older builds of the same name that nothing uses. Builds
/// of one name wait for each other.
///
/// # Errors
/// [`Reason::ImageLoadFailed`] if a target does not have it after all; [`Reason::DiskShort`] if a node is full;
/// [`Reason::ImageUnavailable`] if a node is of another architecture. What the other targets got stays.
pub async fn deliver(engine: &Engine, env: &Env, image: &AppImage, targets: &Targets, cx: &StepCx) -> Result<Delivery> {
    let other = format!("another build of {}", image.app);
    let _one = host_lock(env, &format!("app {}", image.app), &other, cx).await?;
    let cache = Cache::of(engine, env).await?;
    let reference = normalize(&image.name, engine.default_registry().await?);
    let route = Route {
        engine,
        env,
        cache,
        wanted: Wanted::new(image, reference, Vec::new()),
        cx,
    };
    let route = route.with_sizes();
    let nodes = join_all(targets.nodes.iter().map(|name| route.node(name)));
    let engines = async {
        if targets.engine {
            route.engine().await.map(Some)
        } else {
            Ok(None)
        }
    };
    let (nodes, engine) = tokio::join!(nodes, engines);
    Ok(Delivery {
        nodes: nodes.into_iter().collect::<Result<_>>()?,
        engine: engine?,
    })
}

/// The image on its way.
struct Route<'a> {
    engine: &'a Engine,
    env: &'a Env,
    cache: Cache,
    wanted: Wanted<'a>,
    cx: &'a StepCx,
}

impl Route<'_> {
    /// Sizes of the base's layers are known where the cache has them; the node does not need them.
    fn with_sizes(mut self) -> Self {
        let image = self.wanted.image;
        let base = image.base.layers();
        let mut layers = self.cache.layers(&base).unwrap_or_else(|| {
            let unknown = base.into_iter().map(|digest| Layer { digest, size: 0 });
            unknown.collect()
        });
        layers.extend(image.layers.iter().map(|layer| Layer {
            digest: layer.digest.clone(),
            size: layer.size,
        }));
        self.wanted = Wanted::new(image, self.wanted.reference, layers);
        self
    }

    async fn engine(&self) -> Result<EngineDelivery> {
        let start = Instant::now();
        let way = into_engine::bring(self.engine, &self.wanted, async || self.whole().await, self.cx).await?;
        let removed = into_engine::tidy(self.engine, self.wanted.image).await?;
        Ok(EngineDelivery {
            way,
            removed,
            took: start.elapsed(),
        })
    }

    async fn node(&self, node: &str) -> Result<NodeDelivery> {
        let start = Instant::now();
        let lock = process_lock(&format!("node {node}"));
        let _one = lock.lock().await;
        let done = self.ladder(node).await?;
        Ok(NodeDelivery {
            node: node.to_owned(),
            way: done.way,
            by: done.by,
            layers: done.layers,
            bytes: done.bytes,
            removed: done.removed,
            took: start.elapsed(),
        })
    }

    /// One way after the other, until the node has the image.
    async fn ladder(&self, node: &str) -> Result<node::Done> {
        let mut tried = Vec::new();
        if let Ok(direct) = containerd::open(self.engine, self.env, node).await? {
            match self.directly(&direct).await {
                Ok(done) => return Ok(done),
                Err(failure) => self.down(node, failure, &mut tried)?,
            };
        }
        let first = node::bring(self.engine, node, &self.wanted, true, self.cx).await;
        let cold = match first {
            Ok(Outcome::Done(done)) => return Ok(done),
            Ok(Outcome::Large { cold }) => cold,
            Ok(Outcome::No(failure)) => self.down(node, failure, &mut tried)?,
            Err(failure) => self.down(node, failure, &mut tried)?,
        };
        let base = self.wanted.image.base.layers();
        if !cold && tried.is_empty() && self.cache.layers(&base).is_none() {
            // taking the base out of the engine, only to have its large companions laid down as files, takes longer
            match node::bring(self.engine, node, &self.wanted, false, self.cx).await {
                Ok(Outcome::Done(done)) => return Ok(done),
                Ok(Outcome::Large { .. }) => {}
                Ok(Outcome::No(failure)) | Err(failure) => {
                    self.down(node, failure, &mut tried)?;
                }
            }
        }
        match self.files(node).await {
            Ok(done) => return Ok(done),
            Err(failure) => self.down(node, failure, &mut tried)?,
        };
        match self.archive(node).await {
            Ok(done) => Ok(done),
            Err(failure) => Err(tried.into_iter().fold(judge(node, failure), Failure::evidence)),
        }
    }

    /// Notes that a way failed; an error if no other way would help. Whether the base may be missing: nobody knows.
    fn down(&self, node: &str, failure: Failure, tried: &mut Vec<String>) -> Result<bool> {
        let failure = judge(node, failure);
        if failure.id() != Reason::ImageLoadFailed && failure.id() != Reason::FileUnreadable {
            return Err(failure);
        }
        let words = failure.detail().evidence.join(" ");
        let text = format!("{failure} {}", words.trim());
        self.cx.events().note(format!(
            "{} goes into {node} a slower way: {text}",
            self.wanted.image.name
        ));
        tried.push(text);
        Ok(true)
    }

    /// By containerd's API; where layers of the base are missing, all from the cache.
    async fn directly(&self, node: &Arc<containerd::Node>) -> Result<node::Done> {
        match direct::bring(node, &self.wanted, self.cx).await? {
            Outcome::Done(done) => return Ok(done),
            Outcome::No(failure) => return Err(failure),
            Outcome::Large { .. } => {}
        }
        self.keep_own()?;
        let image = self.wanted.image;
        let base = (image.base.name.clone(), image.base.id.clone());
        let mut layers = load::base_layers(self.engine, &self.cache, &image.base.layers(), &base).await?;
        let own = self.wanted.layers.len() - image.layers.len();
        layers.extend_from_slice(&self.wanted.layers[own..]);
        let wanted = Wanted::new(image, self.wanted.reference.clone(), layers);
        let whole = Image {
            reference: wanted.reference.clone(),
            id: image.id.clone(),
            config: image.config.clone(),
            layers: wanted.layers.clone(),
        };
        let mut report = LoadReport::default();
        load::direct::bring(node, &self.cache, &[whole], &mut report, self.cx).await?;
        let removed = direct::confirm(node, &wanted, self.cx).await?;
        Ok(node::Done {
            way: Way::Files,
            by: By::Api,
            layers: report.layers,
            bytes: report.bytes,
            removed,
        })
    }

    /// Layers laid into the node's store as files, the base's from the cache.
    async fn files(&self, node: &str) -> Result<node::Done> {
        let image = self.wanted.image;
        self.keep_own()?;
        let wanted = Image {
            reference: self.wanted.reference.clone(),
            id: image.id.clone(),
            config: image.config.clone(),
            layers: self.wanted.layers.clone(),
        };
        let base = (image.base.name.clone(), image.base.id.clone());
        let (layers, bytes) = load::load_cached(self.engine, &self.cache, node, wanted, &base, self.cx).await?;
        let removed = node::confirm(self.engine, node, &self.wanted).await?;
        Ok(node::Done {
            way: Way::Files,
            by: By::Exec,
            layers,
            bytes,
            removed,
        })
    }

    /// Own layers into the cache, where they are not yet.
    fn keep_own(&self) -> Result<()> {
        for layer in &self.wanted.image.layers {
            if let Content::Memory(bytes) = &layer.content {
                write_whole(&self.cache.blob(&layer.digest), bytes)
                    .map_err(|e| Failure::new(Reason::FileUnreadable, "a layer could not be kept").cause(&e))?;
            }
        }
        Ok(())
    }

    /// All layers with their bytes; the base's are taken out of the engine if they must be.
    async fn whole(&self) -> Result<Vec<Inside>> {
        let image = self.wanted.image;
        let base = (image.base.name.clone(), image.base.id.clone());
        let layers = load::base_layers(self.engine, &self.cache, &image.base.layers(), &base).await?;
        let below = layers.into_iter().map(|layer| Inside {
            content: Content::Cached(self.cache.blob(&layer.digest)),
            layer,
        });
        Ok(below.chain(self.wanted.own()).collect())
    }

    /// Everything in one archive, through `ctr`.
    async fn archive(&self, node: &str) -> Result<node::Done> {
        let inside = self.whole().await?;
        let layers: Vec<Layer> = inside.iter().map(|inside| inside.layer.clone()).collect();
        let archive = Archive::new(&Contents {
            image: self.wanted.image,
            reference: &self.wanted.reference,
            layers: &layers,
            inside: &inside,
        })
        .map_err(|e| Failure::new(Reason::Internal, "the image could not be packed").cause(&e))?;
        node::import(self.engine, node, &self.wanted, &archive).await?;
        let removed = node::confirm(self.engine, node, &self.wanted).await?;
        Ok(node::Done {
            way: Way::Archive,
            by: By::Exec,
            layers: layers.len(),
            bytes: archive.size(),
            removed,
        })
    }
}

/// A full disk shows itself in many words.
fn judge(node: &str, failure: Failure) -> Failure {
    let full = |text: &String| text.to_lowercase().contains("no space left");
    if failure.id() == Reason::ImageLoadFailed && failure.detail().evidence.iter().any(full) {
        return failure
            .detail()
            .evidence
            .iter()
            .fold(node::disk_short(node), Failure::evidence);
    }
    failure
}
