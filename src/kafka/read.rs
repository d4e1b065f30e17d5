//! Reading topics from their beginning, by assignment: no consumer group, so no join to wait for.

use std::time::Duration;

use bytes::Bytes;
use krafka::consumer::{AutoOffsetReset, Consumer, IsolationLevel};
use tokio::time::Instant;

use super::{Topic, TopicClient};
use crate::diag::Result;

/// A record that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Its topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset in the partition.
    pub offset: i64,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    /// Its headers, in order.
    pub headers: Vec<(String, Option<Bytes>)>,
}

/// Reads topics from their beginning, committed records only.
pub struct Reader {
    client: TopicClient,
    consumer: Consumer,
    topics: Vec<String>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("topics", &self.topics)
            .finish_non_exhaustive()
    }
}

impl TopicClient {
    /// A reader of all partitions of `topics`, which exist.
    ///
    /// # Errors
    /// [`crate::diag::Reason::KafkaError`] if one cannot be read.
    pub async fn reader(&self, topics: &[Topic]) -> Result<Reader> {
        let builder = self
            .own_connection()
            .await?
            .consumer_without_group()
            .auto_offset_reset(AutoOffsetReset::Earliest)
            .isolation_level(IsolationLevel::ReadCommitted)
            .enable_auto_commit(false)
            .fetch_max_wait(Duration::from_millis(250))
            .metrics_push(false);
        let consumer = builder
            .build()
            .await
            .map_err(|e| self.failed("topics cannot be read", &e))?;
        for topic in topics {
            let partitions = (0..i32::try_from(topic.partitions).unwrap_or(i32::MAX)).collect();
            let assigned = consumer.assign(&topic.name, partitions).await;
            assigned.map_err(|e| self.failed(&format!("topic {} cannot be read", topic.name), &e))?;
        }
        let topics = topics.iter().map(|t| t.name.clone()).collect();
        Ok(Reader {
            client: self.clone(),
            consumer,
            topics,
        })
    }

    /// Reads `topics` until `enough` says so of all records read, or until `bound` has passed; returns what was read.
    ///
    /// # Errors
    /// As [`Self::reader`] and [`Reader::next`].
    pub async fn fetch_until<F>(&self, topics: &[Topic], bound: Duration, mut enough: F) -> Result<Vec<Fetched>>
    where
        F: FnMut(&[Fetched]) -> bool,
    {
        let deadline = Instant::now() + bound;
        let mut reader = self.reader(topics).await?;
        let mut seen = Vec::new();
        while !enough(&seen) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            seen.extend(reader.next(left.min(Duration::from_secs(1))).await?);
        }
        Ok(seen)
    }
}

impl Reader {
    /// The next records, as soon as there are any; none after `wait`.
    ///
    /// Cancel safe: a dropped call loses no record.
    ///
    /// # Errors
    /// [`crate::diag::Reason::KafkaError`], or `KafkaUnreachable` if the broker is gone.
    pub async fn next(&mut self, wait: Duration) -> Result<Vec<Fetched>> {
        let records = self.consumer.poll(wait).await;
        let records = records.map_err(|e| self.client.failed("topics cannot be read", &e))?;
        Ok(records
            .into_iter()
            .map(|r| Fetched {
                topic: r.topic.to_string(),
                partition: r.partition,
                offset: r.offset,
                key: r.key,
                value: r.value,
                timestamp: r.timestamp,
                headers: r.headers,
            })
            .collect())
    }
}
