//! Whether an environment is well again after a fault.

use std::time::Duration;

use super::super::Target;
use super::part::pods_of;
use crate::config::Part;
use crate::diag::{Failure, Reason, Result};
use crate::flink::Settings;
use crate::kafka::TopicClient;
use crate::kube::{Seen, pods, until};

/// How long the parts may take to be back: an operator some 10 s, a session cluster some 15 s.
const BOUND: Duration = Duration::from_secs(90);
/// Between two looks.
const EVERY: Duration = Duration::from_millis(250);
/// Flink's option for the task slots that are there without any job.
const MINIMUM: &str = "slotmanager.number-of-slots.min";
/// How long the broker may take to answer one look.
const BROKER: Duration = Duration::from_secs(2);

/// The task slots, free or not, that the session cluster has and keeps: those above its minimum go when they are idle.
/// 0 if Flink does not tell.
pub(in crate::e2e) async fn slots_kept(target: &Target) -> u64 {
    let there = slots_total(target).await;
    let settings = Settings::of(&target.rest()).await.unwrap_or_default();
    let minimum = settings.get(MINIMUM).and_then(|minimum| minimum.parse().ok());
    minimum.map_or(there, |minimum: u64| there.min(minimum))
}

async fn slots_total(target: &Target) -> u64 {
    let overview = target.rest().get("/overview").await.ok().flatten().unwrap_or_default();
    overview["slots-total"].as_u64().unwrap_or(0)
}

/// Waits until all parts answer and `slots` task slots are there.
///
/// # Errors
/// [`Reason::ComponentNotReady`] with what is missing after a minute and a half.
pub(in crate::e2e) async fn heal(target: &Target, slots: u64, waiting: &(dyn Fn(String) + Sync)) -> Result<()> {
    let well = until("the environment is well again", EVERY, BOUND, &waiting, || async {
        Ok(match trouble(target, slots).await {
            Some(why) => Seen::NotYet(why),
            None => Seen::Done(()),
        })
    });
    well.await.map_err(|failure| {
        let told = Failure::new(
            Reason::ComponentNotReady,
            "the environment is not well after the case's faults",
        );
        let told = failure.detail().evidence.iter().fold(told, Failure::evidence);
        told.next("dev up")
    })
}

/// What is not well; `None` if all is.
async fn trouble(target: &Target, slots: u64) -> Option<String> {
    for part in [Part::JobManager, Part::Broker, Part::Operator] {
        let Ok((namespace, selector, _)) = pods_of(target, part) else {
            continue;
        };
        match pods(&target.client, &namespace, &selector).await {
            Ok(found) if found.total > 0 && found.ready == found.total => {}
            Ok(found) => {
                let why = found.problem.map_or_else(|| "no pod yet".to_owned(), |p| p.text);
                return Some(format!("{}: {why}", part.word()));
            }
            Err(failure) => return Some(failure.to_string()),
        }
    }
    let found = slots_total(target).await;
    if found < slots {
        return Some(format!("{found} of {slots} task slots"));
    }
    let broker = TopicClient::connect_within(&target.kafka_local, BROKER).await;
    broker.err().map(|failure| failure.to_string())
}
