//! A container registry in memory, on loopback, for tests: enough of the distribution API to be asked for images and
//! to be pulled from. Engines talk plain HTTP to loopback addresses.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// The registry; it stops with the runtime of the test.
#[derive(Clone)]
pub(crate) struct Registry {
    address: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// By `sha256:…`.
    blobs: BTreeMap<String, Bytes>,
    /// Digest of a manifest by `REPOSITORY:TAG`.
    tags: BTreeMap<String, String>,
    requests: Vec<String>,
}

impl Registry {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let registry = Self {
            address,
            state: Arc::default(),
        };
        let accepting = registry.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = accepting.clone();
                tokio::spawn(async move {
                    let service = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
                        let answer = serving.answer(&request);
                        async move { Ok::<_, Infallible>(answer) }
                    });
                    // an engine that hangs up is done
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        registry
    }

    /// `HOST:PORT`, as `images.mirror` takes it.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Adds an image with one file, and an environment; returns its id (the digest of its configuration).
    pub(crate) fn add(&self, repository: &str, tag: &str, file: (&str, &[u8]), env: &[&str]) -> String {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(file.1.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, file.0, file.1).unwrap();
        let layer = tar.into_inner().unwrap();
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(&layer).unwrap();
        let packed = packed.finish().unwrap();
        let config = json!({
            "architecture": architecture(), "os": "linux", "config": {"Env": env},
            "rootfs": {"type": "layers", "diff_ids": [digest(&layer)]},
        })
        .to_string()
        .into_bytes();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "digest": digest(&config), "size": config.len()},
            "layers": [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "digest": digest(&packed), "size": packed.len()}],
        })
        .to_string()
        .into_bytes();
        let id = digest(&config);
        let mut state = self.lock();
        state.tags.insert(format!("{repository}:{tag}"), digest(&manifest));
        for blob in [config, packed, manifest] {
            state.blobs.insert(digest(&blob), blob.into());
        }
        id
    }

    /// What was asked, e.g. `HEAD /v2/library/flink/manifests/1`.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.lock().requests.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let path = request.uri().path().to_owned();
        let mut state = self.lock();
        state.requests.push(format!("{} {path}", request.method()));
        if path == "/v2/" {
            return respond(StatusCode::OK, "application/json", "", Bytes::from_static(b"{}"));
        }
        let found = path.strip_prefix("/v2/").and_then(|rest| {
            if let Some((_, digest)) = rest.split_once("/blobs/") {
                return Some(("application/octet-stream", digest.to_owned()));
            }
            let (repository, reference) = rest.split_once("/manifests/")?;
            let digest = match reference.starts_with("sha256:") {
                true => reference.to_owned(),
                false => state.tags.get(&format!("{repository}:{reference}"))?.clone(),
            };
            Some((MANIFEST, digest))
        });
        match found.and_then(|(kind, digest)| Some((kind, state.blobs.get(&digest)?.clone(), digest))) {
            Some((kind, bytes, digest)) => respond(StatusCode::OK, kind, &digest, bytes),
            None => {
                let words = json!({"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]});
                respond(StatusCode::NOT_FOUND, "application/json", "", words.to_string().into())
            }
        }
    }
}

fn respond(status: StatusCode, kind: &str, digest: &str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::builder()
        .status(status)
        .header("Content-Type", kind)
        .header("Docker-Distribution-Api-Version", "registry/2.0");
    if !digest.is_empty() {
        response = response.header("Docker-Content-Digest", digest);
    }
    // HEAD: hyper keeps the length and drops the body
    response
        .header("Content-Length", body.len())
        .body(Full::new(body))
        .unwrap()
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "aarch64" => "arm64",
        _ => "amd64",
    }
}
