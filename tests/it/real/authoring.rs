//! A case from its first draft: `dev test init`, `--update`, `--watch`.

use std::path::Path;

use super::steps::{dev, edit, example_copy, kubectl};
use super::watching::Watching;

/// Seconds from an edit to its verdict on a busy machine; on a quiet one it is 6 s at most.
const EDIT_TO_VERDICT: f64 = 20.0;

/// The seconds in `…: 3.1 s after the change; watching`.
#[track_caller]
fn seconds(line: &str) -> f64 {
    let before = line.split(" s after the change").next().unwrap();
    let number = before.rsplit(' ').next().unwrap();
    number.parse().unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[test]
#[ignore = "needs a real Docker engine"]
fn a_case_is_drafted_filled_by_what_comes_out_and_run_again_when_it_changes() {
    dev(&["up"]).ends_with(0);
    let dir = example_copy();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (script, case, draft) = (at("orders.sql"), at("orders.test.yaml"), at("draft.test.yaml"));

    dev(&["test", "init", &script, &draft]).ends_with(0);
    let first = std::fs::read_to_string(&draft).unwrap();
    assert!(first.contains("orders:") && first.contains("totals:"), "{first}");
    let again = dev(&["test", "init", &script, &draft]).ends_with(2);
    assert!(again.stderr.contains("already"), "{}", again.stderr);
    std::fs::remove_file(&draft).unwrap();

    // what came out takes the place of what was expected, and nothing else changes
    let good = std::fs::read_to_string(&case).unwrap();
    edit(Path::new(&case), "total: 349", "total: 350");
    edit(Path::new(&case), "    - {id: o4, amount: 100}\n", "");
    let updated = dev(&["test", &case, "--update", "-o", "json"]).ends_with(0);
    assert!(updated.stdout.contains("is written anew"), "{}", updated.stdout);
    let written = std::fs::read_to_string(&case).unwrap();
    assert!(written.contains("# the last value of each Kafka key"), "{written}");
    assert!(written.contains("349") && written.contains("o4"), "{written}");
    dev(&["test", &case]).ends_with(0);

    std::fs::write(&case, &good).unwrap();
    let mut watching = Watching::start(&["test", &case, "--watch"]);
    watching.line("watching (Ctrl-C ends it)");
    for (from, to, word) in [
        ("total: 17", "total: 18", "1 failed"),
        ("total: 18", "total: 17", "1 passed"),
    ] {
        edit(Path::new(&case), from, to);
        // a wrong last value is only known to be wrong when time is over
        edit(Path::new(&case), "within: ", "within: 8s # ");
        let line = watching.line("after the change");
        assert!(line.contains(word), "{line}");
        assert!(word == "1 failed" || seconds(&line) < EDIT_TO_VERDICT, "{line}");
    }
    watching.stop();
    assert_eq!(kubectl(&["-n", "flink", "get", "flinksessionjobs", "-o", "name"]), "");
}
