//! Images and containers as the engine has them.

use std::collections::{BTreeMap, HashMap};

use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::{
    InspectContainerOptions, ListContainersOptionsBuilder, ListImagesOptionsBuilder, RemoveContainerOptionsBuilder,
    RemoveImageOptionsBuilder, StartContainerOptions,
};
use serde::Serialize;

use super::{Engine, is_absent};
use crate::diag::Result;

/// An image in the engine.
#[derive(Debug, Clone, Serialize)]
pub struct ImageInfo {
    /// `sha256:` and the digest of its configuration, or of its manifest with containerd's store.
    pub id: String,
    /// Digests of its uncompressed layers, lowest first.
    pub diff_ids: Vec<String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Size of its layers in bytes.
    pub size: u64,
    /// Architecture in OCI's names.
    pub architecture: String,
    /// Variant of the architecture, e.g. `v8`; empty if it has none.
    pub variant: String,
    /// Operating system in OCI's names.
    pub os: String,
    /// What containers of it run, their environment and more, as the engine's JSON.
    pub config: serde_json::Value,
}

impl ImageInfo {
    /// A variable of the environment that containers of it get.
    pub fn env(&self, name: &str) -> Option<&str> {
        self.config.get("Env")?.as_array()?.iter().find_map(|entry| {
            let (key, value) = entry.as_str()?.split_once('=')?;
            (key == name).then_some(value)
        })
    }
}

/// A container.
#[derive(Debug, Clone, Serialize)]
pub struct ContainerInfo {
    /// Its id.
    pub id: String,
    /// Its name without the leading slash.
    pub name: String,
    /// Whether it runs.
    pub running: bool,
    /// Its first process, as the engine's machine knows it; 0 while it does not run.
    pub pid: u32,
    /// Name of its image, as it was given.
    pub image: String,
    /// Id of its image.
    pub image_id: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its networks, each with its IPv4 address there; empty while it does not run.
    pub networks: BTreeMap<String, String>,
    /// Published TCP ports: port in the container to port on the host.
    pub ports: BTreeMap<u16, u16>,
    /// When it started, in RFC 3339.
    pub started_at: String,
    /// What is mounted in it: the path there to the path on the engine's machine.
    pub mounts: BTreeMap<String, String>,
}

impl ContainerInfo {
    /// The host's port that leads to a TCP port of the container.
    pub fn published_port(&self, port: u16) -> Option<u16> {
        self.ports.get(&port).copied()
    }
}

impl Engine {
    /// The image of that name, if the engine has it.
    ///
    /// # Errors
    /// [`crate::diag::Reason::EngineError`] or [`crate::diag::Reason::EngineUnreachable`].
    pub async fn image(&self, name: &str) -> Result<Option<ImageInfo>> {
        let image = match self.docker.inspect_image(name).await {
            Ok(image) => image,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(self.failed(&format!("inspect the image {name}"), &error)),
        };
        let labels = image.config.as_ref().and_then(|c| c.labels.clone()).unwrap_or_default();
        Ok(Some(ImageInfo {
            id: image.id.unwrap_or_default(),
            diff_ids: image.root_fs.and_then(|r| r.layers).unwrap_or_default(),
            labels: labels.into_iter().collect(),
            size: image.size.and_then(|n| u64::try_from(n).ok()).unwrap_or_default(),
            architecture: image.architecture.unwrap_or_default(),
            variant: image.variant.unwrap_or_default(),
            os: image.os.unwrap_or_default(),
            config: serde_json::to_value(image.config).unwrap_or_default(),
        }))
    }

    /// Takes a name from an image, and removes the image with its last name; absent is fine.
    ///
    /// # Errors
    /// [`crate::diag::Reason::EngineError`], e.g. if a container uses it.
    pub async fn remove_image(&self, name: &str) -> Result<()> {
        let options = RemoveImageOptionsBuilder::new().build();
        match self.docker.remove_image(name, Some(options), None).await {
            Ok(_) => Ok(()),
            Err(error) if is_absent(&error) => Ok(()),
            Err(error) => Err(self.failed(&format!("remove the image {name}"), &error)),
        }
    }

    /// Takes a name from an image as [`Self::remove_image`] does, also if a container that does not run uses it.
    ///
    /// # Errors
    /// [`crate::diag::Reason::EngineError`], e.g. if a running container uses it.
    pub async fn remove_image_by_force(&self, name: &str) -> Result<()> {
        let options = RemoveImageOptionsBuilder::new().force(true).build();
        match self.docker.remove_image(name, Some(options), None).await {
            Ok(_) => Ok(()),
            Err(error) if is_absent(&error) => Ok(()),
            Err(error) => Err(self.failed(&format!("remove the image {name}"), &error)),
        }
    }

    /// Takes a name from an image as [`Self::remove_image`] does, unless a container uses it. Whether it is gone.
    ///
    /// # Errors
    /// [`crate::diag::Reason::EngineError`] or [`crate::diag::Reason::EngineUnreachable`].
    pub async fn remove_unused_image(&self, name: &str) -> Result<bool> {
        let options = RemoveImageOptionsBuilder::new().build();
        match self.docker.remove_image(name, Some(options), None).await {
            Ok(_) => Ok(true),
            Err(error) if is_absent(&error) => Ok(true),
            Err(bollard::errors::Error::DockerResponseServerError { status_code: 409, .. }) => Ok(false),
            Err(error) => Err(self.failed(&format!("remove the image {name}"), &error)),
        }
    }

