//! A node whose containerd can be spoken to.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use super::SETTINGS;
use super::client::{Client, Method, Refused};
use super::reach::Reach;
use super::settings::{Settings, kept, parse};
use super::wire::version::VersionResponse;
use crate::container::{ContainerInfo, Engine};
use crate::diag::{Failure, Reason, Result};
use crate::env::Env;

/// Where containerd listens in nodes of kind and of minikube.
const SOCKET: &str = "/run/containerd/containerd.sock";

const VERSION: Method = Method::new(
    "/containerd.services.version.v1.Version/Version",
    "tell its version",
    20,
);

/// Variable that says `off` where a node's containerd is not to be spoken to directly: programs in the node do it then.
const SWITCH: &str = "FLINK_DEV_NODE_API";

/// How long the node may take to tell its settings.
const ASK: Duration = Duration::from_secs(60);

/// A node whose containerd can be spoken to.
#[derive(Debug)]
pub(in crate::image) struct Node {
    /// Name of its container.
    pub(in crate::image) name: String,
    /// Its files.
    pub(in crate::image) reach: Reach,
    /// containerd's root folder.
    pub(super) root: String,
    /// The snapshotter of the kubelet's images.
    pub(super) snapshotter: String,
    pub(super) client: Client,
    /// Which run of the container this is.
    run: (String, String, u32),
}

/// The node, if its containerd can be spoken to from here; else why not, for people. A connection is kept for the next
/// time, and made anew if the node was replaced or its containerd started again meanwhile.
///
/// # Errors
/// What the engine answers; [`Reason::TimedOut`] if containerd hangs.
pub(in crate::image) async fn open(
    engine: &Engine,
    env: &Env,
    name: &str,
) -> Result<std::result::Result<Arc<Node>, String>> {
    static OPEN: LazyLock<Mutex<HashMap<String, Arc<Node>>>> = LazyLock::new(Mutex::default);
    let all = || OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    if env.var(SWITCH) == Some("off") {
        return Ok(Err(format!("{SWITCH} is off")));
    }
    if !engine.is_local() {
        return Ok(Err(format!("the engine is at {}", engine.endpoint())));
    }
    let Some(container) = engine.container(name).await? else {
        return Ok(Err(format!("there is no container {name}")));
    };
    let known = all().get(name).cloned();
    if let Some(known) = known
        && known.run == run_of(&container)
        && known.client.version().await.is_ok()
    {
        return Ok(Ok(known));
    }
    match Node::reach(engine, &container).await? {
        Ok(node) => {
            let node = Arc::new(node);
            all().insert(name.to_owned(), Arc::clone(&node));
            Ok(Ok(node))
        }
        Err(why) => {
            all().remove(name);
            Ok(Err(why))
        }
    }
}

fn run_of(container: &ContainerInfo) -> (String, String, u32) {
    (container.id.clone(), container.started_at.clone(), container.pid)
}

impl Node {
    async fn reach(engine: &Engine, container: &ContainerInfo) -> Result<std::result::Result<Self, String>> {
        let reach = match Reach::of(container) {
            Ok(reach) => reach,
            Err(why) => return Ok(Err(why)),
        };
        let (path, socket) = match reach.socket(Path::new(SOCKET)) {
            Ok(socket) => socket,
            Err(error) => return Ok(Err(format!("{SOCKET} of {}: {error}", container.name))),
        };
        let client = match Client::connect(&container.name, path, socket).await {
            Ok(client) => client,
            Err(refused) if refused.is_gone() => return Ok(Err(refused.to_string())),
            Err(refused) => return Err(refused.told()),
        };
        client.version().await.map_err(Refused::told)?;
        let settings = match kept(&reach) {
            Some(settings) => settings,
            None => ask(engine, &container.name).await?,
        };
        Ok(Ok(Self {
            name: container.name.clone(),
            reach,
            root: settings.root,
            snapshotter: settings.snapshotter,
            client,
            run: run_of(container),
        }))
    }

    /// A node at a socket, with a folder as its root, for tests.
    #[cfg(all(test, target_os = "linux"))]
    pub(in crate::image) async fn at(name: &str, socket: &Path, root: &Path) -> Self {
        Self {
            name: name.to_owned(),
            reach: Reach::at(root),
            root: "/var/lib/containerd".to_owned(),
            snapshotter: "overlayfs".to_owned(),
            client: Client::connect(name, socket.to_owned(), ()).await.unwrap(),
            run: (String::new(), String::new(), 0),
        }
    }

    /// Free space for images in bytes, if that can be told.
    pub(in crate::image) fn free(&self) -> Option<u64> {
        self.reach.free(Path::new(&self.root)).ok()
    }
}

impl Client {
    async fn version(&self) -> std::result::Result<VersionResponse, Refused> {
        self.call(VERSION, ()).await
    }
}

/// Has the node find its settings out and keep them.
async fn ask(engine: &Engine, name: &str) -> Result<Settings> {
    let script = format!("{SETTINGS}printf '%s\\n%s\\n' \"$snapshotter\" \"$root\"");
    let command = ["sh", "-c", script.as_str()];
    let output =
        crate::image::bounds::within(ASK, name, "tell its settings", engine.exec(name, &command, None, false)).await?;
    parse(&output.stdout).ok_or_else(|| {
        Failure::new(
            Reason::ImageLoadFailed,
            format!("the node {name} does not tell its containerd's settings"),
        )
        .evidence(crate::process::tail(&output.stderr, 15))
    })
}
