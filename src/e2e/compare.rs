//! Expected records against those that were read: what is matched, missing, surplus.

use std::collections::HashMap;

use serde_json::Value;

use super::value::{canonical, decode, spellings};
use crate::config::{Expectation, Match, Record};
use crate::kafka::Fetched;

/// A record that was read, in the form in which it is compared.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// Its key as JSON or text; `Null` without one.
    pub(super) key: Value,
    /// Its value as JSON or text; `Null` for a tombstone.
    pub(super) value: Value,
    /// Its partition.
    pub(super) partition: i32,
    /// Its offset.
    pub(super) offset: i64,
    keys: Vec<String>,
    canonical: String,
}

/// One expectation and what its topic gave so far.
#[derive(Debug)]
pub(super) struct Board {
    expectation: Expectation,
    /// The expected records that count: for the last value of each key, `null` says that the key is gone, which is
    /// what a table without it says too.
    rows: Vec<(Record, Vec<String>, String)>,
    seen: Vec<Seen>,
    /// For the last value of each key: the place in `seen` of the latest record of a key.
    latest: HashMap<Vec<String>, usize>,
}

/// The state of an expectation; records in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Outcome {
    /// Expected and not seen, by their place among [`Board::expected`].
    pub(super) missing: Vec<usize>,
    /// Seen and not expected, by their place among [`Board::seen`].
    pub(super) unexpected: Vec<usize>,
}

impl Outcome {
    /// Whether the expectation holds at this moment.
    pub(super) fn holds(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty()
    }
}

impl Board {
    pub(super) fn new(expectation: Expectation) -> Self {
        let table = expectation.mode == Match::LastPerKey;
        let counted = expectation.records.iter().filter(|r| !(table && r.value.is_null()));
        // a string key of a case is the key's text, which may be JSON of itself or not
        let rows = counted
            .map(|r| (r.clone(), r.key.iter().map(canonical).collect(), canonical(&r.value)))
            .collect();
        Self {
            expectation,
            rows,
            seen: Vec::new(),
            latest: HashMap::new(),
        }
    }

    pub(super) fn expectation(&self) -> &Expectation {
        &self.expectation
    }

    pub(super) fn expected(&self, index: usize) -> &Record {
        &self.rows[index].0
    }

    pub(super) fn expected_len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn seen(&self, index: usize) -> &Seen {
        &self.seen[index]
    }

    /// Records that were read, updates and tombstones included.
    pub(super) fn read(&self) -> usize {
        self.seen.len()
    }

    /// Takes over a record of the expectation's topic.
    pub(super) fn add(&mut self, record: &Fetched) {
        let keys = spellings(record.key.as_deref());
        let value = decode(record.value.as_deref());
        if record.key.is_some() {
            self.latest.insert(keys.clone(), self.seen.len());
        }
        self.seen.push(Seen {
            key: decode(record.key.as_deref()),
            canonical: canonical(&value),
            value,
            partition: record.partition,
            offset: record.offset,
            keys,
        });
    }

    /// The records that count: all, or the last one of each key that is no tombstone. A record without a key has no
    /// other to replace.
    pub(super) fn current(&self) -> Vec<usize> {
        let all = 0..self.seen.len();
        match self.expectation.mode {
            Match::Unordered => all.collect(),
            Match::LastPerKey => all
                .filter(|&i| {
                    let seen = &self.seen[i];
                    seen.key.is_null() || self.latest.get(&seen.keys) == Some(&i) && !seen.value.is_null()
                })
                .collect(),
        }
    }

    /// How the expectation stands.
    pub(super) fn outcome(&self) -> Outcome {
        let mut by_value: HashMap<&str, Vec<usize>> = HashMap::new();
        for index in self.current() {
            by_value.entry(&self.seen[index].canonical).or_default().push(index);
        }
        let mut outcome = Outcome::default();
        // expected records with a key fit only those of that key, so they choose first
        let (keyed, free): (Vec<_>, Vec<_>) = (0..self.rows.len()).partition(|&i| !self.rows[i].1.is_empty());
        for index in keyed.into_iter().chain(free) {
            let (_, keys, value) = &self.rows[index];
            let found = by_value.get_mut(value.as_str()).and_then(|candidates| {
                let fits = |seen: &usize| keys.iter().all(|k| self.seen[*seen].keys.contains(k));
                let at = candidates.iter().position(fits)?;
                Some(candidates.remove(at))
            });
            if found.is_none() {
                outcome.missing.push(index);
            }
        }
        outcome.missing.sort_unstable();
        outcome.unexpected = by_value.into_values().flatten().collect();
        outcome.unexpected.sort_unstable();
        outcome
    }

    /// Whether an expected record and a seen one have the same key, where one is expected.
    pub(super) fn same_key(&self, expected: usize, seen: usize) -> bool {
        let keys = &self.rows[expected].1;
        !keys.is_empty() && keys.iter().all(|k| self.seen[seen].keys.contains(k))
    }

    /// Whether the expected record names a key.
    pub(super) fn has_key(&self, expected: usize) -> bool {
        !self.rows[expected].1.is_empty()
    }
}
