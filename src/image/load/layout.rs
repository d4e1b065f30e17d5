//! Images as OCI layouts without their layers, and the order in which a node unpacks them. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use sha2::{Digest, Sha256};

/// Names under which images lie in the node until they are complete. The kubelet does not know them.
pub(in crate::image) const STAGE: &str = "flink-dev.load/";

/// Media type of a manifest.
pub(in crate::image) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Media type of an uncompressed layer.
pub(in crate::image) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// An uncompressed layer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::image) struct Layer {
    /// Its diffID: sha256 of its tar, in hex.
    pub(in crate::image) digest: String,
    /// Bytes of its tar.
    pub(in crate::image) size: u64,
}

/// An image that goes into a node.
#[derive(Debug, Clone)]
pub(in crate::image) struct Image {
    /// Its full name.
    pub(in crate::image) reference: String,
    /// Its id in the engine.
    pub(in crate::image) id: String,
    /// Its configuration, byte for byte.
    pub(in crate::image) config: Vec<u8>,
    /// Its layers, lowest first.
    pub(in crate::image) layers: Vec<Layer>,
}

/// The sha256 of bytes, in hex.
pub(in crate::image) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// The ChainIDs of layers, which are the keys of their snapshots in the node.
pub(in crate::image) fn chain_ids(layers: &[Layer]) -> Vec<String> {
    let mut chain = String::new();
    layers
        .iter()
        .map(|layer| {
            chain = if chain.is_empty() {
                format!("sha256:{}", layer.digest)
            } else {
                format!(
                    "sha256:{}",
                    sha256(format!("{chain} sha256:{}", layer.digest).as_bytes())
                )
            };
            chain.clone()
        })
        .collect()
}

/// Annotation of manifests that `dev` wrote: in a node it tells its images from those that others loaded.
pub(in crate::image) const LOADED_BY: &str = "dev.flink/loaded-by";

/// A manifest of a configuration and layers.
pub(in crate::image) fn manifest(config: &[u8], layers: &[Layer]) -> Vec<u8> {
    let layers: Vec<_> = layers
        .iter()
        .map(|layer| json!({"mediaType": LAYER, "digest": format!("sha256:{}", layer.digest), "size": layer.size}))
        .collect();
    json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": format!("sha256:{}", sha256(config)), "size": config.len()},
        "layers": layers,
        "annotations": {LOADED_BY: "dev"},
    })
    .to_string()
    .into_bytes()
}

/// Something that the node unpacks as one: an image, or layers that several images begin with.
#[derive(Debug, Clone)]
pub(super) struct Unit {
    /// Name while it is staged.
    pub(super) stage: String,
    /// Digest of its manifest (`sha256:…`).
    pub(super) digest: String,
    /// Index of the image in the list, `None` for a common beginning.
    pub(super) image: Option<usize>,
    config: Vec<u8>,
    manifest: Vec<u8>,
}

impl Unit {
    fn new(config: Vec<u8>, layers: &[Layer], image: Option<usize>, number: usize) -> Self {
        let manifest = manifest(&config, layers);
        let digest = format!("sha256:{}", sha256(&manifest));
        Self {
            stage: format!("{STAGE}{number}:latest"),
            digest,
            image,
            config,
            manifest,
        }
    }
}

/// What is sent and unpacked together.
#[derive(Debug, Clone, Default)]
pub(super) struct Wave {
    /// Layers that the node lacks, in the order of unpacking.
    pub(super) layers: Vec<Layer>,
    /// What is unpacked once they are there; independent of each other, but for those of one inner list, which share
    /// all their layers.
    pub(super) units: Vec<Vec<Unit>>,
}

