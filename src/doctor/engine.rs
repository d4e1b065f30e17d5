//! What the Docker engine tells about itself. Everything that talks to it is in here and in `fix/prove.rs`.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;
use futures::future::join_all;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::endpoint::endpoint;
use super::host::{denied_of, open_files_of};
use super::network::Reach;
use super::paths::Paths;
use crate::config::Profile;
use crate::env::Env;

/// How long the engine has for all answers about itself. One that is busy with a build on a slow disk was seen to take
/// more than 2.5 s.
const ANSWER: Duration = Duration::from_secs(8);

/// How long a container registry has; where there is none, that is what the whole examination waits for.
const REGISTRY: Duration = Duration::from_secs(3);

/// The image whose place of origin is asked for: the base of all builds.
pub(super) const BASE_IMAGE: &str = "debian:trixie-slim";

/// What an engine that answered says of itself and of what we need in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct EngineFacts {
    /// Where it listens, e.g. `unix:///var/run/docker.sock`.
    pub(super) endpoint: String,
    /// Its version.
    pub(super) version: String,
    /// The newest API version it speaks.
    pub(super) api_version: String,
    /// How it stores layers: `overlay2`, `overlayfs`, `vfs`, ...
    pub(super) storage_driver: String,
    /// `1` or `2`.
    pub(super) cgroup_version: String,
    /// `cgroupfs` or `systemd`.
    pub(super) cgroup_driver: String,
    /// Where it keeps images and containers, on its machine.
    pub(super) root_dir: PathBuf,
    /// CPUs of its machine.
    pub(super) cpus: u64,
    /// Memory of its machine in MiB.
    pub(super) memory_mib: u64,
    /// Kernel of its machine; the same as ours means that it runs here.
    pub(super) kernel: String,
    /// Name of the runtime that starts containers.
    pub(super) default_runtime: String,
    /// The program behind it.
    pub(super) runtime_path: String,
    /// Whether it runs without root.
    pub(super) rootless: bool,
    /// Whether it was given a proxy.
    pub(super) has_proxy: bool,
    /// The daemon's process, where it can be seen from here.
    pub(super) daemon: Option<Daemon>,
    /// Those of the images that we asked for which it has.
    pub(super) images: BTreeSet<String>,
    /// The profile's cluster, if its node's container is there.
    pub(super) node: Option<Node>,
}

/// The daemon's process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Daemon {
    /// Its id; 1 where systemd listens for it.
    pub(super) pid: i32,
    /// Capabilities that it cannot give.
    pub(super) denied: Vec<String>,
    /// Its hard limit of open files, which containers inherit.
    pub(super) open_files: Option<u64>,
}

/// The container of the profile's cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Node {
    /// Whether it runs.
    pub(super) running: bool,
    /// Local ports that it publishes.
    pub(super) ports: BTreeSet<u16>,
}

/// The outcome of asking for an engine.
#[derive(Debug, Clone)]
pub(super) enum EngineState {
    /// It answered; the registry's answer came through it.
    Up { facts: Box<EngineFacts>, registry: Reach },
    /// Its socket may not be opened by this user.
    Forbidden { endpoint: String },
    /// Nobody answers.
    Down { endpoint: String, why: String, ours: bool },
}

/// Asks the engine; bounded by some three seconds. `far`: also, through it, the registry of its images.
pub(super) async fn ask(env: &Env, profile: &Profile, paths: &Paths, far: bool) -> EngineState {
    let (endpoint, ours) = endpoint(env, paths);
    let down = |why: String| EngineState::Down {
        endpoint: endpoint.clone(),
        why,
        ours,
    };
    let mut pid = None;
    if let Some(path) = endpoint.strip_prefix("unix://") {
        // the system's own error tells "no permission" from "nobody there"; bollard's does not
        match timeout(ANSWER, UnixStream::connect(path)).await {
            Ok(Ok(stream)) => pid = stream.peer_cred().ok().and_then(|c| c.pid()).filter(|p| *p > 0),
            Ok(Err(e)) if e.kind() == ErrorKind::PermissionDenied => return EngineState::Forbidden { endpoint },
            Ok(Err(e)) if e.kind() == ErrorKind::NotFound => return down("there is no such socket".to_owned()),
            Ok(Err(e)) => return down(e.to_string()),
            Err(_) => return down(format!("no connection within {ANSWER:?}")),
        }
    }
    let docker = match connect(&endpoint).await {
        Ok(docker) => docker,
        Err(why) => return down(why),
    };
    let (facts, registry) = tokio::join!(
        timeout(ANSWER, facts(&docker, profile)),
        registry(&docker, profile, far)
    );
    match facts {
        Ok(Ok(mut facts)) => {
            facts.endpoint.clone_from(&endpoint);
            facts.daemon = pid.and_then(|pid| daemon(Path::new("/"), pid));
            EngineState::Up {
                facts: Box::new(facts),
                registry,
            }
        }
        Ok(Err(e)) => down(e.to_string()),
        Err(_) => down(format!("no answer within {ANSWER:?}")),
    }
}

