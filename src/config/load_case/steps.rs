//! The steps of a case, and what becomes of its job.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::Reader;
use super::topics::topic;
use crate::config::case::{Given, RecordFormat};
use crate::config::json::Json;
use crate::config::raw_case::Form;
use crate::config::raw_steps::{RawAwait, RawFact, RawJob, RawRestart, RawStep};
use crate::config::records;
use crate::config::source::Source;
use crate::config::steps::{Action, Fact, Feed, JobExpectation, Part, Restart, Step};
use crate::config::words::{listed, nearest};
use crate::config::yaml::Node;
use crate::diag::{Failure, Reason, Result};

/// Keys of a step that say what it does.
const ACTIONS: [&str; 9] = [
    "feed",
    "await",
    "kill",
    "pause",
    "resume",
    "savepoint",
    "restart",
    "upgrade",
    "scale",
];
/// Keys of a fact.
const FACTS: [&str; 4] = ["checkpoint", "state", "records", "watermark"];
/// More parallelism than that is a slip of the finger on one machine.
const MOST_PARALLELISM: u32 = 100;
/// Records a second beyond which a rate is no rate.
const RATES: std::ops::RangeInclusive<f64> = 0.1..=100_000.0;

/// What earlier steps did that later ones need.
#[derive(Default)]
struct Before {
    savepoints: BTreeSet<String>,
    paused: BTreeSet<Part>,
    rated: bool,
}

