//! `dev topic` on a real broker.

use super::steps::{dev, kubectl};

/// Deletes topics when a test ends, however it ends.
pub(super) struct Topics(pub(super) &'static [&'static str]);

impl Drop for Topics {
    fn drop(&mut self) {
        let mut args = vec!["topic", "rm", "--if-exists"];
        args.extend(self.0);
        dev(&args);
    }
}

/// What Kafka's own tool says: an independent witness.
fn witness(args: &str) -> String {
    let tool = format!("/opt/kafka/bin/{args} --bootstrap-server localhost:9092");
    kubectl(&["-n", "kafka", "exec", "deploy/kafka", "--", "sh", "-c", &tool])
}

#[test]
#[ignore = "needs a real Docker engine"]
fn a_hundred_thousand_records_there_and_back() {
    dev(&["up"]).ends_with(0);
    let _topics = Topics(&["it-a", "it-b"]);
    dev(&["topic", "rm", "--if-exists", "it-a", "it-b"]).ends_with(0);
    dev(&[
        "topic",
        "create",
        "it-a",
        "--partitions",
        "3",
        "--set",
        "retention.ms=3600000",
    ])
    .ends_with(0);
    dev(&["topic", "create", "it-b", "--partitions", "3"]).ends_with(0);
    let described = witness("kafka-topics.sh --describe --topic it-a");
    assert!(
        described.contains("PartitionCount: 3") && described.contains("retention.ms=3600000"),
        "{described}"
    );

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("in.jsonl");
    let lines: String = (0..100_000)
        .map(|i| {
            format!(
                "{{\"key\":\"k{}\",\"value\":{{\"id\":{i},\"x\":1.50}},\"headers\":{{\"h\":\"{i}\"}}}}\n",
                i % 100
            )
        })
        .collect();
    std::fs::write(&file, lines).unwrap();
    let run = dev(&["topic", "produce", "it-a", file.to_str().unwrap()]).ends_with(0);
    assert!(run.stdout.starts_with("100000 records acknowledged"), "{}", run.stdout);
    let first = dev(&["topic", "consume", "it-a"]).ends_with(0).stdout;
    assert_eq!(first.lines().count(), 100_000);
    let copy = dir.path().join("copy.jsonl");
    std::fs::write(&copy, &first).unwrap();
    dev(&["topic", "produce", "it-b", copy.to_str().unwrap()]).ends_with(0);
    let second = dev(&["topic", "consume", "it-b"]).ends_with(0).stdout;
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    assert!(sorted(&first) == sorted(&second), "the copy differs");

    let listed: serde_json::Value =
        serde_json::from_str(&dev(&["topic", "ls", "it-b", "-o", "json"]).ends_with(0).stdout).unwrap();
    assert_eq!(listed["topics"][0]["records"], 100_000);
    dev(&["topic", "rm", "it-a", "it-b"]).ends_with(0);
    assert!(!witness("kafka-topics.sh --list").contains("it-"));
}
