//! `dev job` on a real cluster: from a script to RUNNING, the traps on the way, and what is done afterwards.

use std::time::Duration;

use serde_json::Value;

use super::steps::{Ran, dev, edit, example_copy, kubectl};
use super::topics::Topics;

/// Removes jobs when a test ends, however it ends.
struct Jobs(&'static [&'static str]);

impl Drop for Jobs {
    fn drop(&mut self) {
        let mut args = vec!["job", "rm", "--if-exists"];
        args.extend(self.0);
        dev(&args);
    }
}

fn flink(path: &str) -> Value {
    let raw = format!("/api/v1/namespaces/flink/services/session-rest:8081/proxy{path}");
    serde_json::from_str(&kubectl(&["get", "--raw", &raw])).unwrap_or_default()
}

/// Flink's jobs of a name that have not ended.
fn alive(name: &str) -> Vec<Value> {
    let jobs = flink("/jobs/overview")["jobs"].as_array().cloned().unwrap_or_default();
    let ended = ["FINISHED", "CANCELED", "FAILED"];
    jobs.into_iter()
        .filter(|j| j["name"] == name && !ended.contains(&j["state"].as_str().unwrap_or_default()))
        .collect()
}

fn last_json(run: &Ran) -> Value {
    serde_json::from_str(run.stdout.lines().last().unwrap_or_default()).unwrap()
}

#[test]
#[ignore = "needs a real Docker engine"]
fn a_job_from_its_script_to_its_end() {
    dev(&["up"]).ends_with(0);
    let _topics = Topics(&["orders", "totals", "big_orders"]);
    let _jobs = Jobs(&["it-orders"]);
    let script = "examples/orders/orders.sql";
    dev(&["job", "rm", "it-orders", "--if-exists"]).ends_with(0);
    dev(&["topic", "rm", "--if-exists", "orders", "totals", "big_orders"]).ends_with(0);
    let missing = dev(&["job", "run", script, "--name", "it-orders"]).ends_with(92);
    assert!(
        missing.stderr.contains("dev topic create big_orders orders totals"),
        "{}",
        missing.stderr
    );
    dev(&["topic", "create", "orders", "totals", "big_orders"]).ends_with(0);

    let run = dev(&["job", "run", script, "--name", "it-orders", "-o", "json"]).ends_with(0);
    let id = last_json(&run)["job_id"].as_str().unwrap().to_owned();
    assert_eq!(flink(&format!("/jobs/{id}"))["state"], "RUNNING");
    assert_eq!(alive("it-orders").len(), 1);
    dev(&["job", "run", script, "--name", "it-orders"]).ends_with(85);
    dev(&["job", "status", "it-orders"]).ends_with(0);
    assert!(dev(&["job", "ls"]).ends_with(0).stdout.contains(&id));
    let logs = dev(&["job", "logs", "it-orders"]).ends_with(0).stdout;
    assert!(
        logs.contains("jobmanager") && logs.contains("taskmanager-"),
        "both write into it"
    );

    dev(&["job", "scale", "it-orders", "2"]).ends_with(0);
    let now = alive("it-orders");
    let id = now[0]["jid"].as_str().unwrap();
    let vertices = flink(&format!("/jobs/{id}"))["vertices"].clone();
    let most = vertices
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|v| v["parallelism"].as_u64())
        .max();
    assert_eq!((now.len(), most), (1, Some(2)));

    let before = now[0]["start-time"].clone();
    dev(&["job", "restart", "it-orders"]).ends_with(0);
    let now = alive("it-orders");
    assert!(now.len() == 1 && now[0]["start-time"] != before, "{now:?}");

    for stop in ["suspend", "cancel"] {
        dev(&["job", stop, "it-orders"]).ends_with(0);
        assert_eq!(alive("it-orders"), Vec::<Value>::new(), "{stop}");
        let object = kubectl(&[
            "-n",
            "flink",
            "get",
            "flinksessionjob",
            "it-orders",
            "-o",
            "jsonpath={.spec.job.state}",
        ]);
        assert_eq!(object, "suspended");
        dev(&["job", "status", "it-orders"]).ends_with(0);
        dev(&["job", "resume", "it-orders"]).ends_with(0);
        assert_eq!(alive("it-orders").len(), 1, "{stop}");
    }
    dev(&["job", "rm", "it-orders"]).ends_with(0);
    assert_eq!(alive("it-orders"), Vec::<Value>::new());
    let unknown = dev(&["job", "status", "it-orders"]).ends_with(84);
    assert!(unknown.stderr.contains("JOB_UNKNOWN"), "{}", unknown.stderr);
}

#[test]
#[ignore = "needs a real Docker engine"]
fn each_trap_ends_at_once_with_its_cause_and_leaves_nothing() {
    dev(&["up"]).ends_with(0);
    let _topics = Topics(&["orders", "totals", "big_orders"]);
    let _jobs = Jobs(&["it-trap"]);
    dev(&["topic", "create", "orders", "totals", "big_orders", "--if-not-exists"]).ends_with(0);
    let trap = |from: &str, to: &str, more: &[&str], codes: &[i32], parts: &[&str]| {
        let dir = example_copy();
        let file = dir.path().join("orders.sql");
        edit(&file, from, to);
        let mut args = vec!["job", "run", file.to_str().unwrap(), "--name", "it-trap"];
        args.extend(more);
        let run = dev(&args);
        assert!(
            run.code.is_some_and(|code| codes.contains(&code)),
            "{:?}\n{}",
            run.code,
            run.stderr
        );
        for part in parts {
            assert!(run.stderr.contains(part), "`{part}` is not in: {}", run.stderr);
        }
        assert!(
            run.stderr.contains("next:") && run.took < Duration::from_secs(60),
            "{}",
            run.stderr
        );
        let objects = kubectl(&["-n", "flink", "get", "flinksessionjobs", "-o", "name"]);
        assert!(!objects.contains("it-trap") && alive("it-trap").is_empty(), "{objects}");
    };
    let same = "-- Totals";
    trap(
        "SUM(amount)",
        "SUM(amout)",
        &[],
        &[80],
        &["orders.sql:40:", "'amout' not found"],
    );
    trap(
        "INSERT INTO totals",
        "SELECT 1; INSERT INTO totals",
        &[],
        &[23],
        &["cannot run in a session job"],
    );
    trap("'upsert-kafka'", "'jdbc'", &[], &[87], &["no connector `jdbc`"]);
    trap(
        "'upsert-kafka'",
        "'upsert-kafak'",
        &[],
        &[80],
        &["Could not find any factory"],
    );
    trap(
        "${kafka.bootstrap}",
        "localhost:9092",
        &[],
        &[23],
        &["`localhost` is the pod itself"],
    );
    trap(
        "${topic.orders}",
        "orderz",
        &[],
        &[92],
        &["there is no topic `orderz`", "dev topic create orderz"],
    );
    trap(
        same,
        same,
        &["--session", "sesion"],
        &[83],
        &["did you mean --session session?"],
    );
    trap(same, same, &["--parallelism", "500"], &[86], &["wants 500 task slots"]);
    let nowhere = [
        "--set",
        "execution.checkpointing.interval=1s",
        "--set",
        "execution.checkpointing.dir=file:///proc/nowhere",
    ];
    trap(
        same,
        same,
        &nowhere,
        // at the submission or right after it
        &[80, 81],
        &["Failed to create directory", "file:/proc/nowhere"],
    );
    trap(same, same, &["--var", "X=1"], &[23], &["--var X"]);
}
