//! `dev topic` against a broker in this process: what it prints, what it sends, how it ends.

use std::io::Write as _;
use std::process::Stdio;

use krafka::testing::FakeBroker;

use crate::dev::{Run, World, runtime};

/// A broker, and the program beside it.
struct Setup {
    world: World,
    broker: FakeBroker,
    // the broker lives in it
    runtime: tokio::runtime::Runtime,
}

impl Setup {
    fn new() -> Self {
        let runtime = runtime();
        let broker = runtime.block_on(FakeBroker::start()).unwrap();
        Self {
            world: World::new(),
            broker,
            runtime,
        }
    }

    fn topic(&self, args: &[&str]) -> Run {
        let address = self.broker.bootstrap_servers();
        let mut all = vec!["topic"];
        all.extend(args);
        all.extend(["--bootstrap", &address]);
        self.world.run(&all)
    }

    fn piped(&self, args: &[&str], input: &str) -> Run {
        let address = self.broker.bootstrap_servers();
        let mut all = vec!["topic"];
        all.extend(args);
        all.extend(["--bootstrap", &address]);
        let mut command = self.world.command(&all);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // the program may end before it has read everything
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        Run::of(&child.wait_with_output().unwrap(), self.world.dir.path())
    }
}

impl Run {
    #[track_caller]
    fn good(self) -> Self {
        assert_eq!(self.code, Some(0), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    fn fails(self, code: i32, parts: &[&str]) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "stdout: {}\nstderr: {}",
            self.stdout,
            self.stderr
        );
        for part in parts {
            assert!(self.stderr.contains(part), "`{part}` is not in: {}", self.stderr);
        }
        self
    }
}

#[test]
fn topics_are_made_listed_and_deleted() {
    let it = Setup::new();
    it.topic(&["create", "orders", "totals", "--partitions", "2"]).good();
    it.topic(&["create", "new", "orders"])
        .fails(93, &["TOPIC_EXISTS", "`orders`", "no topic was created"]);
    it.topic(&["create", "orders", "--if-not-exists"]).good();
    let run = it.topic(&["ls", "-o", "json"]).good();
    let listed: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let names: Vec<_> = listed["topics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t["name"].clone())
        .collect();
    assert_eq!(names, ["orders", "totals"]);
    it.topic(&["ls", "order"])
        .fails(92, &["TOPIC_UNKNOWN", "did you mean `orders`?"]);
    it.topic(&["rm", "orders", "total"])
        .fails(92, &["`total`", "did you mean `totals`?", "no topic was deleted"]);
    it.topic(&["rm", "orders", "total", "--if-exists"]).good();
    let run = it.topic(&["ls"]).good();
    assert!(
        run.stdout.contains("totals") && !run.stdout.contains("orders"),
        "{}",
        run.stdout
    );
}

#[test]
fn what_is_consumed_can_be_produced_again() {
    let it = Setup::new();
    it.topic(&["create", "a", "b"]).good();
    let input = "{\"key\":\"k\",\"value\":{\"n\": 1.50},\"headers\":{\"h\":\"x\"},\"timestamp\":5}\n\
                 {\"key\":null,\"value\":null,\"timestamp\":6}\n\
                 {\"key\":{\"r\":1},\"value_text\":\"no json\",\"timestamp\":7}\n";
    let run = it.piped(&["produce", "a"], input).good();
    assert!(
        run.stdout.starts_with("3 records acknowledged in topic a"),
        "{}",
        run.stdout
    );
    let first = it.topic(&["consume", "a"]).good().stdout;
    assert_eq!(first.lines().count(), 3, "{first}");
    assert!(
        first.contains(r#""value":{"n": 1.50},"headers":{"h":"x"},"timestamp":5,"#),
        "{first}"
    );
    it.piped(&["produce", "b"], &first).good();
    assert_eq!(it.topic(&["consume", "b"]).good().stdout, first);
    let rest = it.topic(&["consume", "a", "--from", "1", "--until", "1"]).good().stdout;
    assert_eq!(rest.lines().collect::<Vec<_>>(), [first.lines().nth(1).unwrap()]);
    let values = it.topic(&["consume", "a", "--value-only"]).good().stdout;
    assert_eq!(values, "{\"n\": 1.50}\n\nno json\n");
}

#[test]
fn nothing_is_sent_unless_every_line_is_good() {
    let it = Setup::new();
    it.topic(&["create", "a"]).good();
    it.world.write("x.jsonl", "{\"id\": 1}\n{\"id\": 2,}\n");
    it.topic(&["produce", "a", "x.jsonl"])
        .fails(24, &["RECORD_INVALID", "x.jsonl:2:", "not valid JSON"]);
    it.piped(&["produce", "a", "--csv"], "id,x\n1,2\n3\n")
        .fails(24, &["stdin:3:1", "1 fields, the header 2"]);
    it.piped(&["produce", "a"], "{\"value\":1}\n{\"value\":1,\"partition\":1}\n")
        .fails(24, &["stdin:2:1", "no partition 1"]);
    it.piped(&["produce", "a", "--key", "idd"], "{\"id\":1}\n")
        .fails(24, &["did you mean `id`?"]);
    it.topic(&["produce", "a", "absent.jsonl"])
        .fails(20, &["there is no file `absent.jsonl`"]);
    it.piped(&["produce", "aa"], "1\n").fails(92, &["did you mean `a`?"]);
    assert_eq!(it.broker.next_offset("a", 0), Some(0));
    it.piped(&["produce", "a", "--csv", "--key", "id"], "id,x\n1,2\n")
        .good();
    let run = it.topic(&["consume", "a"]).good();
    assert!(
        run.stdout.starts_with(r#"{"key":"1","value":{"id":1,"x":2},"#),
        "{}",
        run.stdout
    );
}

#[test]
fn reading_ends_when_it_was_told_to() {
    let it = Setup::new();
    it.topic(&["create", "a"]).good();
    assert_eq!(it.topic(&["consume", "a"]).good().stdout, "");
    it.topic(&["consume", "a", "--until", "1", "--timeout", "300ms"])
        .fails(11, &["TIMED_OUT", "0 of 1 records"]);
    it.piped(&["produce", "a", "--value-only"], &"x\n".repeat(20_000))
        .good();
    assert_eq!(it.topic(&["consume", "a"]).good().stdout.lines().count(), 20_000);
    it.topic(&["consume", "a", "-f", "--timeout", "500ms"]).good();

    // a reader that goes away after the first line
    let address = it.broker.bootstrap_servers();
    let args = ["topic", "consume", "a", "-f", "--bootstrap", &address];
    let mut command = it.world.command(&args);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 10];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut first).unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()),
        (Some(0), "")
    );
    let _ = &it.runtime;
}

#[test]
fn a_broker_that_is_not_there_is_told() {
    let world = World::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let run = world.run(&["topic", "ls", "--bootstrap", &address]);
    assert_eq!(run.code, Some(90), "{}", run.stderr);
    assert!(
        run.stderr.contains(&address) && run.stderr.contains("next:"),
        "{}",
        run.stderr
    );
    let run = world.run(&["topic", "ls"]);
    assert_eq!(run.code, Some(40), "{}", run.stderr);
}
