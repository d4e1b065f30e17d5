//! Tests of comparison and verdicts, and of whole runs.

mod compare;
mod runs;

use serde_json::Value;

use crate::config::Record;

fn record(key: Option<Value>, value: Value, line: usize) -> Record {
    Record { key, value, line }
}