/// The order in which a node gets images: what several of them begin with is unpacked first, once; then the rest,
/// side by side, each wave while the next one's layers travel.
///
/// `chains` and `blobs` are what the node has: ChainIDs of snapshots, and digests of layers in hex.
pub(super) fn plan(images: &[Image], chains: &BTreeSet<String>, blobs: &BTreeSet<String>) -> Vec<Wave> {
    let all: Vec<Vec<String>> = images.iter().map(|image| chain_ids(&image.layers)).collect();
    let mut next: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for chain in &all {
        for pair in chain.windows(2) {
            next.entry(&pair[0]).or_default().insert(&pair[1]);
        }
    }
    let ends: BTreeSet<&str> = all
        .iter()
        .filter_map(|chain| chain.last().map(String::as_str))
        .collect();
    let mut sent = blobs.clone();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut waves: Vec<Wave> = Vec::new();
    let mut number = 0;
    // images with the same chain end in the same inner list
    let mut place: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (index, (image, chain)) in images.iter().zip(&all).enumerate() {
        let mut depth = 0;
        let mut from = 0;
        for (at, id) in chain.iter().enumerate() {
            let last = at + 1 == chain.len();
            let forks = next
                .get(id.as_str())
                .is_some_and(|n| n.len() > 1 || ends.contains(id.as_str()));
            if !last && (!forks || chains.contains(id)) {
                continue;
            }
            if waves.len() == depth {
                waves.push(Wave::default());
            }
            for layer in &image.layers[from..=at] {
                if sent.insert(layer.digest.clone()) {
                    waves[depth].layers.push(layer.clone());
                }
            }
            let layers = &image.layers[..=at];
            if last {
                let unit = Unit::new(image.config.clone(), layers, Some(index), number);
                number += 1;
                match place.get(id.as_str()) {
                    Some(&(wave, list)) => waves[wave].units[list].push(unit),
                    None => {
                        place.insert(id, (depth, waves[depth].units.len()));
                        waves[depth].units.push(vec![unit]);
                    }
                }
            } else if seen.insert(id) && !ends.contains(id.as_str()) {
                let unit = Unit::new(beginning(&image.config, layers), layers, None, number);
                number += 1;
                waves[depth].units.push(vec![unit]);
            }
            depth += 1;
            from = at + 1;
        }
    }
    waves
}

/// A configuration for the first layers of an image: enough to unpack them.
fn beginning(config: &[u8], layers: &[Layer]) -> Vec<u8> {
    let whole: serde_json::Value = serde_json::from_slice(config).unwrap_or_default();
    let diff_ids: Vec<String> = layers.iter().map(|layer| format!("sha256:{}", layer.digest)).collect();
    json!({
        "architecture": whole["architecture"],
        "os": whole["os"],
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    })
    .to_string()
    .into_bytes()
}

