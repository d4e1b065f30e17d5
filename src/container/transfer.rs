//! Images in and out of the engine: registries, tags, archives.

use std::collections::BTreeMap;

use bollard::query_parameters::{
    CreateImageOptionsBuilder, ImportImageOptions, PushImageOptionsBuilder, TagImageOptionsBuilder,
};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use tokio::io::AsyncRead;
use tokio::sync::mpsc::Receiver;
use tokio_util::io::{ReaderStream, StreamReader};

use super::{Engine, message};
use crate::diag::{Failure, Reason, Result};
use crate::engine::StepCx;

/// What a registry said of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistryAnswer {
    /// It has the image.
    Has,
    /// It answered, and does not give it; its words.
    HasNot(String),
    /// Nobody answered; the engine's words.
    NoAnswer(String),
}

/// What an imported file system gets as an image: `Dockerfile` instructions.
pub type Changes = Vec<String>;

impl Engine {
    /// Asks the engine to ask the image's registry for it; nothing is pulled. The caller sets the bound.
    pub async fn in_registry(&self, image: &str) -> RegistryAnswer {
        use bollard::errors::Error;
        match self.docker.inspect_registry_image(image, None).await {
            Ok(_) => RegistryAnswer::Has,
            Err(Error::DockerResponseServerError {
                status_code: 400..=404,
                message,
            }) => RegistryAnswer::HasNot(message),
            Err(error) => {
                let text = message(&error);
                // older engines wrap a registry's refusal into a server error
                let refused = ["manifest unknown", "not found", "denied", "unauthorized"];
                if refused.iter().any(|word| text.to_lowercase().contains(word)) && !text.contains("no such host") {
                    RegistryAnswer::HasNot(text)
                } else {
                    RegistryAnswer::NoAnswer(text)
                }
            }
        }
    }

    /// Pulls an image by a name with a tag, with progress in bytes.
    ///
    /// # Errors
    /// [`Reason::ImagePullFailed`] with the engine's words.
    pub async fn pull(&self, image: &str, cx: &StepCx) -> Result<()> {
        let (repository, tag) = split_tag(image);
        let options = CreateImageOptionsBuilder::new().from_image(repository).tag(tag).build();
        let failed = |error: &bollard::errors::Error| {
            Failure::new(Reason::ImagePullFailed, format!("{image} could not be pulled")).evidence(message(error))
        };
        let mut layers: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        let mut events = self.long.create_image(Some(options), None, None);
        while let Some(event) = events.next().await {
            let event = event.map_err(|e| failed(&e))?;
            if let Some(text) = event.error_detail.and_then(|d| d.message) {
                return Err(failed(&bollard::errors::Error::DockerStreamError { error: text }));
            }
            let status = event.status.unwrap_or_default();
            if let (Some(id), Some(detail)) = (event.id, event.progress_detail)
                && status == "Downloading"
            {
                let number = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok()).unwrap_or_default();
                layers.insert(id, (number(detail.current), number(detail.total)));
                let (done, total) = layers.values().fold((0, 0), |(d, t), (done, all)| (d + done, t + all));
                cx.progress(done, total, "bytes", format!("pulling {image}"));
            }
        }
        // the stream also ends well when the connection is cut: what counts is the image
        match self.image(image).await? {
            Some(_) => Ok(()),
            None => Err(Failure::new(
                Reason::ImagePullFailed,
                format!("{image} is not there after its pull"),
            )),
        }
    }

    /// Pulls an image from a mirror (`HOST[:PORT][/PREFIX]`) of the public registries and gives it its public name.
    ///
    /// # Errors
    /// As [`Self::pull`].
    pub async fn pull_from(&self, mirror: Option<&str>, image: &str, cx: &StepCx) -> Result<()> {
        let Some(mirror) = mirror else {
            return self.pull(image, cx).await;
        };
        let mirrored = mirrored(mirror, image);
        self.pull(&mirrored, cx).await?;
        self.tag(&mirrored, image).await?;
        self.remove_image(&mirrored).await
    }

    /// Pushes an image by a name with a tag to the registry that the name begins with, with progress in bytes.
    ///
    /// # Errors
    /// [`Reason::EngineError`] with the engine's words.
    pub async fn push(&self, name: &str, cx: &StepCx) -> Result<()> {
        let (repository, tag) = split_tag(name);
        let options = PushImageOptionsBuilder::new().tag(tag).build();
        let mut events = self.long.push_image(repository, Some(options), None);
        while let Some(event) = events.next().await {
            let event = event.map_err(|e| self.failed(&format!("push {name}"), &e))?;
            if let (Some("Pushing"), Some(detail)) = (event.status.as_deref(), event.progress_detail) {
                let number = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok()).unwrap_or_default();
                let (done, total) = (number(detail.current), number(detail.total));
                cx.progress(
                    done,
                    total.max(done),
                    "bytes",
                    "the engine packs a layer that it never pushed",
                );
            }
        }
        Ok(())
    }

    /// Gives an image one more name.
    ///
    /// # Errors
    /// [`Reason::EngineError`].
    pub async fn tag(&self, image: &str, name: &str) -> Result<()> {
        let (repository, tag) = split_tag(name);
        let options = TagImageOptionsBuilder::new().repo(repository).tag(tag).build();
        self.docker
            .tag_image(image, Some(options))
            .await
            .map_err(|e| self.failed(&format!("name {image} {name}"), &e))
    }

    /// A tar of the images with their names, layers and configurations, as `docker save` writes it. An image that is
    /// not there ends it with an error.
    pub fn export(&self, images: &[String]) -> impl AsyncRead + Send + 'static + use<> {
        let parts = futures::stream::unfold(self.export_parts(images), |mut parts| async move {
            let part = parts.recv().await?;
            Some((part, parts))
        });
        StreamReader::new(Box::pin(parts))
    }

    /// The same, to be read by a thread that may block.
    pub fn export_blocking(&self, images: &[String]) -> impl std::io::Read + Send + 'static + use<> {
        Blocking {
            parts: self.export_parts(images),
            rest: Bytes::new(),
        }
    }

    fn export_parts(&self, images: &[String]) -> Receiver<std::io::Result<Bytes>> {
        let (sender, receiver) = tokio::sync::mpsc::channel(8);
        let (docker, names) = (self.long.clone(), images.to_vec());
        // ends with the reader: its next part finds the channel closed
        tokio::spawn(async move {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let mut parts = docker.export_images(&names);
            while let Some(part) = parts.next().await {
                if sender
                    .send(part.map_err(|e| std::io::Error::other(message(&e))))
                    .await
                    .is_err()
                {
                    break;
                }
            }
        });
        receiver
    }

    /// Takes a tar as `docker save` writes it.
    ///
    /// # Errors
    /// [`Reason::EngineError`].
    pub async fn import(&self, tar: impl AsyncRead + Send + 'static) -> Result<()> {
        let body = bollard::body_try_stream(ReaderStream::with_capacity(tar, 256 * 1024));
        self.long
            .import_image(ImportImageOptions::default(), body, None)
            .try_for_each(|event| async move {
                // what went wrong comes as a part of a stream that ends well
                match event.error_detail.and_then(|detail| detail.message) {
                    Some(error) => Err(bollard::errors::Error::DockerStreamError { error }),
                    None => Ok(()),
                }
            })
            .await
            .map_err(|e| self.failed("load an archive of images", &e))
    }

    /// Makes an image of one layer from the tar of a file system.
    ///
    /// # Errors
    /// [`Reason::EngineError`].
    pub async fn import_rootfs(
        &self,
        name: &str,
        changes: Changes,
        tar: impl AsyncRead + Send + 'static,
    ) -> Result<()> {
        let (repository, tag) = split_tag(name);
        let options = CreateImageOptionsBuilder::new()
            .from_src("-")
            .repo(repository)
            .tag(tag)
            .changes(changes)
            .build();
        let body = bollard::body_try_stream(ReaderStream::with_capacity(tar, 256 * 1024));
        self.long
            .create_image(Some(options), Some(body), None)
            .try_for_each(|_| async { Ok(()) })
            .await
            .map_err(|e| self.failed(&format!("make the image {name}"), &e))
    }
}

