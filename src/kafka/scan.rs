//! Reading a topic from a chosen place on, to its end as it was at the start or for ever.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use krafka::admin::{OffsetSpec, TopicPartition};
use krafka::consumer::{AutoOffsetReset, Consumer, IsolationLevel};

use super::TopicClient;
use crate::diag::{Failure, Reason, Result};

/// Records that are held at a time; their bytes are bounded by the size of a fetch, too.
const HELD: i32 = 5000;

/// Where reading begins, in each partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the first record that is still there.
    Earliest,
    /// Behind the last record.
    Latest,
    /// At this offset, or the nearest one that is there.
    Offset(i64),
    /// At the first record of this time (milliseconds since the epoch) or later.
    Timestamp(i64),
}

/// A record that was read, with all that Kafka keeps of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// Its partition.
    pub partition: i32,
    /// Its offset in the partition.
    pub offset: i64,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// Its headers, in order.
    pub headers: Vec<(String, Option<Bytes>)>,
}

/// Reads one topic.
pub struct Scan {
    client: TopicClient,
    consumer: Consumer,
    topic: String,
    /// Where each partition ended when reading began.
    ends: BTreeMap<i32, i64>,
}

impl std::fmt::Debug for Scan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scan")
            .field("topic", &self.topic)
            .field("ends", &self.ends)
            .finish_non_exhaustive()
    }
}

impl TopicClient {
    /// Begins to read a topic: all its partitions, or one. `committed`: records of open and aborted transactions are
    /// left out.
    ///
    /// # Errors
    /// [`Reason::TopicUnknown`]; [`Reason::Usage`] for a partition that is not there; what the broker answers.
    pub async fn scan(&self, topic: &str, from: Start, partition: Option<i32>, committed: bool) -> Result<Scan> {
        let mut numbers = self
            .require(&[topic.to_owned()])
            .await?
            .remove(topic)
            .unwrap_or_default();
        if let Some(wanted) = partition {
            if !numbers.contains(&wanted) {
                let message = format!("topic `{topic}` has no partition {wanted}");
                return Err(Failure::new(Reason::Usage, message).evidence(format!("it has {}", numbers.len())));
            }
            numbers = vec![wanted];
        }
        let every: Vec<_> = numbers.iter().map(|n| TopicPartition::new(topic, *n)).collect();
        let (oldest, newest) = tokio::try_join!(
            self.offsets(&every, OffsetSpec::Earliest, false),
            self.offsets(&every, OffsetSpec::Latest, committed)
        )?;
        let timed = match from {
            Start::Timestamp(at) => self.offsets(&every, OffsetSpec::Timestamp(at), committed).await?,
            _ => BTreeMap::new(),
        };
        let level = if committed {
            IsolationLevel::ReadCommitted
        } else {
            IsolationLevel::ReadUncommitted
        };
        let builder = self
            .kafka()
            .consumer_without_group()
            // for a record that is deleted between this look and the first fetch
            .auto_offset_reset(AutoOffsetReset::Earliest)
            .isolation_level(level)
            .enable_auto_commit(false)
            .max_poll_records(HELD)
            .max_buffered_records(HELD)
            .fetch_max_wait(Duration::from_millis(250))
            .metrics_push(false);
        let cannot = format!("topic {topic} cannot be read");
        let consumer = builder.build().await.map_err(|e| self.failed(&cannot, &e))?;
        let assigned = consumer.assign(topic, numbers.clone()).await;
        assigned.map_err(|e| self.failed(&cannot, &e))?;
        let mut ends = BTreeMap::new();
        for number in numbers {
            let at = (topic.to_owned(), number);
            let (first, end) = (oldest.get(&at).copied(), newest.get(&at).copied());
            let (first, end) = (first.unwrap_or_default(), end.unwrap_or_default());
            let start = match from {
                Start::Earliest => first,
                Start::Latest => end,
                Start::Offset(offset) => offset.clamp(first, end.max(first)),
                Start::Timestamp(_) => timed.get(&at).copied().unwrap_or(end),
            };
            let sought = consumer.seek(topic, number, start).await;
            sought.map_err(|e| self.failed(&cannot, &e))?;
            ends.insert(number, end);
        }
        Ok(Scan {
            client: self.clone(),
            consumer,
            topic: topic.to_owned(),
            ends,
        })
    }
}

impl Scan {
    /// The next records, as soon as there are any; none after `wait`. A dropped call loses no record.
    ///
    /// # Errors
    /// [`Reason::KafkaError`], or `KafkaUnreachable` if the broker is gone.
    pub async fn next(&mut self, wait: Duration) -> Result<Vec<Incoming>> {
        let records = self.consumer.poll(wait).await;
        let cannot = format!("topic {} cannot be read", self.topic);
        let records = records.map_err(|e| self.client.failed(&cannot, &e))?;
        Ok(records
            .into_iter()
            .map(|r| Incoming {
                partition: r.partition,
                offset: r.offset,
                timestamp: r.timestamp,
                key: r.key,
                value: r.value,
                headers: r.headers,
            })
            .collect())
    }

    /// Whether all that was in the topic when reading began has been read.
    pub async fn at_end(&self) -> bool {
        for (number, end) in &self.ends {
            match self.consumer.position(&self.topic, *number).await {
                Some(position) if position >= *end => {}
                _ => return false,
            }
        }
        true
    }

    /// Whether a record was written after reading began.
    pub fn is_newer(&self, record: &Incoming) -> bool {
        self.ends
            .get(&record.partition)
            .is_some_and(|end| record.offset >= *end)
    }
}
