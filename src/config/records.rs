//! Records as users write them: in the case itself, in a file of JSON Lines, or of comma-separated values.

use std::sync::Arc;

use regex::Regex;

use super::case::Record;
use super::csv;
use super::json::{Json, Number};
use super::source::{Place, Source};
use super::template::fill;
use super::words::nearest;
use super::yaml::Node;
use crate::diag::{Failure, Reason, Result};

/// The most records that one may stand for.
const MOST: i64 = 1_000_000;
/// What stands for a value that cannot be written plainly, or for many values.
pub(crate) const FORMS: [&str; 4] = ["$regex", "$any", "$hex", "$json"];
/// The parts of the long form.
const PARTS: [&str; 6] = ["value", "key", "repeat", "headers", "timestamp", "partition"];

/// A record and where it was written.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) record: Record,
    pub(super) place: Place,
}

/// Which records are read: those that are expected may be patterns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Given,
    Expected,
}

/// A mapping with `value`, and besides it at most the other parts, is the long form.
pub(super) fn is_long(fields: &[(String, Json)]) -> bool {
    fields.iter().any(|(name, _)| name == "value") && fields.iter().all(|(name, _)| PARTS.contains(&name.as_str()))
}

/// The records of a list in the case; what is wrong with some goes to `problems`.
pub(super) fn of_list(list: &Node, side: Side, problems: &mut Vec<Failure>) -> Vec<Written> {
    let mut all = Vec::new();
    for (item, node) in list.items().iter().enumerate() {
        let from = all.len();
        of_node(node, side, &mut all, problems);
        all[from..].iter_mut().for_each(|written| written.record.item = item);
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
        let from = all.len();
        let read = match Json::parse(line) {
            Ok(value) => add(value, side, &|_| place.clone(), Reason::RecordInvalid, &mut all),
            Err(error) => Err(no_json(source, index + 1, line, &error)),
        };
        all[from..].iter_mut().for_each(|written| written.record.item = index);
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
    let twice = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name));
    if let Some((_, name)) = twice {
        problems.push(place(1).failure(Reason::RecordInvalid, format!("the first line names `{name}` twice")));
        return Vec::new();
    }
    let mut all = Vec::new();
    for (line, fields) in rows {
        if fields.len() != names.len() {
            let message = format!("{} fields, and the first line names {}", fields.len(), names.len());
            problems.push(place(line).failure(Reason::RecordInvalid, message));
            continue;
        }
        let values = fields.iter().map(|f| csv::scalar(f));
        let record = Record {
            value: Json::Map(names.iter().cloned().zip(values).collect()),
            line,
            item: all.len(),
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
fn add(written: Json, side: Side, place: &dyn Fn(&str) -> Place, reason: Reason, all: &mut Vec<Written>) -> Result<()> {
    let whole = place("");
    let line = whole.line;
    let mut fields = match written {
        Json::Map(fields) if is_long(&fields) => fields,
        value => vec![("value".to_owned(), value)],
    };
    for (part, value) in fields.iter().filter(|(part, _)| part == "key" || part == "value") {
        let found = match side {
            Side::Expected => patterns(value),
            Side::Given => form(value).map(|_| ()),
        };
        found.map_err(|why| place(part).failure(reason, why))?;
    }
    let repeat = fields.iter().position(|(name, _)| name == "repeat");
    let Some(times) = repeat.map(|at| fields.remove(at).1).filter(|times| !times.is_null()) else {
        let record = long(&fields, side, line).map_err(|(part, why)| place(part).failure(reason, why))?;
        all.push(Written { record, place: whole });
        return Ok(());
    };
    let times = times
        .as_i64()
        .filter(|times| (1..=MOST).contains(times))
        .ok_or_else(|| {
            place("repeat").failure(
                reason,
                format!("`repeat` is {times}, expected a whole number from 1 to {MOST}"),
            )
        })?;
    let fields = Json::Map(fields);
    for i in 0..times {
        let filled = fill(&fields, i).map_err(|why| whole.failure(reason, why))?;
        let record = long(filled.fields(), side, line).map_err(|(part, why)| place(part).failure(reason, why))?;
        all.push(Written {
            record,
            place: whole.clone(),
        });
    }
    Ok(())
}

/// The long form; an error names its part.
fn long(fields: &[(String, Json)], side: Side, line: usize) -> Result<Record, (&'static str, String)> {
    let part = |key: &str| fields.iter().find(|(name, _)| name == key).map(|(_, value)| value);
    let said = |key: &str| part(key).filter(|value| !value.is_null());
    let mut record = Record {
        key: said("key").cloned(),
        value: part("value").cloned().unwrap_or_default(),
        line,
        ..Record::default()
    };
    if let Some(headers) = said("headers") {
        let wrong = || ("headers", "headers are a mapping of names to texts".to_owned());
        let Json::Map(headers) = headers else {
            return Err(wrong());
        };
        for (_, value) in headers {
            let special = form(value).map_err(|why| ("headers", why))?;
            match (special, value) {
                (Some("$regex" | "$any"), _) if side == Side::Expected => {
                    patterns(value).map_err(|why| ("headers", why))?;
                }
                (Some("$hex"), _) | (None, Json::Null | Json::Text(_) | Json::Number(_) | Json::Bool(_)) => {}
                _ => return Err(wrong()),
            }
        }
        record.headers = Some(headers.clone());
    }
    if let Some(time) = said("timestamp") {
        record.timestamp = Some(millis(time).ok_or_else(|| {
            let why = format!("`{time}` is no time: write `2026-01-01T00:00:00Z`, or milliseconds since 1970");
            ("timestamp", why)
        })?);
    }
    if let Some(partition) = said("partition") {
        let number = partition.as_i64().and_then(|p| u32::try_from(p).ok());
        record.partition =
            Some(number.ok_or_else(|| ("partition", format!("`{partition}` is no partition: they count from 0")))?);
    }
    Ok(record)
}

/// A point in time in milliseconds since the Unix epoch.
pub(super) fn millis(time: &Json) -> Option<i64> {
    match time {
        Json::Number(Number::Int(millis)) => Some(*millis).filter(|millis| *millis >= 0),
        Json::Text(text) => Some(text.parse::<jiff::Timestamp>().ok()?.as_millisecond()),
        _ => None,
    }
}

/// Which of the forms a whole value is, if it is one: a mapping with nothing else in it.
///
/// # Errors
/// For `$hex`: why there are no bytes.
fn form(value: &Json) -> Result<Option<&'static str>, String> {
    let [(name, inner)] = value.fields() else {
        return Ok(None);
    };
    let form = FORMS.into_iter().find(|form| form == name);
    if form == Some("$hex") && bytes(value).is_none() {
        return Err(format!(
            "`{inner}` is no bytes: write `{{$hex: 00ff}}`, two digits each, in quotes if they are all digits"
        ));
    }
    Ok(form)
}

/// The bytes that `{$hex: …}` stands for.
pub(crate) fn bytes(value: &Json) -> Option<Vec<u8>> {
    match value.fields() {
        [(name, Json::Text(text))] if name == "$hex" => hex::decode(text).ok(),
        _ => None,
    }
}

/// Bytes as text; those that are none as `{$hex: …}`.
pub(crate) fn text_of(bytes: &[u8]) -> Json {
    match std::str::from_utf8(bytes) {
        Ok(text) => Json::from(text),
        Err(_) => Json::Map(vec![("$hex".to_owned(), Json::Text(hex::encode(bytes)))]),
    }
}

/// Checks the patterns within an expected value.
fn patterns(value: &Json) -> Result<(), String> {
    if form(value)?.is_some_and(|form| form == "$json") {
        // as it stands
        return Ok(());
    }
    within(value)
}

fn within(value: &Json) -> Result<(), String> {
    match value {
        Json::List(items) => items.iter().try_for_each(within),
        Json::Map(fields) => {
            if let [(name, pattern)] = fields.as_slice() {
                match (name.as_str(), pattern) {
                    ("$regex", Json::Text(text)) => {
                        let why = |e: regex::Error| {
                            let text = e.to_string();
                            text.lines().last().unwrap_or_default().to_owned()
                        };
                        return Regex::new(text)
                            .map(|_| ())
                            .map_err(|e| format!("`{text}` is no regular expression: {}", why(e)));
                    }
                    ("$any", Json::Bool(true)) => return Ok(()),
                    ("$regex" | "$any", other) => {
                        return Err(format!(
                            "write `{{$regex: PATTERN}}` or `{{$any: true}}`, not `{{{name}: {other}}}`"
                        ));
                    }
                    (name, _) if name.starts_with('$') && !FORMS.contains(&name) => {
                        // others are values, such as MongoDB's `$oid`
                        if let Some(near) = nearest(name, FORMS) {
                            return Err(format!("unknown pattern `{name}`, did you mean `{near}`?"));
                        }
                    }
                    _ => {}
                }
            }
            fields.iter().try_for_each(|(_, value)| within(value))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(value: Value, side: Side) -> Result<Vec<Record>> {
        let source = Source::new("x", "");
        let mut all = Vec::new();
        add(
            value.into(),
            side,
            &|_| Place::start(&source),
            Reason::CaseInvalid,
            &mut all,
        )?;
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
            (Some(json!("a").into()), json!({"x": 1}).into())
        );
        let plain = |value: Value| (None, Json::from(value));
        assert_eq!(read(json!({"value": null})), plain(Value::Null));
        assert_eq!(read(json!({"key": null, "value": 1})), plain(json!(1)));
        assert_eq!(read(json!({"key": "a"})), plain(json!({"key": "a"})));
        assert_eq!(
            read(json!({"key": 1, "value": 2, "x": 3})),
            plain(json!({"key": 1, "value": 2, "x": 3}))
        );
        assert_eq!(read(json!("{\"a\": 1}")), plain(json!("{\"a\": 1}")), "text stays text");
        assert_eq!(read(Value::Null), plain(Value::Null));
    }

    #[test]
    fn given_records_say_more_of_themselves() {
        let written = json!({"key": "k", "value": {"a": 1}, "headers": {"h": "x", "n": null, "i": 1},
            "timestamp": "2026-01-01T00:00:01Z", "partition": 2});
        let record = read(written, Side::Given).unwrap().remove(0);
        let header = |name: &str, value: Value| (name.to_owned(), Json::from(value));
        assert_eq!(
            record.headers,
            Some(vec![
                header("h", json!("x")),
                header("n", Value::Null),
                header("i", json!(1))
            ])
        );
        assert_eq!((record.timestamp, record.partition), (Some(1_767_225_601_000), Some(2)));
        for wrong in [
            json!({"value": 1, "timestamp": "noon"}),
            json!({"value": 1, "partition": -1}),
            json!({"value": 1, "headers": ["a"]}),
            json!({"value": 1, "headers": {"a": {"$regex": "x"}}}),
            json!({"value": {"$hex": "0"}}),
            json!({"value": 1, "key": {"$hex": "xx"}}),
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
            .map(|r| (r.key.clone().unwrap(), r.value.get("n").cloned().unwrap()))
            .collect();
        assert_eq!(
            told,
            [
                (json!("k0").into(), json!(1).into()),
                (json!("k1").into(), json!(2).into()),
                (json!("k2").into(), json!(3).into())
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
        let expected = [(1, json!({"a": 1})), (3, json!([2])), (4, json!("x"))];
        assert_eq!(read, expected.map(|(line, value)| (line, Json::from(value))));
        let (_, problems) = lines("{\"a\": 1");
        assert!(problems[0].to_string().starts_with("x.jsonl:1:"), "{}", problems[0]);
    }

    #[test]
    fn a_file_of_comma_separated_values_has_names_in_its_first_line() {
        let mut problems = Vec::new();
        let read = of_csv(&Source::new("x.csv", "id,n\na,1\nb\n\"c,d\",\n"), &mut problems);
        let read: Vec<_> = read.iter().map(|w| (w.record.line, w.record.value.clone())).collect();
        let expected = [(2, json!({"id": "a", "n": 1})), (4, json!({"id": "c,d", "n": null}))];
        assert_eq!(read, expected.map(|(line, value)| (line, Json::from(value))));
        let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["x.csv:3:1: 1 fields, and the first line names 2"]);
    }
}
