//! Images into a node, fast: only missing layers travel, as plain files, from this machine's cache, and containerd
//! adopts them instead of copying them once more. An image gets its name only when all of it is unpacked.

mod alone;
mod archive;
#[cfg(test)]
mod archive_tests;
mod cache;
pub(super) mod ctr;
pub(super) mod direct;
mod layout;
mod node;
#[cfg(test)]
pub(in crate::image) mod real_tests;
mod reference;

use std::collections::BTreeSet;
use std::fmt;
use std::io::Read;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::try_join_all;
use serde::Serialize;
use tokio_util::io::StreamReader;

pub(super) use self::archive::{Blob, Candidate, JSON_LIMIT, whole};
pub(super) use self::cache::Cache;
pub(super) use self::layout::{Image, LAYER, LOADED_BY, Layer, MANIFEST, STAGE, chain_ids, manifest, sha256};
use self::layout::{Wave, plan, stage_tar};
pub(super) use self::node::ID_LABEL;
pub use self::node::MOUNTED_BLOBS;
pub(super) use self::reference::normalize;
use super::containerd;
use super::store::process_lock;
use crate::container::{Engine, Stdin};
use crate::diag::{Failure, Reason, Result};
use crate::engine::StepCx;
use crate::env::Env;

/// How often the fast way is tried: containerd may be restarted while a cluster is made.
const ATTEMPTS: usize = 2;

/// How many bytes travel at once.
const CHUNK: usize = 1 << 20;

/// What a load did.
#[derive(Debug, Clone, Default, Serialize)]
pub struct LoadReport {
    /// Images that the node lacked and has now.
    pub loaded: Vec<String>,
    /// Images that it had.
    pub kept: Vec<String>,
    /// Layers that travelled.
    pub layers: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Why the slow way was taken, if it was.
    pub fallback: Option<String>,
    /// How long it took.
    #[serde(skip)]
    pub took: Duration,
}

impl LoadReport {
    /// Whether the node has something that it had not before.
    pub fn moved_anything(&self) -> bool {
        !self.loaded.is_empty()
    }
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.loaded.is_empty() {
            return write!(f, "the node has all {} images", self.kept.len());
        }
        let (images, megabytes) = (self.loaded.len(), self.bytes / 1_000_000);
        write!(f, "{images} images in the node, {} layers, {megabytes} MB", self.layers)?;
        write!(f, " in {:.1} s", self.took.as_secs_f64())?;
        if self.fallback.is_some() {
            write!(f, " by `ctr images import`")?;
        }
        Ok(())
    }
}

/// The folder of layers on this machine, made if need be; a node that has it mounted at [`MOUNTED_BLOBS`] reads layers
/// from there, and none has to travel.
///
/// # Errors
/// [`Reason::FileUnreadable`] if it cannot be made.
pub fn blobs_dir(env: &Env) -> Result<PathBuf> {
    let dir = cache::blobs_of(&env.cache_dir());
    fs_err::create_dir_all(&dir)
        .map_err(|e| Failure::new(Reason::FileUnreadable, "there is no place for the cache of layers").cause(&e))?;
    Ok(dir)
}

/// Keeps the layers of images in the cache, so that loading them asks nothing of the engine.
///
/// # Errors
/// [`Reason::ImageLoadFailed`], [`Reason::ImageUnavailable`].
pub(super) async fn remember(engine: &Engine, env: &Env, names: &[String]) -> Result<()> {
    let images = identify(engine, names).await?;
    cached(engine, &Cache::of(engine, env).await?, &images)
        .await
        .map(|_| ())
}

/// Names of the images that the node lacks: not there under this name with complete content, or from another image
/// than the engine's. An image that the engine does not have counts as lacking.
///
/// # Errors
/// [`Reason::ImageLoadFailed`] if the node does not answer; what the engine answers.
pub async fn missing_in_node(engine: &Engine, node: &str, images: &[String]) -> Result<Vec<String>> {
    if images.is_empty() {
        return Ok(Vec::new());
    }
    let registry = engine.default_registry().await?;
    let references: Vec<String> = images.iter().map(|name| normalize(name, registry)).collect();
    let ids = try_join_all(images.iter().map(|name| engine.image(name)));
    let (known, ids) = tokio::try_join!(node::known(engine, node, &references), ids)?;
    let lacks = images
        .iter()
        .zip(&references)
        .zip(ids)
        .filter_map(|((name, reference), image)| {
            let id = image.map(|image| image.id).unwrap_or_default();
            let lacking = node::lacking(&known, [(reference.as_str(), id.as_str())]);
            (!lacking.is_empty()).then(|| name.clone())
        });
    Ok(lacks.collect())
}

