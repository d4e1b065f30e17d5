//! Records as text: JSON lines, plain lines and CSV in; JSON lines out.

mod csv;
mod fields;
mod read;
#[cfg(test)]
mod tests;
mod write;

use std::io::BufRead;

pub use read::{Form, Records, parse_time};
pub use write::json_line;

/// The fields of a record's long form.
const LONG: [&str; 9] = [
    "key",
    "key_base64",
    "value",
    "value_text",
    "value_base64",
    "headers",
    "timestamp",
    "partition",
    "offset",
];

/// Why a text holds no records, and where; line and column count from 1, the column in characters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct LineError {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
    /// Why.
    pub message: String,
}

impl LineError {
    fn new(line: usize, column: usize, message: impl Into<String>) -> Self {
        Self {
            line,
            column,
            message: message.into(),
        }
    }

    /// At a byte of a line.
    fn at_byte(line: usize, text: &str, at: usize, message: impl Into<String>) -> Self {
        let column = text.get(..at).map_or(0, |before| before.chars().count()) + 1;
        Self::new(line, column, message)
    }
}

/// The next line without its end, and counts it; a byte order mark at the very start is left out.
fn read_line(input: &mut impl BufRead, line: &mut usize) -> Result<Option<String>, LineError> {
    let mut bytes = Vec::new();
    *line += 1;
    let read = input.read_until(b'\n', &mut bytes);
    if read.map_err(|e| LineError::new(*line, 1, format!("it cannot be read: {e}")))? == 0 {
        return Ok(None);
    }
    for end in [b'\n', b'\r'] {
        if bytes.last() == Some(&end) {
            bytes.pop();
        }
    }
    match String::from_utf8(bytes) {
        Ok(text) if *line == 1 => Ok(Some(text.strip_prefix('\u{feff}').map_or(text.clone(), str::to_owned))),
        Ok(text) => Ok(Some(text)),
        Err(error) => {
            let good = error.utf8_error().valid_up_to();
            let column = String::from_utf8_lossy(&error.as_bytes()[..good]).chars().count() + 1;
            Err(LineError::new(*line, column, "this is not UTF-8 text"))
        }
    }
}
