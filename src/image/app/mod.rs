//! Images of applications: files over a base image, made on this machine without a Dockerfile and without the engine
//! building anything. The same input gives the same image, byte for byte; its tag is taken from its id.

mod archive;
mod base;
mod check;
mod config;
mod deliver;
mod direct;
mod engine;
mod jar;
mod layer;
mod name;
mod node;
#[cfg(test)]
mod real_tests;
mod session;
mod target;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use bytes::Bytes;
use serde::Serialize;

pub use self::base::Base;
pub use self::check::Subject;
pub use self::deliver::{By, Delivery, EngineDelivery, NodeDelivery, Targets, Way, deliver};
pub use self::jar::{Into, Jar, Jars, from_jars};
pub use self::layer::Layer;
pub use self::name::{default_name, parse_name};
use super::load::{Cache, sha256};
use crate::container::Engine;
use crate::diag::{Failure, Reason, Result};
use crate::env::Env;

/// Label of an image that was made here: its name without the tag.
pub const APP_LABEL: &str = "dev.flink.app";

/// Label with the main class that was named when the image was made.
pub const MAIN_LABEL: &str = "dev.flink.main";

/// Label with the name of the image it stands on, as OCI's annotations call it.
pub const BASE_LABEL: &str = "org.opencontainers.image.base.name";

/// User and group of files and of folders that are new: `flink` in Flink's images.
pub const OWNER: u64 = 9999;

/// Where a file's bytes come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file of this machine, read when its layer is made.
    Path(PathBuf),
    /// Bytes at hand.
    Bytes(Bytes),
}

/// A file of an image, owned by [`OWNER`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its absolute path in the image.
    pub target: String,
    /// Its bytes.
    pub source: Source,
    /// Its permissions, e.g. `0o644`.
    pub mode: u32,
}

/// Files that become one layer.
#[derive(Debug, Clone)]
pub struct Group {
    /// What they are, for people and in the image's history: `libraries`.
    pub title: String,
    /// The files, in any order.
    pub files: Vec<File>,
}

/// What an image is made of.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Its name without a tag; see [`parse_name`].
    pub name: String,
    /// Layers over the base's, what changes least first. Empty groups make no layer.
    pub groups: Vec<Group>,
    /// Variables of the environment over the base's.
    pub env: BTreeMap<String, String>,
    /// Labels over the base's.
    pub labels: BTreeMap<String, String>,
}

/// An image that was made here.
#[derive(Debug, Clone, Serialize)]
pub struct AppImage {
    /// Its name with its tag, the first twelve digits of its id.
    pub name: String,
    /// Its name without the tag.
    pub app: String,
    /// `sha256:` and the digest of its configuration.
    pub id: String,
    /// The image it stands on.
    pub base: Base,
    /// Its own layers, lowest first.
    pub layers: Vec<Layer>,
    #[serde(skip)]
    config: Vec<u8>,
}

impl AppImage {
    /// All layers' digests in hex, the base's first.
    fn digests(&self) -> Vec<String> {
        let base = self.base.layers().into_iter();
        base.chain(self.layers.iter().map(|layer| layer.digest.clone()))
            .collect()
    }
}

/// Makes an image; nothing but files in the cache is written.
///
/// # Errors
/// [`Reason::Usage`] for a path in the image that cannot be; [`Reason::FileUnreadable`] for a file that cannot be read;
/// what the engine answers when it is asked for the base's folders.
pub async fn assemble(engine: &Engine, env: &Env, base: &Base, spec: &Spec) -> Result<AppImage> {
    let groups = target::clean(&spec.groups)?;
    let folders: BTreeSet<String> = groups
        .iter()
        .flat_map(|group| group.files.iter().flat_map(|file| target::folders_above(&file.target)))
        .collect();
    let known = base::folders(engine, env, base, &folders).await?;
    let cache = Cache::of(engine, env).await?;
    let made = tokio::task::spawn_blocking(move || {
        let layers = groups.iter().map(|group| layer::make(&cache, group, &known));
        layers.collect::<Result<Vec<_>>>()
    });
    let layers = made
        .await
        .map_err(|e| Failure::new(Reason::Internal, "making layers panicked").cause(&e))??;
    let config = config::of(base, &layers, spec);
    let digest = sha256(&config);
    Ok(AppImage {
        name: format!("{}:{}", spec.name, &digest[..name::TAG_DIGITS]),
        app: spec.name.clone(),
        id: format!("sha256:{digest}"),
        base: base.clone(),
        layers,
        config,
    })
}
