//! `dev job verify` against an API server and a Flink that say what they are told to.

use serde_json::{Value, json};

use crate::dev::Run;
use crate::fakes::flink::{Cluster, ID, NAMESPACE, Told};

const POD: &str = "session-taskmanager-1-1";

fn told(completed: u64, attempt: u64, restored: Option<(u64, i64)>) -> Told {
    Told {
        completed,
        attempt,
        restored,
    }
}

#[track_caller]
fn fails(run: &Run, parts: &[&str]) {
    assert_eq!(run.code, Some(3), "stdout: {}\nstderr: {}", run.stdout, run.stderr);
    for part in ["error[VERIFY_FAILED]"].iter().chain(parts) {
        assert!(run.stderr.contains(part), "`{part}` is not in: {}", run.stderr);
    }
}

fn deletions(cluster: &Cluster) -> Vec<String> {
    let requests = cluster.api.take_requests();
    requests.into_iter().filter(|r| r.starts_with("DELETE")).collect()
}

/// A job with checkpoint 14 complete; what Flink tells once the pod is killed.
fn killed(after: Told) -> (Cluster, Run) {
    let cluster = Cluster::new();
    cluster.job("orders", "savepoint");
    cluster.api.tell(told(14, 0, None));
    let pod = format!("{NAMESPACE}/pods/{POD}");
    cluster.api.on_delete(&pod, move |api| api.tell(after));
    let run = cluster.run(&["job", "verify", "checkpoint", "orders", "-o", "json"]);
    (cluster, run)
}

#[test]
fn a_job_that_recovers_is_told_with_its_facts() {
    let (cluster, run) = killed(told(16, 1, Some((15, 77))));
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let proof: Value = serde_json::from_str(run.stdout.lines().last().unwrap()).unwrap();
    let recovered = &proof["recovered"];
    assert_eq!(
        (&proof["verified"], &recovered["interval_ms"]),
        (&json!("checkpoint"), &json!(1000))
    );
    assert_eq!(
        (&recovered["killed"]["pod"], &recovered["killed"]["uid"]),
        (&json!(POD), &json!(format!("uid-{POD}")))
    );
    assert_eq!(
        (&recovered["before"]["checkpoint"], &recovered["before"]["restarts"]),
        (&json!(14), &json!(0))
    );
    assert_eq!(
        (&recovered["after"]["restored"]["id"], &recovered["after"]["restarts"]),
        (&json!(15), &json!(1))
    );
    assert_eq!(recovered["after"]["job_id"], ID);
    assert_eq!(deletions(&cluster).len(), 1);
}

#[test]
fn a_job_without_checkpoints_fails_before_anything_is_killed() {
    let cluster = Cluster::new();
    cluster.job("orders", "savepoint");
    cluster.api.tell(told(0, 0, None));
    let verify = |more: &[&str]| cluster.run(&[&["job", "verify", "checkpoint", "orders"], more].concat());
    cluster.api.interval(None);
    fails(
        &verify(&[]),
        &[
            "checkpoints of the job orders are off",
            "execution.checkpointing.interval",
        ],
    );
    cluster.api.interval(Some(1));
    let none = verify(&["--within", "1s"]);
    assert_eq!(none.code, Some(3), "{}", none.stderr);
    cluster.api.tell(told(3, 0, None));
    fails(
        &verify(&["--kill", "jobmanager"]),
        &["high availability", "nothing was killed"],
    );
    let unknown = cluster.run(&["job", "verify", "checkpoint", "order"]);
    assert_eq!(unknown.code, Some(84));
    assert!(unknown.stderr.contains("did you mean `orders`?"), "{}", unknown.stderr);
    assert_eq!(deletions(&cluster), Vec::<String>::new());
}

#[test]
fn a_job_that_begins_anew_or_from_an_older_checkpoint_fails() {
    let (_, run) = killed(told(14, 1, None));
    fails(
        &run,
        &["not from its latest checkpoint", "number 14; restored from nothing"],
    );
    let (_, run) = killed(told(14, 1, Some((13, 77))));
    fails(&run, &["restored from number 13"]);
}

