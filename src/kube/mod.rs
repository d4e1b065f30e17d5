//! Thin helpers over [`kube::Client`]: apply without needless writes, server-side dry runs, requests to services
//! through the API server, and why pods are not ready. No trait: tests put a fake API server behind the client.

mod apply;
mod edits;
mod error;
mod forward;
mod node;
mod pods;
mod proxy;
mod resource;
mod wait;
mod wanted;

use std::path::Path;
use std::time::Duration;

use ::kube::Client;
use ::kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::Value;

use crate::diag::{Failure, Reason, Result};

pub(crate) use apply::dry_run_or_reason;
pub use apply::{ApplyReport, State, apply, apply_within, dry_run, observe};
pub use error::{failure, transient};
pub use forward::{Forward, Target, Told};
pub use node::{wait_api, wait_node_ready};
pub use pods::{PodProblem, Pods, pods, pods_reason};
pub(crate) use pods::{problem as pod_problem, with_log};
pub use proxy::{pod_request, service_delete, service_get, service_post, service_request};
pub use resource::{Coordinates, coordinates};
pub use wait::{Seen, until};
pub use wanted::{HASH, MANAGED_BY, MANAGER, PART_OF};

/// How long one ordinary request may take; the API server's own bound is 60 s.
const REQUEST: Duration = Duration::from_secs(20);

/// How long a connection may take to come about. The cluster is on this machine.
const CONNECT: Duration = Duration::from_secs(3);

/// A client of the cluster that a kubeconfig file names.
///
/// Proxy variables of the environment are not followed: the cluster is on this machine. Nothing is sent yet.
///
/// # Errors
/// [`Reason::ClusterNotFound`] if there is no such file, [`Reason::ClusterUnreachable`] if it cannot be used.
pub async fn client(kubeconfig: &Path) -> Result<Client> {
    if !kubeconfig.exists() {
        let message = format!("there is no kubeconfig {}", kubeconfig.display());
        return Err(Failure::new(Reason::ClusterNotFound, message));
    }
    let file = Kubeconfig::read_from(kubeconfig).map_err(|e| unusable(&kubeconfig.display(), &e))?;
    client_from(file, &kubeconfig.display().to_string()).await
}

/// The same from a kubeconfig's text, which came from `origin`.
///
/// # Errors
/// [`Reason::ClusterUnreachable`] if it cannot be used.
pub async fn client_of_text(kubeconfig: &str, origin: &str) -> Result<Client> {
    let parsed = Kubeconfig::from_yaml(kubeconfig).map_err(|e| unusable(&origin, &e))?;
    client_from(parsed, origin).await
}

fn unusable(origin: &dyn std::fmt::Display, error: &dyn std::error::Error) -> Failure {
    let message = format!("the kubeconfig {origin} cannot be used");
    Failure::new(Reason::ClusterUnreachable, message).cause(error)
}

async fn client_from(file: Kubeconfig, origin: &str) -> Result<Client> {
    // two crates may bring a provider each, then rustls wants one to be named; a second call changes nothing
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = ::kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
        .await
        .map_err(|e| unusable(&origin, &e))?;
    config.proxy_url = None;
    config.connect_timeout = Some(CONNECT);
    // a 503 is an observation here (a service without endpoints, a booting server), not something to hide
    config.default_retry = false;
    Client::try_from(config).map_err(|e| unusable(&origin, &e))
}

/// Reads one object or list; `None` if there is none (or its kind is not served).
///
/// # Errors
/// What the API server answered, as [`failure`] puts it.
pub async fn get(client: &Client, path: &str) -> Result<Option<Value>> {
    match request(client, http::Method::GET, path, None).await {
        Ok(value) => Ok(Some(value)),
        Err(::kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(error) => Err(failure(Reason::ClusterUnreachable, format!("GET {path}"), &error)),
    }
}

/// The items of a list; empty if its kind is not served.
///
/// # Errors
/// As [`get`].
pub async fn list(client: &Client, path: &str) -> Result<Vec<Value>> {
    let mut found = get(client, path).await?.unwrap_or_default();
    Ok(match found.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    })
}

/// Deletes one object; one that is not there is fine. Finalizers may hold it for a while afterwards.
///
/// # Errors
/// What the API server answered.
pub async fn delete(client: &Client, path: &str) -> Result<()> {
    match request(client, http::Method::DELETE, path, None).await {
        Ok(_) => Ok(()),
        Err(::kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(failure(Reason::ClusterUnreachable, format!("DELETE {path}"), &error)),
    }
}

/// The string at a JSON pointer; empty if there is none.
pub fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// One bounded request with a JSON answer.
async fn request(
    client: &Client,
    method: http::Method,
    path: &str,
    body: Option<(&str, Vec<u8>)>,
) -> Result<Value, ::kube::Error> {
    request_accepting(client, method, path, "application/json", body).await
}

/// As [`request`], with the forms of the answer that are asked for.
async fn request_accepting(
    client: &Client,
    method: http::Method,
    path: &str,
    accept: &str,
    body: Option<(&str, Vec<u8>)>,
) -> Result<Value, ::kube::Error> {
    let mut builder = http::Request::builder()
        .method(method)
        .uri(path)
        .header(http::header::ACCEPT, accept);
    let mut bytes = Vec::new();
    if let Some((content_type, content)) = body {
        builder = builder.header(http::header::CONTENT_TYPE, content_type);
        bytes = content;
    }
    let request = builder.body(bytes).map_err(::kube::Error::HttpError)?;
    bounded(client.request(request)).await
}

/// A request of the typed API within the bound of an ordinary one: the client has no bound of its own for an answer
/// that never ends.
///
/// # Errors
/// Those of the request; [`::kube::Error::Service`] if there is no answer in time.
pub(crate) async fn bounded<T>(request: impl Future<Output = Result<T, ::kube::Error>>) -> Result<T, ::kube::Error> {
    match tokio::time::timeout(REQUEST, request).await {
        Ok(answer) => answer,
        Err(_) => Err(::kube::Error::Service(
            format!("no answer within {} s", REQUEST.as_secs()).into(),
        )),
    }
}

#[cfg(test)]
#[path = "../../tests/it/fakes/apiserver.rs"]
pub(crate) mod fake;
#[cfg(test)]
mod tests;
