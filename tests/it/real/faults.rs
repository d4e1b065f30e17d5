//! Cases with steps: what happens in them is seen, what they disturb is well again, and nothing stays paused.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::steps::{command, dev, edit, kubectl};

/// The verdicts of a run with `-o json`, by the names of the cases.
fn verdicts(stdout: &str) -> Vec<(String, String)> {
    let events = stdout
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    events
        .filter(|event| event["event"] == "case_finished")
        .map(|event| (text(&event["case"]), text(&event["verdict"])))
        .collect()
}

#[test]
#[ignore = "needs a real Docker engine"]
fn cases_with_faults_pass_alone_and_show_what_happened() {
    dev(&["up"]).ends_with(0);
    let dir = tempfile::tempdir().unwrap();
    let (junit, report) = (dir.path().join("junit.xml"), dir.path().join("report.html"));
    let run = dev(&[
        "test",
        "examples/faults",
        "-o",
        "json",
        "--junit",
        junit.to_str().unwrap(),
        "--report",
        report.to_str().unwrap(),
    ])
    .ends_with(0);
    let verdicts = verdicts(&run.stdout);
    let passed = verdicts.iter().filter(|(_, verdict)| verdict == "pass").count();
    assert!(passed >= 4 && verdicts.len() == 5, "{verdicts:?}");
    assert!(!run.stdout.contains("left behind"), "{}", run.stdout);
    let junit = std::fs::read_to_string(junit).unwrap();
    assert!(
        junit.contains("name=\"fault\" value=\"4. kill taskmanager at"),
        "{junit}"
    );
    let report = std::fs::read_to_string(report).unwrap();
    assert!(report.contains("class=\"fault\"") && report.contains("class=\"checkpoint\""));
    // nothing is left of savepoints, and all parts are there
    assert_eq!(
        kubectl(&["-n", "flink", "get", "flinkstatesnapshots", "-o", "name"]),
        ""
    );
    dev(&["status"]).ends_with(0);
}

/// Bounds a case, whatever it says of that itself.
fn bound(case: &Path, within: &str) {
    let text = std::fs::read_to_string(case).unwrap();
    let mut lines: Vec<_> = text.lines().filter(|line| !line.starts_with("within:")).collect();
    let within = format!("within: {within}");
    lines.push(&within);
    std::fs::write(case, lines.join("\n")).unwrap();
}

/// A copy of an example with one change.
fn mutant(dir: &Path, example: &str, from: &str, to: &str) {
    let folder = dir.join(format!("{example}-{}", from.len()));
    std::fs::create_dir_all(&folder).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/faults");
    for entry in std::fs::read_dir(&root).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // its own files, and the scripts that several share
        if name.starts_with(example) || name.ends_with(".sql") {
            std::fs::copy(&path, folder.join(name)).unwrap();
        }
    }
    let case = folder.join(format!("{example}.test.yaml"));
    edit(&case, from, to);
    // what is missing is only known to be missing at the end
    bound(&case, "25s");
}

#[test]
#[ignore = "needs a real Docker engine"]
fn no_case_with_steps_passes_with_another_expectation() {
    dev(&["up"]).ends_with(0);
    let dir = tempfile::tempdir().unwrap();
    let mutants = [
        ("killed-taskmanager", "\"${i * 20}\"", "\"${i * 20 + i / 399}\""),
        ("paused-broker", "restarts: {at_most: 0}", "restarts: {at_least: 1}"),
        ("upgrade", "total: 18", "total: 1"),
        ("scale", "orders: 24", "orders: 23"),
    ];
    for (example, from, to) in mutants {
        mutant(dir.path(), example, from, to);
    }
    let run = dev(&["test", dir.path().to_str().unwrap(), "-o", "json"]).ends_with(1);
    let verdicts = verdicts(&run.stdout);
    assert_eq!(verdicts.len(), mutants.len(), "{verdicts:?}");
    assert!(verdicts.iter().all(|(_, verdict)| verdict == "fail"), "{verdicts:?}");
}

/// A case that pauses the broker, and then waits for what never comes.
fn endless(dir: &Path) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/faults");
    for name in ["copies.sql", "paused-broker.test.yaml"] {
        std::fs::copy(root.join(name), dir.join(name)).unwrap();
    }
    let case = dir.join("paused-broker.test.yaml");
    edit(
        &case,
        "  - await: {state: RUNNING}\n",
        "  - await: {state: FAILED}\n    within: 10m\n",
    );
    bound(&case, "10m");
    case.to_str().unwrap().to_owned()
}

/// Runs that case until the broker stands still.
fn paused(args: &[&str]) -> Child {
    let mut child = command(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for line in lines.map_while(Result::ok) {
        let event = serde_json::from_str::<Value>(&line).unwrap_or_default();
        let title = event["title"].as_str().unwrap_or_default();
        if event["event"] == "step_finished" && title.ends_with("pause broker") {
            return child;
        }
    }
    panic!("the broker was never paused: {:?}", child.wait());
}

fn nothing_is_left() {
    assert_eq!(kubectl(&["-n", "flink", "get", "flinksessionjobs", "-o", "name"]), "");
    let topics = dev(&["topic", "ls", "-o", "json"]).ends_with(0);
    assert!(!topics.stdout.contains("paused-broker"), "{}", topics.stdout);
}

#[test]
#[ignore = "needs a real Docker engine"]
fn what_is_paused_goes_on_after_ctrl_c_and_after_a_kill() {
    dev(&["up"]).ends_with(0);
    let dir = tempfile::tempdir().unwrap();
    let (case, report) = (endless(dir.path()), dir.path().join("report.html"));
    let mut child = paused(&["test", &case, "-o", "json", "--report", report.to_str().unwrap()]);
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let report = std::fs::read_to_string(report).unwrap();
    assert!(report.contains("pause broker"), "what was known is written");
    dev(&["status"]).ends_with(0);
    nothing_is_left();

    let mut child = paused(&["test", &case, "-o", "json"]);
    child.kill().unwrap();
    child.wait().unwrap();
    let run = dev(&["test", "examples/orders"]).ends_with(0);
    assert!(run.stderr.contains("of a run that is over: goes on"), "{}", run.stderr);
    nothing_is_left();
}
