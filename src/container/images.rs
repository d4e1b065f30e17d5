//! All images of the engine at once.

use std::collections::{BTreeMap, BTreeSet};

use bollard::query_parameters::{ListContainersOptionsBuilder, ListImagesOptionsBuilder};
use serde::Serialize;

use super::Engine;
use crate::diag::Result;

/// An image as the engine lists it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct EngineImage {
    /// `sha256:` and the digest of its configuration, or of its manifest with containerd's store.
    pub id: String,
    /// Its names with tags.
    pub names: Vec<String>,
    /// Size of its layers in bytes.
    pub size: u64,
    /// When it was made, in seconds since the Unix epoch.
    pub created: i64,
    /// When it was given a name last, in milliseconds since the Unix epoch; 0 if the engine does not know, or was not
    /// asked (see [`Engine::tagged_at`]).
    pub tagged: i64,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Whether a container, running or not, was made from it.
    pub in_use: bool,
}

impl Engine {
    /// All images, those without a name too, but no intermediate ones.
    ///
    /// # Errors
    /// [`crate::diag::Reason::EngineError`] or [`crate::diag::Reason::EngineUnreachable`].
    pub async fn images(&self) -> Result<Vec<EngineImage>> {
        let containers = ListContainersOptionsBuilder::new().all(true).build();
        let images = ListImagesOptionsBuilder::new().build();
        let (containers, images) = tokio::join!(
            self.docker.list_containers(Some(containers)),
            self.docker.list_images(Some(images))
        );
        let containers = containers.map_err(|e| self.failed("list its containers", &e))?;
        let images = images.map_err(|e| self.failed("list its images", &e))?;
        let used: BTreeSet<String> = containers.into_iter().filter_map(|c| c.image_id).collect();
        let images = images.into_iter().map(|image| EngineImage {
            in_use: used.contains(&image.id),
            id: image.id,
            // engines before 23 write this for an image without a name
            names: image.repo_tags.into_iter().filter(|n| n != "<none>:<none>").collect(),
            size: u64::try_from(image.size).unwrap_or_default(),
            created: image.created,
            tagged: 0,
            labels: image.labels.into_iter().collect(),
        });
        Ok(images.collect())
    }

    /// When an image was given a name last, in milliseconds since the Unix epoch; 0 if the engine does not know.
    ///
    /// # Errors
    /// As [`Self::images`]; an image that is gone is none.
    pub async fn tagged_at(&self, id: &str) -> Result<i64> {
        match self.docker.inspect_image(id).await {
            Ok(image) => {
                let time = image.metadata.and_then(|m| m.last_tag_time);
                Ok(time.map_or(0, |time| time.timestamp_millis()).max(0))
            }
            Err(error) if super::is_absent(&error) => Ok(0),
            Err(error) => Err(self.failed(&format!("inspect the image {id}"), &error)),
        }
    }

    /// Names of all images, with tags.
    ///
    /// # Errors
    /// As [`Self::images`].
    pub async fn image_names(&self) -> Result<Vec<String>> {
        let options = ListImagesOptionsBuilder::new().build();
        let listed = self
            .docker
            .list_images(Some(options))
            .await
            .map_err(|e| self.failed("list its images", &e))?;
        let names = listed.into_iter().flat_map(|image| image.repo_tags);
        Ok(names.filter(|name| name != "<none>:<none>").collect())
    }
}