/// Brings images of the engine into the node's containerd, what is missing only, and checks each there. Waits for the
/// node and its containerd, and may run while kubeadm does.
///
/// # Errors
/// [`Reason::ImageUnavailable`] if the engine lacks one; [`Reason::ImageLoadFailed`] if the node did not take them,
/// neither as layers nor as an archive.
pub async fn load(engine: &Engine, env: &Env, node: &str, images: &[String], cx: &StepCx) -> Result<LoadReport> {
    let start = Instant::now();
    let lock = process_lock(&format!("node {node}"));
    let _one = lock.lock().await;
    let identified = identify(engine, images).await?;
    let cache = Cache::of(engine, env).await?;
    // the cache is filled, if it must be, while the node boots
    let (found, all) = tokio::join!(node::state(engine, node, cx), cached(engine, &cache, &identified));
    let mut state = found?;
    let mut report = LoadReport::default();
    let mut why_not = match &all {
        Ok(_) => None,
        Err(failure) => Some(failure.clone()),
    };
    let lacking = missing_in_node(engine, node, images).await?;
    report.kept = images.iter().filter(|name| !lacking.contains(name)).cloned().collect();
    report.loaded.clone_from(&lacking);
    if let (Ok(all), false) = (all, lacking.is_empty()) {
        let registry = engine.default_registry().await?;
        let wanted: Vec<String> = lacking.iter().map(|name| normalize(name, registry)).collect();
        let images: Vec<Image> = all
            .into_iter()
            .filter(|image| wanted.contains(&image.reference))
            .collect();
        let by_api = match by_api(engine, env, &cache, node, &images, &mut report, cx).await {
            Ok(done) => done,
            Err(failure) if failure.id() == Reason::TimedOut => return Err(failure),
            Err(failure) => {
                let words = failure.detail().evidence.join(" ");
                cx.events()
                    .note(format!("images go into {node} by programs in it: {failure} {words}"));
                why_not = Some(failure);
                false
            }
        };
        for attempt in if by_api { 0..0 } else { 1..ATTEMPTS + 1 } {
            match adopt(engine, &cache, node, &state, &images, &mut report, cx).await {
                Ok(()) => {
                    why_not = None;
                    break;
                }
                Err(failure) => why_not = Some(failure),
            }
            if attempt < ATTEMPTS {
                cx.waiting("the node did not take the layers, once more");
                state = node::state(engine, node, cx).await?;
            } else {
                // their bytes may be what was wrong
                cache.forget_wrong(&images).await?;
            }
        }
    }
    if let (Some(failure), false) = (why_not, lacking.is_empty()) {
        import(engine, node, &state, &identified, &lacking, &failure, cx).await?;
        report.fallback = Some(failure.to_string());
    }
    report.took = start.elapsed();
    Ok(report)
}

/// Brings one image into a node, its layers from the cache: those of `base` (name and id) are taken from the engine
/// first if they must be, the others have to be there. The caller holds the node's lock of this process. Tells how many
/// layers travelled and their bytes.
///
/// # Errors
/// [`Reason::ImageLoadFailed`].
pub(super) async fn load_cached(
    engine: &Engine,
    cache: &Cache,
    node: &str,
    image: Image,
    base: &(String, String),
    cx: &StepCx,
) -> Result<(usize, u64)> {
    let digests: Vec<String> = image.layers.iter().map(|layer| layer.digest.clone()).collect();
    let layers = base_layers(engine, cache, &digests, base).await?;
    let state = node::state(engine, node, cx).await?;
    let mut report = LoadReport::default();
    adopt(
        engine,
        cache,
        node,
        &state,
        &[Image { layers, ..image }],
        &mut report,
        cx,
    )
    .await?;
    Ok((report.layers, report.bytes))
}

