//! Files out of images, without running anything of them.

use std::collections::HashMap;
use std::io::Read;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, DownloadFromContainerOptionsBuilder, ListContainersOptionsBuilder,
};
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};

use super::{Engine, HELPER_LABEL, is_absent, is_absent_path};
use crate::diag::{Failure, Reason, Result};

/// A helper older than this was left behind by a process that was killed.
const LEFT_BEHIND: Duration = Duration::from_secs(600);

/// A container that is removed when this goes away.
struct Helper {
    engine: Engine,
    id: Option<String>,
}

impl Helper {
    async fn remove(mut self) -> Result<()> {
        match self.id.take() {
            Some(id) => self.engine.remove_container(&id).await,
            None => Ok(()),
        }
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // a dropped future cannot wait; a runtime that ends meanwhile leaves it to `sweep`
        if let (Some(id), Ok(runtime)) = (self.id.take(), tokio::runtime::Handle::try_current()) {
            let engine = self.engine.clone();
            runtime.spawn(async move {
                let _ = engine.remove_container(&id).await;
            });
        }
    }
}

/// Something that lies in an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathEntry {
    /// Whether it is a folder; what is neither folder nor file (a link, a device) is none.
    pub folder: bool,
    /// Its owner.
    pub uid: u64,
    /// Its group.
    pub gid: u64,
    /// Its permissions, with the three bits above them.
    pub mode: u32,
}

impl PathEntry {
    fn of(header: &tar::Header) -> Option<Self> {
        Some(Self {
            folder: header.entry_type().is_dir(),
            uid: header.uid().ok()?,
            gid: header.gid().ok()?,
            mode: header.mode().ok()? & 0o7777,
        })
    }
}

impl Engine {
    /// A tar of `path` in the image (a file, or a folder with all in it, under its last name). The container it
    /// takes is created, never started, and removed.
    ///
    /// # Errors
    /// [`Reason::ImageUnavailable`] if the image or the path is not there; [`Reason::EngineError`].
    pub async fn read_from_image(&self, image: &str, path: &str) -> Result<Vec<u8>> {
        self.sweep().await;
        let helper = self.helper(image).await?;
        let id = helper.id.clone().unwrap_or_default();
        let options = DownloadFromContainerOptionsBuilder::new().path(path).build();
        let tar: Result<Vec<u8>, _> = self
            .long
            .download_from_container(&id, Some(options))
            .try_fold(Vec::new(), |mut all, part| async move {
                all.extend_from_slice(&part);
                Ok(all)
            })
            .await;
        helper.remove().await?;
        tar.map_err(|e| {
            if is_absent_path(&e) {
                Failure::new(Reason::ImageUnavailable, format!("the image {image} has no {path}"))
            } else {
                self.failed(&format!("read {path} from {image}"), &e)
            }
        })
    }

    /// A container of the image that is never started.
    async fn helper(&self, image: &str) -> Result<Helper> {
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            // an image of files alone has no command, and the engine wants one
            cmd: Some(vec!["none".to_owned()]),
            labels: Some(HashMap::from([(HELPER_LABEL.to_owned(), "read".to_owned())])),
            ..ContainerCreateBody::default()
        };
        let options = CreateContainerOptionsBuilder::new().build();
        let created = self.docker.create_container(Some(options), body).await.map_err(|e| {
            if is_absent(&e) {
                Failure::new(Reason::ImageUnavailable, format!("the engine has no image {image}"))
            } else {
                self.failed(&format!("make a container of {image}"), &e)
            }
        })?;
        Ok(Helper {
            engine: self.clone(),
            id: Some(created.id),
        })
    }

    /// The files of [`Self::read_from_image`] by their names in the tar, folders and links left out.
    ///
    /// # Errors
    /// As [`Self::read_from_image`].
    pub async fn files_of_image(&self, image: &str, path: &str) -> Result<Vec<(String, Vec<u8>)>> {
        let tar = self.read_from_image(image, path).await?;
        let unpack = || {
            let mut files = Vec::new();
            for entry in tar::Archive::new(tar.as_slice()).entries()? {
                let mut entry = entry?;
                if entry.header().entry_type().is_file() {
                    let name = entry.path()?.to_string_lossy().into_owned();
                    let mut bytes = Vec::new();
                    entry.read_to_end(&mut bytes)?;
                    files.push((name, bytes));
                }
            }
            Ok::<_, std::io::Error>(files)
        };
        unpack().map_err(|e| {
            Failure::new(
                Reason::EngineError,
                format!("the engine's copy of {path} in {image} is broken"),
            )
            .cause(&e)
        })
    }

    /// What lies at each of these paths in the image, `None` where nothing does. No more than the beginning of what is
    /// there is read, whatever its size.
    ///
    /// # Errors
    /// [`Reason::ImageUnavailable`] if the image is not there; [`Reason::EngineError`].
    pub async fn entries_of_image(&self, image: &str, paths: &[String]) -> Result<Vec<Option<PathEntry>>> {
        self.sweep().await;
        let helper = self.helper(image).await?;
        let mut found = Vec::new();
        for path in paths {
            match self.first_entry(&helper, path).await {
                Ok(entry) => found.push(entry),
                Err(error) => {
                    helper.remove().await?;
                    return Err(error.evidence(format!("{path} in {image}")));
                }
            }
        }
        helper.remove().await?;
        Ok(found)
    }

    /// The first entry of the engine's tar of a path.
    async fn first_entry(&self, helper: &Helper, path: &str) -> Result<Option<PathEntry>> {
        let id = helper.id.as_deref().unwrap_or_default();
        let options = DownloadFromContainerOptionsBuilder::new().path(path).build();
        let mut parts = self.long.download_from_container(id, Some(options));
        let mut bytes = Vec::new();
        loop {
            match parts.try_next().await {
                Ok(Some(part)) => bytes.extend_from_slice(&part),
                Ok(None) => {
                    return Err(Failure::new(
                        Reason::EngineError,
                        "the engine's copy of a path is cut short",
                    ));
                }
                // a helper that somebody's clean-up took says nothing of the path
                Err(error) if is_absent_path(&error) => return Ok(None),
                Err(error) => return Err(self.failed(&format!("read {path} from an image"), &error)),
            }
            // an entry may have extended headers before it: as long as it cannot be read there is more to come
            if let Some(Ok(entry)) = tar::Archive::new(bytes.as_slice())
                .entries()
                .ok()
                .and_then(|mut e| e.next())
            {
                return match PathEntry::of(entry.header()) {
                    Some(entry) => Ok(Some(entry)),
                    None => Err(Failure::new(
                        Reason::EngineError,
                        "the engine's copy of a path is not understood",
                    )),
                };
            }
        }
    }

    /// Removes helpers that killed processes left behind; one in use is too young.
    async fn sweep(&self) {
        let filters = HashMap::from([("label", vec![HELPER_LABEL])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        for container in self.docker.list_containers(Some(options)).await.unwrap_or_default() {
            let created = container
                .created
                .and_then(|s| u64::try_from(s).ok())
                .map(Duration::from_secs);
            let old = created.is_some_and(|created| now.saturating_sub(created) > LEFT_BEHIND);
            if let (Some(id), true) = (container.id, old) {
                // tidying up: the next one tries again
                let _ = self.remove_container(&id).await;
            }
        }
    }
}
