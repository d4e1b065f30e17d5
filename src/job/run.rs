//! A script to a running job: everything that can be known is checked first, then it is submitted, and followed until
//! the operator and Flink agree that it runs. What does not run leaves nothing behind.

use std::collections::BTreeMap;
use std::time::Duration;

use kube::Client;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::script::Script;
use super::stage::Stage;
use super::{room, session, trouble};
use crate::diag::{Failure, Reason, Result};
use crate::event::EventSink;
use crate::flink::{JobSpec, Phase, Rest, SessionJob, UpgradeMode};
use crate::kafka::TopicClient;

/// The operator takes names of session jobs of up to 45 characters.
const LONGEST_NAME: usize = 45;

/// Where jobs run.
#[derive(Clone)]
pub struct Place {
    /// The cluster.
    pub client: Client,
    /// The namespace of the session cluster.
    pub namespace: String,
    /// The session cluster's name.
    pub session: String,
    /// Kafka's address on this machine and in the cluster, if there is Kafka.
    pub kafka: Option<(String, String)>,
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place")
            .field("namespace", &self.namespace)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

/// A job that is wanted.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Its name, see [`job_name`].
    pub name: String,
    /// Its script.
    pub script: Script,
    /// Its parallelism.
    pub parallelism: Option<u32>,
    /// Its settings.
    pub settings: BTreeMap<String, String>,
    /// What becomes of its state when it is changed.
    pub upgrade_mode: UpgradeMode,
    /// Remove a job of its name first.
    pub replace: bool,
    /// Do not wait until it runs.
    pub detach: bool,
    /// How long it may take to run.
    pub within: Duration,
}

/// A job that was started.
#[derive(Debug, Clone, Serialize)]
pub struct Started {
    /// Its name.
    pub name: String,
    /// Flink's id of it; empty after `detach`.
    pub job_id: String,
    /// `RUNNING`, `FINISHED`, or `SUBMITTED` after `detach`.
    pub state: &'static str,
    /// The session cluster.
    pub session: String,
    /// From the submission to that state, in seconds.
    pub seconds: f64,
}

/// Checks a name, or makes one of a script's file name.
///
/// # Errors
/// [`Reason::Usage`] if it is no DNS label of up to 45 characters that begins with a letter.
pub fn job_name(given: Option<&str>, script: &std::path::Path) -> Result<String> {
    let made = || {
        let stem = script.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
        let dashes: String = stem
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .collect();
        dashes.trim_matches(|c: char| c == '-' || c.is_ascii_digit()).to_owned()
    };
    let name = given.map_or_else(made, str::to_owned);
    let letter = |c: char| c.is_ascii_lowercase();
    let good = name.starts_with(letter)
        && name.len() <= LONGEST_NAME
        && !name.ends_with('-')
        && name.chars().all(|c| letter(c) || c.is_ascii_digit() || c == '-');
    if good {
        return Ok(name);
    }
    let length = name.chars().count();
    let why = if length > LONGEST_NAME {
        format!("it has {length} characters, the operator takes {LONGEST_NAME}")
    } else {
        "a name has small letters, digits and `-`, begins with a letter and does not end with `-`".to_owned()
    };
    let advice = if given.is_some() {
        "choose another --name"
    } else {
        "add --name NAME"
    };
    Err(
        Failure::new(Reason::Usage, format!("`{name}` cannot be the name of a job"))
            .evidence(why)
            .next(advice),
    )
}

/// Runs a job. Unless it runs (or was detached from), its object is removed again, also when `cancel` is triggered.
///
/// # Errors
/// What the checks find, before anything is created; then why it does not run.
pub async fn run(place: &Place, wanted: &Wanted, events: &EventSink, cancel: &CancellationToken) -> Result<Started> {
    let stage = |id: &str, title: String| Stage::start(events, cancel, id, title);
    let checks = async {
        tokio::select! {
            checked = check(place, wanted) => checked,
            () = cancel.cancelled() => Err(Failure::new(Reason::Interrupted, "interrupted before anything was created")),
        }
    };
    stage("check", format!("check {}", wanted.script.file.display()))
        .run(checks, Clone::clone)
        .await?;

    let start = Instant::now();
    let mut running = stage("job", format!("job {}", wanted.name));
    let spec = JobSpec {
        name: wanted.name.clone(),
        script: wanted.script.filled.text.clone(),
        script_file: wanted.script.file.clone(),
        parallelism: wanted.parallelism.or(wanted.script.parallelism()),
        upgrade_mode: wanted.upgrade_mode,
        settings: wanted.settings.clone(),
        ..JobSpec::default()
    };
    // one short request that is never dropped half way, so that it is known what exists
    let job = match SessionJob::submit(&place.client, &place.namespace, &place.session, &spec).await {
        Ok(job) => job,
        Err(failure) => {
            running.fail(&failure);
            return Err(failure);
        }
    };
    let started = |state, job_id: Option<String>| Started {
        name: wanted.name.clone(),
        job_id: job_id.unwrap_or_default(),
        state,
        session: place.session.clone(),
        seconds: (start.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
    };
    if wanted.detach {
        running.done("submitted; nothing more was awaited");
        return Ok(started("SUBMITTED", None));
    }
    match follow(place, wanted, &job, &running, start + wanted.within).await {
        Ok(state) => {
            let id = job.id().await;
            running.done(&format!("{state}: operator, generation and Flink agree"));
            Ok(started(state, id))
        }
        Err(failure) => {
            let failure = wanted.script.at_users_place(failure);
            running.fail(&failure);
            let removing = stage("clean-up", format!("remove job {}", wanted.name));
            // what is left behind is worth knowing, but why it failed is worth more
            match removing
                .run(job.delete(), |()| "nothing is left of it".to_owned())
                .await
            {
                Ok(()) => Err(failure),
                Err(left) => Err(failure
                    .evidence(format!("it was left behind: {left}"))
                    .next(format!("dev job rm {}", wanted.name))),
            }
        }
    }
}

/// Waits until the job runs or has ended well.
async fn follow(place: &Place, wanted: &Wanted, job: &SessionJob, stage: &Stage, end: Instant) -> Result<&'static str> {
    let (report, mut phases) = watch::channel(Phase::Waiting("submitted".to_owned()));
    let mut follow = std::pin::pin!(job.follow(&report));
    let mut stuck = std::pin::pin!(trouble::stuck_pod(&place.client, &place.namespace, &place.session));
    let cancel = stage.cx().cancel();
    loop {
        tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(Failure::new(Reason::Interrupted, "interrupted before the job ran").next("run it again; nothing is left of it")),
            failure = &mut follow => return Err(failure),
            failure = &mut stuck => return Err(failure),
            Ok(()) = phases.changed() => match &*phases.borrow_and_update() {
                Phase::Waiting(reason) => stage.cx().waiting(reason.clone()),
                Phase::Running => return Ok("RUNNING"),
                Phase::Finished => return Ok("FINISHED"),
            },
            () = sleep_until(end) => {
                let message = format!("the job does not run after {} s", wanted.within.as_secs_f64());
                let mut failure = Failure::new(Reason::TimedOut, message);
                if let Phase::Waiting(reason) = &*phases.borrow() {
                    failure = failure.evidence(format!("last seen: {reason}"));
                }
                let evidence = job.evidence().await;
                return Err(evidence.into_iter().fold(failure, Failure::evidence).next("give it longer with --within"));
            }
        }
    }
}

