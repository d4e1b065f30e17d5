//! Records that were read: as they are compared and shown, and as they are held in the meantime.

use super::about::Around;
use super::value::{decode, decode_as, spellings};
use crate::config::{Json, Match, RecordFormat};
use crate::kafka::Fetched;

/// A record that was read, in the form in which it is compared.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// Its key as JSON or text; `Null` without one.
    pub(super) key: Json,
    /// Its value as JSON or text; `Null` for a tombstone.
    pub(super) value: Json,
    /// Its offset.
    pub(super) offset: i64,
    /// What it has besides.
    pub(super) around: Around,
    /// How its key may be written in a case, in canonical form.
    pub(super) keys: Vec<String>,
}

impl Seen {
    /// A record as it was read.
    pub(super) fn new(record: &Fetched, format: &RecordFormat) -> Self {
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        Self::of(key, value, (record.offset, Around::of(record)), format)
    }

    fn of(key: Option<&[u8]>, value: Option<&[u8]>, (offset, around): (i64, Around), format: &RecordFormat) -> Self {
        Self {
            key: decode(key),
            value: decode_as(value, format),
            offset,
            around,
            keys: match key {
                Some(_) => spellings(key).iter().map(Json::canonical).collect(),
                None => Vec::new(),
            },
        }
    }

    /// Whether its key may be written like that, in canonical form.
    pub(super) fn has_key(&self, canonical: &str) -> bool {
        self.keys.iter().any(|key| key == canonical)
    }

    /// What it replaces earlier records of: its key, as Kafka has it, by its bytes; or its window.
    pub(super) fn group(&self, mode: Match, by: &[String], key: Option<&[u8]>) -> Option<String> {
        match mode {
            Match::LastPerKey => key.map(hex::encode),
            Match::Window => {
                let parts = by.iter().map(|name| self.value.get(name).map(Json::canonical));
                // no canonical form holds this character
                parts.collect::<Option<Vec<_>>>().map(|parts| parts.join("\u{0}"))
            }
            Match::Unordered | Match::Ordered | Match::Contains => None,
        }
    }
}

/// A record that was read, as its bytes: of a hundred thousand, a few are looked at more than once.
#[derive(Debug)]
pub(super) struct Kept {
    key: Option<Box<[u8]>>,
    value: Option<Box<[u8]>>,
    offset: i64,
    around: Around,
    /// Whether it counts: it is no tombstone of a table, and no later one has replaced it.
    pub(super) counts: bool,
    /// In the form in which it is compared, where every one is compared with others.
    parsed: Option<Box<Seen>>,
}

impl Kept {
    /// Holds a record; with what it says if that is looked at often.
    pub(super) fn new(record: &Fetched, counts: bool, parsed: Option<Seen>) -> Self {
        Self {
            key: record.key.as_deref().map(Into::into),
            value: record.value.as_deref().map(Into::into),
            offset: record.offset,
            around: Around::of(record),
            counts,
            parsed: parsed.map(Box::new),
        }
    }

    /// What it says.
    pub(super) fn seen(&self, format: &RecordFormat) -> std::borrow::Cow<'_, Seen> {
        match &self.parsed {
            Some(parsed) => std::borrow::Cow::Borrowed(parsed),
            None => std::borrow::Cow::Owned(Seen::of(
                self.key.as_deref(),
                self.value.as_deref(),
                (self.offset, self.around.clone()),
                format,
            )),
        }
    }
}
