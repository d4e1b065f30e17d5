//! Clusters that go, against an engine that knows containers and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;

use super::*;

/// How long a container takes to go, so that whatever is done side by side is.
const GOING: Duration = Duration::from_millis(300);

/// An engine with the nodes of clusters, by their names.
#[derive(Clone)]
struct FakeEngine {
    nodes: Arc<Mutex<BTreeSet<String>>>,
}

impl FakeEngine {
    async fn start(clusters: &[&str]) -> (Self, Engine, Env) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("tcp://{}", listener.local_addr().unwrap());
        let nodes = clusters.iter().map(|name| (*name).to_owned()).collect();
        let fake = Self {
            nodes: Arc::new(Mutex::new(nodes)),
        };
        let accepting = fake.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = accepting.clone();
                tokio::spawn(async move {
                    let service = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
                        let serving = serving.clone();
                        async move { Ok::<_, Infallible>(serving.answer(&request).await) }
                    });
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        let env = Env {
            cwd: "/".into(),
            home: "/nowhere".into(),
            vars: BTreeMap::from([("DOCKER_HOST".to_owned(), address)]),
            stdout_is_terminal: false,
            stderr_is_terminal: false,
        };
        let engine = Engine::connect(&env).await.unwrap();
        (fake, engine, env)
    }

    fn has(&self, name: &str) -> bool {
        self.nodes.lock().unwrap().contains(name)
    }

    async fn answer(&self, request: &Request<hyper::body::Incoming>) -> Response<Full<Bytes>> {
        let reply = |status: StatusCode, body: &serde_json::Value| {
            Response::builder()
                .status(status)
                .header("content-type", "application/json")
                .body(Full::new(body.to_string().into()))
                .unwrap()
        };
        let path = request.uri().path();
        // `/v1.52/…`
        let versioned = path
            .strip_prefix("/v")
            .filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        let path = versioned.map_or(path, |rest| &rest[rest.find('/').unwrap_or(0)..]);
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let cluster = |node: &str| node.strip_suffix("-control-plane").unwrap_or(node).to_owned();
        match (request.method(), parts.as_slice()) {
            (_, ["version"]) => reply(StatusCode::OK, &json!({"ApiVersion": "1.47", "Version": "fake"})),
            (&Method::GET, ["containers", "json"]) => {
                let query = request.uri().query().unwrap_or_default().to_owned();
                let nodes = self.nodes.lock().unwrap().clone();
                // `label` or `label=NAME` in the filters
                let asked =
                    |name: &String| !query.contains("cluster%3D") || query.contains(&format!("cluster%3D{name}%22"));
                let all = nodes.iter().filter(|name| asked(name));
                let all: Vec<_> = all.map(|name| json!({"Id": format!("{name}-control-plane")})).collect();
                reply(StatusCode::OK, &all.into())
            }
            (&Method::GET, ["containers", node, "json"]) if self.has(&cluster(node)) => reply(
                StatusCode::OK,
                &json!({
                    "Id": node, "Name": format!("/{node}"), "State": {"Running": true},
                    "Config": {"Labels": {CLUSTER_LABEL: cluster(node)}},
                    "NetworkSettings": {"Networks": {NETWORK: {}}},
                }),
            ),
            (&Method::DELETE, ["containers", node]) => {
                tokio::time::sleep(GOING).await;
                self.nodes.lock().unwrap().remove(&cluster(node));
                reply(StatusCode::NO_CONTENT, &json!({}))
            }
            // programs cannot be run in it: settings are put back from here
            _ => reply(StatusCode::NOT_FOUND, &json!({"message": "not there"})),
        }
    }
}

fn setting(kernel: &Path, value: Option<&str>) -> String {
    let file = kernel.join("kernel/panic");
    if let Some(value) = value {
        fs_err::create_dir_all(file.parent().unwrap()).unwrap();
        fs_err::write(&file, value).unwrap();
    }
    fs_err::read_to_string(&file).unwrap()
}

#[tokio::test]
async fn clusters_that_go_at_once_leave_the_kernel_as_it_was() {
    let world = tempfile::tempdir().unwrap();
    let (_, engine, _) = FakeEngine::start(&["one", "two"]).await;
    let kernel = world.path().join("kernel");
    let cluster = |name: &str| Kind {
        name: name.to_owned(),
        dir: world.path().join(name),
        locks: world.path().join("locks"),
        kernel: kernel.clone(),
    };
    let (one, two) = (cluster("one"), cluster("two"));
    for (cluster, found) in [(&one, "0"), (&two, "10")] {
        fs_err::create_dir_all(&cluster.dir).unwrap();
        setting(&kernel, Some(found));
        sysctl::remember(&kernel, &cluster.dir, None).unwrap();
    }
    let (first, second) = tokio::join!(one.delete(&engine), two.delete(&engine));
    let told = [first.unwrap(), second.unwrap()].concat();
    assert_eq!(setting(&kernel, None), "0", "{told:?}");
    let told = told.iter().filter(|line| line.contains("kernel.panic back to 0"));
    assert_eq!(told.count(), 1);
    assert!(!one.dir.exists() && !two.dir.exists());
}
