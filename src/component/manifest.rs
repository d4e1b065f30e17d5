//! Embedded manifests: parsed into JSON values, in which single fields are set.

use serde_json::{Value, json};

/// The documents of a manifest of ours.
///
/// Numbers with a leading zero are octal, as Kubernetes' own parser has it (`defaultMode: 0644`).
///
/// # Panics
/// On text that is not YAML: for embedded manifests only, all of which the tests parse.
pub(super) fn documents(yaml: &'static str) -> Vec<Value> {
    let options = serde_saphyr::options! { legacy_octal_numbers: true };
    let documents: Vec<Value> =
        serde_saphyr::from_multiple_with_options(yaml, options).expect("embedded manifests are parsed in tests");
    documents.into_iter().filter(|d| !d.is_null()).collect()
}

/// The document of a kind and name.
///
/// # Panics
/// If there is none: for embedded manifests only, as [`documents`].
pub(super) fn document<'a>(documents: &'a mut [Value], kind: &str, name: &str) -> &'a mut Value {
    documents
        .iter_mut()
        .find(|d| d["kind"] == kind && d["metadata"]["name"] == name)
        .expect("embedded manifests are addressed in tests")
}

/// Moves objects of one namespace, the namespace itself, and what refers to service accounts in it.
pub(super) fn rename_namespace(documents: &mut [Value], from: &str, to: &str) {
    for document in documents {
        if document["kind"] == "Namespace" && document["metadata"]["name"] == from {
            document["metadata"]["name"] = json!(to);
        }
        if document["metadata"]["namespace"] == from {
            document["metadata"]["namespace"] = json!(to);
        }
        for subject in document
            .get_mut("subjects")
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            if subject["namespace"] == from {
                subject["namespace"] = json!(to);
            }
        }
    }
}

/// Sets a variable of a container's environment.
pub(super) fn set_env(container: &mut Value, name: &str, value: impl Into<String>) {
    let value = json!({"name": name, "value": value.into()});
    let Some(env) = container["env"].as_array_mut() else {
        container["env"] = json!([value]);
        return;
    };
    match env.iter_mut().find(|e| e["name"] == name) {
        Some(entry) => *entry = value,
        None => env.push(value),
    }
}

/// The first container of a workload's pods.
pub(super) fn container(workload: &mut Value) -> &mut Value {
    &mut workload["spec"]["template"]["spec"]["containers"][0]
}
