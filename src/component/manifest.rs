//! Embedded manifests: parsed into JSON values, in which single fields are set.

use std::collections::{BTreeMap, BTreeSet};

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

/// Annotation of pods with the builds of the images that they run.
pub(super) const BUILDS: &str = "flink-dev/builds";

/// Writes the builds of their images into the pod templates of workloads: images keep their names when they are built
/// anew, and nothing but this tells a running pod from one of the new build.
pub(super) fn name_builds(objects: &mut [Value], ids: &BTreeMap<String, String>) {
    for object in objects {
        let kind = object["kind"].as_str().unwrap_or_default();
        let (images, template): (Vec<&Value>, &str) = match kind {
            "Deployment" | "StatefulSet" | "DaemonSet" => {
                let pod = &object["spec"]["template"]["spec"];
                let containers = [&pod["initContainers"], &pod["containers"]];
                let all = containers.into_iter().filter_map(Value::as_array).flatten();
                (all.map(|c| &c["image"]).collect(), "template")
            }
            "FlinkDeployment" => (vec![&object["spec"]["image"]], "podTemplate"),
            _ => continue,
        };
        let builds: BTreeSet<&str> = images
            .into_iter()
            .filter_map(|image| ids.get(image.as_str()?))
            .map(|id| id.rsplit(':').next().unwrap_or(id))
            .map(|digits| digits.get(..12).unwrap_or(digits))
            .collect();
        if builds.is_empty() {
            continue;
        }
        let builds = builds.into_iter().collect::<Vec<_>>().join(".");
        object["spec"][template]["metadata"]["annotations"][BUILDS] = json!(builds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_name_the_builds_of_their_images() {
        let ids = [
            ("kafka:4", "sha256:0123456789abcdef"),
            ("init:1", "sha256:fedcba9876543210"),
        ];
        let ids = ids.map(|(name, id)| (name.to_owned(), id.to_owned())).into();
        let mut objects = vec![
            json!({"kind": "Deployment", "spec": {"template": {
                "metadata": {"annotations": {"other": "kept"}},
                "spec": {"initContainers": [{"image": "init:1"}], "containers": [{"image": "kafka:4"}, {"image": "x:1"}]}}}}),
            json!({"kind": "FlinkDeployment", "spec": {"image": "kafka:4", "podTemplate": {"spec": {}}}}),
            json!({"kind": "Deployment", "spec": {"template": {"spec": {"containers": [{"image": "unknown:1"}]}}}}),
            json!({"kind": "Service", "spec": {}}),
        ];
        let before = objects.clone();
        name_builds(&mut objects, &ids);
        let annotations = &objects[0]["spec"]["template"]["metadata"]["annotations"];
        assert_eq!(
            annotations,
            &json!({"other": "kept", BUILDS: "0123456789ab.fedcba987654"})
        );
        assert_eq!(
            objects[1]["spec"]["podTemplate"]["metadata"]["annotations"][BUILDS],
            "0123456789ab"
        );
        assert_eq!(objects[2..], before[2..]);
    }
}
