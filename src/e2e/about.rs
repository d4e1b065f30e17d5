//! What a record has besides its key and value: headers, time, partition; as expected and as seen.

use bytes::Bytes;
use jiff::Timestamp;

use super::pattern::{Rules, Want};
use super::value::spellings;
use crate::config::{Fields, Json, Record, quoted};
use crate::kafka::Fetched;

/// What an expected record says besides its key and value.
#[derive(Debug, Default)]
pub(super) struct About {
    headers: Option<Vec<(String, Want)>>,
    timestamp: Option<i64>,
    partition: Option<i32>,
}

/// What a seen record has besides its key and value.
#[derive(Debug, Clone, Default)]
pub(super) struct Around {
    /// Its partition.
    pub(super) partition: i32,
    /// Milliseconds since the epoch.
    pub(super) timestamp: i64,
    headers: Vec<(String, Option<Bytes>)>,
}

impl Around {
    pub(super) fn of(record: &Fetched) -> Self {
        Self {
            partition: record.partition,
            timestamp: record.timestamp,
            headers: record.headers.clone(),
        }
    }

    /// Its headers as they may be written in a case.
    pub(super) fn headers(&self) -> impl Iterator<Item = (&str, Json)> {
        self.headers.iter().map(|(name, value)| (name.as_str(), shown(value)))
    }
}

/// A header's value as it is shown: its text, whatever else it may be read as.
fn shown(value: &Option<Bytes>) -> Json {
    value.as_deref().map_or(Json::Null, crate::config::text_of)
}

impl About {
    pub(super) fn of(record: &Record) -> Self {
        let headers = record.headers.as_ref();
        Self {
            headers: headers.map(|all| all.iter().map(|(name, want)| (name.clone(), Want::of(want))).collect()),
            timestamp: record.timestamp,
            partition: record.partition.map(|p| i32::try_from(p).unwrap_or(i32::MAX)),
        }
    }

    /// Whether it says nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.headers.is_none() && self.timestamp.is_none() && self.partition.is_none()
    }

    /// Whether a seen record is like that.
    pub(super) fn fits(&self, seen: &Around, rules: Rules) -> bool {
        self.partition.is_none_or(|p| p == seen.partition)
            && self.timestamp.is_none_or(|t| t == seen.timestamp)
            && self
                .headers
                .as_ref()
                .is_none_or(|wants| headers_fit(wants, seen, rules))
    }

    /// Where a seen record is not like that, one entry a place.
    pub(super) fn differences(&self, seen: &Around, rules: Rules) -> Vec<String> {
        let mut out = Vec::new();
        if let Some(partition) = self.partition.filter(|p| *p != seen.partition) {
            out.push(format!("partition: expected {partition}, seen {}", seen.partition));
        }
        if let Some(timestamp) = self.timestamp.filter(|t| *t != seen.timestamp) {
            out.push(format!(
                "timestamp: expected {}, seen {}",
                time(timestamp),
                time(seen.timestamp)
            ));
        }
        let Some(wants) = self.headers.as_ref().filter(|wants| !headers_fit(wants, seen, rules)) else {
            return out;
        };
        let before = out.len();
        for (name, want) in wants {
            let found: Vec<_> = seen.headers.iter().filter(|(known, _)| known == name).collect();
            if !found.iter().any(|(_, value)| value_fits(want, value, rules)) {
                let seen = found
                    .first()
                    .map_or_else(|| "nothing".to_owned(), |(_, value)| shown(value).to_string());
                out.push(format!("headers.{name}: expected {want}, seen {seen}"));
            }
        }
        let more = seen
            .headers
            .iter()
            .filter(|(name, _)| !wants.iter().any(|(known, _)| known == name));
        if rules.fields == Fields::Strict {
            out.extend(more.map(|(name, value)| format!("headers.{name}: expected nothing, seen {}", shown(value))));
        }
        if out.len() == before {
            out.push(format!(
                "headers: expected {} of them, seen {}",
                wants.len(),
                seen.headers.len()
            ));
        }
        out
    }
}

