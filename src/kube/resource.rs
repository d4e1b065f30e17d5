//! Where objects lie in the API: a table of the kinds that are in use, so that no discovery is needed before the
//! first request, and discovery for all others.

use ::kube::Client;
use serde_json::Value;

use super::{get, text};
use crate::diag::{Failure, Reason, Result};

/// Kinds in use: group, kind, plural, namespaced. Versions come from the objects themselves.
const KINDS: &[(&str, &str, &str, bool)] = &[
    ("", "Namespace", "namespaces", false),
    ("", "ServiceAccount", "serviceaccounts", true),
    ("", "ConfigMap", "configmaps", true),
    ("", "Secret", "secrets", true),
    ("", "Service", "services", true),
    ("", "Pod", "pods", true),
    ("", "Event", "events", true),
    ("apps", "Deployment", "deployments", true),
    ("apps", "StatefulSet", "statefulsets", true),
    ("batch", "Job", "jobs", true),
    ("rbac.authorization.k8s.io", "ClusterRole", "clusterroles", false),
    (
        "rbac.authorization.k8s.io",
        "ClusterRoleBinding",
        "clusterrolebindings",
        false,
    ),
    ("rbac.authorization.k8s.io", "Role", "roles", true),
    ("rbac.authorization.k8s.io", "RoleBinding", "rolebindings", true),
    (
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        false,
    ),
    (
        "admissionregistration.k8s.io",
        "MutatingWebhookConfiguration",
        "mutatingwebhookconfigurations",
        false,
    ),
    (
        "admissionregistration.k8s.io",
        "ValidatingWebhookConfiguration",
        "validatingwebhookconfigurations",
        false,
    ),
    ("cert-manager.io", "Issuer", "issuers", true),
    ("cert-manager.io", "ClusterIssuer", "clusterissuers", false),
    ("cert-manager.io", "Certificate", "certificates", true),
    ("flink.apache.org", "FlinkDeployment", "flinkdeployments", true),
    ("flink.apache.org", "FlinkSessionJob", "flinksessionjobs", true),
    ("flink.apache.org", "FlinkStateSnapshot", "flinkstatesnapshots", true),
];

/// Where an object lies.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Coordinates {
    /// `apps/v1`, or `v1` for the core group.
    pub api_version: String,
    /// `Deployment`.
    pub kind: String,
    /// `deployments`.
    pub plural: String,
    /// `None` for kinds of the whole cluster.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

impl Coordinates {
    /// Where all objects of the kind lie, in every namespace.
    pub fn collection(&self) -> String {
        format!("{}/{}", root(&self.api_version), self.plural)
    }

    /// Where the object lies.
    pub fn path(&self) -> String {
        let (root, plural, name) = (root(&self.api_version), &self.plural, &self.name);
        match &self.namespace {
            Some(namespace) => format!("{root}/namespaces/{namespace}/{plural}/{name}"),
            None => format!("{root}/{plural}/{name}"),
        }
    }
}

impl std::fmt::Display for Coordinates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

fn root(api_version: &str) -> String {
    if api_version.contains('/') {
        format!("/apis/{api_version}")
    } else {
        format!("/api/{api_version}")
    }
}

/// Where an object lies, from the table or, for a kind that is not in it, from the API server's discovery.
///
/// # Errors
/// [`Reason::ApplyFailed`] if the object has no `apiVersion`, `kind` or name, or if nobody serves its kind.
pub async fn coordinates(client: &Client, object: &Value) -> Result<Coordinates> {
    if let Some(known) = known(object)? {
        return Ok(known);
    }
    let (api_version, kind) = (text(object, "/apiVersion"), text(object, "/kind"));
    let resources = get(client, &root(api_version)).await?.unwrap_or_default();
    let found = resources["resources"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|r| text(r, "/kind") == kind && !text(r, "/name").contains('/'));
    match found {
        Some(found) => Ok(at(
            object,
            text(found, "/name").to_owned(),
            found["namespaced"].as_bool().unwrap_or_default(),
        )),
        None => {
            let message = format!("the cluster has no kind {kind} of {api_version}");
            Err(Failure::new(Reason::ApplyFailed, message))
        }
    }
}

/// Where an object of the table lies; `None` if its kind is not in the table.
pub(super) fn known(object: &Value) -> Result<Option<Coordinates>> {
    for field in ["/apiVersion", "/kind", "/metadata/name"] {
        if text(object, field).is_empty() {
            let seen = object.to_string();
            let head: String = seen.chars().take(200).collect();
            let message = format!("an object without {}", field.trim_start_matches('/').replace('/', "."));
            return Err(Failure::new(Reason::ApplyFailed, message).evidence(head));
        }
    }
    let (api_version, kind) = (text(object, "/apiVersion"), text(object, "/kind"));
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    let row = KINDS.iter().find(|(g, k, ..)| *g == group && *k == kind);
    Ok(row.map(|(_, _, plural, namespaced)| at(object, (*plural).to_owned(), *namespaced)))
}

fn at(object: &Value, plural: String, namespaced: bool) -> Coordinates {
    let namespace = text(object, "/metadata/namespace");
    let namespace = if namespace.is_empty() { "default" } else { namespace };
    Coordinates {
        api_version: text(object, "/apiVersion").to_owned(),
        kind: text(object, "/kind").to_owned(),
        plural,
        namespace: namespaced.then(|| namespace.to_owned()),
        name: text(object, "/metadata/name").to_owned(),
    }
}
