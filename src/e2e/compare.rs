//! Expected records against those that were read: what is matched, missing, surplus, out of order.

use std::collections::HashMap;
use std::sync::OnceLock;

use serde_json::Value;

use super::matching::improve;
use super::pattern::{Rules, Want, project, shape};
use super::value::{canonical, decode, decode_as, spellings};
use crate::config::{Expectation, Fields, Match, Record};
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
    /// What it replaces earlier records of: its key, or its window.
    group: Option<String>,
}

impl Seen {
    /// A record as it was read.
    pub(super) fn new(record: &Fetched, expectation: &Expectation) -> Self {
        let value = decode_as(record.value.as_deref(), &expectation.format);
        let keys = spellings(record.key.as_deref());
        let group = match expectation.mode {
            Match::LastPerKey => record.key.as_ref().map(|_| keys.join(" ")),
            Match::Window => {
                let parts = expectation.by.iter().map(|name| value.get(name).map(canonical));
                parts.collect::<Option<Vec<_>>>().map(|parts| parts.join(" "))
            }
            _ => None,
        };
        Self {
            key: decode(record.key.as_deref()),
            value,
            partition: record.partition,
            offset: record.offset,
            keys,
            group,
        }
    }
}

/// An expected record.
#[derive(Debug)]
struct Row {
    record: Record,
    key: Option<(Want, String)>,
    want: Want,
    /// How seen records that fit are found.
    index: Index,
}

/// How seen records that fit a row are found.
#[derive(Debug)]
enum Index {
    /// By what they are, whole or by the named fields (the place among [`Board::shapes`]), and by the key if there is
    /// one.
    Hash(usize, String),
    /// By looking at each: patterns, and numbers that may be apart.
    Each,
}

/// Seen records by their value, and by value and key, as far as expected records of one shape name their fields.
#[derive(Debug)]
struct Shape {
    /// A value of this shape; `None` is the whole value.
    like: Option<Value>,
    by_value: HashMap<String, Vec<usize>>,
}

/// One expectation and what its topic gave so far.
#[derive(Debug)]
pub(super) struct Board {
    expectation: Expectation,
    rules: Rules,
    /// The expected records that count: for the last value of each key, `null` says that the key is gone, which is
    /// what a table without it says too.
    rows: Vec<Row>,
    shapes: Vec<Shape>,
    seen: Vec<Seen>,
    /// The place in `seen` of the latest record of a key or window.
    latest: HashMap<String, usize>,
    /// For an order: how many records from the first on are what the order begins with.
    in_order: usize,
    /// The outcome as of the last record.
    outcome: OnceLock<Outcome>,
}

/// The state of an expectation; records in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Outcome {
    /// Expected and not seen, by their place among [`Board::expected`].
    pub(super) missing: Vec<usize>,
    /// Seen and not expected, by their place among [`Board::seen`].
    pub(super) unexpected: Vec<usize>,
    /// Expected and seen, but in another place than where the order has them.
    pub(super) moved: Vec<(usize, usize)>,
}

impl Outcome {
    /// Whether the expectation holds at this moment.
    pub(super) fn holds(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.moved.is_empty()
    }
}

impl Board {
    pub(super) fn new(expectation: Expectation) -> Self {
        let rules = Rules {
            fields: expectation.fields,
            tolerance: expectation.tolerance,
        };
        let mut shapes = Vec::new();
        let mut known: HashMap<String, usize> = HashMap::new();
        let table = expectation.mode == Match::LastPerKey;
        let counted = expectation.records.iter().filter(|r| !(table && r.value.is_null()));
        let row = |record: &Record| {
            let want = Want::of(&record.value);
            let key = record.key.as_ref().map(|key| (Want::of(key), canonical(key)));
            let exact = want.is_value() && key.iter().all(|(key, _)| key.is_value());
            let index = if !exact || rules.tolerance > 0.0 {
                Index::Each
            } else {
                let (name, like) = match rules.fields {
                    Fields::Strict => (String::new(), None),
                    Fields::Partial => (shape(&record.value), Some(record.value.clone())),
                };
                let at = *known.entry(name).or_insert_with(|| {
                    shapes.push(Shape {
                        like,
                        by_value: HashMap::new(),
                    });
                    shapes.len() - 1
                });
                Index::Hash(at, hash(&canonical(&record.value), key.as_ref().map(|(_, key)| key)))
            };
            Row {
                record: record.clone(),
                key,
                want,
                index,
            }
        };
        let rows = counted.map(row).collect();
        Self {
            expectation: Expectation {
                records: Vec::new(),
                ..expectation
            },
            rules,
            rows,
            shapes,
            seen: Vec::new(),
            latest: HashMap::new(),
            in_order: 0,
            outcome: OnceLock::new(),
        }
    }

