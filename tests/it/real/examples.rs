//! The examples: green as they are, red when what they expect is changed.

use std::path::Path;

use serde_json::Value;

use super::steps::{dev, edit};

#[test]
#[ignore = "needs a real Docker engine"]
fn every_example_passes_side_by_side() {
    dev(&["up"]).ends_with(0);
    let dir = tempfile::tempdir().unwrap();
    let (junit, report) = (dir.path().join("junit.xml"), dir.path().join("report.html"));
    let run = dev(&[
        "test",
        "examples/orders",
        "examples/sql",
        "--junit",
        junit.to_str().unwrap(),
        "--report",
        report.to_str().unwrap(),
    ])
    .ends_with(0);
    assert!(!run.stderr.contains("left behind"), "{}", run.stderr);
    let junit = std::fs::read_to_string(junit).unwrap();
    assert!(junit.contains("failures=\"0\" errors=\"0\" skipped=\"0\""), "{junit}");
    let report = std::fs::read_to_string(report).unwrap();
    assert!(
        report.matches("<svg").count() >= 15 && report.contains("checkpoint"),
        "no timelines"
    );
}

/// A copy of an example with one change of what it expects.
fn mutant(dir: &Path, example: &str, from: &str, to: &str) {
    let folder = dir.join(format!("{example}-{}", from.len()));
    std::fs::create_dir_all(&folder).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/sql");
    for end in ["sql", "test.yaml"] {
        let name = format!("{example}.{end}");
        std::fs::copy(root.join(&name), folder.join(&name)).unwrap();
    }
    let case = folder.join(format!("{example}.test.yaml"));
    edit(&case, from, to);
    // what is missing is only known to be missing at the end
    edit(&case, "\nsql:", "\nwithin: 30s\nsql:");
}

#[test]
#[ignore = "needs a real Docker engine"]
fn no_example_passes_with_another_expectation() {
    dev(&["up"]).ends_with(0);
    let dir = tempfile::tempdir().unwrap();
    let mutants = [
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
    for (example, from, to) in mutants {
        mutant(dir.path(), example, from, to);
    }
    let run = dev(&["test", dir.path().to_str().unwrap(), "-o", "json"]).ends_with(1);
    let events = run
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let verdicts: Vec<_> = events
        .filter(|event| event["event"] == "case_finished")
        .map(|event| (event["case"].clone(), event["verdict"].clone()))
        .collect();
    assert_eq!(verdicts.len(), mutants.len());
    assert!(verdicts.iter().all(|(_, verdict)| verdict == "fail"), "{verdicts:?}");
}
