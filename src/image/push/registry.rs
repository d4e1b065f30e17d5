//! A container registry inside this process, on loopback, that takes one push: the parts of the distribution API that
//! `docker push` uses (<https://github.com/opencontainers/distribution-spec>, "Push"), of Docker's own store and of
//! containerd's.
//!
//! A layer that lies in the cache is "there already", so the engine does not send it; a configuration never is, until
//! it was sent. Layers are unpacked and hashed while they come and land in the cache as the loader wants them.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinHandle};

use super::route::{Route, route};
use super::upload::{Part, receive};
use crate::image::load::{Blob, Cache, JSON_LIMIT, sha256};

/// First byte of a TLS handshake (RFC 8446, 5.1).
const TLS: u8 = 0x16;

/// Whole answer to it, as Go's server gives it: clients take it as the sign to go on without TLS.
const NO_TLS: &[u8] =
    b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n\
Client sent an HTTPS request to an HTTP server.\n";

/// The registry; it stops when this is dropped.
#[derive(Debug)]
pub(super) struct Registry {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: AbortHandle,
}

/// What came with a push.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Traffic {
    /// Layers that travelled.
    pub(super) layers: usize,
    /// Bytes that travelled, as they came.
    pub(super) bytes: u64,
    /// Layers that did not have to.
    pub(super) skipped: usize,
}

#[derive(Debug)]
struct Shared {
    cache: Cache,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Digests in hex of layers that are not "there already", whatever the cache has.
    refused: BTreeSet<String>,
    skipped: BTreeSet<String>,
    /// Layers that came: digest as it came to size as it came.
    came: BTreeMap<String, u64>,
    /// Configurations, manifests, attestations by digest in hex.
    texts: BTreeMap<String, Bytes>,
    /// Digest in hex by `REPOSITORY:TAG`.
    tags: BTreeMap<String, String>,
    uploads: BTreeMap<String, Upload>,
    count: u64,
    traffic: Traffic,
    failed: Option<String>,
}

/// An upload that goes on.
#[derive(Debug)]
struct Upload {
    parts: mpsc::Sender<Part>,
    landed: JoinHandle<io::Result<Blob>>,
    size: u64,
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Registry {
    /// Starts on this port of 127.0.0.1, or on a free one if it is taken.
    pub(super) async fn start(cache: &Cache, port: u16) -> io::Result<Self> {
        let listener = match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            Ok(listener) => listener,
            Err(_) => TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?,
        };
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            cache: cache.clone(),
            state: Mutex::default(),
        });
        let serving = shared.clone();
        let accepting = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => match accepted {
                        Ok((stream, _)) => { connections.spawn(serve(serving.clone(), stream)); }
                        // too many open files: others may be closed meanwhile
                        Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                    },
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        Ok(Self {
            address,
            shared,
            accepting: accepting.abort_handle(),
        })
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Has these layers (digests in hex, as they came or would come) sent, whatever the cache has.
    pub(super) fn refuse(&self, digests: impl IntoIterator<Item = String>) {
        self.shared.lock().refused.extend(digests);
    }

    /// Layers that were said to be there, by their digests in hex.
    pub(super) fn skipped(&self) -> BTreeSet<String> {
        self.shared.lock().skipped.clone()
    }

    pub(super) fn traffic(&self) -> Traffic {
        let state = self.shared.lock();
        Traffic {
            skipped: state.skipped.len(),
            ..state.traffic
        }
    }

    /// Why something that came could not be kept.
    pub(super) fn failed(&self) -> Option<String> {
        self.shared.lock().failed.clone()
    }

    /// A text that came, by its digest in hex.
    pub(super) fn text(&self, digest: &str) -> Option<Bytes> {
        self.shared.lock().texts.get(digest).cloned()
    }

    /// Digest in hex of the manifest or index that was pushed as this.
    pub(super) fn tagged(&self, repository: &str, tag: &str) -> Option<String> {
        self.shared.lock().tags.get(&format!("{repository}:{tag}")).cloned()
    }
}

