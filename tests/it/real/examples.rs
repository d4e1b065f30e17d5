//! The examples: green as they are, red when what they expect or do is changed. All of it is one run, whose cases share
//! the cluster's slots: those that have to wait for their end do so beside the others.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::steps::{dev, edit, kubectl};

/// What is changed in an example's expectation, one change a copy of it.
const MUTANTS: [(&str, &str, &str); 8] = [
    // a changed record, one that is not expected, one that does not come, another order, one that is forbidden
    ("filter", "with_tax: 119,", "with_tax: 118,"),
    (
        "filter",
        "    - {id: o4, region: US, with_tax: 298.1, note: \"-\"}\n",
        "",
    ),
    ("tumbling-window", "orders: 2, total: 5", "orders: 2, total: 6"),
    (
        "running-total",
        "{account: a, amount: 5, balance: 15}",
        "{account: a, amount: 5, balance: 14}",
    ),
    ("exactly-once", "\"${i * 20}\"", "\"${i * 20 + i / 199}\""),
    ("routing", "{temperature: 900}", "{temperature: 21.5}"),
    ("regular-join", "city: Lima}}\n    # a", "city: Rio}}\n    # a"),
    ("nothing-comes-out", "amount: 1000}", "amount: 1001}"),
];

/// A copy of an example within `dir`, as a case of another name.
fn copy(dir: &Path, example: &str, name: &str) -> std::path::PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(example);
    let folder = dir.join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let file = |end: &str| format!("{}.{end}", root.display());
    let sql = folder.join(Path::new(&file("sql")).file_name().unwrap());
    std::fs::copy(file("sql"), sql).unwrap();
    // a case without a name has its file's
    let case = folder.join(format!("{name}.test.yaml"));
    std::fs::copy(file("test.yaml"), &case).unwrap();
    case
}

fn no_job_is_left() {
    assert_eq!(kubectl(&["-n", "flink", "get", "flinksessionjobs", "-o", "name"]), "");
    let overview = || {
        kubectl(&[
            "get",
            "--raw",
            "/api/v1/namespaces/flink/services/session-rest:8081/proxy/jobs",
        ])
    };
    let active = |overview: &str| {
        let states = ["RUNNING", "CREATED", "RESTARTING", "INITIALIZING", "FAILING"];
        !overview.contains("jobs") || states.iter().any(|state| overview.contains(state))
    };
    // Flink's list is as old as its refresh interval
    let mut seen = overview();
    for _ in 0..60 {
        if !active(&seen) {
            return;
        }
        std::thread::sleep(Duration::from_millis(500));
        seen = overview();
    }
    panic!("{seen}");
}

#[test]
#[ignore = "needs a real Docker engine"]
fn every_example_passes_and_none_of_them_changed() {
    dev(&["up"]).ends_with(0);
    let dir = tempfile::tempdir().unwrap();
    for (number, (example, from, to)) in MUTANTS.into_iter().enumerate() {
        let case = copy(
            dir.path(),
            &format!("sql/{example}"),
            &format!("mutant-{number}-{example}"),
        );
        edit(&case, from, to);
        // what is missing is only known to be missing at the end
        edit(&case, "\nsql:", "\nwithin: 30s\nsql:");
    }
    let row = copy(dir.path(), "orders/orders", "changed-row");
    edit(&row, "name: orders", "name: changed-row");
    edit(&row, "total: 17", "total: 18");
    // a last value may still change: a wrong one is only known to be wrong at the end
    edit(&row, "within: 60s", "within: 30s");
    let misspelt = copy(dir.path(), "orders/orders", "misspelt");
    edit(&misspelt, "name: orders", "name: misspelt");
    edit(&misspelt.with_file_name("orders.sql"), "SUM(amount)", "SUM(amout)");

    let (junit, report) = (dir.path().join("junit.xml"), dir.path().join("report.html"));
    let run = dev(&[
        "test",
        dir.path().to_str().unwrap(),
        "examples/orders",
        "examples/sql",
        "examples/programs",
        "examples/avro",
        // skipped without a schema registry, which the profile has not
        "examples/avro-confluent",
        "-o",
        "json",
        "--junit",
        junit.to_str().unwrap(),
        "--report",
        report.to_str().unwrap(),
    ])
    .ends_with(1);
    assert!(!run.stdout.contains("left behind"), "{}", run.stdout);
    let ended: BTreeMap<String, Value> = run
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|event| event["event"] == "case_finished")
        .map(|event| (event["case"].as_str().unwrap().to_owned(), event))
        .collect();
    let wrong: Vec<_> = ended
        .iter()
        .filter(|(case, event)| {
            let expected = match case.as_str() {
                "misspelt" => "error",
                "changed-row" => "fail",
                mutant if mutant.starts_with("mutant-") => "fail",
                "registered-orders" => "skip",
                _ => "pass",
            };
            event["verdict"] != expected
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let mutants = ended.keys().filter(|case| case.starts_with("mutant-")).count();
    assert_eq!(mutants, MUTANTS.len());
    assert!(ended.len() >= mutants + 2 + 20, "{:?}", ended.keys());
    no_job_is_left();

    // of a changed row that row is told, and no other
    let detail = |case: &str| {
        let lines = ended[case]["detail"].as_array().unwrap().iter();
        lines.map(|line| line.as_str().unwrap()).collect::<Vec<_>>().join("\n")
    };
    let told = detail("changed-row");
    assert!(told.contains("total: expected 18, seen 17"), "{told}");
    assert!(!told.contains("\"US\""), "only the row that differs is shown:\n{told}");
    // what Flink refuses is told at once with its place; a job that is given up at the end of `within` takes 60 s
    let told = detail("misspelt");
    for part in ["amout", "not found in any table", "statement ", "orders.sql:"] {
        assert!(told.contains(part), "`{part}`: {told}");
    }
    assert!(
        ended["misspelt"]["took"].as_f64().unwrap() < 50.0,
        "{}",
        ended["misspelt"]
    );

    let junit = std::fs::read_to_string(junit).unwrap();
    let counts = format!("failures=\"{}\" errors=\"1\" skipped=\"1\"", MUTANTS.len() + 1);
    assert!(junit.contains(&counts), "{junit}");
    let report = std::fs::read_to_string(report).unwrap();
    assert!(
        report.matches("<svg").count() >= 25 && report.contains("checkpoint"),
        "no timelines"
    );
}
