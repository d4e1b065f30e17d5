//! Every way to compare, and that no mutation of what came passes.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::compare::Board;
use super::super::diff;
use super::super::forbid::Fence;
use super::super::verdict::{Boards, LONG_QUIET, QUIET};
use super::record;
use crate::config::{Expectation, Fields, Forbidden, Match, RecordFormat};
use crate::flink::Phase;
use crate::kafka::Fetched;

fn expectation(mode: Match, rows: &[Value]) -> Expectation {
    let rows = rows.iter().enumerate();
    Expectation {
        topic: "out".to_owned(),
        mode,
        by: vec!["w".to_owned()],
        records: rows
            .map(|(i, row)| {
                let (key, value) = (row.get("key").cloned(), row.get("value").unwrap_or(row).clone());
                record(key, value, i + 1)
            })
            .collect(),
        ..Expectation::default()
    }
}

/// A record as it is read; `{key, value}` has a key.
fn fetched(offset: usize, row: &Value) -> Fetched {
    let bytes = |value: &Value| match value {
        Value::Null => None,
        other => Some(Bytes::from(other.to_string())),
    };
    Fetched {
        topic: "out".to_owned(),
        partition: 0,
        offset: offset as i64,
        key: row.get("key").and_then(bytes),
        value: bytes(row.get("value").unwrap_or(row)),
        timestamp: 0,
        headers: Vec::new(),
    }
}

fn board(expectation: Expectation, seen: &[Value]) -> Board {
    let mut board = Board::new(expectation);
    for (offset, row) in seen.iter().enumerate() {
        board.add(&fetched(offset, row));
    }
    board
}

fn told(board: &Board) -> Vec<String> {
    diff::lines(board, board.outcome())
}

#[test]
fn an_order_counts() {
    let rows = [json!({"n": 1}), json!({"n": 2}), json!({"n": 3}), json!({"n": 1})];
    let of = |seen: &[Value]| board(expectation(Match::Ordered, &rows), seen);
    assert!(of(&rows).outcome().holds());
    let part = of(&rows[..2]);
    assert!(!part.lost() && part.outcome().missing == [2, 3]);
    let swapped = of(&[json!({"n": 1}), json!({"n": 3}), json!({"n": 2}), json!({"n": 1})]);
    assert!(swapped.lost());
    assert_eq!(
        told(&swapped),
        [
            "topic out (ordered): expected 4, seen 4: 1 out of order",
            "  ~ moved       value {\"n\":3}  (line 3): expected as record 3, seen at offset 1",
        ]
    );
    let doubled = of(&[
        rows[0].clone(),
        rows[1].clone(),
        rows[1].clone(),
        rows[2].clone(),
        rows[3].clone(),
    ]);
    assert!(doubled.lost());
    assert_eq!(
        told(&doubled)[0],
        "topic out (ordered): expected 4, seen 5: 1 unexpected"
    );
}

#[test]
fn contains_lets_others_come_but_not_too_few() {
    let rows = [json!({"n": 1}), json!({"n": 1})];
    let of = |seen: &[Value]| board(expectation(Match::Contains, &rows), seen);
    let once = of(&[json!({"n": 2}), json!({"n": 1})]);
    assert!(!once.outcome().holds() && !once.lost());
    assert!(
        of(&[json!({"n": 2}), json!({"n": 1}), json!({"n": 1}), json!("x")])
            .outcome()
            .holds()
    );
}

#[test]
fn the_last_record_of_each_window_counts() {
    let rows = [json!({"w": 1, "n": 3}), json!({"w": 2, "n": 5})];
    let of = |seen: &[Value]| board(expectation(Match::Window, &rows), seen);
    assert!(
        of(&[
            json!({"w": 1, "n": 2}),
            json!({"w": 2, "n": 5}),
            json!({"w": 1, "n": 3})
        ])
        .outcome()
        .holds()
    );
    let late = of(&[
        json!({"w": 1, "n": 3}),
        json!({"w": 2, "n": 5}),
        json!({"w": 1, "n": 4}),
    ]);
    assert!(!late.lost(), "a window can still be refined");
    assert_eq!(
        told(&late),
        [
            "topic out (window): expected 2, seen 2: 1 differing",
            "  ~ differing   value {\"w\":1,\"n\":3}  (line 1)",
            "      n: expected 3, seen 4",
        ]
    );
    let spurious = of(&[
        rows[0].clone(),
        rows[1].clone(),
        json!({"w": 3, "n": 0}),
        json!("no window"),
    ]);
    assert_eq!(spurious.outcome().unexpected, [2, 3]);
}

