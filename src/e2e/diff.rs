//! The difference of expected and seen records, as lines for people.

use super::compare::{Board, Outcome};
use super::forbid::Fence;

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
        let differences = board.want(expected).differences(&found.value, board.rules());
        if differences.is_empty() {
            lines.push(format!(
                "      key: expected {}, seen {}",
                record.key.clone().unwrap_or_default(),
                found.key
            ));
        }
        lines.extend(differences.into_iter().map(|d| format!("      {d}")));
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
        let place = format!("partition {}, offset {}", seen.partition, seen.offset);
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
        let place = format!("partition {}, offset {}", hit.seen.partition, hit.seen.offset);
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
fn pair(board: &Board, outcome: &Outcome) -> (Vec<(usize, usize)>, Vec<usize>, Vec<usize>) {
    let (mut missing, mut unexpected) = (outcome.missing.clone(), outcome.unexpected.clone());
    let mut pairs = Vec::new();
    let take = |pairs: &mut Vec<(usize, usize)>, missing: &mut Vec<usize>, unexpected: &mut Vec<usize>, e, s| {
        pairs.push((e, s));
        missing.retain(|&i| i != e);
        unexpected.retain(|&i| i != s);
    };
    // of more only a few are shown
    for expected in missing.iter().copied().take(10 * COMPARED).collect::<Vec<_>>() {
        let same = unexpected
            .iter()
            .copied()
            .filter(|&seen| board.same_key(expected, seen));
        // several of one key, in an unordered topic: the one most alike
        let best = same.max_by(|&a, &b| score(board, expected, a).total_cmp(&score(board, expected, b)));
        if let Some(seen) = best {
            take(&mut pairs, &mut missing, &mut unexpected, expected, seen);
        }
    }
    let mut alike = Vec::new();
    for &expected in missing.iter().take(COMPARED) {
        // a key that is expected and is not there is a missing record, not one with another key, unless all else fits
        let least = if board.has_key(expected) { 1.0 } else { ALIKE };
        for &seen in unexpected.iter().take(COMPARED) {
            let score = score(board, expected, seen);
            if score >= least {
                alike.push((score, expected, seen));
            }
        }
    }
    alike.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    for (_, expected, seen) in alike {
        if missing.contains(&expected) && unexpected.contains(&seen) {
            take(&mut pairs, &mut missing, &mut unexpected, expected, seen);
        }
    }
    pairs.sort_unstable();
    (pairs, missing, unexpected)
}

fn score(board: &Board, expected: usize, seen: usize) -> f64 {
    board.want(expected).similarity(&board.seen(seen).value, board.rules())
}
