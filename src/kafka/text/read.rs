//! Text to records, one after another: a bad line ends it with its place.

use std::collections::BTreeSet;
use std::io::BufRead;

use base64::Engine as _;
use bytes::Bytes;
use k8s_openapi::jiff::Timestamp;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::csv::{Field, Rows};
use super::fields::fields;
use super::{LONG, LineError, read_line};
use crate::kafka::Outgoing;

/// How a text holds records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One JSON a line: `{"value": …}` with `key`, `headers`, `timestamp` and `partition` beside it, or else the value.
    Json,
    /// Each line is a value, as it is.
    Plain,
    /// A header row; each further row is a JSON object of its columns.
    Csv,
}

/// The records of a text; an iterator of the line and the record, which ends at the first error.
#[derive(Debug)]
pub struct Records<R> {
    source: Source<R>,
    key: Option<String>,
}

#[derive(Debug)]
enum Source<R> {
    Lines { input: R, line: usize, plain: bool },
    Csv { rows: Rows<R>, columns: Vec<String> },
    Ended,
}

impl<R: BufRead> Records<R> {
    /// Reads `input`. `key`: the field of a value that becomes the key of a record that has none.
    pub fn new(input: R, form: Form, key: Option<&str>) -> Self {
        let source = match form {
            Form::Json | Form::Plain => Source::Lines {
                input,
                line: 0,
                plain: form == Form::Plain,
            },
            Form::Csv => Source::Csv {
                rows: Rows::new(input),
                columns: Vec::new(),
            },
        };
        Self {
            source,
            key: key.map(str::to_owned),
        }
    }

    fn read(&mut self) -> Result<Option<(usize, Outgoing)>, LineError> {
        let (line, mut record) = match &mut self.source {
            Source::Ended => return Ok(None),
            Source::Lines { input, line, plain } => loop {
                let Some(text) = read_line(input, line)? else {
                    return Ok(None);
                };
                if *plain {
                    break (*line, of_value(&text));
                }
                if !text.trim().is_empty() {
                    break (*line, of_json(&text, *line)?);
                }
            },
            Source::Csv { rows, columns } => {
                if columns.is_empty() {
                    match rows.next().transpose()? {
                        Some((line, header)) => *columns = names(header, line)?,
                        None => return Err(LineError::new(1, 1, "there is no header row")),
                    }
                }
                match rows.next().transpose()? {
                    Some((line, row)) => (line, of_row(columns, &row, line)?),
                    None => return Ok(None),
                }
            }
        };
        if let (Some(field), None) = (&self.key, &record.key) {
            record.key = key_of(&record, field).map_err(|message| LineError::new(line, 1, message))?;
        }
        Ok(Some((line, record)))
    }
}

impl<R: BufRead> Iterator for Records<R> {
    type Item = Result<(usize, Outgoing), LineError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.read().transpose();
        if !matches!(next, Some(Ok(_))) {
            self.source = Source::Ended;
        }
        next
    }
}

fn of_value(text: &str) -> Outgoing {
    Outgoing {
        value: Some(text.to_owned().into()),
        ..Outgoing::default()
    }
}

/// A line of JSON.
fn of_json(line: &str, number: usize) -> Result<Outgoing, LineError> {
    if let Err(error) = serde_json::from_str::<IgnoredAny>(line) {
        let why = error.to_string();
        let why = why.split(" at line ").next().unwrap_or_default();
        // counted in bytes, from 1; at an early end it points behind the line
        let mut at = error.column().saturating_sub(1).min(line.len());
        while !line.is_char_boundary(at) {
            at -= 1;
        }
        return Err(LineError::at_byte(
            number,
            line,
            at,
            format!("this line is not valid JSON: {why}"),
        ));
    }
    let text = line.trim();
    let found = if text.starts_with('{') {
        fields(text)
    } else {
        Vec::new()
    };
    let long = found.iter().any(|(name, _)| name.starts_with("value")) && found.iter().all(|(n, _)| is_long(n));
    if !long {
        return Ok(Outgoing {
            value: (text != "null").then(|| text.to_owned().into()),
            ..Outgoing::default()
        });
    }
    let mut record = Outgoing::default();
    let mut seen = BTreeSet::new();
    for (name, at) in found {
        let raw = &text[at.clone()];
        let place = |message: String| LineError::at_byte(number, text, at.start, message);
        let part = name.split('_').next().unwrap_or_default().to_owned();
        if !seen.insert(part.clone()) {
            return Err(place(format!("the record has `{part}` twice")));
        }
        let value = || serde_json::from_str::<Value>(raw).unwrap_or_default();
        match name.as_str() {
            "key" => record.key = as_key(raw),
            "value" => record.value = (raw != "null").then(|| raw.to_owned().into()),
            "value_text" => {
                let text = value();
                let text = text
                    .as_str()
                    .ok_or_else(|| place("`value_text` is no text".to_owned()))?;
                record.value = Some(text.to_owned().into());
            }
            "key_base64" => record.key = Some(base64(&value()).map_err(place)?),
            "value_base64" => record.value = Some(base64(&value()).map_err(place)?),
            "headers" => record.headers = headers(&value()).map_err(place)?,
            "timestamp" => record.timestamp = timestamp(&value()).map_err(place)?,
            "partition" => record.partition = partition(&value()).map_err(place)?,
            // `dev topic consume` tells it; the broker chooses a new one
            _ => {}
        }
    }
    Ok(record)
}

