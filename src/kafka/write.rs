//! Producing a stream of records in bounded memory: what is not acknowledged yet is a window, not a list.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use krafka::Record;
use krafka::producer::{DeliveryHandle, Producer};
use tokio::time::timeout;

use super::TopicClient;
use super::client::{ADMIN, DELIVERY, WINDOW};
use crate::diag::{Failure, Reason, Result};

/// A record to be produced, with everything that a user can say of one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outgoing {
    /// Its key; records of one key go to one partition and keep their order.
    pub key: Option<Bytes>,
    /// Its value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// Its headers, in order; a name may come twice.
    pub headers: Vec<(String, Option<Bytes>)>,
    /// Milliseconds since the epoch; now, if there is none.
    pub timestamp: Option<i64>,
    /// Its partition; by key, if there is none.
    pub partition: Option<i32>,
}

/// Produces records to one topic, in order.
pub struct Writer {
    client: TopicClient,
    producer: Producer,
    topic: String,
    window: VecDeque<DeliveryHandle>,
    acknowledged: u64,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("topic", &self.topic)
            .field("acknowledged", &self.acknowledged)
            .finish_non_exhaustive()
    }
}

impl TopicClient {
    /// A writer for a topic, which exists. Every record is acknowledged by all replicas, and written once also where
    /// an answer is lost.
    ///
    /// # Errors
    /// [`Reason::KafkaError`], or `KafkaUnreachable` if no producer can be made.
    pub async fn writer(&self, topic: &str) -> Result<Writer> {
        let producer = timeout(ADMIN, self.producer().build()).await;
        let producer = producer
            .map_err(|_| late(topic))?
            .map_err(|e| self.failed("no producer could be made", &e))?;
        Ok(Writer {
            client: self.clone(),
            producer,
            topic: topic.to_owned(),
            window: VecDeque::with_capacity(WINDOW),
            acknowledged: 0,
        })
    }
}

impl Writer {
    /// Queues a record; waits for the oldest ones where too many are under way.
    ///
    /// # Errors
    /// [`Reason::KafkaError`] or `KafkaUnreachable`, for this record or an earlier one.
    pub async fn write(&mut self, record: Outgoing) -> Result<()> {
        if self.window.len() >= WINDOW {
            // half of it at a time: the broker gets full batches
            self.settle(WINDOW / 2).await?;
        }
        let mut wire = Record::new(&self.topic, Bytes::new());
        wire.key = record.key;
        wire.value = record.value;
        wire.timestamp = record.timestamp;
        wire.partition = record.partition;
        wire.headers = record.headers;
        let queued = self.producer.enqueue(wire).await;
        let handle = queued.map_err(|e| self.refused(self.acknowledged + self.window.len() as u64 + 1, &e))?;
        self.window.push_back(handle);
        Ok(())
    }

    /// How many records were acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Waits for everything that is under way; returns how many records were acknowledged in all.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub async fn finish(mut self) -> Result<u64> {
        self.settle(0).await?;
        // every record is acknowledged: there is nothing left that closing could lose
        let _ = timeout(Duration::from_secs(1), self.producer.close()).await;
        Ok(self.acknowledged)
    }

    async fn settle(&mut self, leave: usize) -> Result<()> {
        while self.window.len() > leave
            && let Some(handle) = self.window.pop_front()
        {
            // the handle has its own bound; this one is for a client that loses it
            let answer = timeout(DELIVERY * 2, handle).await.map_err(|_| late(&self.topic))?;
            let _ = answer.map_err(|e| self.refused(self.acknowledged + 1, &e))?;
            self.acknowledged += 1;
        }
        Ok(())
    }

    fn refused(&self, number: u64, error: &krafka::error::KrafkaError) -> Failure {
        self.client
            .failed(&format!("record {number} for topic {} was refused", self.topic), error)
            .evidence(format!("{} records before it were acknowledged", self.acknowledged))
    }
}

fn late(topic: &str) -> Failure {
    let message = format!(
        "records for topic {topic} are not acknowledged after {} s",
        DELIVERY.as_secs()
    );
    Failure::new(Reason::KafkaUnreachable, message)
}
