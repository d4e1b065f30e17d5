//! Layers of this machine's cache into a node's store as files: nothing of them goes through containerd.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::blob::Bytes;
use super::client::Refused;
use super::work::Work;
use crate::image::load::{Layer, MOUNTED_BLOBS};

/// How often a file is laid: one that nobody has registered yet may be swept away.
const ATTEMPTS: usize = 3;

/// Label of a layer with the digest of its uncompressed bytes (`containerd/pkg/labels`).
const UNCOMPRESSED: &str = "containerd.io/uncompressed";

impl Work {
    /// A layer into the store, from its file on this machine. Its bytes are checked when it is unpacked.
    pub(in crate::image) async fn lay(&self, layer: &Layer, file: &Path) -> Result<(), Refused> {
        let digest = format!("sha256:{}", layer.digest);
        let labels = BTreeMap::from([(UNCOMPRESSED.to_owned(), digest.clone())]);
        for _ in 0..ATTEMPTS {
            if !self.laid(&layer.digest, file).await {
                break;
            }
            if self
                .keep(&digest, layer.size, Bytes::Laid, labels.clone())
                .await
                .is_ok()
            {
                return Ok(());
            }
        }
        self.keep(&digest, layer.size, Bytes::File(file.to_owned()), labels)
            .await
    }

    /// Lays a file into the store's folder: as a link into the cache that the node has mounted, as another name of the
    /// same file, or as a copy. Whether that was possible.
    async fn laid(&self, name: &str, file: &Path) -> bool {
        let node = std::sync::Arc::clone(&self.node);
        let (name, file) = (name.to_owned(), file.to_owned());
        let work = move || -> std::io::Result<()> {
            let store = PathBuf::from(&node.root).join("io.containerd.content.v1.content/blobs/sha256");
            let folder = node.reach.folder(&store)?;
            folder.remove(&name);
            let mounted = format!("{MOUNTED_BLOBS}/{name}");
            if node.reach.has(Path::new(&mounted)) {
                return folder.symlink(&name, &mounted);
            }
            let linked = node
                .reach
                .outside(&folder, &store)
                .is_some_and(|outside| std::fs::hard_link(&file, outside.join(&name)).is_ok());
            if linked { Ok(()) } else { folder.put(&name, &file) }
        };
        matches!(tokio::task::spawn_blocking(work).await, Ok(Ok(())))
    }
}