impl Reader<'_> {
    /// The steps, in order; `within` is how long the case may take. Scripts that they name are added to `scripts`.
    pub(super) fn steps(
        &self,
        raw: &[RawStep],
        (given, within): (&[Given], Duration),
        scripts: &mut Vec<Arc<Source>>,
        problems: &mut Vec<Failure>,
    ) -> Vec<Step> {
        let mut all = Vec::new();
        let mut before = Before::default();
        let nodes = self.tree.get("steps").map(Node::items).unwrap_or_default();
        for (node, raw) in nodes.iter().zip(raw) {
            if let Err(failure) = one_of(node, &ACTIONS, "a step does one thing") {
                problems.push(failure);
                continue;
            }
            let action = match self.action(node, raw, given, scripts, problems) {
                Ok(action) => action,
                Err(failure) => {
                    problems.push(failure);
                    continue;
                }
            };
            problems.extend(before.follows(node, &action).err());
            let place = node.entries().first().map_or(&node.place, |entry| &entry.place);
            all.push(Step {
                action,
                within: raw.within.map_or(within, |span| span.0),
                line: place.line,
                column: place.column,
            });
        }
        all
    }

    fn action(
        &self,
        node: &Node,
        raw: &RawStep,
        given: &[Given],
        scripts: &mut Vec<Arc<Source>>,
        problems: &mut Vec<Failure>,
    ) -> Result<Action> {
        if raw.feed.is_some() {
            return Ok(Action::Feed(self.feeds(node, raw, given, problems)));
        }
        if let Some(fact) = &raw.fact {
            return fact_of(node, fact, &self.topics()).map(Action::Await);
        }
        if let Some(upgrade) = &raw.upgrade {
            if self.tree.get("sql").is_none() {
                let message = "`upgrade` is for SQL: this case runs a program";
                return Err(node.locate("upgrade").failure(Reason::CaseInvalid, message));
            }
            let source = self.script(&upgrade.sql, node.locate("upgrade.sql"))?;
            scripts.push(source.clone());
            return Ok(Action::Upgrade {
                sql_file: source.file.clone(),
                sql: source.text.clone(),
            });
        }
        if let Some(name) = &raw.savepoint {
            if name.trim().is_empty() {
                let message = "a savepoint is kept under a name: it is empty";
                return Err(node.locate("savepoint").failure(Reason::CaseInvalid, message));
            }
            return Ok(Action::Savepoint(name.clone()));
        }
        if let Some(parallelism) = raw.scale {
            if !(1..=MOST_PARALLELISM).contains(&parallelism) {
                let message = format!("`scale` is {parallelism}, expected a number from 1 to {MOST_PARALLELISM}");
                return Err(node.locate("scale").failure(Reason::CaseInvalid, message));
            }
            return Ok(Action::Scale(parallelism));
        }
        let restart = raw.restart.as_ref().map(|restart| match restart {
            RawRestart::Savepoint => Restart::Savepoint,
            RawRestart::Checkpoint => Restart::Checkpoint,
            RawRestart::Nothing => Restart::Nothing,
            RawRestart::Named(named) => Restart::Named(named.from.clone()),
        });
        let action = None
            .or(restart.map(Action::Restart))
            .or(raw.kill.map(Action::Kill))
            .or(raw.pause.map(Action::Pause))
            .or(raw.resume.map(Action::Resume));
        // a key without a value is there, and says nothing
        action.ok_or_else(|| node.place.failure(Reason::CaseInvalid, "the step says nothing"))
    }

    fn feeds(&self, node: &Node, raw: &RawStep, given: &[Given], problems: &mut Vec<Failure>) -> Vec<Feed> {
        let mut all = Vec::new();
        let entries = node.get("feed").map(Node::entries).unwrap_or_default();
        if entries.is_empty() {
            let message = "`feed` names no topic";
            problems.push(node.locate("feed").failure(Reason::CaseInvalid, message));
        }
        for entry in entries {
            problems.extend(topic(entry).err());
            let known = given.iter().find(|given| given.topic == entry.key);
            let format = known.map_or(RecordFormat::Json, |given| given.format.clone());
            let partitions = known.map_or(1, |given| given.partitions);
            let rate = match raw.feed.as_ref().and_then(|feed| feed.get(&entry.key)) {
                Some(Form::Long(long)) => long.rate,
                _ => None,
            };
            if let Some(rate) = rate.filter(|rate| !RATES.contains(rate)) {
                let message = format!(
                    "`rate` is {rate}, expected records a second from {} to {}",
                    RATES.start(),
                    RATES.end()
                );
                problems.push(entry.node.locate("rate").failure(Reason::CaseInvalid, message));
            }
            all.push(Feed {
                given: Given {
                    topic: entry.key.clone(),
                    partitions,
                    records: self.to_send(entry, partitions, &format, problems),
                    format,
                },
                rate,
            });
        }
        all
    }

    /// Names of all topics of the case.
    fn topics(&self) -> Vec<&str> {
        let parts = ["given", "expect", "forbid"]
            .iter()
            .filter_map(|part| self.tree.get(part));
        let steps = self.tree.get("steps").map(Node::items).unwrap_or_default();
        let fed = steps.iter().filter_map(|step| step.get("feed"));
        parts
            .chain(fed)
            .flat_map(Node::entries)
            .map(|entry| entry.key.as_str())
            .collect()
    }

    /// What becomes of the job.
    pub(super) fn job(&self, raw: Option<&RawJob>, whole: bool, problems: &mut Vec<Failure>) -> JobExpectation {
        let (Some(raw), Some(entry)) = (raw, self.tree.entry("job")) else {
            return JobExpectation::default();
        };
        let restarts = raw.restarts.as_ref().map(|restarts| {
            let range = (restarts.at_least.unwrap_or(0), restarts.at_most.unwrap_or(u64::MAX));
            if range.0 > range.1 {
                let message = format!("no number is at least {} and at most {}", range.0, range.1);
                problems.push(entry.node.locate("restarts").failure(Reason::CaseInvalid, message));
            }
            if restarts.at_least.is_none() && restarts.at_most.is_none() {
                let message = "`restarts` says neither `at_least` nor `at_most`";
                problems.push(entry.node.locate("restarts").failure(Reason::CaseInvalid, message));
            }
            range
        });
        let job = JobExpectation {
            state: raw.state,
            restarts,
            restored: raw.restored_from_checkpoint,
            line: entry.place.line,
        };
        if job.is_empty() && whole {
            let message = "`job` says nothing: name `state`, `restarts` or `restored_from_checkpoint`";
            problems.push(entry.place.failure(Reason::CaseInvalid, message));
        }
        job
    }
}

