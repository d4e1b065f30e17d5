//! Layers as plain files on this machine: a new node is filled from them without asking the engine.

use std::collections::BTreeSet;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::archive::{Archive, Blob, Candidate, JSON_LIMIT};
use super::layout::{Image, Layer, sha256};
use super::reference::normalize;
use crate::container::Engine;
use crate::diag::{Failure, Reason, Result};
use crate::env::Env;
use crate::image::inventory::{CacheStock, CachedFile, CachedImage};
use crate::image::store::write_whole;

/// A file that is still being written after this long belongs to a process that was killed.
const LEFT_BEHIND: Duration = Duration::from_secs(2 * 3600);

const PARTIAL: &str = ".part-";

/// How zstd's frames begin (RFC 8878, 3.1.1).
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

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
    pub(in crate::image) registry: String,
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

    /// The note of an image.
    pub(in crate::image) fn entry(&self, id: &str) -> PathBuf {
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
        let layers = layers.collect();
        let config = fs_err::read(self.blob(&entry.config)).ok()?;
        let layers: Option<Vec<Layer>> = layers;
        self.touch(
            layers
                .iter()
                .flatten()
                .map(|layer| layer.digest.as_str())
                .chain([entry.config.as_str()]),
        );
        Some(Image {
            reference: normalize(name, &self.registry),
            id: id.to_owned(),
            config,
            layers: layers?,
        })
    }

    /// Notes that files were used: those that were not for the longest time go first when there are too many.
    fn touch<'a>(&self, digests: impl Iterator<Item = &'a str>) {
        let now = SystemTime::now();
        for digest in digests {
            // a cache that may only be read is still of use
            let file = fs_err::OpenOptions::new().append(true).open(self.blob(digest));
            let _ = file.and_then(|file| file.file().set_modified(now));
        }
    }

    /// All that lies here.
    pub(in crate::image) fn stock(&self) -> CacheStock {
        let mut stock = CacheStock::default();
        for file in std::fs::read_dir(self.root.join("images"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let Some(entry) = fs_err::read(file.path())
                .ok()
                .and_then(|bytes| serde_json::from_slice::<Entry>(&bytes).ok())
            else {
                continue;
            };
            let mut blobs = entry.layers.clone();
            blobs.push(entry.config);
            stock.images.push(CachedImage {
                id: file
                    .path()
                    .file_stem()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned(),
                blobs,
                layers: entry.layers,
            });
        }
        for file in std::fs::read_dir(self.blobs()).into_iter().flatten().flatten() {
            let name = file.file_name().to_string_lossy().into_owned();
            if let (Ok(seen), 64) = (file.metadata(), name.len()) {
                let used = seen.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                stock.files.insert(name, CachedFile { size: seen.len(), used });
            }
        }
        stock.images.sort_by(|a, b| a.id.cmp(&b.id));
        stock
    }

    /// Forgets under what digests layers are known elsewhere that are not here any more.
    pub(in crate::image) fn tidy(&self) {
        for file in std::fs::read_dir(self.root.join("digests"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let name = file.file_name().to_string_lossy().into_owned();
            if self.layer_of(&name).is_none() {
                let _ = fs_err::remove_file(file.path());
            }
        }
    }

    /// Reads the layers of images once more, and forgets those whose bytes are not theirs, and their images. A load may
    /// have failed for other reasons: what is right stays. Tells the digests of what is gone, in hex.
    pub(super) async fn forget_wrong(&self, images: &[Image]) -> Result<Vec<String>> {
        let (cache, images) = (self.clone(), images.to_vec());
        let forgotten = tokio::task::spawn_blocking(move || cache.forget_wrong_of(&images));
        forgotten
            .await
            .map_err(|e| Failure::new(Reason::Internal, "reading layers panicked").cause(&e))
    }

    pub(super) fn forget_wrong_of(&self, images: &[Image]) -> Vec<String> {
        let all: BTreeSet<&str> = images
            .iter()
            .flat_map(|image| &image.layers)
            .map(|layer| layer.digest.as_str())
            .collect();
        let right = |digest: &str| {
            let file = fs_err::File::open(self.blob(digest));
            file.and_then(|mut file| copy_hashed(&mut file, &mut io::sink()))
                .is_ok_and(|found| found == digest)
        };
        let wrong: BTreeSet<&str> = all.into_iter().filter(|digest| !right(digest)).collect();
        for image in images {
            if image.layers.iter().any(|layer| wrong.contains(layer.digest.as_str())) {
                let _ = fs_err::remove_file(self.entry(&image.id));
            }
        }
        for digest in &wrong {
            let _ = fs_err::remove_file(self.blob(digest));
        }
        wrong.into_iter().map(str::to_owned).collect()
    }

    /// Takes images (name, id) out of the engine, all in one archive.
    ///
    /// # Errors
    /// [`Reason::ImageLoadFailed`] if the archive is not understood or the cache cannot be written.
    pub(in crate::image) async fn fill(&self, engine: &Engine, images: &[(String, String)]) -> Result<()> {
        let names: Vec<String> = images.iter().map(|(name, _)| name.clone()).collect();
        let architecture = engine.info().await?.arch;
        let archive = engine.export_blocking(&names);
        let (cache, images) = (self.clone(), images.to_vec());
        let taken = tokio::task::spawn_blocking(move || cache.take(archive, &images, &architecture)).await;
        let taken = taken.map_err(|e| Failure::new(Reason::Internal, "reading an archive panicked").cause(&e))?;
        taken.map_err(|e| {
            Failure::new(
                Reason::ImageLoadFailed,
                format!("layers of {} could not be kept", names.join(", ")),
            )
            .cause(&e)
        })
    }

    pub(super) fn take(&self, archive: impl Read, images: &[(String, String)], architecture: &str) -> io::Result<()> {
        self.prepare()?;
        let found = Archive::read(archive, |source| self.land(source))?.images()?;
        for (name, id) in images {
            let reference = normalize(name, &self.registry);
            let mut same: Vec<&Candidate> = found
                .iter()
                .filter(|c| c.ids.contains(id) || c.names.iter().any(|n| normalize(n, &self.registry) == reference))
                .collect();
            // of an image for several platforms the engine runs its own
            same.sort_by_key(|c| c.architecture != architecture);
            let Some(image) = same.first() else {
                return Err(io::Error::other(format!(
                    "the engine's archive does not hold all of {name}"
                )));
            };
            self.enter(id, image)?;
        }
        Ok(())
    }

    /// Makes the folder, and tidies up what processes left there that were killed.
    pub(in crate::image) fn prepare(&self) -> io::Result<()> {
        fs_err::create_dir_all(self.blobs())?;
        self.sweep();
        Ok(())
    }

    /// Keeps a blob: a layer under the digest of its uncompressed bytes; a text is handed back and not kept.
    ///
    /// # Errors
    /// Those of the source and of the disk; a layer in a form that is not read here (zstd).
    pub(in crate::image) fn land(&self, source: &mut dyn Read) -> io::Result<Blob> {
        let mut source = Hashing::of(BufReader::with_capacity(1 << 20, source));
        let mut head = Vec::new();
        (&mut source).take(4).read_to_end(&mut head)?;
        if head.first() == Some(&b'{') {
            (&mut source).take(JSON_LIMIT).read_to_end(&mut head)?;
            if serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&head).is_ok() {
                return Ok(Blob::Text(head));
            }
        }
        if head == ZSTD {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "a layer is compressed with zstd",
            ));
        }
        let mut file = tempfile::Builder::new().prefix(PARTIAL).tempfile_in(self.blobs())?;
        let gzip = head.starts_with(&[0x1f, 0x8b]);
        let diff_id = {
            let whole = head.as_slice().chain(&mut source);
            if gzip {
                let whole = BufReader::with_capacity(1 << 18, whole);
                copy_hashed(&mut flate2::bufread::MultiGzDecoder::new(whole), file.as_file_mut())?
            } else {
                copy_hashed(&mut { whole }, file.as_file_mut())?
            }
        };
        // a decoder stops where its data ends
        io::copy(&mut source, &mut io::sink())?;
        let (packed, size) = source.finish();
        let path = self.blob(&diff_id);
        if !path.exists() {
            file.persist(&path)?;
        }
        self.learn(&packed, size, &diff_id)?;
        Ok(Blob::Layer { packed, diff_id })
    }

    fn known_as(&self, packed: &str) -> PathBuf {
        self.root.join("digests").join(packed)
    }

    /// Remembers that a layer is known elsewhere by the digest of its compressed bytes.
    fn learn(&self, packed: &str, size: u64, diff_id: &str) -> io::Result<()> {
        let path = self.known_as(packed);
        if path.exists() {
            return Ok(());
        }
        write_whole(&path, format!("{diff_id} {size}").as_bytes())
    }

    /// The layer that is known elsewhere by this digest (hex), if it is here: its diffID, and its size as it is there.
    pub(in crate::image) fn layer_of(&self, packed: &str) -> Option<(String, u64)> {
        if packed.len() != 64 || !packed.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let text = fs_err::read_to_string(self.known_as(packed)).ok()?;
        let (diff_id, size) = text.split_once(' ')?;
        self.blob(diff_id)
            .exists()
            .then_some((diff_id.to_owned(), size.parse().ok()?))
    }

    /// Writes what is kept of an image.
    pub(in crate::image) fn enter(&self, id: &str, image: &Candidate) -> io::Result<()> {
        let config = sha256(&image.config);
        write_whole(&self.blob(&config), &image.config)?;
        let entry = Entry {
            config,
            layers: image.layers.clone(),
        };
        write_whole(&self.entry(id), &serde_json::to_vec(&entry)?)
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

/// Hashes and counts what is read through it.
struct Hashing<R> {
    source: R,
    hash: Sha256,
    size: u64,
}

impl<R: Read> Hashing<R> {
    fn of(source: R) -> Self {
        Self {
            source,
            hash: Sha256::new(),
            size: 0,
        }
    }

    fn finish(self) -> (String, u64) {
        (hex::encode(self.hash.finalize()), self.size)
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.source.read(buffer)?;
        self.hash.update(&buffer[..length]);
        self.size += length as u64;
        Ok(length)
    }
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
