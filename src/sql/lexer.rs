//! Cuts a script into tokens as Flink's parser sees them, comments and blanks left out.

use std::ops::Range;

use super::SplitError;
use super::lines::Lines;

pub(super) const BYTE_ORDER_MARK: char = '\u{feff}';

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    /// ASCII letters, digits, `_` and `$`, and all characters beyond ASCII that are no blanks.
    Word,
    /// `'…'`, with the quotes.
    Text,
    /// `"…"` or `` `…` ``, with the quotes.
    Name,
    /// A semicolon that ends a statement.
    Semicolon,
    /// Any other character, and the two marks of a hint.
    Symbol,
}

/// A token and its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Type,
    pub(super) range: Range<usize>,
}

struct Lexer<'a> {
    script: &'a str,
    at: usize,
    /// Where the hint begins that is open.
    hint: Option<usize>,
    tokens: Vec<Token>,
}

/// The tokens of a script.
pub(super) fn tokens(script: &str) -> Result<Vec<Token>, SplitError> {
    Lexer {
        script,
        at: 0,
        hint: None,
        tokens: Vec::new(),
    }
    .read()
}

impl Lexer<'_> {
    fn read(mut self) -> Result<Vec<Token>, SplitError> {
        while let Some(c) = self.rest().chars().next() {
            let start = self.at;
            match c {
                _ if is_blank(c) => self.at += c.len_utf8(),
                _ if self.looking("--") || self.looking("//") => {
                    let rest = self.rest();
                    self.at += rest.find(['\n', '\r']).unwrap_or(rest.len());
                }
                _ if self.looking("/*+") => {
                    self.hint.get_or_insert(start);
                    self.push(Type::Symbol, 3);
                }
                _ if self.looking("/*") => match self.script[start + 2..].find("*/") {
                    Some(length) => self.at = start + 2 + length + 2,
                    None => return Err(self.error(start, "comment not closed")),
                },
                _ if self.hint.is_some() && self.looking("*/") => {
                    self.hint = None;
                    self.push(Type::Symbol, 2);
                }
                '\'' => self.quoted(start, Type::Text, false, "string not closed")?,
                '"' => self.quoted(start, Type::Name, false, "double quotes not closed")?,
                '`' => self.quoted(start, Type::Name, false, "name in backticks not closed")?,
                ';' if self.hint.is_none() => self.push(Type::Semicolon, 1),
                _ if in_word(c) => self.word(start)?,
                _ => self.push(Type::Symbol, c.len_utf8()),
            }
        }
        match self.hint {
            Some(at) => Err(self.error(at, "hint not closed")),
            None => Ok(self.tokens),
        }
    }

    fn rest(&self) -> &str {
        &self.script[self.at..]
    }

    fn looking(&self, text: &str) -> bool {
        self.rest().starts_with(text)
    }

    fn push(&mut self, kind: Type, length: usize) {
        self.tokens.push(Token {
            kind,
            range: self.at..self.at + length,
        });
        self.at += length;
    }

    fn error(&self, at: usize, message: &'static str) -> SplitError {
        SplitError {
            position: Lines::new(self.script).position(at),
            message,
        }
    }

    fn word(&mut self, start: usize) -> Result<(), SplitError> {
        let rest = self.rest();
        let length = rest.find(|c| !in_word(c)).unwrap_or(rest.len());
        let word = &rest[..length];
        // E'...': the one string in which a backslash escapes what follows it
        if word.eq_ignore_ascii_case("e") && rest[length..].starts_with('\'') {
            self.at += length;
            return self.quoted(start, Type::Text, true, "string not closed");
        }
        self.push(Type::Word, length);
        Ok(())
    }

    /// From the opening quote to the closing one; a doubled quote stands for itself.
    fn quoted(&mut self, start: usize, kind: Type, escapes: bool, unclosed: &'static str) -> Result<(), SplitError> {
        // the quotes and the backslash are ASCII: never a part of another character
        let bytes = self.script.as_bytes();
        let quote = bytes[self.at];
        let mut at = self.at + 1;
        while let Some(&byte) = bytes.get(at) {
            if escapes && byte == b'\\' {
                at += 1;
            } else if byte == quote {
                if bytes.get(at + 1) != Some(&quote) {
                    self.at = at + 1;
                    self.tokens.push(Token {
                        kind,
                        range: start..self.at,
                    });
                    return Ok(());
                }
                at += 1;
            }
            at += 1;
        }
        Err(self.error(start, unclosed))
    }
}

/// Blanks as Java tells them, whose runner reads the same scripts: U+0085 is none, the separators of ASCII are. Byte order
/// marks are left where files were put together.
fn is_blank(c: char) -> bool {
    (c.is_whitespace() && c != '\u{85}') || ('\u{1c}'..='\u{1f}').contains(&c) || c == BYTE_ORDER_MARK
}

/// Which characters beyond ASCII are letters is Flink's business: no rule here hangs on it.
fn in_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '$' || !c.is_ascii() && !is_blank(c)
}