#[test]
fn patterns_and_values_share_what_is_there() {
    // the pattern could take either record; the value needs the first
    let rows = [
        json!({"id": {"$regex": "^o"}}),
        json!({"id": "o1"}),
        json!({"id": {"$any": true}}),
    ];
    let of = |seen: &[Value]| board(expectation(Match::Unordered, &rows), seen);
    let seen = [json!({"id": "o1"}), json!({"id": "o2"}), json!({"id": 7})];
    assert!(of(&seen).outcome().holds());
    // whatever `$any` takes first, `^o` gets the one that it needs
    assert!(
        of(&[json!({"id": 7}), json!({"id": "o1"}), json!({"id": "o2"})])
            .outcome()
            .holds()
    );
    let wrong = of(&[json!({"id": "o1"}), json!({"id": "x"}), json!({"id": 7})]);
    assert!(wrong.lost());
    let tolerant = |x: f64| {
        let mut rows = expectation(Match::Unordered, &[json!({"x": 1.0}), json!({"x": 1.2})]);
        rows.tolerance = 0.15;
        board(rows, &[json!({"x": 1.1}), json!({"x": x})]).outcome().holds()
    };
    assert!(tolerant(0.9) && tolerant(1.3) && !tolerant(1.5));
}

#[test]
fn some_fields_count_for_each_record_by_itself() {
    let rows = [json!({"a": 1}), json!({"b": 2}), json!({"a": 1, "b": 2})];
    let of = |seen: &[Value]| {
        let mut expectation = expectation(Match::Unordered, &rows);
        expectation.fields = Fields::Partial;
        board(expectation, seen).outcome().holds()
    };
    assert!(of(&[
        json!({"a": 1, "b": 2}),
        json!({"b": 2, "a": 0}),
        json!({"a": 1, "c": 3})
    ]));
    assert!(!of(&[
        json!({"a": 1, "b": 2}),
        json!({"b": 3, "a": 0}),
        json!({"a": 1, "c": 3})
    ]));
}

