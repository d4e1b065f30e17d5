//! What all topics of a case have: a name, a format, records.

use std::path::Path;

use super::Reader;
use crate::config::case::RecordFormat;
use crate::config::raw_case::RawFormat;
use crate::config::records::{self, Side, Written};
use crate::config::yaml::{Entry, Yaml};
use crate::diag::{Failure, Reason, Result};

/// Kafka's longest name of a topic is 249 characters; a case's topics get a prefix.
const LONGEST_TOPIC: usize = 180;

impl Reader<'_> {
    /// The records of a topic, from the list, the key `records` or the file.
    pub(super) fn records(&self, entry: &Entry, side: Side, problems: &mut Vec<Failure>) -> Vec<Written> {
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
}

pub(super) fn record_format(entry: &Entry, format: Option<RawFormat>, columns: &[String]) -> Result<RecordFormat> {
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

pub(super) fn topic(entry: &Entry) -> Result<()> {
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

/// Whether the partition that a record names is there.
pub(super) fn in_partition(written: &Written, partitions: u32) -> Result<()> {
    match written.record.partition.filter(|p| *p >= partitions) {
        None => Ok(()),
        Some(partition) => {
            let message = format!("there is no partition {partition}: the topic has {partitions}, from 0 on");
            Err(written.place.failure(Reason::CaseInvalid, message))
        }
    }
}
