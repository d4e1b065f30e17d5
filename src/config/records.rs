//! Records as users write them: in the case itself, in a file of JSON Lines, or of comma-separated values.

use std::sync::Arc;

use regex::Regex;
use serde_json::{Map, Value};

use super::case::Record;
use super::csv;
use super::source::{Place, Source};
use super::template::fill;
use super::words::nearest;
use super::yaml::Node;
use crate::diag::{Failure, Reason, Result};

/// The most records that one may stand for.
const MOST: u64 = 1_000_000;

/// A record and where it was written.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) record: Record,
    pub(super) place: Place,
}

/// Which records are read: those that are produced say more of themselves, those that are expected may be patterns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Given,
    Expected,
}

impl Side {
    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Given => &["value", "key", "repeat", "headers", "timestamp", "partition"],
            Self::Expected => &["value", "key", "repeat"],
        }
    }

    /// A mapping with `value`, and besides it at most the others, is the long form.
    fn is_long(self, fields: &Map<String, Value>) -> bool {
        fields.contains_key("value") && fields.keys().all(|field| self.keys().contains(&field.as_str()))
    }
}

/// The records of a list in the case; what is wrong with some goes to `problems`.
pub(super) fn of_list(list: &Node, side: Side, problems: &mut Vec<Failure>) -> Vec<Written> {
    let mut all = Vec::new();
    for node in list.items() {
        of_node(node, side, &mut all, problems);
    }
    all
}

/// One record of the case, which may stand for many.
pub(super) fn of_node(node: &Node, side: Side, all: &mut Vec<Written>, problems: &mut Vec<Failure>) {
    let place = |key: &str| node.locate(key).clone();
    if let Err(failure) = add(node.json(), side, &place, Reason::CaseInvalid, all) {
        problems.push(failure);
    }
}

/// The records of a file, one JSON a line; empty lines are passed over. What is wrong with some goes to `problems`.
pub(super) fn of_lines(source: &Arc<Source>, side: Side, problems: &mut Vec<Failure>) -> Vec<Written> {
    let mut all = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let place = Place::new(source, index + 1, 1, line.trim_end().chars().count());
        let read = match serde_json::from_str(line) {
            Ok(value) => add(value, side, &|_| place.clone(), Reason::RecordInvalid, &mut all),
            Err(error) => Err(no_json(source, index + 1, line, &error)),
        };
        problems.extend(read.err());
    }
    all
}

fn no_json(source: &Arc<Source>, number: usize, line: &str, error: &serde_json::Error) -> Failure {
    // serde_json counts bytes, and from 1; at an early end it points behind the line
    let end = error.column().saturating_sub(1).min(line.len());
    let before = line.as_bytes()[..end].iter();
    let column = before.filter(|byte| (**byte & 0xc0) != 0x80).count() + 1;
    let why = error.to_string();
    let why = why.split(" at line ").next().unwrap_or_default();
    Place::new(source, number, column, 1)
        .failure(Reason::RecordInvalid, format!("this line is not valid JSON: {why}"))
        .next("each line is one record as JSON")
}

/// The records of a file of comma-separated values whose first row names the fields.
pub(super) fn of_csv(source: &Arc<Source>, problems: &mut Vec<Failure>) -> Vec<Written> {
    let place = |line| Place::new(source, line, 1, 1);
    let rows = match csv::rows(&source.text) {
        Ok(rows) => rows,
        Err((line, why)) => {
            problems.push(place(line).failure(Reason::RecordInvalid, why));
            return Vec::new();
        }
    };
    let mut rows = rows.into_iter();
    let Some((_, names)) = rows.next() else {
        problems.push(place(1).failure(Reason::RecordInvalid, "the first line names the fields; there is none"));
        return Vec::new();
    };
    let mut all = Vec::new();
    for (line, fields) in rows {
        if fields.len() != names.len() {
            let message = format!("{} fields, and the first line names {}", fields.len(), names.len());
            problems.push(place(line).failure(Reason::RecordInvalid, message));
            continue;
        }
        let value: Map<_, _> = names
            .iter()
            .cloned()
            .zip(fields.iter().map(|f| csv::scalar(f)))
            .collect();
        let record = Record {
            value: Value::Object(value),
            line,
            ..Record::default()
        };
        all.push(Written {
            record,
            place: place(line),
        });
    }
    all
}

