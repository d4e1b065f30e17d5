//! `${NAME}` and `${NAME:-default}`: what is put into a script before it runs.
//!
//! The SQL runner does the same, by the same rules; every case is written down in the corpus (`variables/*.json`).

use std::ops::Range;

use super::lexer::{Token, Type, tokens};
use super::lines::Lines;
use super::{Position, Problem};

/// A placeholder of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placeholder<'a> {
    /// What stands between the braces: `NAME` or `NAME:-default`.
    pub name: &'a str,
    /// Where its `$` stands.
    pub position: Position,
    /// The token that it stands in.
    token: &'a str,
    quoted: bool,
}

impl Placeholder<'_> {
    /// Whether it says itself what stands in for a variable that is unset or empty.
    pub fn has_default(&self) -> bool {
        self.name.contains(":-")
    }

    /// A value as it is put in here: within quotes those of the value are doubled.
    pub fn spell(&self, value: &str) -> String {
        if self.quoted {
            in_quotes(value, self.token)
        } else {
            value.to_owned()
        }
    }
}

/// A script with everything put in, and the way back to the user's columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Substituted {
    /// The text as Flink is to read it.
    pub text: String,
    source: String,
    pieces: Vec<Piece>,
}

/// From `start` in the text on; `source` is where that stands in the user's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Piece {
    start: usize,
    source: usize,
    /// It does not stand there: this is where its placeholder begins.
    put: bool,
}

impl Substituted {
    /// Where a byte of [`Self::text`] stands in the user's script; what was put in stands where its placeholder begins.
    pub fn position(&self, at: usize) -> Position {
        let after = self.pieces.partition_point(|piece| piece.start <= at);
        let at = match self.pieces.get(after.saturating_sub(1)) {
            Some(piece) if piece.put => piece.source,
            Some(piece) => piece.source + at - piece.start,
            None => at,
        };
        Lines::new(&self.source).position(at)
    }

    /// Where a place of [`Self::text`] stands in the user's script.
    pub fn origin(&self, place: Position) -> Position {
        self.position(Lines::new(&self.text).byte(place))
    }
}

/// The placeholders of a script, in order; those in comments mean nothing, and `$${` is none. None where the script does
/// not fall into tokens.
pub fn placeholders(script: &str) -> Vec<Placeholder<'_>> {
    let lines = Lines::new(script);
    let mut found = Vec::new();
    let tokens = tokens(script).unwrap_or_default();
    marks(script, &tokens, |mark| {
        if let Mark::Placeholder { at, inside, token } = mark {
            found.push(Placeholder {
                name: inside,
                position: lines.position(at),
                token: &script[token.range.clone()],
                quoted: is_quoted(token),
            });
        }
        Ok::<(), std::convert::Infallible>(())
    })
    .ok();
    found
}

/// Puts variables into a script. In a string or a quoted name the quotes of a value are doubled, so that a value stays
/// within it; anywhere else the value is read like the script itself. A default is taken as it stands, and `$${` stands
/// for `${`.
///
/// # Errors
/// At the place of a variable for which `value` has none and the script no default, of a placeholder that is not well
/// formed, or of a quote or comment that is not closed where there is a placeholder.
pub fn substitute(script: &str, value: impl Fn(&str) -> Option<String>) -> Result<Substituted, Problem> {
    // nothing to put in: what else may be wrong is not told here
    let tokens = if script.contains("${") {
        tokens(script).map_err(|error| Problem {
            position: error.position,
            width: 1,
            message: error.message.to_owned(),
            next: None,
        })?
    } else {
        Vec::new()
    };
    let mut out = Substituted {
        text: String::with_capacity(script.len()),
        source: script.to_owned(),
        pieces: Vec::new(),
    };
    let mut kept = 0;
    let keep = |out: &mut Substituted, range: Range<usize>| {
        out.pieces.push(Piece {
            start: out.text.len(),
            source: range.start,
            put: false,
        });
        out.text.push_str(&script[range]);
    };
    let problem = |at: usize, width: usize, message: String, next: String| Problem {
        position: Lines::new(script).position(at),
        width,
        message,
        next: Some(next),
    };
    let plain = || "write $${ for a plain ${".to_owned();
    marks(script, &tokens, |mark| {
        let (at, inside, token) = match mark {
            Mark::Open { at } => {
                return Err(problem(at, 2, "${ not closed by } on its line".to_owned(), plain()));
            }
            Mark::Escape { at } => {
                keep(&mut out, kept..at);
                kept = at + 1;
                return Ok(());
            }
            Mark::Placeholder { at, inside, token } => (at, inside, token),
        };
        let width = inside.chars().count() + 3;
        let length = name_length(inside);
        let (name, rest) = inside.split_at(length);
        if length == 0 || !(rest.is_empty() || rest.starts_with(":-")) {
            let message = format!("${{{inside}}} is not a variable: ${{NAME}} and ${{NAME:-default}} are");
            return Err(problem(at, width, message, plain()));
        }
        let put = match (value(name), rest.strip_prefix(":-")) {
            (Some(text), None) => quoted(&text, script, token),
            (Some(text), Some(_)) if !text.is_empty() => quoted(&text, script, token),
            (_, Some(default)) => default.to_owned(),
            (None, None) => {
                let message = format!("variable {name} is not set, and ${{{name}}} has no default");
                let next = format!("give it a value, or write ${{{name}:-default}}");
                return Err(problem(at, width, message, next));
            }
        };
        keep(&mut out, kept..at);
        if !put.is_empty() {
            out.pieces.push(Piece {
                start: out.text.len(),
                source: at,
                put: true,
            });
            out.text.push_str(&put);
        }
        kept = at + inside.len() + 3;
        Ok(())
    })?;
    keep(&mut out, kept..script.len());
    Ok(out)
}

