//! A Docker engine on a socket that knows one container: the node of a cluster that is up.

use std::convert::Infallible;
use std::path::Path;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::net::UnixListener;

/// Listens at `socket` until the runtime ends. `kafka` is the port of this machine that leads to the broker.
pub(crate) fn start(socket: &Path, cluster: &str, kafka: u16) {
    let listener = UnixListener::bind(socket).unwrap();
    let node = format!("{cluster}-control-plane");
    let cluster = cluster.to_owned();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (node, cluster) = (node.clone(), cluster.clone());
            tokio::spawn(async move {
                let service = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
                    let answer = answer(request.uri().path(), &node, &cluster, kafka);
                    async move { Ok::<_, Infallible>(answer) }
                });
                let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
}

fn answer(path: &str, node: &str, cluster: &str, kafka: u16) -> Response<Full<Bytes>> {
    let (code, body) = if path.ends_with("/version") {
        (
            200,
            json!({"Version": "28.0.0", "ApiVersion": "1.47", "MinAPIVersion": "1.24"}),
        )
    } else if path.ends_with("/containers/json") {
        (200, json!([{"Id": node}]))
    } else if path.ends_with(&format!("/containers/{node}/json")) {
        let at = |port: u16| json!([{"HostIp": "127.0.0.1", "HostPort": port.to_string()}]);
        let container = json!({
            "Id": "node", "Name": format!("/{node}"), "Image": "sha256:node",
            "State": {"Running": true, "StartedAt": "2026-01-01T00:00:00Z"},
            "Config": {"Image": "kindest/node", "Labels": {"io.x-k8s.kind.cluster": cluster}},
            "NetworkSettings": {"Networks": {"flink-dev": {"IPAddress": "172.18.0.2"}},
                "Ports": {"6443/tcp": at(6443), "30092/tcp": at(kafka)}},
        });
        (200, container)
    } else {
        (404, json!({"message": format!("the fake engine has no {path}")}))
    };
    respond(code, &body)
}

fn respond(code: u16, body: &Value) -> Response<Full<Bytes>> {
    Response::builder()
        .status(code)
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body.to_string())))
        .unwrap()
}
