//! Calls of containerd's API, each with a bound.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use crate::diag::{Failure, Reason};

/// The namespace of the kubelet's images.
const NAMESPACE: &str = "k8s.io";

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);

/// A call of the API.
#[derive(Debug, Clone, Copy)]
pub(super) struct Method {
    /// `/SERVICE/METHOD`.
    pub(super) path: &'static str,
    /// Completes "containerd could not".
    pub(super) what: &'static str,
    /// How long it may take: generous, but no for ever.
    pub(super) bound: Duration,
}

impl Method {
    pub(super) const fn new(path: &'static str, what: &'static str, seconds: u64) -> Self {
        Self {
            path,
            what,
            bound: Duration::from_secs(seconds),
        }
    }
}

/// A call that came to nothing.
#[derive(Debug, Clone)]
pub(in crate::image) struct Refused {
    node: Arc<str>,
    what: &'static str,
    code: Code,
    message: String,
}

impl Refused {
    pub(super) fn is_absent(&self) -> bool {
        self.code == Code::NotFound
    }

    pub(super) fn is_there(&self) -> bool {
        self.code == Code::AlreadyExists
    }

    /// Whether the kubelet's side of containerd has not begun yet: it reads its state for a moment after the start.
    pub(super) fn is_early(&self) -> bool {
        self.code == Code::Unavailable || self.message.contains("not initialized")
    }

    /// Whether nobody was there to answer: the connection does not lead to a containerd any more.
    pub(super) fn is_gone(&self) -> bool {
        // tonic tells a broken connection as `Unknown`, too
        matches!(self.code, Code::Unavailable | Code::Unknown | Code::Cancelled)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "containerd of {} could not {}: {}",
            self.node, self.what, self.message
        )
    }
}

impl Refused {
    /// The same for people. No `From`: with a second one, many a `?` elsewhere would not know its type.
    pub(in crate::image) fn told(self) -> Failure {
        let Self {
            node,
            what,
            code,
            message,
        } = self;
        if code == Code::DeadlineExceeded {
            return Failure::new(
                Reason::TimedOut,
                format!("containerd of {node} hangs: it did not {what}"),
            )
            .evidence(message)
            .next(format!("docker exec {node} journalctl --no-pager -n 50 -u containerd"))
            .next(format!("docker exec {node} systemctl restart containerd"));
        }
        Failure::new(
            Reason::ImageLoadFailed,
            format!("containerd of {node} could not {what}"),
        )
        .evidence(message)
    }
}

/// A connection to a node's containerd. Cheap to clone.
#[derive(Debug, Clone)]
pub(in crate::image) struct Client {
    channel: Channel,
    node: Arc<str>,
    /// What is made belongs to this lease.
    lease: Option<String>,
}

impl Client {
    /// Connects to a socket; `keep` lives as long as connections to it may be made.
    pub(super) async fn connect(
        node: &str,
        socket: PathBuf,
        keep: impl Send + Sync + 'static,
    ) -> Result<Self, Refused> {
        let node: Arc<str> = Arc::from(node);
        let refused = |code, message| Refused {
            node: Arc::clone(&node),
            what: "be reached at its socket",
            code,
            message,
        };
        let keep = Arc::new(keep);
        let connector = tower::service_fn(move |_: http::Uri| {
            let (socket, keep) = (socket.clone(), Arc::clone(&keep));
            async move {
                let stream = UnixStream::connect(&socket).await;
                drop(keep);
                stream.map(TokioIo::new)
            }
        });
        // the name is asked of nobody
        let endpoint = Endpoint::from_static("http://containerd");
        let connected = endpoint.connect_with_connector(connector);
        let channel = tokio::time::timeout(CONNECT, connected)
            .await
            .map_err(|_| refused(Code::DeadlineExceeded, told(CONNECT)))?
            .map_err(|e| refused(Code::Unavailable, chain(&e)))?;
        Ok(Self {
            channel,
            node,
            lease: None,
        })
    }

    /// The same, all that it makes under a lease.
    pub(super) fn leased(&self, lease: &str) -> Self {
        Self {
            lease: Some(lease.to_owned()),
            ..self.clone()
        }
    }

    /// A failure that is found out here.
    pub(super) fn refused(&self, method: Method, message: String) -> Refused {
        Refused {
            node: Arc::clone(&self.node),
            what: method.what,
            code: Code::DataLoss,
            message,
        }
    }

    /// One question, one answer.
    pub(super) async fn call<Q, R>(&self, method: Method, request: Q) -> Result<R, Refused>
    where
        Q: prost::Message + 'static,
        R: prost::Message + Default + 'static,
    {
        let asked = async {
            let mut grpc = self.grpc().await?;
            let codec = ProstCodec::<Q, R>::default();
            let answer = grpc.unary(self.request(request), path(method), codec).await?;
            Ok(answer.into_inner())
        };
        self.bounded(method, asked).await
    }

    /// Many messages, of whose answers the last is told.
    pub(super) async fn converse<Q, R>(
        &self,
        method: Method,
        requests: impl futures::Stream<Item = Q> + Send + 'static,
    ) -> Result<R, Refused>
    where
        Q: prost::Message + 'static,
        R: prost::Message + Default + 'static,
    {
        let asked = async {
            let mut grpc = self.grpc().await?;
            let codec = ProstCodec::<Q, R>::default();
            let mut answers = grpc
                .streaming(self.request(requests), path(method), codec)
                .await?
                .into_inner();
            let mut last = None;
            while let Some(answer) = answers.next().await {
                last = Some(answer?);
            }
            last.ok_or_else(|| Status::data_loss("it gave no answer"))
        };
        self.bounded(method, asked).await
    }

    async fn grpc(&self) -> Result<tonic::client::Grpc<Channel>, Status> {
        let mut grpc = tonic::client::Grpc::new(self.channel.clone()).max_decoding_message_size(64 << 20);
        grpc.ready().await.map_err(|e| Status::unavailable(chain(&e)))?;
        Ok(grpc)
    }

    fn request<M>(&self, message: M) -> Request<M> {
        let mut request = Request::new(message);
        let headers = request.metadata_mut();
        headers.insert("containerd-namespace", MetadataValue::from_static(NAMESPACE));
        if let Some(lease) = self.lease.as_deref().and_then(|lease| lease.parse().ok()) {
            headers.insert("containerd-lease", lease);
        }
        request
    }

    async fn bounded<R>(
        &self,
        method: Method,
        asked: impl Future<Output = Result<R, Status>> + Send,
    ) -> Result<R, Refused> {
        let refused = |code, message| Refused {
            node: Arc::clone(&self.node),
            what: method.what,
            code,
            message,
        };
        match tokio::time::timeout(method.bound, asked).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(status)) => Err(refused(status.code(), status.message().to_owned())),
            Err(_) => Err(refused(Code::DeadlineExceeded, told(method.bound))),
        }
    }
}

fn path(method: Method) -> http::uri::PathAndQuery {
    http::uri::PathAndQuery::from_static(method.path)
}

fn told(bound: Duration) -> String {
    format!("no answer within {} s", bound.as_secs())
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}