/// Everything that can be known before anything is created; tells what was seen.
async fn check(place: &Place, wanted: &Wanted) -> Result<String> {
    let (session, topics) = tokio::try_join!(check_session(place, wanted), check_topics(place, wanted))?;
    let there = SessionJob::exists(&place.client, &place.namespace, &wanted.name).await?;
    if there {
        if !wanted.replace {
            let message = format!("a job `{}` is there already", wanted.name);
            return Err(Failure::new(Reason::JobExists, message)
                .next(format!("dev job status {}", wanted.name))
                .next("add --replace, or choose another --name"));
        }
        SessionJob::left_behind(&place.client, &place.namespace, &place.session, &wanted.name)
            .delete()
            .await?;
    }
    let inserts = wanted.script.inserts;
    Ok(format!("{inserts} INSERTs in one job, {topics}, {session}"))
}

async fn check_session(place: &Place, wanted: &Wanted) -> Result<String> {
    let object: Value = session::ready(&place.client, &place.namespace, &place.session).await?;
    let rest = Rest::new(place.client.clone(), &place.namespace, &place.session);
    let parallelism = wanted.parallelism.or(wanted.script.parallelism()).unwrap_or(1);
    let (free, jars) = tokio::try_join!(
        room::check(&place.client, &object, &rest, parallelism),
        session::jars(&rest)
    )?;
    wanted.script.check_connectors(&jars)?;
    Ok(format!("{free} slots free"))
}

async fn check_topics(place: &Place, wanted: &Wanted) -> Result<String> {
    let Some((local, internal)) = &place.kafka else {
        return Ok("no Kafka".to_owned());
    };
    // `kafka.kafka:9092` and all the longer names of the same service
    let service: Vec<&str> = internal.split('.').take(2).collect();
    let (service, port) = (service.join("."), internal.rsplit(':').next().unwrap_or_default());
    let is_ours = |address: &str| {
        let (host, its_port) = address.trim().rsplit_once(':').unwrap_or((address, ""));
        its_port == port && (host == service || host.starts_with(&format!("{service}.")))
    };
    let topics = wanted.script.topics(is_ours);
    if topics.is_empty() {
        return Ok("no topic of ours".to_owned());
    }
    let known = TopicClient::connect(local).await?.list("").await?;
    let missing: Vec<String> = topics.iter().filter(|t| !known.contains(t)).cloned().collect();
    if missing.is_empty() {
        Ok(format!("{} topics there", topics.len()))
    } else {
        Err(wanted.script.missing_topics(&missing, &known))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn names_are_made_and_checked() {
        let name = |given: Option<&str>, file: &str| job_name(given, Path::new(file)).map_err(|f| f.id());
        assert_eq!(name(None, "jobs/Big_Orders.v2.sql").as_deref(), Ok("big-orders-v"));
        assert_eq!(name(None, "01-orders.sql").as_deref(), Ok("orders"));
        assert_eq!(name(None, "日本.sql"), Err(Reason::Usage));
        assert_eq!(name(Some("ok-1"), "x.sql").as_deref(), Ok("ok-1"));
        for bad in ["Upper", "-a", "a-", "1a", "a_b", ""] {
            assert_eq!(name(Some(bad), "x.sql"), Err(Reason::Usage), "{bad}");
        }
        let failure = job_name(Some(&"a".repeat(46)), Path::new("x.sql")).unwrap_err();
        assert!(failure.detail().evidence[0].contains("46 characters"), "{failure:?}");
    }
}
