//! Proofs, Flink's user interface and SQL on a real cluster.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::steps::{Ran, cluster, command, dev, kubectl};
use super::topics::Topics;

/// Removes a job when a test ends, however it ends.
struct Job(&'static str);

impl Drop for Job {
    fn drop(&mut self) {
        dev(&["job", "rm", "--if-exists", self.0]);
    }
}

fn last_json(run: &Ran) -> Value {
    serde_json::from_str(run.stdout.lines().last().unwrap_or_default()).unwrap()
}

/// Uids of the session's TaskManagers: an independent witness.
fn task_managers() -> String {
    let uids = "jsonpath={range .items[*]}{.metadata.uid} {end}";
    kubectl(&[
        "-n",
        "flink",
        "get",
        "pods",
        "-l",
        "app=session,component=taskmanager",
        "-o",
        uids,
    ])
}

/// What runs and pods of ours have left.
fn left() -> String {
    let kinds = "flinksessionjobs,flinkstatesnapshots,pods";
    let objects = kubectl(&["-n", "flink", "get", kinds, "-l", "flink-dev/run", "-o", "name"]);
    let topics = dev(&["topic", "ls", "-o", "json"]).ends_with(0).stdout;
    let verify = topics.contains("-verify-");
    format!("{objects}{}", if verify { topics } else { String::new() })
}

#[test]
#[ignore = "needs a real Docker engine"]
fn a_job_is_proved_to_recover_and_one_without_checkpoints_is_not() {
    dev(&["up"]).ends_with(0);
    let before = task_managers();
    let run = dev(&["job", "verify", "checkpoint", "-o", "json"]).ends_with(0);
    let proof = last_json(&run);
    let (recovered, count) = (&proof["recovered"], &proof["count"]);
    let killed = recovered["killed"]["uid"].as_str().unwrap();
    assert!(before.contains(killed) && !task_managers().contains(killed), "{before}");
    assert!(recovered["after"]["restored"]["id"].as_u64() >= recovered["before"]["checkpoint"].as_u64());
    assert_eq!(recovered["before"]["job_id"], recovered["after"]["job_id"]);
    assert!(
        count["fed"].as_u64() > Some(100) && count["fed"] == count["read"],
        "{count}"
    );
    assert_eq!(left(), "");

    let _topics = Topics(&["orders", "totals", "big_orders"]);
    let _job = Job("it-plain");
    dev(&["topic", "create", "orders", "totals", "big_orders", "--if-not-exists"]).ends_with(0);
    let dir = tempfile::tempdir().unwrap();
    let off = dir.path().join("off.yaml");
    let text = format!(
        "version: 1\nname: {}\nflink: {{state: {{checkpoints: off}}}}\n",
        cluster()
    );
    std::fs::write(&off, text).unwrap();
    dev(&[
        "job",
        "run",
        "examples/orders/orders.sql",
        "--name",
        "it-plain",
        "--replace",
        "-p",
        off.to_str().unwrap(),
    ])
    .ends_with(0);
    let before = task_managers();
    let failed = dev(&["job", "verify", "checkpoint", "it-plain"]).ends_with(3);
    assert!(
        failed.stderr.contains("checkpoints of the job it-plain are off"),
        "{}",
        failed.stderr
    );
    let failed = dev(&["job", "verify", "savepoint", "it-plain"]).ends_with(3);
    assert!(failed.stderr.contains("drops its state"), "{}", failed.stderr);
    assert_eq!(before, task_managers(), "nothing was killed");
}

#[test]
#[ignore = "needs a real Docker engine"]
fn a_job_is_proved_to_go_on_from_a_savepoint_and_dropped_state_is_seen() {
    dev(&["up"]).ends_with(0);
    let run = dev(&["job", "verify", "savepoint", "-o", "json"]).ends_with(0);
    let proof = last_json(&run);
    let (redeployed, count) = (&proof["redeployed"], &proof["count"]);
    assert_eq!(redeployed["after"]["restored"]["savepoint"], true);
    assert_eq!(redeployed["after"]["restored"]["id"], redeployed["savepoint_id"]);
    assert!(
        count["fed"].as_u64() > Some(100) && count["fed"] == count["read"],
        "{count}"
    );
    let failed = dev(&["job", "verify", "savepoint", "--drop-state"]).ends_with(3);
    assert!(failed.stderr.contains("restored from: nothing"), "{}", failed.stderr);
    assert!(
        failed.stderr.contains("0 lost") && !failed.stderr.contains(" 0 doubled"),
        "{}",
        failed.stderr
    );
    assert_eq!(left(), "");
}

#[test]
#[ignore = "needs a real Docker engine"]
fn statements_run_on_the_session_cluster_and_its_user_interface_answers() {
    dev(&["up"]).ends_with(0);
    let _topics = Topics(&["it-sql"]);
    dev(&["topic", "rm", "--if-exists", "it-sql"]).ends_with(0);
    dev(&["topic", "create", "it-sql"]).ends_with(0);
    let dir = tempfile::tempdir().unwrap();
    let (records, script) = (dir.path().join("in.jsonl"), dir.path().join("tables.sql"));
    std::fs::write(&records, "{\"value\":{\"id\":1}}\n{\"value\":{\"id\":41}}\n").unwrap();
    dev(&["topic", "produce", "it-sql", records.to_str().unwrap()]).ends_with(0);
    let table = "CREATE TABLE numbers (id INT) WITH ('connector' = 'kafka', 'topic' = 'it-sql', 'format' = 'json',\n\
                 'properties.bootstrap.servers' = '${kafka.bootstrap}', 'scan.startup.mode' = 'earliest-offset');";
    std::fs::write(&script, table).unwrap();
    let tables = script.to_str().unwrap();
    let run = dev(&[
        "sql",
        "--tables",
        tables,
        "-e",
        "SELECT SUM(id) AS s FROM numbers",
        "-o",
        "json",
    ])
    .ends_with(0);
    let rows: Vec<Value> = run
        .stdout
        .lines()
        .filter_map(|l| serde_json::from_str(l).ok())
        .collect();
    let rows = rows.iter().find(|line| line["result"] == "rows").unwrap();
    assert_eq!(
        (rows["rows"][0]["s"].as_u64(), &rows["complete"]),
        (Some(42), &Value::Bool(true)),
        "{rows}"
    );
    let failed = dev(&["sql", "-e", "SELECT 1;\nSELECT nope FROM (VALUES (1)) AS t (a)"]).ends_with(80);
    assert!(
        failed.stderr.contains("'nope' not found") && failed.stderr.contains("(-e):2:8"),
        "{}",
        failed.stderr
    );
    assert_eq!(left(), "");

    let mut child = command(&["ui", "--port", "0", "-o", "json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let told = lines.find_map(|line| {
        serde_json::from_str::<Value>(&line)
            .ok()
            .filter(|l| l["url"].is_string())
    });
    let ui = told.unwrap();
    assert!(
        ui["taskmanagers"].as_u64() > Some(0) && ui["flink"].as_str().is_some_and(|v| v.starts_with("2.")),
        "{ui}"
    );
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
