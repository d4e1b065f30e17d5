//! What a case gives to its topics.

use super::Reader;
use super::topics::{in_partition, topic};
use crate::config::case::{Given, Record, RecordFormat};
use crate::config::json::Json;
use crate::config::pack::Records;
use crate::config::raw_case::{Form, RawCase};
use crate::config::records::{self, Side, Written, bytes};
use crate::config::yaml::{Entry, Node};
use crate::diag::{Failure, Reason, Result};

/// More partitions than that are a slip of the finger on one broker.
const MOST_PARTITIONS: u32 = 100;

impl Reader<'_> {
    pub(super) fn given(&self, raw: &RawCase, problems: &mut Vec<Failure>) -> Vec<Given> {
        let mut all = Vec::new();
        for entry in self.tree.get("given").map(Node::entries).unwrap_or_default() {
            problems.extend(topic(entry).err());
            let long = match raw.given.get(&entry.key) {
                Some(Form::Long(long)) => Some(long),
                _ => None,
            };
            let partitions = long.and_then(|long| long.partitions).unwrap_or(1);
            problems.extend(partitions_of(entry, partitions).err());
            let format = long.map_or(Ok(RecordFormat::Json), |l| {
                self.record_format(entry, l.format, &l.columns, Side::Given)
            });
            let format = format.unwrap_or_else(|failure| {
                problems.push(failure);
                RecordFormat::Json
            });
            let records = self.to_send(entry, partitions, &format, problems);
            all.push(Given {
                topic: entry.key.clone(),
                partitions,
                format,
                records,
            });
        }
        all
    }

    /// The records that go into a topic, each of which can be sent: the list or the file, then those that close it.
    pub(super) fn to_send(
        &self,
        entry: &Entry,
        partitions: u32,
        format: &RecordFormat,
        problems: &mut Vec<Failure>,
    ) -> Records {
        let mut written = self.records(entry, Side::Given, problems);
        // a list has no keys
        if let Some(close) = entry.node.entry("close") {
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
            problems.extend(sendable(one, partitions, format).err());
        }
        written.into_iter().map(|written| written.record).collect()
    }
}

/// Whether a topic can have so many partitions.
pub(super) fn partitions_of(entry: &Entry, partitions: u32) -> Result<()> {
    if (1..=MOST_PARTITIONS).contains(&partitions) {
        return Ok(());
    }
    let message = format!("`partitions` is {partitions}, expected a number from 1 to {MOST_PARTITIONS}");
    Err(entry.node.locate("partitions").failure(Reason::CaseInvalid, message))
}

/// Whether a given record can be sent: to a partition that is there, in its format.
fn sendable(written: &Written, partitions: u32, format: &RecordFormat) -> Result<()> {
    let wrong = |message: String| Err(written.place.failure(Reason::CaseInvalid, message));
    in_partition(written, partitions)?;
    let value = &written.record.value;
    match (format, value) {
        (RecordFormat::Csv(columns), Json::Map(fields)) if bytes(value).is_none() => {
            let unknown = fields
                .iter()
                .map(|(name, _)| name)
                .find(|name| !columns.is_empty() && !columns.contains(name));
            unknown.map_or(Ok(()), |name| {
                wrong(format!("`{name}` is none of the columns {}", columns.join(", ")))
            })
        }
        (RecordFormat::Raw, Json::Map(_) | Json::List(_)) if bytes(value).is_none() => {
            wrong("a record of `format: raw` is a text".to_owned())
        }
        (RecordFormat::Avro(schema) | RecordFormat::AvroConfluent(Some(schema)), value)
            if bytes(value).is_none() && !value.is_null() =>
        {
            schema.encode(value).map_or_else(wrong, |_| Ok(()))
        }
        _ => Ok(()),
    }
}
