//! Objects as they are sent: with our labels, a hash of their content, and their place in the order.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::text;

/// Our name as a field manager.
pub const MANAGER: &str = "flink-dev";
/// The label that tells our objects, with the value [`MANAGER`].
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The label that tells what they are part of, with the value [`MANAGER`].
pub const PART_OF: &str = "app.kubernetes.io/part-of";
/// The annotation with the hash of what was applied.
pub const HASH: &str = "flink-dev/hash";

/// An object as it is sent, with its hash.
pub(super) struct Wanted {
    pub(super) object: Value,
    pub(super) hash: String,
}

/// The order in which kinds are applied; definitions go beside configuration and workloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Namespace,
    Configuration,
    Definition,
    Workload,
    Custom,
}

/// The place of an object in the order.
pub(super) fn rank(object: &Value) -> Rank {
    match text(object, "/kind") {
        "Namespace" => Rank::Namespace,
        "CustomResourceDefinition" => Rank::Definition,
        "Deployment" | "StatefulSet" | "DaemonSet" | "Job" | "Pod" => Rank::Workload,
        // the groups of Kubernetes itself are the core group, a single word, or end in k8s.io
        _ => match text(object, "/apiVersion").split_once('/').map(|(group, _)| group) {
            Some(group) if group.contains('.') && !group.ends_with(".k8s.io") => Rank::Custom,
            _ => Rank::Configuration,
        },
    }
}

/// Adds our labels and the hash.
pub(super) fn wanted(object: &Value) -> Wanted {
    let mut object = object.clone();
    let set = |object: &mut Value, map: &str, key: &str, value: &str| {
        if !object["metadata"][map].is_object() {
            object["metadata"][map] = json!({});
        }
        object["metadata"][map][key] = Value::String(value.to_owned());
    };
    set(&mut object, "labels", MANAGED_BY, MANAGER);
    set(&mut object, "labels", PART_OF, MANAGER);
    let mut hasher = Sha256::new();
    digest(&object, &mut hasher);
    let hash = hex::encode(&hasher.finalize()[..8]);
    set(&mut object, "annotations", HASH, &hash);
    Wanted { object, hash }
}

/// Hashes a value independently of the order of keys.
fn digest(value: &Value, hasher: &mut Sha256) {
    match value {
        Value::Object(map) => {
            hasher.update(b"{");
            for (key, value) in map.iter().collect::<BTreeMap<_, _>>() {
                hasher.update(key.as_bytes());
                hasher.update(b":");
                digest(value, hasher);
                hasher.update(b",");
            }
            hasher.update(b"}");
        }
        Value::Array(items) => {
            hasher.update(b"[");
            for item in items {
                digest(item, hasher);
                hasher.update(b",");
            }
            hasher.update(b"]");
        }
        leaf => hasher.update(leaf.to_string().as_bytes()),
    }
}
