//! Where the Docker engine is expected, by the rules of Docker's own command line.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::paths::Paths;
use crate::container::usual_socket;
use crate::env::Env;

/// Where the engine is expected, and whether it is the default place (so that a daemon started by us listens there).
pub(super) fn endpoint(env: &Env, paths: &Paths) -> (String, bool) {
    if let Some(host) = env.var("DOCKER_HOST") {
        return (host.to_owned(), host == paths.endpoint());
    }
    if let Some(host) = context_host(env) {
        let ours = host == paths.endpoint();
        return (host, ours);
    }
    let socket = usual_socket(env, &paths.socket);
    (format!("unix://{}", socket.display()), socket == paths.socket)
}

/// The endpoint of the Docker context in use; `None` for the default one.
fn context_host(env: &Env) -> Option<String> {
    let dir = env
        .var("DOCKER_CONFIG")
        .map_or_else(|| env.home.join(".docker"), PathBuf::from);
    let name = match env.var("DOCKER_CONTEXT") {
        Some(name) => name.to_owned(),
        None => text(&dir.join("config.json"), "/currentContext")?,
    };
    if name == "default" {
        return None;
    }
    // docker names the folder of a context by the digest of its name
    let digest = hex::encode(Sha256::digest(name.as_bytes()));
    text(
        &dir.join("contexts/meta").join(digest).join("meta.json"),
        "/Endpoints/docker/Host",
    )
}

fn text(file: &Path, pointer: &str) -> Option<String> {
    let json: serde_json::Value = serde_json::from_slice(&fs_err::read(file).ok()?).ok()?;
    json.pointer(pointer)?
        .as_str()
        .filter(|t| !t.is_empty())
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::testing::env;

    #[test]
    fn the_endpoint_comes_from_the_environment_then_the_context() {
        let home = tempfile::tempdir().unwrap();
        let mut env = env(home.path());
        let paths = Paths {
            socket: "/var/run/docker.sock".into(),
            ..Paths::default()
        };
        assert_eq!(endpoint(&env, &paths), ("unix:///var/run/docker.sock".to_owned(), true));

        let meta = home
            .path()
            .join(".docker/contexts/meta")
            .join(hex::encode(Sha256::digest(b"colima")));
        fs_err::create_dir_all(&meta).unwrap();
        fs_err::write(
            meta.join("meta.json"),
            r#"{"Endpoints": {"docker": {"Host": "unix:///c.sock"}}}"#,
        )
        .unwrap();
        fs_err::write(
            home.path().join(".docker/config.json"),
            r#"{"currentContext": "colima"}"#,
        )
        .unwrap();
        assert_eq!(endpoint(&env, &paths), ("unix:///c.sock".to_owned(), false));

        env.vars.insert("DOCKER_CONTEXT".into(), "default".into());
        assert_eq!(endpoint(&env, &paths).0, "unix:///var/run/docker.sock");
        env.vars.insert("DOCKER_HOST".into(), "tcp://10.0.0.1:2375".into());
        assert_eq!(endpoint(&env, &paths), ("tcp://10.0.0.1:2375".to_owned(), false));
    }
}
