//! Reads a test case and everything it names, and checks it as a whole.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::case::{Case, Expectation, Forbidden, Given, Match, Record, RecordFormat};
use super::decode::decode;
use super::load::format_version;
use super::raw_case::{Form, RawCase, RawExpectation, RawForbid, RawFormat};
use super::records::{self, Side, Written};
use super::source::{Place, Source};
use super::words::{listed, nearest};
use super::yaml::{Entry, Node, Yaml, parse};
use crate::diag::{Failure, Reason, Result};
use crate::sql;

/// Errors that are looked for in the keys of one case.
const MOST_PROBLEMS: usize = 20;
/// How long a case may take if it does not say so.
const WITHIN: Duration = Duration::from_secs(60);
/// Kafka's longest name of a topic is 249 characters; a case's topics get a prefix.
const LONGEST_TOPIC: usize = 180;
/// More partitions than that are a slip of the finger on one broker.
const MOST_PARTITIONS: u32 = 100;

impl Case {
    /// Reads a case, its SQL script and its files of records.
    ///
    /// # Errors
    /// The first of those of [`Case::read`].
    pub fn load(path: &Path) -> Result<Self> {
        Self::read(path).map_err(first)
    }

    /// Reads a case, its SQL script and its files of records, and finds all that is wrong with them.
    ///
    /// # Errors
    /// `FILE_UNREADABLE`, `CASE_INVALID`, `VERSION_UNKNOWN`, `RECORD_INVALID` or `SQL_INVALID`, each with the place in
    /// the file that is wrong; at least one.
    pub fn read(path: &Path) -> Result<Self, Vec<Failure>> {
        let folder = path.parent().unwrap_or(Path::new(""));
        let read = |name: &str| {
            let file = folder.join(name);
            Source::read(&file, &file)
        };
        let source = Source::read(path, path).map_err(|failure| vec![failure])?;
        Self::from_source(&source, &read)
    }

    /// Reads a case that is no file, such as an example within the program. `file` is what it is called in messages;
    /// `files` are those it names, by the names it uses.
    ///
    /// # Errors
    /// Those of [`Case::load`].
    pub fn parse(file: &Path, text: &str, files: &[(&str, &str)]) -> Result<Self> {
        let folder = file.parent().unwrap_or(Path::new(""));
        let read = |name: &str| match files.iter().find(|(known, _)| *known == name) {
            Some((_, text)) => Ok(Source::new(folder.join(name), text)),
            None => Err(Failure::new(
                Reason::FileUnreadable,
                format!("there is no file `{name}`"),
            )),
        };
        Self::from_source(&Source::new(file, text), &read).map_err(first)
    }

    fn from_source(source: &Arc<Source>, read: &Read<'_>) -> Result<Self, Vec<Failure>> {
        let one = |failure| vec![failure];
        let mut tree = parse(source, Reason::CaseInvalid).map_err(one)?;
        format_version(&tree, source, "case", Reason::CaseInvalid).map_err(one)?;
        let (raw, mut problems) = decode_all(&mut tree);
        let Some(raw) = raw else { return Err(problems) };
        // what could not be decoded is not there any more: what is missing because of it is no second error
        let whole = problems.is_empty();
        let reader = Reader { tree: &tree, read };
        let mut take = |found: Result<()>| problems.extend(found.err());
        let mut name = String::new();
        take(reader.name(raw.name.as_deref(), &source.file).map(|found| name = found));
        let given = reader.given(&raw, &mut problems);
        let expect = reader.expect(&raw, whole, &mut problems);
        let forbid = reader.forbid(&raw, &mut problems);
        let script = reader.script(&raw.sql).map_err(|failure| problems.push(failure)).ok();
        if let Some(script) = script.as_ref().filter(|_| whole) {
            reader.placeholders(script, &mut problems);
        }
        let (Some(script), true) = (script, problems.is_empty()) else {
            return Err(problems);
        };
        Ok(Self {
            name,
            file: source.file.clone(),
            sql_file: script.file.clone(),
            sql: script.text.clone(),
            given,
            expect,
            forbid,
            within: raw.within.map_or(WITHIN, |span| span.0),
            tags: raw.tags,
            skip: raw.skip,
        })
    }

