//! Many records in little memory: what is parsed takes five times as much as its text.

use std::fmt;

use serde::{Serialize, Serializer};

use super::case::Record;
use super::json::Json;

/// The records of a topic, in order. They are held as JSON text and handed out parsed, one at a time.
#[derive(Clone, Default, PartialEq)]
pub struct Records(Vec<Packed>);

/// One record. What most records do not have costs a pointer.
#[derive(Clone, PartialEq)]
struct Packed {
    key: Option<Box<str>>,
    value: Box<str>,
    more: Option<Box<More>>,
    line: u32,
    item: u32,
}

/// What few records say of themselves.
#[derive(Clone, PartialEq)]
struct More {
    /// Key and value where their text does not say all.
    parsed: Option<(Option<Json>, Json)>,
    headers: Option<Vec<(String, Json)>>,
    timestamp: Option<i64>,
    partition: Option<u32>,
}

impl Records {
    /// Adds a record behind the others.
    pub fn push(&mut self, record: Record) {
        let Record {
            key,
            value,
            headers,
            timestamp,
            partition,
            line,
            item,
        } = record;
        let (key_text, text) = (key.as_ref().map(ToString::to_string), value.to_string());
        let told = key.as_ref().is_none_or(says_all) && says_all(&value);
        let more = !told || headers.is_some() || timestamp.is_some() || partition.is_some();
        self.0.push(Packed {
            key: key_text.map(Into::into),
            value: text.into(),
            more: more.then(|| {
                Box::new(More {
                    parsed: (!told).then_some((key, value)),
                    headers,
                    timestamp,
                    partition,
                })
            }),
            line: u32::try_from(line).unwrap_or(u32::MAX),
            item: u32::try_from(item).unwrap_or(u32::MAX),
        });
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The record at a place, counted from 0, which there is.
    pub fn at(&self, index: usize) -> Record {
        self.0[index].record()
    }

    /// The first one.
    pub fn first(&self) -> Option<Record> {
        self.0.first().map(Packed::record)
    }

    /// All, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Record> + '_ {
        self.0.iter().map(Packed::record)
    }
}

impl Packed {
    fn record(&self) -> Record {
        let read = |text: &str| Json::parse(text).unwrap_or_default();
        let (key, value) = match self.more.as_ref().and_then(|more| more.parsed.clone()) {
            Some(parsed) => parsed,
            None => (self.key.as_deref().map(read), read(&self.value)),
        };
        let mut record = Record {
            key,
            value,
            line: usize::try_from(self.line).unwrap_or(usize::MAX),
            item: usize::try_from(self.item).unwrap_or(usize::MAX),
            ..Record::default()
        };
        if let Some(more) = &self.more {
            record.headers.clone_from(&more.headers);
            (record.timestamp, record.partition) = (more.timestamp, more.partition);
        }
        record
    }
}

/// Whether a value comes out of its text as it went in: the parser refuses what is nested deeply.
fn says_all(value: &Json) -> bool {
    fn shallow(value: &Json, depth: usize) -> bool {
        match value {
            Json::List(items) => depth > 0 && items.iter().all(|item| shallow(item, depth - 1)),
            Json::Map(fields) => depth > 0 && fields.iter().all(|(_, field)| shallow(field, depth - 1)),
            Json::Null | Json::Bool(_) | Json::Text(_) | Json::Number(_) => true,
        }
    }
    shallow(value, 50)
}

impl FromIterator<Record> for Records {
    fn from_iter<I: IntoIterator<Item = Record>>(records: I) -> Self {
        let mut all = Self::default();
        records.into_iter().for_each(|record| all.push(record));
        all.0.shrink_to_fit();
        all
    }
}

impl From<Vec<Record>> for Records {
    fn from(records: Vec<Record>) -> Self {
        records.into_iter().collect()
    }
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Serialize for Records {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_text_does_not_say_is_kept_as_it_is() {
        let deep = (0..200).fold(json!(1), |inner, _| json!([inner]));
        let fractions: Vec<_> = (1..2000).map(|n| json!(n as f64 / 997.0)).collect();
        let all = [deep, json!(fractions), json!({"a": 0.30000000000000004})].map(Json::from);
        let records: Records = all
            .iter()
            .map(|value| Record {
                value: value.clone(),
                ..Record::default()
            })
            .collect();
        assert!(records.iter().map(|record| record.value).eq(all));
    }

    #[test]
    fn what_was_put_in_comes_out() {
        let all = [
            Record::default(),
            Record {
                key: Some(json!({"a": [1, "ä"]}).into()),
                value: json!({"z": 1, "a": 18_446_744_073_709_551_615_u64, "f": 1.5}).into(),
                line: 7,
                ..Record::default()
            },
            Record {
                key: Some(Json::from("17")),
                value: Json::from("text\n\"quoted\""),
                headers: Some(vec![("h".to_owned(), Json::Null), ("i".to_owned(), Json::from("x"))]),
                timestamp: Some(-1),
                partition: Some(3),
                line: 8,
                item: 2,
            },
        ];
        let records: Records = all.iter().cloned().collect();
        assert_eq!(records.iter().collect::<Vec<_>>(), all);
        assert_eq!((records.len(), records.at(1)), (3, all[1].clone()));
        assert_eq!(
            serde_json::to_value(&records).unwrap(),
            serde_json::to_value(&all).unwrap()
        );
        assert_eq!(
            records.at(1).value.to_string(),
            r#"{"z":1,"a":18446744073709551615,"f":1.5}"#,
            "fields keep their order"
        );
    }
}
