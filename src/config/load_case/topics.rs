//! What all topics of a case have: a name, a format, records.

use std::path::Path;

use super::Reader;
use crate::avro::AvroSchema;
use crate::config::case::RecordFormat;
use crate::config::raw_case::RawFormat;
use crate::config::records::{self, Side, Written};
use crate::config::source::Place;
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

    /// The format of a topic's values, with what belongs to it.
    pub(super) fn record_format(
        &self,
        entry: &Entry,
        format: Option<RawFormat>,
        columns: &[String],
        side: Side,
    ) -> Result<RecordFormat> {
        let stray = |key: &str, of: &str| {
            let place = entry.node.locate(key);
            Err(place.failure(Reason::CaseInvalid, format!("`{key}` is for `format: {of}`")))
        };
        if !columns.is_empty() && format != Some(RawFormat::Csv) {
            return stray("columns", "csv");
        }
        let with_schema = matches!(format, Some(RawFormat::Avro | RawFormat::AvroConfluent));
        let said = entry.node.entry("schema");
        if said.is_some() && !with_schema {
            return stray("schema", "avro` and `avro-confluent");
        }
        Ok(match format {
            Some(RawFormat::Csv) => RecordFormat::Csv(columns.to_vec()),
            Some(RawFormat::Avro) => RecordFormat::Avro(self.avro_schema(entry, "avro")?),
            // what is read tells its schema itself
            Some(RawFormat::AvroConfluent) if said.is_none() && matches!(side, Side::Expected) => {
                RecordFormat::AvroConfluent(None)
            }
            Some(RawFormat::AvroConfluent) => {
                RecordFormat::AvroConfluent(Some(self.avro_schema(entry, "avro-confluent")?))
            }
            Some(RawFormat::Raw) => RecordFormat::Raw,
            Some(RawFormat::Json) | None => RecordFormat::Json,
        })
    }

    /// The schema of a topic's values: the one that stands there, or that of the file.
    fn avro_schema(&self, entry: &Entry, format: &str) -> Result<AvroSchema> {
        let Some(said) = entry.node.entry("schema") else {
            let place = entry.node.locate("format");
            return Err(place
                .failure(Reason::CaseInvalid, format!("`format: {format}` needs a schema"))
                .next("schema: FILE.avsc, or the schema itself"));
        };
        let Some(name) = said.node.spelling() else {
            let read = AvroSchema::parse(&said.node.json().to_string());
            let wrong = |why| {
                said.node
                    .place
                    .failure(Reason::CaseInvalid, format!("this is no Avro schema: {why}"))
            };
            return read.map_err(wrong);
        };
        let source = self.read(name, &said.node.place)?;
        AvroSchema::parse(&source.text).map_err(|why| {
            // what is no JSON has a place; the library tells of others by their names
            let (line, column) = serde_json::from_str::<serde_json::Value>(&source.text)
                .err()
                .map_or((1, 1), |error| (error.line().max(1), error.column().max(1)));
            let place = Place::new(&source, line, column, 1);
            place.failure(Reason::CaseInvalid, format!("this is no Avro schema: {why}"))
        })
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
