//! The client against krafka's broker in this process.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use krafka::error::ErrorCode;
use krafka::testing::{ApiKey, Control, FakeBroker};

use super::{Fetched, Outgoing, Topic, TopicClient};
use crate::diag::Reason;

fn topic(name: &str, partitions: u32) -> Topic {
    Topic {
        name: name.to_owned(),
        partitions,
    }
}

fn message(key: Option<&str>, value: Option<&str>) -> Outgoing {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    Outgoing {
        key: key.map(bytes),
        value: value.map(bytes),
        ..Outgoing::default()
    }
}

async fn broker() -> (FakeBroker, TopicClient) {
    let broker = FakeBroker::start().await.unwrap();
    let client = TopicClient::connect(&broker.bootstrap_servers()).await.unwrap();
    (broker, client)
}

#[tokio::test]
async fn records_come_back_in_order_with_keys_and_tombstones() {
    let (broker, client) = broker().await;
    assert_eq!(client.brokers().await.unwrap(), [broker.bootstrap_servers()]);
    let topics = [topic("orders", 2), topic("totals", 1)];
    client.create(&topics).await.unwrap();
    client.create(&topics).await.expect("a topic that is there is fine");
    let records = BTreeMap::from([
        (
            "orders".to_owned(),
            (0..20)
                .map(|i| message(Some("k"), Some(&i.to_string())))
                .collect::<Vec<_>>(),
        ),
        (
            "totals".to_owned(),
            vec![
                message(Some("EU"), Some("{}")),
                message(Some("EU"), None),
                message(None, Some("x")),
            ],
        ),
    ]);
    assert_eq!(client.produce(records).await.unwrap(), 23);

    let seen = client
        .fetch_until(&topics, Duration::from_secs(10), |seen| seen.len() >= 23)
        .await
        .unwrap();
    let of = |name: &str| {
        seen.iter()
            .filter(|r| r.topic == name)
            .cloned()
            .collect::<Vec<Fetched>>()
    };
    let values: Vec<_> = of("orders")
        .iter()
        .map(|r| String::from_utf8(r.value.clone().unwrap().to_vec()).unwrap())
        .collect();
    assert_eq!(values, (0..20).map(|i| i.to_string()).collect::<Vec<_>>());
    let totals = of("totals");
    assert_eq!(totals.len(), 3);
    assert_eq!(
        (totals[1].key.as_deref(), totals[1].value.as_deref()),
        (Some(&b"EU"[..]), None)
    );
    assert_eq!(totals[2].key, None);

    assert_eq!(client.list("ord").await.unwrap(), ["orders"]);
    client
        .delete(&["orders".to_owned(), "absent".to_owned()])
        .await
        .unwrap();
    assert_eq!(client.list("").await.unwrap(), ["totals"]);
}

#[tokio::test]
async fn reading_ends_at_its_bound() {
    let (_broker, client) = broker().await;
    let topics = [topic("empty", 1)];
    client.create(&topics).await.unwrap();
    let start = Instant::now();
    let seen = client
        .fetch_until(&topics, Duration::from_millis(300), |_| false)
        .await
        .unwrap();
    assert!(seen.is_empty());
    let took = start.elapsed();
    assert!(
        took >= Duration::from_millis(300) && took < Duration::from_secs(60),
        "{took:?}"
    );
}

#[tokio::test]
async fn nothing_waits_for_a_reader_whose_request_the_broker_holds() {
    let (broker, client) = broker().await;
    client.create(&[topic("quiet", 1)]).await.unwrap();
    broker.on(ApiKey::Fetch, |_| Control::Delay(Duration::from_secs(4)));
    let mut readers = Vec::new();
    for _ in 0..3 {
        readers.push(client.reader(&[topic("quiet", 1)]).await.unwrap());
    }
    let held = readers.iter_mut().map(|reader| reader.next(Duration::from_secs(3)));
    let held = futures::future::join_all(held);
    let asked = async {
        let held = broker.wait_for_requests(ApiKey::Fetch, 3, Duration::from_secs(2)).await;
        assert!(held, "all three at a time");
        client.list("").await.unwrap()
    };
    tokio::select! {
        biased;
        topics = asked => assert_eq!(topics, ["quiet"]),
        _ = held => panic!("the broker was asked only after it had answered the readers"),
    }
}

#[tokio::test]
async fn a_refused_topic_names_itself_and_the_brokers_answer() {
    let (broker, client) = broker().await;
    broker.on(ApiKey::CreateTopics, |_| Control::Error(ErrorCode::PolicyViolation));
    let failure = client.create(&[topic("orders", 1)]).await.unwrap_err();
    assert_eq!(failure.id(), Reason::KafkaError);
    assert!(failure.to_string().contains("orders"), "{failure}");
    assert!(
        failure.detail().evidence[0].contains("PolicyViolation"),
        "{:?}",
        failure.detail().evidence
    );
}

#[tokio::test]
async fn a_lost_acknowledgement_does_not_write_twice() {
    let (broker, client) = broker().await;
    client.create(&[topic("orders", 1)]).await.unwrap();
    broker.on_once(ApiKey::Produce, |_| Control::ApplyThen(Box::new(Control::Disconnect)));
    let records = BTreeMap::from([("orders".to_owned(), vec![message(None, Some("once"))])]);
    client.produce(records).await.unwrap();
    assert_eq!(broker.next_offset("orders", 0), Some(1));
}

#[tokio::test]
async fn nobody_at_the_port_is_told_within_the_bound() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let start = Instant::now();
    let failure = TopicClient::connect_within(&address, Duration::from_millis(500))
        .await
        .unwrap_err();
    assert_eq!(failure.id(), Reason::KafkaUnreachable);
    assert!(failure.to_string().contains(&address), "{failure}");
    assert!(!failure.detail().evidence.is_empty());
    assert!(start.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn committed_reading_leaves_out_what_was_aborted() {
    use krafka::Record;
    let (_broker, client) = broker().await;
    client.create(&[topic("t", 1)]).await.unwrap();
    let producer = client.kafka().producer().metrics_push(false);
    let producer = producer.build_transactional("x").await.unwrap();
    for (value, commit) in [("kept", true), ("dropped", false)] {
        producer.begin().unwrap();
        let _ = producer.send(Record::new("t", value)).await.unwrap();
        if commit {
            producer.commit().await.unwrap();
        } else {
            producer.abort().await.unwrap();
        }
    }
    for (committed, wanted) in [(true, vec!["kept"]), (false, vec!["kept", "dropped"])] {
        let mut scan = client.scan("t", super::Start::Earliest, None, committed).await.unwrap();
        let mut seen = Vec::new();
        let end = Instant::now() + Duration::from_secs(10);
        while !scan.at_end().await && Instant::now() < end {
            let records = scan.next(Duration::from_millis(100)).await.unwrap();
            seen.extend(
                records
                    .into_iter()
                    .map(|r| String::from_utf8(r.value.unwrap().to_vec()).unwrap()),
            );
        }
        assert_eq!(seen, wanted, "committed: {committed}");
        assert!(
            scan.at_end().await,
            "the mark at the end of a transaction is passed, too"
        );
    }
}