#[test]
fn what_is_forbidden_is_found_by_some_of_its_fields() {
    let forbid = |records: Option<Vec<Value>>| Forbidden {
        topic: "out".to_owned(),
        records: records.map(|all| all.into_iter().map(|value| record(None, value, 4)).collect()),
        format: RecordFormat::Json,
        line: 3,
    };
    let hits = |forbidden: &Forbidden, seen: &[Value]| {
        let mut fence = Fence::new(forbidden);
        seen.iter().enumerate().for_each(|(i, row)| fence.add(&fetched(i, row)));
        diff::forbidden(&fence)
    };
    let seen = [json!({"a": 1, "b": 1}), json!({"a": 2})];
    assert_eq!(
        hits(&forbid(Some(vec![json!({"b": 1})])), &seen),
        [
            "topic out (forbid): 1 forbidden",
            "  + forbidden   value {\"a\":1,\"b\":1}  (partition 0, offset 0)  (line 4)",
        ]
    );
    assert!(hits(&forbid(Some(vec![json!({"a": 3}), json!({"a": 1, "b": 2})])), &seen).is_empty());
    assert_eq!(hits(&forbid(None), &seen).len(), 3);
    // a text that looks like a number is forbidden in both spellings
    let seen = [json!({"key": 42, "value": {"a": 1}})];
    let mut forbidden = forbid(Some(vec![json!({"a": 1})]));
    for key in [json!("42"), json!(42)] {
        forbidden.records.as_mut().unwrap()[0].key = Some(key.into());
        assert_eq!(hits(&forbidden, &seen).len(), 2, "{forbidden:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_forbidden_record_is_certain_and_quiet_is_as_long_as_is_asked() {
    let now = Instant::now();
    let made =
        |expectation: Expectation, fences| Boards::new(vec![("out".to_owned(), Board::new(expectation))], fences);
    let forbidden = Forbidden {
        topic: "out".to_owned(),
        records: Some(vec![record(None, json!({"n": 2}), 4)]),
        format: RecordFormat::Json,
        line: 4,
    };
    let mut boards = made(
        expectation(Match::Contains, &[json!({"n": 1})]),
        vec![("out".to_owned(), Fence::new(&forbidden))],
    );
    boards.add(&[fetched(0, &json!({"n": 1}))]);
    assert_eq!(boards.verdict_at(&Phase::Running, true), Some(now + LONG_QUIET));
    assert!(boards.hold());
    boards.add(&[fetched(1, &json!({"n": 2}))]);
    assert_eq!(boards.verdict_at(&Phase::Running, true), Some(now + LONG_QUIET));
    assert!(!boards.hold() && boards.difference().len() == 2);

    let mut exactly = expectation(Match::Unordered, &[json!({"n": 1})]);
    exactly.exactly = true;
    let mut boards = made(exactly, vec![]);
    boards.add(&[fetched(0, &json!({"n": 1}))]);
    assert_eq!(
        boards.verdict_at(&Phase::Running, false),
        None,
        "one more checkpoint is awaited"
    );
    assert_eq!(boards.verdict_at(&Phase::Running, true), Some(now + LONG_QUIET));
    assert_eq!(boards.verdict_at(&Phase::Finished, false), Some(now + QUIET));
    // quiet begins with the checkpoint, however long nothing came before it: what it commits is read after it
    tokio::time::advance(LONG_QUIET * 5).await;
    let later = Instant::now();
    assert_eq!(boards.verdict_at(&Phase::Running, false), None);
    assert_eq!(boards.verdict_at(&Phase::Running, true), Some(later + LONG_QUIET));
    assert_eq!(boards.verdict_at(&Phase::Running, true), Some(later + LONG_QUIET));

    let mut quiet = expectation(Match::Unordered, &[json!({"n": 1})]);
    quiet.quiet = Some(LONG_QUIET * 2);
    let mut boards = made(quiet, vec![]);
    boards.add(&[fetched(0, &json!({"n": 1}))]);
    assert_eq!(boards.verdict_at(&Phase::Running, true), Some(later + LONG_QUIET * 2));
}

#[test]
fn a_hundred_thousand_records_are_compared() {
    let rows: Vec<Value> = (0..100_000)
        .map(|i| json!({"key": format!("k{i}"), "value": {"n": 1}}))
        .collect();
    for mode in [Match::Unordered, Match::Ordered, Match::LastPerKey, Match::Contains] {
        assert!(board(expectation(mode, &rows), &rows).outcome().holds(), "{mode:?}");
    }
    let plain: Vec<Value> = (0..100_000).map(|i| json!({"n": i % 10})).collect();
    let part = board(expectation(Match::Unordered, &plain), &plain[..50_000]);
    assert_eq!(part.outcome().missing.len(), 50_000);
}

/// Rows that are distinct and have keys, so that every way to compare takes them.
fn rows() -> impl Strategy<Value = Vec<Value>> {
    proptest::collection::btree_map(0u8..20, 0i64..5, 1..8).prop_map(|rows| {
        rows.into_iter()
            .map(|(w, n)| json!({"key": format!("k{w}"), "value": {"w": w, "n": n, "t": "x"}}))
            .collect()
    })
}

fn modes() -> impl Strategy<Value = Match> {
    prop_oneof![
        Just(Match::Unordered),
        Just(Match::Ordered),
        Just(Match::LastPerKey),
        Just(Match::Contains),
        Just(Match::Window),
    ]
}

proptest! {
    #[test]
    fn no_mutation_passes(
        rows in rows(),
        mode in modes(),
        partial in any::<bool>(),
        at in any::<prop::sample::Index>(),
    ) {
        let holds = |seen: &[Value]| {
            let mut expectation = expectation(mode, &rows);
            expectation.fields = if partial { Fields::Partial } else { Fields::Strict };
            board(expectation, seen).outcome().holds()
        };
        prop_assert!(holds(&rows));
        let at = at.index(rows.len());
        let mutated = |change: &dyn Fn(&mut Vec<Value>)| {
            let mut seen = rows.clone();
            change(&mut seen);
            holds(&seen)
        };
        let table = matches!(mode, Match::LastPerKey | Match::Window);
        prop_assert!(!mutated(&|seen| { seen.remove(at); }), "a missing record");
        prop_assert!(!mutated(&|seen| seen[at]["value"]["n"] = json!(99)), "a changed record");
        prop_assert!(!mutated(&|seen| { seen[at]["value"].as_object_mut().unwrap().remove("t"); }), "a field less");
        let more = mutated(&|seen| seen[at]["value"]["u"] = json!(1));
        prop_assert_eq!(more, partial, "a field more");
        let surplus = json!({"key": "other", "value": {"w": 99, "n": 1, "t": "x"}});
        prop_assert_eq!(mutated(&|seen| seen.insert(at, surplus.clone())), mode == Match::Contains, "a surplus record");
        let doubled = mutated(&|seen| seen.insert(at, seen[at].clone()));
        prop_assert_eq!(doubled, table || mode == Match::Contains, "a doubled record");
        if rows.len() > 1 {
            let swapped = mutated(&|seen| seen.rotate_left(1));
            prop_assert_eq!(swapped, mode != Match::Ordered, "another order");
        }
        let wrong_key = mutated(&|seen| seen[at]["key"] = json!("other"));
        prop_assert!(!wrong_key, "another key");
    }

    #[test]
    fn what_is_lost_never_holds_again(
        expected in proptest::collection::vec(0u8..4, 0..5),
        seen in proptest::collection::vec(0u8..4, 0..6),
        ordered in any::<bool>(),
    ) {
        let values = |all: &[u8]| all.iter().map(|n| match n {
            0 => json!({"n": {"$any": true}}),
            n => json!({"n": n}),
        }).collect::<Vec<_>>();
        let mode = if ordered { Match::Ordered } else { Match::Unordered };
        let mut board = Board::new(expectation(mode, &values(&expected)));
        let mut lost = false;
        for (offset, n) in seen.iter().enumerate() {
            board.add(&fetched(offset, &json!({"n": n})));
            prop_assert!(!(lost && board.outcome().holds()));
            lost |= board.lost();
            prop_assert_eq!(board.lost(), lost, "once lost, always lost");
        }
    }
}
