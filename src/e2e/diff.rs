//! The difference of expected and seen records, as lines for people.

use std::collections::{HashMap, HashSet};

use super::compare::{Board, Outcome};
use super::forbid::Fence;
use super::pattern::{Rules, Want};
use super::seen::Seen;

/// Records of one kind that are shown; the rest is counted.
const SHOWN: usize = 20;
/// Missing and unexpected records that are compared with each other to find pairs.
const COMPARED: usize = 200;
/// From here on two records are taken for one that differs.
const ALIKE: f64 = 0.5;

/// The lines for one expectation; none if it holds.
pub(super) fn lines(board: &Board, outcome: &Outcome) -> Vec<String> {
    if outcome.holds() {
        return Vec::new();
    }
    let (pairs, missing, unexpected) = pair(board, outcome);
    let expectation = board.expectation();
    let mode = expectation.mode.word();
    let counts = [
        (pairs.len(), "differing"),
        (missing.len(), "missing"),
        (unexpected.len(), "unexpected"),
        (outcome.moved.len(), "out of order"),
    ];
    let counts: Vec<_> = counts
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, what)| format!("{n} {what}"))
        .collect();
    let (expected, seen) = (board.expected_len(), board.current().len());
    let mut lines = vec![format!(
        "topic {} ({mode}): expected {expected}, seen {seen}: {}",
        expectation.topic,
        counts.join(", ")
    )];
    for &(expected, seen) in pairs.iter().take(SHOWN) {
        let (record, found) = (board.expected(expected), board.seen(seen));
        let key = match &record.key {
            Some(key) => format!("key {key}"),
            None if found.key.is_null() => format!("value {}", record.value),
            None => format!("key {}", found.key),
        };
        lines.push(format!("  ~ differing   {key}{}", line(record.line)));
        let differences = board.differences(&record, &found).into_iter();
        lines.extend(differences.map(|d| format!("      {d}")));
    }
    more(&mut lines, pairs.len(), "differing");
    for &index in missing.iter().take(SHOWN) {
        let record = board.expected(index);
        let key = record.key.as_ref().map(|k| format!("key {k}, ")).unwrap_or_default();
        lines.push(format!(
            "  - missing     {key}value {}{}",
            record.value,
            line(record.line)
        ));
    }
    more(&mut lines, missing.len(), "missing");
    for &index in unexpected.iter().take(SHOWN) {
        let seen = board.seen(index);
        let key = if seen.key.is_null() {
            String::new()
        } else {
            format!("key {}, ", seen.key)
        };
        let place = format!("partition {}, offset {}", seen.around.partition, seen.offset);
        lines.push(format!("  + unexpected  {key}value {}  ({place})", seen.value));
    }
    more(&mut lines, unexpected.len(), "unexpected");
    for &(expected, seen) in outcome.moved.iter().take(SHOWN) {
        let (record, seen) = (board.expected(expected), board.seen(seen));
        lines.push(format!(
            "  ~ moved       value {}{}: expected as record {}, seen at offset {}",
            record.value,
            line(record.line),
            expected + 1,
            seen.offset
        ));
    }
    more(&mut lines, outcome.moved.len(), "out of order");
    lines
}

/// The lines for a topic in which forbidden records came; none if none did.
pub(super) fn forbidden(fence: &Fence) -> Vec<String> {
    let hits = fence.hits();
    if hits.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![format!("topic {} (forbid): {} forbidden", fence.topic(), hits.len())];
    for hit in hits.iter().take(SHOWN) {
        let key = if hit.seen.key.is_null() {
            String::new()
        } else {
            format!("key {}, ", hit.seen.key)
        };
        let place = format!("partition {}, offset {}", hit.seen.around.partition, hit.seen.offset);
        lines.push(format!(
            "  + forbidden   {key}value {}  ({place}){}",
            hit.seen.value,
            line(hit.line)
        ));
    }
    more(&mut lines, hits.len(), "forbidden");
    lines
}

fn line(line: usize) -> String {
    if line == 0 {
        String::new()
    } else {
        format!("  (line {line})")
    }
}

