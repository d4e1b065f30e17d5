//! Whole runs against a Kafka broker and an API server in this process.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use krafka::testing::FakeBroker;
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;

use super::super::{RunOptions, Summary, Target, run_cases};
use super::record;
use crate::config::{
    Action, Case, CaseProgram, Expectation, Fact, Feed, Given, JobExpectation, JobState, Match, Need, Part,
    RecordFormat, Step,
};
use crate::diag::Reason;
use crate::event::{Event, EventKind, EventSink, Verdict};
use crate::flink::fake::{Behaviour, Fake};
use crate::kafka::{Outgoing, TopicClient};

fn case(total: i32) -> Case {
    Case {
        name: "Orders".to_owned(),
        file: "orders.case.yaml".into(),
        program: CaseProgram::sql("orders.sql", "FROM ${topic.orders} TO ${topic.totals}"),
        given: vec![Given {
            topic: "orders".to_owned(),
            partitions: 1,
            format: RecordFormat::Json,
            records: vec![
                record(None, json!({"amount": 10}), 5),
                record(None, json!({"amount": 7}), 6),
            ]
            .into(),
        }],
        expect: vec![Expectation {
            topic: "totals".to_owned(),
            mode: Match::LastPerKey,
            records: vec![record(Some(json!("all")), json!({"total": total}), 9)].into(),
            ..Expectation::default()
        }],
        // a slow machine must not make a verdict; a wrong last value is only known to be wrong at the end
        within: Duration::from_secs(if total == 17 { 120 } else { 8 }),
        ..Case::default()
    }
}

/// Does what the script of a created job says: adds up the amounts of one topic, each sum goes to the other.
async fn flink(bootstrap: String, mut created: UnboundedReceiver<Value>) {
    let kafka = TopicClient::connect(&bootstrap).await.unwrap();
    while let Some(job) = created.recv().await {
        let script = base64::engine::general_purpose::STANDARD.decode(job["spec"]["job"]["args"][1].as_str().unwrap());
        let script = String::from_utf8(script.unwrap()).unwrap();
        let words: Vec<_> = script.split(' ').map(str::to_owned).collect();
        let from = [crate::kafka::Topic {
            name: words[1].clone(),
            partitions: 1,
        }];
        let seen = kafka
            .fetch_until(&from, Duration::from_secs(60), |seen| seen.len() >= 2)
            .await
            .unwrap();
        let mut total = 0;
        let sums = seen.iter().map(|r| {
            total += serde_json::from_slice::<Value>(r.value.as_deref().unwrap()).unwrap()["amount"]
                .as_i64()
                .unwrap();
            Outgoing {
                key: Some(Bytes::from_static(b"all")),
                value: Some(json!({"total": total}).to_string().into()),
                ..Outgoing::default()
            }
        });
        kafka
            .produce(BTreeMap::from([(words[3].clone(), sums.collect::<Vec<_>>())]))
            .await
            .unwrap();
    }
}

struct World {
    broker: FakeBroker,
    fake: Fake,
    target: Target,
    events: EventSink,
    seen: UnboundedReceiver<Event>,
}

impl World {
    async fn new(behaviour: Behaviour) -> Self {
        let broker = FakeBroker::start().await.unwrap();
        let (fake, client, created) = Fake::start(behaviour);
        tokio::spawn(flink(broker.bootstrap_servers(), created));
        let target = Target {
            client,
            namespace: "flink".to_owned(),
            session: "session".to_owned(),
            operator: None,
            kafka: None,
            engine: None,
            kafka_local: broker.bootstrap_servers(),
            nodes: Vec::new(),
            kafka_internal: "kafka:9092".to_owned(),
            registry: None,
        };
        let (events, seen) = EventSink::channel();
        Self {
            broker,
            fake,
            target,
            events,
            seen,
        }
    }

    async fn run(&self, cases: Vec<Case>, cancel: &CancellationToken) -> Summary {
        // one after another, in the order of the cases
        let options = RunOptions {
            jobs: Some(1),
            ..RunOptions::default()
        };
        self.run_with(cases, &options, cancel).await
    }

