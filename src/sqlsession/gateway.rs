//! Statements over the HTTP interface of Flink's SQL gateway (version 1 of it), through the API server.

use std::time::Duration;

use http::Method;
use kube::Client;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::outcome::{Answer, columns, error, rows};
use super::pod::{GATEWAY, SqlPod};
use crate::diag::{Failure, Reason, Result};
use crate::engine::StepCx;
use crate::kube::pod_request;

/// Between two looks at a result that is not there yet.
const POLL: Duration = Duration::from_millis(100);

/// How much of a result is taken.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// So many rows.
    pub rows: usize,
    /// So long.
    pub within: Duration,
    /// Whether a query that has not ended by then is fine: one of a stream never does.
    pub open_end: bool,
}

/// An open session.
#[derive(Clone)]
pub struct Gateway {
    client: Client,
    namespace: String,
    pod: String,
    session: String,
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway")
            .field("pod", &self.pod)
            .finish_non_exhaustive()
    }
}

impl Gateway {
    /// Opens a session. `streaming`: queries run as streams, and their results change.
    ///
    /// # Errors
    /// [`Reason::FlinkUnreachable`] with what the gateway answers.
    pub async fn open(pod: &SqlPod, streaming: bool) -> Result<Self> {
        let mut gateway = Self {
            client: pod.client.clone(),
            namespace: pod.namespace.clone(),
            pod: pod.name.clone(),
            session: String::new(),
        };
        let mode = if streaming { "STREAMING" } else { "BATCH" };
        let properties = json!({ "execution.runtime-mode": mode, "sql-client.execution.result-mode": "TABLEAU" });
        let body = json!({ "sessionName": "dev", "properties": properties });
        let (code, answer) = gateway.call(Method::POST, "/v1/sessions", Some(&body)).await?;
        match answer["sessionHandle"].as_str() {
            Some(handle) if code == 200 => gateway.session = handle.to_owned(),
            _ => {
                let message = "the SQL gateway opens no session";
                return Err(Failure::new(Reason::FlinkUnreachable, message).evidence(error(&answer).0));
            }
        }
        Ok(gateway)
    }

    /// Carries a statement out. A query that is not over within the limits is cancelled.
    ///
    /// # Errors
    /// [`Reason::JobSubmitFailed`] with Flink's words, at their place in the statement as line and column of an
    /// otherwise empty location; [`Reason::TimedOut`]; [`Reason::Interrupted`].
    pub async fn run(&self, statement: &str, limits: Limits, cx: &StepCx) -> Result<Answer> {
        let path = format!("/v1/sessions/{}/statements", self.session);
        let (code, answer) = self
            .call(Method::POST, &path, Some(&json!({ "statement": statement })))
            .await?;
        let Some(operation) = answer["operationHandle"].as_str().filter(|_| code == 200) else {
            return Err(refused(&answer));
        };
        let base = format!("/v1/sessions/{}/operations/{operation}", self.session);
        let result = tokio::select! {
            result = self.fetch(&base, limits, cx) => result,
            () = cx.cancel().cancelled() => Err(Failure::new(Reason::Interrupted, "interrupted")),
        };
        // what runs for it in Flink ends with it; one that has ended is closed all the same
        for (method, end) in [(Method::POST, "cancel"), (Method::DELETE, "close")] {
            let over = matches!(
                &result,
                Ok(Answer::Ok | Answer::Job { .. } | Answer::Rows { complete: true, .. })
            );
            if over && end == "cancel" {
                continue;
            }
            let _ = self.call(method, &format!("{base}/{end}"), None).await;
        }
        result
    }

    async fn fetch(&self, base: &str, limits: Limits, cx: &StepCx) -> Result<Answer> {
        let end = Instant::now() + limits.within;
        let mut next = format!("{base}/result/0?rowFormat=JSON");
        let (mut head, mut body) = (Vec::new(), Vec::new());
        loop {
            let (code, answer) = self.call(Method::GET, &next, None).await?;
            if code != 200 {
                return Err(refused(&answer));
            }
            let kind = answer["resultType"].as_str().unwrap_or_default();
            let query = answer["isQueryResult"] == true;
            if kind != "NOT_READY" {
                let results = &answer["results"];
                if head.is_empty() {
                    head = columns(results);
                }
                body.extend(rows(results, &head));
            }
            if let (false, Some(id)) = (query, answer["jobID"].as_str()) {
                return Ok(Answer::Job { job_id: id.to_owned() });
            }
            let ok = answer["resultKind"] == "SUCCESS" && !query;
            let full = body.len() >= limits.rows;
            let cut = full || Instant::now() >= end;
            if kind == "EOS" || full {
                if ok && kind == "EOS" {
                    return Ok(Answer::Ok);
                }
                let complete = kind == "EOS" && body.len() <= limits.rows;
                body.truncate(limits.rows);
                return Ok(Answer::Rows {
                    columns: head,
                    rows: body,
                    complete,
                });
            }
            if cut {
                if limits.open_end && query {
                    return Ok(Answer::Rows {
                        columns: head,
                        rows: body,
                        complete: false,
                    });
                }
                let message = format!("the statement has not ended after {} s", limits.within.as_secs_f64());
                return Err(Failure::new(Reason::TimedOut, message)
                    .evidence(format!("{} rows so far; it was cancelled", body.len()))
                    .next("give it longer with --within")
                    .next("a query of a stream has no end: --streaming takes what comes until then"));
            }
            cx.waiting(format!("{} rows", body.len()));
            if kind == "NOT_READY" || answer["results"]["data"].as_array().is_some_and(Vec::is_empty) {
                sleep(POLL).await;
            }
            if let Some(uri) = answer["nextResultUri"].as_str() {
                uri.clone_into(&mut next);
            }
        }
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(u16, Value)> {
        pod_request(&self.client, method, &self.namespace, &self.pod, GATEWAY, path, body).await
    }
}

fn refused(answer: &Value) -> Failure {
    let (message, place) = error(answer);
    let (line, column) = place.unwrap_or_default();
    let failure = Failure::new(Reason::JobSubmitFailed, message);
    if line > 0 {
        failure.at("", line, column)
    } else {
        failure
    }
}
