//! The client of one broker: topics and producing.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use krafka::admin::{
    AdminClient, CreateTopicsOptions, DeleteTopicsOptions, DescribeTopicsOptions, ListTopicsOptions, NewTopic,
};
use krafka::error::{ErrorCode, KrafkaError};
use krafka::producer::{Acks, DeliveryHandle, ProducerBuilder};
use krafka::{Kafka, Record};
use tokio::time::{Instant, sleep, timeout_at};

use super::write::Outgoing;
use crate::diag::{Failure, Reason, Result};

/// How long a broker may take to answer its first metadata request.
const CONNECT: Duration = Duration::from_secs(5);
/// How long one administrative call (create, delete, list) may take, with its retries.
pub(super) const ADMIN: Duration = Duration::from_secs(15);
/// How long all records of one call may take to be acknowledged.
pub(super) const DELIVERY: Duration = Duration::from_secs(30);
/// How long one request may wait for its answer; longer than the longest held fetch.
const REQUEST: Duration = Duration::from_secs(5);
/// Records that may wait for their acknowledgement at a time.
pub(super) const WINDOW: usize = 8192;
/// How many bytes of them a producer may hold.
const BUFFER: usize = 16 << 20;
/// Between two looks at something that Kafka cannot announce.
pub(super) const POLL: Duration = Duration::from_millis(50);

/// A topic to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Its partitions.
    pub partitions: u32,
}

/// A client of one Kafka broker. Clones share the connection; each reader has one of its own.
#[derive(Clone)]
pub struct TopicClient {
    kafka: Kafka,
    admin: std::sync::Arc<AdminClient>,
    bootstrap: String,
}

impl fmt::Debug for TopicClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopicClient")
            .field("bootstrap", &self.bootstrap)
            .finish_non_exhaustive()
    }
}

/// Connects to `bootstrap`; a refused connection is tried again until `bound` has passed.
///
/// # Errors
/// [`Reason::KafkaUnreachable`] with the last error seen.
async fn connected(bootstrap: &str, bound: Duration) -> Result<Kafka> {
    let deadline = Instant::now() + bound;
    let mut last = "no answer".to_owned();
    loop {
        // the broker advertises itself as this very address, so one short connect timeout serves both
        let attempt = Kafka::builder(bootstrap)
            .client_id("flink-dev")
            .request_timeout(REQUEST)
            .connect_timeout(Duration::from_secs(2))
            .connect();
        match timeout_at(deadline, attempt).await {
            Ok(Ok(kafka)) => return Ok(kafka),
            Ok(Err(error @ KrafkaError::Config { .. })) => {
                return Err(unreachable(bootstrap, bound).evidence(error.to_string()));
            }
            Ok(Err(error)) => last = error.to_string(),
            Err(_) => return Err(unreachable(bootstrap, bound).evidence(last)),
        }
        if Instant::now() + POLL >= deadline {
            return Err(unreachable(bootstrap, bound).evidence(last));
        }
        sleep(POLL).await;
    }
}

impl TopicClient {
    /// Connects to `bootstrap` (`HOST:PORT`); returns once a metadata request was answered.
    ///
    /// # Errors
    /// [`Reason::KafkaUnreachable`] if no broker answers within 5 s.
    pub async fn connect(bootstrap: &str) -> Result<Self> {
        Self::connect_within(bootstrap, CONNECT).await
    }

    /// Like [`Self::connect`] with a bound of its own: a refused connection is tried again until then.
    ///
    /// # Errors
    /// [`Reason::KafkaUnreachable`] with the last error seen.
    pub async fn connect_within(bootstrap: &str, bound: Duration) -> Result<Self> {
        let kafka = connected(bootstrap, bound).await?;
        let admin = std::sync::Arc::new(kafka.admin().default_api_timeout(ADMIN).metrics_push(false));
        Ok(Self {
            kafka,
            admin,
            bootstrap: bootstrap.to_owned(),
        })
    }

    /// A connection of its own, for requests that the broker holds: it answers those of one connection one after the
    /// other (`SocketServer` mutes a channel until its answer is sent), so that whatever shared one would wait for them.
    ///
    /// # Errors
    /// [`Reason::KafkaUnreachable`] if no broker answers within 15 s: one that was killed is back by then.
    pub(super) async fn own_connection(&self) -> Result<Kafka> {
        connected(&self.bootstrap, ADMIN).await
    }

