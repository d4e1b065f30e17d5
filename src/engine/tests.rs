use std::sync::{Arc, Mutex};

use super::*;
use crate::event::Event;

type Log = Arc<Mutex<Vec<String>>>;

fn step(id: &'static str, needs: &[&str], log: &Log, millis: u64, ok: bool) -> Step {
    let log = log.clone();
    Step::new(id, id, needs, Bounds::secs(5, 20), move |_cx| async move {
        log.lock().unwrap().push(format!("+{id}"));
        tokio::time::sleep(Duration::from_millis(millis)).await;
        log.lock().unwrap().push(format!("-{id}"));
        if ok {
            Ok(Done::Changed("seen".into()))
        } else {
            Err(Failure::new(Reason::Internal, "broken"))
        }
    })
}

fn drain(mut receiver: tokio::sync::mpsc::UnboundedReceiver<Event>) -> Vec<EventKind> {
    let mut all = Vec::new();
    while let Ok(event) = receiver.try_recv() {
        all.push(event.kind);
    }
    all
}

#[tokio::test(start_paused = true)]
async fn steps_run_side_by_side_and_after_their_needs() {
    let log = Log::default();
    let steps = vec![
        step("c", &["a", "b"], &log, 10, true),
        step("a", &[], &log, 100, true),
        step("b", &[], &log, 50, true),
        step("d", &["not-in-this-run"], &log, 10, true),
    ];
    let summary = run(steps, &EventSink::discard(), &CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(
        summary,
        Summary {
            changed: 4,
            unchanged: 0
        }
    );
    let log = log.lock().unwrap();
    let at = |what: &str| log.iter().position(|l| l == what).unwrap();
    assert!(at("+b") < at("-a"), "independent steps overlap: {log:?}");
    assert!(at("+c") > at("-a") && at("+c") > at("-b"), "needs come first: {log:?}");
}

#[tokio::test(start_paused = true)]
async fn the_first_failure_stops_the_run_and_each_started_step_ends_once() {
    let log = Log::default();
    let (events, receiver) = EventSink::channel();
    let steps = vec![
        step("bad", &[], &log, 10, false),
        step("slow", &[], &log, 60_000, true),
        step("never", &["slow"], &log, 1, true),
    ];
    let failure = run(steps, &events, &CancellationToken::new()).await.unwrap_err();
    assert_eq!(failure.detail().message, "broken");
    let kinds = drain(receiver);
    for id in ["bad", "slow"] {
        let ends = kinds
            .iter()
            .filter(|k| match k {
                EventKind::StepFailed { step, .. } | EventKind::StepFinished { step, .. } => step == id,
                _ => false,
            })
            .count();
        assert_eq!(ends, 1, "{id}");
    }
    assert!(!log.lock().unwrap().contains(&"+never".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_step_over_its_bound_fails_with_the_last_reason_it_gave() {
    let (events, receiver) = EventSink::channel();
    let stuck = Step::new("stuck", "wait for pods", &[], Bounds::secs(1, 3), |cx| async move {
        cx.waiting("pod x is Pending: no CPU left");
        std::future::pending::<()>().await;
        Ok(Done::Changed(String::new()))
    });
    let failure = run(vec![stuck], &events, &CancellationToken::new()).await.unwrap_err();
    assert_eq!(failure.id(), Reason::TimedOut);
    assert!(failure.detail().evidence[0].contains("no CPU left"));
    assert!(drain(receiver).iter().any(|k| matches!(k, EventKind::StepSlow { .. })));
}

#[tokio::test(start_paused = true)]
async fn cancelling_ends_the_run_as_interrupted() {
    let log = Log::default();
    let cancel = CancellationToken::new();
    let trigger = cancel.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(5)).await;
        trigger.cancel();
    });
    let failure = run(vec![step("a", &[], &log, 60_000, true)], &EventSink::discard(), &cancel)
        .await
        .unwrap_err();
    assert_eq!(failure.id(), Reason::Interrupted);
}

#[tokio::test]
async fn needs_in_a_circle_are_a_defect_and_not_a_hang() {
    let log = Log::default();
    let steps = vec![step("a", &["b"], &log, 1, true), step("b", &["a"], &log, 1, true)];
    let failure = run(steps, &EventSink::discard(), &CancellationToken::new())
        .await
        .unwrap_err();
    assert_eq!(failure.id(), Reason::Internal);
}