/// Each expected header is one of those that were seen, each at most once; with [`Fields::Strict`] there are no others.
fn headers_fit(wants: &[(String, Want)], seen: &Around, rules: Rules) -> bool {
    if rules.fields == Fields::Strict && wants.len() != seen.headers.len() {
        return false;
    }
    // names are unique in a case, so each takes another one
    wants.iter().all(|(name, want)| {
        let mut named = seen.headers.iter().filter(|(known, _)| known == name);
        named.any(|(_, value)| value_fits(want, value, rules))
    })
}

/// Whether a header's value is what is expected, in either spelling: `1` may be a number or a text.
fn value_fits(want: &Want, value: &Option<Bytes>, rules: Rules) -> bool {
    match value.as_deref() {
        None => want.fits(&Json::Null, rules),
        Some(bytes) => spellings(Some(bytes)).iter().any(|spelling| want.fits(spelling, rules)),
    }
}

/// A time for people, with the number as which it may be expected, too.
fn time(millis: i64) -> String {
    match Timestamp::from_millisecond(millis) {
        Ok(time) => format!("{} ({millis})", quoted(&time.to_string())),
        Err(_) => millis.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn about(headers: Value, timestamp: Option<i64>, partition: Option<u32>) -> About {
        let headers = match Json::from(headers) {
            Json::Map(fields) => Some(fields),
            _ => None,
        };
        About::of(&Record {
            headers,
            timestamp,
            partition,
            ..Record::default()
        })
    }

    fn seen(headers: &[(&str, Option<&'static [u8]>)]) -> Around {
        Around {
            partition: 1,
            timestamp: 1_767_225_601_000,
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.map(Bytes::from_static)))
                .collect(),
        }
    }

    const PARTIAL: Rules = Rules {
        fields: Fields::Partial,
        tolerance: 0.0,
    };

    #[test]
    fn headers_are_compared_strictly_or_by_those_that_are_named() {
        let there = seen(&[("n", Some(b"17")), ("t", Some(b"x-1")), ("none", None)]);
        let all = about(json!({"t": {"$regex": "^x"}, "n": 17, "none": null}), None, None);
        assert!(all.fits(&there, Rules::STRICT) && all.fits(&there, PARTIAL));
        let some = about(json!({"n": "17"}), None, None);
        assert!(!some.fits(&there, Rules::STRICT) && some.fits(&there, PARTIAL));
        assert_eq!(
            some.differences(&there, Rules::STRICT),
            [
                "headers.t: expected nothing, seen \"x-1\"",
                "headers.none: expected nothing, seen null"
            ]
        );
        let other = about(json!({"n": 18, "m": {"$any": true}}), None, None);
        assert_eq!(
            other.differences(&there, PARTIAL),
            [
                "headers.n: expected 18, seen \"17\"",
                "headers.m: expected anything, seen nothing"
            ]
        );
        let none = about(json!({}), None, None);
        assert!(!none.fits(&there, Rules::STRICT) && none.fits(&seen(&[]), Rules::STRICT) && !none.is_empty());
        let twice = seen(&[("n", Some(b"1")), ("n", Some(b"1"))]);
        let once = about(json!({"n": 1}), None, None);
        assert!(!once.fits(&twice, Rules::STRICT));
        assert_eq!(
            once.differences(&twice, Rules::STRICT),
            ["headers: expected 1 of them, seen 2"]
        );
    }

    #[test]
    fn time_and_partition_are_compared_where_they_are_expected() {
        let there = seen(&[("n", Some(b"1"))]);
        assert!(
            about(Value::Null, None, None).fits(&there, Rules::STRICT),
            "headers count where some are named"
        );
        assert!(about(Value::Null, Some(1_767_225_601_000), Some(1)).fits(&there, Rules::STRICT));
        let other = about(Value::Null, Some(1_767_225_602_000), Some(0));
        assert!(!other.fits(&there, PARTIAL));
        assert_eq!(
            other.differences(&there, PARTIAL),
            [
                "partition: expected 0, seen 1",
                "timestamp: expected \"2026-01-01T00:00:02Z\" (1767225602000), seen \"2026-01-01T00:00:01Z\" (1767225601000)",
            ]
        );
    }
}
