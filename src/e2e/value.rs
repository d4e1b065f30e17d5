//! Equality of records: JSON by value, so that order of fields and spelling of numbers do not matter.

use serde_json::{Number, Value};

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

fn number(n: &Number) -> String {
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

/// What bytes of a record say: JSON where they are JSON, else their text; `Null` for a tombstone.
pub(super) fn decode(bytes: Option<&[u8]>) -> Value {
    match bytes {
        None => Value::Null,
        Some(bytes) => {
            serde_json::from_slice(bytes).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(bytes).into_owned()))
        }
    }
}

/// How bytes may be written in a case: as JSON, or as the text they are (a key `17` is the number and the text).
pub(super) fn spellings(bytes: Option<&[u8]>) -> Vec<String> {
    let mut all = vec![canonical(&decode(bytes))];
    if let Some(bytes) = bytes {
        let text = canonical(&Value::from(String::from_utf8_lossy(bytes).into_owned()));
        if !all.contains(&text) {
            all.push(text);
        }
    }
    all
}

/// The bytes that a value of a case is produced as; `None` for `null`. `text`: a string is sent as it is.
pub(super) fn encode(value: &Value, text: bool) -> Option<bytes::Bytes> {
    match value {
        Value::Null => None,
        Value::String(string) if text => Some(string.clone().into()),
        other => Some(other.to_string().into()),
    }
}

/// Where two values differ: `path: expected …, seen …`, one entry a place.
pub(super) fn differences(expected: &Value, seen: &Value) -> Vec<String> {
    let mut out = Vec::new();
    compare("", Some(expected), Some(seen), &mut out);
    out
}

fn compare(path: &str, expected: Option<&Value>, seen: Option<&Value>, out: &mut Vec<String>) {
    match (expected, seen) {
        (Some(Value::Object(e)), Some(Value::Object(s))) => {
            let below = |name: &str| {
                if path.is_empty() {
                    name.to_owned()
                } else {
                    format!("{path}.{name}")
                }
            };
            for (name, value) in e {
                compare(&below(name), Some(value), s.get(name), out);
            }
            for (name, value) in s.iter().filter(|(name, _)| !e.contains_key(*name)) {
                compare(&below(name), None, Some(value), out);
            }
        }
        (Some(Value::Array(e)), Some(Value::Array(s))) => {
            for i in 0..e.len().max(s.len()) {
                compare(&format!("{path}[{i}]"), e.get(i), s.get(i), out);
            }
        }
        (Some(e), Some(s)) if canonical(e) == canonical(s) => {}
        _ => {
            let told = |v: Option<&Value>| v.map_or_else(|| "nothing".to_owned(), ToString::to_string);
            let place = if path.is_empty() { "value" } else { path };
            out.push(format!("{place}: expected {}, seen {}", told(expected), told(seen)));
        }
    }
}

/// How alike two values are, from 0 to 1: the share of fields that are equal.
pub(super) fn similarity(a: &Value, b: &Value) -> f64 {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            let all = a.len().max(b.len()).max(1);
            let equal = a
                .iter()
                .filter(|(k, v)| b.get(*k).is_some_and(|w| canonical(v) == canonical(w)))
                .count();
            equal as f64 / all as f64
        }
        _ if canonical(a) == canonical(b) => 1.0,
        _ => 0.0,
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
        assert_eq!(encode(&json!("EU"), true).as_deref(), Some(&b"EU"[..]));
        assert_eq!(encode(&json!("EU"), false).as_deref(), Some(&b"\"EU\""[..]));
        assert_eq!(encode(&Value::Null, true), None);
    }

    #[test]
    fn differences_name_their_place() {
        let (a, b) = (
            json!({"a": {"b": [1, 2]}, "c": 1, "d": 1}),
            json!({"d": 1.0, "a": {"b": [1, 3, 4]}, "e": "x"}),
        );
        assert_eq!(
            differences(&a, &b),
            [
                "a.b[1]: expected 2, seen 3",
                "a.b[2]: expected nothing, seen 4",
                "c: expected 1, seen nothing",
                "e: expected nothing, seen \"x\""
            ]
        );
        assert_eq!(differences(&json!(1), &json!("x")), ["value: expected 1, seen \"x\""]);
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
            prop_assert_eq!(differences(&a, &b).is_empty(), a == b);
        }
    }
}
