//! Bytes of records as JSON, and back. What JSON has no plain form for is `{$hex: …}` (bytes that are no text) or
//! `{$json: …}` (the value `null`, which is no tombstone; and what looks like one of these forms).

use bytes::Bytes;

use crate::avro::AvroSchema;
use crate::config::{FORMS, Json, RecordFormat, bytes as bytes_of, csv, text_of as text};
use crate::schema_registry::framed;

/// What bytes of a key say: JSON where they are JSON, else their text; `Null` without any.
pub(super) fn decode(bytes: Option<&[u8]>) -> Json {
    let Some(bytes) = bytes else { return Json::Null };
    match Json::from_slice(bytes) {
        Ok(value) => plain(value),
        Err(_) => text(bytes),
    }
}

/// A value as it can be told from a tombstone and from the forms.
fn plain(value: Json) -> Json {
    let form = matches!(value.fields(), [(name, _)] if FORMS.contains(&name.as_str()));
    if form || value.is_null() {
        return Json::Map(vec![("$json".to_owned(), value)]);
    }
    value
}

/// What bytes of a value say in their format; `Null` for a tombstone. What is not of the format is text.
pub(super) fn decode_as(bytes: Option<&[u8]>, format: &RecordFormat) -> Json {
    let Some(raw) = bytes else { return Json::Null };
    match format {
        RecordFormat::Json => decode(bytes),
        RecordFormat::Raw => text(raw),
        RecordFormat::Avro(schema) => schema.decode(raw).map_or_else(|_| text(raw), plain),
        RecordFormat::Csv(columns) => row(raw, columns),
        // as [`in_json`] has put it: its forms are forms
        RecordFormat::AvroConfluent(_) => Json::from_slice(raw).unwrap_or_else(|_| text(raw)),
    }
}

/// Bytes of `format: avro-confluent` as JSON. `written` is the schema that a value was written with, and its encoding;
/// `reader` is the one that it is seen as, where that is another one. What cannot be read is a text.
pub(super) fn in_json(raw: &[u8], written: Option<(&AvroSchema, &[u8])>, reader: Option<&AvroSchema>) -> Bytes {
    let value = written.and_then(|(writer, encoded)| match reader {
        Some(reader) => reader.decode_from(writer, encoded).ok(),
        None => writer.decode(encoded).ok(),
    });
    value.map_or_else(|| text(raw), plain).to_string().into()
}

/// What one line of comma-separated values says.
fn row(raw: &[u8], columns: &[String]) -> Json {
    let Ok(line) = std::str::from_utf8(raw) else {
        return text(raw);
    };
    let rows = csv::rows(line);
    let Ok([(_, fields)]) = rows.as_deref() else {
        return text(raw);
    };
    let values = fields.iter().map(|field| csv::scalar(field));
    match columns.len() {
        0 => Json::List(values.collect()),
        n if n == fields.len() => plain(Json::Map(columns.iter().cloned().zip(values).collect())),
        _ => text(raw),
    }
}

/// How bytes may be written in a case: as JSON, or as the text they are (a key `17` is the number and the text).
pub(super) fn spellings(bytes: Option<&[u8]>) -> Vec<Json> {
    let mut all = vec![decode(bytes)];
    if let Some(bytes) = bytes {
        let text = text(bytes);
        if text != all[0] {
            all.push(text);
        }
    }
    all
}

/// The bytes that a key or header of a case is produced as: a string as it is, anything else as JSON.
pub(super) fn encode_key(key: &Json) -> Option<Bytes> {
    match key {
        Json::Null => None,
        Json::Text(string) => Some(string.clone().into()),
        other => Some(json(other)),
    }
}

/// The bytes of JSON, or those that one of the forms stands for.
fn json(value: &Json) -> Bytes {
    if let Some(bytes) = bytes_of(value) {
        return bytes.into();
    }
    match value.fields() {
        [(name, inner)] if name == "$json" => inner.to_string().into(),
        _ => value.to_string().into(),
    }
}