    async fn run_with(&self, cases: Vec<Case>, options: &RunOptions, cancel: &CancellationToken) -> Summary {
        run_cases(cases, self.target.clone(), options, self.events.clone(), cancel.clone()).await
    }

    /// What is left in Kafka and in the cluster.
    async fn left(&self) -> Vec<String> {
        let kafka = TopicClient::connect(&self.broker.bootstrap_servers()).await.unwrap();
        let mut left = kafka.list("").await.unwrap();
        left.extend(self.fake.paths());
        left
    }

    /// The verdicts, and that every step that began has one end.
    fn verdicts(mut self) -> Vec<(Verdict, Vec<String>)> {
        drop(self.events);
        let (mut verdicts, mut open) = (Vec::new(), Vec::new());
        while let Ok(event) = self.seen.try_recv() {
            match event.kind {
                EventKind::StepStarted { step, .. } => open.push(step),
                EventKind::StepFinished { step, .. } | EventKind::StepFailed { step, .. } => {
                    let at = open
                        .iter()
                        .position(|s| *s == step)
                        .expect("an end without a beginning");
                    open.remove(at);
                }
                EventKind::CaseFinished { verdict, detail, .. } => verdicts.push((verdict, detail)),
                _ => {}
            }
        }
        assert!(open.is_empty(), "{open:?}");
        verdicts
    }
}

#[tokio::test]
async fn a_case_passes_and_one_with_a_changed_row_does_not() {
    let world = World::new(Behaviour::Runs).await;
    let summary = world.run(vec![case(17), case(18)], &CancellationToken::new()).await;
    assert_eq!((summary.passed, summary.failed, summary.errors), (1, 1, 0));
    assert!(!summary.all_passed() && summary.left_behind.is_empty());
    assert_eq!(world.left().await, Vec::<String>::new());
    let verdicts = world.verdicts();
    assert_eq!(verdicts[0], (Verdict::Pass, vec![]));
    let (verdict, detail) = &verdicts[1];
    assert_eq!(*verdict, Verdict::Fail);
    assert_eq!(
        detail[..3],
        [
            "topic totals (last-per-key): expected 1, seen 1: 1 differing",
            "  ~ differing   key \"all\"  (line 9)",
            "      total: expected 18, seen 17",
        ]
    );
}

