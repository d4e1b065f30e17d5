//! Records to lines of JSON that [`super::Records`] takes back, byte for byte.

use base64::Engine as _;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::kafka::Incoming;

/// One line without its end: `{"key":…,"value":…,"headers":…,"timestamp":…,"partition":…,"offset":…}`.
///
/// A value that is JSON stands there as it is. Other text is `value_text`, other bytes are `value_base64`; the key has
/// `key_base64`.
pub fn json_line(record: &Incoming) -> String {
    let mut line = String::from("{");
    match &record.key {
        None => line.push_str("\"key\":null"),
        Some(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) if text.starts_with(['{', '[']) && is_json(text) => {
                line.push_str("\"key\":");
                line.push_str(text);
            }
            Ok(text) => {
                line.push_str("\"key\":");
                line.push_str(&Value::from(text).to_string());
            }
            Err(_) => push_base64(&mut line, "key_base64", bytes),
        },
    }
    line.push(',');
    match &record.value {
        None => line.push_str("\"value\":null"),
        Some(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) if text != "null" && is_json(text) => {
                line.push_str("\"value\":");
                line.push_str(text);
            }
            Ok(text) => {
                line.push_str("\"value_text\":");
                line.push_str(&Value::from(text).to_string());
            }
            Err(_) => push_base64(&mut line, "value_base64", bytes),
        },
    }
    if !record.headers.is_empty() {
        line.push_str(",\"headers\":");
        line.push_str(&headers(&record.headers).to_string());
    }
    if record.timestamp >= 0 {
        line.push_str(&format!(",\"timestamp\":{}", record.timestamp));
    }
    line.push_str(&format!(
        ",\"partition\":{},\"offset\":{}}}",
        record.partition, record.offset
    ));
    line
}

/// Whether a text is JSON that can stand in a line as it is.
fn is_json(text: &str) -> bool {
    text.trim().len() == text.len() && !text.contains(['\n', '\r']) && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

fn push_base64(line: &mut String, name: &str, bytes: &[u8]) {
    let text = base64::engine::general_purpose::STANDARD.encode(bytes);
    line.push_str(&format!("\"{name}\":\"{text}\""));
}

fn headers(headers: &[(String, Option<bytes::Bytes>)]) -> Value {
    let one = |value: &Option<bytes::Bytes>| match value {
        None => Value::Null,
        Some(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Value::from(text),
            Err(_) => serde_json::json!({ "base64": base64::engine::general_purpose::STANDARD.encode(bytes) }),
        },
    };
    let mut names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    if names.len() == headers.len() {
        return Value::Object(headers.iter().map(|(name, value)| (name.clone(), one(value))).collect());
    }
    headers
        .iter()
        .map(|(name, value)| Value::from(vec![Value::from(name.as_str()), one(value)]))
        .collect()
}