    /// The expectation; its records are [`Self::expected`].
    pub(super) fn expectation(&self) -> &Expectation {
        &self.expectation
    }

    pub(super) fn rules(&self) -> Rules {
        self.rules
    }

    pub(super) fn expected(&self, index: usize) -> &Record {
        &self.rows[index].record
    }

    /// What an expected record stands for.
    pub(super) fn want(&self, index: usize) -> &Want {
        &self.rows[index].want
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
        let (seen, at) = (Seen::new(record, &self.expectation), self.seen.len());
        if let Some(group) = &seen.group {
            self.latest.insert(group.clone(), at);
        }
        for shape in &mut self.shapes {
            let value = match &shape.like {
                None => Some(canonical(&seen.value)),
                Some(like) => project(like, &seen.value),
            };
            let Some(value) = value else { continue };
            if record.key.is_some() {
                for key in &seen.keys {
                    shape.by_value.entry(hash(&value, Some(key))).or_default().push(at);
                }
            }
            shape.by_value.entry(value).or_default().push(at);
        }
        self.seen.push(seen);
        if self.in_order == at && at < self.rows.len() && self.fits(at, at) {
            self.in_order += 1;
        }
        self.outcome = OnceLock::new();
    }

    /// The records that count: all, or the last one of each key that is no tombstone, or the last one of each window.
    /// A record without a key has no other to replace.
    pub(super) fn current(&self) -> Vec<usize> {
        (0..self.seen.len()).filter(|&i| self.counts(i)).collect()
    }

    fn counts(&self, index: usize) -> bool {
        let seen = &self.seen[index];
        let last = seen
            .group
            .as_ref()
            .is_none_or(|group| self.latest.get(group) == Some(&index));
        match self.expectation.mode {
            Match::LastPerKey => last && (seen.group.is_none() || !seen.value.is_null()),
            Match::Window => last,
            Match::Unordered | Match::Ordered | Match::Contains => true,
        }
    }

    /// How the expectation stands.
    pub(super) fn outcome(&self) -> &Outcome {
        self.outcome.get_or_init(|| self.judge())
    }

    fn judge(&self) -> Outcome {
        let mut outcome = Outcome::default();
        let ordered = self.expectation.mode == Match::Ordered;
        if ordered && self.in_order() {
            outcome.missing = (self.seen.len()..self.rows.len()).collect();
            return outcome;
        }
        let owner = self.pair();
        let mut found = vec![false; self.rows.len()];
        owner.iter().flatten().for_each(|&row| found[row] = true);
        outcome.missing = (0..self.rows.len()).filter(|&row| !found[row]).collect();
        if self.expectation.mode != Match::Contains {
            let mut current = self.current();
            current.retain(|&seen| owner[seen].is_none());
            outcome.unexpected = current;
        }
        if ordered {
            let pairs: Vec<(usize, usize)> = owner.iter().enumerate().filter_map(|(s, r)| Some(((*r)?, s))).collect();
            outcome.moved = moved(&pairs);
        }
        outcome
    }

    /// Whether what was read is what the order begins with.
    fn in_order(&self) -> bool {
        self.in_order == self.seen.len()
    }

    /// Whether nothing that still comes can make the expectation hold. A last value can be replaced, and of other
    /// topics everything stays: so what is surplus, or out of order, stays so.
    pub(super) fn lost(&self) -> bool {
        match self.expectation.mode {
            Match::Unordered => !self.outcome().unexpected.is_empty(),
            Match::Ordered => !self.in_order(),
            Match::LastPerKey | Match::Window | Match::Contains => false,
        }
    }

