//! Records that go into topics while a case runs: all at once, or so many a second beside the steps that follow.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::super::case::interrupted;
use super::super::case_step::CaseStep;
use super::Stage;
use crate::config::Feed;
use crate::diag::{Failure, Reason, Result};
use crate::engine::{Done, StepCx};
use crate::kafka::{Outgoing, TopicClient};

/// Records of a rate that are due within this time are sent together.
const TOGETHER: Duration = Duration::from_millis(20);

/// How often it is told how far a feed is.
const TOLD: Duration = Duration::from_secs(1);

/// Feeds with a rate: they run beside the steps. Dropped, they end.
pub(super) struct Feeds {
    tasks: JoinSet<()>,
    /// The first failure, and the number of the step that began the feed.
    failure: watch::Sender<Option<(usize, Failure)>>,
}

impl Default for Feeds {
    fn default() -> Self {
        Self {
            tasks: JoinSet::new(),
            failure: watch::Sender::new(None),
        }
    }
}

/// Tells when a feed fails.
pub(super) struct Broken(watch::Receiver<Option<(usize, Failure)>>);

impl Broken {
    /// Ends only when a feed fails, with the number of its step, and why.
    pub(super) async fn failed(&mut self) -> (usize, Failure) {
        if let Ok(seen) = self.0.wait_for(Option::is_some).await
            && let Some(failure) = seen.clone()
        {
            return failure;
        }
        std::future::pending().await
    }
}

impl Feeds {
    /// Tells when a feed fails.
    pub(super) fn broken(&self) -> Broken {
        Broken(self.failure.subscribe())
    }

    /// Sends the records of feeds without a rate, and begins those with one; returns once the first ones are
    /// acknowledged.
    ///
    /// # Errors
    /// What Kafka answers.
    pub(super) async fn start(&mut self, stage: &Stage<'_>, number: usize, feeds: &[Feed]) -> Result<String> {
        let (paced, at_once): (Vec<_>, Vec<_>) = feeds.iter().partition(|feed| feed.rate.is_some());
        let mut told = Vec::new();
        if !at_once.is_empty() {
            let records = stage.prepared.messages(at_once.iter().map(|feed| &feed.given));
            told.push(format!("{} acknowledged", stage.kafka.produce(records).await?));
        }
        for feed in paced {
            let Some(rate) = feed.rate else { continue };
            let records = stage.prepared.messages(std::iter::once(&feed.given));
            let records = records.into_iter().map(|(topic, all)| (topic, all.collect())).collect();
            let title = format!("feeding {}", feed.given.topic);
            let id = format!("feed-{}", feed.given.topic);
            let mut step = CaseStep::start(stage.prepared, stage.events, stage.cancel, &id, &title);
            let (kafka, failure) = (stage.kafka.clone(), self.failure.clone());
            self.tasks.spawn(async move {
                let cx = step.cx.clone();
                let cancel = cx.cancel().clone();
                let sent = tokio::select! {
                    biased;
                    () = cancel.cancelled() => Err(interrupted()),
                    sent = paced_send(&kafka, &records, rate, &cx) => sent,
                };
                step.end(sent.as_ref().map(|n| Done::Changed(format!("{n} acknowledged"))));
                if let Err(why) = sent {
                    failure.send_replace(Some((number, why)));
                }
            });
            told.push(format!("feeding {} began", feed.given.topic));
        }
        Ok(told.join("; "))
    }

    /// Waits for the end of all feeds.
    ///
    /// # Errors
    /// The first one that failed.
    pub(super) async fn all(&mut self) -> Result<()> {
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended {
                return Err(Failure::new(Reason::Internal, "a feed panicked").cause(&error));
            }
        }
        match self.failure.borrow().clone() {
            Some((_, failure)) => Err(failure),
            None => Ok(()),
        }
    }
}

/// Sends records so many a second, until all are acknowledged; returns how many.
async fn paced_send(
    kafka: &TopicClient,
    records: &BTreeMap<String, Vec<Outgoing>>,
    rate: f64,
    cx: &StepCx,
) -> Result<u64> {
    let mut sent = 0;
    for (topic, messages) in records {
        let mut writer = kafka.writer(topic).await?;
        let start = Instant::now();
        let mut told = start;
        for (index, message) in messages.iter().enumerate() {
            let due = start + Duration::from_secs_f64(index as f64 / rate);
            if due > Instant::now() + TOGETHER {
                if told.elapsed() >= TOLD {
                    told = Instant::now();
                    cx.progress(index as u64, messages.len() as u64, "records", "sent");
                }
                sleep_until(due).await;
            }
            writer.write(message.clone()).await?;
        }
        sent += writer.finish().await?;
    }
    Ok(sent)
}