    /// What is most likely not meant, but can run: one sentence each, with its place.
    pub fn warnings(&self) -> Vec<Failure> {
        let source = Source::new(&self.sql_file, &self.sql);
        let warnings = sql::lint(&self.sql).map(|lint| lint.warnings).unwrap_or_default();
        warnings
            .into_iter()
            .map(|problem| problem_at(&source, problem))
            .collect()
    }
}

/// The first of all, with how many there are.
fn first(mut problems: Vec<Failure>) -> Failure {
    let first = problems.swap_remove(0);
    match problems.len() {
        0 => first,
        more => first.evidence(format!("and {more} more in this case")),
    }
}

/// Decodes a case. What cannot be is told and taken out of the tree, so that the rest is looked at, too.
fn decode_all(tree: &mut Node) -> (Option<RawCase>, Vec<Failure>) {
    let mut problems: Vec<Failure> = Vec::new();
    loop {
        match decode::<RawCase>(tree, Reason::CaseInvalid) {
            Ok(raw) => return (Some(raw), problems),
            Err(failure) => {
                let known = problems.iter().any(|p| p.to_string() == failure.to_string());
                let place = failure.detail().location.as_ref().map(|at| (at.line, at.column));
                if !known {
                    problems.push(failure);
                }
                // a part that is missing cannot be taken out
                let taken = place.is_some_and(|place| take_out(tree, place, 0));
                if known || !taken || problems.len() >= MOST_PROBLEMS {
                    return (None, problems);
                }
            }
        }
    }
}

/// Takes the key out of a tree that a place belongs to: one of a topic, else the topic, else one of the case.
fn take_out(node: &mut Node, place: (usize, usize), depth: usize) -> bool {
    let Yaml::Map(entries) = &mut node.value else {
        return false;
    };
    let at = |entry: &Entry| (entry.place.line, entry.place.column);
    let Some(index) = entries.iter().rposition(|entry| at(entry) <= place) else {
        return false;
    };
    let exact = at(&entries[index]) == place;
    if depth < 2 && !exact && take_out(&mut entries[index].node, place, depth + 1) {
        return true;
    }
    entries.remove(index);
    true
}

fn problem_at(source: &Arc<Source>, problem: sql::Problem) -> Failure {
    let place = Place::new(source, problem.position.line, problem.position.column, problem.width);
    let failure = place.failure(Reason::SqlInvalid, problem.message);
    match problem.next {
        Some(next) => failure.next(next),
        None => failure,
    }
}

/// Reads a file by the name that the case uses.
type Read<'a> = dyn Fn(&str) -> Result<Arc<Source>> + 'a;

struct Reader<'a> {
    tree: &'a Node,
    read: &'a Read<'a>,
}

