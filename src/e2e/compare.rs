//! Expected records against those that were read: what is matched, missing, surplus, out of order.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::OnceLock;

use super::about::About;
use super::index::{Index, digest};
use super::matching::improve;
use super::pattern::{Rules, Want};
use super::seen::{Kept, Seen};
use crate::config::{Expectation, Json, Match, Record};
use crate::kafka::Fetched;

/// An expected record that counts.
#[derive(Debug)]
struct Row {
    /// Its place among the expectation's records.
    record: u32,
    /// Whether it names a key.
    keyed: bool,
    /// How seen records that fit are found.
    find: Find,
}

/// How seen records that fit a row are found.
#[derive(Debug)]
enum Find {
    /// By what they are, whole or by the named fields, and by the key if there is one: the slot of [`Board::index`].
    Slot(u32),
    /// By looking at each: patterns, and numbers that may be apart.
    Each(Box<Wanted>),
}

/// What an expected record stands for, ready to be compared.
#[derive(Debug)]
struct Wanted {
    /// Its key, and that in canonical form.
    key: Option<(Want, String)>,
    value: Want,
    about: About,
}

impl Wanted {
    fn of(record: &Record) -> Self {
        Self {
            key: record.key.as_ref().map(|key| (Want::of(key), key.canonical())),
            value: Want::of(&record.value),
            about: About::of(record),
        }
    }

    /// Whether it is one key and value: there is no pattern in it, and nothing is said of headers, time and partition.
    fn is_value(&self) -> bool {
        self.about.is_empty() && self.value.is_value() && self.key.iter().all(|(key, _)| key.is_value())
    }

    fn fits(&self, seen: &Seen, rules: Rules) -> bool {
        self.value.fits(&seen.value, rules) && self.fits_key(seen) && self.about.fits(&seen.around, rules)
    }

    fn fits_key(&self, seen: &Seen) -> bool {
        self.key.as_ref().is_none_or(|(want, canonical)| {
            !seen.key.is_null()
                && (seen.has_key(canonical)
                    // a pattern fits either spelling, too
                    || !want.is_value()
                        && (want.fits(&seen.key, Rules::STRICT)
                            || seen.keys.iter().any(|k| Json::parse(k).is_ok_and(|k| want.fits(&k, Rules::STRICT)))))
        })
    }
}