    /// Names of all images with a label (`KEY` or `KEY=VALUE`).
    ///
    /// # Errors
    /// [`crate::diag::Reason::EngineError`] or [`crate::diag::Reason::EngineUnreachable`].
    pub async fn names_with_label(&self, label: &str) -> Result<Vec<String>> {
        let filters = HashMap::from([("label", vec![label])]);
        let options = ListImagesOptionsBuilder::new().filters(&filters).build();
        let listed = self
            .docker
            .list_images(Some(options))
            .await
            .map_err(|e| self.failed("list its images", &e))?;
        Ok(listed.into_iter().flat_map(|image| image.repo_tags).collect())
    }

    /// The container of that name, running or not.
    ///
    /// # Errors
    /// [`crate::diag::Reason::EngineError`] or [`crate::diag::Reason::EngineUnreachable`].
    pub async fn container(&self, name: &str) -> Result<Option<ContainerInfo>> {
        match self
            .docker
            .inspect_container(name, None::<InspectContainerOptions>)
            .await
        {
            Ok(container) => Ok(Some(describe(container))),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(self.failed(&format!("inspect the container {name}"), &error)),
        }
    }

    /// All containers with a label (`KEY` or `KEY=VALUE`), running or not.
    ///
    /// # Errors
    /// [`crate::diag::Reason::EngineError`] or [`crate::diag::Reason::EngineUnreachable`].
    pub async fn containers_with_label(&self, label: &str) -> Result<Vec<ContainerInfo>> {
        let filters = HashMap::from([("label", vec![label])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let listed = self
            .docker
            .list_containers(Some(options))
            .await
            .map_err(|e| self.failed("list its containers", &e))?;
        let mut found = Vec::new();
        for id in listed.into_iter().filter_map(|c| c.id) {
            // one that went away meanwhile is not there any more
            found.extend(self.container(&id).await?);
        }
        Ok(found)
    }

    /// Removes a container, running or not, with its anonymous volumes; absent is fine.
    ///
    /// # Errors
    /// [`crate::diag::Reason::EngineError`] or [`crate::diag::Reason::EngineUnreachable`].
    pub async fn remove_container(&self, name: &str) -> Result<()> {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        match self.long.remove_container(name, Some(options)).await {
            Ok(()) => Ok(()),
            Err(error) if is_absent(&error) => Ok(()),
            // someone else removes it at this moment
            Err(bollard::errors::Error::DockerResponseServerError { status_code: 409, .. })
                if self.container(name).await?.is_none() =>
            {
                Ok(())
            }
            Err(error) => Err(self.failed(&format!("remove the container {name}"), &error)),
        }
    }

    /// Removes a network; absent is fine. Whether there was one.
    ///
    /// # Errors
    /// [`crate::diag::Reason::EngineError`], e.g. if a container is in it.
    pub async fn remove_network(&self, name: &str) -> Result<bool> {
        match self.docker.remove_network(name).await {
            Ok(()) => Ok(true),
            Err(error) if is_absent(&error) => Ok(false),
            Err(error) => Err(self.failed(&format!("remove the network {name}"), &error)),
        }
    }

    /// Starts a container that is stopped; a running one is fine.
    ///
    /// # Errors
    /// [`crate::diag::Reason::EngineError`] or [`crate::diag::Reason::EngineUnreachable`].
    pub async fn start_container(&self, name: &str) -> Result<()> {
        self.long
            .start_container(name, None::<StartContainerOptions>)
            .await
            .map_err(|e| self.failed(&format!("start the container {name}"), &e))
    }
}

fn describe(container: ContainerInspectResponse) -> ContainerInfo {
    let state = container.state.unwrap_or_default();
    let config = container.config.unwrap_or_default();
    let network = container.network_settings.unwrap_or_default();
    let ports = network
        .ports
        .unwrap_or_default()
        .into_iter()
        .filter_map(|(inner, bindings)| {
            let inner = inner.strip_suffix("/tcp")?.parse().ok()?;
            let outer = bindings?.into_iter().find_map(|b| b.host_port?.parse().ok())?;
            Some((inner, outer))
        });
    let networks = network.networks.unwrap_or_default().into_iter();
    ContainerInfo {
        id: container.id.unwrap_or_default(),
        name: container.name.unwrap_or_default().trim_start_matches('/').to_owned(),
        running: state.running.unwrap_or_default(),
        pid: state.pid.and_then(|pid| u32::try_from(pid).ok()).unwrap_or_default(),
        image: config.image.unwrap_or_default(),
        image_id: container.image.unwrap_or_default(),
        labels: config.labels.unwrap_or_default().into_iter().collect(),
        networks: networks
            .map(|(name, endpoint)| (name, endpoint.ip_address.unwrap_or_default()))
            .collect(),
        ports: ports.collect(),
        started_at: state.started_at.unwrap_or_default(),
        mounts: container
            .mounts
            .unwrap_or_default()
            .into_iter()
            .filter_map(|mount| Some((mount.destination?, mount.source?)))
            .collect(),
    }
}
