//! The API server and the node as a whole: from when on they can be used.

use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use kube::{Api, Client};

use super::wait::{Seen, until};
use crate::diag::{Reason, Result};
use crate::engine::StepCx;

const EVERY: Duration = Duration::from_millis(100);

/// Waits until the API server answers, e.g. after its node was started again.
///
/// # Errors
/// [`Reason::ComponentNotReady`] with the last answer after two minutes.
pub async fn wait_api(client: &Client, cx: &StepCx) -> Result<()> {
    let request = || async {
        let request = http::Request::get("/readyz").body(Vec::new()).unwrap_or_default();
        match tokio::time::timeout(Duration::from_secs(3), client.request_text(request)).await {
            Ok(Ok(_)) => Ok(Seen::Done(())),
            Ok(Err(error)) => Ok(Seen::NotYet(format!("the API server does not answer: {error}"))),
            Err(_) => Ok(Seen::NotYet("the API server does not answer within 3 s".to_owned())),
        }
    };
    until(
        "API server ready",
        EVERY,
        Duration::from_secs(120),
        &|r| cx.waiting(r),
        request,
    )
    .await
}

/// Waits until every node is Ready and returns what was seen.
///
/// # Errors
/// [`Reason::ComponentNotReady`] with the node's own reason after three minutes.
pub async fn wait_node_ready(client: &Client, cx: &StepCx) -> Result<String> {
    let nodes: Api<Node> = Api::all(client.clone());
    let look = || async {
        let listed = match nodes.list(&kube::api::ListParams::default()).await {
            Ok(listed) => listed,
            Err(error) => match super::error::transient(&error) {
                Some(reason) => return Ok(Seen::NotYet(reason)),
                None => {
                    return Err(super::error::failure(
                        Reason::ClusterUnreachable,
                        "list the nodes",
                        &error,
                    ));
                }
            },
        };
        if listed.items.is_empty() {
            return Ok(Seen::NotYet("the node has not registered yet".to_owned()));
        }
        for node in &listed.items {
            let name = node.metadata.name.as_deref().unwrap_or_default();
            let conditions = node.status.as_ref().and_then(|s| s.conditions.as_ref());
            match conditions.and_then(|c| c.iter().find(|c| c.type_ == "Ready")) {
                Some(ready) if ready.status == "True" => {}
                Some(ready) => {
                    let why = ready
                        .message
                        .as_deref()
                        .or(ready.reason.as_deref())
                        .unwrap_or("not Ready");
                    return Ok(Seen::NotYet(format!("{name}: {why}")));
                }
                None => return Ok(Seen::NotYet(format!("{name}: the kubelet has not reported yet"))),
            }
        }
        Ok(Seen::Done(format!("{} node(s) Ready", listed.items.len())))
    };
    until("node Ready", EVERY, Duration::from_secs(180), &|r| cx.waiting(r), look).await
}
