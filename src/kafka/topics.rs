//! Topics as a user manages them: made with settings, listed with their offsets, asked for by name.

use std::collections::{BTreeMap, BTreeSet};

use krafka::admin::{
    CreateTopicsOptions, DescribeTopicsOptions, ListOffsetsOptions, NewTopic, OffsetSpec, TopicPartition,
};
use krafka::error::{ErrorCode, KrafkaError};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::client::{ADMIN, POLL};
use super::{Topic, TopicClient};
use crate::config::nearest;
use crate::diag::{Failure, Reason, Result};

/// A topic with what is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TopicInfo {
    /// Its name.
    pub name: String,
    /// Its partitions, by number.
    pub partitions: Vec<PartitionInfo>,
}

impl TopicInfo {
    /// Offsets in use over all partitions. Records that compaction or transactions took away count, too: the broker
    /// has no cheaper answer.
    pub fn records(&self) -> i64 {
        self.partitions.iter().map(|p| p.newest - p.oldest).sum()
    }
}

/// A partition and its offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PartitionInfo {
    /// Its number.
    pub partition: i32,
    /// The offset of its first record that is still there.
    pub oldest: i64,
    /// The offset that the next record will have.
    pub newest: i64,
}

impl TopicClient {
    /// Creates a topic with replication 1 and these settings of its own, and waits until each partition has a leader.
    ///
    /// # Errors
    /// [`Reason::TopicExists`]; [`Reason::KafkaError`] with the broker's words (an unknown setting, a bad name), or if
    /// a leader is missing after 15 s.
    pub async fn create_new(&self, topic: &Topic, settings: &BTreeMap<String, String>) -> Result<()> {
        let what = format!("topic {} cannot be created", topic.name);
        let partitions = i32::try_from(topic.partitions).unwrap_or(i32::MAX);
        let new = NewTopic::new(&topic.name, partitions, 1).map_err(|e| self.failed(&what, &e))?;
        let new = settings
            .iter()
            .fold(new, |new, (key, value)| new.with_config(key, value));
        let options = CreateTopicsOptions::default().timeout(ADMIN);
        let created = self.admin().create_topics(vec![new], options).await;
        for (name, result) in created.map_err(|e| self.failed(&what, &e))? {
            match result {
                Ok(()) => {}
                Err(KrafkaError::Broker {
                    code: ErrorCode::TopicAlreadyExists,
                    ..
                }) => {
                    return Err(
                        Failure::new(Reason::TopicExists, format!("topic `{name}` is there already"))
                            .next(format!("dev topic ls {name}"))
                            .next(format!("dev topic rm {name}")),
                    );
                }
                Err(error) => return Err(self.failed(&what, &error)),
            }
        }
        let deadline = Instant::now() + ADMIN;
        let topics = std::slice::from_ref(topic);
        while let Some(waiting) = self.without_leader(topics).await {
            if Instant::now() >= deadline {
                let message = format!("topic {} has no leader after {} s", topic.name, ADMIN.as_secs());
                return Err(Failure::new(Reason::KafkaError, message).evidence(waiting));
            }
            sleep(POLL).await;
        }
        Ok(())
    }

    /// Numbers of the partitions of topics that have to be there.
    ///
    /// # Errors
    /// [`Reason::TopicUnknown`] with the nearest name for the first that is not.
    pub async fn require(&self, names: &[String]) -> Result<BTreeMap<String, Vec<i32>>> {
        let all = self.list("").await?;
        if let Some(unknown) = names.iter().find(|name| !all.contains(name)) {
            return Err(unknown_topic(unknown, &all).next(format!("dev topic create {unknown}")));
        }
        let described = self
            .admin()
            .describe_topics(names, DescribeTopicsOptions::default().timeout(ADMIN))
            .await
            .map_err(|e| self.failed("topics cannot be described", &e))?;
        let mut partitions = BTreeMap::new();
        for (name, found) in described {
            let found = found.map_err(|e| self.failed(&format!("topic {name} cannot be described"), &e))?;
            let mut numbers: Vec<i32> = found.partitions.iter().map(|p| p.partition).collect();
            numbers.sort_unstable();
            partitions.insert(name, numbers);
        }
        Ok(partitions)
    }

    /// Topics with their offsets, by name; all that are no internal ones if `names` is empty.
    ///
    /// # Errors
    /// As [`Self::require`]; [`Reason::KafkaError`] if a leader does not tell its offsets.
    pub async fn topics(&self, names: &[String]) -> Result<Vec<TopicInfo>> {
        let all;
        let names = if names.is_empty() {
            all = self.list("").await?;
            &all
        } else {
            names
        };
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let partitions = self.require(names).await?;
        let every: Vec<TopicPartition> = partitions
            .iter()
            .flat_map(|(name, numbers)| numbers.iter().map(move |n| TopicPartition::new(name, *n)))
            .collect();
        let (oldest, newest) = tokio::try_join!(
            self.offsets(&every, OffsetSpec::Earliest, false),
            self.offsets(&every, OffsetSpec::Latest, false)
        )?;
        let of = |map: &BTreeMap<(String, i32), i64>, name: &str, n: i32| {
            map.get(&(name.to_owned(), n)).copied().unwrap_or_default()
        };
        Ok(partitions
            .iter()
            .map(|(name, numbers)| TopicInfo {
                name: name.clone(),
                partitions: numbers
                    .iter()
                    .map(|&partition| PartitionInfo {
                        partition,
                        oldest: of(&oldest, name, partition),
                        newest: of(&newest, name, partition),
                    })
                    .collect(),
            })
            .collect())
    }

    /// One offset of each partition; none for a partition where there is no such offset (no record that new).
    pub(super) async fn offsets(
        &self,
        partitions: &[TopicPartition],
        spec: OffsetSpec,
        committed: bool,
    ) -> Result<BTreeMap<(String, i32), i64>> {
        let options = ListOffsetsOptions::default().timeout(ADMIN).read_committed(committed);
        let asked = partitions.iter().map(|p| (p.clone(), spec));
        let listed = self.admin().list_offsets(asked, options).await;
        let listed = listed.map_err(|e| self.failed("offsets cannot be listed", &e))?;
        let mut offsets = BTreeMap::new();
        for (at, result) in listed {
            match result {
                Ok(found) => {
                    offsets.insert((at.topic, at.partition), found.offset);
                }
                Err(KrafkaError::Broker {
                    code: ErrorCode::OffsetNotAvailable,
                    ..
                }) if matches!(spec, OffsetSpec::Timestamp(_)) => {}
                Err(error) => {
                    let what = format!("the offsets of {}, partition {} cannot be had", at.topic, at.partition);
                    return Err(self.failed(&what, &error));
                }
            }
        }
        Ok(offsets)
    }
}

/// The failure for a topic that is not there, with the nearest one that is.
pub fn unknown_topic(name: &str, known: &[String]) -> Failure {
    let failure = Failure::new(Reason::TopicUnknown, format!("there is no topic `{name}`"));
    match nearest(name, known) {
        Some(near) => failure.next(format!("did you mean `{near}`?")),
        None if known.is_empty() => failure.evidence("the broker has no topics"),
        None => {
            let shown: BTreeSet<&str> = known.iter().map(String::as_str).collect();
            let more = shown.len().saturating_sub(12);
            let mut list = shown.into_iter().take(12).collect::<Vec<_>>().join(", ");
            if more > 0 {
                list.push_str(&format!(", and {more} more"));
            }
            failure.evidence(format!("topics: {list}"))
        }
    }
}
