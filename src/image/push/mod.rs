//! Images that the engine has, into the cache of layers, by a push to a registry inside this process: only layers that
//! the cache lacks leave the engine, and nothing is written twice. An export (`docker save`) writes all of them, every
//! time.
//!
//! It works where the engine's loopback is this machine's. Elsewhere (another machine, a virtual machine, an engine
//! without root in a network of its own) the engine cannot reach the registry, and the caller goes the other way.

#[cfg(test)]
mod real_tests;
mod registry;
mod route;
#[cfg(test)]
mod tests;
mod upload;

use std::fmt;
use std::path::PathBuf;

use serde_json::Value;

use self::registry::{Registry, Traffic};
use super::load::{Cache, Candidate, whole};
use super::store::{process_lock, write_whole};
use crate::container::{Engine, ImageInfo};
use crate::diag::{Failure, Reason, Result};
use crate::engine::StepCx;
use crate::env::Env;

/// Repository of pushes. An engine remembers by it what the registry has.
pub(super) const REPOSITORY: &str = "flink-dev/push";

/// Repository of a second attempt: to an engine it is one that it never pushed to.
const AGAIN: &str = "flink-dev/push-again";

/// Indexes name indexes; nobody nests them deeper than this.
const DEPTH: usize = 4;

/// What a push brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pushed(Traffic);

impl fmt::Display for Pushed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Traffic { layers, bytes, skipped } = self.0;
        let kilobytes = bytes.div_ceil(1000);
        write!(
            f,
            "{layers} layers ({kilobytes} kB) left the engine, {skipped} were there"
        )
    }
}

/// Whether names like this one are those of pushes, left behind by a killed process.
pub(super) fn is_leftover(name: &str) -> bool {
    name.starts_with("127.0.0.1:") && [REPOSITORY, AGAIN].iter().any(|r| name.contains(&format!("/{r}:")))
}

/// Brings an image of the engine into the cache.
///
/// # Errors
/// [`Reason::ImageLoadFailed`] if this engine cannot push to this process, or if what came is not the image.
pub(super) async fn into_cache(
    engine: &Engine,
    env: &Env,
    cache: &Cache,
    name: &str,
    image: &ImageInfo,
    cx: &StepCx,
) -> Result<Pushed> {
    if !engine.is_local() {
        return Err(failed(name).evidence("the engine is on another machine: it has no way to this process"));
    }
    let lock = process_lock("push");
    let _one = lock.lock().await;
    let start = async {
        cache.prepare()?;
        let registry = Registry::start(cache, remembered_port(env)).await?;
        // the same address again, and the engine knows what it already pushed there
        write_whole(&port_file(env), registry.port().to_string().as_bytes())?;
        Ok::<_, std::io::Error>(registry)
    };
    let registry = start.await.map_err(|e| failed(name).cause(&e))?;
    let first = push(engine, &registry, REPOSITORY, cache, image, cx).await;
    let skipped = registry.skipped();
    match first {
        Ok(()) => {}
        // what was "there already" may have gone meanwhile, or may never have been what it was taken for
        Err(failure) if !skipped.is_empty() && registry.failed().is_none() => {
            cx.waiting(format!("once more, with all layers: {failure}"));
            registry.refuse(skipped);
            push(engine, &registry, AGAIN, cache, image, cx)
                .await
                .map_err(|again| described(&again, &registry, name).evidence(failure.to_string()))?;
        }
        Err(failure) => return Err(described(&failure, &registry, name)),
    }
    Ok(Pushed(registry.traffic()))
}

fn failed(name: &str) -> Failure {
    Failure::new(
        Reason::ImageLoadFailed,
        format!("{name} could not be pushed to this process"),
    )
}

/// The push's failure; the registry's own error tells more than the engine's report of it.
fn described(failure: &Failure, registry: &Registry, name: &str) -> Failure {
    let mut all = failed(name).evidence(failure.to_string());
    for seen in &failure.detail().evidence {
        all = all.evidence(seen);
    }
    match registry.failed() {
        Some(own) => all.evidence(own),
        None => all,
    }
}

async fn push(
    engine: &Engine,
    registry: &Registry,
    repository: &str,
    cache: &Cache,
    image: &ImageInfo,
    cx: &StepCx,
) -> Result<()> {
    let host = format!("127.0.0.1:{}/{repository}", registry.port());
    let tag: String = image.id.trim_start_matches("sha256:").chars().take(12).collect();
    let name = format!("{host}:{tag}");
    engine.tag(&image.id, &name).await?;
    let pushed = engine.push(&name, cx).await;
    // its name goes in any case; the image keeps its own
    let untagged = engine.remove_image(&name).await;
    pushed?;
    untagged?;
    let manifest = registry.tagged(repository, &tag);
    let manifest = manifest.ok_or_else(|| failed(&name).evidence("the push ended without a manifest"))?;
    let mut why = None;
    let found = find(registry, cache, &manifest, &mut Vec::new(), DEPTH, &mut why);
    let wanted: Vec<&str> = image
        .diff_ids
        .iter()
        .map(|id| id.trim_start_matches("sha256:"))
        .collect();
    // of an index, the image that the engine runs
    let Some(found) = found.into_iter().find(|c| c.layers == wanted) else {
        return Err(failed(&name).evidence(why.unwrap_or_else(|| "what came is another image".to_owned())));
    };
    cache.enter(&image.id, &found).map_err(|e| failed(&name).cause(&e))
}

/// The whole images that a manifest or an index leads to; `why` gets the reason for one that is not whole.
fn find(
    registry: &Registry,
    cache: &Cache,
    digest: &str,
    ids: &mut Vec<String>,
    depth: usize,
    why: &mut Option<String>,
) -> Vec<Candidate> {
    let Some(bytes) = registry.text(digest) else {
        return Vec::new();
    };
    let Ok(manifest) = serde_json::from_slice::<Value>(&bytes) else {
        return Vec::new();
    };
    ids.push(format!("sha256:{digest}"));
    let hex = |value: &Value| {
        value["digest"]
            .as_str()
            .unwrap_or_default()
            .trim_start_matches("sha256:")
            .to_owned()
    };
    if let Some(children) = manifest["manifests"].as_array() {
        if depth == 0 {
            return Vec::new();
        }
        let children = children.iter().map(hex);
        return children
            .flat_map(|child| find(registry, cache, &child, &mut ids.clone(), depth - 1, why))
            .collect();
    }
    let Some(config) = registry.text(&hex(&manifest["config"])) else {
        why.get_or_insert_with(|| "the configuration did not come".to_owned());
        return Vec::new();
    };
    let mut layers = Vec::new();
    for layer in manifest["layers"].as_array().into_iter().flatten() {
        match cache.layer_of(&hex(layer)) {
            Some((diff_id, _)) => layers.push(diff_id),
            None => {
                why.get_or_insert_with(|| format!("the layer {} is not there", hex(layer)));
                return Vec::new();
            }
        }
    }
    match whole(Vec::new(), ids.clone(), &config, Some(&layers)) {
        Ok(candidate) => vec![candidate],
        Err(error) => {
            why.get_or_insert_with(|| error.to_string());
            Vec::new()
        }
    }
}

fn port_file(env: &Env) -> PathBuf {
    env.cache_dir().join("push-port")
}

/// The port of the last push; 0 (any) if there was none.
fn remembered_port(env: &Env) -> u16 {
    let text = fs_err::read_to_string(port_file(env)).unwrap_or_default();
    text.trim().parse().unwrap_or_default()
}
