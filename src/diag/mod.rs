//! Failures as users see them: what, where, why, and the next command, each with an id and an exit code of the
//! catalogue.

mod reason;

use std::fmt;
use std::path::PathBuf;

pub use reason::{Reason, catalogue};
use serde::Serialize;

/// The result of anything that can fail in front of a user.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// A place in a file that a user wrote; line and column count from 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Location {
    /// The file, as the user named it.
    pub file: PathBuf,
    /// The line, 0 if only the file is known.
    pub line: usize,
    /// The column in characters, 0 if only the line is known.
    pub column: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        match (self.line, self.column) {
            (0, _) => Ok(()),
            (line, 0) => write!(f, ":{line}"),
            (line, column) => write!(f, ":{line}:{column}"),
        }
    }
}

/// One failure, ready to be shown. Boxed, so that results stay small.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Failure(Box<Detail>);

/// What a [`Failure`] holds.
#[derive(Debug, Clone, Serialize)]
pub struct Detail {
    /// The entry of the catalogue.
    pub id: Reason,
    /// What happened, one sentence without a full stop.
    pub message: String,
    /// Where in the user's files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// What was seen: output of programs, answers of servers, the underlying errors.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
    /// Commands or edits that help, most likely first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub next: Vec<String>,
}

/// An error and what it comes from, on one line; what stands in it already is not said again.
pub(crate) fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let more = inner.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = inner.source();
    }
    text
}

impl Failure {
    /// A failure of this kind with its sentence.
    pub fn new(id: Reason, message: impl Into<String>) -> Self {
        Self(Box::new(Detail {
            id,
            message: message.into(),
            location: None,
            evidence: Vec::new(),
            next: Vec::new(),
        }))
    }

    /// Adds the place in the user's file.
    #[must_use]
    pub fn at(mut self, file: impl Into<PathBuf>, line: usize, column: usize) -> Self {
        self.0.location = Some(Location {
            file: file.into(),
            line,
            column,
        });
        self
    }

    /// Adds something that was seen; empty text is dropped.
    #[must_use]
    pub fn evidence(mut self, seen: impl Into<String>) -> Self {
        let seen = seen.into();
        if !seen.trim().is_empty() {
            self.0.evidence.push(seen.trim_end().to_owned());
        }
        self
    }

    /// Adds an error and its chain of sources as evidence.
    #[must_use]
    pub fn cause(self, error: &dyn std::error::Error) -> Self {
        let mut texts = vec![error.to_string()];
        let mut source = error.source();
        while let Some(inner) = source {
            let text = inner.to_string();
            if texts.last().is_none_or(|last| !last.contains(&text)) {
                texts.push(text);
            }
            source = inner.source();
        }
        self.evidence(texts.join(": "))
    }

    /// Adds what to do next.
    #[must_use]
    pub fn next(mut self, command: impl Into<String>) -> Self {
        self.0.next.push(command.into());
        self
    }

    /// Adds what to do next, before all that was said so far.
    #[must_use]
    pub fn next_first(mut self, command: impl Into<String>) -> Self {
        self.0.next.insert(0, command.into());
        self
    }

    /// With each of its texts changed: message, evidence and advice.
    #[must_use]
    pub fn map_texts(mut self, change: impl Fn(&str) -> String) -> Self {
        self.0.message = change(&self.0.message);
        for text in self.0.evidence.iter_mut().chain(&mut self.0.next) {
            *text = change(text);
        }
        self
    }

    /// The same with another sentence, and without its place.
    #[must_use]
    pub fn reworded(mut self, message: impl Into<String>) -> Self {
        self.0.message = message.into();
        self.0.location = None;
        self
    }

    /// The failure as a note beside the events: what was seen, each line marked, and the first of the next steps.
    pub fn as_note(&self, steps: usize) -> String {
        let mut lines = vec![self.to_string()];
        let evidence = self.0.evidence.iter().flat_map(|text| text.lines());
        lines.extend(evidence.map(|line| format!("  | {line}")));
        let next = self.next_steps().into_iter().take(steps);
        lines.extend(next.map(|next| format!("  next: {next}")));
        lines.join("\n")
    }

    /// The entry of the catalogue.
    pub fn id(&self) -> Reason {
        self.0.id
    }

    /// Everything it holds.
    pub fn detail(&self) -> &Detail {
        &self.0
    }

    /// What to do next: its own advice, else the catalogue's.
    pub fn next_steps(&self) -> Vec<&str> {
        if self.0.next.is_empty() {
            let general = self.0.id.entry().next;
            if general.is_empty() { Vec::new() } else { vec![general] }
        } else {
            self.0.next.iter().map(String::as_str).collect()
        }
    }

    /// The exit code of the process that ends with this failure.
    pub fn exit_code(&self) -> u8 {
        self.0.id.entry().exit_code
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(location) = &self.0.location {
            write!(f, "{location}: ")?;
        }
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Failure {}
