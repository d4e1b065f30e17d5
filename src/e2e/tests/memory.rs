//! What a large case takes, measured in a process of its own.
#![cfg(target_os = "linux")]

use std::fmt::Write as _;
use std::path::Path;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::super::case::messages;
use super::super::compare::Board;
use super::super::names::Names;
use crate::config::Case;
use crate::env::Env;
use crate::kafka::Fetched;
use crate::process::Program;

/// Tells this test that it is the process that is measured, and where to write the result.
const MEASURED: &str = "FLINK_DEV_TEST_MEASURED";
const RECORDS: u32 = 100_000;
/// In KiB: the whole program has 300 MB for such a case, Kafka's client and what this test writes among it.
const MOST: u64 = 220 << 10;

#[tokio::test]
async fn a_hundred_thousand_given_and_expected_records_take_little_memory() {
    if let Some(file) = Env::from_process().var(MEASURED) {
        compare();
        let status = fs_err::read_to_string("/proc/self/status").unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        fs_err::write(file, peak.trim().trim_end_matches(" kB")).unwrap();
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("peak");
    let name = "e2e::tests::memory::a_hundred_thousand_given_and_expected_records_take_little_memory";
    let output = Program::new(std::env::current_exe().unwrap())
        .args(["--exact", name])
        .env(MEASURED, file.display().to_string())
        .run(&CancellationToken::new(), |_| {})
        .await
        .unwrap();
    assert!(output.status.success(), "{}", output.stdout);
    let peak: u64 = fs_err::read_to_string(&file).unwrap().parse().unwrap();
    assert!(peak < MOST, "{peak} KiB at the most, expected less than {MOST}");
}

/// Reads a case, makes the records that are sent, and compares those that come.
fn compare() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path());
    let case = Case::load(&dir.path().join("large.test.yaml")).unwrap();
    let names = Names::new("run", 1, &case.name);
    let sent: usize = messages(&names, &case.given, None)
        .into_values()
        .map(Iterator::count)
        .sum();
    assert_eq!(sent, RECORDS as usize);
    let mut board = Board::new(case.expect[0].clone());
    for i in (0..RECORDS).rev() {
        let (key, value) = out(i);
        board.add(&Fetched {
            topic: "out".to_owned(),
            partition: 0,
            offset: i64::from(RECORDS - i),
            key: Some(Bytes::from(key)),
            value: Some(Bytes::from(value)),
            timestamp: 0,
            headers: Vec::new(),
        });
    }
    assert!(board.outcome().holds());
}

fn out(i: u32) -> (String, String) {
    let key = format!("customer-{i}");
    let value = format!(
        r#"{{"customer": "{key}", "region": "region-{}", "total": {i}, "orders": 1}}"#,
        i % 100
    );
    (key, value)
}

fn write(dir: &Path) {
    let (mut given, mut expected) = (String::new(), String::new());
    for i in 0..RECORDS {
        let (key, value) = out(i);
        let _ = writeln!(
            given,
            r#"{{"id": {i}, "customer": "{key}", "region": "region-{}", "amount": {i}}}"#,
            i % 100
        );
        let _ = writeln!(expected, r#"{{"key": "{key}", "value": {value}}}"#);
    }
    let case = "version: 1\nsql: large.sql\ngiven: {orders: {file: in.jsonl}}\nexpect: {out: {file: out.jsonl}}\n";
    let sql = "CREATE TABLE a (id INT) WITH ('topic' = '${topic.orders}', 'b' = '${kafka.bootstrap}');\n\
               CREATE TABLE b (id INT) WITH ('topic' = '${topic.out}', 'b' = '${kafka.bootstrap}');\n\
               INSERT INTO b SELECT id FROM a;\n";
    for (name, text) in [
        ("in.jsonl", given.as_str()),
        ("out.jsonl", &expected),
        ("large.test.yaml", case),
        ("large.sql", sql),
    ] {
        fs_err::write(dir.join(name), text).unwrap();
    }
}
