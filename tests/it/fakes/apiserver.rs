//! A Kubernetes API server in memory, on loopback, for tests: server-side apply, metadata lists, custom kinds that are
//! served a while after their definition, faults, and answers of services behind the proxy. No watches.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::net::TcpListener;

type Reactor = Box<dyn Fn(&mut Value) + Send>;

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
                    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
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
        self.state().objects.remove(path);
    }

    /// "METHOD path?query" of all requests since the last call.
    pub(crate) fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.state().requests)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    async fn serve(&self, request: Request<hyper::body::Incoming>) -> Response<Full<Bytes>> {
        let (method, uri) = (request.method().to_string(), request.uri().clone());
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let mut state = self.state();
        let line = format!("{method} {uri}");
        state.requests.push(line.clone());
        if let Some(fault) = state
            .faults
            .iter_mut()
            .find(|f| f.times > 0 && line.contains(&f.needle))
        {
            fault.times -= 1;
            return status(fault.code, &fault.message);
        }
        let (path, query) = (uri.path(), uri.query().unwrap_or_default());
        if let Some((code, body)) = state.answers.get(path) {
            return respond(*code, body);
        }
        if !state.kind_served(path) {
            let page = Full::new(Bytes::from_static(b"404 page not found\n"));
            return Response::builder().status(404).body(page).unwrap();
        }
        match method.as_str() {
            "PATCH" => state.apply(path, query, &body),
            "DELETE" => match state.objects.remove(path) {
                Some(object) => respond(200, &object),
                None => status(404, &format!("{path} not found")),
            },
            _ => match state.objects.get(path) {
                Some(object) => respond(200, object),
                None => state.list(path, query),
            },
        }
    }
}

impl State {
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
        self.objects.insert(path.to_owned(), object.clone());
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
        let selectors: Vec<(String, String)> = query
            .split('&')
            .filter_map(|p| p.strip_prefix("labelSelector="))
            .flat_map(|s| {
                s.replace("%3D", "=")
                    .replace("%2C", ",")
                    .split(',')
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            })
            .filter_map(|s| s.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned())))
            .collect();
        let items: Vec<&Value> = self
            .objects
            .iter()
            .filter(|(at, _)| {
                let in_kind = at.starts_with(root) && at.rsplit('/').nth(1) == Some(plural);
                in_kind && (!namespaced || at.starts_with(&format!("{path}/")))
            })
            .map(|(_, object)| object)
            .filter(|o| selectors.iter().all(|(k, v)| o["metadata"]["labels"][k] == **v))
            .collect();
        respond(200, &json!({"kind": "List", "items": items}))
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
    let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                      "message": message, "reason": "Fake", "code": code});
    respond(code, &body)
}
