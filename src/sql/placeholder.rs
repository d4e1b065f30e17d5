//! `${NAME}`: what is put into a script before it runs.

use super::lexer::tokens;
use super::{Position, position};

/// A placeholder of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placeholder<'a> {
    /// What stands between the braces.
    pub name: &'a str,
    /// Where its `$` stands.
    pub position: Position,
}

/// The placeholders of a script, in order; those in comments mean nothing. None where the script does not fall into
/// tokens.
pub fn placeholders(script: &str) -> Vec<Placeholder<'_>> {
    let tokens = tokens(script).unwrap_or_default();
    let in_comment = |at: usize| !tokens.iter().any(|token| token.range.contains(&at));
    let mut found = Vec::new();
    for (at, _) in script.match_indices("${") {
        let rest = &script[at + 2..];
        let Some(end) = rest.find(['}', '\n', '\r']).filter(|end| rest[*end..].starts_with('}')) else {
            continue;
        };
        if !in_comment(at) {
            found.push(Placeholder {
                name: &rest[..end],
                position: position(script, at),
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_found_outside_of_comments() {
        let script =
            "-- ${no}\nCREATE TABLE a WITH ('topic' = '${topic.a}', /* ${no} */ 'x' = 'é ${b}');\n${c} ${open\n}";
        let found: Vec<_> = placeholders(script)
            .iter()
            .map(|p| (p.name, p.position.line, p.position.column))
            .collect();
        assert_eq!(found, [("topic.a", 2, 33), ("b", 2, 67), ("c", 3, 1)]);
    }
}