impl Reader<'_> {
    fn name(&self, name: Option<&str>, path: &Path) -> Result<String> {
        let Some(name) = name else {
            let stem = path
                .file_stem()
                .map(|stem| stem.to_string_lossy().into_owned())
                .unwrap_or_default();
            return Ok(stem.strip_suffix(".test").unwrap_or(&stem).to_owned());
        };
        if name.trim().is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
            let message = "the name of a case is one line of 1 to 100 characters";
            return Err(self.tree.locate("name").failure(Reason::CaseInvalid, message));
        }
        Ok(name.trim().to_owned())
    }

    fn given(&self, raw: &RawCase, problems: &mut Vec<Failure>) -> Vec<Given> {
        let mut all = Vec::new();
        for entry in self.tree.get("given").map(Node::entries).unwrap_or_default() {
            problems.extend(topic(entry).err());
            let long = match raw.given.get(&entry.key) {
                Some(Form::Long(long)) => Some(long),
                _ => None,
            };
            let partitions = long.and_then(|long| long.partitions).unwrap_or(1);
            if !(1..=MOST_PARTITIONS).contains(&partitions) {
                let message = format!("`partitions` is {partitions}, expected a number from 1 to {MOST_PARTITIONS}");
                problems.push(entry.node.locate("partitions").failure(Reason::CaseInvalid, message));
            }
            let format = long.map_or(Ok(RecordFormat::Json), |l| record_format(entry, l.format, &l.columns));
            let format = format.unwrap_or_else(|failure| {
                problems.push(failure);
                RecordFormat::Json
            });
            let mut written = self.records(entry, Side::Given, problems);
            if let Some(close) = entry.node.entry("close").filter(|_| long.is_some()) {
                let mut one = Vec::new();
                records::of_node(&close.node, Side::Given, &mut one, problems);
                for partition in 0..partitions {
                    written.extend(one.iter().map(|w| Written {
                        record: Record {
                            partition: Some(partition),
                            ..w.record.clone()
                        },
                        place: w.place.clone(),
                    }));
                }
            }
            for one in &written {
                problems.extend(sendable(one, partitions, &format).err());
            }
            all.push(Given {
                topic: entry.key.clone(),
                partitions,
                format,
                records: written.into_iter().map(|written| written.record).collect(),
            });
        }
        all
    }

    fn expect(&self, raw: &RawCase, whole: bool, problems: &mut Vec<Failure>) -> Vec<Expectation> {
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
            }
            match expectation.mode {
                Match::LastPerKey => one_per_key(&written, problems),
                Match::Ordered => {
                    let given = match raw.given.get(&entry.key) {
                        Some(Form::Long(long)) => long.partitions.unwrap_or(1),
                        _ => 1,
                    };
                    if given > 1 {
                        let message = format!(
                            "`{}` has {given} partitions: only records of one have an order",
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

    fn forbid(&self, raw: &RawCase, problems: &mut Vec<Failure>) -> Vec<Forbidden> {
        let mut all = Vec::new();
        for entry in self.tree.get("forbid").map(Node::entries).unwrap_or_default() {
            problems.extend(topic(entry).err());
            let records = match raw.forbid.get(&entry.key) {
                Some(RawForbid::Any) => None,
                _ => Some(records::of_list(&entry.node, Side::Expected, problems)),
            };
            if records.as_ref().is_some_and(Vec::is_empty) {
                let message = format!("an empty list forbids nothing in topic `{}`", entry.key);
                let failure = entry.place.failure(Reason::CaseInvalid, message);
                problems.push(failure.next("write `any` if no record may come"));
            }
            all.push(Forbidden {
                topic: entry.key.clone(),
                records: records.map(|all| all.into_iter().map(|written| written.record).collect()),
                line: entry.place.line,
            });
        }
        all
    }

    /// The records of a topic, from the list, the key `records` or the file.
    fn records(&self, entry: &Entry, side: Side, problems: &mut Vec<Failure>) -> Vec<Written> {
        if matches!(entry.node.value, Yaml::List(_)) {
            return records::of_list(&entry.node, side, problems);
        }
        let said = |key: &str| {
            entry
                .node
                .entry(key)
                .filter(|entry| !matches!(entry.node.value, Yaml::Null))
        };
        let problem = match (said("records"), said("file")) {
            (Some(_), Some(file)) => file
                .place
                .failure(
                    Reason::CaseInvalid,
                    format!("the topic `{}` has both `records` and `file`", entry.key),
                )
                .next("keep one of the two"),
            (Some(list), None) => return records::of_list(&list.node, side, problems),
            (None, Some(file)) => {
                let name = file.node.spelling().unwrap_or_default();
                match self.read(name, &file.node.place) {
                    Ok(source) if Path::new(name).extension().is_some_and(|end| end == "csv") => {
                        return records::of_csv(&source, problems);
                    }
                    Ok(source) => return records::of_lines(&source, side, problems),
                    Err(failure) => failure,
                }
            }
            (None, None) if said("close").is_some() => return Vec::new(),
            (None, None) => entry
                .place
                .failure(
                    Reason::CaseInvalid,
                    format!("the topic `{}` has neither `records` nor `file`", entry.key),
                )
                .next("write `records: []` if there are none"),
        };
        problems.push(problem);
        Vec::new()
    }

    fn script(&self, name: &str) -> Result<Arc<Source>> {
        let source = self.read(name, self.tree.locate("sql"))?;
        sql::lint(&source.text).map_err(|problem| problem_at(&source, problem))?;
        Ok(source)
    }

    /// A file that the case names at `place`; the failure points there, since there it is put right.
    fn read(&self, name: &str, place: &Place) -> Result<Arc<Source>> {
        (self.read)(name).map_err(|failure| {
            let detail = failure.detail();
            if detail.location.is_some() {
                return failure;
            }
            let told = place.failure(detail.id, detail.message.clone());
            detail
                .evidence
                .iter()
                .fold(told, Failure::evidence)
                .next("paths are relative to this file")
        })
    }

    /// Checks that the script names the topics of the case, and no other.
    fn placeholders(&self, source: &Arc<Source>, problems: &mut Vec<Failure>) {
        let topics: Vec<&Entry> = ["given", "expect", "forbid"]
            .iter()
            .filter_map(|part| self.tree.get(part))
            .flat_map(Node::entries)
            .collect();
        let mut known: Vec<String> = topics.iter().map(|entry| format!("topic.{}", entry.key)).collect();
        known.push("kafka.bootstrap".to_owned());
        known.dedup();
        let found = sql::placeholders(&source.text);
        for placeholder in &found {
            // the SQL runner puts in what has a default: the environment of the cluster's pods may have it
            if placeholder.has_default() || known.iter().any(|name| name == placeholder.name) {
                continue;
            }
            let words = || known.iter().map(String::as_str);
            let hint = nearest(placeholder.name, words());
            let hint = hint
                .map(|name| format!(", did you mean `${{{name}}}`?"))
                .unwrap_or_default();
            let width = placeholder.name.chars().count() + 3;
            problems.push(
                Place::new(source, placeholder.position.line, placeholder.position.column, width)
                    .failure(
                        Reason::SqlInvalid,
                        format!("unknown name `${{{}}}`{hint}", placeholder.name),
                    )
                    .next(format!("known in this case: {}", listed(words()))),
            );
        }
        let mut told = BTreeSet::new();
        for entry in topics {
            if told.insert(&entry.key)
                && !found
                    .iter()
                    .any(|placeholder| placeholder.name.strip_prefix("topic.") == Some(&entry.key))
            {
                let message = format!("the script does not use the topic `{}`", entry.key);
                let next = format!(
                    "write '${{topic.{}}}' where {} names the topic: each case has topics of its own",
                    entry.key,
                    source.file.display()
                );
                problems.push(entry.place.failure(Reason::CaseInvalid, message).next(next));
            }
        }
    }
}

/// What the long form of an expectation says besides its records.
fn said(entry: &Entry, long: &RawExpectation, expectation: &mut Expectation) -> Result<()> {
    let wrong = |key: &str, message: String| Err(entry.node.locate(key).failure(Reason::CaseInvalid, message));
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
    expectation.format = record_format(entry, long.format, &long.columns)?;
    Ok(())
}

fn record_format(entry: &Entry, format: Option<RawFormat>, columns: &[String]) -> Result<RecordFormat> {
    match format {
        Some(RawFormat::Csv) => Ok(RecordFormat::Csv(columns.to_vec())),
        _ if !columns.is_empty() => {
            let place = entry.node.locate("columns");
            Err(place.failure(Reason::CaseInvalid, "`columns` is for `format: csv`"))
        }
        Some(RawFormat::Raw) => Ok(RecordFormat::Raw),
        Some(RawFormat::Json) | None => Ok(RecordFormat::Json),
    }
}

/// Whether a given record can be sent: to a partition that is there, in its format.
fn sendable(written: &Written, partitions: u32, format: &RecordFormat) -> Result<()> {
    let wrong = |message: String| Err(written.place.failure(Reason::CaseInvalid, message));
    if let Some(partition) = written.record.partition.filter(|p| *p >= partitions) {
        return wrong(format!(
            "there is no partition {partition}: the topic has {partitions}, from 0 on"
        ));
    }
    let value = &written.record.value;
    match (format, value) {
        (RecordFormat::Csv(columns), Value::Object(fields)) => {
            let unknown = fields
                .keys()
                .find(|name| !columns.is_empty() && !columns.contains(name));
            unknown.map_or(Ok(()), |name| {
                wrong(format!("`{name}` is none of the columns {}", columns.join(", ")))
            })
        }
        (RecordFormat::Raw, Value::Object(_) | Value::Array(_)) => {
            wrong("a record of `format: raw` is a text".to_owned())
        }
        _ => Ok(()),
    }
}

fn topic(entry: &Entry) -> Result<()> {
    let good = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if entry.key.is_empty() || entry.key.len() > LONGEST_TOPIC || !entry.key.chars().all(good) {
        let message = format!(
            "`{}` is no name of a topic: letters, digits, `.`, `_` and `-`, at most {LONGEST_TOPIC}",
            entry.key
        );
        return Err(entry.place.failure(Reason::CaseInvalid, message));
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
        if let Some(first) = seen.insert(key.to_string(), one) {
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
        let window: Vec<_> = by.iter().filter_map(|name| Some(of(name)?.to_string())).collect();
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
