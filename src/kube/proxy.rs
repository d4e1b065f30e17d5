//! Requests to services inside the cluster, through the API server: no local port, no other credentials.

use ::kube::Client;
use ::kube::client::Body;
use http::Method;
use http_body_util::BodyExt;
use serde_json::Value;

use super::{REQUEST, failure};
use crate::diag::{Failure, Reason, Result};

/// `GET path` of a service. Answers the status code and the body: JSON, or a JSON string of what else it was.
///
/// # Errors
/// [`Reason::ClusterUnreachable`] if the API server does not answer. An answer with an error code is an answer: 503
/// with a `Status` object comes from the API server itself (a service without ready endpoints).
pub async fn service_get(
    client: &Client,
    namespace: &str,
    service: &str,
    port: u16,
    path: &str,
) -> Result<(u16, Value)> {
    service_request(client, Method::GET, namespace, service, port, path, None).await
}

/// `POST path` of a service with a JSON body; as [`service_get`].
///
/// # Errors
/// As [`service_get`].
pub async fn service_post(
    client: &Client,
    namespace: &str,
    service: &str,
    port: u16,
    path: &str,
    body: &Value,
) -> Result<(u16, Value)> {
    service_request(client, Method::POST, namespace, service, port, path, Some(body)).await
}

/// `DELETE path` of a service; as [`service_get`].
///
/// # Errors
/// As [`service_get`].
pub async fn service_delete(
    client: &Client,
    namespace: &str,
    service: &str,
    port: u16,
    path: &str,
) -> Result<(u16, Value)> {
    service_request(client, Method::DELETE, namespace, service, port, path, None).await
}

/// Any request to a service; as [`service_get`].
///
/// # Errors
/// As [`service_get`].
pub async fn service_request(
    client: &Client,
    method: Method,
    namespace: &str,
    service: &str,
    port: u16,
    path: &str,
    body: Option<&Value>,
) -> Result<(u16, Value)> {
    let tried = format!("{method} {path} of {service}.{namespace}:{port}");
    let path = path.trim_start_matches('/');
    let uri = format!("/api/v1/namespaces/{namespace}/services/{service}:{port}/proxy/{path}");
    proxied(client, method, tried, uri, body).await
}

/// Any request to a port of a pod; as [`service_get`].
///
/// # Errors
/// As [`service_get`].
pub async fn pod_request(
    client: &Client,
    method: Method,
    namespace: &str,
    pod: &str,
    port: u16,
    path: &str,
    body: Option<&Value>,
) -> Result<(u16, Value)> {
    let tried = format!("{method} {path} of pod {pod}:{port}");
    let path = path.trim_start_matches('/');
    let uri = format!("/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy/{path}");
    proxied(client, method, tried, uri, body).await
}

async fn proxied(
    client: &Client,
    method: Method,
    tried: String,
    uri: String,
    body: Option<&Value>,
) -> Result<(u16, Value)> {
    let mut builder = http::Request::builder().method(method).uri(uri);
    let mut bytes = Vec::new();
    if let Some(body) = body {
        builder = builder.header(http::header::CONTENT_TYPE, "application/json");
        bytes = body.to_string().into_bytes();
    }
    let request = builder
        .body(Body::from(bytes))
        .map_err(|error| Failure::new(Reason::Internal, format!("{tried}: not a request")).cause(&error))?;
    let exchange = async {
        let response = client.send(request).await?;
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await?.to_bytes();
        Ok::<_, ::kube::Error>((status, bytes))
    };
    let (status, bytes) = match tokio::time::timeout(REQUEST, exchange).await {
        Ok(answer) => answer.map_err(|error| failure(Reason::ClusterUnreachable, tried.clone(), &error))?,
        Err(_) => {
            let message = format!("{tried}: no answer within {} s", REQUEST.as_secs());
            return Err(Failure::new(Reason::ClusterUnreachable, message));
        }
    };
    let value = serde_json::from_slice(&bytes)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).trim().to_owned()));
    Ok((status, value))
}
