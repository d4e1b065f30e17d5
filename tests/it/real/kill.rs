//! SIGKILL of `dev up` in each of its phases: the next `dev up` converges.

use std::time::Duration;

use serde_json::Value;

use super::steps::{alone, containers, dev, docker, up_killed_at};

/// True at an event of a step (`step_started`, `step_finished`), once all of `before` have finished.
fn at(event: &'static str, step: &'static str, before: &'static [&'static str]) -> impl FnMut(&Value) -> bool {
    let mut open: Vec<&str> = before.to_vec();
    let mut came = false;
    move |seen| {
        if seen["event"] == "step_finished" {
            open.retain(|step| seen["step"] != *step);
        }
        came |= seen["event"] == event && seen["step"] == step;
        came && open.is_empty()
    }
}

fn killed(event: &'static str, step: &'static str, before: &'static [&'static str], after_ms: u64) {
    println!("SIGKILL {after_ms} ms after {event} of `{step}`, {before:?} being done");
    assert!(
        up_killed_at(at(event, step, before), Duration::from_millis(after_ms)),
        "`{step}` was never reached"
    );
}

/// Each run has to get over what the kill before it left, or it would not come to the phase in which it is killed.
#[test]
#[ignore = "needs a real Docker engine"]
fn up_converges_after_a_kill_in_any_phase() {
    const CREATED: &[&str] = &["cluster/create"];
    dev(&["down"]).ends_with(0);
    // while kind makes the cluster: at its start, with kubeadm at work, with layers under way
    killed("step_started", "cluster/create", &[], 300);
    killed("step_started", "cluster/create", &[], 4000);
    killed("step_started", "load", &[], 2500);
    // the API server answers, and kind may still be at work: what is not marked as finished is made anew
    killed("step_finished", "cluster", &[], 0);
    dev(&["up"]).ends_with(0);
    dev(&["status"]).ends_with(0);
    // in a finished cluster: this one stays, and every run goes on where the one before was killed
    dev(&["down"]).ends_with(0);
    killed("step_started", "load/session", CREATED, 500);
    let node = node_id();
    killed("step_started", "cert-manager", &["cluster"], 500);
    killed("step_started", "flink-operator", &["cluster"], 300);
    killed("step_started", "kafka", &["cluster"], 1500);
    killed("step_started", "session", &["load/session"], 1500);
    dev(&["up"]).ends_with(0);
    assert_eq!(node_id(), node, "a finished cluster is not made anew");
    dev(&["status"]).ends_with(0);
    dev(&["test", "examples/orders"]).ends_with(0);
}

fn node_id() -> String {
    let id = docker(&["inspect", "--format", "{{.Id}}", &super::steps::node()]);
    assert_eq!(id.len(), 64, "{id}");
    id
}

#[test]
#[ignore = "needs a real Docker engine"]
fn down_cleans_up_after_a_kill() {
    dev(&["down"]).ends_with(0);
    killed("step_started", "cluster/create", &[], 3000);
    dev(&["down"]).ends_with(0);
    assert_eq!(containers(), "");
    if alone() {
        assert_eq!(docker(&["network", "ls", "-q", "--filter", "name=^flink-dev$"]), "");
    }
}
