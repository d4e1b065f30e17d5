//! The image that an application stands on, and what is known of the folders in it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::Serialize;

use crate::container::{Engine, ImageInfo, PathEntry};
use crate::diag::{Failure, Reason, Result};
use crate::env::Env;
use crate::image::store::{process_lock, write_whole};

/// The image that an application stands on.
#[derive(Debug, Clone, Serialize)]
pub struct Base {
    /// Its name, as it was given.
    pub name: String,
    /// Its id in the engine.
    pub id: String,
    /// What the engine knows of it.
    #[serde(skip)]
    pub info: ImageInfo,
}

impl Base {
    /// The image of that name in the engine.
    ///
    /// # Errors
    /// [`Reason::ImageUnavailable`] if the engine does not have it, or if it is not one for Linux.
    pub async fn find(engine: &Engine, name: &str) -> Result<Self> {
        let Some(info) = engine.image(name).await? else {
            return Err(Failure::new(
                Reason::ImageUnavailable,
                format!("the engine has no image {name} to build on"),
            )
            .next("dev up")
            .next(format!("docker pull {name}")));
        };
        if info.os != "linux" || info.diff_ids.is_empty() {
            return Err(Failure::new(
                Reason::ImageUnavailable,
                format!("{name} is no image that can be built on"),
            )
            .evidence(format!("system `{}`, {} layers", info.os, info.diff_ids.len())));
        }
        Ok(Self {
            name: name.to_owned(),
            id: info.id.clone(),
            info,
        })
    }

    /// Digests of its layers in hex, lowest first.
    pub(super) fn layers(&self) -> Vec<String> {
        let hex = |id: &String| id.strip_prefix("sha256:").unwrap_or(id).to_owned();
        self.info.diff_ids.iter().map(hex).collect()
    }
}

/// Owner and permissions of folders, by their paths without the leading slash.
pub(super) type Folders = BTreeMap<String, Folder>;

/// Owner and permissions of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Folder {
    pub(super) uid: u64,
    pub(super) gid: u64,
    pub(super) mode: u32,
}

/// The folders of an image that has those of the base and, owned by Flink's user, the missing ones. A layer needs an
/// entry for each folder above its files: an engine with a graph driver gives folders without one to root, and an entry
/// with another owner would change the base's.
///
/// What is found is kept beside the cache of layers, for an image never changes.
///
/// # Errors
/// [`Reason::ImageUnavailable`] if something that is no folder is in the way; what the engine answers.
pub(super) async fn folders(engine: &Engine, env: &Env, base: &Base, wanted: &BTreeSet<String>) -> Result<Folders> {
    let file = kept(env, base);
    let lock = process_lock("folders of base images");
    let _one = lock.lock().await;
    let mut known: BTreeMap<String, Option<PathEntry>> = fs_err::read(&file)
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default();
    let unknown: Vec<String> = wanted
        .iter()
        .filter(|path| !known.contains_key(*path))
        .cloned()
        .collect();
    if !unknown.is_empty() {
        let paths: Vec<String> = unknown.iter().map(|path| format!("/{path}")).collect();
        let found = engine.entries_of_image(&base.id, &paths).await?;
        known.extend(unknown.into_iter().zip(found));
        // without it the engine is asked again
        let _ = serde_json::to_vec(&known).map(|text| write_whole(&file, &text));
    }
    resolve(base, &known, wanted)
}

fn kept(env: &Env, base: &Base) -> PathBuf {
    let hex = base.id.rsplit(':').next().unwrap_or(&base.id);
    env.cache_dir().join("bases").join(format!("{hex}.json"))
}

fn resolve(base: &Base, known: &BTreeMap<String, Option<PathEntry>>, wanted: &BTreeSet<String>) -> Result<Folders> {
    let mut folders = Folders::new();
    for path in wanted {
        let folder = match known.get(path).copied().flatten() {
            Some(entry) if entry.folder => Folder {
                uid: entry.uid,
                gid: entry.gid,
                mode: entry.mode,
            },
            Some(_) => {
                return Err(Failure::new(
                    Reason::ImageUnavailable,
                    format!("/{path} is no folder in {}: nothing can be put below it", base.name),
                ));
            }
            None => Folder {
                uid: super::OWNER,
                gid: super::OWNER,
                mode: 0o755,
            },
        };
        folders.insert(path.clone(), folder);
    }
    Ok(folders)
}

#[cfg(test)]
pub(super) fn sample(name: &str, diff_ids: &[&str], config: serde_json::Value) -> Base {
    Base {
        name: name.to_owned(),
        id: "sha256:ba5e".to_owned(),
        info: ImageInfo {
            id: "sha256:ba5e".to_owned(),
            diff_ids: diff_ids.iter().map(|id| format!("sha256:{id}")).collect(),
            labels: BTreeMap::new(),
            size: 0,
            architecture: "amd64".to_owned(),
            variant: String::new(),
            os: "linux".to_owned(),
            config,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_the_base_keep_their_owner_and_new_ones_are_flinks() {
        let base = sample("b:1", &["aa"], serde_json::Value::Null);
        let entry = |folder| {
            Some(PathEntry {
                folder,
                uid: 0,
                gid: 5,
                mode: 0o2775,
            })
        };
        let known = BTreeMap::from([
            ("opt".to_owned(), entry(true)),
            ("opt/new".to_owned(), None),
            ("opt/link".to_owned(), entry(false)),
        ]);
        let wanted = |paths: &[&str]| paths.iter().map(|p| (*p).to_owned()).collect::<BTreeSet<_>>();
        let folders = resolve(&base, &known, &wanted(&["opt", "opt/new"])).unwrap();
        let of = |path: &str| (folders[path].uid, folders[path].gid, folders[path].mode);
        assert_eq!(of("opt"), (0, 5, 0o2775));
        assert_eq!(of("opt/new"), (9999, 9999, 0o755));
        let error = resolve(&base, &known, &wanted(&["opt/link"])).unwrap_err();
        assert!(error.to_string().contains("/opt/link is no folder"), "{error}");
    }
}
