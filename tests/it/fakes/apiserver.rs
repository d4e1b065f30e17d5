//! A Kubernetes API server in memory, on loopback, for tests: server-side apply, merge patches, metadata lists, watches,
//! custom kinds that are served a while after their definition, faults, answers of services behind the proxy, ports of
//! pods, and programs in them.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

type Reactor = Box<dyn Fn(&mut Value) + Send>;
type Hook = Arc<dyn Fn(&ApiServer) + Send + Sync>;
type PatchHook = Arc<dyn Fn(&ApiServer, &Value) + Send + Sync>;
type Programs = Arc<dyn Fn(&[String], &str) -> (String, String, i32) + Send + Sync>;
type Service = Arc<dyn Fn(&str, &str, &Value) -> (u16, Value) + Send + Sync>;
type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;
type Socket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

/// The server; it stops with the runtime of the test.
#[derive(Clone)]
pub(crate) struct ApiServer {
    url: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Value>,
    version: u64,
    requests: Vec<String>,
    faults: Vec<Fault>,
    answers: BTreeMap<String, (u16, Value)>,
    reactors: Vec<(String, Reactor)>,
    /// Requests that a custom kind is still not served after its definition was applied.
    crd_delay: usize,
    served: BTreeMap<String, usize>,
    /// Every change so far: version, path, what it was, the object.
    log: Vec<(u64, String, &'static str, Value)>,
    changes: Option<broadcast::Sender<()>>,
    /// What happens when an object at a path is deleted.
    deleted: Vec<(String, Hook)>,
    /// What happens when an object whose path ends so is changed by a merge patch.
    patched: Vec<(String, PatchHook)>,
    /// Ports of this machine that pods' ports lead to.
    ports: BTreeMap<String, u16>,
    programs: Option<Programs>,
    /// What answers requests whose path contains a text: by method, path behind `/proxy`, and body.
    services: Vec<(String, Service)>,
}

struct Fault {
    needle: String,
    code: u16,
    message: String,
    times: usize,
}

#[allow(dead_code, reason = "the unit tests and the integration tests use parts of it each")]
impl ApiServer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Self {
            url,
            state: Arc::default(),
        };
        let accepting = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = accepting.clone();
                tokio::spawn(async move {
                    let service = hyper::service::service_fn(move |request| {
                        let serving = serving.clone();
                        async move { Ok::<_, Infallible>(serving.serve(request).await) }
                    });
                    let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    let stream = TokioIo::new(stream);
                    let _ = builder.serve_connection_with_upgrades(stream, service).await;
                });
            }
        });
        server
    }

    /// A kubeconfig for it.
    pub(crate) fn kubeconfig(&self) -> String {
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "fake",
            "clusters": [{"name": "fake", "cluster": {"server": self.url}}],
            "users": [{"name": "fake", "user": {}}],
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake"}}],
        })
        .to_string()
    }

    /// The next `times` requests whose "METHOD path?query" contains `needle` fail.
    pub(crate) fn fail(&self, needle: &str, code: u16, message: &str, times: usize) {
        let (needle, message) = (needle.to_owned(), message.to_owned());
        self.state().faults.push(Fault {
            needle,
            code,
            message,
            times,
        });
    }

    /// What a path answers, whatever the objects are: services behind the proxy, logs, the version.
    pub(crate) fn answer(&self, path: &str, code: u16, body: Value) {
        self.state().answers.insert(path.to_owned(), (code, body));
    }

    /// Does something to every object of a kind when it is written, as its controller would.
    pub(crate) fn react(&self, kind: &str, reactor: impl Fn(&mut Value) + Send + 'static) {
        self.state().reactors.push((kind.to_owned(), Box::new(reactor)));
    }

    /// Custom kinds are served after this many requests for them.
    pub(crate) fn delay_kinds(&self, requests: usize) {
        self.state().crd_delay = requests;
    }

    pub(crate) fn object(&self, path: &str) -> Option<Value> {
        self.state().objects.get(path).cloned()
    }

    pub(crate) fn put(&self, path: &str, object: Value) {
        let mut state = self.state();
        state.store(path, object);
    }

    /// Puts an object there as it is, unlike [`Self::put`] without versions and reactors.
    pub(crate) fn set(&self, path: &str, object: Value) {
        self.state().objects.insert(path.to_owned(), object);
    }

    pub(crate) fn remove(&self, path: &str) {
        self.state().delete(path);
    }

    /// Does something once the object at a path was deleted by a request.
    pub(crate) fn on_delete(&self, path: &str, hook: impl Fn(&Self) + Send + Sync + 'static) {
        self.state().deleted.push((path.to_owned(), Arc::new(hook)));
    }

    /// Does something with a merge patch of an object whose path ends so.
    pub(crate) fn on_patch(&self, end: &str, hook: impl Fn(&Self, &Value) + Send + Sync + 'static) {
        self.state().patched.push((end.to_owned(), Arc::new(hook)));
    }

    /// Answers requests through the proxy whose path contains `needle`: method, path behind `/proxy`, body.
    pub(crate) fn serve_at(
        &self,
        needle: &str,
        service: impl Fn(&str, &str, &Value) -> (u16, Value) + Send + Sync + 'static,
    ) {
        self.state().services.push((needle.to_owned(), Arc::new(service)));
    }

    /// All ports of a pod lead to this one of this machine.
    pub(crate) fn forward(&self, pod: &str, port: u16) {
        self.state().ports.insert(pod.to_owned(), port);
    }

    /// What programs in pods do: command line and standard input to both outputs and the exit code.
    pub(crate) fn programs(&self, run: impl Fn(&[String], &str) -> (String, String, i32) + Send + Sync + 'static) {
        self.state().programs = Some(Arc::new(run));
    }

    /// Where objects are whose path begins so.
    pub(crate) fn paths(&self, begin: &str) -> Vec<String> {
        let state = self.state();
        state
            .objects
            .keys()
            .filter(|path| path.starts_with(begin))
            .cloned()
            .collect()
    }

    /// "METHOD path?query" of all requests since the last call.
    pub(crate) fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.state().requests)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    async fn serve(&self, request: Request<hyper::body::Incoming>) -> Answer {
        let (method, uri) = (request.method().to_string(), request.uri().clone());
        let (path, query) = (uri.path().to_owned(), uri.query().unwrap_or_default().to_owned());
        if request.headers().contains_key(http::header::UPGRADE) {
            self.state().requests.push(format!("{method} {uri}"));
            return self.upgrade(request, &path, &query).map(BodyExt::boxed_unsync);
        }
        if query.contains("watch=true") || query.contains("watch=1") {
            self.state().requests.push(format!("{method} {uri}"));
            return self.watch(&path, &query);
        }
        let merge = request
            .headers()
            .get(http::header::CONTENT_TYPE)
            .is_some_and(|kind| kind == "application/merge-patch+json");
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let (answer, hooks) = self.state().answer(&method, &uri, merge, &body);
        for hook in hooks {
            hook(self);
        }
        if merge {
            let patched = self.state().patched.clone();
            let patch = serde_json::from_slice(&body).unwrap_or_default();
            for (_, hook) in patched.iter().filter(|(end, _)| path.ends_with(end)) {
                hook(self, &patch);
            }
        }
        answer.map(BodyExt::boxed_unsync)
    }

    /// The changes of a collection from a version on.
    fn watch(&self, path: &str, query: &str) -> Answer {
        let from: u64 = query
            .split('&')
            .find_map(|p| p.strip_prefix("resourceVersion="))
            .and_then(|v| v.parse().ok())
            .unwrap_or_default();
        let mut state = self.state();
        let wakes = state
            .changes
            .get_or_insert_with(|| broadcast::channel(1024).0)
            .subscribe();
        drop(state);
        let (server, path, query) = (self.clone(), path.to_owned(), query.to_owned());
        let stream = futures::stream::unfold((wakes, from), move |(mut wakes, from)| {
            let (server, path, query) = (server.clone(), path.clone(), query.clone());
            async move {
                loop {
                    let found = {
                        let state = server.state();
                        let mut changes = state.log.iter().filter(|(version, ..)| *version > from);
                        let mine = |at: &str, o: &Value| at.starts_with(&format!("{path}/")) && selected(o, &query);
                        changes
                            .find(|(_, at, _, object)| mine(at, object))
                            .map(|(version, _, what, object)| (*version, json!({"type": what, "object": object})))
                    };
                    if let Some((version, change)) = found {
                        let frame = Frame::data(Bytes::from(format!("{change}\n")));
                        return Some((Ok::<_, Infallible>(frame), (wakes, version)));
                    }
                    // a lagging receiver only has to look again
                    if let Err(broadcast::error::RecvError::Closed) = wakes.recv().await {
                        return None;
                    }
                }
            }
        });
        Response::new(StreamBody::new(stream).boxed_unsync())
    }

    /// A port of a pod, or a program in it, over a web socket.
    fn upgrade(&self, request: Request<hyper::body::Incoming>, path: &str, query: &str) -> Response<Full<Bytes>> {
        let Some((pod, what)) = path
            .rsplit_once('/')
            .map(|(at, what)| (at.rsplit('/').next().unwrap_or_default(), what))
        else {
            return status(400, "no pod");
        };
        let (there, port, programs) = {
            let state = self.state();
            let there = path
                .rsplit_once('/')
                .is_some_and(|(at, _)| state.objects.contains_key(at));
            (there, state.ports.get(pod).copied(), state.programs.clone())
        };
        if !there {
            return status(404, &format!("pods \"{pod}\" not found"));
        }
        let key = request
            .headers()
            .get("sec-websocket-key")
            .map_or(&b""[..], |k| k.as_bytes());
        let accept = derive_accept_key(key);
        let (what, query) = (what.to_owned(), query.to_owned());
        tokio::spawn(async move {
            let Ok(upgraded) = hyper::upgrade::on(request).await else {
                return;
            };
            let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
            match (what.as_str(), port, programs) {
                ("portforward", Some(port), _) => forward_port(socket, &query, port).await,
                ("exec", _, Some(programs)) => run_program(socket, &query, &programs).await,
                _ => {}
            }
        });
        Response::builder()
            .status(StatusCode::SWITCHING_PROTOCOLS)
            .header("upgrade", "websocket")
            .header("connection", "Upgrade")
            .header("sec-websocket-accept", accept)
            .header("sec-websocket-protocol", "v5.channel.k8s.io")
            .body(Full::default())
            .unwrap()
    }
}

