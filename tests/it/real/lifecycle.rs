//! What `dev up` does with what is there.

use std::time::Duration;

use super::steps::{dev, docker, edit, example_copy, kubectl, settled_resource_versions};

#[test]
#[ignore = "needs a real Docker engine"]
fn up_on_what_is_up_changes_nothing_and_is_quick() {
    dev(&["up"]).ends_with(0);
    let mut times = Vec::new();
    // controllers write status when they like, `dev` would write each time
    for attempt in 1..=4 {
        let before = settled_resource_versions();
        assert!(before.len() > 30, "managed objects are found: {before:?}");
        for _ in 0..3 {
            let up = dev(&["up"]).ends_with(0);
            assert!(up.stderr.contains("nothing was changed"), "{}", up.stderr);
            times.push(up.took);
        }
        let after = settled_resource_versions();
        if after == before {
            break;
        }
        assert!(attempt < 4, "{before:#?}\n{after:#?}");
    }
    times.sort();
    // 1.5 s is the aim, 0.3 s usual here
    println!("up on what is up: {times:?}");
    assert!(times[0] < Duration::from_secs(6), "{times:?}");
}

#[test]
#[ignore = "needs a real Docker engine"]
fn what_somebody_deleted_or_changed_is_brought_back() {
    dev(&["up"]).ends_with(0);
    kubectl(&["-n", "kafka", "delete", "service", "kafka", "--wait=true"]);
    kubectl(&["-n", "kafka", "delete", "deployment", "kafka", "--wait=true"]);
    let status = dev(&["status"]);
    assert_eq!(status.code, Some(71), "{}", status.stdout);
    dev(&["up"]).ends_with(0);
    dev(&["status"]).ends_with(0);
    // the new Service has another address, which takes Java and CoreDNS up to 30 s each to see
    let dir = example_copy();
    edit(&dir.path().join("orders.test.yaml"), "within: 60s", "within: 240s");
    dev(&["test", dir.path().to_str().unwrap()]).ends_with(0);
}

#[test]
#[ignore = "needs a real Docker engine"]
fn what_runs_another_build_of_its_image_is_restarted_and_nothing_else() {
    dev(&["up"]).ends_with(0);
    let build = || {
        let format = "jsonpath={.spec.template.metadata.annotations.flink-dev/builds}";
        kubectl(&["-n", "flink", "get", "deployment", "session", "-o", format])
    };
    let broker = || kubectl(&["-n", "kafka", "get", "pods", "-o", "jsonpath={.items[*].metadata.uid}"]);
    let (right, kafka) = (build(), broker());
    assert!(right.len() == 12 && !kafka.is_empty(), "{right} {kafka}");
    // as it is after the image was built anew: what runs was made from another one
    let older = r#"{"spec":{"podTemplate":{"metadata":{"annotations":{"flink-dev/builds":"0123456789ab"}}}}}"#;
    kubectl(&[
        "-n",
        "flink",
        "patch",
        "flinkdeployment",
        "session",
        "--type=merge",
        "-p",
        older,
    ]);
    let plan = dev(&["up", "--dry-run"]).ends_with(0).stdout;
    assert!(
        plan.lines()
            .any(|l| l.starts_with("~ update") && l.contains("session cluster")),
        "{plan}"
    );
    dev(&["up"]).ends_with(0);
    assert_eq!((build(), broker()), (right, kafka));
    dev(&["test", "examples/orders"]).ends_with(0);
}

#[test]
#[ignore = "needs a real Docker engine"]
fn a_stopped_node_is_started_again() {
    dev(&["up"]).ends_with(0);
    docker(&["stop", "-t", "5", &super::steps::node()]);
    dev(&["up"]).ends_with(0);
    dev(&["test", "examples/orders"]).ends_with(0);
}
