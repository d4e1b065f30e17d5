//! A test case in its resolved form; how it is read and checked is in `load.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::addresses::REGISTRY_URL;
use super::hook::{Collect, Hook, HookAction};
use super::json::Json;
use super::pack::Records;
use super::program::CaseProgram;
use super::steps::{Action, Feed, JobExpectation, Need, Part, Step};
use crate::avro::AvroSchema;
use crate::sql::placeholders;

/// A test case: records in, a program, records out.
#[derive(Debug, Clone, PartialEq, Serialize, Default)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// The file it was read from.
    pub file: PathBuf,
    /// What it runs.
    pub program: CaseProgram,
    /// Records that are produced, by topic (as named in the case).
    pub given: Vec<Given>,
    /// What must come out, by topic.
    pub expect: Vec<Expectation>,
    /// What must not come out, by topic.
    pub forbid: Vec<Forbidden>,
    /// What happens after the submission, in order.
    pub steps: Vec<Step>,
    /// What becomes of the job.
    pub job: JobExpectation,
    /// What the environment must have; without it the case is not run.
    pub needs: Vec<Need>,
    /// How long the whole case may take, from submission to the last expected record.
    pub within: Duration,
    /// Words by which cases are chosen.
    pub tags: Vec<String>,
    /// What is done before it.
    pub setup: Vec<Hook>,
    /// What is done after its verdict, whatever that is.
    pub teardown: Vec<Hook>,
    /// The evidence that is gathered if it does not pass; all if nothing is said.
    pub collect: Option<Vec<Collect>>,
    /// Why it is not to be run, if so.
    pub skip: Option<String>,
    /// What `${var.NAME}` in the script stands for.
    pub vars: BTreeMap<String, String>,
    /// Whether it is one of several cases of its file.
    pub of_matrix: bool,
    /// The other files that it was read from: its program, and files of records.
    pub files: Vec<PathBuf>,
}

impl Case {
    /// Whether a piece of evidence of this name is to be kept.
    pub fn collects(&self, name: &str) -> bool {
        let collect = self.collect.as_ref();
        Collect::of(name).is_none_or(|piece| collect.is_none_or(|pieces| pieces.contains(&piece)))
    }

    /// All its topics, each once, in order of their names.
    pub fn topics(&self) -> BTreeSet<&str> {
        let given = self.given.iter().map(|g| g.topic.as_str());
        let expect = self.expect.iter().map(|e| e.topic.as_str());
        let forbid = self.forbid.iter().map(|f| f.topic.as_str());
        let fed = self.feeds().map(|feed| feed.given.topic.as_str());
        given.chain(expect).chain(forbid).chain(fed).collect()
    }

    /// All that its steps feed.
    pub fn feeds(&self) -> impl Iterator<Item = &Feed> {
        self.steps.iter().flat_map(|step| match &step.action {
            Action::Feed(feeds) => feeds.as_slice(),
            _ => &[],
        })
    }

    /// The parts of the environment that it kills or pauses, each once. Such a case is run alone: what the others have
    /// running would be hit, too.
    pub fn faults(&self) -> BTreeSet<Part> {
        self.steps.iter().filter_map(|step| step.action.fault()).collect()
    }

    /// The scripts that its steps, setup and teardown run, with their files.
    pub fn other_scripts(&self) -> impl Iterator<Item = (&str, &Path)> {
        let of_steps = self.steps.iter().filter_map(|step| match &step.action {
            Action::Upgrade { sql, sql_file } => Some((sql.as_str(), sql_file.as_path())),
            _ => None,
        });
        let hooks = self.setup.iter().chain(&self.teardown);
        let of_hooks = hooks.filter_map(|hook| match &hook.action {
            HookAction::Sql { text, file } => Some((text.as_str(), file.as_path())),
            HookAction::Run(_) => None,
        });
        of_steps.chain(of_hooks)
    }