#[tokio::test]
async fn an_ended_job_is_judged_at_once() {
    let world = World::new(Behaviour::Finishes).await;
    let mut late = case(18);
    late.within = Duration::from_secs(120);
    let start = std::time::Instant::now();
    let summary = world.run(vec![late], &CancellationToken::new()).await;
    assert_eq!(summary.failed, 1);
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_refused_job_is_an_error_at_its_place_and_leaves_nothing() {
    let error = "The main method caused an error: statement 1 at 1:1 (FROM): error at 1:50: no such column\n";
    let world = World::new(Behaviour::Refuses(json!({ "message": error }).to_string())).await;
    let start = std::time::Instant::now();
    let summary = world.run(vec![case(17)], &CancellationToken::new()).await;
    assert_eq!(summary.errors, 1);
    assert!(
        start.elapsed() < Duration::from_secs(60),
        "within is not waited for: {:?}",
        start.elapsed()
    );
    assert_eq!(world.left().await, Vec::<String>::new());
    let (verdict, detail) = world.verdicts().remove(0);
    assert_eq!(verdict, Verdict::Error);
    // column 50 is within the name that stands for ${topic.totals}, which begins at column 25 of the user's line
    assert_eq!(
        detail[0],
        "orders.sql:1:25: statement 1: no such column [JOB_SUBMIT_FAILED]"
    );
}

#[tokio::test]
async fn a_job_that_never_runs_is_an_error_even_if_records_come() {
    let world = World::new(Behaviour::Ignores).await;
    let mut case = case(17);
    case.within = Duration::from_secs(1);
    let summary = world.run(vec![case], &CancellationToken::new()).await;
    assert_eq!(summary.errors, 1);
    let (_, detail) = world.verdicts().remove(0);
    assert_eq!(detail[0], "the job does not run after 1 s [TIMED_OUT]");
    assert!(detail[1].contains("not seen by the operator yet"), "{detail:?}");
}

#[tokio::test]
async fn what_is_wrong_is_found_before_anything_is_created() {
    let world = World::new(Behaviour::Runs).await;
    let mut wrong = case(17);
    wrong.program = CaseProgram::sql("orders.sql", format!("{} ${{topic.other}}", wrong.program.script()));
    let summary = world.run(vec![wrong], &CancellationToken::new()).await;
    assert_eq!(summary.errors, 1);
    assert_eq!(world.fake.job_states(), Vec::<&str>::new());
    let (_, detail) = world.verdicts().remove(0);
    assert!(detail[0].starts_with("orders.sql:1:41: `${topic.other}`"), "{detail:?}");
}

#[tokio::test]
async fn an_interruption_removes_what_was_made_and_begins_nothing_more() {
    let world = World::new(Behaviour::Runs).await;
    let cancel = CancellationToken::new();
    let mut endless = case(99);
    endless.within = Duration::from_secs(60);
    let stop = async {
        while world.fake.job_states().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        cancel.cancel();
    };
    let (summary, ()) = tokio::join!(world.run(vec![endless, case(17)], &cancel), stop);
    assert_eq!((summary.errors, summary.skipped, summary.passed), (1, 1, 0));
    assert_eq!(world.left().await, Vec::<String>::new());
    assert_eq!(world.fake.job_states(), ["CANCELED"]);
    assert_eq!(world.verdicts().len(), 1);
}

#[tokio::test]
async fn what_a_killed_run_left_is_removed_and_what_is_not_ours_stays() {
    let world = World::new(Behaviour::Runs).await;
    let jobs = "/apis/flink.apache.org/v1beta1/namespaces/flink/flinksessionjobs";
    let leases = "/apis/coordination.k8s.io/v1/namespaces/flink/leases";
    let job = |name: &str, run: &str| {
        json!({ "apiVersion": "flink.apache.org/v1beta1", "kind": "FlinkSessionJob",
            "metadata": { "name": name, "labels": { "flink-dev/run": run } } })
    };
    let lease = |run: &str, renewed: &str| {
        json!({ "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": { "name": format!("flink-dev-run-{run}"), "labels": { "flink-dev/run": run } },
            "spec": { "leaseDurationSeconds": 15, "renewTime": renewed } })
    };
    world
        .fake
        .put(&format!("{jobs}/dev-0dead000-1-a"), job("dev-0dead000-1-a", "0dead000"));
    world
        .fake
        .put(&format!("{jobs}/dev-alive000-1-a"), job("dev-alive000-1-a", "alive000"));
    world.fake.put(
        &format!("{leases}/flink-dev-run-0dead000"),
        lease("0dead000", "2020-01-01T00:00:00.000000Z"),
    );
    world.fake.put(
        &format!("{leases}/flink-dev-run-alive000"),
        lease("alive000", "2999-01-01T00:00:00.000000Z"),
    );
    for topic in [
        "dev-0dead000-1-a-orders",
        "dev-0gone000-1-a-orders",
        "dev-alive000-1-a-orders",
        "orders",
        "dev-orders",
    ] {
        world.broker.create_topic(topic, 1);
    }
    let summary = world.run(vec![case(17)], &CancellationToken::new()).await;
    assert!(summary.all_passed(), "{summary}");
    assert_eq!(
        world.left().await,
        [
            "dev-alive000-1-a-orders".to_owned(),
            "dev-orders".to_owned(),
            "orders".to_owned(),
            format!("{jobs}/dev-alive000-1-a"),
            format!("{leases}/flink-dev-run-alive000"),
        ]
    );
}

#[tokio::test]
async fn without_kafka_every_case_says_so() {
    let mut world = World::new(Behaviour::Runs).await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    world.target.kafka_local = listener.local_addr().unwrap().to_string();
    drop(listener);
    let summary = world.run(vec![case(17), case(17)], &CancellationToken::new()).await;
    assert_eq!(summary.errors, 2);
    let unreachable = Reason::KafkaUnreachable.entry().id;
    assert!(
        world
            .verdicts()
            .iter()
            .all(|(_, detail)| detail[0].contains(unreachable))
    );
}

#[tokio::test]
async fn cases_run_side_by_side_and_are_told_in_their_order() {
    let world = World::new(Behaviour::Runs).await;
    let options = RunOptions {
        repeat: 2,
        jobs: Some(3),
        ..RunOptions::default()
    };
    let mut aside = case(17);
    aside.skip = Some("waits for FLINK-1".to_owned());
    let cases = vec![case(17), case(18), aside];
    let summary = world.run_with(cases, &options, &CancellationToken::new()).await;
    assert_eq!((summary.passed, summary.failed, summary.set_aside), (2, 2, 1));
    let titles: Vec<_> = summary
        .cases
        .iter()
        .map(|case| (case.title.as_str(), case.verdict))
        .collect();
    assert_eq!(
        titles,
        [
            ("Orders", Verdict::Skip),
            ("Orders #1", Verdict::Pass),
            ("Orders #1", Verdict::Fail),
            ("Orders #2", Verdict::Pass),
            ("Orders #2", Verdict::Fail),
        ]
    );
    assert_eq!(world.left().await, Vec::<String>::new());
    let steps = |case: &super::super::CaseReport| case.marks.iter().filter(|mark| mark.kind == "step").count();
    assert!(
        summary.cases.iter().skip(1).all(|case| steps(case) >= 4),
        "{:?}",
        summary.cases[1].marks
    );
}

#[tokio::test]
async fn the_first_bad_case_ends_the_run_if_that_is_asked_for() {
    let world = World::new(Behaviour::Runs).await;
    let options = RunOptions {
        jobs: Some(1),
        fail_fast: true,
        ..RunOptions::default()
    };
    let cases = vec![case(17), case(18), case(17)];
    let summary = world.run_with(cases, &options, &CancellationToken::new()).await;
    assert_eq!((summary.passed, summary.failed, summary.skipped), (1, 1, 1));
    assert_eq!(summary.cases.len(), 3);
    assert_eq!(world.left().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_run_ends_with_its_bound_and_leaves_nothing() {
    let world = World::new(Behaviour::Runs).await;
    let options = RunOptions {
        jobs: Some(1),
        bound: Some(Duration::from_millis(1500)),
        ..RunOptions::default()
    };
    let mut endless = case(99);
    endless.within = Duration::from_secs(600);
    let summary = world
        .run_with(vec![endless, case(17)], &options, &CancellationToken::new())
        .await;
    assert_eq!((summary.errors, summary.skipped), (1, 1));
    assert_eq!(summary.cases[0].failure.as_ref().unwrap().id(), Reason::TimedOut);
    assert_eq!(world.left().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_failed_is_kept_and_told_if_that_is_asked_for() {
    let world = World::new(Behaviour::Runs).await;
    let folder = tempfile::tempdir().unwrap();
    let options = RunOptions {
        jobs: Some(1),
        keep: true,
        evidence: Some(folder.path().to_owned()),
        ..RunOptions::default()
    };
    let summary = world
        .run_with(vec![case(17), case(18)], &options, &CancellationToken::new())
        .await;
    assert_eq!((summary.passed, summary.failed), (1, 1));
    let left = world.left().await;
    let ours = |what: &str| {
        left.iter()
            .filter(|name| name.contains("-2-orders") && name.contains(what))
            .count()
    };
    assert_eq!(
        (ours("flinksessionjobs"), ours("-totals"), ours("-1-")),
        (1, 1, 0),
        "{left:?}"
    );
    let evidence = summary.cases[1].folder.as_ref().unwrap();
    let read = |name: &str| std::fs::read_to_string(evidence.join(name)).unwrap();
    assert!(
        read("difference.txt").contains("expected 18, seen 17"),
        "{}",
        read("difference.txt")
    );
    assert!(
        read("seen-totals.jsonl").contains("{\"total\":17}"),
        "{}",
        read("seen-totals.jsonl")
    );
    assert!(summary.cases[0].folder.is_none() && summary.cases[0].evidence.is_empty());
    assert!(
        !std::fs::exists(evidence.join("seen-orders.jsonl")).unwrap(),
        "what was given is not read"
    );
}

/// A step at a place.
fn step(action: Action) -> Step {
    Step {
        action,
        within: Duration::from_secs(60),
        line: 12,
        column: 5,
    }
}

fn feed(amount: i32, rate: Option<f64>) -> Action {
    Action::Feed(vec![Feed {
        given: Given {
            topic: "orders".to_owned(),
            partitions: 1,
            format: RecordFormat::Json,
            records: vec![record(None, json!({"amount": amount}), 7)].into(),
        },
        rate,
    }])
}

#[tokio::test]
async fn steps_feed_and_wait_and_the_job_is_looked_at() {
    let world = World::new(Behaviour::Runs).await;
    let mut stepped = case(17);
    // the job adds up as soon as it has two
    stepped.given[0].records = vec![record(None, json!({"amount": 10}), 5)].into();
    let records = |count| Fact::Records {
        topic: "totals".to_owned(),
        count,
    };
    stepped.steps = vec![
        step(Action::Await(Fact::State(JobState::Running))),
        step(feed(7, Some(1000.0))),
        step(Action::Await(Fact::Fed)),
        step(Action::Await(records(2))),
    ];
    stepped.job.state = Some(JobState::Running);
    let mut failed = stepped.clone();
    failed.job = JobExpectation {
        state: Some(JobState::Finished),
        line: 20,
        ..JobExpectation::default()
    };
    let summary = world.run(vec![stepped, failed], &CancellationToken::new()).await;
    assert_eq!((summary.passed, summary.failed), (1, 1), "{:?}", summary.cases);
    let marks = |label: &str| {
        summary.cases[0]
            .marks
            .iter()
            .any(|m| m.kind == "step" && m.label == label)
    };
    assert!(marks("1. await RUNNING") && marks("feeding orders") && marks("4. await 2 records in totals"));
    assert_eq!(
        summary.cases[1].detail,
        ["job: expected FINISHED, seen RUNNING, tasks: 2 RUNNING  (line 20)"]
    );
    assert_eq!(world.left().await, Vec::<String>::new());
    world.verdicts();
}

#[tokio::test]
async fn a_step_that_fails_is_told_with_its_place_and_leaves_nothing() {
    let world = World::new(Behaviour::Runs).await;
    let mut late = case(17);
    late.steps = vec![
        step(Action::Await(Fact::State(JobState::Running))),
        Step {
            within: Duration::from_millis(300),
            ..step(Action::Await(Fact::State(JobState::Failed)))
        },
    ];
    let mut faulty = case(17);
    // no engine: no process can be killed, and nothing is hit
    faulty.steps = vec![step(Action::Kill(Part::JobManager))];
    let mut careful = faulty.clone();
    careful.needs = vec![Need::Ha];
    let summary = world.run(vec![late, faulty, careful], &CancellationToken::new()).await;
    assert_eq!((summary.errors, summary.set_aside), (2, 1));
    let told = |title: usize| summary.cases[title].detail[0].clone();
    assert!(told(1).starts_with("needs ha: "), "{:?}", summary.cases);
    assert!(
        told(0).starts_with("orders.case.yaml:12:5: step 1 (kill jobmanager) cannot be done: "),
        "{}",
        told(0)
    );
    assert!(
        told(2).starts_with("orders.case.yaml:12:5: step 2 (await FAILED): not seen within 0.3 s"),
        "{}",
        told(2)
    );
    assert!(
        summary.cases[2].detail[1].contains("last seen: Flink: RUNNING"),
        "{:?}",
        summary.cases[2].detail
    );
    assert_eq!(world.left().await, Vec::<String>::new());
    world.verdicts();
}

#[tokio::test]
async fn a_job_that_ends_while_a_step_waits_is_told_at_once() {
    let world = World::new(Behaviour::Finishes).await;
    let mut case = case(17);
    case.steps = vec![step(Action::Await(Fact::Checkpoint(1)))];
    let start = std::time::Instant::now();
    let summary = world.run(vec![case], &CancellationToken::new()).await;
    assert_eq!(summary.errors, 1);
    assert!(
        summary.cases[0].detail[0].contains("the job is FINISHED"),
        "{:?}",
        summary.cases[0].detail
    );
    assert!(start.elapsed() < Duration::from_secs(40), "{:?}", start.elapsed());
}
