//! `${NAME}` and `${NAME:-default}` in a script that is run by itself, and the way back to the user's columns.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::nearest;
use crate::sql::{Problem, placeholders};

/// A script with everything put in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filled {
    /// The text for Flink.
    pub text: String,
    /// By line (from 1): where something was put in (column in `text`, from 1), how long it is there, and how long it
    /// was in the user's file; in characters, in order.
    spans: BTreeMap<usize, Vec<(usize, usize, usize)>>,
}

impl Filled {
    /// The user's column for a place in [`Self::text`]; nothing that is put in holds a line's end, so lines stay.
    pub fn column(&self, line: usize, column: usize) -> usize {
        let mut shift = 0isize;
        for &(at, long, was) in self.spans.get(&line).map_or(&[][..], Vec::as_slice) {
            if column < at {
                break;
            }
            if column < at + long {
                return at.saturating_add_signed(shift);
            }
            shift += was as isize - long as isize;
        }
        column.saturating_add_signed(shift)
    }
}

/// Puts values in. `vars` are the user's; `bootstrap` is what `${kafka.bootstrap}` stands for, and `${topic.NAME}` is
/// NAME itself, so that the script of a test case runs by itself, too.
///
/// # Errors
/// At the place of a placeholder that has no value; at the start, for a variable that the script does not have.
pub fn fill(script: &str, vars: &BTreeMap<String, String>, bootstrap: Option<&str>) -> Result<Filled, Problem> {
    let found = placeholders(script);
    let names: BTreeSet<&str> = found.iter().map(|p| split(p.name).0).collect();
    if let Some(unused) = vars.keys().find(|name| !names.contains(name.as_str())) {
        let next = match nearest(unused, names.iter().copied()) {
            Some(near) => format!("did you mean --var {near}=…?"),
            None => format!("write ${{{unused}}} in the script, or leave --var {unused} out"),
        };
        return Err(Problem {
            position: crate::sql::Position { line: 1, column: 1 },
            width: 1,
            message: format!("the script has no `${{{unused}}}` for --var {unused}"),
            next: Some(next),
        });
    }
    let mut filled = Filled {
        text: String::with_capacity(script.len()),
        spans: BTreeMap::new(),
    };
    let mut done = 0;
    for placeholder in &found {
        // it is a slice of the script: two characters before it stands its `$`
        let start = placeholder.name.as_ptr() as usize - script.as_ptr() as usize - "${".len();
        let (name, default) = split(placeholder.name);
        let width = placeholder.name.chars().count() + "${}".len();
        let problem = |message: String, next: String| Problem {
            position: placeholder.position,
            width,
            message,
            next: Some(next),
        };
        let value = match (vars.get(name), name.strip_prefix("topic.")) {
            (Some(value), _) => value.clone(),
            (None, Some(topic)) => topic.to_owned(),
            (None, None) if name == "kafka.bootstrap" => match (bootstrap, default) {
                (Some(address), _) => address.to_owned(),
                (None, Some(default)) => default.to_owned(),
                (None, None) => {
                    let message = "`${kafka.bootstrap}`: the profile has no Kafka".to_owned();
                    return Err(problem(message, "add --var kafka.bootstrap=HOST:PORT".to_owned()));
                }
            },
            (None, None) => match default {
                Some(default) => default.to_owned(),
                None => {
                    let next = match nearest(name, vars.keys().map(String::as_str)) {
                        Some(near) => format!("did you mean ${{{near}}}?"),
                        None => format!("add --var {name}=VALUE, or write ${{{name}:-DEFAULT}}"),
                    };
                    return Err(problem(format!("`${{{name}}}` has no value"), next));
                }
            },
        };
        if value.contains(['\n', '\r']) {
            let message = format!("the value of `{name}` has a line end");
            return Err(problem(message, format!("give --var {name} one line")));
        }
        filled.text.push_str(&script[done..start]);
        let line_start = filled.text.rfind(['\n', '\r']).map_or(0, |at| at + 1);
        let mut before = &filled.text[line_start..];
        before = before.strip_prefix('\u{feff}').unwrap_or(before);
        let column = before.chars().count() + 1;
        let spans = filled.spans.entry(placeholder.position.line).or_default();
        spans.push((column, value.chars().count(), width));
        filled.text.push_str(&value);
        done = start + "${".len() + placeholder.name.len() + "}".len();
    }
    filled.text.push_str(&script[done..]);
    Ok(filled)
}

/// `NAME:-default`.
fn split(name: &str) -> (&str, Option<&str>) {
    match name.split_once(":-") {
        Some((name, default)) => (name.trim(), Some(default)),
        None => (name.trim(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(all: &[(&str, &str)]) -> BTreeMap<String, String> {
        all.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn values_defaults_and_columns() {
        let script = "-- ${no}\nSELECT '${A}', 'é ${B:-b c}' FROM ${topic.orders}; x\n'${kafka.bootstrap}'";
        let filled = fill(script, &vars(&[("A", "long value")]), Some("kafka:9092")).unwrap();
        assert_eq!(
            filled.text,
            "-- ${no}\nSELECT 'long value', 'é b c' FROM orders; x\n'kafka:9092'"
        );
        let column = |text: &str, word: &str| text[..text.find(word).unwrap()].chars().count() + 1;
        let (users, ours) = (script.lines().nth(1).unwrap(), filled.text.lines().nth(1).unwrap());
        for word in ["SELECT", "FROM", "; x", "é"] {
            assert_eq!(filled.column(2, column(ours, word)), column(users, word), "{word}");
        }
        assert_eq!(filled.column(2, column(ours, "value")), column(users, "${A}"));
        let empty = fill("a ${X:-} b", &vars(&[]), None).unwrap();
        assert_eq!((empty.text.as_str(), empty.column(1, 4)), ("a  b", 10));
    }

    #[test]
    fn what_has_no_value_is_told_at_its_place() {
        let problem = fill("a\n b ${REGON}", &vars(&[]), None).unwrap_err();
        assert_eq!((problem.position.line, problem.position.column), (2, 4));
        assert!(problem.next.unwrap().contains("--var REGON=VALUE"));
        let problem = fill("${REGION}", &vars(&[("REGON", "EU")]), None).unwrap_err();
        assert!(problem.message.contains("--var REGON"), "{}", problem.message);
        assert_eq!(problem.next.as_deref(), Some("did you mean --var REGION=…?"));
        assert!(fill("'${kafka.bootstrap}'", &vars(&[]), None).is_err());
        assert!(
            fill("${A}", &vars(&[("A", "x\ny")]), None)
                .unwrap_err()
                .message
                .contains("line end")
        );
    }
}
