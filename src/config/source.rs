//! A text that a user wrote, places in it, and how a place is shown.

use std::fmt::{self, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::diag::{Failure, Reason, Result};

/// The widest line that is shown whole, in characters.
const WIDEST: usize = 110;

/// A file and its text.
pub(crate) struct Source {
    /// The file, as the user named it.
    pub(crate) file: PathBuf,
    /// Its text, without a byte order mark.
    pub(crate) text: String,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // every node of a tree points here: the text would be printed with each
        write!(f, "{}", self.file.display())
    }
}

impl Source {
    /// A text that was read already.
    pub(crate) fn new(file: impl Into<PathBuf>, text: &str) -> Arc<Self> {
        Arc::new(Self {
            file: file.into(),
            text: text.strip_prefix('\u{feff}').unwrap_or(text).to_owned(),
        })
    }

    /// Reads a file. `shown` is how it is called in messages.
    ///
    /// # Errors
    /// `FILE_UNREADABLE` if it is missing, a folder, not to be read or no UTF-8.
    pub(crate) fn read(path: &Path, shown: &Path) -> Result<Arc<Self>> {
        let name = shown.display();
        if path.is_dir() {
            return Err(Failure::new(
                Reason::FileUnreadable,
                format!("`{name}` is a folder, not a file"),
            ));
        }
        // std and not fs-err: the message names the file as the user did
        let bytes = std::fs::read(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Failure::new(Reason::FileUnreadable, format!("there is no file `{name}`")),
            std::io::ErrorKind::PermissionDenied => {
                Failure::new(Reason::FileUnreadable, format!("`{name}` may not be read")).evidence(error.to_string())
            }
            _ => Failure::new(Reason::FileUnreadable, format!("`{name}` cannot be read")).evidence(error.to_string()),
        })?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let line = 1 + error.as_bytes()[..error.utf8_error().valid_up_to()]
                .iter()
                .filter(|b| **b == b'\n')
                .count();
            Failure::new(Reason::FileUnreadable, "the file is not UTF-8 text")
                .at(shown, line, 0)
                .evidence(error.utf8_error().to_string())
        })?;
        Ok(Self::new(shown, &text))
    }
}

/// A place in a [`Source`]; line and column count from 1, columns in characters.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    source: Arc<Source>,
    /// The line.
    pub(crate) line: usize,
    /// The column.
    pub(crate) column: usize,
    width: usize,
}

impl Place {
    /// `width` characters from `line` and `column` on; at least one is marked.
    pub(crate) fn new(source: &Arc<Source>, line: usize, column: usize, width: usize) -> Self {
        Self {
            source: Arc::clone(source),
            line: line.max(1),
            column: column.max(1),
            width,
        }
    }

    /// The start of the text.
    pub(crate) fn start(source: &Arc<Source>) -> Self {
        Self::new(source, 1, 1, 1)
    }

    /// The file it lies in.
    pub(crate) fn file(&self) -> &Path {
        &self.source.file
    }

    /// The bytes of the text that it covers.
    pub(super) fn range(&self) -> Range<usize> {
        let text = &self.source.text;
        let line: usize = text.split_inclusive('\n').take(self.line - 1).map(str::len).sum();
        let rest = &text[line.min(text.len())..];
        let behind = |characters: usize| rest.char_indices().nth(characters).map_or(rest.len(), |(at, _)| at);
        let (start, end) = (behind(self.column - 1), behind(self.column - 1 + self.width));
        line + start..line + end
    }

    /// A failure at this place, with the lines around it as evidence.
    pub(crate) fn failure(&self, reason: Reason, message: impl Into<String>) -> Failure {
        Failure::new(reason, message)
            .at(self.file(), self.line, self.column)
            .evidence(self.excerpt())
    }

    /// The excerpt below the name of the file and the line, for a place beside the failure's own.
    pub(crate) fn named_excerpt(&self) -> String {
        format!("{}:{}\n{}", self.file().display(), self.line, self.excerpt())
    }

    /// The line and the one before it, and a mark below the place:
    ///
    /// ```text
    ///   3 | kafka:
    ///   4 |   prot: 9092
    ///     |   ^^^^
    /// ```
    pub(crate) fn excerpt(&self) -> String {
        let lines: Vec<&str> = self.source.text.lines().collect();
        let Some(line) = lines.get(self.line - 1) else {
            return String::new();
        };
        let length = line.chars().count();
        // a long line is cut so that the mark stays in view
        let skipped = if length > WIDEST {
            (self.column - 1).saturating_sub(WIDEST / 2)
        } else {
            0
        };
        let digits = self.line.to_string().len().max(3);
        let mut text = String::new();
        let mut show = |number: &dyn std::fmt::Display, content: &str| {
            let _ = writeln!(text, "{number:>digits$} | {content}");
        };
        let cut = |line: &str| -> String {
            let shown: String = line.chars().skip(skipped).take(WIDEST).collect();
            let (before, after) = (skipped > 0, line.chars().count() > skipped + WIDEST);
            format!(
                "{}{shown}{}",
                if before { "…" } else { "" },
                if after { "…" } else { "" }
            )
        };
        if let Some(previous) = self.line.checked_sub(2).and_then(|index| lines.get(index))
            && !previous.trim().is_empty()
            && skipped == 0
        {
            show(&(self.line - 1), &cut(previous));
        }
        show(&self.line, &cut(line));
        // tabs stay tabs, so that the mark stands where the eye expects it
        let pad: String = line
            .chars()
            .skip(skipped)
            .take(self.column - 1 - skipped.min(self.column - 1))
            .collect();
        let pad: String = pad.chars().map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let beyond = (self.column - 1).saturating_sub(length);
        let room = length.saturating_sub(self.column - 1).clamp(1, WIDEST);
        let marks = "^".repeat(self.width.clamp(1, room));
        let ellipsis = if skipped > 0 { " " } else { "" };
        show(&"", &format!("{ellipsis}{pad}{}{marks}", " ".repeat(beyond)));
        text.trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excerpt(text: &str, line: usize, column: usize, width: usize) -> String {
        Place::new(&Source::new("x", text), line, column, width).excerpt()
    }

    #[test]
    fn the_mark_stands_below_the_place() {
        assert_eq!(
            excerpt("a:\n  bcd: 1\n", 2, 3, 3),
            "  1 | a:\n  2 |   bcd: 1\n    |   ^^^"
        );
        assert_eq!(
            excerpt("\tx", 1, 2, 9),
            "  1 | \tx\n    | \t^",
            "tabs stay, and the mark ends with the line"
        );
        assert_eq!(excerpt("ab", 1, 3, 1), "  1 | ab\n    |   ^", "behind the line's end");
        assert_eq!(excerpt("ab", 7, 1, 1), "", "a line that is not there");
    }

    #[test]
    fn a_long_line_is_cut_round_the_place() {
        let line = format!("{}HERE{}", "x".repeat(500), "y".repeat(500));
        let shown = excerpt(&line, 1, 501, 4);
        let rows: Vec<&str> = shown.lines().collect();
        let mark = rows[1].chars().position(|c| c == '^').unwrap();
        assert_eq!(rows[0].chars().skip(mark).take(4).collect::<String>(), "HERE");
        assert!(rows[0].chars().count() < 130);
    }
}
