//! Layers as plain files on this machine: a new node is filled from them without asking the engine.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::layout::{Image, Layer, sha256};
use super::reference::normalize;
use crate::container::Engine;
use crate::diag::{Failure, Reason, Result};
use crate::env::Env;
use crate::image::store::write_whole;

/// A file that is still being written after this long belongs to a process that was killed.
const LEFT_BEHIND: Duration = Duration::from_secs(2 * 3600);

const PARTIAL: &str = ".part-";

/// Larger files of an archive are layers; manifests and configurations are smaller.
const JSON_LIMIT: u64 = 4 << 20;

/// What is kept of an image: digests in hex.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    config: String,
    layers: Vec<String>,
}

/// The folder of all layers in a cache.
pub(super) fn blobs_of(root: &Path) -> PathBuf {
    root.join("blobs/sha256")
}

/// The cache of layers below the user's cache folder.
#[derive(Debug, Clone)]
pub(in crate::image) struct Cache {
    root: PathBuf,
    /// Registry of names without one.
    registry: String,
}

impl Cache {
    pub(in crate::image) async fn of(engine: &Engine, env: &Env) -> Result<Self> {
        Ok(Self {
            root: env.cache_dir(),
            registry: engine.default_registry().await?.to_owned(),
        })
    }

    /// A cache in this folder, for tests.
    #[cfg(test)]
    pub(in crate::image) fn at(root: &Path, registry: &str) -> Self {
        Self {
            root: root.to_owned(),
            registry: registry.to_owned(),
        }
    }

    /// Where something is noted of a layer that was made here, by what it was made from.
    pub(in crate::image) fn note(&self, key: &str) -> PathBuf {
        self.root.join("layers").join(format!("{key}.json"))
    }

    /// Keeps a layer that `write` writes; what it answers is the digest of what it wrote, in hex, and its size.
    pub(in crate::image) fn keep(
        &self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<(String, u64)>,
    ) -> io::Result<(String, u64)> {
        fs_err::create_dir_all(self.blobs())?;
        let file = tempfile::Builder::new().prefix(PARTIAL).tempfile_in(self.blobs())?;
        let mut buffered = io::BufWriter::with_capacity(1 << 20, file);
        let (digest, size) = write(&mut buffered)?;
        let file = buffered.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.persist(self.blob(&digest))?;
        Ok((digest, size))
    }

    /// Layers by their digests, if all are here.
    pub(in crate::image) fn layers(&self, digests: &[String]) -> Option<Vec<Layer>> {
        let layers = digests.iter().map(|digest| {
            let size = fs_err::metadata(self.blob(digest)).ok()?.len();
            Some(Layer {
                digest: digest.clone(),
                size,
            })
        });
        layers.collect()
    }

    fn blobs(&self) -> PathBuf {
        blobs_of(&self.root)
    }

    /// The file of a layer.
    pub(in crate::image) fn blob(&self, digest: &str) -> PathBuf {
        self.blobs().join(digest)
    }

    fn entry(&self, id: &str) -> PathBuf {
        let hex = id.rsplit(':').next().unwrap_or(id);
        self.root.join("images").join(format!("{hex}.json"))
    }

    /// An image of which every layer is here.
    pub(in crate::image) fn image(&self, name: &str, id: &str) -> Option<Image> {
        let entry: Entry = serde_json::from_slice(&fs_err::read(self.entry(id)).ok()?).ok()?;
        let layers = entry.layers.into_iter().map(|digest| {
            let size = fs_err::metadata(self.blob(&digest)).ok()?.len();
            Some(Layer { digest, size })
        });
        let layers: Option<Vec<Layer>> = layers.collect();
        let config = fs_err::read(self.blob(&entry.config)).ok()?;
        Some(Image {
            reference: normalize(name, &self.registry),
            id: id.to_owned(),
            config,
            layers: layers?,
        })
    }

    /// Forgets an image and its layers: they turned out to be wrong.
    pub(super) fn forget(&self, image: &Image) {
        let _ = fs_err::remove_file(self.entry(&image.id));
        for layer in &image.layers {
            let _ = fs_err::remove_file(self.blob(&layer.digest));
        }
    }

    /// Takes images (name, id) out of the engine, all in one archive.
    ///
    /// # Errors
    /// [`Reason::ImageLoadFailed`] if the archive is not understood or the cache cannot be written.
    pub(super) async fn fill(&self, engine: &Engine, images: &[(String, String)]) -> Result<()> {
        let names: Vec<String> = images.iter().map(|(name, _)| name.clone()).collect();
        let archive = engine.export_blocking(&names);
        let (cache, images) = (self.clone(), images.to_vec());
        let taken = tokio::task::spawn_blocking(move || cache.take(archive, &images)).await;
        let taken = taken.map_err(|e| Failure::new(Reason::Internal, "reading an archive panicked").cause(&e))?;
        taken.map_err(|e| {
            Failure::new(
                Reason::ImageLoadFailed,
                format!("layers of {} could not be kept", names.join(", ")),
            )
            .cause(&e)
        })
    }

