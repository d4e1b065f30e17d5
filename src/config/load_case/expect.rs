//! What a case expects of its topics, and what must not come out of them.

use std::collections::HashMap;

use super::Reader;
use super::given::partitions_of;
use super::topics::{in_partition, topic};
use crate::config::case::{Expectation, Forbidden, Match, Record, RecordFormat};
use crate::config::raw_case::{Form, RawCase, RawExpectation, RawForbid};
use crate::config::records::{Side, Written};
use crate::config::yaml::{Entry, Node};
use crate::diag::{Failure, Reason, Result};

impl Reader<'_> {
    pub(super) fn expect(&self, raw: &RawCase, whole: bool, problems: &mut Vec<Failure>) -> Vec<Expectation> {
        let mut all = Vec::new();
        for entry in self.tree.get("expect").map(Node::entries).unwrap_or_default() {
            problems.extend(topic(entry).err());
            let written = self.records(entry, Side::Expected, problems);
            let mut expectation = Expectation {
                topic: entry.key.clone(),
                ..Expectation::default()
            };
            if let Some(Form::Long(long)) = raw.expect.get(&entry.key) {
                problems.extend(said(entry, long, &mut expectation).err());
                match self.record_format(entry, long.format, &long.columns, Side::Expected) {
                    Ok(format) => expectation.format = format,
                    Err(failure) => problems.push(failure),
                }
                if raw.given.contains_key(&entry.key) && long.partitions.is_some() {
                    let message = format!("the partitions of `{}` are said under `given`, once", entry.key);
                    problems.push(entry.node.locate("partitions").failure(Reason::CaseInvalid, message));
                }
            }
            let partitions = Self::partitions(raw, &entry.key);
            for one in &written {
                problems.extend(in_partition(one, partitions).err());
            }
            match expectation.mode {
                Match::LastPerKey => one_per_key(&written, problems),
                Match::Ordered => {
                    if partitions > 1 {
                        let message = format!(
                            "`{}` has {partitions} partitions: only records of one have an order",
                            entry.key
                        );
                        problems.push(entry.node.locate("match").failure(Reason::CaseInvalid, message));
                    }
                }
                Match::Window => one_per_window(&written, &expectation.by, problems),
                Match::Contains if written.is_empty() => {
                    let message = "`match: contains` without a record holds whatever comes";
                    problems.push(entry.node.locate("match").failure(Reason::CaseInvalid, message));
                }
                Match::Contains | Match::Unordered => {}
            }
            expectation.records = written.into_iter().map(|written| written.record).collect();
            all.push(expectation);
        }
        if all.is_empty() && whole {
            let place = self.tree.entry("expect").map_or(&self.tree.place, |entry| &entry.place);
            problems.push(
                place
                    .failure(Reason::CaseInvalid, "the case expects nothing: it could not fail")
                    .next("name a topic and its records below `expect:`; `TOPIC: []` if none may come out"),
            );
        }
        all
    }

    pub(super) fn forbid(&self, raw: &RawCase, problems: &mut Vec<Failure>) -> Vec<Forbidden> {
        let mut all = Vec::new();
        for entry in self.tree.get("forbid").map(Node::entries).unwrap_or_default() {
            problems.extend(topic(entry).err());
            let said = raw.forbid.get(&entry.key);
            let records = match said {
                Some(RawForbid::Any) => None,
                _ => Some(self.records(entry, Side::Expected, problems)),
            };
            let format = match said {
                Some(RawForbid::Long(long))
                    if long.format.is_some() || !long.columns.is_empty() || entry.node.entry("schema").is_some() =>
                {
                    self.record_format(entry, long.format, &long.columns, Side::Expected)
                }
                _ => self.format_of(raw, &entry.key),
            };
            let format = format.unwrap_or_else(|failure| {
                problems.push(failure);
                RecordFormat::Json
            });
            let elsewhere = self.format_of(raw, &entry.key).unwrap_or_default();
            let registered = |format: &RecordFormat| matches!(format, RecordFormat::AvroConfluent(_));
            if raw.expect.contains_key(&entry.key) && registered(&format) != registered(&elsewhere) {
                // its values are put into JSON once, for all that looks at them
                let message = format!(
                    "topic `{}` is expected in another format: `avro-confluent` is that of both",
                    entry.key
                );
                problems.push(entry.node.locate("format").failure(Reason::CaseInvalid, message));
            }
            if records.as_ref().is_some_and(Vec::is_empty) {
                let message = format!("an empty list forbids nothing in topic `{}`", entry.key);
                let failure = entry.place.failure(Reason::CaseInvalid, message);
                problems.push(failure.next("write `any` if no record may come"));
            }
            all.push(Forbidden {
                topic: entry.key.clone(),
                records: records.map(|all| all.into_iter().map(|written| written.record).collect()),
                format,
                line: entry.place.line,
            });
        }
        all
    }

    /// The format that the case tells of a topic elsewhere.
    fn format_of(&self, raw: &RawCase, topic: &str) -> Result<RecordFormat> {
        let of = |part: &str, format, columns: &[String]| {
            let entry = self.tree.get(part).and_then(|part| part.entry(topic));
            entry.map_or(Ok(RecordFormat::Json), |entry| {
                self.record_format(entry, format, columns, Side::Expected)
            })
        };
        match (raw.expect.get(topic), raw.given.get(topic)) {
            (Some(Form::Long(long)), _) => of("expect", long.format, &long.columns),
            (_, Some(Form::Long(long))) => of("given", long.format, &long.columns),
            _ => Ok(RecordFormat::Json),
        }
        // what is wrong with it is told there
        .or(Ok(RecordFormat::Json))
    }

    /// The partitions of a topic.
    fn partitions(raw: &RawCase, topic: &str) -> u32 {
        let said = match (raw.given.get(topic), raw.expect.get(topic)) {
            (Some(Form::Long(long)), _) => long.partitions,
            (None, Some(Form::Long(long))) => long.partitions,
            _ => None,
        };
        said.unwrap_or(1)
    }
}

