//! The registry at the wire, as engines talk to it.

use std::io::Write;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::image::load::sha256;

struct Answer {
    status: StatusCode,
    headers: http::HeaderMap,
    body: Bytes,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

struct Fixture {
    _dir: tempfile::TempDir,
    cache: Cache,
    registry: Registry,
}

async fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::at(dir.path(), "hub.example");
    cache.prepare().unwrap();
    let registry = Registry::start(&cache, 0).await.unwrap();
    Fixture {
        _dir: dir,
        cache,
        registry,
    }
}

impl Fixture {
    async fn ask(&self, method: Method, path: &str, body: &[u8]) -> Answer {
        let stream = TcpStream::connect(("127.0.0.1", self.registry.port())).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("Host", "127.0.0.1")
            .body(Full::new(Bytes::copy_from_slice(body)))
            .unwrap();
        let answer = sender.send_request(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: body.collect().await.unwrap().to_bytes(),
        }
    }

    async fn head(&self, bytes: &[u8]) -> Answer {
        self.ask(Method::HEAD, &blob_path(bytes), &[]).await
    }

    /// As Docker's own store does it: begin, one stream, end.
    async fn upload(&self, bytes: &[u8]) -> Answer {
        let begun = self.ask(Method::POST, "/v2/flink-dev/push/blobs/uploads/", &[]).await;
        assert_eq!(begun.status, StatusCode::ACCEPTED);
        let place = begun.header("location").to_owned();
        let sent = self.ask(Method::PATCH, &place, bytes).await;
        assert_eq!(sent.status, StatusCode::ACCEPTED);
        assert_eq!(sent.header("range"), format!("0-{}", bytes.len() - 1));
        let end = format!("{}?digest=sha256:{}", sent.header("location"), sha256(bytes));
        self.ask(Method::PUT, &end, &[]).await
    }

    async fn manifest(&self, reference: &str, bytes: &[u8]) -> Answer {
        let path = format!("/v2/flink-dev/push/manifests/{reference}");
        self.ask(Method::PUT, &path, bytes).await
    }
}

fn blob_path(bytes: &[u8]) -> String {
    format!("/v2/flink-dev/push/blobs/sha256:{}", sha256(bytes))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

fn descriptor(bytes: &[u8]) -> Value {
    json!({"digest": format!("sha256:{}", sha256(bytes)), "size": bytes.len()})
}

fn image(layers: &[&[u8]]) -> (Vec<u8>, Vec<u8>) {
    let ids: Vec<String> = layers.iter().map(|l| format!("sha256:{}", sha256(l))).collect();
    let config = json!({"architecture": "amd64", "rootfs": {"diff_ids": ids}})
        .to_string()
        .into_bytes();
    let layers: Vec<Value> = layers.iter().map(|layer| descriptor(&gzip(layer))).collect();
    let manifest = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor(&config), "layers": layers});
    (config, manifest.to_string().into_bytes())
}

fn found(fixture: &Fixture, digest: &str) -> (Vec<Candidate>, Option<String>) {
    let mut why = None;
    let found = find(
        &fixture.registry,
        &fixture.cache,
        digest,
        &mut Vec::new(),
        DEPTH,
        &mut why,
    );
    (found, why)
}

#[tokio::test]
async fn a_push_of_dockers_own_store() {
    let fixture = fixture().await;
    assert_eq!(fixture.ask(Method::GET, "/v2/", &[]).await.status, StatusCode::OK);
    let (config, manifest) = image(&[b"one", b"two"]);
    let (one, two) = (gzip(b"one"), gzip(b"two"));
    for layer in [&one, &two] {
        assert_eq!(fixture.head(layer).await.status, StatusCode::NOT_FOUND);
        assert_eq!(fixture.upload(layer).await.status, StatusCode::CREATED);
        // the client looks whether it has arrived, and takes an answer without a length for a refusal
        let head = fixture.head(layer).await;
        assert_eq!(
            (head.status, head.header("content-length")),
            (StatusCode::OK, layer.len().to_string().as_str())
        );
    }
    // a configuration is never there before it was sent: the engine would not send it
    assert_eq!(fixture.head(&config).await.status, StatusCode::NOT_FOUND);
    assert_eq!(fixture.upload(&config).await.status, StatusCode::CREATED);
    assert_eq!(fixture.head(&config).await.status, StatusCode::OK);
    assert_eq!(fixture.manifest("tag", &manifest).await.status, StatusCode::CREATED);
    let digest = fixture.registry.tagged(REPOSITORY, "tag").unwrap();
    assert_eq!(digest, sha256(&manifest));
    let (images, why) = found(&fixture, &digest);
    assert_eq!((images.len(), why), (1, None));
    assert_eq!(images[0].layers, [sha256(b"one"), sha256(b"two")]);
    assert_eq!(fs_err::read(fixture.cache.blob(&images[0].layers[1])).unwrap(), b"two");
    let traffic = fixture.registry.traffic();
    assert_eq!((traffic.layers, traffic.skipped), (2, 0));

    // the next process: layers are there, the configuration is not
    let again = Registry::start(&fixture.cache, 0).await.unwrap();
    let next = Fixture {
        registry: again,
        ..fixture
    };
    let head = next.head(&one).await;
    assert_eq!(
        (head.status, head.header("content-length")),
        (StatusCode::OK, one.len().to_string().as_str())
    );
    assert_eq!(next.head(&config).await.status, StatusCode::NOT_FOUND);
    assert_eq!(next.registry.skipped().into_iter().collect::<Vec<_>>(), [sha256(&one)]);
    // unless it is to be sent once more
    next.registry.refuse([sha256(&one)]);
    assert_eq!(next.head(&one).await.status, StatusCode::NOT_FOUND);
    // a layer that is gone from the cache is not there either
    fs_err::remove_file(next.cache.blob(&sha256(b"two"))).unwrap();
    assert_eq!(next.head(&two).await.status, StatusCode::NOT_FOUND);
    let (images, why) = found(&next, &digest);
    assert!(
        images.is_empty() && why.is_none(),
        "the next process has no manifest yet: {why:?}"
    );
}

