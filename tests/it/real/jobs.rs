//! `dev job` on a real cluster: from a script to RUNNING, the traps on the way, and what is done afterwards.

use std::time::Duration;

use serde_json::Value;

use super::applications::copy_of_clicks;
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

/// What the operator and Flink make for an application, and what it has besides.
fn objects_of(application: &str) -> String {
    let selector = format!("app={application},type=flink-native-kubernetes");
    let made = kubectl(&[
        "-n",
        "flink",
        "get",
        "pods,services,configmaps,deployments",
        "-l",
        &selector,
        "-o",
        "name",
    ]);
    let own = kubectl(&[
        "-n",
        "flink",
        "get",
        "flinkdeployments,flinkstatesnapshots,secrets",
        "-o",
        "name",
    ]);
    let own = own.lines().filter(|line| line.contains(application));
    made.lines().chain(own).collect::<Vec<_>>().join(" ")
}

/// `kept` of an upgrade: a savepoint, and its place.
fn kept(run: &Ran) -> String {
    let kept = last_json(run)["kept"].clone();
    assert_eq!(kept["savepoint"], true, "{kept}");
    kept["path"].as_str().unwrap().to_owned()
}

#[test]
#[ignore = "needs a real Docker engine"]
fn a_jar_in_the_session_goes_on_from_its_savepoint() {
    dev(&["up"]).ends_with(0);
    let _jobs = Jobs(&["it-clicks"]);
    let project = copy_of_clicks();
    let dir = project.path().to_str().unwrap();
    dev(&["image", "build", "--project", dir, "--no-load", "--no-engine"]).ends_with(0);
    let jar = project.path().join("target/clicks-1.0.jar");
    let jar = jar.to_str().unwrap();
    let wrong = dev(&["job", "run", jar, "--name", "it-clicks", "--main", "com.example.Clicks"]).ends_with(26);
    assert!(
        wrong.stderr.contains("--main com.example.clicks.ClicksPerUser"),
        "{}",
        wrong.stderr
    );
    let main = "com.example.clicks.ClicksPerUser";
    let run = dev(&["job", "run", jar, "--name", "it-clicks", "--main", main, "-o", "json"]).ends_with(0);
    let id = last_json(&run)["job_id"].as_str().unwrap().to_owned();
    // whatever the program calls itself, the job is found
    assert_eq!(flink(&format!("/jobs/{id}"))["name"], "clicks per user");
    let same = dev(&["job", "upgrade", "it-clicks", jar, "--main", main, "-o", "json"]).ends_with(0);
    assert_eq!(last_json(&same)["changed"], false);
    let run = dev(&[
        "job",
        "upgrade",
        "it-clicks",
        jar,
        "--main",
        main,
        "-o",
        "json",
        "--",
        "again",
    ])
    .ends_with(0);
    let path = kept(&run);
    assert!(path.contains("savepoint-"), "{path}");
    let id = last_json(&run)["job_id"].as_str().unwrap().to_owned();
    let restored = flink(&format!("/jobs/{id}/checkpoints"))["latest"]["restored"].clone();
    assert_eq!(restored["external_path"], path);
    dev(&["job", "rm", "it-clicks"]).ends_with(0);
    assert_eq!(alive("clicks per user"), Vec::<Value>::new());
    let snapshots = kubectl(&["-n", "flink", "get", "flinkstatesnapshots", "-o", "name"]);
    assert!(!snapshots.contains("it-clicks"), "{snapshots}");
}

#[test]
#[ignore = "needs a real Docker engine"]
fn an_application_from_its_script_to_its_end() {
    dev(&["up"]).ends_with(0);
    let _jobs = Jobs(&["it-app"]);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("it-app.sql");
    let write = |condition: &str| {
        let script = format!(
            "CREATE TABLE a (n INT) WITH ('connector' = 'datagen', 'rows-per-second' = '5', 'fields.n.max' = '3');\n\
             CREATE TABLE b (n INT, c BIGINT, s STRING) WITH ('connector' = 'blackhole');\n\
             INSERT INTO b SELECT n, COUNT(*), '${{SECRET}}' FROM a WHERE n > {condition} GROUP BY n;\n"
        );
        std::fs::write(&file, script).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let script = write("nn");
    let wrong = dev(&["job", "run", &script, "--application", "--var", "SECRET=geheim"]);
    assert!(
        wrong.code == Some(80) && wrong.stderr.contains("it-app.sql:3:"),
        "{:?} {}",
        wrong.code,
        wrong.stderr
    );
    assert_eq!(objects_of("it-app"), "");
    let script = write("0");
    dev(&[
        "job",
        "run",
        &script,
        "--application",
        "--parallelism",
        "500",
        "--var",
        "SECRET=x",
    ])
    .ends_with(86);
    let run = dev(&[
        "job",
        "run",
        &script,
        "--application",
        "--var",
        "SECRET=geheim",
        "-o",
        "json",
    ])
    .ends_with(0);
    assert_eq!(last_json(&run)["state"], "RUNNING");
    dev(&["job", "status", "it-app"]).ends_with(0);
    let log = dev(&["job", "logs", "it-app"]).ends_with(0).stdout;
    assert!(log.contains("jobmanager") && !log.contains("geheim"), "{log}");
    let script = write("1");
    let run = dev(&[
        "job",
        "upgrade",
        "it-app",
        &script,
        "--var",
        "SECRET=geheim",
        "-o",
        "json",
    ])
    .ends_with(0);
    kept(&run);
    dev(&["job", "rm", "it-app"]).ends_with(0);
    assert_eq!(objects_of("it-app"), "");
}
