//! Environments that are made and taken down: in one go, and with SIGKILL of `dev up` in each of its phases, after which
//! the next `dev up` converges.

use std::time::Duration;

use serde_json::Value;

use super::steps::{alone, cluster, containers, dev, docker, up_killed_at};

const SYSCTLS: [&str; 3] = ["vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops"];

fn sysctls() -> Vec<String> {
    SYSCTLS
        .iter()
        .map(|name| std::fs::read_to_string(format!("/proc/sys/{name}")).unwrap_or_default())
        .collect()
}

/// Containers that `dev` makes for a moment; a killed run may have left one.
fn helpers() -> String {
    docker(&["ps", "-aq", "--filter", "label=dev.flink.helper"])
}

#[test]
#[ignore = "needs a real Docker engine"]
fn a_demo_goes_from_nothing_to_pass_and_leaves_nothing() {
    dev(&["down"]).ends_with(0);
    let (before, helpers_before) = (sysctls(), helpers());
    let volumes = || docker(&["volume", "ls", "-q"]);
    let volumes_before = volumes();
    // the plan tells and changes nothing
    let plan = dev(&["up", "--dry-run"]).ends_with(0);
    let line = format!("+ create  cluster `{}`", cluster());
    assert!(plan.stdout.contains(&line), "{}", plan.stdout);
    assert_eq!(containers(), "");

    let demo = dev(&["demo"]).ends_with(0);
    assert!(demo.stderr.contains("PASS"), "{}", demo.stderr);
    assert!(demo.stdout.contains("dev status"), "{}", demo.stdout);
    println!("from nothing to PASS: {:.1} s", demo.took.as_secs_f64());
    let status = dev(&["status", "-o", "json"]).ends_with(0);
    let status: Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!(status["ready"], true);
    assert_ne!(volumes(), volumes_before, "the node has a volume while it runs");

    dev(&["down"]).ends_with(0);
    assert_eq!(containers(), "");
    assert_eq!(helpers(), helpers_before);
    assert_eq!(volumes(), volumes_before);
    if alone() {
        assert_eq!(docker(&["network", "ls", "-q", "--filter", "name=^flink-dev$"]), "");
        assert_eq!(sysctls(), before, "kernel settings are as before");
    }
    dev(&["status"]).ends_with(61);
    dev(&["down"]).ends_with(0);
}

/// True at an event of a step (`step_started`, `step_finished`), once all of `before` have finished that the plan has:
/// a run that was killed as the API server answered may have ended with a finished cluster, or not quite.
fn at(event: &'static str, step: &'static str, before: &'static [&'static str]) -> impl FnMut(&Value) -> bool {
    let mut open: Vec<&str> = before.to_vec();
    let mut came = false;
    move |seen| {
        match seen["event"].as_str() {
            Some("plan_ready") => open.retain(|step| planned(seen, step)),
            Some("step_finished") => open.retain(|step| seen["step"] != *step),
            _ => {}
        }
        came |= seen["event"] == event && seen["step"] == step;
        came && open.is_empty()
    }
}

fn planned(plan: &Value, step: &str) -> bool {
    plan["steps"].as_array().unwrap().iter().any(|s| s["id"] == step)
}

fn killed(event: &'static str, step: &'static str, before: &'static [&'static str], after_ms: u64) {
    println!("SIGKILL {after_ms} ms after {event} of `{step}`, {before:?} being done");
    if let Err(told) = up_killed_at(at(event, step, before), Duration::from_millis(after_ms)) {
        panic!("`{step}` was never reached:\n{told}");
    }
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
    // in a finished cluster: this one stays, and every run goes on where the one before was killed
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
