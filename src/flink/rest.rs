//! Flink's REST interface of a session cluster, reached through the API server's service proxy: no port is opened.

use std::time::Duration;

use http::Method;
use kube::Client;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use crate::diag::{Failure, Reason, Result};
use crate::kube::service_request;

/// The port of the JobManager's REST interface.
const PORT: u16 = 8081;
/// How long one answer may take. The JobManager answers in milliseconds; under load it is starved of CPU.
const ANSWER: Duration = Duration::from_secs(5);
/// How long the removal of a savepoint may take.
const DISPOSED: Duration = Duration::from_secs(20);
/// Between two looks at it.
const POLL: Duration = Duration::from_millis(100);

/// A text as a part of a URI: all but letters, digits, `.`, `_` and `-` is escaped (RFC 3986, section 2.1).
pub fn percent_encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"._-".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The REST interface of one session cluster.
#[derive(Clone)]
pub struct Rest {
    client: Client,
    namespace: String,
    service: String,
}

impl std::fmt::Debug for Rest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rest")
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

impl Rest {
    /// The interface of session cluster `session` in `namespace`; the operator names its Service `<session>-rest`.
    pub fn new(client: Client, namespace: &str, session: &str) -> Self {
        Self {
            client,
            namespace: namespace.to_owned(),
            service: format!("{session}-rest"),
        }
    }

    /// `GET path` (which begins with `/`). `None` where there is no such thing, or no such session cluster.
    ///
    /// # Errors
    /// [`Reason::FlinkUnreachable`] if no JobManager answers within 5 s or it answers with an error.
    pub async fn get(&self, path: &str) -> Result<Option<Value>> {
        self.call(Method::GET, path, None).await
    }

    /// Asks Flink to cancel a job; one that is not there, or has ended, is fine.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn cancel(&self, job_id: &str) -> Result<()> {
        self.call(Method::PATCH, &format!("/jobs/{job_id}?mode=cancel"), None)
            .await
            .map(|_| ())
    }

    /// Asks Flink to remove the files of a savepoint, and waits until it has.
    ///
    /// # Errors
    /// As [`Self::get`]; with Flink's words if it cannot.
    pub async fn dispose(&self, savepoint: &str) -> Result<()> {
        let asked = self
            .call(
                Method::POST,
                "/savepoint-disposal",
                Some(&json!({ "savepoint-path": savepoint })),
            )
            .await?
            .unwrap_or_default();
        let path = format!(
            "/savepoint-disposal/{}",
            asked["request-id"].as_str().unwrap_or_default()
        );
        let end = Instant::now() + DISPOSED;
        let failed = |why: &str| {
            Failure::new(
                Reason::FlinkUnreachable,
                format!("the savepoint {savepoint} was not removed"),
            )
            .evidence(why)
        };
        loop {
            let state = self.get(&path).await?.unwrap_or_default();
            if state["status"]["id"] == "COMPLETED" {
                let cause = &state["operation"]["failure-cause"];
                return match cause["stack-trace"].as_str() {
                    Some(trace) => Err(failed(&super::root_cause(trace))),
                    None => Ok(()),
                };
            }
            if Instant::now() >= end {
                return Err(failed(&format!("not within {} s", DISPOSED.as_secs())));
            }
            sleep(POLL).await;
        }
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Option<Value>> {
        let unreachable = |why: String| {
            Failure::new(Reason::FlinkUnreachable, "Flink's REST interface does not answer")
                .evidence(format!("{method} {path}: {why}"))
        };
        let request = service_request(
            &self.client,
            method.clone(),
            &self.namespace,
            &self.service,
            PORT,
            path,
            body,
        );
        let (status, body) = match timeout(ANSWER, request).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(failure)) => return Err(unreachable(failure.to_string())),
            Err(_) => return Err(unreachable(format!("no answer in {} s", ANSWER.as_secs()))),
        };
        // an answer of kind Status is the API server's own: there is no Service, or nothing behind it
        let from_api_server = body["kind"] == "Status" && body["apiVersion"] == "v1";
        match status {
            200..=299 => Ok(Some(body)),
            // the API server's own 404 means that there is no such session cluster, so nothing in it either
            404 => Ok(None),
            // the job to be cancelled has ended already
            409 if !from_api_server => Ok(None),
            _ => {
                let told = body["message"].as_str().map_or_else(|| body.to_string(), str::to_owned);
                Err(unreachable(format!(
                    "HTTP {status}: {}",
                    told.chars().take(500).collect::<String>()
                )))
            }
        }
    }
}
