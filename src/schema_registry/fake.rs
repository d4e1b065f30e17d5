//! A schema registry behind an API server's proxy, in this process: as much of Confluent's API as is asked for.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use http::{Method, Request, Response};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

/// Where the proxy has it.
const AT: &str = "/api/v1/namespaces/kafka/services/schema-registry:8080/proxy/apis/ccompat/v7";

/// The state of the fake; clones share it.
#[derive(Clone, Default)]
pub(crate) struct FakeRegistry(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// By id, from 1 on.
    schemas: Vec<String>,
    /// Whether a subject is deleted, but not for good.
    subjects: BTreeMap<String, bool>,
    /// What was asked for, in order.
    asked: Vec<String>,
}

impl FakeRegistry {
    /// A client of the API server that it is behind.
    pub(crate) fn client(&self) -> Client {
        let fake = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let fake = fake.clone();
            async move {
                let (parts, body) = request.into_parts();
                let bytes = body.collect().await.unwrap().to_bytes();
                let body = serde_json::from_slice(&bytes).unwrap_or_default();
                let path = parts.uri.path_and_query().unwrap().as_str();
                let (status, answer) = fake.answer(&parts.method, path, &body);
                let response = Response::builder()
                    .status(status)
                    .body(Body::from(answer.to_string().into_bytes()));
                Ok::<_, Infallible>(response.unwrap())
            }
        });
        Client::new(service, "kafka")
    }

    /// What was asked for, in order.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.lock().asked.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it answers to a request at the API server.
    pub(crate) fn answer(&self, method: &Method, path: &str, body: &Value) -> (u16, Value) {
        let status = json!({"kind": "Status", "apiVersion": "v1", "message": "no endpoints available"});
        let Some(path) = path.strip_prefix(AT) else {
            return (503, status);
        };
        let mut state = self.lock();
        state.asked.push(format!("{method} {path}"));
        let unknown = |what: &str| (404, json!({"error_code": 40400, "message": format!("No such {what}")}));
        if path == "/subjects?deleted=true" {
            return (200, json!(state.subjects.keys().collect::<Vec<_>>()));
        }
        if let Some(id) = path.strip_prefix("/schemas/ids/") {
            let schema = state.schemas.get(id.parse::<usize>().unwrap().wrapping_sub(1));
            return schema.map_or_else(|| unknown("schema"), |schema| (200, json!({"schema": schema})));
        }
        let subject = path.strip_prefix("/subjects/").unwrap();
        if let Some(subject) = subject.strip_suffix("/versions") {
            let schema = body["schema"].as_str().unwrap().to_owned();
            if schema.contains("refused") {
                return (409, json!({"error_code": 409, "message": "is not compatible"}));
            }
            let known = state.schemas.iter().position(|one| *one == schema);
            let at = known.unwrap_or_else(|| {
                state.schemas.push(schema);
                state.schemas.len() - 1
            });
            state.subjects.insert(subject.to_owned(), false);
            return (200, json!({"id": at + 1}));
        }
        let (subject, for_good) = match subject.strip_suffix("?permanent=true") {
            Some(subject) => (subject, true),
            None => (subject, false),
        };
        match (state.subjects.get(subject), for_good) {
            (Some(false), false) => {
                state.subjects.insert(subject.to_owned(), true);
                (200, json!([1]))
            }
            (Some(true), true) => {
                state.subjects.remove(subject);
                (200, json!([1]))
            }
            _ => unknown("subject"),
        }
    }
}