#[tokio::test]
async fn a_push_of_containerds_store_with_an_attestation() {
    let fixture = fixture().await;
    let (config, manifest) = image(&[b"one"]);
    let layer = gzip(b"one");
    // containerd sends a blob with the request that ends its upload
    for blob in [&layer, &config] {
        let begun = fixture
            .ask(Method::POST, "/v2/flink-dev/push/blobs/uploads/", &[])
            .await;
        let place = format!("{}?digest=sha256%3A{}", begun.header("location"), sha256(blob));
        assert_eq!(fixture.ask(Method::PUT, &place, blob).await.status, StatusCode::CREATED);
    }
    let path = format!("sha256:{}", sha256(&manifest));
    assert_eq!(fixture.manifest(&path, &manifest).await.status, StatusCode::CREATED);
    let absent = json!({"digest": format!("sha256:{}", sha256(b"absent")), "size": 1});
    let index = json!({"schemaVersion": 2, "manifests": [descriptor(&manifest), absent]}).to_string();
    assert_eq!(
        fixture.manifest("tag", index.as_bytes()).await.status,
        StatusCode::CREATED
    );
    let (images, _) = found(&fixture, &sha256(index.as_bytes()));
    assert_eq!(images.len(), 1);
    let ids = [index.as_bytes(), &manifest, &config].map(|bytes| format!("sha256:{}", sha256(bytes)));
    assert_eq!(images[0].ids, ids);
    // a blob of another repository of ours is taken over without being sent
    let mount = format!(
        "/v2/flink-dev/other/blobs/uploads/?from=flink-dev%2Fpush&mount=sha256:{}",
        sha256(&layer)
    );
    assert_eq!(fixture.ask(Method::POST, &mount, &[]).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn bytes_that_are_not_what_they_are_called_are_refused() {
    let fixture = fixture().await;
    let begun = fixture.ask(Method::POST, "/v2/x/blobs/uploads/", &[]).await;
    let place = format!("{}?digest=sha256:{}", begun.header("location"), sha256(b"right"));
    let answer = fixture.ask(Method::PUT, &place, b"wrong").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(String::from_utf8_lossy(&answer.body).contains("DIGEST_INVALID"));
    // half a layer
    let cut = gzip(&[7; 5000]);
    let answer = fixture.upload(&cut[..cut.len() - 5]).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(fixture.registry.failed().is_some());
    let named = format!("sha256:{}", sha256(b"other"));
    assert_eq!(fixture.manifest(&named, b"{}").await.status, StatusCode::BAD_REQUEST);
    // layers that are not those of the configuration
    let (config, _) = image(&[b"one"]);
    let manifest = json!({"config": descriptor(&config), "layers": [descriptor(&gzip(b"two"))]}).to_string();
    fixture.upload(&gzip(b"two")).await;
    fixture.upload(&config).await;
    fixture.manifest("tag", manifest.as_bytes()).await;
    let (images, why) = found(&fixture, &sha256(manifest.as_bytes()));
    assert!(images.is_empty() && why.unwrap().contains("not those of the configuration"));
}

#[tokio::test]
async fn an_upload_that_is_given_up_leaves_nothing() {
    let fixture = fixture().await;
    let begun = fixture.ask(Method::POST, "/v2/x/blobs/uploads/", &[]).await;
    let place = begun.header("location").to_owned();
    fixture.ask(Method::PATCH, &place, b"some bytes of a layer").await;
    assert_eq!(
        fixture.ask(Method::DELETE, &place, &[]).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        fixture.ask(Method::GET, &place, &[]).await.status,
        StatusCode::NOT_FOUND
    );
    assert!(fixture.cache.stock().files.is_empty());
    assert_eq!(fixture.registry.traffic().layers, 0);
}

#[tokio::test]
async fn a_client_that_begins_with_tls_is_told_to_do_without() {
    let fixture = fixture().await;
    let mut stream = TcpStream::connect(("127.0.0.1", fixture.registry.port()))
        .await
        .unwrap();
    // the beginning of a ClientHello
    stream
        .write_all(&[0x16, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3])
        .await
        .unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.0 400 Bad Request\r\n"), "{answer}");
    assert!(answer.contains("HTTPS request to an HTTP server"), "{answer}");
}

#[tokio::test]
async fn a_port_that_is_taken_is_not_insisted_on() {
    let first = fixture().await;
    let taken = first.registry.port();
    let second = Registry::start(&first.cache, taken).await.unwrap();
    assert_ne!(second.port(), taken);
    drop(first.registry);
}

#[test]
fn leftovers_are_told_by_their_names() {
    assert!(is_leftover("127.0.0.1:4000/flink-dev/push:0123"));
    assert!(is_leftover("127.0.0.1:4000/flink-dev/push-again:0123"));
    assert!(!is_leftover("127.0.0.1:4000/team/push:1"));
    assert!(!is_leftover("flink-dev/push:1"));
}