/// The port's number as it comes on each of its two channels first; then what it is and what it is told.
async fn forward_port(socket: Socket, query: &str, local: u16) {
    let port: u16 = query
        .split("ports=")
        .nth(1)
        .and_then(|p| p.parse().ok())
        .unwrap_or_default();
    let (mut sink, mut source) = socket.split();
    for channel in [0u8, 1] {
        let [low, high] = port.to_le_bytes();
        let _ = sink.send(Message::binary(vec![channel, low, high])).await;
    }
    let Ok(stream) = TcpStream::connect(("127.0.0.1", local)).await else {
        let _ = sink.send(Message::binary(b"\x01connection refused".to_vec())).await;
        return;
    };
    let (mut from, mut to) = stream.into_split();
    let upward = async {
        while let Some(Ok(message)) = source.next().await {
            if let Message::Binary(bytes) = message
                && to.write_all(&bytes[1..]).await.is_err()
            {
                return;
            }
        }
    };
    let downward = async {
        let mut buffer = vec![0; 16 << 10];
        while let Ok(read @ 1..) = from.read(&mut buffer).await {
            let frame = [&[0u8], &buffer[..read]].concat();
            if sink.send(Message::binary(frame)).await.is_err() {
                return;
            }
        }
        let _ = sink.close().await;
    };
    tokio::select! {
        () = upward => {}
        () = downward => {}
    }
}