/// A client that speaks the engine's version of the API.
pub(super) async fn connect(endpoint: &str) -> Result<Docker, String> {
    let docker = Docker::connect_with_host(endpoint).map_err(|e| e.to_string())?;
    match timeout(ANSWER, docker.negotiate_version()).await {
        Ok(Ok(docker)) => Ok(docker),
        Ok(Err(e)) => Err(e.to_string()),
        Err(_) => Err(format!("no answer within {ANSWER:?}")),
    }
}

async fn facts(docker: &Docker, profile: &Profile) -> Result<EngineFacts, Error> {
    let names = [BASE_IMAGE.to_owned(), profile.node_image()];
    let (info, version, node, images) = tokio::join!(
        docker.info(),
        docker.version(),
        node(docker, profile),
        join_all(names.iter().map(|name| docker.inspect_image(name)))
    );
    let (info, version) = (info?, version?);
    let default_runtime = info.default_runtime.unwrap_or_default();
    let runtime = info.runtimes.as_ref().and_then(|all| all.get(&default_runtime));
    let number = |n: Option<i64>| u64::try_from(n.unwrap_or_default()).unwrap_or_default();
    Ok(EngineFacts {
        version: info.server_version.unwrap_or_default(),
        api_version: version.api_version.unwrap_or_default(),
        storage_driver: info.driver.unwrap_or_default(),
        cgroup_version: info.cgroup_version.map(|v| v.to_string()).unwrap_or_default(),
        cgroup_driver: info.cgroup_driver.map(|d| d.to_string()).unwrap_or_default(),
        root_dir: info.docker_root_dir.unwrap_or_default().into(),
        cpus: number(info.ncpu),
        memory_mib: number(info.mem_total) / (1 << 20),
        kernel: info.kernel_version.unwrap_or_default(),
        runtime_path: runtime.and_then(|r| r.path.clone()).unwrap_or_default(),
        default_runtime,
        rootless: info
            .security_options
            .unwrap_or_default()
            .iter()
            .any(|o| o.contains("name=rootless")),
        has_proxy: [info.http_proxy, info.https_proxy]
            .iter()
            .flatten()
            .any(|p| !p.is_empty()),
        images: names
            .iter()
            .zip(&images)
            .filter(|(_, found)| found.is_ok())
            .map(|(name, _)| name.clone())
            .collect(),
        node,
        ..EngineFacts::default()
    })
}

async fn node(docker: &Docker, profile: &Profile) -> Option<Node> {
    let name = format!("{}-control-plane", profile.cluster_name());
    let container = docker.inspect_container(&name, None).await.ok()?;
    let bindings = container.host_config.and_then(|c| c.port_bindings).unwrap_or_default();
    let ports = bindings
        .into_values()
        .flatten()
        .flatten()
        .filter_map(|b| b.host_port?.parse().ok())
        .collect();
    Some(Node {
        running: container.state.and_then(|s| s.running).unwrap_or_default(),
        ports,
    })
}

/// Asks through the engine whether the registry of its images, or the profile's mirror, answers.
async fn registry(docker: &Docker, profile: &Profile, far: bool) -> Reach {
    if !far {
        return Reach::NotChecked("not asked".to_owned());
    }
    let name = match &profile.images.mirror {
        Some(mirror) => format!("{}/library/{BASE_IMAGE}", mirror.trim_end_matches('/')),
        None => BASE_IMAGE.to_owned(),
    };
    match timeout(REGISTRY, docker.inspect_registry_image(&name, None)).await {
        Ok(Ok(_)) => Reach::Reached(format!("{name} can be pulled")),
        // a registry that refuses or does not know the image is there, and still no image comes from it
        Ok(Err(Error::DockerResponseServerError { message, .. })) => Reach::Unreached(message.trim().to_owned()),
        Ok(Err(e)) => Reach::Unreached(e.to_string()),
        Err(_) => Reach::Unreached(format!("no answer within {REGISTRY:?}")),
    }
}

fn daemon(root: &Path, pid: i32) -> Option<Daemon> {
    let denied = denied_of(root, &pid.to_string())?;
    Some(Daemon {
        pid,
        denied,
        open_files: open_files_of(root, &pid.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::testing::{env, profile};

    #[tokio::test]
    async fn a_missing_and_a_deaf_socket_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths {
            socket: dir.path().join("docker.sock"),
            ..Paths::default()
        };
        let state = ask(&env(dir.path()), &profile(), &paths, false).await;
        assert!(
            matches!(&state, EngineState::Down { why, ours: true, .. } if why.contains("no such socket")),
            "{state:?}"
        );

        drop(std::os::unix::net::UnixListener::bind(&paths.socket).unwrap());
        let state = ask(&env(dir.path()), &profile(), &paths, false).await;
        assert!(
            matches!(&state, EngineState::Down { why, .. } if why.contains("refused")),
            "{state:?}"
        );
    }

    #[tokio::test]
    async fn an_engine_that_accepts_and_never_answers_is_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths {
            socket: dir.path().join("docker.sock"),
            ..Paths::default()
        };
        let _listener = std::os::unix::net::UnixListener::bind(&paths.socket).unwrap();
        let began = std::time::Instant::now();
        let state = ask(&env(dir.path()), &profile(), &paths, false).await;
        assert!(
            matches!(&state, EngineState::Down { why, .. } if why.contains("no answer")),
            "{state:?}"
        );
        assert!(began.elapsed() < ANSWER * 5);
    }
}
