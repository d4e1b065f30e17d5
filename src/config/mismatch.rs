//! Why a tree is not what was expected, in words for people: the place, what was expected, what was found, and the
//! nearest word that is right.

use std::fmt::Display;

use serde::de::{self, Unexpected};

use super::source::Place;
use super::words::{listed, nearest};
use crate::diag::{Failure, Reason};

/// Why a tree is not what was expected.
#[derive(Debug)]
pub(crate) struct Mismatch {
    message: String,
    next: Option<String>,
    place: Option<Place>,
}

impl Mismatch {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            next: None,
            place: None,
        }
    }

    fn unknown(what: &str, word: &str, known: &[&str]) -> Self {
        let hint = nearest(word, known.iter().copied());
        let message = match hint {
            Some(hint) => format!("unknown {what} `{word}`, did you mean `{hint}`?"),
            None => format!("unknown {what} `{word}`"),
        };
        let next = match (known.is_empty(), hint) {
            (true, _) => None,
            (false, Some(hint)) => Some(format!("write `{hint}`; known here: {}", listed(known.iter().copied()))),
            (false, None) => Some(format!("known here: {}", listed(known.iter().copied()))),
        };
        Self {
            next,
            ..Self::new(message)
        }
    }

    /// Sets the place, if a deeper one is not known already.
    pub(super) fn at(mut self, place: &Place) -> Self {
        self.place.get_or_insert_with(|| place.clone());
        self
    }

    pub(super) fn into_failure(self, reason: Reason) -> Failure {
        let failure = match self.place {
            Some(place) => place.failure(reason, self.message),
            None => Failure::new(reason, self.message),
        };
        match self.next {
            Some(next) => failure.next(next),
            None => failure,
        }
    }
}

impl Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Mismatch {}

impl de::Error for Mismatch {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let found = match found {
            Unexpected::Unit | Unexpected::Option => "nothing".to_owned(),
            Unexpected::Bool(value) => format!("`{value}`"),
            Unexpected::Unsigned(number) => format!("the number {number}"),
            Unexpected::Signed(number) => format!("the number {number}"),
            Unexpected::Float(number) => format!("the number {number}"),
            Unexpected::Str(text) => format!("the text `{text}`"),
            Unexpected::Seq => "a list".to_owned(),
            Unexpected::Map => "a mapping".to_owned(),
            other => other.to_string(),
        };
        Self::new(format!("expected {expected}, found {found}"))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let range = match expected.to_string().as_str() {
            "u8" => format!("a whole number from 0 to {}", u8::MAX),
            "u16" => format!("a whole number from 0 to {}", u16::MAX),
            "u32" => format!("a whole number from 0 to {}", u32::MAX),
            "u64" | "usize" => "a whole number from 0 on".to_owned(),
            other => other.to_owned(),
        };
        let found = match found {
            Unexpected::Unsigned(number) => number.to_string(),
            Unexpected::Signed(number) => number.to_string(),
            other => other.to_string(),
        };
        Self::new(format!("expected {range}, found {found}"))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::unknown("key", field, expected)
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::unknown("value", variant, expected)
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(format!("the key `{field}` is missing"))
    }
}
