//! Whether a node has an image after all: its name, its bytes, its unpacked layers, and the kubelet's word.

use std::time::Duration;

use super::client::Refused;
use super::node::Node;
use super::work::Manifest;

/// How long the kubelet's view of the images may be behind.
const KUBELET: Duration = Duration::from_secs(10);

/// What a node should have.
#[derive(Debug)]
pub(in crate::image) struct Expected<'a> {
    /// The image's full name.
    pub(in crate::image) name: &'a str,
    pub(in crate::image) manifest: &'a Manifest,
    /// Blobs (`sha256:…`) beside manifest and configuration, and their sizes.
    pub(in crate::image) blobs: &'a [(String, u64)],
    /// ChainID of all its layers.
    pub(in crate::image) top: &'a str,
}

impl Node {
    /// What the node lacks of an image; `None` if it has all of it.
    pub(in crate::image) async fn lacks(&self, expected: &Expected<'_>) -> Result<Option<String>, Refused> {
        let Expected { name, manifest, .. } = expected;
        let mut digests: Vec<String> = expected.blobs.iter().map(|(digest, _)| digest.clone()).collect();
        digests.extend([manifest.digest.clone(), manifest.config.clone()]);
        let chains = [expected.top.to_owned()];
        let (images, blobs, unpacked, kubelets) = tokio::try_join!(
            self.images(),
            self.blobs(&digests),
            self.unpacked(&chains),
            self.seen_by_kubelet(name, &manifest.config)
        )?;
        if images.get(*name).map(|record| &record.digest) != Some(&manifest.digest) {
            return Ok(Some(format!("its name does not lead to {}", manifest.digest)));
        }
        if let Some(absent) = digests.iter().find(|digest| !blobs.contains_key(*digest)) {
            return Ok(Some(format!("{absent} is not there")));
        }
        let wrong = expected
            .blobs
            .iter()
            .find(|(digest, size)| blobs.get(digest) != Some(size));
        if let Some((digest, size)) = wrong {
            return Ok(Some(format!("{digest} has not {size} bytes")));
        }
        if unpacked.is_empty() {
            return Ok(Some(format!("the layers {} are not unpacked", expected.top)));
        }
        Ok(match kubelets {
            Some(id) if id == manifest.config => None,
            Some(id) => Some(format!("the kubelet would start {id}")),
            None => Some("the kubelet does not see it".to_owned()),
        })
    }

    /// What the kubelet sees under a name, once it is `id`, or in the end: it hears of images by events.
    async fn seen_by_kubelet(&self, name: &str, id: &str) -> Result<Option<String>, Refused> {
        let start = tokio::time::Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            let seen = self.kubelets(name).await?;
            if seen.as_deref() == Some(id) || start.elapsed() > KUBELET {
                return Ok(seen);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }
}