    /// Whether it needs a schema registry: for values in its format, or as a script or an argument names its address.
    pub fn uses_registry(&self) -> bool {
        let given = self.given.iter().map(|given| &given.format);
        let expect = self.expect.iter().map(|expect| &expect.format);
        let forbid = self.forbid.iter().map(|forbid| &forbid.format);
        // what is fed is of the format of what is given
        let mut formats = given.chain(expect).chain(forbid);
        let names = |sql: &str| {
            let found = placeholders(sql);
            // the SQL runner puts in what has a default
            found.iter().any(|one| one.name == REGISTRY_URL && !one.has_default())
        };
        let in_args = |arg: &String| arg.contains(&format!("${{{REGISTRY_URL}}}"));
        formats.any(|format| matches!(format, RecordFormat::AvroConfluent(_)))
            || names(self.program.script())
            || self.other_scripts().any(|(sql, _)| names(sql))
            || self.program.args().iter().any(in_args)
    }

    /// The most task slots that its job needs: its highest parallelism.
    pub fn slots(&self) -> usize {
        let scaled = self.steps.iter().map(|step| match step.action {
            Action::Scale(parallelism) => parallelism as usize,
            _ => 1,
        });
        scaled.max().unwrap_or(1)
    }
}

/// Records for one topic.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Given {
    /// The topic's name in the case.
    pub topic: String,
    /// Its partitions.
    pub partitions: u32,
    /// How values are written.
    pub format: RecordFormat,
    /// The records, in order; repeated ones and those that close it included.
    pub records: Records,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Serialize, Default)]
pub struct Record {
    /// Its key; a string is sent as it is, anything else as JSON.
    pub key: Option<Json>,
    /// Its value as JSON; `null` is a tombstone.
    pub value: Json,
    /// Its headers, in order; `null` is one without a value. An expected record that names none may have any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<Vec<(String, Json)>>,
    /// Its time in milliseconds since the Unix epoch; that of producing if there is none, any if it is expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<i64>,
    /// Its partition; by key if there is none, any if it is expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<u32>,
    /// The line of the file it was written on, for messages.
    pub line: usize,
    /// Its place, from 0 on, in the list or the file where it was written; several have the same if it is repeated.
    #[serde(skip)]
    pub item: usize,
}

/// What must come out of one topic.
#[derive(Debug, Clone, PartialEq, Serialize, Default)]
pub struct Expectation {
    /// The topic's name in the case.
    pub topic: String,
    /// The topic's partitions, where they are said here and not with what is given to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partitions: Option<u32>,
    /// How records are compared.
    pub mode: Match,
    /// Whether fields that are not named count.
    pub fields: Fields,
    /// How far numbers may be apart.
    pub tolerance: f64,
    /// Whether surplus records are looked for with more patience: over one more checkpoint, and longer.
    pub exactly: bool,
    /// How long nothing may come after the last expected record, where that is said.
    pub quiet: Option<Duration>,
    /// For windows: the fields that name a window and what is counted in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<String>,
    /// How values are read.
    pub format: RecordFormat,
    /// The records.
    pub records: Records,
}

/// Records that must not come out of a topic.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Forbidden {
    /// The topic's name in the case.
    pub topic: String,
    /// What they look like, by some of their fields; `None` forbids every record.
    pub records: Option<Vec<Record>>,
    /// How values are read.
    pub format: RecordFormat,
    /// The line it is written on, for messages.
    pub line: usize,
}

/// How expected and seen records are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Match {
    /// The same records, each as often, in any order.
    #[default]
    Unordered,
    /// The same records in this very order; the topic has one partition.
    Ordered,
    /// The last value of each key; a tombstone removes the key.
    LastPerKey,
    /// These records, each as often; others may come, too.
    Contains,
    /// The last record of each window, for results that are refined: a window is named by the fields of `by`.
    Window,
}

impl Match {
    /// As it is written in a case.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unordered => "unordered",
            Self::Ordered => "ordered",
            Self::LastPerKey => "last-per-key",
            Self::Contains => "contains",
            Self::Window => "window",
        }
    }
}

/// Which fields of a record count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Fields {
    /// All: one that is not named in the case must not be there.
    #[default]
    Strict,
    /// Those that are named in the case; others may be there.
    Partial,
}

/// How the bytes of a value are made or read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum RecordFormat {
    /// JSON.
    #[default]
    Json,
    /// One line of comma-separated values (RFC 4180); with the columns' names, if there are any.
    Csv(Vec<String>),
    /// The text as it is.
    Raw,
    /// Avro's binary encoding of a value of this schema.
    Avro(AvroSchema),
    /// The same behind the id that the schema has in the schema registry. Given records have one; those that are read are of
    /// the schema of their id, and have to fit this schema if there is one.
    AvroConfluent(Option<AvroSchema>),
}