/// What begins with `${` or `$${` outside of comments.
enum Mark<'a, 't> {
    /// `$${`
    Escape { at: usize },
    /// `${…}` and what is between the braces.
    Placeholder {
        at: usize,
        inside: &'a str,
        token: &'t Token,
    },
    /// `${` without a `}` on its line.
    Open { at: usize },
}

/// Finds them in order. Placeholders stand in tokens only: between them are blanks and comments.
fn marks<'a, 't, E>(
    script: &'a str,
    tokens: &'t [Token],
    mut found: impl FnMut(Mark<'a, 't>) -> Result<(), E>,
) -> Result<(), E> {
    let mut done = 0;
    // the next brace or line's end, so that no part of a script is read twice for it
    let mut stop = 0;
    for token in tokens {
        let mut at = done.max(token.range.start);
        while at < token.range.end {
            let Some(next) = script[at..token.range.end].find('$') else {
                break;
            };
            at += next;
            let rest = &script[at..];
            if rest.starts_with("$${") {
                found(Mark::Escape { at })?;
                at += 3;
            } else if rest.starts_with("${") {
                let inside = at + 2;
                if stop < inside {
                    let found = script[inside..].find(['}', '\n', '\r']);
                    stop = found.map_or(script.len(), |end| inside + end);
                }
                if script[stop..].starts_with('}') {
                    let inside = &script[inside..stop];
                    found(Mark::Placeholder { at, inside, token })?;
                    at = stop + 1;
                } else {
                    found(Mark::Open { at })?;
                    at = inside;
                }
            } else {
                at += 1;
            }
        }
        done = done.max(at);
    }
    Ok(())
}

/// How many bytes at the start are a name: a letter or `_`, then also digits, dots and hyphens.
fn name_length(text: &str) -> usize {
    let rest = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    match text.chars().next() {
        Some(c) if c.is_ascii_alphabetic() || c == '_' => text.find(|c| !rest(c)).unwrap_or(text.len()),
        _ => 0,
    }
}

fn quoted(text: &str, script: &str, token: &Token) -> String {
    if is_quoted(token) {
        return in_quotes(text, &script[token.range.clone()]);
    }
    text.to_owned()
}

fn is_quoted(token: &Token) -> bool {
    matches!(token.kind, Type::Text | Type::Name)
}

/// A text within a token that has quotes.
fn in_quotes(text: &str, token: &str) -> String {
    let quote = &token[token.len() - 1..];
    let text = text.replace(quote, &quote.repeat(2));
    // only in E'…' a backslash means anything
    if token.starts_with(|c: char| c.is_ascii_alphabetic()) {
        text.replace('\\', "\\\\")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_found_outside_of_comments() {
        let script = "-- ${no}\nCREATE TABLE a WITH ('topic' = '${topic.a}', /* ${no} */ 'x' = 'é ${b}$${c}');\n\
                      ${c:-1} ${open\n}";
        let found: Vec<_> = placeholders(script)
            .iter()
            .map(|p| (p.name, p.has_default(), p.position.line, p.position.column))
            .collect();
        assert_eq!(
            found,
            [("topic.a", false, 2, 33), ("b", false, 2, 67), ("c:-1", true, 3, 1)]
        );
    }

    #[test]
    fn places_lead_back_to_the_users_script() {
        let script = "USE ${a}; USE é$${x}${b:-y};\nUSE z";
        let done = substitute(script, |name| (name == "a").then(|| "long\nvalue".to_owned())).unwrap();
        assert_eq!(done.text, "USE long\nvalue; USE é${x}y;\nUSE z");
        let place = |text: &str| {
            let place = done.position(done.text.find(text).unwrap());
            (place.line, place.column)
        };
        assert_eq!(place("long"), (1, 5));
        assert_eq!(place("value"), (1, 5));
        assert_eq!(place("; USE é"), (1, 9));
        assert_eq!(place("x}"), (1, 19));
        assert_eq!(place("y;"), (1, 21));
        assert_eq!(place("z"), (2, 5));
        assert_eq!(
            done.origin(Position { line: 3, column: 5 }),
            Position { line: 2, column: 5 }
        );
        assert_eq!(
            done.origin(Position { line: 2, column: 3 }),
            Position { line: 1, column: 5 }
        );
    }
}