/// Layers from the cache by their digests in hex; those that it lacks are taken out of the engine's image `base` (name
/// and id).
///
/// # Errors
/// [`Reason::ImageLoadFailed`] if that does not have them.
pub(super) async fn base_layers(
    engine: &Engine,
    cache: &Cache,
    digests: &[String],
    base: &(String, String),
) -> Result<Vec<Layer>> {
    if let Some(layers) = cache.layers(digests) {
        return Ok(layers);
    }
    let lock = process_lock("layers");
    let _one = lock.lock().await;
    cache.fill(engine, std::slice::from_ref(base)).await?;
    cache
        .layers(digests)
        .ok_or_else(|| Failure::new(Reason::ImageLoadFailed, "layers that were just kept are gone"))
}

/// Name and id of images in the engine.
async fn identify(engine: &Engine, names: &[String]) -> Result<Vec<(String, String)>> {
    let identified = names.iter().map(|name| async move {
        match engine.image(name).await? {
            Some(image) => Ok((name.clone(), image.id)),
            None => {
                Err(Failure::new(Reason::ImageUnavailable, format!("the engine has no image {name}")).next("dev up"))
            }
        }
    });
    try_join_all(identified).await
}

/// The images from the cache; what it lacks is taken from the engine first.
async fn cached(engine: &Engine, cache: &Cache, images: &[(String, String)]) -> Result<Vec<Image>> {
    let lock = process_lock("layers");
    let _one = lock.lock().await;
    let absent: Vec<(String, String)> = images
        .iter()
        .filter(|(name, id)| cache.image(name, id).is_none())
        .cloned()
        .collect();
    if !absent.is_empty() {
        cache.fill(engine, &absent).await?;
    }
    let all: Option<Vec<Image>> = images.iter().map(|(name, id)| cache.image(name, id)).collect();
    all.ok_or_else(|| Failure::new(Reason::ImageLoadFailed, "layers that were just kept are gone"))
}

/// By containerd's API, where it can be spoken to. Whether that is so.
async fn by_api(
    engine: &Engine,
    env: &Env,
    cache: &Cache,
    node: &str,
    images: &[Image],
    report: &mut LoadReport,
    cx: &StepCx,
) -> Result<bool> {
    for attempt in 1..=ATTEMPTS {
        let Ok(direct) = containerd::open(engine, env, node).await? else {
            return Ok(false);
        };
        match direct::bring(&direct, cache, images, report, cx).await {
            Ok(()) => return Ok(true),
            Err(failure) if attempt == ATTEMPTS || failure.id() == Reason::TimedOut => return Err(failure),
            Err(failure) => {
                cx.waiting(format!("once more: {failure}"));
                node::state(engine, node, cx).await?;
            }
        }
    }
    Ok(false)
}

/// The fast way by programs in the node, and the check that it worked.
async fn adopt(
    engine: &Engine,
    cache: &Cache,
    node: &str,
    state: &node::State,
    images: &[Image],
    report: &mut LoadReport,
    cx: &StepCx,
) -> Result<()> {
    let waves = plan(images, &state.chains, &state.blobs);
    let mut digests = vec![String::new(); images.len()];
    for unit in waves.iter().flat_map(|wave| wave.units.iter().flatten()) {
        if let Some(index) = unit.image {
            digests[index].clone_from(&unit.digest);
        }
    }
    report.layers = waves.iter().map(|wave| wave.layers.len()).sum();
    report.bytes = waves.iter().flat_map(|wave| &wave.layers).map(|layer| layer.size).sum();
    let stage = stage_tar(&waves)
        .map_err(|e| Failure::new(Reason::Internal, "the images' manifests could not be packed").cause(&e))?;
    node::take(
        engine,
        node,
        state,
        send(
            cache.clone(),
            stage,
            waves,
            images.to_vec(),
            report.bytes,
            state.mounted.clone(),
            cx.clone(),
        ),
    )
    .await?;
    let references: Vec<String> = images.iter().map(|image| image.reference.clone()).collect();
    let wrong = node::unverified(&node::known(engine, node, &references).await?, images, &digests);
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        Reason::ImageLoadFailed,
        format!("{node} does not have what it was given"),
    )
    .evidence(wrong.join("\n")))
}