/// Adds what a written value stands for.
fn add(
    written: Value,
    side: Side,
    place: &dyn Fn(&str) -> Place,
    reason: Reason,
    all: &mut Vec<Written>,
) -> Result<()> {
    let whole = place("");
    let line = whole.line;
    let mut fields = match written {
        Value::Object(fields) if side.is_long(&fields) => fields,
        value => Map::from_iter([("value".to_owned(), value)]),
    };
    if side == Side::Expected {
        for part in ["key", "value"] {
            let found = fields.get(part).map_or(Ok(()), patterns);
            found.map_err(|why| place(part).failure(reason, why))?;
        }
    }
    let Some(times) = fields.remove("repeat").filter(|times| !times.is_null()) else {
        let record = long(&fields, line).map_err(|(part, why)| place(part).failure(reason, why))?;
        all.push(Written { record, place: whole });
        return Ok(());
    };
    let times = times
        .as_u64()
        .filter(|times| (1..=MOST).contains(times))
        .ok_or_else(|| {
            place("repeat").failure(
                reason,
                format!("`repeat` is {times}, expected a whole number from 1 to {MOST}"),
            )
        })?;
    let fields = Value::Object(fields);
    for i in 0..times {
        let filled = fill(&fields, i64::try_from(i).unwrap_or(i64::MAX));
        let filled = filled.map_err(|why| whole.failure(reason, why))?;
        let record = filled
            .as_object()
            .map_or_else(|| Ok(Record::default()), |fields| long(fields, line));
        let record = record.map_err(|(part, why)| place(part).failure(reason, why))?;
        all.push(Written {
            record,
            place: whole.clone(),
        });
    }
    Ok(())
}

/// The long form; an error names its part.
fn long(fields: &Map<String, Value>, line: usize) -> Result<Record, (&'static str, String)> {
    let said = |key: &str| fields.get(key).filter(|value| !value.is_null());
    let mut record = Record {
        key: said("key").cloned(),
        value: fields.get("value").cloned().unwrap_or_default(),
        line,
        ..Record::default()
    };
    if let Some(headers) = said("headers") {
        let wrong = || ("headers", "headers are a mapping of names to texts".to_owned());
        for (name, value) in headers.as_object().ok_or_else(wrong)? {
            let value = match value {
                Value::Null => None,
                Value::String(text) => Some(text.clone()),
                Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
                Value::Array(_) | Value::Object(_) => return Err(wrong()),
            };
            record.headers.push((name.clone(), value));
        }
    }
    if let Some(time) = said("timestamp") {
        record.timestamp = Some(millis(time).ok_or_else(|| {
            let why = format!("`{time}` is no time: write `2026-01-01T00:00:00Z`, or milliseconds since 1970");
            ("timestamp", why)
        })?);
    }
    if let Some(partition) = said("partition") {
        let number = partition.as_u64().and_then(|p| u32::try_from(p).ok());
        record.partition =
            Some(number.ok_or_else(|| ("partition", format!("`{partition}` is no partition: they count from 0")))?);
    }
    Ok(record)
}

fn millis(time: &Value) -> Option<i64> {
    match time {
        Value::Number(number) => number.as_i64().filter(|millis| *millis >= 0),
        Value::String(text) => Some(text.parse::<jiff::Timestamp>().ok()?.as_millisecond()),
        _ => None,
    }
}

