//! Reads a test case and everything it names, and checks it as a whole.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::case::{Case, Expectation, Given, Match, Record};
use super::decode::decode;
use super::load::format_version;
use super::raw_case::{Form, RawCase};
use super::records::{self, Written};
use super::source::{Place, Source};
use super::words::{listed, nearest};
use super::yaml::{Entry, Node, Yaml, parse};
use crate::diag::{Failure, Reason, Result};
use crate::sql;

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
    /// `FILE_UNREADABLE`, `CASE_INVALID`, `VERSION_UNKNOWN`, `RECORD_INVALID` or `SQL_INVALID`, with the place in the
    /// file that is wrong.
    pub fn load(path: &Path) -> Result<Self> {
        let folder = path.parent().unwrap_or(Path::new(""));
        let read = |name: &str| {
            let file = folder.join(name);
            Source::read(&file, &file)
        };
        Self::from_source(&Source::read(path, path)?, &read)
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
        Self::from_source(&Source::new(file, text), &read)
    }

    fn from_source(source: &Arc<Source>, read: &Read<'_>) -> Result<Self> {
        let tree = parse(source, Reason::CaseInvalid)?;
        format_version(&tree, source, "case", Reason::CaseInvalid)?;
        let raw: RawCase = decode(&tree, Reason::CaseInvalid)?;
        let reader = Reader { tree: &tree, read };
        let name = reader.name(raw.name.as_deref(), &source.file)?;
        let given = reader.given(&raw)?;
        let expect = reader.expect(&raw)?;
        let script = reader.script(&raw.sql)?;
        reader.placeholders(&script)?;
        let within = raw.within.map_or(WITHIN, |span| span.0);
        let (file, sql_file, sql) = (source.file.clone(), script.file.clone(), script.text.clone());
        Ok(Self {
            name,
            file,
            sql_file,
            sql,
            given,
            expect,
            within,
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

    fn given(&self, raw: &RawCase) -> Result<Vec<Given>> {
        let mut all = Vec::new();
        for entry in self.tree.get("given").map(Node::entries).unwrap_or_default() {
            topic(entry)?;
            let partitions = match raw.given.get(&entry.key) {
                Some(Form::Long(long)) => long.partitions.unwrap_or(1),
                _ => 1,
            };
            if !(1..=MOST_PARTITIONS).contains(&partitions) {
                let message = format!("`partitions` is {partitions}, expected a number from 1 to {MOST_PARTITIONS}");
                return Err(entry.node.locate("partitions").failure(Reason::CaseInvalid, message));
            }
            let records = self.records(entry)?.into_iter().map(|written| written.record).collect();
            all.push(Given {
                topic: entry.key.clone(),
                partitions,
                records,
            });
        }
        Ok(all)
    }

    fn expect(&self, raw: &RawCase) -> Result<Vec<Expectation>> {
        let mut all = Vec::new();
        for entry in self.tree.get("expect").map(Node::entries).unwrap_or_default() {
            topic(entry)?;
            let mode = match raw.expect.get(&entry.key) {
                Some(Form::Long(long)) => long.mode.unwrap_or(Match::Unordered),
                _ => Match::Unordered,
            };
            let written = self.records(entry)?;
            if mode == Match::LastPerKey {
                one_per_key(&written)?;
            }
            let records = written.into_iter().map(|written| written.record).collect();
            all.push(Expectation {
                topic: entry.key.clone(),
                mode,
                records,
            });
        }
        if all.is_empty() {
            let place = self.tree.entry("expect").map_or(&self.tree.place, |entry| &entry.place);
            return Err(place
                .failure(Reason::CaseInvalid, "the case expects nothing: it could not fail")
                .next("name a topic and its records below `expect:`; `TOPIC: []` if none may come out"));
        }
        Ok(all)
    }

    /// The records of a topic, from the list, the key `records` or the file.
    fn records(&self, entry: &Entry) -> Result<Vec<Written>> {
        if matches!(entry.node.value, Yaml::List(_)) {
            return Ok(records::of_list(&entry.node));
        }
        let said = |key: &str| {
            entry
                .node
                .entry(key)
                .filter(|entry| !matches!(entry.node.value, Yaml::Null))
        };
        match (said("records"), said("file")) {
            (Some(_), Some(file)) => Err(file
                .place
                .failure(
                    Reason::CaseInvalid,
                    format!("the topic `{}` has both `records` and `file`", entry.key),
                )
                .next("keep one of the two")),
            (Some(list), None) => Ok(records::of_list(&list.node)),
            (None, Some(file)) => {
                let name = file.node.spelling().unwrap_or_default();
                records::of_lines(&self.read(name, &file.node.place)?)
            }
            (None, None) => Err(entry
                .place
                .failure(
                    Reason::CaseInvalid,
                    format!("the topic `{}` has neither `records` nor `file`", entry.key),
                )
                .next("write `records: []` if there are none")),
        }
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
    fn placeholders(&self, source: &Arc<Source>) -> Result<()> {
        let topics: Vec<&Entry> = ["given", "expect"]
            .iter()
            .filter_map(|part| self.tree.get(part))
            .flat_map(Node::entries)
            .collect();
        let mut known: Vec<String> = topics.iter().map(|entry| format!("topic.{}", entry.key)).collect();
        known.push("kafka.bootstrap".to_owned());
        known.dedup();
        let found = sql::placeholders(&source.text);
        for placeholder in &found {
            if known.iter().any(|name| name == placeholder.name) {
                continue;
            }
            let words = || known.iter().map(String::as_str);
            let hint = nearest(placeholder.name, words());
            let hint = hint
                .map(|name| format!(", did you mean `${{{name}}}`?"))
                .unwrap_or_default();
            let width = placeholder.name.chars().count() + 3;
            return Err(
                Place::new(source, placeholder.position.line, placeholder.position.column, width)
                    .failure(
                        Reason::SqlInvalid,
                        format!("unknown name `${{{}}}`{hint}", placeholder.name),
                    )
                    .next(format!("known in this case: {}", listed(words()))),
            );
        }
        for entry in topics {
            if !found
                .iter()
                .any(|placeholder| placeholder.name.strip_prefix("topic.") == Some(&entry.key))
            {
                let message = format!("the script does not use the topic `{}`", entry.key);
                let next = format!(
                    "write '${{topic.{}}}' where {} names the topic: each case has topics of its own",
                    entry.key,
                    source.file.display()
                );
                return Err(entry.place.failure(Reason::CaseInvalid, message).next(next));
            }
        }
        Ok(())
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
fn one_per_key(written: &[Written]) -> Result<()> {
    let mut seen: HashMap<String, &Written> = HashMap::new();
    for one in written {
        let Record { key: Some(key), .. } = &one.record else {
            return Err(one
                .place
                .failure(Reason::CaseInvalid, "a record of `match: last-per-key` needs a key")
                .next("write {key: KEY, value: VALUE}"));
        };
        if let Some(first) = seen.insert(key.to_string(), one) {
            return Err(one
                .place
                .failure(
                    Reason::CaseInvalid,
                    format!("the key {key} is expected twice, first in line {}", first.place.line),
                )
                .evidence(first.place.excerpt())
                .next("keep the last value of each key"));
        }
    }
    Ok(())
}
