//! Records that must not come out.

use bytes::Bytes;
use serde_json::Value;

use super::pattern::{Rules, Want};
use super::seen::Seen;
use super::value;
use crate::config::{Fields, Forbidden, RecordFormat};
use crate::kafka::Fetched;

/// What is forbidden in one topic, and what came all the same.
#[derive(Debug)]
pub(super) struct Fence {
    topic: String,
    /// The line of the case, the key and the value of what is forbidden; `None` forbids everything.
    wants: Option<Vec<(usize, Option<Want>, Want)>>,
    line: usize,
    hits: Vec<Hit>,
}

/// Bytes as text.
fn spelt(bytes: &Option<Bytes>) -> Option<Value> {
    bytes.as_deref().map(value::text)
}

/// A forbidden record.
#[derive(Debug)]
pub(super) struct Hit {
    /// The record.
    pub(super) seen: Seen,
    /// The line of the case that forbids it.
    pub(super) line: usize,
}

impl Fence {
    pub(super) fn new(forbidden: &Forbidden) -> Self {
        let wants = forbidden.records.as_ref().map(|records| {
            records
                .iter()
                .map(|r| (r.line, r.key.as_ref().map(Want::of), Want::of(&r.value)))
                .collect()
        });
        Self {
            topic: forbidden.topic.clone(),
            wants,
            line: forbidden.line,
            hits: Vec::new(),
        }
    }

    pub(super) fn topic(&self) -> &str {
        &self.topic
    }

    /// The forbidden records that came, in order.
    pub(super) fn hits(&self) -> &[Hit] {
        &self.hits
    }

    /// Takes over a record of the topic. A forbidden one is named by some of its fields.
    pub(super) fn add(&mut self, record: &Fetched) {
        let seen = Seen::new(record, &RecordFormat::Json);
        let rules = Rules {
            fields: Fields::Partial,
            tolerance: 0.0,
        };
        let line = match &self.wants {
            None => Some(self.line),
            Some(wants) => wants.iter().find_map(|(line, key, want)| {
                // in either spelling, as expected records are: `42` may be a number or a text
                let key = key.as_ref().is_none_or(|key| {
                    key.fits(&seen.key, Rules::STRICT)
                        || spelt(&record.key).is_some_and(|text| key.fits(&text, Rules::STRICT))
                });
                let value = || {
                    want.fits(&seen.value, rules) || spelt(&record.value).is_some_and(|text| want.fits(&text, rules))
                };
                (key && value()).then_some(*line)
            }),
        };
        self.hits.extend(line.map(|line| Hit { seen, line }));
    }
}
