//! Archives of images as engines write them. Three forms are met: Docker before 25 (`ID/layer.tar`, `manifest.json`
//! last), Docker from 25 on (an OCI layout of uncompressed layers with a `manifest.json`), and containerd's store (an
//! OCI layout of the blobs as they are kept: compressed, below indexes, with attestations beside the images and with
//! platforms of which only the manifest's digest is known).

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read};

use serde::Deserialize;
use serde_json::Value;

use super::layout::sha256;

/// Larger files are no manifests and no configurations.
pub(in crate::image) const JSON_LIMIT: u64 = 4 << 20;

/// Indexes name indexes; nobody nests them deeper than this.
const DEPTH: usize = 4;

const BLOBS: &str = "blobs/sha256/";
const NAME: &str = "io.containerd.image.name";
const KIND: &str = "vnd.docker.reference.type";

/// What became of a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::image) enum Blob {
    /// A manifest, a configuration, an attestation.
    Text(Vec<u8>),
    /// A layer, kept under its diffID.
    Layer {
        /// sha256 in hex of its bytes as they came.
        packed: String,
        /// sha256 in hex of its uncompressed bytes.
        diff_id: String,
    },
}

/// An image in an archive, all of which is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::image) struct Candidate {
    /// Names, as the archive has them.
    pub(in crate::image) names: Vec<String>,
    /// Digests (`sha256:…`) under which an engine may know it: of its configuration, its manifest, its indexes.
    pub(in crate::image) ids: Vec<String>,
    /// Its configuration.
    pub(in crate::image) config: Vec<u8>,
    /// Architecture in OCI's names.
    pub(in crate::image) architecture: String,
    /// Its diffIDs in hex, lowest first.
    pub(in crate::image) layers: Vec<String>,
}

/// What an archive held, by path.
#[derive(Debug, Default)]
pub(in crate::image) struct Archive {
    blobs: BTreeMap<String, Blob>,
    links: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    architecture: String,
    rootfs: RootFs,
}

#[derive(Deserialize)]
struct RootFs {
    #[serde(default)]
    diff_ids: Vec<String>,
}

/// One image of an archive's `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Vec<String>,
}

