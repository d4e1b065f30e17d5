//! An application image as an archive: an OCI layout and what `docker save` writes, in one tar. containerd and engines
//! with either kind of store take it, also without the layers that they have. Pure, but for files that are read later.

use std::io;
use std::path::PathBuf;

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use serde_json::json;
use tokio::io::AsyncRead;
use tokio_util::io::{ReaderStream, StreamReader};

use super::AppImage;
use super::layer::Content;
use crate::image::load::{Layer, MANIFEST, manifest, sha256};

/// An archive, part by part.
#[derive(Debug, Clone)]
pub(super) struct Archive {
    parts: Vec<Part>,
    size: u64,
}

#[derive(Debug, Clone)]
enum Part {
    Bytes(Bytes),
    File(PathBuf, u64),
}

/// A layer that goes into the archive.
#[derive(Debug, Clone)]
pub(super) struct Inside {
    pub(super) layer: Layer,
    pub(super) content: Content,
}

/// What an archive is made of.
pub(super) struct Contents<'a> {
    pub(super) image: &'a AppImage,
    /// The image's full name.
    pub(super) reference: &'a str,
    /// All its layers, lowest first; sizes may be 0 where nobody knows them.
    pub(super) layers: &'a [Layer],
    /// Those whose bytes are in the archive.
    pub(super) inside: &'a [Inside],
}

