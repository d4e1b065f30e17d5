//! What came out of a topic, as it would have to be expected: for `dev test --update`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::compare::Board;
use super::diff;
use super::pattern::{Rules, Want};
use super::seen::Seen;
use crate::config::{FORMS, Fields, Json, Match, Record, Rewrite};

/// What of an expectation is to be written anew, and what of it would be lost.
#[derive(Debug, Clone)]
pub struct Observed {
    /// The change.
    pub rewrite: Rewrite,
    /// What stands for many values or records and could not stay, for people.
    pub lost: Vec<String>,
}

/// What is to change so that the expectation holds with what was seen; `None` if it holds.
pub(super) fn observed(board: &Board) -> Option<Observed> {
    let outcome = board.outcome();
    if outcome.holds() {
        return None;
    }
    let mut notes = Notes::new(board);
    if board.expectation().mode == Match::Ordered {
        let seen = board.current();
        for at in 0..board.expected_len().max(seen.len()) {
            match (at < board.expected_len(), seen.get(at)) {
                (true, Some(seen)) if board.is(at, *seen) => {}
                (true, seen) => notes.change(at, seen.copied()),
                (false, Some(seen)) => notes.add(*seen),
                (false, None) => {}
            }
        }
    } else {
        let (pairs, missing, unexpected) = diff::pair(board, outcome);
        pairs.into_iter().for_each(|(row, seen)| notes.change(row, Some(seen)));
        missing.into_iter().for_each(|row| notes.change(row, None));
        unexpected.into_iter().for_each(|seen| notes.add(seen));
    }
    Some(Observed {
        rewrite: Rewrite {
            topic: board.expectation().topic.clone(),
            changes: notes.changes.into_iter().collect(),
            added: notes.added,
            keyed: board.expectation().mode == Match::LastPerKey
                || (0..board.expected_len()).any(|row| board.expected(row).key.is_some()),
        },
        lost: notes.lost.into_iter().collect(),
    })
}

struct Notes<'a> {
    board: &'a Board,
    /// How many records each item of the list stands for.
    stands_for: HashMap<usize, usize>,
    changes: BTreeMap<usize, Option<Record>>,
    added: Vec<Record>,
    lost: BTreeSet<String>,
}

impl<'a> Notes<'a> {
    fn new(board: &'a Board) -> Self {
        let mut stands_for = HashMap::new();
        for row in 0..board.expected_len() {
            *stands_for.entry(board.expected(row).item).or_default() += 1;
        }
        Self {
            board,
            stands_for,
            changes: BTreeMap::new(),
            added: Vec::new(),
            lost: BTreeSet::new(),
        }
    }

    fn change(&mut self, row: usize, seen: Option<usize>) {
        let record = self.board.expected(row);
        if self.stands_for.get(&record.item).is_some_and(|n| *n > 1) {
            self.lost.insert(format!(
                "line {}: `repeat`, which stands for several records",
                record.line
            ));
        }
        let mut lost = false;
        let new = seen.map(|seen| merged(&record, &self.board.seen(seen), self.board.rules(), &mut lost));
        if lost || seen.is_none() && has_form(&record.value) {
            self.lost.insert(format!("line {}: {}", record.line, record.value));
        }
        // of several records of one item the first one tells
        self.changes.entry(record.item).or_insert(new);
    }

    fn add(&mut self, seen: usize) {
        let seen = self.board.seen(seen);
        if has_form(&seen.value) && !is_spelling(&seen.value) {
            self.lost
                .insert(format!("a record that looks like a pattern: {}", seen.value));
        }
        self.added.push(Record {
            key: Some(seen.key.clone()).filter(|key| !key.is_null()),
            value: seen.value.clone(),
            ..Record::default()
        });
    }
}

/// An expected record with what was seen instead, as far as that differs.
fn merged(want: &Record, seen: &Seen, rules: Rules, lost: &mut bool) -> Record {
    let key = want.key.as_ref().map(|key| {
        if seen.has_key(&key.canonical()) {
            key.clone()
        } else {
            merge(key, &seen.key, Rules::STRICT, lost)
        }
    });
    let headers = want.headers.as_ref().map(|wants| {
        let there: Vec<(&str, Json)> = seen.around.headers().collect();
        let mut all = Vec::new();
        for (name, want) in wants {
            if let Some((_, value)) = there.iter().find(|(known, _)| known == name) {
                all.push((name.clone(), merge(want, value, rules, lost)));
            }
        }
        for (name, value) in there {
            if rules.fields == Fields::Strict && !all.iter().any(|(known, _)| known == name) {
                all.push((name.to_owned(), value));
            }
        }
        all
    });
    Record {
        key,
        value: merge(&want.value, &seen.value, rules, lost),
        headers,
        timestamp: want.timestamp.map(|_| seen.around.timestamp),
        partition: want
            .partition
            .map(|_| u32::try_from(seen.around.partition).unwrap_or_default()),
        ..want.clone()
    }
}

/// What fits stays as it was written; `lost` tells that a pattern does not fit and had to go.
fn merge(want: &Json, seen: &Json, rules: Rules, lost: &mut bool) -> Json {
    if Want::of(want).fits(seen, rules) {
        return want.clone();
    }
    match (want, seen) {
        (Json::Map(wants), Json::Map(fields)) if !is_form(want) => {
            let mut all = Vec::new();
            for (name, want) in wants {
                match seen.get(name) {
                    Some(seen) => all.push((name.clone(), merge(want, seen, rules, lost))),
                    None => *lost |= has_form(want),
                }
            }
            if rules.fields == Fields::Strict {
                let more = fields.iter().filter(|(name, _)| want.get(name).is_none());
                all.extend(more.cloned());
            }
            Json::Map(all)
        }
        (Json::List(wants), Json::List(items)) if wants.len() == items.len() => Json::List(
            wants
                .iter()
                .zip(items)
                .map(|(want, item)| merge(want, item, rules, lost))
                .collect(),
        ),
        _ => {
            *lost |= has_form(want);
            seen.clone()
        }
    }
}