fn is_long(name: &str) -> bool {
    LONG.contains(&name)
}

/// The bytes of a key: a text as it is, anything else as JSON; none for `null`.
fn as_key(raw: &str) -> Option<Bytes> {
    match raw {
        "null" => None,
        _ if raw.starts_with('"') => Some(serde_json::from_str::<String>(raw).unwrap_or_default().into()),
        _ => Some(raw.to_owned().into()),
    }
}

fn base64(value: &Value) -> Result<Bytes, String> {
    let text = value.as_str().ok_or("expected a text in base64")?;
    let bytes = base64::engine::general_purpose::STANDARD.decode(text);
    bytes.map(Bytes::from).map_err(|e| format!("not base64: {e}"))
}

/// Headers as an object, or as pairs where a name comes twice.
fn headers(value: &Value) -> Result<Vec<(String, Option<Bytes>)>, String> {
    let one = |name: &str, value: &Value| -> Result<(String, Option<Bytes>), String> {
        let bytes = match value {
            Value::Null => None,
            Value::String(text) => Some(text.clone().into()),
            Value::Object(map) if map.len() == 1 && map.contains_key("base64") => Some(base64(&map["base64"])?),
            other => Some(other.to_string().into()),
        };
        Ok((name.to_owned(), bytes))
    };
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Object(map) => map.iter().map(|(name, value)| one(name, value)).collect(),
        Value::Array(pairs) => pairs
            .iter()
            .map(|pair| match pair.as_array().map(Vec::as_slice) {
                Some([Value::String(name), value]) => one(name, value),
                _ => Err("each header is a pair of name and value".to_owned()),
            })
            .collect(),
        _ => Err("`headers` is neither an object nor a list of pairs".to_owned()),
    }
}

fn timestamp(value: &Value) -> Result<Option<i64>, String> {
    match value {
        Value::Null => Ok(None),
        Value::Number(n) => match n.as_i64().filter(|ms| *ms >= 0) {
            Some(ms) => Ok(Some(ms)),
            None => Err(format!("`timestamp` is {n}, expected milliseconds since 1970")),
        },
        Value::String(text) => parse_time(text).map(Some),
        _ => Err("`timestamp` is neither milliseconds nor a time like `2026-11-25T14:00:00Z`".to_owned()),
    }
}

/// Milliseconds since the epoch of an RFC 3339 time.
pub fn parse_time(text: &str) -> Result<i64, String> {
    let time = text.parse::<Timestamp>();
    let time = time.map_err(|_| format!("`{text}` is no time like `2026-11-25T14:00:00Z`"))?;
    Ok(time.as_millisecond())
}

fn partition(value: &Value) -> Result<Option<i32>, String> {
    if value.is_null() {
        return Ok(None);
    }
    let number = value.as_i64().and_then(|n| i32::try_from(n).ok()).filter(|n| *n >= 0);
    number
        .map(Some)
        .ok_or_else(|| format!("`partition` is {value}, expected a number from 0"))
}

fn names(header: Vec<Field>, line: usize) -> Result<Vec<String>, LineError> {
    let mut seen = BTreeSet::new();
    for field in &header {
        if field.text.trim().is_empty() {
            return Err(LineError::new(line, 1, "a column of the header has no name"));
        }
        if !seen.insert(field.text.trim()) {
            return Err(LineError::new(
                line,
                1,
                format!("the header has column `{}` twice", field.text.trim()),
            ));
        }
    }
    Ok(header.into_iter().map(|f| f.text.trim().to_owned()).collect())
}

/// A row as a JSON object. Numbers, `true` and `false` are what they look like, an empty field is `null`; what stands
/// in quotes is a text.
fn of_row(columns: &[String], row: &[Field], line: usize) -> Result<Outgoing, LineError> {
    if columns.len() != row.len() {
        let message = format!("the row has {} fields, the header {}", row.len(), columns.len());
        return Err(LineError::new(line, 1, message));
    }
    let mut object = String::from("{");
    for (column, field) in columns.iter().zip(row) {
        if object.len() > 1 {
            object.push(',');
        }
        object.push_str(&Value::from(column.as_str()).to_string());
        object.push(':');
        let text = field.text.as_str();
        match text.trim() {
            _ if field.quoted => object.push_str(&Value::from(text).to_string()),
            "" => object.push_str("null"),
            plain @ ("true" | "false") => object.push_str(plain),
            plain if serde_json::from_str::<serde_json::Number>(plain).is_ok() => object.push_str(plain),
            _ => object.push_str(&Value::from(text).to_string()),
        }
    }
    object.push('}');
    Ok(of_value(&object))
}

fn key_of(record: &Outgoing, field: &str) -> Result<Option<Bytes>, String> {
    let Some(value) = &record.value else {
        return Err(format!("a record without value has no field `{field}` for its key"));
    };
    let text = std::str::from_utf8(value).unwrap_or_default();
    let object = text.trim_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok();
    if !object {
        return Err(format!("the value is no JSON object, so it has no field `{field}`"));
    }
    let found = fields(text);
    match found.iter().find(|(name, _)| name == field) {
        Some((_, at)) => Ok(as_key(&text[at.clone()])),
        None => {
            let known: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
            let hint =
                crate::config::nearest(field, known).map_or_else(String::new, |n| format!(", did you mean `{n}`?"));
            Err(format!("the value has no field `{field}`{hint}"))
        }
    }
}