    fn take(&self, archive: impl Read, images: &[(String, String)]) -> io::Result<()> {
        fs_err::create_dir_all(self.blobs())?;
        self.sweep();
        let mut found = Found::default();
        let mut archive = tar::Archive::new(BufReader::with_capacity(1 << 20, archive));
        for entry in archive.entries()? {
            let mut entry = entry?;
            let path = entry.path()?.to_string_lossy().into_owned();
            let kind = entry.header().entry_type();
            if kind.is_symlink() {
                let target = entry
                    .link_name()?
                    .map(|t| t.to_string_lossy().into_owned())
                    .unwrap_or_default();
                found.links.insert(path.clone(), resolve(&path, &target));
            } else if kind.is_file() && (path.ends_with(".tar") || entry.size() > JSON_LIMIT || !is_json(&path)) {
                // of the blobs whose names do not tell, the small ones are kept in both ways
                let (digest, small) = self.store(&mut entry)?;
                found.layers.insert(path.clone(), digest);
                if let Some(bytes) = small {
                    found.texts.insert(path, bytes);
                }
            } else if kind.is_file() {
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes)?;
                found.texts.insert(path, bytes);
            }
        }
        for item in found.manifest()? {
            self.enter(&found, &item, images)?;
        }
        match images.iter().find(|(name, id)| self.image(name, id).is_none()) {
            Some((name, _)) => Err(io::Error::other(format!(
                "the engine's archive does not hold all of {name}"
            ))),
            None => Ok(()),
        }
    }

    /// Writes a layer under the digest of its uncompressed bytes. Small ones are also handed back as they came.
    fn store(&self, source: &mut impl Read) -> io::Result<(String, Option<Vec<u8>>)> {
        let mut source = BufReader::with_capacity(1 << 20, source);
        let head = source.fill_buf()?;
        let (gzip, small) = (head.starts_with(&[0x1f, 0x8b]), head.len() < 1 << 20);
        let small = (small && head.starts_with(b"{")).then(|| head.to_vec());
        let mut file = tempfile::Builder::new().prefix(PARTIAL).tempfile_in(self.blobs())?;
        let digest = if gzip {
            copy_hashed(&mut flate2::bufread::MultiGzDecoder::new(source), file.as_file_mut())?
        } else {
            copy_hashed(&mut source, file.as_file_mut())?
        };
        let path = self.blob(&digest);
        if !path.exists() {
            file.persist(&path)?;
        }
        Ok((digest, small))
    }

    /// Writes what is kept of one image, once its layers are seen to be those that its configuration names.
    fn enter(&self, found: &Found, item: &ArchiveItem, images: &[(String, String)]) -> io::Result<()> {
        let broken = |what: &str| io::Error::other(format!("the engine's archive is not understood: {what}"));
        let config = found
            .texts
            .get(&item.config)
            .ok_or_else(|| broken("a configuration is missing"))?;
        let parsed: Config = serde_json::from_slice(config)?;
        let expected: Vec<&str> = parsed
            .rootfs
            .diff_ids
            .iter()
            .map(|id| id.strip_prefix("sha256:").unwrap_or(id))
            .collect();
        let layers: Option<Vec<&str>> = item.layers.iter().map(|path| found.layer(path)).collect();
        if layers.as_ref() != Some(&expected) {
            return Err(broken("the layers are not those of the configuration"));
        }
        write_whole(&self.blob(&sha256(config)), config)?;
        let entry = Entry {
            config: sha256(config),
            layers: expected.into_iter().map(str::to_owned).collect(),
        };
        let tags: Vec<String> = item
            .repo_tags
            .iter()
            .flatten()
            .map(|tag| normalize(tag, &self.registry))
            .collect();
        for (name, id) in images {
            if tags.contains(&normalize(name, &self.registry)) || *id == format!("sha256:{}", entry.config) {
                write_whole(&self.entry(id), &serde_json::to_vec(&entry)?)?;
            }
        }
        Ok(())
    }

    fn sweep(&self) {
        for file in std::fs::read_dir(self.blobs()).into_iter().flatten().flatten() {
            let old = file
                .metadata()
                .and_then(|m| m.modified())
                .is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age > LEFT_BEHIND));
            if old && file.file_name().to_string_lossy().starts_with(PARTIAL) {
                // tidying up: the next one tries again
                let _ = fs_err::remove_file(file.path());
            }
        }
    }
}

#[derive(Deserialize)]
struct Config {
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
struct ArchiveItem {
    config: String,
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Vec<String>,
}

/// What an archive held, by path.
#[derive(Default)]
struct Found {
    layers: BTreeMap<String, String>,
    links: BTreeMap<String, String>,
    texts: BTreeMap<String, Vec<u8>>,
}

impl Found {
    fn manifest(&self) -> io::Result<Vec<ArchiveItem>> {
        let text = self.texts.get("manifest.json").ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the engine's archive ended before its manifest.json",
            )
        })?;
        Ok(serde_json::from_slice(text)?)
    }

    fn layer(&self, path: &str) -> Option<&str> {
        let path = self.links.get(path).map_or(path, String::as_str);
        self.layers.get(path).map(String::as_str)
    }
}