    /// The brokers as they advertise themselves (`HOST:PORT`), from a metadata request made now.
    ///
    /// # Errors
    /// [`Reason::KafkaUnreachable`] if it is not answered.
    pub async fn brokers(&self) -> Result<Vec<String>> {
        self.admin
            .list_topics(ListTopicsOptions::default().timeout(CONNECT))
            .await
            .map_err(|e| unreachable(&self.bootstrap, CONNECT).evidence(e.to_string()))?;
        let reader = self.kafka.consumer_without_group().metrics_push(false).build().await;
        let reader = reader.map_err(|e| self.failed("a metadata request was refused", &e))?;
        let metadata = reader.fetch_metadata(None).await;
        let metadata = metadata.map_err(|e| self.failed("a metadata request was refused", &e))?;
        Ok(metadata.brokers.iter().map(|b| b.address().to_owned()).collect())
    }

    /// Creates topics with replication 1 and waits until every partition has its leader. A topic that is there
    /// already is left as it is.
    ///
    /// # Errors
    /// [`Reason::KafkaError`] if the broker refuses one or a leader is missing after 15 s.
    pub async fn create(&self, topics: &[Topic]) -> Result<()> {
        if topics.is_empty() {
            return Ok(());
        }
        let deadline = Instant::now() + ADMIN;
        let mut new = Vec::new();
        for topic in topics {
            let partitions = i32::try_from(topic.partitions).unwrap_or(i32::MAX);
            let what = || format!("topic {} cannot be created", topic.name);
            new.push(NewTopic::new(&topic.name, partitions, 1).map_err(|e| self.failed(&what(), &e))?);
        }
        let options = CreateTopicsOptions::default().timeout(ADMIN);
        let created = self.admin.create_topics(new, options).await;
        let created = created.map_err(|e| self.failed("topics cannot be created", &e))?;
        for (name, result) in created {
            match result {
                Ok(())
                | Err(KrafkaError::Broker {
                    code: ErrorCode::TopicAlreadyExists,
                    ..
                }) => {}
                Err(error) => return Err(self.failed(&format!("topic {name} cannot be created"), &error)),
            }
        }
        loop {
            let Some(waiting) = self.without_leader(topics).await else {
                return Ok(());
            };
            if Instant::now() >= deadline {
                let message = format!("topic without a leader after {} s", ADMIN.as_secs());
                return Err(Failure::new(Reason::KafkaError, message).evidence(waiting));
            }
            sleep(POLL).await;
        }
    }

    /// Why a topic cannot be used yet; `None` if each partition has a leader.
    pub(super) async fn without_leader(&self, topics: &[Topic]) -> Option<String> {
        let names = topics.iter().map(|t| t.name.as_str());
        let described = match self
            .admin
            .describe_topics(names, DescribeTopicsOptions::default().timeout(ADMIN))
            .await
        {
            Ok(described) => described,
            Err(error) => return Some(error.to_string()),
        };
        topics.iter().find_map(|topic| match described.get(&topic.name) {
            Some(Ok(found)) if found.partitions.is_empty() => Some(format!("{}: no partitions yet", topic.name)),
            Some(Ok(found)) => found
                .partitions
                .iter()
                .find(|p| p.leader.is_none())
                .map(|p| format!("{}, partition {}: no leader", topic.name, p.partition)),
            Some(Err(error)) => Some(format!("{}: {error}", topic.name)),
            None => Some(format!("{}: not described", topic.name)),
        })
    }

