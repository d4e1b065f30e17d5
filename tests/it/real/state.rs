//! Where jobs keep their state: with the shipped profile, and no setting of the user's.

use std::time::{Duration, Instant};

use super::steps::{dev, docker, kubectl, node};
use super::topics::Topics;

/// The folder of the node that the volume is.
const FOLDER: &str = "/var/lib/flink-dev/state/session";

struct Job(&'static str);

impl Drop for Job {
    fn drop(&mut self) {
        dev(&["job", "rm", "--if-exists", self.0]);
    }
}

#[test]
#[ignore = "needs a real Docker engine"]
fn savepoints_and_checkpoints_lie_in_the_shared_volume() {
    dev(&["up"]).ends_with(0);
    let _topics = Topics(&["orders", "totals", "big_orders"]);
    let _job = Job("it-state");
    dev(&["topic", "create", "orders", "totals", "big_orders", "--if-not-exists"]).ends_with(0);
    let often = "execution.checkpointing.interval=500 ms";
    let script = "examples/orders/orders.sql";
    let run = dev(&["job", "run", script, "--name", "it-state", "--set", often, "-o", "json"]).ends_with(0);
    let last: serde_json::Value = serde_json::from_str(run.stdout.lines().last().unwrap()).unwrap();
    let id = last["job_id"].as_str().unwrap();

    let saved = dev(&["job", "savepoint", "it-state", "-o", "json"]).ends_with(0).stdout;
    let saved: serde_json::Value = serde_json::from_str(saved.lines().last().unwrap()).unwrap();
    let path = saved["seen"].as_str().unwrap();
    let in_node = path
        .strip_prefix("file:/flink-data/session/savepoints/")
        .map(|name| format!("{FOLDER}/savepoints/{name}/_metadata"))
        .unwrap_or_else(|| panic!("elsewhere: {path}"));
    assert_eq!(
        docker(&["exec", &node(), "stat", "-c", "%u", &in_node]),
        "9999",
        "{in_node}"
    );

    let checkpoints = format!("{FOLDER}/checkpoints/{id}");
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let found = docker(&["exec", &node(), "find", &checkpoints, "-name", "_metadata"]);
        if found.contains("/chk-") {
            break;
        }
        let pods = kubectl(&["-n", "flink", "get", "pods"]);
        assert!(Instant::now() < end, "no checkpoint in {checkpoints}: {found}\n{pods}");
        std::thread::sleep(Duration::from_millis(200));
    }
}
