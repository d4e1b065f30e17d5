//! What facts say: pure.

use serde_json::{Value, json};

use super::checkpoint::recovered;
use super::facts::{Moment, interval, same_path, task_managers};
use super::{Count, Restored, Role};

fn job(state: &str, tasks: &Value) -> Value {
    json!({ "state": state, "start-time": 7, "vertices": [{ "id": "v", "tasks": tasks }] })
}

fn checkpoints(restored: &Value) -> Value {
    json!({ "counts": { "completed": 4 }, "latest": {
        "completed": { "id": 9, "external_path": "<checkpoint-not-externally-addressable>" }, "restored": restored } })
}

fn vertex(attempts: &[u64]) -> Value {
    let task = |n: &u64| json!({ "attempt": n, "taskmanager-id": "session-taskmanager-1-1" });
    json!({ "subtasks": attempts.iter().map(task).collect::<Vec<_>>() })
}

#[test]
fn a_moment_is_read_from_flinks_answers() {
    let restored = json!({ "id": 8, "restore_timestamp": 5, "is_savepoint": true, "external_path": "file:/sp" });
    let running = job("RUNNING", &json!({ "RUNNING": 2, "CREATED": 0 }));
    let moment = Moment::from_answers(
        "ab",
        &running,
        &checkpoints(&restored),
        &[vertex(&[0, 2]), vertex(&[1])],
    );
    let expected = Moment {
        job_id: "ab".to_owned(),
        started_ms: 7,
        state: "RUNNING".to_owned(),
        tasks_run: true,
        checkpoint: 9,
        checkpoint_path: String::new(),
        completed: 4,
        restarts: 2,
        restored: Some(Restored {
            id: 8,
            savepoint: true,
            path: "file:/sp".to_owned(),
            at_ms: 5,
        }),
    };
    assert_eq!(moment, expected);
    assert!(moment.runs());
    for (state, tasks) in [
        ("RUNNING", json!({ "RUNNING": 1, "INITIALIZING": 1 })),
        ("RESTARTING", json!({ "RUNNING": 2 })),
    ] {
        let moment = Moment::from_answers("ab", &job(state, &tasks), &Value::Null, &[]);
        assert!(!moment.runs() && moment.restored.is_none(), "{moment:?}");
    }
    let none = Moment::from_answers("ab", &json!({ "state": "RUNNING" }), &checkpoints(&Value::Null), &[]);
    assert!(!none.runs(), "a job without tasks does not run");
}

#[test]
fn only_a_newer_restore_of_the_latest_checkpoint_is_a_recovery() {
    let moment = |checkpoint, restarts, restored: Option<(u64, i64)>| Moment {
        checkpoint,
        restarts,
        restored: restored.map(|(id, at_ms)| Restored {
            id,
            at_ms,
            ..Restored::default()
        }),
        ..Moment::default()
    };
    let before = moment(9, 1, Some((3, 100)));
    let is = |now: &Moment| recovered(&before, now, Role::TaskManager);
    assert!(is(&moment(9, 2, Some((9, 200)))));
    assert!(is(&moment(11, 2, Some((10, 200)))), "one more was complete by then");
    assert!(!is(&moment(9, 1, Some((9, 200)))), "nothing was started anew");
    assert!(!is(&moment(9, 2, Some((8, 200)))), "an older one");
    assert!(!is(&moment(9, 2, None)), "began anew");
    let twice = moment(9, 1, Some((9, 100)));
    assert!(
        !recovered(&twice, &moment(9, 2, Some((9, 100))), Role::TaskManager),
        "the restore of before"
    );
    assert!(
        recovered(&before, &moment(9, 0, Some((9, 200))), Role::JobManager),
        "a new JobManager counts from 0"
    );
}

#[test]
fn intervals_paths_and_task_managers() {
    assert_eq!(interval(&json!({ "interval": 1000 })), Some(1000));
    for never in [json!(i64::MAX), json!(0), Value::Null] {
        assert_eq!(interval(&json!({ "interval": never })), None);
    }
    assert!(same_path("file:///a/sp-1", "file:/a/sp-1/"));
    assert!(same_path("s3://b/sp-1", "s3://b/sp-1"));
    assert!(!same_path("file:/a/sp-1", "file:/a/sp-2"));
    let unassigned = json!({ "subtasks": [{ "taskmanager-id": "(unassigned)" }, { "attempt": 0 }] });
    assert_eq!(
        task_managers(&[vertex(&[0, 0]), unassigned]),
        ["session-taskmanager-1-1"]
    );
}

#[test]
fn a_count_tells_what_was_lost_doubled_or_counted_anew() {
    let whole: Vec<(u64, u64)> = (1..=5).map(|n| (n, n)).collect();
    let count = Count::of(5, &whole).exact().unwrap();
    assert_eq!((count.fed, count.read), (5, 5));
    let tell = |records: &[(u64, u64)]| {
        let failure = Count::of(5, records).exact().unwrap_err();
        (failure.to_string(), failure.detail().evidence.join("; "))
    };
    let (message, evidence) = tell(&[(1, 1), (2, 2), (4, 4), (4, 4), (5, 1)]);
    assert!(message.contains("1 lost, 1 doubled, 1 counted anew, of 5"), "{message}");
    assert_eq!(
        evidence,
        "lost: 3; came out more than once: 4 (2 times); counted anew: 5 was counted as 1"
    );
    let (message, evidence) = tell(&[]);
    assert!(
        message.contains("5 lost") && evidence == "lost: 1, 2, 3, 4, 5",
        "{evidence}"
    );
    let (_, evidence) = tell(&[whole.clone(), vec![(6, 6)]].concat());
    assert!(
        evidence.contains("6 (1 times)"),
        "a number that never went in: {evidence}"
    );
    let (_, evidence) = tell(&[whole.clone(), whole].concat());
    assert!(evidence.ends_with("5 (2 times)"), "{evidence}");
}
