//! SQL scripts of Flink: splits them into statements, tells what each is and where it stands, and finds what cannot
//! run as one session job, before anything is created.
//!
//! The SQL runner inside Flink splits by the same rules. They are written down, with every case, in the corpus at
//! `sql-runner/src/test/resources/corpus`, which the tests of both run.

#[cfg(test)]
mod fuzz_tests;
#[cfg(test)]
mod generated_tests;
mod lexer;
mod lines;
mod lint;
mod placeholder;
mod splitter;
mod tables;
#[cfg(test)]
mod tests;

use std::ops::Range;

pub use lint::{Lint, Problem, lint};
pub use placeholder::{Placeholder, Substituted, placeholders, substitute};
use serde::{Deserialize, Serialize};
pub use splitter::split;
pub use tables::{Column, Table, tables};

/// A place in a script. Lines end with LF, CRLF or a lone CR; columns count characters; both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// What a statement is, by its first words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `SET`.
    Set,
    /// `RESET`.
    Reset,
    /// `INSERT`, also `EXECUTE INSERT`.
    Insert,
    /// `EXECUTE STATEMENT SET BEGIN … END` and `BEGIN STATEMENT SET; … END`.
    StatementSet,
    /// `CREATE` of anything that starts no job.
    Create,
    /// `CREATE TABLE … AS` and `REPLACE TABLE … AS`, which are an `INSERT` too.
    CreateAs,
    /// `CREATE MATERIALIZED TABLE`, which starts a job of its own.
    CreateMaterialized,
    /// `DROP`.
    Drop,
    /// `ALTER`.
    Alter,
    /// `USE`.
    Use,
    /// `LOAD MODULE` and `UNLOAD MODULE`.
    Load,
    /// `ADD JAR` and `REMOVE JAR`.
    Jar,
    /// `SHOW`.
    Show,
    /// `DESCRIBE`.
    Describe,
    /// `EXPLAIN`.
    Explain,
    /// Any query.
    Select,
    /// `DELETE`.
    Delete,
    /// `UPDATE`.
    Update,
    /// `TRUNCATE`.
    Truncate,
    /// `CALL`.
    Call,
    /// `ANALYZE`.
    Analyze,
    /// `COMPILE PLAN`.
    Compile,
    /// `EXECUTE PLAN`, also `COMPILE AND EXECUTE PLAN`.
    ExecutePlan,
    /// Anything else.
    Other,
}

/// One statement of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement<'a> {
    /// What it is.
    pub kind: Kind,
    /// Where its first character stands.
    pub position: Position,
    /// Its bytes in the script.
    pub range: Range<usize>,
    /// The very characters of the script from its first word to its last, without the semicolon.
    pub text: &'a str,
    /// The statements between `BEGIN` and `END`.
    pub inner: Vec<Self>,
    /// What `SET` and `RESET` name.
    pub setting: Option<Setting>,
    /// The connector that a created table names.
    pub connector: Option<Connector>,
}

/// The value of a table's option `connector`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connector {
    /// The value, without quotes; it may hold placeholders.
    pub name: String,
    /// Where its opening quote stands.
    pub position: Position,
    /// How many characters it covers, with the quotes.
    pub width: usize,
}

/// The key of `SET` or `RESET`, and the value of `SET`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The key, without quotes.
    pub key: String,
    /// The value, without quotes.
    pub value: Option<String>,
}

/// Why a script does not fall into statements.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SplitError {
    /// Where.
    pub position: Position,
    /// Why, e.g. `string not closed`.
    pub message: &'static str,
}