    /// The row of each seen record that is an expected one.
    fn pair(&self) -> Vec<Option<usize>> {
        let mut owner: Vec<Option<usize>> = vec![None; self.seen.len()];
        let mut cursor: HashMap<(usize, &str), usize> = HashMap::new();
        let mut open = Vec::new();
        // expected records with a key fit only those of that key, so they choose first, and those with patterns last
        let mut order: Vec<usize> = (0..self.rows.len()).collect();
        order.sort_by_key(|&row| {
            (
                matches!(self.rows[row].index, Index::Each),
                self.rows[row].key.is_none(),
            )
        });
        for row in order {
            let free = match &self.rows[row].index {
                Index::Hash(shape, hash) => {
                    let all = self.shapes[*shape].by_value.get(hash).map_or(&[][..], Vec::as_slice);
                    // what was passed over once is taken, or does not count
                    let from = cursor.entry((*shape, hash)).or_default();
                    while *from < all.len() && (owner[all[*from]].is_some() || !self.counts(all[*from])) {
                        *from += 1;
                    }
                    all.get(*from).copied()
                }
                Index::Each => {
                    (0..self.seen.len()).find(|&s| owner[s].is_none() && self.counts(s) && self.fits(row, s))
                }
            };
            match free {
                Some(seen) => owner[seen] = Some(row),
                None => open.push(row),
            }
        }
        // an exchange ends at a record that nobody has: without one there is nothing to gain
        let free = |seen: usize| owner[seen].is_none() && self.counts(seen);
        if !open.is_empty() && self.mixed() && (0..owner.len()).any(free) {
            improve(&open, &mut owner, |row| self.candidates(row));
        }
        owner
    }

    /// Whether expected records of several kinds may want the same seen one; else the first choice is as good as any.
    fn mixed(&self) -> bool {
        let keyed = self.rows.iter().filter(|row| row.key.is_some()).count();
        self.shapes.len() > 1
            || (keyed > 0 && keyed < self.rows.len())
            || self.rows.iter().any(|row| matches!(row.index, Index::Each))
    }

    /// All that fit a row.
    fn candidates(&self, row: usize) -> Vec<usize> {
        match &self.rows[row].index {
            Index::Hash(shape, hash) => {
                let all = self.shapes[*shape].by_value.get(hash).map_or(&[][..], Vec::as_slice);
                all.iter().copied().filter(|&seen| self.counts(seen)).collect()
            }
            Index::Each => (0..self.seen.len())
                .filter(|&s| self.counts(s) && self.fits(row, s))
                .collect(),
        }
    }

    /// Whether a seen record is what an expected one stands for.
    fn fits(&self, row: usize, seen: usize) -> bool {
        self.rows[row].want.fits(&self.seen[seen].value, self.rules) && self.fits_key(row, seen)
    }

    fn fits_key(&self, row: usize, seen: usize) -> bool {
        let seen = &self.seen[seen];
        self.rows[row].key.as_ref().is_none_or(|(want, canonical)| {
            !seen.key.is_null()
                && (seen.keys.contains(canonical) || !want.is_value() && want.fits(&seen.key, Rules::STRICT))
        })
    }

    /// Whether an expected record and a seen one have the same key, or are of the same window.
    pub(super) fn same_key(&self, expected: usize, seen: usize) -> bool {
        if self.expectation.mode == Match::Window {
            let (record, seen) = (&self.rows[expected].record.value, &self.seen[seen].value);
            let same = |name: &String| record.get(name).map(canonical) == seen.get(name).map(canonical);
            return self.expectation.by.iter().all(same);
        }
        self.has_key(expected) && self.fits_key(expected, seen)
    }

    /// Whether the expected record names a key.
    pub(super) fn has_key(&self, expected: usize) -> bool {
        self.rows[expected].key.is_some()
    }
}

/// What a value is found by, alone or with its key.
fn hash(value: &str, key: Option<&String>) -> String {
    match key {
        // no canonical form holds this character
        Some(key) => format!("{key}\u{0}{value}"),
        None => value.to_owned(),
    }
}

/// The pairs that are out of order: all but the most that are in order. `pairs` is sorted by what was seen.
fn moved(pairs: &[(usize, usize)]) -> Vec<(usize, usize)> {
    // for each length the pair that ends the sequence of this length with the smallest row
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(pairs.len());
    for (at, (row, _)) in pairs.iter().enumerate() {
        let length = ends.partition_point(|&end| pairs[end].0 < *row);
        before.push(length.checked_sub(1).map(|shorter| ends[shorter]));
        if length == ends.len() {
            ends.push(at);
        } else {
            ends[length] = at;
        }
    }
    let mut stays = vec![false; pairs.len()];
    let mut at = ends.last().copied();
    while let Some(here) = at {
        stays[here] = true;
        at = before[here];
    }
    let mut moved: Vec<_> = pairs
        .iter()
        .zip(stays)
        .filter(|(_, stays)| !stays)
        .map(|(pair, _)| *pair)
        .collect();
    moved.sort_unstable();
    moved
}
