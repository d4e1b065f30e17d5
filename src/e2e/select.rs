//! Which cases of those that were found are run.

use std::path::Path;
use std::str::FromStr;

use crate::config::Case;

/// Which cases are run; all that is said has to be true of one.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Words or patterns (`*`, `?`) that the name or the file has, one of them; `!` before one means that it has not.
    pub words: Vec<String>,
    /// Tags, one of which it has; `!` before one means that it has not.
    pub tags: Vec<String>,
    /// The part of all, so that machines share them.
    pub shard: Option<Shard>,
}

/// One of several parts, `1/4` to `4/4`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    number: usize,
    of: usize,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no part of all: write `1/4` for the first of four");
        let (number, of) = text.split_once('/').ok_or_else(wrong)?;
        let (number, of) = (number.trim().parse(), of.trim().parse());
        match (number, of) {
            (Ok(number), Ok(of)) if (1..=of).contains(&number) => Ok(Self { number, of }),
            _ => Err(wrong()),
        }
    }
}

impl Selection {
    /// The chosen ones, in the order they have. A shard counts those that the rest chooses, so shards have equal parts.
    pub fn choose(&self, cases: Vec<Case>) -> Vec<Case> {
        let chosen = cases.into_iter().filter(|case| {
            let word = |word: &str| has_word(word, &case.name, &case.file);
            let tag = |tag: &str| case.tags.iter().any(|known| known.eq_ignore_ascii_case(tag));
            wanted(&self.words, word) && wanted(&self.tags, tag)
        });
        let ours = |index: usize| self.shard.is_none_or(|s| index % s.of == s.number - 1);
        chosen
            .enumerate()
            .filter(|(index, _)| ours(*index))
            .map(|(_, case)| case)
            .collect()
    }
}

/// Whether one of those that are asked for is there, if any is, and none of those that are not to be.
fn wanted(asked: &[String], has: impl Fn(&str) -> bool) -> bool {
    let (not, are): (Vec<_>, Vec<_>) = asked.iter().partition(|word| word.starts_with('!'));
    (are.is_empty() || are.iter().any(|word| has(word))) && !not.iter().any(|word| has(&word[1..]))
}

fn has_word(word: &str, name: &str, file: &Path) -> bool {
    let word = word.to_lowercase();
    let texts = [name.to_lowercase(), file.to_string_lossy().to_lowercase()];
    if word.contains(['*', '?']) {
        let pattern: Vec<char> = word.chars().collect();
        return texts
            .iter()
            .any(|text| glob(&pattern, &text.chars().collect::<Vec<_>>()));
    }
    texts.iter().any(|text| text.contains(&word))
}

/// Whether the whole text is what a pattern says: `*` is any text, `?` any character.
fn glob(pattern: &[char], text: &[char]) -> bool {
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        if p < pattern.len() && pattern[p] == '*' {
            star = Some((p, t));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == '?' || pattern[p] == text[t]) {
            (p, t) = (p + 1, t + 1);
        } else if let Some((at, from)) = star {
            // the last star takes one character more
            star = Some((at, from + 1));
            (p, t) = (at + 1, from + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::e2e::tests::plain_case;

    fn chosen(selection: &Selection) -> Vec<String> {
        let case = |name: &str, tags: &[&str]| Case {
            name: name.to_owned(),
            file: format!("tests/{name}.test.yaml").into(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            ..plain_case()
        };
        let cases = vec![
            case("orders", &["slow"]),
            case("Order joins", &["sql", "join"]),
            case("windows", &["sql"]),
        ];
        selection.choose(cases).into_iter().map(|case| case.name).collect()
    }

    fn words(words: &[&str]) -> Selection {
        Selection {
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            ..Selection::default()
        }
    }

    fn tags(tags: &[&str]) -> Selection {
        Selection {
            tags: words(tags).words,
            ..Selection::default()
        }
    }

    #[test]
    fn cases_are_chosen_by_words_patterns_and_tags() {
        assert_eq!(chosen(&Selection::default()).len(), 3);
        assert_eq!(chosen(&words(&["order"])), ["orders", "Order joins"]);
        assert_eq!(chosen(&words(&["order?"])), ["orders"]);
        assert_eq!(chosen(&words(&["*joins", "wind"])), ["Order joins", "windows"]);
        assert_eq!(chosen(&words(&["!order"])), ["windows"]);
        assert_eq!(chosen(&words(&["*/windows.test.yaml"])), ["windows"]);
        assert_eq!(chosen(&tags(&["SQL"])), ["Order joins", "windows"]);
        assert_eq!(chosen(&tags(&["sql", "!join"])), ["windows"]);
        assert!(chosen(&words(&["none"])).is_empty());
    }

    #[test]
    fn shards_are_all_cases_each_once() {
        let part = |text: &str| {
            chosen(&Selection {
                shard: Some(text.parse().unwrap()),
                ..Selection::default()
            })
        };
        assert_eq!(part("1/2"), ["orders", "windows"]);
        assert_eq!(part("2/2"), ["Order joins"]);
        for wrong in ["0/2", "3/2", "1", "a/b", "1/0"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }
}
