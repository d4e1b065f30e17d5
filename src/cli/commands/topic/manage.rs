//! `dev topic create`, `ls` and `rm`.

use std::collections::BTreeMap;
use std::process::ExitCode;

use serde_json::json;

use crate::cli::output::table;
use crate::cli::session::Session;
use crate::diag::{Failure, Reason, Result};
use crate::kafka::{Topic, TopicClient, TopicInfo, unknown_topic};

pub(super) async fn create(
    session: &Session,
    client: &TopicClient,
    names: &[String],
    partitions: u32,
    settings: &BTreeMap<String, String>,
    if_not_exists: bool,
) -> Result<ExitCode> {
    let there = client.list("").await?;
    if let Some(name) = names.iter().find(|n| there.contains(n) && !if_not_exists) {
        let message = format!("topic `{name}` is there already");
        return Err(Failure::new(Reason::TopicExists, message)
            .evidence("no topic was created")
            .next(format!("dev topic ls {name}"))
            .next("add --if-not-exists"));
    }
    let mut created = Vec::new();
    for name in names.iter().filter(|name| !there.contains(name)) {
        let topic = Topic {
            name: name.clone(),
            partitions,
        };
        client.create_new(&topic, settings).await?;
        created.push(name.as_str());
    }
    let text = match &created[..] {
        [] => "nothing to create: all of them are there".to_owned(),
        _ => format!(
            "created {}, {partitions} partitions each, all with a leader",
            created.join(", ")
        ),
    };
    session.result(&text, &json!({ "v": 1, "created": created, "partitions": partitions }));
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn list(session: &Session, client: &TopicClient, names: &[String]) -> Result<ExitCode> {
    let topics = client.topics(names).await?;
    let json: Vec<_> = topics
        .iter()
        .map(|t| json!({ "name": t.name, "records": t.records(), "partitions": t.partitions }))
        .collect();
    session.result(&listing(&topics, !names.is_empty()), &json!({ "v": 1, "topics": json }));
    Ok(ExitCode::SUCCESS)
}

fn listing(topics: &[TopicInfo], each: bool) -> String {
    if topics.is_empty() {
        return "no topics".to_owned();
    }
    let column = if each { "PARTITION" } else { "PARTITIONS" };
    let mut rows = vec![
        vec!["TOPIC", column, "RECORDS", "OLDEST", "NEWEST"]
            .into_iter()
            .map(str::to_owned)
            .collect(),
    ];
    for topic in topics {
        if each {
            rows.extend(topic.partitions.iter().map(|p| {
                vec![
                    topic.name.clone(),
                    p.partition.to_string(),
                    (p.newest - p.oldest).to_string(),
                    p.oldest.to_string(),
                    p.newest.to_string(),
                ]
            }));
            continue;
        }
        let (oldest, newest) = (
            topic.partitions.iter().map(|p| p.oldest),
            topic.partitions.iter().map(|p| p.newest),
        );
        rows.push(vec![
            topic.name.clone(),
            topic.partitions.len().to_string(),
            topic.records().to_string(),
            oldest.min().unwrap_or_default().to_string(),
            newest.max().unwrap_or_default().to_string(),
        ]);
    }
    table(&rows)
}

pub(super) async fn remove(
    session: &Session,
    client: &TopicClient,
    mut names: Vec<String>,
    if_exists: bool,
) -> Result<ExitCode> {
    let there = client.list("").await?;
    if if_exists {
        names.retain(|name| there.contains(name));
    }
    names.sort();
    names.dedup();
    // one that is not there is most likely a slip of the finger: then the others stay, too
    if let Some(unknown) = names.iter().find(|name| !there.contains(name)) {
        return Err(unknown_topic(unknown, &there)
            .evidence("no topic was deleted")
            .next("--if-exists passes over those that are not there"));
    }
    client.delete(&names).await?;
    let text = match &names[..] {
        [] => "nothing to delete: none of them is there".to_owned(),
        _ => format!("deleted {}", names.join(", ")),
    };
    session.result(&text, &json!({ "v": 1, "deleted": names }));
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::PartitionInfo;

    #[test]
    fn a_listing_sums_up_or_shows_each_partition() {
        let partition = |partition, oldest, newest| PartitionInfo {
            partition,
            oldest,
            newest,
        };
        let topics = [
            TopicInfo {
                name: "orders".to_owned(),
                partitions: vec![partition(0, 2, 10), partition(1, 0, 3)],
            },
            TopicInfo {
                name: "x".to_owned(),
                partitions: vec![partition(0, 0, 0)],
            },
        ];
        insta::assert_snapshot!(listing(&topics, false), @r"
        TOPIC   PARTITIONS  RECORDS  OLDEST  NEWEST
        orders  2           11       0       10
        x       1           0        0       0
        ");
        insta::assert_snapshot!(listing(&topics[..1], true), @r"
        TOPIC   PARTITION  RECORDS  OLDEST  NEWEST
        orders  0          8        2       10
        orders  1          3        0       3
        ");
        assert_eq!(listing(&[], false), "no topics");
    }
}
