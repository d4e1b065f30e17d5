//! Python jobs in a session cluster whose image has PyFlink. `scripts/test python` runs this: it makes the image first, which
//! takes minutes, and changes the session cluster; the next `dev up` changes it back.

use super::steps::{cluster, dev};
use super::topics::Topics;

struct Job<'a>(&'a str, &'a str);

impl Drop for Job<'_> {
    fn drop(&mut self) {
        dev(&["job", "rm", "--if-exists", self.0, "-p", self.1]);
    }
}

#[test]
#[ignore = "needs a real Docker engine, and makes an image for minutes"]
fn a_python_function_reads_and_writes_topics_and_an_error_has_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let profile = write(
        "dev.yaml",
        &format!("version: 1\nname: {}\nsession: {{python: true}}\n", cluster()),
    );
    let script = "examples/python/loud_orders.py";
    dev(&["up"]).ends_with(0);
    let refused = dev(&["job", "run", script]);
    assert!(
        refused.code != Some(0) && refused.stderr.contains("python: true"),
        "{}",
        refused.stderr
    );
    dev(&["up", &profile]).ends_with(0);
    let _topics = Topics(&["orders", "loud_orders"]);
    let _job = Job("loud-orders", &profile);
    dev(&[
        "topic",
        "create",
        "orders",
        "loud_orders",
        "--if-not-exists",
        "-p",
        &profile,
    ])
    .ends_with(0);

    dev(&["job", "run", script, "-p", &profile]).ends_with(0);
    let records = write("in.jsonl", "{\"value\":{\"region\":\"eu\",\"amount\":1}}\n");
    dev(&["topic", "produce", "orders", &records, "-p", &profile]).ends_with(0);
    let out = dev(&["topic", "consume", "loud_orders", "--until", "1", "-p", &profile]).ends_with(0);
    assert!(out.stdout.contains("EU!"), "{}", out.stdout);
    let tested = dev(&["test", "examples/python", "-p", &profile, "-o", "json"]).ends_with(0);
    assert!(tested.stdout.contains("\"verdict\":\"pass\""), "{}", tested.stdout);

    let wrong = write("wrong.py", "import os\n\nprint(os.nothing)\n");
    let failed = dev(&["job", "run", &wrong, "-p", &profile]);
    assert!(failed.code != Some(0), "{}", failed.stdout);
    for part in ["wrong.py:3", "AttributeError", "nothing"] {
        assert!(failed.stderr.contains(part), "`{part}` is not in: {}", failed.stderr);
    }
}