/// The bytes that a value of a case is produced as; `None` for `null`. `first` is the first value of the topic, whose
/// fields give the order of columns that are not named.
pub(super) fn encode(value: &Json, format: &RecordFormat, first: &Json) -> Option<Bytes> {
    match (format, value) {
        (_, Json::Null) => None,
        (RecordFormat::Json, other) => Some(json(other)),
        (_, other) if bytes_of(other).is_some() => Some(json(other)),
        (RecordFormat::Csv(columns), Json::Map(fields)) => {
            let names: Vec<&String> = match first {
                Json::Map(first) if columns.is_empty() => first.iter().map(|(name, _)| name).collect(),
                _ => columns.iter().collect(),
            };
            let none = Json::Null;
            let field = |name: &String| fields.iter().find(|(known, _)| known == name).map_or(&none, |(_, v)| v);
            Some(csv::line(names.into_iter().map(field)).into())
        }
        (RecordFormat::Csv(_), Json::List(items)) => Some(csv::line(items).into()),
        // one that the schema does not take was refused when the case was read
        (RecordFormat::Avro(schema), other) => Some(schema.encode(other).map_or_else(|_| json(other), Bytes::from)),
        (_, other) => encode_key(other),
    }
}

/// The bytes that a value of a case is produced as, behind the id of its schema; `None` for `null`.
pub(super) fn encode_registered(value: &Json, schema: &AvroSchema, id: u32) -> Option<Bytes> {
    match value {
        Json::Null => None,
        other if bytes_of(other).is_some() => Some(json(other)),
        // one that the schema does not take was refused when the case was read
        other => Some(
            schema
                .encode(other)
                .map_or_else(|_| json(other), |bytes| framed(id, &bytes).into()),
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_is_not_json_is_text_and_what_is_not_text_is_bytes() {
        assert_eq!(decode(Some(b"a,b")), json!("a,b"));
        assert_eq!(decode(None), Value::Null);
        assert_eq!(spellings(Some(b"17")), [json!(17), json!("17")]);
        assert_eq!(decode(Some(b"\xff\x00")), json!({"$hex": "ff00"}));
        assert_eq!(spellings(Some(b"\xff")).len(), 1);
        assert_ne!(
            decode(Some(b"\xff")),
            decode(Some(b"\xfe")),
            "two that are no text differ"
        );
        let key = |value: Value| encode_key(&value.into());
        assert_eq!(key(json!("EU")).as_deref(), Some(&b"EU"[..]));
        assert_eq!(key(json!({"a": 1})).as_deref(), Some(&br#"{"a":1}"#[..]));
        assert_eq!(key(json!({"$hex": "ff00"})).as_deref(), Some(&b"\xff\x00"[..]));
    }

    #[test]
    fn null_is_no_tombstone_and_what_looks_like_a_form_is_none() {
        let read = |text: &str| decode(Some(text.as_bytes()));
        assert_eq!(read("null"), json!({"$json": null}));
        assert_eq!(read(r#"{"$hex": "ff"}"#), json!({"$json": {"$hex": "ff"}}));
        assert_eq!(read(r#"{"$json": null}"#), json!({"$json": {"$json": null}}));
        assert_eq!(read(r#"{"$any": true, "a": 1}"#), json!({"$any": true, "a": 1}));
        for text in ["null", r#"{"$hex":"ff"}"#, r#"{"$json":null}"#, "17", r#"{"a":null}"#] {
            assert_eq!(
                encode(&read(text), &RecordFormat::Json, &Json::Null).as_deref(),
                Some(text.as_bytes())
            );
        }
    }

    #[test]
    fn values_are_written_and_read_in_their_format() {
        let csv = |columns: &[&str]| RecordFormat::Csv(columns.iter().map(|c| (*c).to_owned()).collect());
        let written = |value: Value, format: &RecordFormat| {
            encode(&value.into(), format, &json!({"b": 0, "a": 0}).into())
                .map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
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
}
