//! The shortest question to an engine: asking it for its version makes it start programs, which takes as long as the
//! load of a small image.

use std::time::Duration;

use bollard::{API_DEFAULT_VERSION, ClientVersion};
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

/// What an engine says to a ping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pong {
    /// The version of the API to speak: the engine's newest, or ours if that is older.
    pub(super) major: usize,
    pub(super) minor: usize,
    /// Program and version, e.g. `Docker/20.10.24 (linux)`.
    pub(super) server: String,
}

/// Pings an engine over a fresh connection; `None` if it does not tell its version this way.
pub(super) async fn ping(stream: UnixStream, bound: Duration) -> Option<Pong> {
    let asked = async {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
        let connection = tokio::spawn(connection);
        let request = http::Request::get("/_ping")
            .header("host", "localhost")
            .body(Empty::<bytes::Bytes>::new());
        let response = sender.send_request(request.ok()?).await.ok();
        connection.abort();
        let response = response?;
        let header = |name: &str| response.headers().get(name)?.to_str().ok();
        pong(header("api-version")?, header("server").unwrap_or_default())
    };
    tokio::time::timeout(bound, asked).await.ok()?
}

/// Reads the headers of the answer.
fn pong(version: &str, server: &str) -> Option<Pong> {
    let (major, minor) = version.split_once('.')?;
    let theirs: (usize, usize) = (major.parse().ok()?, minor.parse().ok()?);
    let ClientVersion {
        major_version,
        minor_version,
    } = *API_DEFAULT_VERSION;
    let (major, minor) = theirs.min((major_version, minor_version));
    Some(Pong {
        major,
        minor,
        server: server.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn answered(answer: &'static str) -> Option<Pong> {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let server = tokio::spawn(async move {
            let mut request = vec![0; 4096];
            let length = theirs.read(&mut request).await.unwrap();
            assert!(request[..length].starts_with(b"GET /_ping HTTP/1.1\r\n"));
            theirs.write_all(answer.as_bytes()).await.unwrap();
        });
        let pong = ping(ours, Duration::from_secs(10)).await;
        server.await.unwrap();
        pong
    }

    #[tokio::test]
    async fn an_engine_tells_its_version_in_the_headers_of_a_ping() {
        let docker =
            "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nServer: Docker/20.10.24 (linux)\r\nContent-Length: 2\r\n\r\nOK";
        let expected = Pong {
            major: 1,
            minor: 41,
            server: "Docker/20.10.24 (linux)".to_owned(),
        };
        assert_eq!(answered(docker).await, Some(expected));
        assert_eq!(answered("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK").await, None);
        assert_eq!(
            answered("HTTP/1.1 200 OK\r\nApi-Version: new\r\nContent-Length: 0\r\n\r\n").await,
            None
        );
        // an engine of the future is spoken to as we can
        let newer = pong("9.1", "").unwrap();
        assert_eq!(
            (newer.major, newer.minor),
            (API_DEFAULT_VERSION.major_version, API_DEFAULT_VERSION.minor_version)
        );
    }
}