/// A tar of an OCI layout with the manifests and configurations of all units, under their staging names.
pub(super) fn stage_tar(waves: &[Wave]) -> std::io::Result<Vec<u8>> {
    let units = || waves.iter().flat_map(|wave| wave.units.iter().flatten());
    let manifests: Vec<_> = units()
        .map(|unit| {
            json!({
                "mediaType": MANIFEST,
                "digest": unit.digest,
                "size": unit.manifest.len(),
                "annotations": {"io.containerd.image.name": unit.stage, "org.opencontainers.image.ref.name": "latest"},
            })
        })
        .collect();
    let index = json!({"schemaVersion": 2, "manifests": manifests}).to_string();
    let mut files = BTreeMap::from([
        ("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()),
        ("index.json".to_owned(), index.into_bytes()),
    ]);
    for unit in units() {
        for blob in [&unit.manifest, &unit.config] {
            files.insert(format!("blobs/sha256/{}", sha256(blob)), blob.clone());
        }
    }
    let mut tar = tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, bytes.as_slice())?;
    }
    tar.into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(name: &str, layers: &[&str]) -> Image {
        Image {
            reference: name.to_owned(),
            id: format!("sha256:{name}"),
            config: format!(r#"{{"architecture":"amd64","os":"linux","name":"{name}"}}"#).into_bytes(),
            layers: layers
                .iter()
                .map(|l| Layer {
                    digest: sha256(l.as_bytes()),
                    size: l.len() as u64,
                })
                .collect(),
        }
    }

    fn names(layers: &[Layer]) -> Vec<&str> {
        let known = ["debian", "jre", "kafka", "flink", "runner", "cert-manager"];
        layers
            .iter()
            .map(|layer| {
                *known
                    .iter()
                    .find(|name| sha256(name.as_bytes()) == layer.digest)
                    .unwrap()
            })
            .collect()
    }

    fn default_images() -> Vec<Image> {
        vec![
            image("kafka", &["debian", "jre", "kafka"]),
            image("session", &["debian", "jre", "flink", "runner"]),
            image("webhook", &["cert-manager"]),
            image("controller", &["cert-manager"]),
        ]
    }

    #[test]
    fn a_common_beginning_is_unpacked_once_and_first() {
        let waves = plan(&default_images(), &BTreeSet::new(), &BTreeSet::new());
        assert_eq!(waves.len(), 2);
        assert_eq!(names(&waves[0].layers), ["debian", "jre", "cert-manager"]);
        assert_eq!(names(&waves[1].layers), ["kafka", "flink", "runner"]);
        let images: Vec<Vec<Vec<Option<usize>>>> = waves
            .iter()
            .map(|w| w.units.iter().map(|l| l.iter().map(|u| u.image).collect()).collect())
            .collect();
        // the two programs of cert-manager have the same layers: one after the other
        assert_eq!(
            images,
            [
                vec![vec![None], vec![Some(2), Some(3)]],
                vec![vec![Some(0)], vec![Some(1)]]
            ]
        );
    }

    #[test]
    fn what_the_node_has_is_neither_sent_nor_unpacked_again() {
        let all = default_images();
        let chains: BTreeSet<String> = chain_ids(&all[0].layers).into_iter().collect();
        let blobs: BTreeSet<String> = all[0].layers.iter().map(|l| l.digest.clone()).collect();
        let waves = plan(&all[1..2], &chains, &blobs);
        assert_eq!(waves.len(), 1);
        assert_eq!(names(&waves[0].layers), ["flink", "runner"]);
        // a snapshot whose layer is gone from the store: the layer is sent, its beginning is not unpacked
        let waves = plan(&all[..2], &chains, &BTreeSet::new());
        assert_eq!(waves.len(), 1);
        assert_eq!(names(&waves[0].layers), ["debian", "jre", "kafka", "flink", "runner"]);
    }

    #[test]
    fn an_image_that_others_are_from_is_its_own_beginning() {
        let all = [
            image("flink", &["debian", "flink"]),
            image("session", &["debian", "flink", "runner"]),
        ];
        let waves = plan(&all, &BTreeSet::new(), &BTreeSet::new());
        let images: Vec<Vec<Option<usize>>> = waves
            .iter()
            .map(|w| w.units.iter().flatten().map(|u| u.image).collect())
            .collect();
        assert_eq!(images, [vec![Some(0)], vec![Some(1)]]);
        // whatever the order in which they were named
        let back: Vec<Image> = all.into_iter().rev().collect();
        let waves = plan(&back, &BTreeSet::new(), &BTreeSet::new());
        assert!(
            waves
                .iter()
                .all(|w| w.units.iter().flatten().all(|u| u.image.is_some()))
        );
        assert_eq!(waves[0].units[0][0].image, Some(1));
    }

    #[test]
    fn chain_ids_follow_the_oci_rule() {
        let layers = image("x", &["debian", "jre"]).layers;
        let [one, two] = [&layers[0].digest, &layers[1].digest].map(|d| format!("sha256:{d}"));
        let expected = format!("sha256:{}", sha256(format!("{one} {two}").as_bytes()));
        assert_eq!(chain_ids(&layers), [one, expected]);
    }

    #[test]
    fn the_staged_layout_is_whole_but_for_layers() {
        let waves = plan(&default_images(), &BTreeSet::new(), &BTreeSet::new());
        let bytes = stage_tar(&waves).unwrap();
        let mut files = BTreeMap::new();
        for entry in tar::Archive::new(bytes.as_slice()).entries().unwrap() {
            let entry = entry.unwrap();
            let path = entry.path().unwrap().display().to_string();
            files.insert(path, std::io::read_to_string(entry).unwrap());
        }
        let index: serde_json::Value = serde_json::from_str(&files["index.json"]).unwrap();
        let manifests = index["manifests"].as_array().unwrap();
        assert_eq!(manifests.len(), 5);
        for entry in manifests {
            let blob = |digest: &serde_json::Value| {
                files[&format!("blobs/{}", digest.as_str().unwrap().replace(':', "/"))].clone()
            };
            assert!(
                entry["annotations"]["io.containerd.image.name"]
                    .as_str()
                    .unwrap()
                    .starts_with(STAGE)
            );
            let manifest: serde_json::Value = serde_json::from_str(&blob(&entry["digest"])).unwrap();
            let config = blob(&manifest["config"]["digest"]);
            assert_eq!(manifest["config"]["size"], config.len());
        }
    }
}
