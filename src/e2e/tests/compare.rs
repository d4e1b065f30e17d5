//! Expected records against seen ones, and when that is a verdict.

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::compare::Board;
use super::super::diff;
use super::super::verdict::{Boards, LONG_QUIET, QUIET};
use super::record;
use crate::config::{Expectation, Match};
use crate::flink::Phase;
use crate::kafka::Fetched;

fn board(mode: Match, expected: Vec<(Option<Value>, Value)>) -> Board {
    let records = expected
        .into_iter()
        .enumerate()
        .map(|(i, (k, v))| record(k, v, i + 10))
        .collect();
    Board::new(Expectation {
        topic: "totals".to_owned(),
        mode,
        records,
        ..Expectation::default()
    })
}

fn fetched(offset: i64, key: Option<&str>, value: Option<&str>) -> Fetched {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    Fetched {
        topic: "t".to_owned(),
        partition: 0,
        offset,
        key: key.map(bytes),
        value: value.map(bytes),
        timestamp: 0,
        headers: Vec::new(),
    }
}

fn lines_of(board: &Board) -> Vec<String> {
    diff::lines(board, board.outcome())
}

#[test]
fn unordered_counts_each_record() {
    let one = json!({"id": "a", "n": 1});
    let mut board = board(
        Match::Unordered,
        vec![
            (None, one.clone()),
            (None, one.clone()),
            (None, json!({"id": "b", "n": 2})),
        ],
    );
    assert_eq!(board.outcome().missing, [0, 1, 2]);
    board.add(&fetched(0, None, Some(r#"{"n":2.0,"id":"b"}"#)));
    board.add(&fetched(1, Some("x"), Some(r#"{"n":1,"id":"a"}"#)));
    assert_eq!(
        (&board.outcome().missing, &board.outcome().unexpected),
        (&vec![1], &vec![])
    );
    board.add(&fetched(2, None, Some(r#"{"n":1,"id":"a"}"#)));
    assert!(board.outcome().holds());
    board.add(&fetched(3, None, Some(r#"{"n":1,"id":"a"}"#)));
    assert_eq!(
        lines_of(&board),
        [
            "topic totals (unordered): expected 3, seen 4: 1 unexpected",
            "  + unexpected  value {\"n\":1,\"id\":\"a\"}  (partition 0, offset 3)",
        ]
    );
}

#[test]
fn a_key_is_compared_where_one_is_expected() {
    let row = json!({"v": 1});
    let mut board = board(
        Match::Unordered,
        vec![
            (None, row.clone()),
            (Some(json!("17")), row.clone()),
            (Some(json!({"k": 1})), row),
        ],
    );
    board.add(&fetched(0, Some("17"), Some(r#"{"v":1}"#)));
    board.add(&fetched(1, Some(r#"{"k":1.0}"#), Some(r#"{"v":1}"#)));
    assert_eq!(board.outcome().missing, [0], "those with keys choose first");
    board.add(&fetched(2, Some("other"), Some(r#"{"v":1}"#)));
    assert!(board.outcome().holds());
}

#[test]
fn the_last_value_of_each_key_counts() {
    let eu = json!({"region": "EU"});
    let expected = vec![
        (Some(eu.clone()), json!({"total": 17})),
        (None, json!({"total": 5})),
        (Some(json!({"region": "XX"})), Value::Null),
    ];
    let mut board = board(Match::LastPerKey, expected);
    assert_eq!(
        board.expected_len(),
        2,
        "an expected tombstone is a key that is not there"
    );
    for (offset, (key, value)) in [("EU", Some(10)), ("US", Some(5)), ("XX", Some(1)), ("EU", Some(17))]
        .into_iter()
        .enumerate()
    {
        let value = value.map(|total: i32| json!({"total": total}).to_string());
        board.add(&fetched(
            offset as i64,
            Some(&json!({"region": key}).to_string()),
            value.as_deref(),
        ));
    }
    assert_eq!(board.outcome().unexpected, [2]);
    board.add(&fetched(4, Some(r#"{"region":"XX"}"#), None));
    assert!(board.outcome().holds());
    board.add(&fetched(5, Some(r#"{"region":"EU"}"#), Some(r#"{"total":18}"#)));
    assert_eq!(
        lines_of(&board),
        [
            "topic totals (last-per-key): expected 2, seen 2: 1 differing",
            "  ~ differing   key {\"region\":\"EU\"}  (line 10)",
            "      total: expected 17, seen 18",
        ]
    );
}

#[test]
fn records_are_paired_with_what_is_most_alike() {
    let row = |id: &str, a: i32, b: i32| json!({"id": id, "a": a, "b": b});
    let mut board = board(
        Match::Unordered,
        vec![(None, row("x", 1, 1)), (None, row("y", 2, 2)), (None, json!({"q": 1}))],
    );
    board.add(&fetched(0, None, Some(&row("y", 2, 3).to_string())));
    board.add(&fetched(1, None, Some(&row("x", 1, 2).to_string())));
    board.add(&fetched(2, None, Some("not json")));
    assert_eq!(
        lines_of(&board),
        [
            "topic totals (unordered): expected 3, seen 3: 2 differing, 1 missing, 1 unexpected",
            "  ~ differing   value {\"id\":\"x\",\"a\":1,\"b\":1}  (line 10)",
            "      b: expected 1, seen 2",
            "  ~ differing   value {\"id\":\"y\",\"a\":2,\"b\":2}  (line 11)",
            "      b: expected 2, seen 3",
            "  - missing     value {\"q\":1}  (line 12)",
            "  + unexpected  value \"not json\"  (partition 0, offset 2)",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_verdict_wants_a_running_job_and_quiet() {
    let board = board(Match::Unordered, vec![(None, json!(1)), (None, json!(2))]);
    let mut boards = Boards::new(vec![("t".to_owned(), board)], vec![]);
    let (waiting, running) = (Phase::Waiting(String::new()), Phase::Running);
    boards.add(&[fetched(0, None, Some("1"))]);
    assert_eq!(boards.verdict_at(&running, true), None, "one is missing");
    boards.add(&[fetched(1, None, Some("2"))]);
    assert_eq!(boards.verdict_at(&waiting, true), None, "the job does not run");
    assert_eq!(boards.verdict_at(&running, true), Some(Instant::now() + QUIET));
    tokio::time::advance(QUIET / 2).await;
    boards.add(&[fetched(2, None, Some("2"))]);
    assert_eq!(
        boards.verdict_at(&running, true),
        Some(Instant::now() + LONG_QUIET),
        "surplus: certain, and its difference may grow"
    );
    assert!(!boards.hold());
}

#[tokio::test(start_paused = true)]
async fn an_ended_job_gives_no_more() {
    let board = board(Match::LastPerKey, vec![(Some(json!("k")), json!(1))]);
    let mut boards = Boards::new(vec![("t".to_owned(), board)], vec![]);
    assert_eq!(boards.verdict_at(&Phase::Running, true), None);
    let ended = boards.verdict_at(&Phase::Finished, true);
    assert_eq!(ended, Some(Instant::now() + QUIET));
    assert!(!boards.hold());
    assert_eq!(boards.waiting(), "topic totals: 0 of 1 expected records, 0 read");
}

#[tokio::test(start_paused = true)]
async fn nothing_expected_needs_longer_quiet() {
    let mut boards = Boards::new(vec![("t".to_owned(), board(Match::Unordered, vec![]))], vec![]);
    assert_eq!(
        boards.verdict_at(&Phase::Running, true),
        Some(Instant::now() + LONG_QUIET)
    );
    assert!(boards.hold());
}
