//! Why a job was refused: what stands in the status of a `FlinkSessionJob` (facts: `status.error` is a JSON text with
//! Java stack traces in it), brought down to the SQL runner's one line.

use std::path::Path;

use serde_json::Value;

use crate::diag::{Failure, Reason};

/// A refused submission.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Refusal {
    /// The statement's number in the script, from 1; 0 if no single one is to blame.
    pub statement: usize,
    /// Where the statement begins: line, column, from 1; 0 if not known.
    pub begins: (usize, usize),
    /// The place of the error, line and column from 1; 0 if not known.
    pub place: (usize, usize),
    /// The statement's first characters.
    pub head: String,
    /// The message, the runner's or Flink's.
    pub message: String,
    /// Whether the operator's next attempt may succeed: Flink did not say no, it could not be asked.
    pub transient: bool,
}

/// What stands in a stack trace before the SQL runner's own line.
const RUNNER_REFUSES: &str = "SqlScriptException: ";
/// The same of the runner of Python programs.
const PYTHON_REFUSES: &str = "PythonScriptException: ";

/// Whether a stack trace has a line of one of our runners.
pub(super) fn is_of_runner(trace: &str) -> bool {
    trace.contains(RUNNER_REFUSES) || trace.contains(PYTHON_REFUSES)
}

/// Reads the text of `status.error` (or of an event).
pub fn refusal(status_error: &str) -> Refusal {
    let texts = texts(status_error);
    let python = texts.iter().find_map(|text| text.split_once(PYTHON_REFUSES));
    if let Some((_, line)) = python {
        return of_python(first_line(line));
    }
    for mark in [RUNNER_REFUSES, "The main method caused an error: "] {
        for text in &texts {
            if let Some(at) = text.find(mark) {
                return of_runner(first_line(&text[at + mark.len()..]));
            }
        }
    }
    let whole = texts.join("\n");
    let message = texts.first().map(|t| deepest(t)).unwrap_or_default();
    let transient = is_transient(&whole);
    Refusal {
        message,
        transient,
        ..Refusal::default()
    }
}

impl Refusal {
    /// The failure to be shown, at its place in `script`.
    pub fn failure(&self, script: &Path) -> Failure {
        let message = match self.statement {
            0 => self.message.clone(),
            number => format!("statement {number}: {}", self.message),
        };
        let mut failure = Failure::new(Reason::JobSubmitFailed, message);
        let (line, column) = if self.place.0 > 0 { self.place } else { self.begins };
        if line > 0 {
            failure = failure.at(script, line, column);
        }
        if self.statement > 0 {
            let (number, (line, _)) = (self.statement, self.begins);
            failure = failure.evidence(format!("statement {number}, from line {line} on: {}", self.head));
        }
        failure
    }
}

/// The readable texts of the status: its own message first, then those of the causes.
fn texts(status_error: &str) -> Vec<String> {
    let Ok(value) = serde_json::from_str::<Value>(status_error) else {
        // cut off by the operator's length limit, or not JSON at all: escapes are undone by hand
        return vec![
            status_error
                .replace("\\n", "\n")
                .replace("\\t", "\t")
                .replace("\\\"", "\""),
        ];
    };
    let mut texts = Vec::new();
    let causes = value["throwableList"].as_array().map_or(&[][..], Vec::as_slice);
    for throwable in std::iter::once(&value).chain(causes) {
        if let Some(text) = throwable["message"].as_str() {
            texts.push(text.to_owned());
        }
    }
    if let Some(text) = value["stackTrace"].as_str() {
        texts.push(text.to_owned());
    }
    if texts.is_empty() {
        texts.push(status_error.to_owned());
    }
    texts
}

/// `script at L:C: …`, `statement N at L:C (HEAD): error at L:C: …`, `statement N at L:C (HEAD): …`, or anything.
fn of_runner(line: &str) -> Refusal {
    let mut refusal = Refusal {
        message: line.to_owned(),
        ..Refusal::default()
    };
    if let Some((place, message)) = line.strip_prefix("script at ").and_then(split_place) {
        refusal.place = place;
        refusal.message = message.to_owned();
        return refusal;
    }
    let Some((number, rest)) = line.strip_prefix("statement ").and_then(|r| r.split_once(" at ")) else {
        return refusal;
    };
    let (Ok(number), Some((line_text, rest))) = (number.parse(), rest.split_once(':')) else {
        return refusal;
    };
    let Some((column_text, rest)) = rest.split_once(" (") else {
        return refusal;
    };
    let (Ok(row), Ok(column)) = (line_text.parse(), column_text.parse()) else {
        return refusal;
    };
    // the head is SQL and may hold the very characters that end it
    let end = rest.find("): error at ").or_else(|| rest.find("): "));
    let Some(end) = end else { return refusal };
    refusal.statement = number;
    refusal.begins = (row, column);
    refusal.head = rest[..end].to_owned();
    let message = &rest[end + "): ".len()..];
    match message.strip_prefix("error at ").and_then(split_place) {
        Some((place, message)) => {
            refusal.place = place;
            refusal.message = message.to_owned();
        }
        None => refusal.message = message.to_owned(),
    }
    refusal
}

/// `FILE:L: message`, or a message alone.
fn of_python(line: &str) -> Refusal {
    let place = line.split_once(".py:").and_then(|(_, rest)| rest.split_once(": "));
    let found = place.and_then(|(row, message)| Some((row.parse().ok()?, message)));
    let (row, message) = found.unwrap_or((0, line));
    Refusal {
        place: (row, 0),
        message: message.to_owned(),
        ..Refusal::default()
    }
}

/// `L:C: rest`.
fn split_place(text: &str) -> Option<((usize, usize), &str)> {
    let (line, rest) = text.split_once(':')?;
    let (column, rest) = rest.split_once(": ")?;
    Some(((line.parse().ok()?, column.parse().ok()?), rest))
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default().trim_end_matches(']').trim()
}

/// The last `Caused by:` of a stack trace, else its first line, without the names of wrapping exceptions.
pub(super) fn deepest(text: &str) -> String {
    let line = text
        .rfind("Caused by: ")
        .map_or(text, |at| &text[at + "Caused by: ".len()..]);
    let mut line = first_line(line).trim_start_matches('[');
    // `a.b.FooException: c.d.BarException: message`: the class that speaks stays
    while let Some((class, rest)) = line.split_once(": ") {
        let is_class = |t: &str| t.contains('.') && t.chars().all(|c| c.is_alphanumeric() || "._$".contains(c));
        // (a ClassNotFoundException speaks with nothing but a class's name)
        if !is_class(class) || !rest.split_once(": ").is_some_and(|(next, _)| is_class(next)) {
            break;
        }
        line = rest;
    }
    line.to_owned()
}

/// What stands in an error of the operator where Flink ran the program and said no, or the operator itself refused the
/// object. All else (no connection, a leader election, a session cluster that restarts) may pass.
const FINAL: [&str; 5] = [
    "Could not execute application",
    "ProgramInvocationException",
    "No jobs included in application",
    "Cannot have more than one execute",
    "ValidationException",
];

fn is_transient(text: &str) -> bool {
    !FINAL.iter().any(|sign| text.contains(sign))
}