#[test]
fn a_job_that_does_not_come_back_fails_with_its_cause() {
    let cluster = Cluster::new();
    cluster.job("orders", "savepoint");
    cluster.api.tell(told(14, 0, None));
    cluster.api.on_delete(&format!("{NAMESPACE}/pods/{POD}"), |api| {
        api.flink(&format!("/jobs/{ID}"), &json!({"state": "FAILED", "vertices": []}));
    });
    let run = cluster.run(&["job", "verify", "checkpoint", "orders"]);
    fails(
        &run,
        &["did not recover: it is FAILED", "java.lang.Exception: the cause"],
    );
}

/// A job of which savepoints can be taken; `from` is what Flink tells that it came from.
fn savepointed(upgrade_mode: &str, from: Option<&'static str>) -> Cluster {
    let cluster = Cluster::new();
    cluster.job("orders", upgrade_mode);
    cluster.api.tell(told(14, 0, None));
    let dir = json!([{"key": "execution.checkpointing.savepoint-dir", "value": "file:/sp"}]);
    cluster.api.flink("/jobmanager/config", &dir);
    let api = cluster.api.clone();
    cluster.api.react("FlinkStateSnapshot", move |object| {
        object["status"] = json!({"state": "COMPLETED", "path": "file:///sp/savepoint-1"});
    });
    let latest = json!({"latest": {"savepoint": {"id": 15, "external_path": "file:/sp/savepoint-1"}}, "counts": {}});
    cluster.api.flink(&format!("/jobs/{ID}/checkpoints"), &latest);
    cluster.api.on_patch("/flinksessionjobs/orders", move |_, patch| {
        if patch["spec"]["job"]["savepointRedeployNonce"].is_number() {
            api.redeployed(from);
        }
    });
    cluster
}

#[test]
fn a_job_that_goes_on_from_its_savepoint_is_left_as_it_was() {
    let cluster = savepointed("savepoint", Some("file:/sp/savepoint-1"));
    let before = cluster.api.object(&Cluster::job_path("orders")).unwrap();
    let run = cluster.run(&["job", "verify", "savepoint", "orders", "-o", "json"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let proof: Value = serde_json::from_str(run.stdout.lines().last().unwrap()).unwrap();
    let redeployed = &proof["redeployed"];
    assert_eq!(
        (&redeployed["savepoint"], &redeployed["savepoint_id"]),
        (&json!("file:///sp/savepoint-1"), &json!(15))
    );
    assert_eq!(redeployed["after"]["restored"]["savepoint"], true);
    let after = cluster.api.object(&Cluster::job_path("orders")).unwrap();
    assert_eq!(before["spec"], after["spec"]);
}

#[test]
fn dropped_state_fails() {
    let cluster = savepointed("stateless", None);
    let run = cluster.run(&["job", "verify", "savepoint", "orders"]);
    fails(
        &run,
        &["drops its state", "upgrade mode is stateless", "no savepoint was taken"],
    );
    let snapshots = "flinkstatesnapshots";
    assert!(
        cluster
            .api
            .take_requests()
            .iter()
            .all(|r| !r.contains(snapshots) && !r.starts_with("PATCH"))
    );

    for (from, seen) in [
        (None, "nothing"),
        (Some("file:/sp/savepoint-0"), "file:/sp/savepoint-0"),
    ] {
        let cluster = savepointed("savepoint", from);
        let before = cluster.api.object(&Cluster::job_path("orders")).unwrap();
        let run = cluster.run(&["job", "verify", "savepoint", "orders"]);
        fails(&run, &["its state is not that of the savepoint", seen]);
        let after = cluster.api.object(&Cluster::job_path("orders")).unwrap();
        assert_eq!(before["spec"], after["spec"], "its object is put back all the same");
    }
}