/// The input of the node's script, read from the cache as it is asked for.
fn send(
    cache: Cache,
    stage: Vec<u8>,
    waves: Vec<Wave>,
    images: Vec<Image>,
    total: u64,
    mounted: BTreeSet<String>,
    cx: StepCx,
) -> Stdin {
    let (sender, receiver) = tokio::sync::mpsc::channel::<std::io::Result<Bytes>>(4);
    tokio::task::spawn_blocking(move || {
        // a receiver that is gone means that the script ended: it tells why
        let put = |bytes: Vec<u8>| sender.blocking_send(Ok(Bytes::from(bytes))).map_err(|_| gone());
        let run = || -> std::io::Result<()> {
            let mut sent = 0;
            put(format!("file stage.tar {}\n", stage.len()).into_bytes())?;
            put(stage)?;
            put(b"stage stage.tar\n".to_vec())?;
            for wave in &waves {
                for layer in &wave.layers {
                    if mounted.contains(&layer.digest) {
                        put(format!("mounted {} {}\n", layer.digest, layer.size).into_bytes())?;
                        sent += layer.size;
                        continue;
                    }
                    put(format!("layer {} {}\n", layer.digest, layer.size).into_bytes())?;
                    let mut file = fs_err::File::open(cache.blob(&layer.digest))?.take(layer.size);
                    loop {
                        let mut chunk = Vec::with_capacity(CHUNK);
                        let length = (&mut file).take(CHUNK as u64).read_to_end(&mut chunk)?;
                        if length == 0 {
                            break;
                        }
                        put(chunk)?;
                        sent += length as u64;
                        cx.progress(sent, total, "bytes", "layers into the node");
                    }
                }
                // the wave before has had the time of this one's layers
                put(b"wait\n".to_vec())?;
                for units in &wave.units {
                    let digests: Vec<&str> = units.iter().map(|unit| unit.digest.as_str()).collect();
                    put(format!("unpack {}\n", digests.join(" ")).into_bytes())?;
                }
            }
            put(b"wait\n".to_vec())?;
            for unit in waves.iter().flat_map(|wave| wave.units.iter().flatten()) {
                match unit.image.and_then(|index| images.get(index)) {
                    Some(image) => {
                        put(format!("name {} {} {}\n", unit.stage, image.reference, image.id).into_bytes())?;
                    }
                    None => put(format!("drop {}\n", unit.stage).into_bytes())?,
                }
            }
            put(b"end\n".to_vec())
        };
        if let Err(error) = run() {
            let _ = sender.blocking_send(Err(error));
        }
    });
    let parts = futures::stream::unfold(receiver, |mut receiver| async move {
        let part = receiver.recv().await?;
        Some((part, receiver))
    });
    Box::pin(StreamReader::new(Box::pin(parts)))
}

fn gone() -> std::io::Error {
    std::io::Error::from(std::io::ErrorKind::BrokenPipe)
}

/// The slow way, with a note why, and the check that it worked.
async fn import(
    engine: &Engine,
    node: &str,
    state: &node::State,
    identified: &[(String, String)],
    lacking: &[String],
    why: &Failure,
    cx: &StepCx,
) -> Result<()> {
    let evidence = why.detail().evidence.join(" ");
    cx.events()
        .note(format!("images go into {node} the slow way: {why} {evidence}"));
    let registry = engine.default_registry().await?;
    let images: Vec<(String, String, String)> = identified
        .iter()
        .filter(|(name, _)| lacking.contains(name))
        .map(|(name, id)| (name.clone(), normalize(name, registry), id.clone()))
        .collect();
    node::import(engine, node, state, &images)
        .await
        .map_err(|failure| failure.evidence(why.to_string()))?;
    let still = missing_in_node(engine, node, lacking).await?;
    if still.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        Reason::ImageLoadFailed,
        format!("{node} does not have {} after the import", still.join(", ")),
    ))
}