impl Archive {
    /// Reads an archive to its end. Whatever may be a layer is handed to `keep`.
    pub(in crate::image) fn read(
        stream: impl Read,
        mut keep: impl FnMut(&mut dyn Read) -> io::Result<Blob>,
    ) -> io::Result<Self> {
        let mut found = Self::default();
        let mut archive = tar::Archive::new(BufReader::with_capacity(1 << 20, stream));
        for entry in archive.entries()? {
            let mut entry = entry?;
            let path = entry.path()?.to_string_lossy().trim_start_matches("./").to_owned();
            let kind = entry.header().entry_type();
            if kind.is_symlink() {
                let target = entry
                    .link_name()?
                    .map(|t| t.to_string_lossy().into_owned())
                    .unwrap_or_default();
                found.links.insert(path.clone(), resolve(&path, &target));
            } else if kind.is_file() && (path.starts_with(BLOBS) || path.ends_with("layer.tar")) {
                let blob = keep(&mut entry)?;
                let digest = match &blob {
                    Blob::Text(bytes) => sha256(bytes),
                    Blob::Layer { packed, .. } => packed.clone(),
                };
                if path.strip_prefix(BLOBS).is_some_and(|name| name != digest) {
                    return Err(broken(&format!("the bytes of {path} have another digest")));
                }
                found.blobs.insert(path, blob);
            } else if kind.is_file() && entry.size() <= JSON_LIMIT {
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes)?;
                found.blobs.insert(path, Blob::Text(bytes));
            }
        }
        Ok(found)
    }

    /// All images of which every layer is there and is the one that the configuration names.
    ///
    /// # Errors
    /// If the archive was cut, is of none of the forms, or if none of its images is whole.
    pub(in crate::image) fn images(&self) -> io::Result<Vec<Candidate>> {
        let (list, index) = (self.text("manifest.json"), self.text("index.json"));
        if list.is_none() && index.is_none() {
            let message = "the engine's archive ended before its manifest.json";
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
        }
        let mut all = Vec::new();
        let mut wrong = None;
        if let Some(list) = list {
            for item in serde_json::from_slice::<Vec<Item>>(list)? {
                match self.listed(&item) {
                    Ok(candidate) => all.push(candidate),
                    Err(error) => wrong = Some(error),
                }
            }
        }
        if let Some(index) = index {
            self.below(&serde_json::from_slice(index)?, &[], &[], DEPTH, &mut all);
        }
        match wrong {
            Some(error) if all.is_empty() => Err(error),
            _ => Ok(all),
        }
    }

    fn listed(&self, item: &Item) -> io::Result<Candidate> {
        let config = self
            .text(&item.config)
            .ok_or_else(|| broken("a configuration is missing"))?;
        let layers: Option<Vec<String>> = item.layers.iter().map(|path| self.layer(path)).collect();
        let names = item.repo_tags.clone().unwrap_or_default();
        whole(names, Vec::new(), config, layers.as_deref())
    }

    /// Images below an index. What is not there is passed over: of other platforms only the digests are known.
    fn below(&self, index: &Value, names: &[String], ids: &[String], depth: usize, all: &mut Vec<Candidate>) {
        for entry in index["manifests"].as_array().into_iter().flatten() {
            let attested = entry["annotations"][KIND].is_string() || entry["platform"]["os"] == "unknown";
            let digest = entry["digest"].as_str().unwrap_or_default();
            let (Some(bytes), false) = (self.text(&path_of(digest)), attested) else {
                continue;
            };
            let Ok(manifest) = serde_json::from_slice::<Value>(bytes) else {
                continue;
            };
            let (mut names, mut ids) = (names.to_vec(), ids.to_vec());
            names.extend(entry["annotations"][NAME].as_str().map(str::to_owned));
            ids.push(digest.to_owned());
            if manifest["manifests"].is_array() {
                if depth > 0 {
                    self.below(&manifest, &names, &ids, depth - 1, all);
                }
                continue;
            }
            let Some(config) = manifest["config"]["digest"]
                .as_str()
                .and_then(|d| self.text(&path_of(d)))
            else {
                continue;
            };
            let layers = manifest["layers"].as_array().into_iter().flatten();
            let layers: Option<Vec<String>> = layers
                .map(|layer| self.layer(&path_of(layer["digest"].as_str().unwrap_or_default())))
                .collect();
            all.extend(whole(names, ids, config, layers.as_deref()));
        }
    }

    fn text(&self, path: &str) -> Option<&[u8]> {
        match self.blobs.get(path)? {
            Blob::Text(bytes) => Some(bytes),
            Blob::Layer { .. } => None,
        }
    }

    fn layer(&self, path: &str) -> Option<String> {
        let path = self.links.get(path).map_or(path, String::as_str);
        match self.blobs.get(path)? {
            Blob::Layer { diff_id, .. } => Some(diff_id.clone()),
            Blob::Text(_) => None,
        }
    }
}

/// An image, if its layers are those that its configuration names.
pub(in crate::image) fn whole(
    names: Vec<String>,
    mut ids: Vec<String>,
    config: &[u8],
    layers: Option<&[String]>,
) -> io::Result<Candidate> {
    let parsed: Config = serde_json::from_slice(config)?;
    let expected: Vec<&str> = parsed
        .rootfs
        .diff_ids
        .iter()
        .map(|id| id.strip_prefix("sha256:").unwrap_or(id))
        .collect();
    let Some(layers) = layers.filter(|layers| *layers == expected) else {
        return Err(broken("the layers are not those of the configuration"));
    };
    ids.push(format!("sha256:{}", sha256(config)));
    Ok(Candidate {
        names,
        ids,
        config: config.to_vec(),
        architecture: parsed.architecture,
        layers: layers.to_vec(),
    })
}

fn broken(what: &str) -> io::Error {
    io::Error::other(format!("the engine's archive is not understood: {what}"))
}

fn path_of(digest: &str) -> String {
    digest.replacen(':', "/", 1).replacen("sha256/", BLOBS, 1)
}

/// The path that a link in an archive leads to.
fn resolve(path: &str, target: &str) -> String {
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            ".." => {
                parts.pop();
            }
            "." | "" => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}
