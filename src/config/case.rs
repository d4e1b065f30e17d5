//! A test case in its resolved form; how it is read and checked is in `load.rs`.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A test case: records in, a SQL script, records out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// The file it was read from.
    pub file: PathBuf,
    /// The SQL script's file.
    pub sql_file: PathBuf,
    /// The SQL script as written; `${topic.NAME}` and `${kafka.bootstrap}` are put in when the case runs.
    pub sql: String,
    /// Records that are produced, by topic (as named in the case).
    pub given: Vec<Given>,
    /// What must come out, by topic.
    pub expect: Vec<Expectation>,
    /// How long the whole case may take, from submission to the last expected record.
    pub within: Duration,
}

/// Records for one topic.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Given {
    /// The topic's name in the case.
    pub topic: String,
    /// Its partitions.
    pub partitions: u32,
    /// The records, in order.
    pub records: Vec<Record>,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Record {
    /// Its key; a string is sent as it is, anything else as JSON.
    pub key: Option<Value>,
    /// Its value as JSON; `null` is a tombstone.
    pub value: Value,
    /// The line of the file it was written on, for messages.
    pub line: usize,
}

/// What must come out of one topic.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Expectation {
    /// The topic's name in the case.
    pub topic: String,
    /// How records are compared.
    pub mode: Match,
    /// The records.
    pub records: Vec<Record>,
}

/// How expected and seen records are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Match {
    /// The same records, each as often, in any order.
    Unordered,
    /// The last value of each key; a tombstone removes the key.
    LastPerKey,
}
