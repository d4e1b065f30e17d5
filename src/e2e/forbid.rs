//! Records that must not come out.

use super::about::About;
use super::pattern::{Rules, Want};
use super::seen::Seen;
use super::value::spellings;
use crate::config::{Fields, Forbidden, RecordFormat};
use crate::kafka::Fetched;

/// What is forbidden in one topic, and what came all the same.
#[derive(Debug)]
pub(super) struct Fence {
    topic: String,
    /// What is forbidden; `None` forbids everything.
    wants: Option<Vec<Taboo>>,
    format: RecordFormat,
    line: usize,
    hits: Vec<Hit>,
}

/// A record that must not come.
#[derive(Debug)]
struct Taboo {
    /// The line of the case.
    line: usize,
    key: Option<Want>,
    want: Want,
    about: About,
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
                .map(|r| Taboo {
                    line: r.line,
                    key: r.key.as_ref().map(Want::of),
                    want: Want::of(&r.value),
                    about: About::of(r),
                })
                .collect()
        });
        Self {
            topic: forbidden.topic.clone(),
            wants,
            format: forbidden.format.clone(),
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
        let seen = Seen::new(record, &self.format);
        let rules = Rules {
            fields: Fields::Partial,
            tolerance: 0.0,
        };
        let line = match &self.wants {
            None => Some(self.line),
            Some(wants) => {
                // in either spelling, as expected records are: `42` may be a number or a text
                let (keys, mut values) = (spellings(record.key.as_deref()), vec![seen.value.clone()]);
                if record.value.is_some() {
                    values.extend(spellings(record.value.as_deref()));
                }
                let hit = |taboo: &&Taboo| {
                    let key = |key: &Want| keys.iter().any(|spelt| key.fits(spelt, Rules::STRICT));
                    taboo.key.as_ref().is_none_or(key)
                        && values.iter().any(|value| taboo.want.fits(value, rules))
                        && taboo.about.fits(&seen.around, rules)
                };
                wants.iter().find(hit).map(|taboo| taboo.line)
            }
        };
        self.hits.extend(line.map(|line| Hit { seen, line }));
    }
}
