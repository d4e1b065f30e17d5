//! SIGKILL of `dev up` in each of its phases: the next `dev up` converges.

use std::time::Duration;

use serde_json::Value;

use super::steps::{dev, docker, up_killed_at};

fn starts(step: &'static str) -> impl Fn(&Value) -> bool {
    move |event| event["event"] == "step_started" && event["step"] == step
}

#[test]
#[ignore = "needs a real Docker engine"]
fn up_converges_after_a_kill_in_any_phase() {
    let phases = [
        ("cluster", 300),
        ("cluster", 4000),
        ("cluster", 8000),
        ("load", 2500),
        ("load/session", 1000),
        ("cert-manager", 500),
        ("flink-operator", 300),
        ("kafka", 1500),
        ("session", 1500),
    ];
    for (step, after) in phases {
        dev(&["down"]).ends_with(0);
        println!("SIGKILL {after} ms after the start of `{step}`");
        assert!(
            up_killed_at(starts(step), Duration::from_millis(after)),
            "`{step}` never started"
        );
        dev(&["up"]).ends_with(0);
        dev(&["status"]).ends_with(0);
    }
    dev(&["test", "examples/orders"]).ends_with(0);
}

#[test]
#[ignore = "needs a real Docker engine"]
fn down_cleans_up_after_a_kill() {
    dev(&["down"]).ends_with(0);
    assert!(up_killed_at(starts("cluster"), Duration::from_millis(3000)));
    dev(&["down"]).ends_with(0);
    assert_eq!(
        docker(&["ps", "-aq", "--filter", "label=io.x-k8s.kind.cluster=flink-dev"]),
        ""
    );
    assert_eq!(docker(&["network", "ls", "-q", "--filter", "name=^flink-dev$"]), "");
}