    /// Names of the topics that begin with `prefix`, sorted, from a metadata request made now.
    ///
    /// # Errors
    /// [`Reason::KafkaError`] if the broker does not list them within 15 s.
    pub async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let names = self
            .admin
            .list_topics(ListTopicsOptions::default().timeout(ADMIN))
            .await;
        let names = names.map_err(|e| self.failed("topics cannot be listed", &e))?;
        Ok(names.into_iter().filter(|n| n.starts_with(prefix)).collect())
    }

    /// Deletes topics and waits until the broker does not list them any more. One that is not there is fine.
    ///
    /// # Errors
    /// [`Reason::KafkaError`] if the broker refuses, or still lists one after 15 s.
    pub async fn delete(&self, names: &[String]) -> Result<()> {
        if names.is_empty() {
            return Ok(());
        }
        let deadline = Instant::now() + ADMIN;
        let deleted = self
            .admin
            .delete_topics(names, DeleteTopicsOptions::default().timeout(ADMIN))
            .await;
        let deleted = deleted.map_err(|e| self.failed("topics cannot be deleted", &e))?;
        for (name, result) in deleted {
            match result {
                Ok(())
                | Err(KrafkaError::Broker {
                    code: ErrorCode::UnknownTopicOrPartition,
                    ..
                }) => {}
                Err(error) => return Err(self.failed(&format!("topic {name} cannot be deleted"), &error)),
            }
        }
        loop {
            let there: Vec<_> = self.list("").await?.into_iter().filter(|n| names.contains(n)).collect();
            if there.is_empty() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let message = format!("topics are still there {} s after their deletion", ADMIN.as_secs());
                return Err(Failure::new(Reason::KafkaError, message).evidence(there.join(", ")));
            }
            sleep(POLL).await;
        }
    }

    /// Produces records to each topic in order, acknowledged by all replicas; returns how many. Topics without
    /// records are fine. Records are taken as they are sent, so that they need not all be held at once.
    ///
    /// # Errors
    /// [`Reason::KafkaError`] with the topic and the number of the first record that was refused, or if not all are
    /// acknowledged within 30 s.
    pub async fn produce<R>(&self, records: BTreeMap<String, R>) -> Result<usize>
    where
        R: IntoIterator<Item = Outgoing>,
    {
        let deadline = Instant::now() + DELIVERY;
        let late = || {
            let message = format!("records are not acknowledged after {} s", DELIVERY.as_secs());
            Failure::new(Reason::KafkaError, message).evidence(format!("broker {}", self.bootstrap))
        };
        let mut records = records
            .into_iter()
            .flat_map(|(topic, messages)| {
                let numbered = (1..).zip(messages);
                numbered.map(move |(number, message)| (topic.clone(), number, message))
            })
            .peekable();
        if records.peek().is_none() {
            return Ok(0);
        }
        let producer = timeout_at(deadline, self.producer().build()).await;
        let producer = producer
            .map_err(|_| late())?
            .map_err(|e| self.failed("no producer could be made", &e))?;
        let refused = |topic: &str, number: usize, e: &KrafkaError| {
            self.failed(&format!("record {number} of {topic} was refused"), e)
        };
        let acknowledged = async |handles: std::vec::Drain<'_, (String, usize, DeliveryHandle)>| {
            for (topic, number, handle) in handles {
                let answer = timeout_at(deadline, handle).await.map_err(|_| late())?;
                // where it was written does not matter, only that it was
                let _ = answer.map_err(|e| refused(&topic, number, &e))?;
            }
            Ok(())
        };
        let (mut count, mut window) = (0, Vec::with_capacity(WINDOW));
        for (topic, number, message) in records {
            let mut record = Record::new(&topic, Bytes::new());
            record.key = message.key;
            record.value = message.value;
            record.headers = message.headers;
            record.timestamp = message.timestamp;
            record.partition = message.partition;
            let queued = timeout_at(deadline, producer.enqueue(record)).await;
            let handle = queued.map_err(|_| late())?.map_err(|e| refused(&topic, number, &e))?;
            window.push((topic, number, handle));
            count += 1;
            // half of them at a time: the broker gets full batches
            if window.len() >= WINDOW {
                acknowledged(window.drain(..WINDOW / 2)).await?;
            }
        }
        acknowledged(window.drain(..)).await?;
        // every record is acknowledged: there is nothing left that closing could lose
        let _ = timeout_at(deadline, producer.close()).await;
        Ok(count)
    }

    /// For few records as for many: every one is acknowledged by all replicas, and full batches are worth a moment.
    pub(super) fn producer(&self) -> ProducerBuilder {
        self.kafka
            .producer()
            .acks(Acks::All)
            .linger(Duration::from_millis(5))
            .batch_size(256 << 10)
            .buffer_memory(BUFFER)
            .delivery_timeout(DELIVERY)
            .max_block(ADMIN)
            .metrics_push(false)
    }

    /// The address it was given.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    pub(super) fn admin(&self) -> &AdminClient {
        &self.admin
    }

    pub(super) fn kafka(&self) -> &Kafka {
        &self.kafka
    }

    pub(super) fn failed(&self, what: &str, error: &KrafkaError) -> Failure {
        let lost = matches!(error, KrafkaError::Network(_) | KrafkaError::Timeout { .. });
        let reason = if lost {
            Reason::KafkaUnreachable
        } else {
            Reason::KafkaError
        };
        Failure::new(reason, what)
            .cause(error)
            .evidence(format!("broker {}", self.bootstrap))
    }
}

fn unreachable(bootstrap: &str, bound: Duration) -> Failure {
    let message = format!(
        "no Kafka broker answers at {bootstrap} within {} s",
        bound.as_secs_f64()
    );
    Failure::new(Reason::KafkaUnreachable, message)
}
