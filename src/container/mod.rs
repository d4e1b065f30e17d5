//! The Docker engine, over its HTTP API.

mod build;
mod build_error;
mod context;
mod endpoint;
mod exec;
mod files;
mod images;
mod info;
mod inspect;
mod ping;
#[cfg(test)]
mod real_tests;
mod registry;
mod transfer;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bollard::{API_DEFAULT_VERSION, ClientVersion, Docker};
use tokio::sync::OnceCell;

use crate::diag::{Failure, Reason, Result};
use crate::env::Env;

pub use build::{Build, Built};
pub use context::Context;
pub(crate) use endpoint::usual_socket;
pub use exec::{ExecOutput, ExecSession, Stdin};
pub use files::PathEntry;
pub use images::EngineImage;
pub use info::EngineInfo;
pub use inspect::{ContainerInfo, ImageInfo};
pub(crate) use transfer::mirrored;
pub use transfer::{Changes, RegistryAnswer};

use endpoint::Endpoint;

/// Bound of [`Engine::connect`].
const CONNECT: Duration = Duration::from_secs(5);

/// Bound of a ping; an engine that does not answer it is asked in another way.
const PING: Duration = Duration::from_secs(2);

/// How long an ordinary request may take until its answer begins, in seconds.
const REQUEST_S: u64 = 60;

/// The same for builds, exports and imports: an engine of the old store writes all layers to its disk before the
/// first byte of an export comes.
const LONG_REQUEST_S: u64 = 1800;

/// Label of containers that exist only to read files from an image.
pub const HELPER_LABEL: &str = "dev.flink.helper";

/// A connection to the engine. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Engine {
    docker: Docker,
    long: Docker,
    endpoint: String,
    local: bool,
    registry: Arc<OnceCell<String>>,
    /// Where the default registry of this engine is noted.
    note: Option<PathBuf>,
}

impl Engine {
    /// Connects to the engine that `docker` would use (`DOCKER_HOST`, contexts, the usual sockets) and agrees on a
    /// version of the API.
    ///
    /// # Errors
    /// [`Reason::EngineUnreachable`] if nothing answers within 5 s, [`Reason::EnginePermission`] if the socket may
    /// not be opened.
    pub async fn connect(env: &Env) -> Result<Self> {
        let endpoint = endpoint::find(env)?;
        let shown = endpoint.display();
        let mut pong = None;
        if let Endpoint::Unix(path) = &endpoint {
            // bollard tells neither a missing socket from a dead one, nor either from one that is not permitted
            let stream = tokio::time::timeout(CONNECT, tokio::net::UnixStream::connect(path))
                .await
                .map_err(|_| unreachable(&shown).evidence("no answer within 5 s"))?
                .map_err(|error| match error.kind() {
                    std::io::ErrorKind::PermissionDenied => {
                        Failure::new(Reason::EnginePermission, format!("{shown} may not be opened")).cause(&error)
                    }
                    _ => unreachable(&shown).cause(&error),
                })?;
            pong = ping::ping(stream, PING).await;
        }
        let spoken = match &pong {
            Some(pong) => ClientVersion {
                major_version: pong.major,
                minor_version: pong.minor,
            },
            None => *API_DEFAULT_VERSION,
        };
        let docker = match &endpoint {
            Endpoint::Unix(path) => Docker::connect_with_unix(&path.to_string_lossy(), REQUEST_S, &spoken),
            Endpoint::Tcp(address) => Docker::connect_with_http(address, REQUEST_S, &spoken),
            Endpoint::Tls {
                address,
                certificates: dir,
            } => {
                let (key, cert, ca) = (dir.join("key.pem"), dir.join("cert.pem"), dir.join("ca.pem"));
                Docker::connect_with_ssl(address, &key, &cert, &ca, REQUEST_S, &spoken)
            }
        }
        .map_err(|e| unreachable(&shown).cause(&e))?;
        let docker = if pong.is_some() {
            docker
        } else {
            tokio::time::timeout(CONNECT, docker.negotiate_version())
                .await
                .map_err(|_| unreachable(&shown).evidence("it did not tell its version within 5 s"))?
                .map_err(|e| unreachable(&shown).cause(&e))?
        };
        let server = pong.map(|pong| pong.server).filter(|server| !server.is_empty());
        let note = server.map(|server| registry::note(env, &shown, &server));
        let long = docker.clone().with_timeout(Duration::from_secs(LONG_REQUEST_S));
        Ok(Self {
            docker,
            long,
            endpoint: shown,
            local: endpoint.is_local(),
            registry: Arc::default(),
            note,
        })
    }

    /// The engine's address, as it would stand in `DOCKER_HOST`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Whether it is reached by a socket of this machine.
    pub fn is_local(&self) -> bool {
        self.local
    }

    /// What a request's error means to a user; `what` completes "could not".
    fn failed(&self, what: &str, error: &bollard::errors::Error) -> Failure {
        use bollard::errors::Error;
        let gone = match error {
            Error::HyperLegacyError { err } => err.is_connect(),
            Error::SocketNotFoundError(_) => true,
            _ => false,
        };
        if gone {
            return unreachable(&self.endpoint).cause(error);
        }
        Failure::new(Reason::EngineError, format!("the engine could not {what}")).evidence(message(error))
    }
}

fn unreachable(endpoint: &str) -> Failure {
    Failure::new(
        Reason::EngineUnreachable,
        format!("no Docker engine answers at {endpoint}"),
    )
}

/// The engine's own words where it had any.
fn message(error: &bollard::errors::Error) -> String {
    use bollard::errors::Error;
    match error {
        Error::DockerResponseServerError { status_code, message } => format!("{message} (status {status_code})"),
        Error::DockerStreamError { error } => error.clone(),
        other => crate::diag::with_sources(other),
    }
}

/// Whether the engine says that the thing asked for is not there.
fn is_absent(error: &bollard::errors::Error) -> bool {
    matches!(
        error,
        bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }
    )
}

/// Whether the engine says that a container has nothing at a path. It answers the same status where the container
/// itself is gone, which says nothing of the path.
fn is_absent_path(error: &bollard::errors::Error) -> bool {
    is_absent(error) && !message(error).to_lowercase().contains("no such container")
}

#[cfg(test)]
mod tests {
    use bollard::errors::Error;

    use super::{is_absent, is_absent_path};

    #[test]
    fn a_container_that_is_gone_says_nothing_of_its_paths() {
        let answer = |status_code, message: &str| Error::DockerResponseServerError {
            status_code,
            message: message.to_owned(),
        };
        // as Docker and Podman say it
        for path in [
            "Could not find the file /x in container 0123",
            "\"/x\" could not be found on container 0123: no such file or directory",
        ] {
            assert!(is_absent_path(&answer(404, path)), "{path}");
        }
        for gone in [
            "No such container: 0123",
            "no container with ID 0123 found: no such container",
        ] {
            assert!(
                is_absent(&answer(404, gone)) && !is_absent_path(&answer(404, gone)),
                "{gone}"
            );
        }
        assert!(!is_absent_path(&answer(
            500,
            "Could not find the file /x in container 0123"
        )));
    }
}
