//! Equality of records: JSON by value, so that order of fields and spelling of numbers do not matter.

use bytes::Bytes;
use serde_json::{Number, Value};

use crate::config::{RecordFormat, csv};

/// A text that is equal for equal values: fields sorted, numbers by value (`1`, `1.0` and `1e0` are one).
pub(super) fn canonical(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Number(n) => out.push_str(&number(n)),
        Value::Array(items) => {
            out.push('[');
            for item in items {
                write(item, out);
                out.push(',');
            }
            out.push(']');
        }
        Value::Object(fields) => {
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_unstable_by_key(|(name, _)| name.as_str());
            out.push('{');
            for (name, value) in sorted {
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                write(value, out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Null | Value::Bool(_) | Value::String(_) => out.push_str(&value.to_string()),
    }
}

/// The canonical form of a number.
pub(super) fn number(n: &Number) -> String {
    if n.is_i64() || n.is_u64() {
        return n.to_string();
    }
    let float = n.as_f64().unwrap_or(f64::NAN);
    // a whole number within the range in which f64 is exact is the same as the integer
    if float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0 {
        return (float as i64).to_string();
    }
    float.to_string()
}

/// What bytes of a key say: JSON where they are JSON, else their text; `Null` without any.
pub(super) fn decode(bytes: Option<&[u8]>) -> Value {
    match bytes {
        None => Value::Null,
        Some(bytes) => serde_json::from_slice(bytes).unwrap_or_else(|_| text(bytes)),
    }
}

pub(super) fn text(bytes: &[u8]) -> Value {
    Value::from(String::from_utf8_lossy(bytes).into_owned())
}

/// What bytes of a value say in their format; `Null` for a tombstone. What is not of the format is text.
pub(super) fn decode_as(bytes: Option<&[u8]>, format: &RecordFormat) -> Value {
    let (Some(raw), RecordFormat::Csv(columns)) = (bytes, format) else {
        return match format {
            RecordFormat::Raw => bytes.map_or(Value::Null, text),
            _ => decode(bytes),
        };
    };
    let line = String::from_utf8_lossy(raw);
    let rows = csv::rows(&line);
    let Ok([(_, fields)]) = rows.as_deref() else {
        return text(raw);
    };
    let values = fields.iter().map(|field| csv::scalar(field));
    match columns.len() {
        0 => Value::Array(values.collect()),
        n if n == fields.len() => Value::Object(columns.iter().cloned().zip(values).collect()),
        _ => text(raw),
    }
}

/// How bytes may be written in a case: as JSON, or as the text they are (a key `17` is the number and the text).
pub(super) fn spellings(bytes: Option<&[u8]>) -> Vec<String> {
    let mut all = vec![canonical(&decode(bytes))];
    if let Some(bytes) = bytes {
        let text = canonical(&text(bytes));
        if !all.contains(&text) {
            all.push(text);
        }
    }
    all
}

/// The bytes that a key of a case is produced as: a string as it is, anything else as JSON.
pub(super) fn encode_key(key: &Value) -> Option<Bytes> {
    match key {
        Value::Null => None,
        Value::String(string) => Some(string.clone().into()),
        other => Some(other.to_string().into()),
    }
}

/// The bytes that a value of a case is produced as; `None` for `null`. `first` is the first value of the topic, whose
/// fields give the order of columns that are not named.
pub(super) fn encode(value: &Value, format: &RecordFormat, first: &Value) -> Option<Bytes> {
    match (format, value) {
        (_, Value::Null) => None,
        (RecordFormat::Json, other) => Some(other.to_string().into()),
        (RecordFormat::Csv(columns), Value::Object(fields)) => {
            let names: Vec<&String> = match first.as_object().filter(|_| columns.is_empty()) {
                Some(first) => first.keys().collect(),
                None => columns.iter().collect(),
            };
            let none = Value::Null;
            Some(csv::line(names.iter().map(|name| fields.get(*name).unwrap_or(&none))).into())
        }
        (RecordFormat::Csv(_), Value::Array(items)) => Some(csv::line(items).into()),
        (_, other) => encode_key(other),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn equal_is_what_means_the_same() {
        let parse = |text: &str| canonical(&serde_json::from_str::<Value>(text).unwrap());
        assert_eq!(
            parse(r#"{"a":1,"b":[1.50,null]}"#),
            parse(r#"{"b":[1.5,null],"a":1.0}"#)
        );
        assert_eq!(parse("1e2"), parse("100"));
        assert_eq!(parse("-0.0"), parse("0"));
        for (a, b) in [
            ("1", "\"1\""),
            ("1", "1.5"),
            ("[1,2]", "[2,1]"),
            ("null", "{}"),
            (r#"{"a":null}"#, "{}"),
            ("9007199254740993", "9007199254740992"),
        ] {
            assert_ne!(parse(a), parse(b), "{a} {b}");
        }
    }

    #[test]
    fn what_is_not_json_is_text() {
        assert_eq!(decode(Some(b"a,b")), json!("a,b"));
        assert_eq!(decode(None), Value::Null);
        assert_eq!(spellings(Some(b"17")), ["17", "\"17\""]);
        assert_eq!(encode_key(&json!("EU")).as_deref(), Some(&b"EU"[..]));
        assert_eq!(encode_key(&json!({"a": 1})).as_deref(), Some(&br#"{"a":1}"#[..]));
    }

    #[test]
    fn values_are_written_and_read_in_their_format() {
        let csv = |columns: &[&str]| RecordFormat::Csv(columns.iter().map(|c| (*c).to_owned()).collect());
        let written = |value: Value, format: &RecordFormat| {
            encode(&value, format, &json!({"b": 0, "a": 0})).map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
        };
        let row = json!({"a": "x,y", "b": 2});
        assert_eq!(
            written(row.clone(), &csv(&["a", "c", "b"])).as_deref(),
            Some("\"x,y\",,2")
        );
        assert_eq!(
            written(row.clone(), &csv(&[])).as_deref(),
            Some("2,\"x,y\""),
            "as in the first record"
        );
        assert_eq!(
            written(json!("a;b"), &csv(&[])).as_deref(),
            Some("a;b"),
            "a line as it is"
        );
        assert_eq!(written(json!("{x"), &RecordFormat::Raw).as_deref(), Some("{x"));
        assert_eq!(written(json!("EU"), &RecordFormat::Json).as_deref(), Some("\"EU\""));
        assert_eq!(written(Value::Null, &RecordFormat::Raw), None);
        let read = |text: &str, format: &RecordFormat| decode_as(Some(text.as_bytes()), format);
        assert_eq!(read("\"x,y\",2", &csv(&["a", "b"])), row);
        assert_eq!(read("x,2", &csv(&[])), json!(["x", 2]));
        assert_eq!(read("x", &csv(&["a", "b"])), json!("x"), "not of the format: the text");
        assert_eq!(read("17", &RecordFormat::Raw), json!("17"));
        assert_eq!(decode_as(None, &csv(&[])), Value::Null);
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[a-c]{0,2}".prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[a-c]", inner, 0..3).prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn canonical_agrees_with_equality(a in values(), b in values()) {
            prop_assert_eq!(canonical(&a) == canonical(&b), a == b);
        }
    }
}
