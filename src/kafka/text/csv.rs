//! CSV as RFC 4180 has it, row by row: fields in double quotes may hold commas, line ends and doubled quotes.

use std::io::BufRead;

use super::LineError;

/// A field, and whether it stood in quotes: `1` is a number, `"1"` is a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) text: String,
    pub(super) quoted: bool,
}

/// Rows of a CSV text.
#[derive(Debug)]
pub(super) struct Rows<R> {
    input: R,
    /// The number of the line read last.
    line: usize,
}

impl<R: BufRead> Rows<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, line: 0 }
    }

    /// The next row with the line it begins on; blank lines are passed over.
    pub(super) fn next(&mut self) -> Option<Result<(usize, Vec<Field>), LineError>> {
        loop {
            match super::read_line(&mut self.input, &mut self.line) {
                Ok(Some(text)) if text.trim().is_empty() => {}
                Ok(Some(text)) => return Some(self.row(text)),
                Ok(None) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }

    fn row(&mut self, mut text: String) -> Result<(usize, Vec<Field>), LineError> {
        let begin = self.line;
        let mut fields = Vec::new();
        let mut at = 0;
        loop {
            let rest = &text[at..];
            if !rest.starts_with('"') {
                let end = rest.find(',').unwrap_or(rest.len());
                if let Some(quote) = rest[..end].find('"') {
                    let message = "a quote within a field that does not begin with one";
                    return Err(LineError::at_byte(self.line, &text, at + quote, message));
                }
                fields.push(Field {
                    text: rest[..end].to_owned(),
                    quoted: false,
                });
                at += end;
            } else {
                let (open_line, open) = (self.line, text[..at].chars().count() + 1);
                let mut field = String::new();
                at += 1;
                loop {
                    let Some(quote) = text[at..].find('"').map(|n| at + n) else {
                        field.push_str(&text[at..]);
                        field.push('\n');
                        let unclosed = || LineError::new(open_line, open, "the quote is not closed");
                        text = super::read_line(&mut self.input, &mut self.line)?.ok_or_else(unclosed)?;
                        at = 0;
                        continue;
                    };
                    field.push_str(&text[at..quote]);
                    at = quote + 1;
                    if !text[at..].starts_with('"') {
                        break;
                    }
                    field.push('"');
                    at += 1;
                }
                if at < text.len() && !text[at..].starts_with(',') {
                    return Err(LineError::at_byte(
                        self.line,
                        &text,
                        at,
                        "expected a comma behind the closing quote",
                    ));
                }
                fields.push(Field {
                    text: field,
                    quoted: true,
                });
            }
            if at >= text.len() {
                return Ok((begin, fields));
            }
            // the comma; a field follows, be it empty
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(text: &str) -> Result<Vec<Vec<String>>, LineError> {
        let mut rows = Rows::new(text.as_bytes());
        let mut all = Vec::new();
        while let Some(row) = rows.next() {
            all.push(row?.1.into_iter().map(|f| f.text).collect());
        }
        Ok(all)
    }

    #[test]
    fn quotes_commas_and_line_ends() {
        let text = "\u{feff}a,b\r\n\r\n\"x, \"\"y\"\"\",\"1\n2\"\n,\nlast,";
        assert_eq!(
            rows(text).unwrap(),
            [vec!["a", "b"], vec!["x, \"y\"", "1\n2"], vec!["", ""], vec!["last", ""]]
        );
        let at = |text: &str| rows(text).map_err(|e| (e.line, e.column)).unwrap_err();
        assert_eq!(at("a\né,\"b\n\nc"), (2, 3), "where the quote was opened");
        assert_eq!(at("a\"b"), (1, 2));
        assert_eq!(at("\"a\"b,c"), (1, 4));
    }

    proptest! {
        #[test]
        fn what_is_quoted_comes_back(row in prop::collection::vec("[a-c,\"\n é]{0,6}", 1..5)) {
            // a row that is one empty field, or blank, is a blank line
            prop_assume!(!row.concat().trim().is_empty());
            let text = row.iter().map(|f| format!("\"{}\"", f.replace('"', "\"\""))).collect::<Vec<_>>().join(",");
            prop_assert_eq!(rows(&text).unwrap(), vec![row]);
        }
    }
}
