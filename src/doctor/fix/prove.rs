//! Proves that the engine starts privileged containers, by starting one.

use std::path::Path;
use std::time::Duration;

use bollard::Docker;
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, CreateImageOptionsBuilder, RemoveContainerOptionsBuilder, RemoveImageOptions,
};
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::time::timeout;

use crate::diag::{Failure, Reason, Result};

/// An image without a file in it: the container gets the programs of this machine, for reading.
const IMAGE: &str = "flink-dev/doctor-proof";
const CONTAINER: &str = "flink-dev-doctor-proof";
const PROGRAM: &str = "/bin/true";
const BOUND: Duration = Duration::from_secs(60);

/// Runs `true` in a privileged container and removes what that took.
///
/// # Errors
/// [`Reason::CureFailed`] with the engine's words if it does not start or end well.
pub(in crate::doctor) async fn privileged(docker: &Docker) -> Result<()> {
    let failed = |why: String| Failure::new(Reason::CureFailed, "no privileged container starts").evidence(why);
    let seen = timeout(BOUND, run(docker)).await;
    // whatever came of it, nothing stays behind
    let force = RemoveContainerOptionsBuilder::new().force(true).build();
    let _ = timeout(BOUND, docker.remove_container(CONTAINER, Some(force))).await;
    let _ = timeout(BOUND, docker.remove_image(IMAGE, None::<RemoveImageOptions>, None)).await;
    match seen {
        Ok(Ok(0)) => Ok(()),
        Ok(Ok(code)) => Err(failed(format!("`{PROGRAM}` ended with {code} in it"))),
        Ok(Err(e)) => Err(failed(e.to_string())),
        Err(_) => Err(failed(format!("not done after {BOUND:?}"))),
    }
}

async fn run(docker: &Docker) -> std::result::Result<i64, bollard::errors::Error> {
    // two blocks of zeros: a tar archive of nothing
    let empty = bollard::body_full(vec![0_u8; 1024].into());
    let import = CreateImageOptionsBuilder::new()
        .from_src("-")
        .repo(IMAGE)
        .tag("latest")
        .build();
    docker
        .create_image(Some(import), Some(empty), None)
        .try_collect::<Vec<_>>()
        .await?;
    let folders = ["/bin", "/lib", "/lib64", "/usr"]
        .into_iter()
        .filter(|f| Path::new(f).exists());
    let host_config = HostConfig {
        privileged: Some(true),
        network_mode: Some("none".to_owned()),
        binds: Some(folders.map(|f| format!("{f}:{f}:ro")).collect()),
        ..HostConfig::default()
    };
    let body = ContainerCreateBody {
        image: Some(IMAGE.to_owned()),
        cmd: Some(vec![PROGRAM.to_owned()]),
        host_config: Some(host_config),
        ..ContainerCreateBody::default()
    };
    let force = RemoveContainerOptionsBuilder::new().force(true).build();
    // one that an earlier, killed run left behind
    let _ = docker.remove_container(CONTAINER, Some(force)).await;
    docker
        .create_container(Some(CreateContainerOptionsBuilder::new().name(CONTAINER).build()), body)
        .await?;
    docker.start_container(CONTAINER, None).await?;
    match docker.wait_container(CONTAINER, None).next().await {
        Some(Ok(end)) => Ok(end.status_code),
        Some(Err(bollard::errors::Error::DockerContainerWaitError { code, .. })) => Ok(code),
        Some(Err(e)) => Err(e),
        None => Ok(-1),
    }
}
