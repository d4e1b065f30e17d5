//! What a script's tables are made of: the options of each `CREATE TABLE`, with their places.

use crate::sql::{Kind, Position, Statement, Substituted};

/// An option of a table: `'key' = 'value'`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TableOption {
    pub(super) key: String,
    pub(super) value: String,
    /// Where the value's text begins.
    pub(super) position: Position,
}

/// The options of one table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Table {
    pub(super) options: Vec<TableOption>,
}

impl Table {
    pub(super) fn get(&self, key: &str) -> Option<&TableOption> {
        self.options.iter().find(|o| o.key == key)
    }
}

/// The tables of a script, in order; places are those in the user's text.
pub(super) fn tables(script: &Substituted, statements: &[Statement<'_>]) -> Vec<Table> {
    statements
        .iter()
        .filter(|s| matches!(s.kind, Kind::Create | Kind::CreateAs))
        .map(|statement| Table {
            options: options(statement.text)
                .into_iter()
                .map(|(key, value, at)| TableOption {
                    key,
                    value,
                    position: script.position(statement.range.start + at),
                })
                .collect(),
        })
        .filter(|table| !table.options.is_empty())
        .collect()
}

/// Each `'key' = 'value'` of a statement, with the byte at which the value's text begins.
fn options(text: &str) -> Vec<(String, String, usize)> {
    let mut found = Vec::new();
    // the string read last, and whether an equals sign followed it
    let mut key: Option<(String, bool)> = None;
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let length = match c {
            _ if rest.starts_with("--") => rest.find(['\n', '\r']).unwrap_or(rest.len()),
            _ if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '\'' | '"' | '`' => {
                let (content, length) = quoted(rest, c);
                match key.take() {
                    _ if c != '\'' => {}
                    Some((key, true)) => found.push((key, content, at + 1)),
                    _ => key = Some((content, false)),
                }
                length
            }
            '=' => {
                if let Some((_, equals)) = &mut key {
                    *equals = true;
                }
                1
            }
            c if c.is_whitespace() => c.len_utf8(),
            c => {
                key = None;
                c.len_utf8()
            }
        };
        at += length;
    }
    found
}

/// The content of a quoted text, and the bytes it takes with its quotes.
fn quoted(text: &str, quote: char) -> (String, usize) {
    let mut content = String::new();
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c != quote {
            content.push(c);
        } else if chars.next_if(|(_, next)| *next == quote).is_some() {
            content.push(quote);
        } else {
            return (content, at + 1);
        }
    }
    (content, text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{split, substitute};

    #[test]
    fn options_are_found_with_their_places() {
        let script = "CREATE TABLE a (`x = 'y'` INT COMMENT 'it''s') WITH ( -- 'no' = 'no'\n  'connector' = 'kafka' /* = 'x' */,\n  'topic'='é; b',\n 'a' , 'b' = 'c'\n);\nINSERT INTO a SELECT 'p' = 'q';";
        let statements = split(script).unwrap();
        let tables = tables(&substitute(script, |_| None).unwrap(), &statements);
        assert_eq!(tables.len(), 1);
        let seen: Vec<_> = tables[0]
            .options
            .iter()
            .map(|o| (o.key.as_str(), o.value.as_str(), o.position.line, o.position.column))
            .collect();
        assert_eq!(
            seen,
            [
                ("connector", "kafka", 2, 18),
                ("topic", "é; b", 3, 12),
                ("b", "c", 4, 15)
            ]
        );
    }
}
