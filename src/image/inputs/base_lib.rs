//! The connectors that lie in a base image's `lib` folder: Flink loads them before those of an application.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::LIB;
use crate::container::Engine;
use crate::diag::{Reason, Result};
use crate::env::Env;
use crate::image::app::Base;
use crate::image::jar::{self, Artifact, Jar};
use crate::image::store::{process_lock, write_whole};

/// What is kept of a jar.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Kept {
    name: String,
    factories: BTreeSet<String>,
    artifacts: BTreeSet<Artifact>,
}

/// The jars of the base's `lib` folder, without their classes. An image never changes, so each is read once; what was
/// seen is kept.
///
/// # Errors
/// What the engine answers. A base without the folder has no jars.
pub(super) async fn jars(engine: &Engine, env: &Env, base: &Base) -> Result<Vec<Jar>> {
    let lock = process_lock("lib folders of base images");
    let _one = lock.lock().await;
    let file = kept_at(env, base);
    let kept: Option<Vec<Kept>> = fs_err::read(&file)
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok());
    let kept = match kept {
        Some(kept) => kept,
        None => {
            let files = match engine.files_of_image(&base.id, LIB).await {
                Ok(files) => files,
                Err(failure) if failure.id() == Reason::ImageUnavailable => Vec::new(),
                Err(failure) => return Err(failure),
            };
            let seen: Vec<Kept> = files
                .into_iter()
                .filter_map(|(name, bytes)| look(&name, &bytes))
                .collect();
            // without it the engine is asked again
            let _ = serde_json::to_vec(&seen).map(|text| write_whole(&file, &text));
            seen
        }
    };
    let jars = kept.into_iter().map(|kept| Jar {
        path: Path::new(LIB).join(kept.name),
        factories: kept.factories,
        artifacts: kept.artifacts,
        ..Jar::default()
    });
    Ok(jars.collect())
}

fn look(name: &str, bytes: &[u8]) -> Option<Kept> {
    let name = name.rsplit('/').next().unwrap_or(name);
    // what is broken in there is not this user's doing, and Flink tells
    let jar = name
        .ends_with(".jar")
        .then(|| jar::read_bytes(Path::new(name), bytes).ok())
        .flatten()?;
    Some(Kept {
        name: name.to_owned(),
        factories: jar.factories,
        artifacts: jar.artifacts,
    })
}

fn kept_at(env: &Env, base: &Base) -> PathBuf {
    let hex = base.id.rsplit(':').next().unwrap_or(&base.id);
    env.cache_dir().join("bases").join(format!("{hex}.lib.json"))
}