impl Before {
    /// Whether an action can come now, after those of before.
    fn follows(&mut self, node: &Node, action: &Action) -> Result<()> {
        let wrong = |key: &str, message: String| Err(node.locate(key).failure(Reason::CaseInvalid, message));
        match action {
            Action::Feed(feeds) => self.rated |= feeds.iter().any(|feed| feed.rate.is_some()),
            Action::Await(Fact::Fed) if !self.rated => {
                return wrong("await", "no step before this one feeds with a `rate`".to_owned());
            }
            Action::Savepoint(name) if !self.savepoints.insert(name.clone()) => {
                return wrong("savepoint", format!("there is a savepoint `{name}` already"));
            }
            Action::Restart(Restart::Named(name)) if !self.savepoints.contains(name) => {
                let hint = nearest(name, &self.savepoints);
                let hint = hint.map(|near| format!(", did you mean `{near}`?")).unwrap_or_default();
                let message = format!("no step before this one takes a savepoint `{name}`{hint}");
                return wrong("restart.from", message);
            }
            Action::Pause(part) if !self.paused.insert(*part) => {
                return wrong("pause", format!("the {} is paused already", part.word()));
            }
            Action::Resume(part) if !self.paused.remove(part) => {
                return wrong("resume", format!("no step before this one pauses the {}", part.word()));
            }
            Action::Kill(part) if self.paused.contains(part) => {
                return wrong("kill", format!("the {} is paused: resume it first", part.word()));
            }
            _ => {}
        }
        Ok(())
    }
}

fn fact_of(node: &Node, fact: &RawAwait, topics: &[&str]) -> Result<Fact> {
    let raw: &RawFact = match fact {
        RawAwait::Checkpoint => return Ok(Fact::Checkpoint(1)),
        RawAwait::Fed => return Ok(Fact::Fed),
        RawAwait::Fact(raw) => raw,
    };
    let wrong = |key: &str, message: String| Err(node.locate(key).failure(Reason::CaseInvalid, message));
    if let Some(fact) = node.get("await") {
        one_of(fact, &FACTS, "one fact is awaited at a time")?;
    }
    if let Some(count) = raw.checkpoint {
        if !(1..=1000).contains(&count) {
            let message = format!("`checkpoint` is {count}, expected a number from 1 to 1000");
            return wrong("await.checkpoint", message);
        }
        return Ok(Fact::Checkpoint(count));
    }
    if let Some(state) = raw.state {
        return Ok(Fact::State(state));
    }
    if let Some(records) = &raw.records {
        if !topics.contains(&records.topic.as_str()) {
            let hint = nearest(&records.topic, topics.iter().copied());
            let hint = hint.map(|near| format!(", did you mean `{near}`?")).unwrap_or_default();
            let message = format!("the case has no topic `{}`{hint}", records.topic);
            return wrong("await.records.topic", message);
        }
        if records.count == 0 {
            return wrong(
                "await.records.count",
                "`count` is 0: there is nothing to wait for".to_owned(),
            );
        }
        return Ok(Fact::Records {
            topic: records.topic.clone(),
            count: records.count,
        });
    }
    let Some(text) = &raw.watermark else {
        return wrong("await", format!("the fact says nothing: name one of {}", listed(FACTS)));
    };
    let value = text
        .parse::<i64>()
        .map_or_else(|_| Json::from(text.as_str()), Json::from);
    match records::millis(&value) {
        Some(millis) => Ok(Fact::Watermark(millis)),
        None => wrong(
            "await.watermark",
            format!("`{text}` is no time: write `2026-01-01T00:00:00Z`, or milliseconds since 1970"),
        ),
    }
}

/// Whether a mapping has exactly one of these keys.
fn one_of(node: &Node, keys: &[&str], rule: &str) -> Result<()> {
    let found: Vec<_> = node
        .entries()
        .iter()
        .filter(|entry| keys.contains(&entry.key.as_str()))
        .collect();
    match found[..] {
        [_] => Ok(()),
        [] => {
            let message = format!("{rule}: name one of {}", listed(keys.iter().copied()));
            Err(node.place.failure(Reason::CaseInvalid, message))
        }
        [first, second, ..] => {
            let message = format!("{rule}, and this has `{}` and `{}`", first.key, second.key);
            Err(second
                .place
                .failure(Reason::CaseInvalid, message)
                .next("make two steps of it"))
        }
    }
}