async fn serve(shared: Arc<Shared>, mut stream: TcpStream) {
    let mut first = [0];
    if !matches!(stream.peek(&mut first).await, Ok(1)) {
        return;
    }
    if first[0] == TLS {
        let _ = stream.write_all(NO_TLS).await;
        let _ = stream.shutdown().await;
        // closing with unread bytes would reset the connection before the answer is read
        let mut rest = [0; 4096];
        let drain = async { while matches!(stream.read(&mut rest).await, Ok(length) if length > 0) {} };
        let _ = tokio::time::timeout(Duration::from_secs(2), drain).await;
        return;
    }
    let service = hyper::service::service_fn(move |request| {
        let shared = shared.clone();
        async move { Ok::<_, Infallible>(shared.answer(request).await) }
    });
    // an engine that hangs up is done
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let method = request.method().clone();
        let Some(route) = route(request.uri().path(), request.uri().query().unwrap_or_default()) else {
            return refusal(StatusCode::NOT_FOUND, "UNSUPPORTED", "this registry only takes pushes");
        };
        match (method, route) {
            (_, Route::Root) => respond(StatusCode::OK).body(Full::default()).unwrap_or_default(),
            (Method::HEAD | Method::GET, Route::Blob { digest }) => self.blob(&digest),
            (
                Method::POST,
                Route::Start {
                    repository,
                    mount,
                    digest,
                },
            ) => {
                if let Some(digest) = mount.filter(|digest| self.has(digest).is_some()) {
                    self.lock().skipped.insert(digest.clone());
                    return created(&format!("/v2/{repository}/blobs/sha256:{digest}"), &digest);
                }
                let id = self.begin();
                match digest {
                    Some(digest) => self.finish(&repository, &id, &digest, request).await,
                    None => self.going_on(&repository, &id, 0),
                }
            }
            (Method::PATCH, Route::Upload { repository, id }) => match self.take(&id, request).await {
                Ok(size) => self.going_on(&repository, &id, size),
                Err(error) => self.broke(&error),
            },
            (Method::GET, Route::Upload { repository, id }) => {
                let size = self.lock().uploads.get(&id).map(|upload| upload.size);
                match size {
                    Some(size) => self.going_on(&repository, &id, size),
                    None => refusal(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN", "no such upload"),
                }
            }
            (Method::PUT, Route::Finish { repository, id, digest }) => {
                self.finish(&repository, &id, &digest, request).await
            }
            (Method::DELETE, Route::Upload { id, .. }) => {
                self.lock().uploads.remove(&id);
                respond(StatusCode::NO_CONTENT)
                    .body(Full::default())
                    .unwrap_or_default()
            }
            (Method::PUT, Route::Manifest { repository, reference }) => {
                self.manifest(&repository, &reference, request).await
            }
            (Method::HEAD | Method::GET, Route::Manifest { repository, reference }) => {
                let state = self.lock();
                let digest = match reference.strip_prefix("sha256:") {
                    Some(digest) => Some(digest.to_owned()),
                    None => state.tags.get(&format!("{repository}:{reference}")).cloned(),
                };
                match digest.and_then(|digest| Some((state.texts.get(&digest)?.clone(), digest))) {
                    Some((bytes, digest)) => there(bytes, &digest),
                    None => refusal(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", "manifest unknown"),
                }
            }
            _ => refusal(
                StatusCode::METHOD_NOT_ALLOWED,
                "UNSUPPORTED",
                "this registry only takes pushes",
            ),
        }
    }

    /// Size of a layer that need not be sent, as it would come.
    fn has(&self, digest: &str) -> Option<u64> {
        let state = self.lock();
        if let Some(size) = state.came.get(digest) {
            return Some(*size);
        }
        if state.refused.contains(digest) {
            return None;
        }
        drop(state);
        self.cache.layer_of(digest).map(|(_, size)| size)
    }

    fn blob(&self, digest: &str) -> Response<Full<Bytes>> {
        if let Some(bytes) = self.lock().texts.get(digest) {
            return there(bytes.clone(), digest);
        }
        let Some(size) = self.has(digest) else {
            return refusal(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", "blob unknown");
        };
        let mut state = self.lock();
        if !state.came.contains_key(digest) {
            state.skipped.insert(digest.to_owned());
        }
        // its bytes are not asked for; without its length an engine takes it as absent
        respond(StatusCode::OK)
            .header("Docker-Content-Digest", format!("sha256:{digest}"))
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .header(header::CONTENT_LENGTH, size)
            .body(Full::default())
            .unwrap_or_default()
    }

    fn begin(&self) -> String {
        let (parts, receiver) = mpsc::channel(8);
        let cache = self.cache.clone();
        let landed = tokio::task::spawn_blocking(move || receive(&cache, receiver));
        let mut state = self.lock();
        state.count += 1;
        let id = format!("upload-{}", state.count);
        let upload = Upload { parts, landed, size: 0 };
        state.uploads.insert(id.clone(), upload);
        id
    }

    /// Hands the body of a request on to its upload; returns the upload's size.
    async fn take(&self, id: &str, request: Request<Incoming>) -> io::Result<u64> {
        let unknown = || io::Error::other("no such upload");
        let parts = self.lock().uploads.get(id).ok_or_else(unknown)?.parts.clone();
        let mut body = request.into_body();
        let mut size = 0;
        while let Some(frame) = body.frame().await {
            if let Ok(bytes) = frame.map_err(io::Error::other)?.into_data() {
                size += bytes.len() as u64;
                // one that ended early tells why when it is finished
                if parts.send(Part::Bytes(bytes)).await.is_err() {
                    break;
                }
            }
        }
        let mut state = self.lock();
        let upload = state.uploads.get_mut(id).ok_or_else(unknown)?;
        upload.size += size;
        Ok(upload.size)
    }

    async fn finish(
        &self,
        repository: &str,
        id: &str,
        digest: &str,
        request: Request<Incoming>,
    ) -> Response<Full<Bytes>> {
        if let Err(error) = self.take(id, request).await {
            return self.broke(&error);
        }
        let Some(upload) = self.lock().uploads.remove(id) else {
            return refusal(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN", "no such upload");
        };
        let _ = upload.parts.send(Part::End).await;
        drop(upload.parts);
        let blob = match upload.landed.await {
            Ok(Ok(blob)) => blob,
            Ok(Err(error)) => return self.broke(&error),
            Err(error) => return self.broke(&io::Error::other(error)),
        };
        let came = match &blob {
            Blob::Text(bytes) => sha256(bytes),
            Blob::Layer { packed, .. } => packed.clone(),
        };
        if came != digest {
            return refusal(
                StatusCode::BAD_REQUEST,
                "DIGEST_INVALID",
                "the bytes have another digest",
            );
        }
        let mut state = self.lock();
        state.traffic.bytes += upload.size;
        match blob {
            Blob::Text(bytes) => {
                state.texts.insert(came.clone(), bytes.into());
            }
            Blob::Layer { .. } => {
                state.traffic.layers += 1;
                state.came.insert(came.clone(), upload.size);
            }
        }
        created(&format!("/v2/{repository}/blobs/sha256:{came}"), &came)
    }

    async fn manifest(&self, repository: &str, reference: &str, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let limit = usize::try_from(JSON_LIMIT).unwrap_or(usize::MAX);
        let bytes = match Limited::new(request.into_body(), limit).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) => return refusal(StatusCode::BAD_REQUEST, "MANIFEST_INVALID", &error.to_string()),
        };
        let digest = sha256(&bytes);
        let mut state = self.lock();
        match reference.strip_prefix("sha256:") {
            Some(named) if named != digest => {
                return refusal(
                    StatusCode::BAD_REQUEST,
                    "DIGEST_INVALID",
                    "the bytes have another digest",
                );
            }
            Some(_) => {}
            None => {
                state.tags.insert(format!("{repository}:{reference}"), digest.clone());
            }
        }
        state.texts.insert(digest.clone(), bytes);
        created(&format!("/v2/{repository}/manifests/sha256:{digest}"), &digest)
    }

    fn going_on(&self, repository: &str, id: &str, size: u64) -> Response<Full<Bytes>> {
        respond(StatusCode::ACCEPTED)
            .header(header::LOCATION, format!("/v2/{repository}/blobs/uploads/{id}"))
            .header("Docker-Upload-UUID", id)
            .header(header::RANGE, format!("0-{}", size.saturating_sub(1)))
            .header(header::CONTENT_LENGTH, 0)
            .body(Full::default())
            .unwrap_or_default()
    }

    /// Something could not be kept: told to the engine, and kept for whoever asked for the push.
    fn broke(&self, error: &io::Error) -> Response<Full<Bytes>> {
        let text = error.to_string();
        self.lock().failed.get_or_insert(text.clone());
        // an answer of the 500s would be tried again and again
        refusal(StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID", &text)
    }
}

fn respond(status: StatusCode) -> http::response::Builder {
    Response::builder()
        .status(status)
        .header("Docker-Distribution-Api-Version", "registry/2.0")
}

fn created(location: &str, digest: &str) -> Response<Full<Bytes>> {
    respond(StatusCode::CREATED)
        .header(header::LOCATION, location)
        .header("Docker-Content-Digest", format!("sha256:{digest}"))
        .header(header::CONTENT_LENGTH, 0)
        .body(Full::default())
        .unwrap_or_default()
}

/// A text; for HEAD the server keeps its length and drops the rest.
fn there(bytes: Bytes, digest: &str) -> Response<Full<Bytes>> {
    let kind = serde_json::from_slice::<serde_json::Value>(&bytes)
        .ok()
        .and_then(|text| text["mediaType"].as_str().map(str::to_owned))
        .unwrap_or_else(|| "application/octet-stream".to_owned());
    respond(StatusCode::OK)
        .header("Docker-Content-Digest", format!("sha256:{digest}"))
        .header(header::CONTENT_TYPE, kind)
        .header(header::CONTENT_LENGTH, bytes.len())
        .body(Full::new(bytes))
        .unwrap_or_default()
}

/// A refusal in the form of the distribution API.
fn refusal(status: StatusCode, code: &str, message: &str) -> Response<Full<Bytes>> {
    let body = serde_json::json!({"errors": [{"code": code, "message": message}]}).to_string();
    respond(status)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CONTENT_LENGTH, body.len())
        .body(Full::new(body.into()))
        .unwrap_or_default()
}
