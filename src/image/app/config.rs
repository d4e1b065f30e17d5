//! The configuration of an application image: the base's, with what is ours over it. Pure.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::base::Base;
use super::layer::Layer;
use super::{APP_LABEL, BASE_LABEL, Spec};

/// When every image was made: a real time would give the same input another id.
const CREATED: &str = "1970-01-01T00:00:01Z";

/// The configuration, byte for byte: its digest is the image's id.
pub(super) fn of(base: &Base, layers: &[Layer], spec: &Spec) -> Vec<u8> {
    let mut config = sorted(&base.info.config);
    if !config.is_object() {
        config = json!({});
    }
    let mut labels: BTreeMap<String, String> = base.info.labels.clone();
    labels.insert(BASE_LABEL.to_owned(), base.name.clone());
    labels.extend(spec.labels.clone());
    labels.insert(APP_LABEL.to_owned(), spec.name.clone());
    config["Labels"] = json!(labels);
    let env = environment(&config["Env"], &spec.env);
    if !env.is_empty() {
        config["Env"] = json!(env);
    }
    let diff_ids: Vec<String> = base
        .layers()
        .into_iter()
        .chain(layers.iter().map(|layer| layer.digest.clone()))
        .map(|digest| format!("sha256:{digest}"))
        .collect();
    // as many entries as layers: tools read them side by side
    let below = base.info.diff_ids.iter().map(|_| format!("FROM {}", base.name));
    let own = layers.iter().map(|layer| format!("dev image build: {}", layer.title));
    let history: Vec<Value> = below
        .chain(own)
        .map(|by| json!({"created": CREATED, "created_by": by}))
        .collect();
    let mut whole = json!({
        "architecture": base.info.architecture,
        "config": config,
        "created": CREATED,
        "history": history,
        "os": base.info.os,
        "rootfs": {"diff_ids": diff_ids, "type": "layers"},
    });
    if !base.info.variant.is_empty() {
        whole["variant"] = json!(base.info.variant);
    }
    // engines list the keys of an object in any order
    sorted(&whole).to_string().into_bytes()
}

/// The base's variables, with ours in the place of those of the same name, and the rest after them.
fn environment(base: &Value, ours: &BTreeMap<String, String>) -> Vec<String> {
    let mut left = ours.clone();
    let mut all: Vec<String> = Vec::new();
    for entry in base.as_array().into_iter().flatten().filter_map(Value::as_str) {
        let name = entry.split_once('=').map_or(entry, |(name, _)| name);
        match left.remove(name) {
            Some(value) => all.push(format!("{name}={value}")),
            None => all.push(entry.to_owned()),
        }
    }
    all.extend(left.into_iter().map(|(name, value)| format!("{name}={value}")));
    all
}

/// The same with the keys of all objects in order, and without those that have no value.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let ordered: BTreeMap<&String, Value> = map
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key, sorted(value)))
                .collect();
            Value::Object(ordered.into_iter().map(|(key, value)| (key.clone(), value)).collect())
        }
        Value::Array(list) => Value::Array(list.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::app::base::sample;
    use crate::image::app::layer::Content;

    fn layer(title: &str, digest: &str) -> Layer {
        Layer {
            title: title.to_owned(),
            files: 1,
            size: 1,
            digest: digest.to_owned(),
            reused: false,
            content: Content::Memory(bytes::Bytes::new()),
        }
    }

    fn spec() -> Spec {
        Spec {
            name: "team/orders".to_owned(),
            groups: Vec::new(),
            env: BTreeMap::from([("PATH".to_owned(), "/x".to_owned()), ("A".to_owned(), "b".to_owned())]),
            labels: BTreeMap::from([("dev.flink.main".to_owned(), "a.B".to_owned())]),
        }
    }

    #[test]
    fn the_base_is_kept_and_ours_is_over_it() {
        let config = json!({
            "User": "flink", "Env": ["PATH=/bin", "FLINK_HOME=/opt/flink"], "Cmd": ["help"], "WorkingDir": "/opt/flink",
            "Entrypoint": ["/docker-entrypoint.sh"], "ExposedPorts": {"8081/tcp": {}, "6123/tcp": {}}, "Shell": null,
        });
        let base = sample("flink:2", &["aa", "bb"], config);
        let whole = of(&base, &[layer("libraries", "cc"), layer("application", "dd")], &spec());
        let text: Value = serde_json::from_slice(&whole).unwrap();
        insta::assert_snapshot!(serde_json::to_string_pretty(&text).unwrap(), @r#"
        {
          "architecture": "amd64",
          "config": {
            "Cmd": [
              "help"
            ],
            "Entrypoint": [
              "/docker-entrypoint.sh"
            ],
            "Env": [
              "PATH=/x",
              "FLINK_HOME=/opt/flink",
              "A=b"
            ],
            "ExposedPorts": {
              "6123/tcp": {},
              "8081/tcp": {}
            },
            "Labels": {
              "dev.flink.app": "team/orders",
              "dev.flink.main": "a.B",
              "org.opencontainers.image.base.name": "flink:2"
            },
            "User": "flink",
            "WorkingDir": "/opt/flink"
          },
          "created": "1970-01-01T00:00:01Z",
          "history": [
            {
              "created": "1970-01-01T00:00:01Z",
              "created_by": "FROM flink:2"
            },
            {
              "created": "1970-01-01T00:00:01Z",
              "created_by": "FROM flink:2"
            },
            {
              "created": "1970-01-01T00:00:01Z",
              "created_by": "dev image build: libraries"
            },
            {
              "created": "1970-01-01T00:00:01Z",
              "created_by": "dev image build: application"
            }
          ],
          "os": "linux",
          "rootfs": {
            "diff_ids": [
              "sha256:aa",
              "sha256:bb",
              "sha256:cc",
              "sha256:dd"
            ],
            "type": "layers"
          }
        }
        "#);
    }

    #[test]
    fn the_order_of_the_engines_keys_does_not_matter() {
        let one = json!({"A": {"x": 1, "y": [{"b": 1, "a": 2}]}, "B": 2});
        let two = json!({"B": 2, "A": {"y": [{"a": 2, "b": 1}], "x": 1}, "C": null});
        let [one, two] = [one, two].map(|config| of(&sample("b", &["aa"], config), &[], &spec()));
        assert_eq!(one, two);
    }
}
