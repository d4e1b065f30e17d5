//! An API server, an operator and a JobManager in one, in this process: as much of them as a job meets.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::StreamExt as _;
use http::{Method, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::broadcast;

/// What the operator makes of the jobs it is given.
#[derive(Debug, Clone)]
pub(crate) enum Behaviour {
    /// They run.
    Runs,
    /// They end well.
    Finishes,
    /// The operator never does anything with them.
    Ignores,
    /// They are refused with this `status.error`.
    Refuses(String),
    /// They run, and fail with this stack trace.
    Fails(String),
    /// They run, but the operator never lets go of a deleted object.
    Clings,
}

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// The state of the fake; clones share it.
#[derive(Clone)]
pub(crate) struct Fake {
    state: Arc<Mutex<State>>,
    changes: broadcast::Sender<(u64, Value)>,
    behaviour: Behaviour,
    created: tokio::sync::mpsc::UnboundedSender<Value>,
}

#[derive(Default)]
struct State {
    version: u64,
    /// All objects that are there, by path.
    objects: Vec<(String, Value)>,
    /// Every change of a session job so far, and every event.
    log: Vec<(u64, Value)>,
    /// Paths of what was listed.
    listed: Vec<String>,
    /// Flink's jobs: id, name, state.
    jobs: Vec<(String, String, &'static str)>,
}

impl Fake {
    /// The fake, a client of it, and the session jobs that are created.
    pub(crate) fn start(behaviour: Behaviour) -> (Self, Client, tokio::sync::mpsc::UnboundedReceiver<Value>) {
        let (created, jobs) = tokio::sync::mpsc::unbounded_channel();
        let fake = Self {
            state: Arc::default(),
            changes: broadcast::channel(64).0,
            behaviour,
            created,
        };
        let service = fake.clone();
        let client = Client::new(
            tower::service_fn(move |request: Request<Body>| {
                let fake = service.clone();
                async move { Ok::<_, Infallible>(fake.answer(request).await) }
            }),
            "flink",
        );
        (fake, client, jobs)
    }

    /// Paths of the objects that are there.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.lock().objects.iter().map(|(path, _)| path.clone()).collect()
    }

    /// States of Flink's jobs.
    pub(crate) fn job_states(&self) -> Vec<&'static str> {
        self.lock().jobs.iter().map(|job| job.2).collect()
    }

    /// Paths of what was listed.
    pub(crate) fn listed(&self) -> Vec<String> {
        self.lock().listed.clone()
    }

    /// An event about an object, told to those who watch.
    pub(crate) fn tell(&self, name: &str, reason: &str, message: &str) {
        let mut event = json!({ "kind": "Event", "apiVersion": "v1", "metadata": { "name": format!("{name}.1") },
            "involvedObject": { "name": name }, "type": "Warning", "reason": reason, "message": message });
        self.change("ADDED", &mut event);
    }

    /// Puts an object there.
    pub(crate) fn put(&self, path: &str, object: Value) {
        self.lock().objects.push((path.to_owned(), object));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, request: Request<Body>) -> Answer {
        let (parts, body) = request.into_parts();
        let (path, query) = (
            parts.uri.path().to_owned(),
            parts.uri.query().unwrap_or_default().to_owned(),
        );
        let body: Value = serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap_or_default();
        if let Some((_, rest)) = path.split_once("/proxy/") {
            return self.flink(&parts.method, rest);
        }
        if query.contains("watch=true") {
            return self.watch(&path, &query);
        }
        let collection = [
            "/flinksessionjobs",
            "/flinkdeployments",
            "/events",
            "/leases",
            "/pods",
            "/nodes",
        ]
        .iter()
        .any(|end| path.ends_with(end));
        match (parts.method, collection) {
            (Method::POST, _) => self.create(&path, body),
            (Method::GET, true) => {
                let mut state = self.lock();
                state.listed.push(path.clone());
                let below = format!("{path}/");
                let items: Vec<_> = state
                    .objects
                    .iter()
                    .filter(|(p, _)| p.starts_with(&below) && asked_for(&query, &p[below.len()..]))
                    .map(|(_, o)| o)
                    .collect();
                let version = state.version.to_string();
                json_answer(
                    200,
                    &json!({ "kind": "List", "apiVersion": "v1", "metadata": { "resourceVersion": version }, "items": items }),
                )
            }
            (method, _) => self.one(&method, &path, &body),
        }
    }

    fn create(&self, path: &str, mut object: Value) -> Answer {
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        object["metadata"]["generation"] = json!(1);
        let path = format!("{path}/{name}");
        if path.contains("flinksessionjobs") {
            self.operate(&path, &name, &mut object);
            let _ = self.created.send(object.clone());
        }
        self.lock().objects.push((path, object.clone()));
        json_answer(201, &object)
    }

    /// What the operator does with a new job.
    fn operate(&self, path: &str, name: &str, object: &mut Value) {
        let id = format!("{:032x}", self.lock().jobs.len() + 1);
        let (state, flink) = match &self.behaviour {
            Behaviour::Refuses(error) => {
                object["status"] = json!({ "error": error, "lifecycleState": "UPGRADING", "observedGeneration": 1,
                    "jobStatus": { "jobId": id, "state": "RECONCILING" } });
                self.change("ADDED", object);
                return;
            }
            Behaviour::Ignores => {
                self.change("ADDED", object);
                return;
            }
            Behaviour::Finishes => ("FINISHED", "FINISHED"),
            Behaviour::Fails(_) => ("RUNNING", "FAILED"),
            Behaviour::Runs | Behaviour::Clings => ("RUNNING", "RUNNING"),
        };
        object["status"] = json!({ "lifecycleState": "STABLE", "observedGeneration": 1,
            "jobStatus": { "jobId": id, "state": state } });
        assert!(path.ends_with(name));
        self.lock().jobs.push((id, name.to_owned(), flink));
        self.change("ADDED", object);
    }

    fn change(&self, what: &str, object: &mut Value) {
        let mut state = self.lock();
        state.version += 1;
        object["metadata"]["resourceVersion"] = json!(state.version.to_string());
        let change = (state.version, json!({ "type": what, "object": object }));
        state.log.push(change.clone());
        let _ = self.changes.send(change);
    }

    /// A request about one object.
    fn one(&self, method: &Method, path: &str, body: &Value) -> Answer {
        let found = self
            .lock()
            .objects
            .iter()
            .find(|(p, _)| p == path)
            .map(|(_, o)| o.clone());
        let Some(mut object) = found else { return not_found() };
        let job = path.contains("flinksessionjobs");
        let unlocked = *method == Method::PATCH && body["metadata"]["finalizers"].is_null();
        let held = job && matches!(self.behaviour, Behaviour::Clings);
        if (*method == Method::DELETE && !held) || (unlocked && job) {
            self.lock().objects.retain(|(p, _)| p != path);
            if job {
                if !held {
                    self.cancel(|job| path.ends_with(&job.1));
                }
                self.change("DELETED", &mut object);
            }
            return json_answer(
                200,
                &json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success" }),
            );
        }
        json_answer(200, &object)
    }

    fn cancel(&self, which: impl Fn(&(String, String, &'static str)) -> bool) {
        self.lock()
            .jobs
            .iter_mut()
            .filter(|job| which(job))
            .for_each(|job| job.2 = "CANCELED");
    }

    fn watch(&self, path: &str, query: &str) -> Answer {
        let (jobs, events) = (path.ends_with("/flinksessionjobs"), path.ends_with("/events"));
        let (from_query, query) = (query, query.to_owned());
        let about = move |change: &Value| {
            let event = change["object"]["kind"] == "Event";
            let of = if event {
                "/object/involvedObject/name"
            } else {
                "/object/metadata/name"
            };
            let name = change.pointer(of).and_then(Value::as_str).unwrap_or_default();
            (if event { events } else { jobs }) && asked_for(&query, name)
        };
        let from = from_query
            .split('&')
            .find_map(|p| p.strip_prefix("resourceVersion="))
            .and_then(|v| v.parse().ok())
            .unwrap_or(0);
        let live = self.changes.subscribe();
        let past: Vec<_> = if jobs || events {
            self.lock()
                .log
                .iter()
                .filter(|(v, c)| *v > from && about(c))
                .cloned()
                .collect()
        } else {
            Vec::new()
        };
        let last = past.last().map_or(from, |(v, _)| *v);
        let live = futures::stream::unfold(live, |mut live| async move { Some((live.recv().await.ok()?, live)) });
        let live = live.filter(move |(version, change)| futures::future::ready(*version > last && about(change)));
        let frames = futures::stream::iter(past)
            .chain(live)
            .map(|(_, change)| Ok::<_, Infallible>(Frame::data(Bytes::from(format!("{change}\n")))));
        Response::new(StreamBody::new(frames).boxed_unsync())
    }

    fn flink(&self, method: &Method, path: &str) -> Answer {
        if *method == Method::PATCH {
            self.cancel(|job| path.contains(&job.0));
            return json_answer(202, &json!({}));
        }
        let path = path.split('?').next().unwrap_or_default();
        let jobs = self.lock().jobs.clone();
        if path == "jobs/overview" {
            let jobs: Vec<_> = jobs
                .iter()
                .map(|(id, name, state)| json!({ "jid": id, "name": name, "state": state }))
                .collect();
            return json_answer(200, &json!({ "jobs": jobs }));
        }
        if path == "overview" {
            return json_answer(
                200,
                &json!({ "taskmanagers": 1, "slots-total": 4, "slots-available": 3 }),
            );
        }
        let Some((_, _, state)) = jobs.iter().find(|(id, _, _)| path.contains(id.as_str())) else {
            return not_found();
        };
        if path.ends_with("/exceptions") {
            let trace = if let Behaviour::Fails(trace) = &self.behaviour {
                trace
            } else {
                ""
            };
            let entries = if trace.is_empty() {
                json!([])
            } else {
                json!([{ "stacktrace": trace }])
            };
            return json_answer(200, &json!({ "exceptionHistory": { "entries": entries } }));
        }
        json_answer(
            200,
            &json!({ "state": state, "vertices": [{ "tasks": { (*state): 2, "CREATED": 0 } }] }),
        )
    }
}

/// Whether a request asks for an object of this name, or for all.
fn asked_for(query: &str, name: &str) -> bool {
    let selector = query
        .split('&')
        .find_map(|p| p.strip_prefix("fieldSelector=metadata.name"));
    selector.is_none_or(|wanted| wanted.trim_start_matches("%3D").trim_start_matches('=') == name)
}

fn json_answer(status: u16, body: &Value) -> Answer {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())).boxed_unsync());
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
    response
}

fn not_found() -> Answer {
    json_answer(
        404,
        &json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": "not found", "reason": "NotFound", "code": 404 }),
    )
}