/// Standard input until it is closed, where it is attached; then both outputs and the status.
async fn run_program(socket: Socket, query: &str, programs: &Programs) {
    let decoded = |text: &str| percent(&text.replace('+', " "));
    let command: Vec<String> = query
        .split('&')
        .filter_map(|p| p.strip_prefix("command="))
        .map(decoded)
        .collect();
    let (mut sink, mut source) = socket.split();
    let mut input = Vec::new();
    if query.contains("stdin=true") {
        while let Some(Ok(Message::Binary(bytes))) = source.next().await {
            match bytes.first() {
                Some(0) => input.extend_from_slice(&bytes[1..]),
                // 255: the end of a channel
                Some(255) => break,
                _ => {}
            }
        }
    }
    let (out, err, code) = programs(&command, &String::from_utf8_lossy(&input));
    for (channel, text) in [(1u8, out), (2, err)] {
        if !text.is_empty() {
            let _ = sink.send(Message::binary([&[channel], text.as_bytes()].concat())).await;
        }
    }
    let end = match code {
        0 => json!({"metadata": {}, "status": "Success"}),
        code => json!({"metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
            "message": format!("command terminated with non-zero exit code: exit status {code}"),
            "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]}}),
    };
    let _ = sink
        .send(Message::binary([&[3u8], end.to_string().as_bytes()].concat()))
        .await;
    let _ = sink.close().await;
}

fn percent(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        let code = more
            .get(..2)
            .and_then(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        match code {
            Some(code) if *first == b'%' => {
                bytes.push(code);
                rest = &more[2..];
            }
            _ => {
                bytes.push(*first);
                rest = more;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl State {
    fn answer(
        &mut self,
        method: &str,
        uri: &http::Uri,
        merge: bool,
        body: &[u8],
    ) -> (Response<Full<Bytes>>, Vec<Hook>) {
        let line = format!("{method} {uri}");
        self.requests.push(line.clone());
        if let Some(fault) = self.faults.iter_mut().find(|f| f.times > 0 && line.contains(&f.needle)) {
            fault.times -= 1;
            return (status(fault.code, &fault.message), Vec::new());
        }
        let (path, query) = (uri.path(), uri.query().unwrap_or_default());
        if let Some((_, rest)) = path.split_once("/proxy")
            && let Some((_, service)) = self.services.iter().find(|(needle, _)| path.contains(needle))
        {
            let (code, answer) = service(method, rest, &serde_json::from_slice(body).unwrap_or_default());
            return (respond(code, &answer), Vec::new());
        }
        if let Some((code, body)) = self.answers.get(path) {
            return (respond(*code, body), Vec::new());
        }
        if !self.kind_served(path) {
            let page = Full::new(Bytes::from_static(b"404 page not found\n"));
            return (Response::builder().status(404).body(page).unwrap(), Vec::new());
        }
        let answer = match method {
            "PATCH" if merge => self.merge(path, body),
            "PATCH" => self.apply(path, query, body),
            "POST" => self.create(path, body),
            "DELETE" => match self.delete(path) {
                Some(object) => {
                    let hooks = self.deleted.iter().filter(|(at, _)| at == path);
                    return (respond(200, &object), hooks.map(|(_, hook)| hook.clone()).collect());
                }
                None => status(404, &format!("{path} not found")),
            },
            _ => match self.objects.get(path) {
                Some(object) => respond(200, object),
                None => self.list(path, query),
            },
        };
        (answer, Vec::new())
    }

    fn create(&mut self, collection: &str, body: &[u8]) -> Response<Full<Bytes>> {
        let Ok(object) = serde_json::from_slice::<Value>(body) else {
            return status(400, "not an object");
        };
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let path = format!("{collection}/{name}");
        if self.objects.contains_key(&path) {
            return status(409, &format!("{name} already exists"));
        }
        let stored = self.store(&path, object);
        respond(201, &stored)
    }

    fn merge(&mut self, path: &str, body: &[u8]) -> Response<Full<Bytes>> {
        let (Some(mut object), Ok(patch)) = (self.objects.get(path).cloned(), serde_json::from_slice(body)) else {
            return status(404, &format!("{path} not found"));
        };
        merge_patch(&mut object, &patch);
        let stored = self.store(path, object);
        respond(200, &stored)
    }

    fn delete(&mut self, path: &str) -> Option<Value> {
        let object = self.objects.remove(path)?;
        self.version += 1;
        self.tell(path, "DELETED", &object);
        Some(object)
    }

    fn tell(&mut self, path: &str, what: &'static str, object: &Value) {
        self.log.push((self.version, path.to_owned(), what, object.clone()));
        if let Some(changes) = &self.changes {
            let _ = changes.send(());
        }
    }

    /// Groups with a dot that are not Kubernetes' own need a definition, which takes effect a while later.
    fn kind_served(&mut self, path: &str) -> bool {
        let mut parts = path.split('/').skip(1);
        let (Some("apis"), Some(group), Some(_)) = (parts.next(), parts.next(), parts.next()) else {
            return true;
        };
        if !group.contains('.') || group.ends_with(".k8s.io") {
            return true;
        }
        let rest: Vec<&str> = parts.collect();
        let plural = if rest.first() == Some(&"namespaces") {
            rest.get(2)
        } else {
            rest.first()
        };
        let Some(plural) = plural else { return true };
        let name = format!("{plural}.{group}");
        let definition = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}");
        if !self.objects.contains_key(&definition) {
            return false;
        }
        let asked = self.served.entry(name).or_default();
        *asked += 1;
        *asked > self.crd_delay
    }

    fn apply(&mut self, path: &str, query: &str, body: &[u8]) -> Response<Full<Bytes>> {
        let Ok(object) = serde_json::from_slice::<Value>(body) else {
            return status(400, "not an object");
        };
        if let Some((before, _)) = path
            .split_once("/namespaces/")
            .map(|(_, rest)| rest.split_once('/').unwrap_or((rest, "")))
            && path != format!("/api/v1/namespaces/{before}")
            && !self.objects.contains_key(&format!("/api/v1/namespaces/{before}"))
        {
            return status(404, &format!("namespaces \"{before}\" not found"));
        }
        if query.contains("dryRun=All") {
            return respond(200, &object);
        }
        let created = !self.objects.contains_key(path);
        let stored = self.store(path, object);
        respond(if created { 201 } else { 200 }, &stored)
    }

    fn store(&mut self, path: &str, mut object: Value) -> Value {
        let kind = object["kind"].as_str().unwrap_or_default().to_owned();
        let old = self.objects.get(path);
        let generation = old.map_or(0, |o| o["metadata"]["generation"].as_u64().unwrap_or(0));
        let changed = old.is_none_or(|o| {
            o["spec"] != object["spec"]
                || o["data"] != object["data"]
                || o["metadata"]["annotations"] != object["metadata"]["annotations"]
        });
        if let Some(status) = old.and_then(|o| o.get("status")).cloned()
            && object.get("status").is_none()
        {
            object["status"] = status;
        }
        let version = if changed {
            self.version += 1;
            json!(self.version.to_string())
        } else {
            old.map_or(Value::Null, |o| o["metadata"]["resourceVersion"].clone())
        };
        object["metadata"]["resourceVersion"] = version;
        object["metadata"]["generation"] = json!(generation + u64::from(changed));
        for (_, reactor) in self.reactors.iter().filter(|(k, _)| *k == kind) {
            reactor(&mut object);
        }
        let what = if self.objects.insert(path.to_owned(), object.clone()).is_some() {
            "MODIFIED"
        } else {
            "ADDED"
        };
        self.tell(path, what, &object);
        object
    }

    /// A collection, in one namespace or all, with an equality selector on labels.
    fn list(&self, path: &str, query: &str) -> Response<Full<Bytes>> {
        let parts: Vec<&str> = path
            .split('/')
            .skip(if path.starts_with("/apis/") { 4 } else { 3 })
            .collect();
        let (plural, namespaced) = match parts[..] {
            [plural] => (plural, false),
            ["namespaces", _, plural] => (plural, true),
            _ => return status(404, &format!("{path} not found")),
        };
        let root = path
            .split_once("/namespaces/")
            .map_or(path.trim_end_matches(plural), |(root, _)| root);
        let items: Vec<&Value> = self
            .objects
            .iter()
            .filter(|(at, _)| {
                let in_kind = at.starts_with(root) && at.rsplit('/').nth(1) == Some(plural);
                in_kind && (!namespaced || at.starts_with(&format!("{path}/")))
            })
            .map(|(_, object)| object)
            .filter(|o| selected(o, query))
            .collect();
        let version = self.version.to_string();
        respond(
            200,
            &json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": version}, "items": items}),
        )
    }
}

/// Whether an object has the labels that a query asks for.
fn selected(object: &Value, query: &str) -> bool {
    let selectors = query.split('&').filter_map(|p| p.strip_prefix("labelSelector="));
    let pairs: Vec<String> = selectors
        .flat_map(|s| percent(s).split(',').map(str::to_owned).collect::<Vec<_>>())
        .collect();
    pairs
        .iter()
        .filter_map(|pair| pair.split_once('='))
        .all(|(key, value)| object["metadata"]["labels"][key] == value)
}

/// RFC 7386.
fn merge_patch(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in patch {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(key);
        } else {
            merge_patch(&mut target[key], value);
        }
    }
}

fn respond(code: u16, body: &Value) -> Response<Full<Bytes>> {
    let (body, kind) = match body {
        Value::String(text) => (text.clone(), "text/plain"),
        other => (other.to_string(), "application/json"),
    };
    let code = StatusCode::from_u16(code).unwrap();
    Response::builder()
        .status(code)
        .header("content-type", kind)
        .body(Full::new(Bytes::from(body)))
        .unwrap()
}

fn status(code: u16, message: &str) -> Response<Full<Bytes>> {
    let reason = match code {
        404 => "NotFound",
        409 => "AlreadyExists",
        _ => "Fake",
    };
    let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                      "message": message, "reason": reason, "code": code});
    respond(code, &body)
}
