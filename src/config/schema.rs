//! The JSON Schemas of what users write, made from the very types that read it.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::load::SHIPPED;
use super::raw_case::RawCase;
use super::raw_profile::RawProfile;

/// The JSON Schema (2020-12) of profiles, with the values of the profile `default` as defaults.
pub fn profile_schema() -> Value {
    let mut schema = generated::<RawProfile>("urn:flink-dev:profile:1");
    // what a profile leaves out is taken from the one it extends
    optional(&mut schema);
    schema["required"] = json!(["version"]);
    let default = SHIPPED[0].1;
    if let Ok(Value::Object(values)) = serde_saphyr::from_str(default) {
        defaults(&mut schema, &values);
    }
    schema
}

/// The JSON Schema (2020-12) of test cases.
pub fn case_schema() -> Value {
    let mut schema = generated::<RawCase>("urn:flink-dev:case:1");
    // it is read as if it could be left out, so that its absence is told in better words
    schema["required"] = json!(["version", "expect"]);
    schema
}

fn generated<T: schemars::JsonSchema>(id: &str) -> Value {
    let schema = SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<T>();
    let Value::Object(mut keys) = schema.to_value() else {
        // a schema of a struct is an object; were it not, it would accept all and say nothing
        return Value::Bool(true);
    };
    // what a reader looks for stands first
    let mut ordered = Map::new();
    for key in ["$schema", "$id", "title", "description"] {
        let value = if key == "$id" {
            Some(json!(id))
        } else {
            keys.shift_remove(key)
        };
        ordered.extend(value.map(|value| (key.to_owned(), value)));
    }
    ordered.extend(keys);
    Value::Object(ordered)
}

fn optional(schema: &mut Value) {
    match schema {
        Value::Object(keys) => {
            keys.shift_remove("required");
            keys.values_mut().for_each(optional);
        }
        Value::Array(items) => items.iter_mut().for_each(optional),
        _ => {}
    }
}

/// Puts the values of the profile `default` into the schema.
fn defaults(schema: &mut Value, values: &Map<String, Value>) {
    for (key, value) in values {
        let Some(property) = schema.pointer_mut(&format!("/properties/{key}")) else {
            continue;
        };
        match value {
            Value::Object(inner) if !inner.is_empty() => defaults(property, inner),
            // `version` of the format has to be written
            value if key != "version" || property.get("const").is_none() => property["default"] = value.clone(),
            _ => {}
        }
    }
}
