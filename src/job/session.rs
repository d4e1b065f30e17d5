//! The session cluster that a job is to run in.

use kube::Client;
use serde_json::Value;

use super::code::PYTHON_JAR;
use crate::config::nearest;
use crate::diag::{Failure, Reason, Result};
use crate::flink::Rest;
use crate::kube::{get, list, pods_reason, text};

/// The collection of `FlinkDeployment`s of a namespace.
pub(super) fn deployments(namespace: &str) -> String {
    format!("/apis/flink.apache.org/v1beta1/namespaces/{namespace}/flinkdeployments")
}

/// The object of a session cluster whose JobManager is ready.
///
/// # Errors
/// [`Reason::SessionNotFound`] with the nearest one; [`Reason::ComponentNotReady`] with what keeps it.
pub(super) async fn ready(client: &Client, namespace: &str, name: &str) -> Result<Value> {
    let collection = deployments(namespace);
    let Some(object) = get(client, &format!("{collection}/{name}")).await? else {
        let all = list(client, &collection).await?;
        let sessions: Vec<&str> = all
            .iter()
            .filter(|o| o["spec"].get("job").is_none_or(Value::is_null))
            .map(|o| text(o, "/metadata/name"))
            .collect();
        let message = format!("there is no session cluster `{name}` in namespace {namespace}");
        let failure = Failure::new(Reason::SessionNotFound, message);
        return Err(match (nearest(name, sessions.iter().copied()), &sessions[..]) {
            (Some(near), _) => failure.next(format!("did you mean --session {near}?")),
            (None, []) => failure.next("dev up"),
            (None, _) => failure.next(format!("--session with one of: {}", sessions.join(", "))),
        });
    };
    if !object["spec"].get("job").is_none_or(Value::is_null) {
        let message = format!("`{name}` is an application with its own job, not a session cluster");
        return Err(Failure::new(Reason::SessionNotFound, message).next("dev job ls"));
    }
    let state = text(&object, "/status/jobManagerDeploymentStatus");
    if state != "READY" {
        let state = if state.is_empty() { "not started" } else { state };
        let message = format!("the session cluster `{name}` is not ready: its JobManager is {state}");
        let pods = pods_reason(client, namespace, &super::change::pods_of(name)).await?;
        return Err(Failure::new(Reason::ComponentNotReady, message)
            .evidence(super::report::error(&object))
            .evidence(pods.unwrap_or_default())
            .next("dev up"));
    }
    Ok(object)
}

/// The object of the session cluster of a place, whose JobManager is ready.
///
/// # Errors
/// [`Reason::SessionNotFound`] with the nearest one; [`Reason::ComponentNotReady`] with what keeps it.
pub async fn object(place: &super::Place) -> Result<Value> {
    ready(&place.client, &place.namespace, &place.session).await
}

/// Whether the session cluster's image has Python, as far as its Flink tells.
///
/// # Errors
/// [`Reason::FlinkUnreachable`].
pub async fn has_python(rest: &Rest) -> Result<bool> {
    Ok(jars(rest).await?.iter().any(|jar| jar == PYTHON_JAR))
}

/// File names of the jars on the JobManager's classpath; empty where this Flink does not tell.
///
/// # Errors
/// [`Reason::FlinkUnreachable`].
pub(super) async fn jars(rest: &Rest) -> Result<Vec<String>> {
    let environment = rest.get("/jobmanager/environment").await?.unwrap_or_default();
    let classpath = environment["classpath"].as_array().map_or(&[][..], Vec::as_slice);
    let names = classpath.iter().filter_map(Value::as_str);
    Ok(names
        .map(|path| path.rsplit('/').next().unwrap_or(path).to_owned())
        .collect())
}