impl Archive {
    /// Makes the archive.
    pub(super) fn new(contents: &Contents<'_>) -> io::Result<Self> {
        let Contents { image, reference, .. } = contents;
        let manifest = manifest(&image.config, contents.layers);
        let tag = image.name.rsplit_once(':').map_or("latest", |(_, tag)| tag);
        let index = json!({
            "schemaVersion": 2,
            "manifests": [{
                "mediaType": MANIFEST,
                "digest": format!("sha256:{}", sha256(&manifest)),
                "size": manifest.len(),
                "annotations": {"io.containerd.image.name": reference, "org.opencontainers.image.ref.name": tag},
            }],
        });
        let blob = |digest: &str| format!("blobs/sha256/{digest}");
        let docker = json!([{
            "Config": blob(&sha256(&image.config)),
            "RepoTags": [image.name],
            "Layers": contents.layers.iter().map(|layer| blob(&layer.digest)).collect::<Vec<_>>(),
        }]);
        let mut archive = Self {
            parts: Vec::new(),
            size: 0,
        };
        archive.file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec())?;
        archive.file("index.json", index.to_string().into_bytes())?;
        archive.file("manifest.json", docker.to_string().into_bytes())?;
        archive.file(&blob(&sha256(&manifest)), manifest)?;
        archive.file(&blob(&sha256(&image.config)), image.config.clone())?;
        for inside in contents.inside {
            let path = blob(&inside.layer.digest);
            match &inside.content {
                Content::Memory(bytes) => archive.file(&path, bytes.clone())?,
                Content::Cached(file) => {
                    archive.header(&path, inside.layer.size)?;
                    archive.push(Part::File(file.clone(), inside.layer.size));
                    archive.pad(inside.layer.size);
                }
            }
        }
        // two empty blocks end a tar
        archive.push(Part::Bytes(Bytes::from_static(&[0; 1024])));
        Ok(archive)
    }

    /// Its bytes in all.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Reads it from its beginning.
    pub(super) fn read(&self) -> impl AsyncRead + Send + use<> {
        let parts = stream::iter(self.parts.clone()).then(|part| async move {
            Ok::<_, io::Error>(match part {
                Part::Bytes(bytes) => stream::iter([Ok(bytes)]).left_stream(),
                Part::File(path, size) => {
                    use tokio::io::AsyncReadExt;
                    let file = tokio::fs::File::open(&path).await?;
                    if file.metadata().await?.len() != size {
                        return Err(io::Error::other(format!("{} is not as long as it was", path.display())));
                    }
                    ReaderStream::with_capacity(file.take(size), 1 << 18).right_stream()
                }
            })
        });
        StreamReader::new(Box::pin(futures::TryStreamExt::try_flatten(parts)))
    }

    fn file(&mut self, path: &str, bytes: impl Into<Bytes>) -> io::Result<()> {
        let bytes = bytes.into();
        let size = bytes.len() as u64;
        self.header(path, size)?;
        self.push(Part::Bytes(bytes));
        self.pad(size);
        Ok(())
    }

    fn header(&mut self, path: &str, size: u64) -> io::Result<()> {
        let mut header = tar::Header::new_ustar();
        header.set_path(path)?;
        header.set_entry_type(tar::EntryType::Regular);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1);
        header.set_size(size);
        header.set_cksum();
        self.push(Part::Bytes(Bytes::copy_from_slice(header.as_bytes())));
        Ok(())
    }

    fn pad(&mut self, size: u64) {
        let rest = size.next_multiple_of(512) - size;
        self.push(Part::Bytes(Bytes::from_static(&[0; 512][..rest as usize])));
    }

    fn push(&mut self, part: Part) {
        self.size += match &part {
            Part::Bytes(bytes) => bytes.len() as u64,
            Part::File(_, size) => *size,
        };
        self.parts.push(part);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::image::app::base::sample;

    #[tokio::test]
    async fn one_archive_for_both_kinds_of_stores() {
        let dir = tempfile::tempdir().unwrap();
        let large = vec![3; 70_001];
        fs_err::write(dir.path().join("large"), &large).unwrap();
        let layer = |bytes: &[u8]| Layer {
            digest: sha256(bytes),
            size: bytes.len() as u64,
        };
        let own = [
            Inside {
                layer: layer(b"small"),
                content: Content::Memory(Bytes::from_static(b"small")),
            },
            Inside {
                layer: layer(&large),
                content: Content::Cached(dir.path().join("large")),
            },
        ];
        let image = AppImage {
            name: "orders:0123456789ab".to_owned(),
            app: "orders".to_owned(),
            id: format!("sha256:{}", sha256(b"{}")),
            base: sample("b", &["aa"], serde_json::Value::Null),
            layers: Vec::new(),
            config: b"{}".to_vec(),
        };
        let layers = [
            Layer {
                digest: "aa".to_owned(),
                size: 0,
            },
            own[0].layer.clone(),
            own[1].layer.clone(),
        ];
        let archive = Archive::new(&Contents {
            image: &image,
            reference: "hub.example/library/orders:0123456789ab",
            layers: &layers,
            inside: &own,
        })
        .unwrap();
        let mut bytes = Vec::new();
        archive.read().read_to_end(&mut bytes).await.unwrap();
        assert_eq!(bytes.len() as u64, archive.size());
        let mut files = BTreeMap::new();
        for entry in tar::Archive::new(bytes.as_slice()).entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().display().to_string();
            let mut content = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
            files.insert(path, content);
        }
        let json = |path: &str| -> serde_json::Value { serde_json::from_slice(&files[path]).unwrap() };
        let entry = &json("index.json")["manifests"][0];
        assert_eq!(
            entry["annotations"]["io.containerd.image.name"],
            "hub.example/library/orders:0123456789ab"
        );
        let manifest = json(&format!(
            "blobs/{}",
            entry["digest"].as_str().unwrap().replace(':', "/")
        ));
        assert_eq!(manifest["layers"].as_array().unwrap().len(), 3);
        assert_eq!(manifest["config"]["digest"], image.id.as_str());
        let docker = &json("manifest.json")[0];
        assert_eq!(docker["RepoTags"][0], "orders:0123456789ab");
        assert_eq!(docker["Config"], format!("blobs/{}", image.id.replace(':', "/")));
        // the base's layer is named and not inside
        assert!(!files.contains_key("blobs/sha256/aa") && docker["Layers"][0] == "blobs/sha256/aa");
        for inside in &own {
            assert_eq!(
                sha256(&files[&format!("blobs/sha256/{}", inside.layer.digest)]),
                inside.layer.digest
            );
        }
        // a file that was cut since is no archive
        fs_err::write(dir.path().join("large"), b"cut").unwrap();
        assert!(archive.read().read_to_end(&mut Vec::new()).await.is_err());
    }
}
