//! Where the Docker engine listens: what `docker` itself would use, found without starting it.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::diag::{Failure, Reason, Result};
use crate::env::Env;

/// An engine's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// A socket of this machine.
    Unix(PathBuf),
    /// TCP without TLS, `HOST:PORT`.
    Tcp(String),
    /// TCP with TLS; the folder holds `ca.pem`, `cert.pem` and `key.pem`.
    Tls { address: String, certificates: PathBuf },
}

impl Endpoint {
    /// As it would stand in `DOCKER_HOST`.
    pub(super) fn display(&self) -> String {
        match self {
            Self::Unix(path) => format!("unix://{}", path.display()),
            Self::Tcp(address) | Self::Tls { address, .. } => format!("tcp://{address}"),
        }
    }

    /// Whether paths and loopback addresses of the engine are those of this machine. A virtual machine behind a local
    /// socket (Docker Desktop, Colima) is not seen from here.
    pub(super) fn is_local(&self) -> bool {
        matches!(self, Self::Unix(_))
    }
}

#[derive(Deserialize, Default)]
struct ClientConfig {
    #[serde(rename = "currentContext", default)]
    current_context: String,
}

#[derive(Deserialize)]
struct ContextMeta {
    #[serde(rename = "Endpoints")]
    endpoints: ContextEndpoints,
}

#[derive(Deserialize)]
struct ContextEndpoints {
    docker: ContextDocker,
}

#[derive(Deserialize)]
struct ContextDocker {
    #[serde(rename = "Host")]
    host: String,
}

/// Finds the endpoint in docker's own order: `DOCKER_HOST`, `DOCKER_CONTEXT`, the configuration's current context,
/// then the sockets that engines usually have.
///
/// # Errors
/// [`Reason::EngineUnreachable`] for an address of a kind that is not supported, or a context that cannot be read.
pub(super) fn find(env: &Env) -> Result<Endpoint> {
    if let Some(host) = env.var("DOCKER_HOST") {
        let certificates = env.var("DOCKER_TLS_VERIFY").map(|_| {
            env.var("DOCKER_CERT_PATH")
                .map_or_else(|| config_dir(env), |path| env.absolute(Path::new(path)))
        });
        return parse(host, certificates, "DOCKER_HOST");
    }
    let context = env
        .var("DOCKER_CONTEXT")
        .map(str::to_owned)
        .or_else(|| current_context(env));
    if let Some(name) = context.filter(|name| name != "default") {
        return of_context(env, &name);
    }
    Ok(Endpoint::Unix(usual_socket(env, Path::new("/var/run/docker.sock"))))
}

fn config_dir(env: &Env) -> PathBuf {
    env.var("DOCKER_CONFIG")
        .map_or_else(|| env.home.join(".docker"), |path| env.absolute(Path::new(path)))
}

fn current_context(env: &Env) -> Option<String> {
    let text = fs_err::read_to_string(config_dir(env).join("config.json")).ok()?;
    let config: ClientConfig = serde_json::from_str(&text).ok()?;
    Some(config.current_context).filter(|name| !name.is_empty())
}

fn of_context(env: &Env, name: &str) -> Result<Endpoint> {
    let contexts = config_dir(env).join("contexts");
    // docker names a context's folder by the digest of its name
    let id = hex::encode(Sha256::digest(name.as_bytes()));
    let meta = contexts.join("meta").join(&id).join("meta.json");
    let wrong = |error: &dyn std::error::Error| {
        Failure::new(
            Reason::EngineUnreachable,
            format!("the docker context `{name}` cannot be read"),
        )
        .cause(error)
        .next("docker context ls")
        .next("docker context use default")
    };
    let text = fs_err::read_to_string(&meta).map_err(|e| wrong(&e))?;
    let meta: ContextMeta = serde_json::from_str(&text).map_err(|e| wrong(&e))?;
    let certificates = Some(contexts.join("tls").join(&id).join("docker")).filter(|dir| dir.is_dir());
    parse(
        &meta.endpoints.docker.host,
        certificates,
        &format!("the docker context `{name}`"),
    )
}

fn parse(host: &str, certificates: Option<PathBuf>, from: &str) -> Result<Endpoint> {
    if let Some(path) = host.strip_prefix("unix://") {
        return Ok(Endpoint::Unix(PathBuf::from(path)));
    }
    let address = ["tcp://", "http://", "https://"]
        .iter()
        .find_map(|scheme| host.strip_prefix(scheme));
    match (address, certificates) {
        (Some(address), Some(certificates)) => Ok(Endpoint::Tls {
            address: address.trim_end_matches('/').to_owned(),
            certificates,
        }),
        (Some(address), None) => Ok(Endpoint::Tcp(address.trim_end_matches('/').to_owned())),
        (None, _) => Err(Failure::new(
            Reason::EngineUnreachable,
            format!("{from} says `{host}`, and only unix:// and tcp:// are supported"),
        )
        .next("ssh -NL /tmp/docker.sock:/var/run/docker.sock USER@HOST, then DOCKER_HOST=unix:///tmp/docker.sock")),
    }
}

