//! Whether people changed an object after it was applied, from the API server's own books (`managedFields`).

use serde_json::{Map, Value};

use super::{MANAGER, text};

/// Who took fields of `wanted` away from us after we applied it; `None` if nobody did.
///
/// Only tools of people count (`kubectl-edit`, `kubectl-set`, `helm`): controllers fill in status and certificates. A
/// field that they added is theirs to keep: server-side apply does not remove it, so it is no drift either.
pub(super) fn edited_since(there: &Value, wanted: &Value) -> Option<String> {
    let managers = there.pointer("/metadata/managedFields")?.as_array()?;
    let applied = managers
        .iter()
        .find(|m| m["manager"] == MANAGER && m["operation"] == "Apply")?;
    let editor = managers
        .iter()
        // times are RFC 3339 in UTC without fractions: they compare as text
        .filter(|m| m.get("subresource").is_none() && text(m, "/time") >= text(applied, "/time"))
        .map(|m| text(m, "/manager"))
        .find(|name| name.starts_with("kubectl") || *name == "helm")?;
    let fields = applied.get("fieldsV1").and_then(Value::as_object);
    let owned = fields.is_some_and(|fields| {
        let unmanaged = ["apiVersion", "kind", "metadata", "status"];
        let body = wanted
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(key, _)| !unmanaged.contains(&key.as_str()));
        body.into_iter().all(|(key, value)| owns_key(fields, key, value))
    });
    (!owned).then(|| editor.to_owned())
}

fn owns_key(fields: &Map<String, Value>, key: &str, value: &Value) -> bool {
    value.is_null() || fields.get(&format!("f:{key}")).is_some_and(|below| owns(below, value))
}

/// Whether a set of fields holds all of a value. `f:KEY` is a key of a map, `k:{...}` an item of a list that its keys
/// tell apart, `v:VALUE` an item of a set; a set without any of these stands for everything below.
fn owns(fields: &Value, value: &Value) -> bool {
    let Some(fields) = fields.as_object().filter(|f| f.keys().any(|k| k != ".")) else {
        return true;
    };
    match value {
        Value::Object(map) => map.iter().all(|(key, value)| owns_key(fields, key, value)),
        Value::Array(items) if fields.keys().any(|k| k.starts_with("v:")) => {
            items.iter().all(|item| fields.contains_key(&format!("v:{item}")))
        }
        Value::Array(items) => items.iter().all(|item| {
            let below = fields
                .iter()
                .find(|(key, _)| key.strip_prefix("k:").is_some_and(|keys| names(keys, item)));
            below.is_some_and(|(_, below)| owns(below, item))
        }),
        _ => true,
    }
}

/// Whether the keys of a list's entry are those of an item; keys that the item leaves to their defaults do not count.
fn names(keys: &str, item: &Value) -> bool {
    let Ok(Value::Object(keys)) = serde_json::from_str(keys) else {
        return false;
    };
    keys.iter()
        .all(|(key, value)| item.get(key).is_none_or(|of_item| of_item == value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wanted() -> Value {
        json!({"kind": "Deployment", "spec": {"replicas": 1, "finalizers": ["a"], "containers": [
            {"name": "c", "image": "i:1", "args": ["x"], "ports": [{"containerPort": 80}]}]}})
    }

    fn there(spec: impl Into<Value>, editor: &str) -> Value {
        json!({"metadata": {"managedFields": [
            {"manager": MANAGER, "operation": "Apply", "time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:spec": spec.into()}},
            {"manager": editor, "operation": "Update", "time": "2026-01-01T00:00:09Z", "fieldsV1": {}}]}})
    }

    fn all() -> Value {
        json!({"f:replicas": {}, "f:finalizers": {"v:\"a\"": {}}, "f:containers": {"k:{\"name\":\"c\"}": {".": {},
            "f:name": {}, "f:image": {}, "f:args": {},
            "f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}}}}})
    }

    #[test]
    fn fields_that_people_only_added_are_no_drift() {
        assert_eq!(edited_since(&there(all(), "kubectl-set"), &wanted()), None);
    }

    #[test]
    fn fields_that_people_took_over_or_removed_are_drift() {
        let container = "/f:containers/k:{\"name\":\"c\"}";
        let lost = [
            "/f:replicas",
            "/f:finalizers/v:\"a\"",
            container,
            &format!("{container}/f:image"),
        ]
        .map(|path| {
            let mut fields = all();
            let (parent, key) = path.rsplit_once('/').unwrap();
            fields
                .pointer_mut(parent)
                .unwrap()
                .as_object_mut()
                .unwrap()
                .remove(key)
                .unwrap();
            // another field of the same list or set is still ours
            if let Some(parent) = fields
                .pointer_mut(parent)
                .unwrap()
                .as_object_mut()
                .filter(|p| p.is_empty())
            {
                parent.insert("v:\"other\"".to_owned(), json!({}));
            }
            edited_since(&there(fields, "kubectl-edit"), &wanted())
        });
        assert!(
            lost.iter().all(|editor| editor.as_deref() == Some("kubectl-edit")),
            "{lost:?}"
        );
    }

    #[test]
    fn controllers_do_not_count() {
        assert_eq!(
            edited_since(&there(json!({}), "kube-controller-manager"), &wanted()),
            None
        );
    }
}