/// Checks the patterns within an expected value.
fn patterns(value: &Value) -> Result<(), String> {
    match value {
        Value::Array(items) => items.iter().try_for_each(patterns),
        Value::Object(fields) => {
            let mut all = fields.iter();
            if let (Some((name, pattern)), None) = (all.next(), all.next()) {
                match (name.as_str(), pattern) {
                    ("$regex", Value::String(text)) => {
                        let why = |e: regex::Error| {
                            let text = e.to_string();
                            text.lines().last().unwrap_or_default().to_owned()
                        };
                        return Regex::new(text)
                            .map(|_| ())
                            .map_err(|e| format!("`{text}` is no regular expression: {}", why(e)));
                    }
                    ("$any", Value::Bool(true)) => return Ok(()),
                    ("$regex" | "$any", other) => {
                        return Err(format!(
                            "write `{{$regex: PATTERN}}` or `{{$any: true}}`, not `{{{name}: {other}}}`"
                        ));
                    }
                    (name, _) if name.starts_with('$') => {
                        // others are values, such as MongoDB's `$oid`
                        if let Some(near) = nearest(name, ["$regex", "$any"]) {
                            return Err(format!("unknown pattern `{name}`, did you mean `{near}`?"));
                        }
                    }
                    _ => {}
                }
            }
            fields.values().try_for_each(patterns)
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value, side: Side) -> Result<Vec<Record>> {
        let source = Source::new("x", "");
        let mut all = Vec::new();
        add(value, side, &|_| Place::start(&source), Reason::CaseInvalid, &mut all)?;
        Ok(all.into_iter().map(|written| written.record).collect())
    }

    #[test]
    fn the_long_form_is_told_from_a_value() {
        let read = |value: Value| {
            let record = read(value, Side::Expected).unwrap().remove(0);
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
            read(json!({"value": 2, "timestamp": 3})),
            (None, json!({"value": 2, "timestamp": 3})),
            "an expected record has no time"
        );
        assert_eq!(
            read(json!("{\"a\": 1}")),
            (None, json!("{\"a\": 1}")),
            "text stays text"
        );
        assert_eq!(read(Value::Null), (None, Value::Null));
    }

    #[test]
    fn given_records_say_more_of_themselves() {
        let written = json!({"key": "k", "value": {"a": 1}, "headers": {"h": "x", "n": null, "i": 1},
            "timestamp": "2026-01-01T00:00:01Z", "partition": 2});
        let record = read(written, Side::Given).unwrap().remove(0);
        let header = |name: &str, value: Option<&str>| (name.to_owned(), value.map(str::to_owned));
        assert_eq!(
            record.headers,
            [header("h", Some("x")), header("n", None), header("i", Some("1"))]
        );
        assert_eq!((record.timestamp, record.partition), (Some(1_767_225_601_000), Some(2)));
        for wrong in [
            json!({"value": 1, "timestamp": "noon"}),
            json!({"value": 1, "partition": -1}),
            json!({"value": 1, "headers": ["a"]}),
            json!({"value": 1, "repeat": 0}),
            json!({"value": "${x}", "repeat": 2}),
        ] {
            assert!(read(wrong.clone(), Side::Given).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_record_is_repeated_with_its_count() {
        let records = read(
            json!({"key": "k${i}", "value": {"n": "${i + 1}"}, "repeat": 3}),
            Side::Given,
        )
        .unwrap();
        let told: Vec<_> = records
            .iter()
            .map(|r| (r.key.clone().unwrap(), r.value["n"].clone()))
            .collect();
        assert_eq!(
            told,
            [
                (json!("k0"), json!(1)),
                (json!("k1"), json!(2)),
                (json!("k2"), json!(3))
            ]
        );
    }

    #[test]
    fn patterns_are_checked_where_they_stand() {
        let told = |value: Value| read(value, Side::Expected).map_err(|failure| failure.detail().message.clone());
        assert!(told(json!({"id": {"$regex": "^o[0-9]+$"}, "at": {"$any": true}, "m": {"$oid": "x"}})).is_ok());
        assert!(
            told(json!({"id": {"$regex": "("}}))
                .unwrap_err()
                .contains("is no regular expression")
        );
        assert!(
            told(json!({"a": [{"$regx": "x"}]}))
                .unwrap_err()
                .contains("did you mean `$regex`?")
        );
        assert!(told(json!({"id": {"$any": 1}})).is_err());
        assert!(
            read(json!({"id": {"$regex": "("}}), Side::Given).is_ok(),
            "a given value is a value"
        );
    }

    #[test]
    fn every_line_that_is_no_json_is_told_with_its_column_in_characters() {
        let lines = |text: &str| {
            let mut problems = Vec::new();
            let written = of_lines(&Source::new("x.jsonl", text), Side::Given, &mut problems);
            (written, problems)
        };
        let (_, problems) = lines("{\"a\": 1}\r\n\n{\"ä\": 1,, \"b\": 2}\nx\n");
        assert_eq!(problems.len(), 2);
        assert_eq!(
            problems[0].to_string(),
            "x.jsonl:3:9: this line is not valid JSON: key must be a string"
        );
        assert_eq!(problems[0].id(), Reason::RecordInvalid);
        let (good, problems) = lines("{\"a\": 1}\r\n\n[2]\n\"x\"");
        assert!(problems.is_empty());
        let read: Vec<_> = good
            .iter()
            .map(|written| (written.record.line, written.record.value.clone()))
            .collect();
        assert_eq!(read, [(1, json!({"a": 1})), (3, json!([2])), (4, json!("x"))]);
        let (_, problems) = lines("{\"a\": 1");
        assert!(problems[0].to_string().starts_with("x.jsonl:1:"), "{}", problems[0]);
    }

    #[test]
    fn a_file_of_comma_separated_values_has_names_in_its_first_line() {
        let mut problems = Vec::new();
        let read = of_csv(&Source::new("x.csv", "id,n\na,1\nb\n\"c,d\",\n"), &mut problems);
        let read: Vec<_> = read.iter().map(|w| (w.record.line, w.record.value.clone())).collect();
        assert_eq!(
            read,
            [(2, json!({"id": "a", "n": 1})), (4, json!({"id": "c,d", "n": null}))]
        );
        let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["x.csv:3:1: 1 fields, and the first line names 2"]);
    }
}
