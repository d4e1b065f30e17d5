//! The raw text of an object's fields: what a user wrote goes to Kafka character by character, so that no number is
//! rounded and no blank is lost.

use std::ops::Range;

/// The fields of a JSON object, which is known to be valid: each name, and the bytes of its value without blanks around.
pub(super) fn fields(object: &str) -> Vec<(String, Range<usize>)> {
    let bytes = object.as_bytes();
    let mut found = Vec::new();
    let Some(open) = object.find('{') else { return found };
    let mut at = open + 1;
    loop {
        at = skip(bytes, at, |b| b.is_ascii_whitespace() || b == b',');
        if bytes.get(at) != Some(&b'"') {
            return found;
        }
        let end = string_end(bytes, at);
        let name = serde_json::from_str::<String>(&object[at..end]).unwrap_or_default();
        let start = skip(bytes, end, |b| b.is_ascii_whitespace() || b == b':');
        let end = value_end(bytes, start);
        found.push((name, start..end));
        at = end;
    }
}

fn skip(bytes: &[u8], from: usize, over: impl Fn(u8) -> bool) -> usize {
    bytes[from..]
        .iter()
        .position(|b| !over(*b))
        .map_or(bytes.len(), |n| from + n)
}

/// Behind the closing quote of the string that begins at `at`.
fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut escaped = false;
    for (index, byte) in bytes.iter().enumerate().skip(at + 1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return index + 1,
            _ => {}
        }
    }
    bytes.len()
}

fn value_end(bytes: &[u8], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0usize);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                at = string_end(bytes, at);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth > 0 => depth -= 1,
            b'}' | b',' if depth == 0 => break,
            _ => {}
        }
        at += 1;
    }
    while at > start && bytes[at - 1].is_ascii_whitespace() {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn read(object: &str) -> Vec<(String, &str)> {
        fields(object)
            .into_iter()
            .map(|(name, at)| (name, &object[at]))
            .collect()
    }

    #[test]
    fn values_keep_their_spelling() {
        let object = r#" { "a" : 1.50 , "b\"{": {"x": "},"}, "c":[1, "]" ] ,"d":"\\", "é":null } "#;
        let of = |name: &str, value: &'static str| (name.to_owned(), value);
        assert_eq!(
            read(object),
            [
                of("a", "1.50"),
                of("b\"{", r#"{"x": "},"}"#),
                of("c", r#"[1, "]" ]"#),
                of("d", r#""\\""#),
                of("é", "null")
            ]
        );
        assert!(read("{}").is_empty() && read(" { } ").is_empty());
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..4)
                    .prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_object_falls_into_its_fields(
            map in prop::collection::btree_map(any::<String>(), values(), 0..5), pretty: bool
        ) {
            let object = Value::Object(map.clone().into_iter().collect());
            let text = if pretty { serde_json::to_string_pretty(&object).unwrap() } else { object.to_string() };
            let found: Vec<(String, Value)> = fields(&text)
                .into_iter()
                .map(|(name, at)| (name, serde_json::from_str(&text[at]).unwrap()))
                .collect();
            prop_assert_eq!(found, map.into_iter().collect::<Vec<_>>());
        }
    }
}