/// Where an engine listens if nothing is said: at `system`, or where rootless engines and those of desktops do. One that
/// this user may open comes before one that is only there, as the system's is beside a rootless one.
pub(crate) fn usual_socket(env: &Env, system: &Path) -> PathBuf {
    let mut places = vec![system.to_owned()];
    if let Some(runtime) = env.var("XDG_RUNTIME_DIR") {
        places.push(Path::new(runtime).join("docker.sock")); // rootless
    }
    places.push(env.home.join(".docker/run/docker.sock")); // Docker Desktop
    places.push(env.home.join(".colima/default/docker.sock"));
    let usable = places.iter().find(|path| may_open(path));
    let found = usable.or_else(|| places.iter().find(|path| path.exists()));
    found.map_or_else(|| system.to_owned(), Clone::clone)
}

#[cfg(unix)]
fn may_open(path: &Path) -> bool {
    use nix::unistd::{AccessFlags, access};
    access(path, AccessFlags::R_OK | AccessFlags::W_OK).is_ok()
}

#[cfg(not(unix))]
fn may_open(path: &Path) -> bool {
    path.exists()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn env(home: &Path, vars: &[(&str, &str)]) -> Env {
        Env {
            cwd: PathBuf::from("/cwd"),
            home: home.to_owned(),
            vars: vars
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect::<BTreeMap<_, _>>(),
            stdout_is_terminal: false,
            stderr_is_terminal: false,
        }
    }

    #[test]
    fn docker_host_comes_first() {
        let home = tempfile::tempdir().unwrap();
        let found = |vars: &[(&str, &str)]| find(&env(home.path(), vars));
        assert_eq!(
            found(&[("DOCKER_HOST", "unix:///x.sock")]).unwrap(),
            Endpoint::Unix("/x.sock".into())
        );
        assert_eq!(
            found(&[("DOCKER_HOST", "tcp://h:1/")]).unwrap(),
            Endpoint::Tcp("h:1".into())
        );
        let tls = found(&[
            ("DOCKER_HOST", "tcp://h:1"),
            ("DOCKER_TLS_VERIFY", "1"),
            ("DOCKER_CERT_PATH", "c"),
        ]);
        assert_eq!(
            tls.unwrap(),
            Endpoint::Tls {
                address: "h:1".into(),
                certificates: "/cwd/c".into()
            }
        );
        let failure = found(&[("DOCKER_HOST", "ssh://u@h")]).unwrap_err();
        assert_eq!(failure.id(), Reason::EngineUnreachable);
        assert!(failure.to_string().contains("ssh://u@h"), "{failure}");
    }

    #[test]
    fn a_socket_that_may_be_opened_comes_before_one_that_is_only_there() {
        let dir = tempfile::tempdir().unwrap();
        let (system, rootless) = (dir.path().join("system.sock"), dir.path().join("docker.sock"));
        let env = env(dir.path(), &[("XDG_RUNTIME_DIR", dir.path().to_str().unwrap())]);
        assert_eq!(usual_socket(&env, &system), system, "none is there");
        fs_err::write(&rootless, "").unwrap();
        assert_eq!(usual_socket(&env, &system), rootless);
        // root may open all, so that there a link that leads nowhere stands for what may not be opened
        std::os::unix::fs::symlink(dir.path().join("gone"), &system).unwrap();
        assert_eq!(usual_socket(&env, &system), rootless);
        fs_err::remove_file(&system).unwrap();
        fs_err::write(&system, "").unwrap();
        assert_eq!(usual_socket(&env, &system), system, "the usual one, if it may be used");
    }

    #[test]
    fn the_current_context_is_followed() {
        let home = tempfile::tempdir().unwrap();
        let docker = home.path().join(".docker");
        let id = hex::encode(Sha256::digest(b"away"));
        fs_err::create_dir_all(docker.join("contexts/meta").join(&id)).unwrap();
        fs_err::write(docker.join("config.json"), r#"{"currentContext":"away"}"#).unwrap();
        fs_err::write(
            docker.join("contexts/meta").join(&id).join("meta.json"),
            r#"{"Name":"away","Endpoints":{"docker":{"Host":"unix:///away.sock","SkipTLSVerify":false}}}"#,
        )
        .unwrap();
        assert_eq!(
            find(&env(home.path(), &[])).unwrap(),
            Endpoint::Unix("/away.sock".into())
        );
        // the variable wins over the configuration, and a context that is not there is named
        let failure = find(&env(home.path(), &[("DOCKER_CONTEXT", "gone")])).unwrap_err();
        assert!(failure.to_string().contains("`gone`"), "{failure}");
        assert!(matches!(
            find(&env(home.path(), &[("DOCKER_CONTEXT", "default")])).unwrap(),
            Endpoint::Unix(_)
        ));
    }
}