fn is_form(value: &Json) -> bool {
    matches!(value.fields(), [(name, _)] if FORMS.contains(&name.as_str()))
}

/// Whether it is one of the forms that only spell a value.
fn is_spelling(value: &Json) -> bool {
    matches!(value.fields(), [(name, _)] if name == "$hex" || name == "$json")
}

fn has_form(value: &Json) -> bool {
    match value {
        Json::List(items) => items.iter().any(has_form),
        Json::Map(fields) => is_form(value) || fields.iter().any(|(_, value)| has_form(value)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use bytes::Bytes;

    use super::*;
    use crate::config::{Case, rewritten};
    use crate::kafka::Fetched;

    const SQL: &str = "CREATE TABLE a (x INT) WITH ('topic' = '${topic.a}');INSERT INTO a SELECT 1;";

    fn case(expect: &str) -> (String, Case) {
        let text = format!("version: 1\nsql: x.sql\nexpect:\n  a:\n{expect}");
        let case =
            Case::parse(Path::new("x.test.yaml"), &text, &[("x.sql", SQL)]).unwrap_or_else(|f| panic!("{f}\n{text}"));
        (text, case)
    }

    fn board(case: &Case, seen: &[(&str, &str)]) -> Board {
        let mut board = Board::new(case.expect[0].clone());
        for (offset, (key, value)) in seen.iter().enumerate() {
            let bytes = |text: &str| Some(Bytes::copy_from_slice(text.as_bytes())).filter(|bytes| !bytes.is_empty());
            board.add(&Fetched {
                topic: "a".to_owned(),
                partition: 0,
                offset: offset as i64,
                key: bytes(key),
                value: bytes(value),
                timestamp: 1_767_225_600_000,
                headers: vec![("h".to_owned(), bytes("x"))],
            });
        }
        board
    }

    /// What is expected afterwards, and what was lost; it holds with what was seen.
    fn mended(expect: &str, seen: &[(&str, &str)]) -> (String, Vec<String>) {
        let (text, before) = case(expect);
        let found = observed(&board(&before, seen)).unwrap();
        let text = rewritten(Path::new("x.test.yaml"), &text, &[found.rewrite]).unwrap_or_else(|f| panic!("{f}"));
        let expect = text.split_once("  a:\n").unwrap_or_else(|| panic!("{text}")).1;
        let (_, after) = case(expect);
        let board = board(&after, seen);
        assert!(board.outcome().holds(), "{text}\n{:?}", board.outcome());
        (expect.to_owned(), found.lost)
    }

    #[test]
    fn what_differs_is_changed_what_is_missing_goes_and_what_came_is_added() {
        let (text, lost) = mended(
            "    - {id: a, n: 1}  # first\n    - {id: b, n: 2}\n    - {id: c, n: {$any: true}}\n    - {id: gone, n: 0, m: 0}\n",
            &[
                ("", r#"{"id":"a","n":1}"#),
                ("", r#"{"id":"b","n":20}"#),
                ("", r#"{"id":"c","n":3}"#),
                ("", r#"{"other":true}"#),
            ],
        );
        assert_eq!(
            text,
            "    - {id: a, n: 1}  # first\n    - {id: b, n: 20}\n    - {id: c, n: {$any: true}}\n    - {other: true}\n"
        );
        assert!(lost.is_empty());
        assert!(observed(&board(&case("    - 1\n").1, &[("", "1")])).is_none());
    }

    #[test]
    fn keys_order_headers_and_times_are_mended_too() {
        let (text, _) = mended(
            "    match: last-per-key\n    records:\n      - {key: k, value: {n: 1}}\n      - {key: l, value: {n: 1}}\n",
            &[("k", r#"{"n":2}"#), ("m", r#"{"n":1}"#)],
        );
        assert!(
            text.contains("{key: k, value: {n: 2}}") && text.contains("key: m"),
            "{text}"
        );
        let (text, _) = mended(
            "    match: ordered\n    records: [1, 2, 3]\n",
            &[("", "1"), ("", "3"), ("", "2"), ("", "4")],
        );
        assert_eq!(text, "    match: ordered\n    records: [1, 3, 2, 4]\n");
        let (text, _) = mended(
            "    - {value: 1, timestamp: 2026-01-01T00:00:01Z, partition: 0, headers: {g: y}}\n",
            &[("", "1")],
        );
        assert_eq!(
            text,
            "    - {value: 1, timestamp: \"2026-01-01T00:00:00Z\", partition: 0, headers: {h: x}}\n"
        );
    }

    #[test]
    fn what_stands_for_many_is_told_when_it_is_lost() {
        let lost = |expect: &str, seen: &[(&str, &str)]| observed(&board(&case(expect).1, seen)).unwrap().lost;
        let lines = lost("    - {id: {$regex: \"^o\"}, n: 1}\n", &[("", r#"{"id":"x","n":1}"#)]);
        assert_eq!(lines, ["line 5: {\"id\":{\"$regex\":\"^o\"},\"n\":1}"]);
        let lines = lost("    - {value: {n: \"${i}\"}, repeat: 2}\n", &[("", r#"{"n":0}"#)]);
        assert_eq!(lines, ["line 5: `repeat`, which stands for several records"]);
    }
}
