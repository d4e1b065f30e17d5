//! `dev sql` against a gateway that answers as Flink's does.

use std::io::Write as _;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::dev::Run;
use crate::fakes::flink::{Cluster, NAMESPACE};

/// A cluster whose pods are ready at once, and the statements that its gateway was given.
fn cluster() -> (Cluster, Arc<Mutex<Vec<String>>>) {
    let cluster = Cluster::new();
    cluster.api.react("Pod", |object| {
        object["status"] = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]});
    });
    let given = Arc::new(Mutex::new(Vec::<String>::new()));
    let statements = given.clone();
    cluster.api.serve_at(":8083/", move |method, path, body| {
        let mut given = statements.lock().unwrap();
        if path == "/v1/info" {
            return (200, json!({"productName": "Apache Flink", "version": "2.2.1"}));
        }
        if method == "POST" && path == "/v1/sessions" {
            given.push(format!(
                "mode {}",
                body["properties"]["execution.runtime-mode"].as_str().unwrap()
            ));
            return (200, json!({"sessionHandle": "s"}));
        }
        if method == "POST" && path.ends_with("/statements") {
            given.push(body["statement"].as_str().unwrap().to_owned());
            return (200, json!({"operationHandle": "o"}));
        }
        if path.contains("/result/") {
            return result(given.last().unwrap(), path);
        }
        given.push(format!("{method} {}", path.rsplit('/').next().unwrap()));
        (200, json!({"status": "CLOSED"}))
    });
    (cluster, given)
}

fn result(statement: &str, path: &str) -> (u16, Value) {
    let column = |name: &str, kind: &str| json!({"name": name, "logicalType": {"type": kind}});
    let page = |kind: &str, more: Value| {
        let mut page = json!({"resultType": kind, "isQueryResult": false, "resultKind": "SUCCESS"});
        page.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        if kind != "EOS" {
            page["nextResultUri"] = json!("/v1/sessions/s/operations/o/result/1");
        }
        (200, page)
    };
    let empty = json!({"results": {"columns": [column("result", "VARCHAR")], "data": []}});
    let first = path.contains("/result/0");
    match statement {
        _ if statement.contains("nope") => {
            let trace = "<Exception on server side:\na.B: Failed\nCaused by: x.Y: From line 1, column 8 to line 1, column 11: no\nCaused by: x.Z: Column 'nope' not found in any table\nEnd of exception on server side>";
            (500, json!({"errors": ["Internal server error.", trace]}))
        }
        _ if statement.starts_with("INSERT") => page("PAYLOAD", json!({"jobID": "cafe", "results": {"data": []}})),
        _ if statement.starts_with("SELECT") && first => {
            let data = json!([{"kind": "INSERT", "fields": [1, "a b"]}, {"kind": "INSERT", "fields": [2, null]}]);
            let results = json!({"columns": [column("n", "INTEGER"), column("text", "VARCHAR")], "data": data});
            page(
                "PAYLOAD",
                json!({"isQueryResult": true, "resultKind": "SUCCESS_WITH_CONTENT", "results": results}),
            )
        }
        // a stream has no end
        "SELECT for ever" => page("PAYLOAD", json!({"isQueryResult": true, "results": {"data": []}})),
        _ if statement.starts_with("SELECT") => page(
            "EOS",
            json!({"isQueryResult": true, "resultKind": "SUCCESS_WITH_CONTENT", "results": {"data": []}}),
        ),
        _ if first => page("NOT_READY", json!({"resultKind": null})),
        _ => page("EOS", empty),
    }
}

fn pods(cluster: &Cluster) -> usize {
    let made = cluster.api.paths(&format!("{NAMESPACE}/pods/"));
    made.iter().filter(|path| path.contains("-sql")).count()
}

#[track_caller]
fn ends(run: &Run, code: i32, parts: &[&str]) {
    assert_eq!(run.code, Some(code), "stdout: {}\nstderr: {}", run.stdout, run.stderr);
    for part in parts {
        assert!(run.stderr.contains(part), "`{part}` is not in: {}", run.stderr);
    }
}

#[test]
fn statements_give_rows_for_people_and_for_programs() {
    let (cluster, given) = cluster();
    let run = cluster.run(&["sql", "-e", "CREATE VIEW v AS VALUES (1); SELECT n, text FROM v"]);
    ends(&run, 0, &["2 rows"]);
    assert_eq!(run.stdout, "n  text\n1  a b\n2  NULL\n");
    assert_eq!(pods(&cluster), 0, "the pod is gone");
    assert_eq!(
        *given.lock().unwrap(),
        [
            "mode BATCH",
            "CREATE VIEW v AS VALUES (1)",
            "DELETE close",
            "SELECT n, text FROM v",
            "DELETE close"
        ]
    );
    cluster.world.write("a.sql", "INSERT INTO t SELECT 1;\nSELECT 1;");
    let run = cluster.run(&["sql", "a.sql", "-o", "json"]);
    ends(&run, 0, &[]);
    let lines: Vec<Value> = run.stdout.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let results: Vec<&Value> = lines.iter().filter(|line| line["result"].is_string()).collect();
    assert_eq!(
        (&results[0]["result"], &results[0]["job_id"]),
        (&json!("job"), &json!("cafe"))
    );
    assert_eq!(
        results[1]["rows"],
        json!([{"n": 1, "text": "a b"}, {"n": 2, "text": null}])
    );
    assert_eq!(
        (&results[1]["complete"], &results[1]["columns"][0]["type"]),
        (&json!(true), &json!("INTEGER"))
    );
}

