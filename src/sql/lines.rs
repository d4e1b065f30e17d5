//! Lines and columns of a text.

use super::Position;
use super::lexer::BYTE_ORDER_MARK;

/// How many bytes lie between two places whose number of characters is remembered.
const STEP: usize = 1024;

/// Finds the place of any byte of a text in next to no time, however long its lines are.
#[derive(Debug, Clone)]
pub(super) struct Lines<'a> {
    bytes: &'a [u8],
    /// Where lines begin.
    starts: Vec<usize>,
    /// How many characters begin before each `STEP`th byte.
    characters: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        // a byte order mark at the very start takes no column
        let first = if text.starts_with(BYTE_ORDER_MARK) {
            BYTE_ORDER_MARK.len_utf8()
        } else {
            0
        };
        let bytes = text.as_bytes();
        let ends = bytes.iter().enumerate().filter(|(at, byte)| match byte {
            b'\n' => true,
            b'\r' => bytes.get(at + 1) != Some(&b'\n'),
            _ => false,
        });
        let characters = bytes.chunks(STEP).scan(0, |before, chunk| {
            let here = *before;
            *before += count(chunk);
            Some(here)
        });
        Self {
            bytes,
            starts: std::iter::once(first).chain(ends.map(|(at, _)| at + 1)).collect(),
            characters: characters.collect(),
        }
    }

    /// The place of a byte that begins a character, or of the text's end.
    pub(super) fn position(&self, at: usize) -> Position {
        let line = self.starts.partition_point(|start| *start <= at).max(1);
        let start = self.starts[line - 1];
        Position {
            line,
            column: self.before(at).saturating_sub(self.before(start)) + 1,
        }
    }

    /// The byte that a place stands for: the inverse of [`Self::position`]; the text's end for a place beyond it.
    pub(super) fn byte(&self, position: Position) -> usize {
        let start = self.starts.get(position.line.saturating_sub(1)).copied();
        let start = start.unwrap_or(self.bytes.len());
        let begin = |(_, byte): &(usize, &u8)| **byte & 0xc0 != 0x80;
        let mut characters = self.bytes[start..].iter().enumerate().filter(begin);
        let found = characters.nth(position.column.saturating_sub(1));
        found.map_or(self.bytes.len(), |(at, _)| start + at)
    }

    /// How many characters begin before a byte.
    fn before(&self, at: usize) -> usize {
        let step = (at / STEP).min(self.characters.len().saturating_sub(1));
        let rest = self.bytes.get(step * STEP..at).unwrap_or_default();
        self.characters.get(step).copied().unwrap_or_default() + count(rest)
    }
}

/// How many characters begin within some bytes of UTF-8.
fn count(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_that_are_counted_by_hand() {
        let text = "\u{feff}é\r\n\n\ra😀b\r".to_owned() + &"ü😀".repeat(1000) + "\nx";
        let lines = Lines::new(&text);
        let (mut line, mut column) = (1, 1);
        let mut characters = text.char_indices().skip(1).peekable();
        while let Some((at, c)) = characters.next() {
            assert_eq!(lines.position(at), Position { line, column }, "byte {at}");
            assert_eq!(lines.byte(Position { line, column }), at);
            let next = characters.peek().map(|(_, c)| *c);
            if c == '\n' || c == '\r' && next != Some('\n') {
                (line, column) = (line + 1, 1);
            } else {
                column += 1;
            }
        }
        assert_eq!(lines.position(text.len()), Position { line, column });
        assert_eq!(Lines::new("").position(0), Position { line: 1, column: 1 });
        assert_eq!(Lines::new("\u{feff}").position(0), Position { line: 1, column: 1 });
    }
}