/// What the long form of an expectation says besides its records.
fn said(entry: &Entry, long: &RawExpectation, expectation: &mut Expectation) -> Result<()> {
    let wrong = |key: &str, message: String| Err(entry.node.locate(key).failure(Reason::CaseInvalid, message));
    expectation.partitions = long.partitions;
    partitions_of(entry, long.partitions.unwrap_or(1))?;
    expectation.mode = long.mode.unwrap_or_default();
    expectation.fields = long.fields.unwrap_or_default();
    expectation.tolerance = long.tolerance.unwrap_or_default();
    expectation.exactly = long.exactly.unwrap_or_default();
    expectation.quiet = long.quiet.map(|span| span.0);
    if expectation.tolerance.is_nan() || expectation.tolerance < 0.0 || expectation.tolerance.is_infinite() {
        return wrong(
            "tolerance",
            format!("`tolerance` is {}, expected 0 or more", expectation.tolerance),
        );
    }
    if expectation.exactly && expectation.mode == Match::Contains {
        return wrong(
            "exactly",
            "`match: contains` lets other records come, `exactly: true` does not".to_owned(),
        );
    }
    if expectation.mode == Match::Window {
        let usual = || ["window_start", "window_end"].map(str::to_owned).to_vec();
        expectation.by = if long.by.is_empty() { usual() } else { long.by.clone() };
    } else if !long.by.is_empty() {
        return wrong("by", "`by` is for `match: window`".to_owned());
    }
    Ok(())
}

/// Each key has one last value: every record has a key, and none has another's.
fn one_per_key(written: &[Written], problems: &mut Vec<Failure>) {
    let mut seen: HashMap<String, &Written> = HashMap::new();
    for one in written {
        let Record { key: Some(key), .. } = &one.record else {
            let failure = one
                .place
                .failure(Reason::CaseInvalid, "a record of `match: last-per-key` needs a key");
            problems.push(failure.next("write {key: KEY, value: VALUE}"));
            continue;
        };
        if let Some(first) = seen.insert(key.canonical(), one) {
            let message = format!("the key {key} is expected twice, first in line {}", first.place.line);
            let failure = one.place.failure(Reason::CaseInvalid, message);
            problems.push(
                failure
                    .evidence(first.place.excerpt())
                    .next("keep the last value of each key"),
            );
        }
    }
}

/// Each window has one last record: every record has the fields that name it, and no other has the same.
fn one_per_window(written: &[Written], by: &[String], problems: &mut Vec<Failure>) {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for one in written {
        let of = |name: &String| one.record.value.get(name);
        if let Some(name) = by.iter().find(|name| of(name).is_none()) {
            let failure = one.place.failure(
                Reason::CaseInvalid,
                format!("a record of `match: window` needs the field `{name}`, which is part of the window's name"),
            );
            problems.push(failure.next("name the fields of a window with `by: [...]`"));
            continue;
        }
        let window: Vec<_> = by.iter().filter_map(|name| Some(of(name)?.canonical())).collect();
        if let Some(first) = seen.insert(window.join(", "), one.place.line) {
            let message = format!(
                "the window {} is expected twice, first in line {first}",
                window.join(", ")
            );
            let failure = one.place.failure(Reason::CaseInvalid, message);
            problems.push(failure.next("add what else tells results apart to `by`, or keep the last record"));
        }
    }
}