#[test]
fn a_statement_that_fails_ends_the_run_at_its_place() {
    let (cluster, given) = cluster();
    cluster
        .world
        .write("a.sql", "SELECT 1;\n  SELECT nope\n  FROM t;\nSELECT 2;\n");
    let run = cluster.run(&["sql", "a.sql"]);
    ends(
        &run,
        80,
        &["error[JOB_SUBMIT_FAILED]", "Column 'nope' not found", "a.sql:2:10"],
    );
    assert!(
        run.stdout.starts_with("n  text"),
        "what came before is printed: {}",
        run.stdout
    );
    assert_eq!(pods(&cluster), 0);
    assert!(!given.lock().unwrap().contains(&"SELECT 2".to_owned()));
    cluster.api.take_requests();
    cluster.world.write("b.sql", "SELECT 'a");
    ends(&cluster.run(&["sql", "b.sql"]), 23, &["b.sql:1:8"]);
    ends(&cluster.run(&["sql", "-e", "SELECT ${X}"]), 23, &["has no value"]);
    ends(&cluster.run(&["sql"]), 2, &["no terminal"]);
    let requests = cluster.api.take_requests();
    assert!(
        requests.iter().all(|r| !r.starts_with("POST")),
        "nothing is made: {requests:?}"
    );
}

#[test]
fn results_are_bounded_and_a_stream_is_cut() {
    let (cluster, given) = cluster();
    let run = cluster.run(&["sql", "-e", "SELECT 1", "--rows", "1"]);
    ends(&run, 0, &["1 row, there are more"]);
    assert_eq!(run.stdout, "n  text\n1  a b\n");
    let open = &["sql", "-e", "SELECT for ever", "--within", "1s"][..];
    ends(&cluster.run(open), 11, &["has not ended after 1 s", "--streaming"]);
    given.lock().unwrap().clear();
    let run = cluster.run(&[open, &["--streaming"]].concat());
    ends(&run, 0, &["2 rows, there are more"]);
    let given = given.lock().unwrap();
    assert_eq!(given[0], "mode STREAMING");
    assert_eq!(given[2..], ["POST cancel", "DELETE close"]);
}

#[test]
fn standard_input_and_tables_of_profile_and_script() {
    let (cluster, given) = cluster();
    cluster
        .world
        .write("dev.yaml", "version: 1\ntopics:\n  orders:\n    columns: [id INT]\n");
    cluster.world.write(
        "job.sql",
        "CREATE TABLE totals (a INT) WITH ('topic' = '${topic.totals}', 'b' = '${kafka.bootstrap}');\nINSERT INTO totals SELECT 1;",
    );
    let mut command = cluster.world.command(&["sql", "--tables", "job.sql"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"SELECT 1;\n").unwrap();
    let run = Run::of(&child.wait_with_output().unwrap(), cluster.world.dir.path());
    ends(&run, 0, &[]);
    let given = given.lock().unwrap();
    let made: Vec<&String> = given.iter().filter(|s| s.starts_with("CREATE")).collect();
    assert!(
        made[0].contains("TABLE `orders`") && made[0].contains("'scan.bounded.mode' = 'latest-offset'"),
        "{made:?}"
    );
    assert!(
        made[1].contains("'topic' = 'totals', 'b' = 'kafka.kafka.svc"),
        "{made:?}"
    );
    assert!(given.iter().all(|s| !s.starts_with("INSERT")));
}

#[test]
fn what_a_killed_run_left_is_removed_and_a_pod_that_does_not_start_is_told() {
    let (cluster, _) = cluster();
    let labels = json!({"app.kubernetes.io/managed-by": "flink-dev", "flink-dev/run": "1dead001"});
    let left = format!("{NAMESPACE}/pods/dev-1dead001-0-sql");
    cluster.api.put(
        &left,
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "dev-1dead001-0-sql", "labels": labels}}),
    );
    ends(
        &cluster.run(&["sql", "-e", "SHOW TABLES"]),
        0,
        &["removed pod dev-1dead001-0-sql"],
    );
    assert!(cluster.api.object(&left).is_none());
    cluster.api.react("Pod", |object| {
        object["status"] = json!({"phase": "Failed", "containerStatuses": [{"name": "sql", "ready": false,
            "state": {"terminated": {"exitCode": 3, "reason": "Error"}}}]});
    });
    let run = cluster.run(&["sql", "-e", "SHOW TABLES"]);
    ends(
        &run,
        71,
        &["the pod of the SQL session does not start", "ended with exit code 3"],
    );
    assert_eq!(pods(&cluster), 0);
}
