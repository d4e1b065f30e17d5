//! What happened in a case, and when: for its timeline, and for its evidence.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::observe::Observed;
use super::value::decode;
use crate::kafka::Fetched;

/// Records of a topic that are kept; the others are counted.
const KEPT: usize = 10_000;

/// Something with a beginning and an end, or a moment.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Mark {
    /// What kind of thing it is, `step`, `fault`, `read`, `checkpoint` or `restart`.
    pub kind: &'static str,
    /// What it is, for people.
    pub label: String,
    /// When it began, since the case did.
    pub from: Duration,
    /// When it ended; the same for a moment.
    pub to: Duration,
    /// Whether it went well.
    pub ok: bool,
}

/// The journal of one case.
#[derive(Debug)]
pub(super) struct Journal {
    start: Instant,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    marks: Vec<Mark>,
    /// By the topic's name in Kafka: what was read, as JSON Lines, and how many more there were.
    records: BTreeMap<String, (Vec<String>, usize)>,
    /// Flink's ids of the case's job, in the order in which they were seen.
    jobs: Vec<String>,
    /// What would have to be expected, and whether that is enough.
    observed: Option<(Vec<Observed>, bool)>,
}

impl Journal {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            inner: Mutex::default(),
        }
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long ago the case began.
    pub(super) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Something ended that began at `from`.
    pub(super) fn span(&self, kind: &'static str, label: impl Into<String>, from: Instant, ok: bool) {
        let (from, to) = (from.saturating_duration_since(self.start), self.elapsed());
        self.mark(Mark {
            kind,
            label: label.into(),
            from,
            to,
            ok,
        });
    }

    pub(super) fn mark(&self, mark: Mark) {
        self.inner().marks.push(mark);
    }

    /// Flink has the case's job under this id; one that is known already is fine.
    pub(super) fn job(&self, id: &str) {
        let mut inner = self.inner();
        if !inner.jobs.iter().any(|known| known == id) {
            inner.jobs.push(id.to_owned());
        }
    }

    /// Flink's ids of the case's job, in the order in which they were seen.
    pub(super) fn jobs(&self) -> Vec<String> {
        self.inner().jobs.clone()
    }

    /// Records were read.
    pub(super) fn records(&self, records: &[Fetched], named: impl Fn(&str) -> String) {
        let at = self.elapsed();
        let mut inner = self.inner();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for record in records {
            *counts.entry(&record.topic).or_default() += 1;
            let (kept, more) = inner.records.entry(record.topic.clone()).or_default();
            if kept.len() < KEPT {
                let (key, value) = (decode(record.key.as_deref()), decode(record.value.as_deref()));
                let (partition, offset) = (record.partition, record.offset);
                // not by way of JSON's numbers, which lose digits
                kept.push(format!(
                    "{{\"partition\":{partition},\"offset\":{offset},\"key\":{key},\"value\":{value}}}"
                ));
            } else {
                *more += 1;
            }
        }
        for (topic, count) in counts {
            inner.marks.push(Mark {
                kind: "read",
                label: format!("{count} from {}", named(topic)),
                from: at,
                to: at,
                ok: true,
            });
        }
    }

    /// What would have to be expected so that the case passes, and whether that is enough.
    pub(super) fn observe(&self, observed: (Vec<Observed>, bool)) {
        self.inner().observed = Some(observed);
    }

    /// What [`Self::observe`] was told; nothing if the case did not come so far.
    pub(super) fn observed(&self) -> (Vec<Observed>, bool) {
        self.inner().observed.take().unwrap_or_default()
    }

    /// All marks, in order of their beginning.
    pub(super) fn marks(&self) -> Vec<Mark> {
        let mut marks = self.inner().marks.clone();
        marks.sort_by_key(|mark| (mark.from, mark.to));
        marks
    }

    /// What was read of a topic, as JSON Lines.
    pub(super) fn lines(&self, topic: &str) -> String {
        match self.inner().records.get(topic) {
            None => String::new(),
            Some((lines, 0)) => lines.join("\n"),
            Some((lines, more)) => format!("{}\nand {more} more", lines.join("\n")),
        }
    }
}

/// Marks of the checkpoints in Flink's answer to `/jobs/ID/checkpoints`; `began` is when the case did, in milliseconds
/// since the Unix epoch.
pub(super) fn checkpoints(answer: &Value, began: u64) -> Vec<Mark> {
    let history = answer["history"].as_array().map_or(&[][..], Vec::as_slice);
    let mark = |one: &Value| {
        let from = one["trigger_timestamp"].as_u64()?.saturating_sub(began);
        let took = one["end_to_end_duration"].as_u64().unwrap_or(0);
        Some(Mark {
            kind: "checkpoint",
            label: format!("{} {}", one["id"], one["status"].as_str().unwrap_or_default()),
            from: Duration::from_millis(from),
            to: Duration::from_millis(from + took),
            ok: one["status"] != "FAILED",
        })
    };
    history.iter().filter_map(mark).collect()
}

/// Marks of the failures in Flink's answer to `/jobs/ID/exceptions`, each of which restarted the job or ended it.
pub(super) fn restarts(answer: &Value, began: u64) -> Vec<Mark> {
    let entries = answer["exceptionHistory"]["entries"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let mark = |one: &Value| {
        let at = Duration::from_millis(one["timestamp"].as_u64()?.saturating_sub(began));
        Some(Mark {
            kind: "restart",
            label: one["exceptionName"].as_str().unwrap_or("failure").to_owned(),
            from: at,
            to: at,
            ok: false,
        })
    };
    entries.iter().filter_map(mark).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn flinks_history_becomes_marks() {
        let answer = json!({"history": [
            {"id": 2, "status": "COMPLETED", "trigger_timestamp": 5000, "end_to_end_duration": 30},
            {"id": 1, "status": "FAILED", "trigger_timestamp": 900},
        ]});
        let marks = checkpoints(&answer, 1000);
        let told: Vec<_> = marks
            .iter()
            .map(|m| (m.label.as_str(), m.from.as_millis(), m.to.as_millis(), m.ok))
            .collect();
        assert_eq!(told, [("2 COMPLETED", 4000, 4030, true), ("1 FAILED", 0, 0, false)]);
        let answer = json!({"exceptionHistory": {"entries": [{"exceptionName": "java.lang.Boom", "timestamp": 1500}]}});
        assert_eq!(restarts(&answer, 1000)[0].from, Duration::from_millis(500));
    }
}