/// Parts of a stream for a thread that may block.
struct Blocking {
    parts: Receiver<std::io::Result<Bytes>>,
    rest: Bytes,
}

impl std::io::Read for Blocking {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.rest.is_empty() {
            match self.parts.blocking_recv() {
                Some(part) => self.rest = part?,
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.rest.len());
        buffer[..length].copy_from_slice(&self.rest.split_to(length));
        Ok(length)
    }
}

/// Repository and tag of a name; without a tag it is `latest`.
pub(super) fn split_tag(name: &str) -> (&str, &str) {
    match name.rsplit_once(':') {
        // a colon before a slash belongs to a port
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (name, "latest"),
    }
}

/// Name of a public image at a mirror: `MIRROR/library/flink:…` for `flink:…`. A registry's own host is left out.
pub(crate) fn mirrored(mirror: &str, image: &str) -> String {
    let path = match image.split_once('/') {
        None => format!("library/{image}"),
        Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => rest.to_owned(),
        Some(_) => image.to_owned(),
    };
    format!("{}/{path}", mirror.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_no_tag() {
        assert_eq!(split_tag("flink:2.2.1"), ("flink", "2.2.1"));
        assert_eq!(split_tag("127.0.0.1:5000/a/b"), ("127.0.0.1:5000/a/b", "latest"));
        assert_eq!(split_tag("127.0.0.1:5000/a/b:1"), ("127.0.0.1:5000/a/b", "1"));
    }

    #[test]
    fn names_at_a_mirror() {
        assert_eq!(
            mirrored("m:5000", "flink:2.2.1-java17"),
            "m:5000/library/flink:2.2.1-java17"
        );
        assert_eq!(
            mirrored("m/prefix/", "apache/kafka:4.1.1"),
            "m/prefix/apache/kafka:4.1.1"
        );
        assert_eq!(mirrored("m", "registry.example/a/b:1"), "m/a/b:1");
    }
}