fn more(lines: &mut Vec<String>, count: usize, what: &str) {
    if count > SHOWN {
        lines.push(format!("  and {} more {what}", count - SHOWN));
    }
}

/// Pairs of a missing and an unexpected record that are one record with differences: of the same key, else those most
/// alike; then what is left of both.
pub(super) fn pair(board: &Board, outcome: &Outcome) -> (Vec<(usize, usize)>, Vec<usize>, Vec<usize>) {
    let mut pairs = of_one_key(board, outcome);
    let (mut missing, mut unexpected) = left(outcome, &pairs);
    let wants: Vec<_> = missing.iter().take(COMPARED).map(|&e| (e, board.expected(e))).collect();
    let seen: Vec<_> = unexpected.iter().take(COMPARED).map(|&s| (s, board.seen(s))).collect();
    let mut alike = Vec::new();
    for (expected, record) in &wants {
        // a key that is expected and is not there is a missing record, not one with another key, unless all else fits
        let least = if record.key.is_some() { 1.0 } else { ALIKE };
        let want = Want::of(&record.value);
        for (seen, found) in &seen {
            let score = want.similarity(&found.value, board.rules());
            if score >= least {
                alike.push((score, *expected, *seen));
            }
        }
    }
    alike.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    for (_, expected, seen) in alike {
        if missing.contains(&expected) && unexpected.contains(&seen) {
            pairs.push((expected, seen));
            missing.retain(|&i| i != expected);
            unexpected.retain(|&i| i != seen);
        }
    }
    pairs.sort_unstable();
    (pairs, missing, unexpected)
}

/// Pairs of the same key or window.
fn of_one_key(board: &Board, outcome: &Outcome) -> Vec<(usize, usize)> {
    // of more only a few are shown
    let missing = outcome.missing.iter().take(10 * COMPARED);
    let missing: Vec<_> = missing.map(|&e| (e, board.expected(e))).collect();
    let groups: Vec<_> = missing.iter().map(|(_, record)| board.group(record)).collect();
    let mut found: HashMap<&str, Vec<usize>> = groups.iter().flatten().map(|g| (g.as_str(), Vec::new())).collect();
    if !found.is_empty() {
        for &seen in &outcome.unexpected {
            for group in board.groups(&board.seen(seen)) {
                if let Some(all) = found.get_mut(group.as_str()) {
                    all.push(seen);
                }
            }
        }
    }
    let (mut pairs, mut taken) = (Vec::new(), HashSet::new());
    for ((expected, record), group) in missing.iter().zip(&groups) {
        let of_group: &[usize] = match group {
            Some(group) => &found[group.as_str()],
            // a pattern of a key: each one is looked at
            None if record.key.is_some() => &outcome.unexpected,
            None => continue,
        };
        let pattern = record.key.as_ref().filter(|_| group.is_none()).map(Want::of);
        let fits = |seen: &Seen| {
            let fits = |want: &Want| !seen.key.is_null() && want.fits(&seen.key, Rules::STRICT);
            pattern.as_ref().is_none_or(fits)
        };
        let want = Want::of(&record.value);
        // several of one key, in an unordered topic: the one most alike
        let best = of_group
            .iter()
            .filter(|seen| !taken.contains(*seen))
            .map(|&at| (at, board.seen(at)))
            .filter(|(_, seen)| fits(seen))
            .take(COMPARED)
            .map(|(at, seen)| (want.similarity(&seen.value, board.rules()), at))
            .max_by(|a, b| a.0.total_cmp(&b.0));
        if let Some((_, seen)) = best {
            taken.insert(seen);
            pairs.push((*expected, seen));
        }
    }
    pairs
}

/// What is missing and unexpected and in none of the pairs.
fn left(outcome: &Outcome, pairs: &[(usize, usize)]) -> (Vec<usize>, Vec<usize>) {
    let (expected, seen): (HashSet<usize>, HashSet<usize>) = pairs.iter().copied().unzip();
    let without = |all: &[usize], taken: &HashSet<usize>| all.iter().copied().filter(|i| !taken.contains(i)).collect();
    (
        without(&outcome.missing, &expected),
        without(&outcome.unexpected, &seen),
    )
}