/// One expectation and what its topic gave so far.
///
/// A hundred thousand records are no large case: expected ones stay in the text they are held in, seen ones in their
/// bytes, and only what is compared one by one is held parsed.
#[derive(Debug)]
pub(super) struct Board {
    expectation: Expectation,
    rules: Rules,
    /// The expected records that count: for the last value of each key, `null` says that the key is gone, which is
    /// what a table without it says too.
    rows: Vec<Row>,
    index: Index,
    /// Whether there are rows that are compared with each seen record.
    each: bool,
    seen: Vec<Kept>,
    /// The place in `seen` of the latest record of a key or window, by its digest.
    latest: HashMap<u128, usize>,
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
        let table = expectation.mode == Match::LastPerKey;
        let mut index = Index::default();
        let mut rows = Vec::with_capacity(expectation.records.len());
        for (at, record) in (0u32..).zip(expectation.records.iter()) {
            if table && record.value.is_null() {
                continue;
            }
            let wanted = Wanted::of(&record);
            let keyed = wanted.key.is_some();
            let find = if !wanted.is_value() || rules.tolerance > 0.0 {
                Find::Each(Box::new(wanted))
            } else {
                let key = wanted.key.as_ref().map(|(_, key)| key.as_str());
                Find::Slot(index.want(&record, rules.fields, key))
            };
            rows.push(Row {
                record: at,
                keyed,
                find,
            });
        }
        Self {
            each: rows.iter().any(|row| matches!(row.find, Find::Each(_))),
            expectation,
            rules,
            rows,
            index,
            seen: Vec::new(),
            latest: HashMap::new(),
            in_order: 0,
            outcome: OnceLock::new(),
        }
    }

    /// The expectation; those of its records that count are [`Self::expected`].
    pub(super) fn expectation(&self) -> &Expectation {
        &self.expectation
    }

    pub(super) fn rules(&self) -> Rules {
        self.rules
    }

    pub(super) fn expected(&self, index: usize) -> Record {
        self.expectation.records.at(self.rows[index].record as usize)
    }

    pub(super) fn expected_len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn seen(&self, index: usize) -> Cow<'_, Seen> {
        self.seen[index].seen(&self.expectation.format)
    }

    /// Records that were read, updates and tombstones included.
    pub(super) fn read(&self) -> usize {
        self.seen.len()
    }

    /// Takes over a record of the expectation's topic.
    pub(super) fn add(&mut self, record: &Fetched) {
        let (seen, at) = (Seen::new(record, &self.expectation.format), self.seen.len());
        let (mode, keyed) = (self.expectation.mode, record.key.is_some());
        let group = seen.group(mode, &self.expectation.by, record.key.as_deref());
        // a tombstone of a table is the absence of its key
        let counts = !(mode == Match::LastPerKey && group.is_some() && seen.value.is_null());
        if let Some(group) = group
            && let Some(before) = self.latest.insert(digest(&group, None), at)
        {
            self.seen[before].counts = false;
        }
        self.index.add(&seen, keyed, at);
        if mode == Match::Ordered && self.in_order == at && at < self.rows.len() && self.fits(at, &seen) {
            self.in_order += 1;
        }
        self.seen.push(Kept::new(record, counts, self.each.then_some(seen)));
        self.outcome = OnceLock::new();
    }

    /// The records that count: all, or the last one of each key that is no tombstone, or the last one of each window.
    /// A record without a key has no other to replace.
    pub(super) fn current(&self) -> Vec<usize> {
        (0..self.seen.len()).filter(|&i| self.counts(i)).collect()
    }

    fn counts(&self, index: usize) -> bool {
        self.seen[index].counts
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
        let mut passed = vec![0; self.index.slots()];
        let mut open = Vec::new();
        // expected records with a key fit only those of that key, so they choose first, and those with patterns last
        let mut order: Vec<usize> = (0..self.rows.len()).collect();
        order.sort_by_key(|&row| (matches!(self.rows[row].find, Find::Each(_)), !self.rows[row].keyed));
        for row in order {
            let free = match &self.rows[row].find {
                Find::Slot(slot) => {
                    // what was passed over once is taken, or does not count
                    let passed = &mut passed[*slot as usize];
                    let mut found = self.index.found(*slot).skip(*passed);
                    found.find(|&seen| {
                        *passed += 1;
                        owner[seen].is_none() && self.counts(seen)
                    })
                }
                Find::Each(wanted) => (0..self.seen.len())
                    .find(|&s| owner[s].is_none() && self.counts(s) && wanted.fits(&self.seen(s), self.rules)),
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
        let keyed = self.rows.iter().filter(|row| row.keyed).count();
        self.index.shapes() > 1 || (keyed > 0 && keyed < self.rows.len()) || self.each
    }

    /// All that fit a row.
    fn candidates(&self, row: usize) -> Vec<usize> {
        match &self.rows[row].find {
            Find::Slot(slot) => self.index.found(*slot).filter(|&seen| self.counts(seen)).collect(),
            Find::Each(wanted) => (0..self.seen.len())
                .filter(|&s| self.counts(s) && wanted.fits(&self.seen(s), self.rules))
                .collect(),
        }
    }

    /// Whether a seen record is what an expected one stands for.
    fn fits(&self, row: usize, seen: &Seen) -> bool {
        match &self.rows[row].find {
            Find::Each(wanted) => wanted.fits(seen, self.rules),
            Find::Slot(_) => Wanted::of(&self.expected(row)).fits(seen, self.rules),
        }
    }

    /// Where a seen record is not what an expected one stands for: `path: expected …, seen …`, one entry a place.
    pub(super) fn differences(&self, expected: &Record, seen: &Seen) -> Vec<String> {
        let wanted = Wanted::of(expected);
        let mut all = Vec::new();
        if !wanted.fits_key(seen) {
            let key = expected.key.clone().unwrap_or_default();
            all.push(format!("key: expected {key}, seen {}", seen.key));
        }
        all.extend(wanted.value.differences(&seen.value, self.rules));
        all.extend(wanted.about.differences(&seen.around, self.rules));
        all
    }

    /// Whether a seen record is what the expected one at this place stands for.
    pub(super) fn is(&self, expected: usize, seen: usize) -> bool {
        self.fits(expected, &self.seen(seen))
    }

    /// The key or window that an expected record is of; `None` where it names no key, or a pattern of one.
    pub(super) fn group(&self, record: &Record) -> Option<String> {
        if self.expectation.mode == Match::Window {
            return Some(self.window(&record.value));
        }
        let key = record.key.as_ref()?;
        Want::of(key).is_value().then(|| key.canonical())
    }

    /// The key, in each way it may be written, or the window that a seen record is of.
    pub(super) fn groups(&self, seen: &Seen) -> Vec<String> {
        match self.expectation.mode {
            Match::Window => vec![self.window(&seen.value)],
            _ if seen.key.is_null() => Vec::new(),
            _ => seen.keys.clone(),
        }
    }

    fn window(&self, value: &Json) -> String {
        let parts = self.expectation.by.iter();
        let parts = parts.map(|name| value.get(name).map_or_else(|| "no".to_owned(), Json::canonical));
        parts.collect::<Vec<_>>().join(" ")
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