fn is_json(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|e| e == "json") || ["repositories", "oci-layout"].contains(&path)
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

fn copy_hashed(from: &mut impl Read, to: &mut impl Write) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        let length = from.read(&mut buffer)?;
        if length == 0 {
            return Ok(hex::encode(hash.finalize()));
        }
        hash.update(&buffer[..length]);
        to.write_all(&buffer[..length])?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(files: &[(&str, Vec<u8>)], links: &[(&str, &str)]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, path, bytes.as_slice()).unwrap();
        }
        for (path, target) in links {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            tar.append_link(&mut header, path, target).unwrap();
        }
        tar.into_inner().unwrap()
    }

    fn config(layers: &[&[u8]]) -> Vec<u8> {
        let ids: Vec<String> = layers.iter().map(|l| format!("sha256:{}", sha256(l))).collect();
        serde_json::json!({"os": "linux", "rootfs": {"type": "layers", "diff_ids": ids}})
            .to_string()
            .into_bytes()
    }

    fn manifest(config: &str, layers: &[&str]) -> Vec<u8> {
        serde_json::json!([{"Config": config, "RepoTags": ["x/y:1"], "Layers": layers}])
            .to_string()
            .into_bytes()
    }

    #[test]
    fn an_archive_of_the_old_form_with_a_linked_layer() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache {
            root: dir.path().to_owned(),
            registry: "hub.example".to_owned(),
        };
        let config = config(&[b"one", b"two", b"one"]);
        let id = format!("sha256:{}", sha256(&config));
        let name = format!("{}.json", sha256(&config));
        let bytes = archive(
            &[
                ("a/layer.tar", b"one".to_vec()),
                ("b/layer.tar", b"two".to_vec()),
                (&name, config.clone()),
                (
                    "manifest.json",
                    manifest(&name, &["a/layer.tar", "b/layer.tar", "c/layer.tar"]),
                ),
            ],
            &[("c/layer.tar", "../a/layer.tar")],
        );
        let images = [("x/y:1".to_owned(), id.clone())];
        cache.take(bytes.as_slice(), &images).unwrap();
        let image = cache.image("x/y:1", &id).unwrap();
        assert_eq!(image.config, config);
        let layers: Vec<_> = image
            .layers
            .iter()
            .map(|l| fs_err::read(cache.blob(&l.digest)).unwrap())
            .collect();
        assert_eq!(layers, [b"one", b"two", b"one"]);
        // a stream that was cut leaves no image
        let other = Cache {
            root: dir.path().join("other"),
            registry: "hub.example".to_owned(),
        };
        assert!(other.take(&bytes[..1500], &images).is_err());
        assert!(other.image("x/y:1", &id).is_none());
        cache.forget(&image);
        assert!(cache.image("x/y:1", &id).is_none());
    }

    #[test]
    fn an_archive_of_blobs_with_a_compressed_layer() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache {
            root: dir.path().to_owned(),
            registry: "hub.example".to_owned(),
        };
        let config = config(&[b"plain", b"packed"]);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"packed").unwrap();
        let gzip = gzip.finish().unwrap();
        let blob = |bytes: &[u8]| format!("blobs/sha256/{}", sha256(bytes));
        let (c, p, g) = (blob(&config), blob(b"plain"), blob(&gzip));
        let bytes = archive(
            &[
                (&c, config.clone()),
                (&p, b"plain".to_vec()),
                (&g, gzip.clone()),
                ("manifest.json", manifest(&c, &[&p, &g])),
            ],
            &[],
        );
        // with containerd's store the id is that of a manifest: the name tells which image it is
        cache
            .take(bytes.as_slice(), &[("x/y:1".to_owned(), "sha256:feed".to_owned())])
            .unwrap();
        let image = cache.image("x/y:1", "sha256:feed").unwrap();
        assert_eq!(
            image.layers[1],
            Layer {
                digest: sha256(b"packed"),
                size: 6
            }
        );
        assert_eq!(image.config, config);
    }

    #[test]
    fn layers_that_are_not_the_configurations_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache {
            root: dir.path().to_owned(),
            registry: "hub.example".to_owned(),
        };
        let config = config(&[b"one"]);
        let name = format!("{}.json", sha256(&config));
        let files = [
            ("a/layer.tar", b"other".to_vec()),
            (name.as_str(), config.clone()),
            ("manifest.json", manifest(&name, &["a/layer.tar"])),
        ];
        let error = cache
            .take(archive(&files, &[]).as_slice(), &[("x/y:1".into(), "sha256:1".into())])
            .unwrap_err();
        assert!(error.to_string().contains("not those of the configuration"), "{error}");
    }
}
