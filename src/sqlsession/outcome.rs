//! What became of a statement: pure, from the gateway's answers.

use serde::Serialize;
use serde_json::{Map, Value};

/// A column of a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type, e.g. `INTEGER`.
    #[serde(rename = "type")]
    pub kind: String,
}

/// What became of a statement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// Version of this format.
    pub v: u32,
    /// The statement's number, from 1.
    pub statement: usize,
    /// Its first line.
    pub text: String,
    /// What it gave.
    #[serde(flatten)]
    pub result: Answer,
}

/// What a statement gave.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "result", rename_all = "lowercase")]
pub enum Answer {
    /// It was carried out.
    Ok,
    /// It started a job, which runs on.
    Job {
        /// Flink's id of it.
        job_id: String,
    },
    /// Rows.
    Rows {
        /// Its columns.
        columns: Vec<Column>,
        /// Its rows: each an object by the columns' names, with `op` (`+I`, `-U`, `+U`, `-D`) where rows are taken back.
        rows: Vec<Map<String, Value>>,
        /// Whether these are all.
        complete: bool,
    },
}

/// The columns of an answer with results.
pub(super) fn columns(results: &Value) -> Vec<Column> {
    let all = results["columns"].as_array().map_or(&[][..], Vec::as_slice);
    all.iter()
        .map(|column| Column {
            name: column["name"].as_str().unwrap_or_default().to_owned(),
            kind: column["logicalType"]["type"].as_str().unwrap_or_default().to_owned(),
        })
        .collect()
}

/// The rows of an answer with results.
pub(super) fn rows(results: &Value, columns: &[Column]) -> Vec<Map<String, Value>> {
    let data = results["data"].as_array().map_or(&[][..], Vec::as_slice);
    data.iter()
        .map(|row| {
            let mut object = Map::new();
            let op = match row["kind"].as_str() {
                Some("UPDATE_BEFORE") => Some("-U"),
                Some("UPDATE_AFTER") => Some("+U"),
                Some("DELETE") => Some("-D"),
                _ => None,
            };
            if let Some(op) = op {
                object.insert("op".to_owned(), op.into());
            }
            let fields = row["fields"].as_array().map_or(&[][..], Vec::as_slice);
            for (column, value) in columns.iter().zip(fields) {
                // two columns may have one name
                let mut name = column.name.clone();
                while object.contains_key(&name) {
                    name.push('_');
                }
                object.insert(name, value.clone());
            }
            object
        })
        .collect()
}

/// Flink's words in an answer with errors: the deepest cause of the stack trace in it; and the place in the statement,
/// which one of the causes may tell.
pub(super) fn error(answer: &Value) -> (String, Option<(usize, usize)>) {
    let errors = answer["errors"].as_array().map_or(&[][..], Vec::as_slice);
    let Some(text) = errors.iter().filter_map(Value::as_str).next_back() else {
        return match answer {
            Value::String(text) => (text.clone(), None),
            other => (other.to_string(), None),
        };
    };
    let text = text.replace("<Exception on server side:", "");
    let text = text
        .split("End of exception on server side>")
        .next()
        .unwrap_or_default();
    (crate::flink::root_cause(text.trim()), place(text))
}

/// Where Flink says that the error is: `From line 1, column 8 to`, `at line 2, column 10.`; from 1.
pub(super) fn place(text: &str) -> Option<(usize, usize)> {
    let lower = text.to_lowercase();
    let at = ["from line ", "at line "]
        .iter()
        .find_map(|begin| Some(lower.find(begin)? + begin.len() - "line ".len()))?;
    let number = |text: &str| {
        let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<usize>().ok()
    };
    let line = number(&lower[at + "line ".len()..])?;
    let column = lower[at..]
        .find("column ")
        .and_then(|c| number(&lower[at + c + "column ".len()..]))?;
    Some((line, column))
}
