//! Records as users write them, in the case itself or in a file of JSON Lines.

use std::sync::Arc;

use serde_json::Value;

use super::case::Record;
use super::source::{Place, Source};
use super::yaml::Node;
use crate::diag::{Reason, Result};

/// A record and where it was written.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) record: Record,
    pub(super) place: Place,
}

/// The records of a list in the case.
pub(super) fn of_list(list: &Node) -> Vec<Written> {
    list.items()
        .iter()
        .map(|node| Written {
            record: record(node.json(), node.place.line),
            place: node.place.clone(),
        })
        .collect()
}

/// The records of a file, one JSON a line; empty lines are passed over.
///
/// # Errors
/// `RECORD_INVALID`, at its place in the file.
pub(super) fn of_lines(source: &Arc<Source>) -> Result<Vec<Written>> {
    let mut records = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let number = index + 1;
        let value: Value = serde_json::from_str(line).map_err(|error| {
            // serde_json counts bytes, and from 1; at an early end it points behind the line
            let end = error.column().saturating_sub(1).min(line.len());
            let column = line.as_bytes()[..end]
                .iter()
                .filter(|byte| (**byte & 0xc0) != 0x80)
                .count()
                + 1;
            let why = error.to_string();
            let why = why.split(" at line ").next().unwrap_or_default();
            Place::new(source, number, column, 1)
                .failure(Reason::RecordInvalid, format!("this line is not valid JSON: {why}"))
                .next("each line is one record as JSON")
        })?;
        let width = line.trim_end().chars().count();
        records.push(Written {
            record: record(value, number),
            place: Place::new(source, number, 1, width),
        });
    }
    Ok(records)
}

/// A mapping with `value`, and besides it at most `key`, is the long form; anything else is the value itself.
fn record(written: Value, line: usize) -> Record {
    match written {
        Value::Object(mut fields) if is_long(&fields) => {
            let key = fields.remove("key").filter(|key| !key.is_null());
            Record {
                key,
                value: fields.remove("value").unwrap_or(Value::Null),
                line,
            }
        }
        value => Record { key: None, value, line },
    }
}

fn is_long(fields: &serde_json::Map<String, Value>) -> bool {
    fields.contains_key("value") && fields.keys().all(|field| field == "key" || field == "value")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_long_form_is_told_from_a_value() {
        let read = |value: Value| {
            let record = record(value, 1);
            (record.key, record.value)
        };
        assert_eq!(
            read(json!({"key": "a", "value": {"x": 1}})),
            (Some(json!("a")), json!({"x": 1}))
        );
        assert_eq!(read(json!({"value": null})), (None, Value::Null));
        assert_eq!(read(json!({"key": null, "value": 1})), (None, json!(1)));
        assert_eq!(read(json!({"key": "a"})), (None, json!({"key": "a"})));
        assert_eq!(
            read(json!({"key": 1, "value": 2, "x": 3})),
            (None, json!({"key": 1, "value": 2, "x": 3}))
        );
        assert_eq!(
            read(json!("{\"a\": 1}")),
            (None, json!("{\"a\": 1}")),
            "text stays text"
        );
        assert_eq!(read(Value::Null), (None, Value::Null));
    }

    #[test]
    fn a_line_that_is_no_json_is_told_with_its_column_in_characters() {
        let text = "{\"a\": 1}\r\n\n{\"ä\": 1,, \"b\": 2}\n";
        let failure = of_lines(&Source::new("x.jsonl", text)).unwrap_err();
        assert_eq!(
            failure.to_string(),
            "x.jsonl:3:9: this line is not valid JSON: key must be a string"
        );
        assert_eq!(failure.id(), Reason::RecordInvalid);
        let good = of_lines(&Source::new("x.jsonl", "{\"a\": 1}\r\n\n[2]\n\"x\"")).unwrap();
        let lines: Vec<_> = good
            .iter()
            .map(|written| (written.record.line, written.record.value.clone()))
            .collect();
        assert_eq!(lines, [(1, json!({"a": 1})), (3, json!([2])), (4, json!("x"))]);
        let failure = of_lines(&Source::new("x.jsonl", "{\"a\": 1")).unwrap_err();
        assert!(failure.to_string().starts_with("x.jsonl:1:"), "{failure}");
    }
}
