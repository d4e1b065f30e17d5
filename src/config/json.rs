//! JSON values whose numbers keep all of their digits: `DECIMAL(38, 18)` and `BIGINT` are more than a double holds, and
//! two that differ in the 20th digit differ.

use std::cmp::Ordering;
use std::fmt;

use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// How deep values may be nested, as in `serde_json`.
const DEPTH: usize = 128;
/// A whole number of so many zeros at its end is written with them.
const ZEROS: i64 = 24;

/// A JSON value. Two are equal if they mean the same: the order of fields and the spelling of numbers do not matter.
#[derive(Debug, Clone, Default)]
pub enum Json {
    /// `null`.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Self>),
    /// Fields, in the order they were written; names are unique.
    Map(Vec<(String, Self)>),
}

/// A number as it was written.
#[derive(Debug, Clone)]
pub enum Number {
    /// A whole number.
    Int(i64),
    /// Any other; the text is valid JSON.
    Spelt(Box<str>),
}

impl Number {
    /// A number by its text, which is valid JSON.
    fn new(text: &str) -> Self {
        match text.parse::<i64>() {
            // `-0` is what it is
            Ok(whole) if whole != 0 || text == "0" => Self::Int(whole),
            _ => Self::Spelt(text.into()),
        }
    }

    /// A number as YAML spells it (`+1`, `.5`, `1.`), as far as JSON has one like it.
    pub(super) fn spelt(text: &str) -> Option<Self> {
        let (sign, digits) = match text.strip_prefix(['-', '+']) {
            Some(digits) => (if text.starts_with('-') { "-" } else { "" }, digits),
            None => ("", text),
        };
        if !digits.contains(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let zero = if digits.starts_with('.') { "0" } else { "" };
        let text = format!("{sign}{zero}{digits}").replace(".e", "e").replace(".E", "E");
        let text = text.strip_suffix('.').unwrap_or(&text);
        let valid = serde_json::from_str::<&RawValue>(text).is_ok() && text.ends_with(|c: char| c.is_ascii_digit());
        valid.then(|| Self::new(text))
    }

    /// A text that is equal for equal numbers: `1`, `1.0` and `1e0` are one.
    pub(crate) fn canonical(&self) -> String {
        let text = match self {
            Self::Int(whole) => return whole.to_string(),
            Self::Spelt(text) => text,
        };
        let (sign, rest) = text.strip_prefix('-').map_or(("", &**text), |rest| ("-", rest));
        let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
        let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{part}");
        let digits = all.trim_start_matches('0');
        let significant = digits.trim_end_matches('0');
        if significant.is_empty() {
            return "0".to_owned();
        }
        // an exponent of more than 18 digits is none that two writers would spell in two ways
        let Ok(exponent) = exponent.trim_start_matches('+').parse::<i64>() else {
            return text.to_string();
        };
        let dropped = i64::try_from(digits.len() - significant.len()).unwrap_or_default();
        let exponent = exponent
            .saturating_sub(i64::try_from(part.len()).unwrap_or_default())
            .saturating_add(dropped);
        match usize::try_from(exponent) {
            Ok(zeros) if exponent <= ZEROS => format!("{sign}{significant}{}", "0".repeat(zeros)),
            _ => format!("{sign}{significant}e{exponent}"),
        }
    }

    /// The nearest double.
    pub(crate) fn as_f64(&self) -> f64 {
        match self {
            Self::Int(whole) => *whole as f64,
            Self::Spelt(text) => text.parse().unwrap_or(f64::NAN),
        }
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.canonical() == other.canonical()
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(whole) => write!(f, "{whole}"),
            Self::Spelt(text) => f.write_str(text),
        }
    }
}

impl Json {
    /// Reads JSON.
    ///
    /// # Errors
    /// Why it is none; within a text of many lines with its place.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        Self::of_raw(serde_json::from_str(text)?, 0)
    }

    /// Reads JSON in bytes.
    ///
    /// # Errors
    /// Why they are none.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        Self::of_raw(serde_json::from_slice(bytes)?, 0)
    }

    fn of_raw(raw: &RawValue, depth: usize) -> Result<Self, serde_json::Error> {
        if depth > DEPTH {
            return Err(serde_json::Error::custom("recursion limit exceeded"));
        }
        let text = raw.get();
        Ok(match text.as_bytes().first() {
            Some(b'n') => Self::Null,
            Some(b't') => Self::Bool(true),
            Some(b'f') => Self::Bool(false),
            Some(b'"') => Self::Text(serde_json::from_str(text)?),
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(text)?;
                let items = items.into_iter().map(|item| Self::of_raw(item, depth + 1));
                Self::List(items.collect::<Result<_, _>>()?)
            }
            Some(b'{') => {
                let Pairs(pairs) = serde_json::from_str(text)?;
                let mut fields = Vec::with_capacity(pairs.len());
                for (name, raw) in pairs {
                    put(&mut fields, name, Self::of_raw(raw, depth + 1)?);
                }
                Self::Map(fields)
            }
            _ => Self::Number(Number::new(text)),
        })
    }

    /// The value of a field; `None` where there is none.
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.fields()
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    }

    /// The fields of a mapping; none where it is none.
    pub fn fields(&self) -> &[(String, Self)] {
        match self {
            Self::Map(fields) => fields,
            _ => &[],
        }
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number, if it is one.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Number(Number::Int(whole)) => Some(*whole),
            _ => None,
        }
    }

    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// A text that is equal for equal values: fields sorted, numbers by value.
    pub(crate) fn canonical(&self) -> String {
        let mut out = String::new();
        self.write_canonical(&mut out);
        out
    }

    fn write_canonical(&self, out: &mut String) {
        match self {
            Self::Number(number) => out.push_str(&number.canonical()),
            Self::List(items) => {
                out.push('[');
                for item in items {
                    item.write_canonical(out);
                    out.push(',');
                }
                out.push(']');
            }
            Self::Map(fields) => {
                let mut sorted: Vec<_> = fields.iter().collect();
                sorted.sort_unstable_by(|a, b| a.0.cmp(&b.0));
                out.push('{');
                for (name, value) in sorted {
                    out.push_str(&quoted(name));
                    out.push(':');
                    value.write_canonical(out);
                    out.push(',');
                }
                out.push('}');
            }
            Self::Text(text) => out.push_str(&quoted(text)),
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        }
    }
}

/// Sets a field; the last value of a name counts.
fn put(fields: &mut Vec<(String, Json)>, name: String, value: Json) {
    match fields.iter_mut().find(|(known, _)| *known == name) {
        Some(known) => known.1 = value,
        None => fields.push((name, value)),
    }
}

/// A text as JSON.
pub(crate) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// A list as JSON, of items that write themselves.
pub(crate) fn write_list(f: &mut fmt::Formatter<'_>, items: &[impl fmt::Display]) -> fmt::Result {
    f.write_str("[")?;
    for (i, item) in items.iter().enumerate() {
        write!(f, "{}{item}", if i > 0 { "," } else { "" })?;
    }
    f.write_str("]")
}

/// An object as JSON, of values that write themselves.
pub(crate) fn write_map(f: &mut fmt::Formatter<'_>, fields: &[(String, impl fmt::Display)]) -> fmt::Result {
    f.write_str("{")?;
    for (i, (name, value)) in fields.iter().enumerate() {
        write!(f, "{}{}:{value}", if i > 0 { "," } else { "" }, quoted(name))?;
    }
    f.write_str("}")
}

/// The fields of an object, each as it is written.
struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor;

        impl<'de> Visitor<'de> for PairsVisitor {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Pairs<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = access.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(PairsVisitor)
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(&quoted(text)),
            Self::List(items) => write_list(f, items),
            Self::Map(fields) => write_map(f, fields),
        }
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Number(a), Self::Number(b)) => a == b,
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::List(a), Self::List(b)) => a == b,
            (Self::Map(a), Self::Map(b)) => {
                a.len().cmp(&b.len()) == Ordering::Equal && a.iter().all(|(name, value)| other.get(name) == Some(value))
            }
            _ => false,
        }
    }
}

impl From<Value> for Json {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(value),
            Value::Number(number) => Self::Number(Number::new(&number.to_string())),
            Value::String(text) => Self::Text(text),
            Value::Array(items) => Self::List(items.into_iter().map(Self::from).collect()),
            Value::Object(fields) => Self::Map(
                fields
                    .into_iter()
                    .map(|(name, value)| (name, Self::from(value)))
                    .collect(),
            ),
        }
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Json {
    fn from(whole: i64) -> Self {
        Self::Number(Number::Int(whole))
    }
}

impl PartialEq<Value> for Json {
    fn eq(&self, other: &Value) -> bool {
        let other = Self::from(other.clone());
        *self == other
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(Number::Int(whole)) => serializer.serialize_i64(*whole),
            Self::Number(Number::Spelt(text)) => RawValue::from_string(text.to_string())
                .map_err(serde::ser::Error::custom)?
                .serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(items) => serializer.collect_seq(items),
            Self::Map(fields) => serializer.collect_map(fields.iter().map(|(name, value)| (name, value))),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn parse(text: &str) -> Json {
        Json::parse(text).unwrap()
    }

    #[test]
    fn numbers_keep_every_digit() {
        for text in [
            "12345678901234567890.123456789012345678",
            "-0.10",
            "1E+400",
            "9223372036854775808",
        ] {
            assert_eq!(parse(text).to_string(), text);
            assert_eq!(serde_json::to_string(&parse(text)).unwrap(), text);
        }
        for (a, b) in [
            ("1", "1.0"),
            ("1e2", "100"),
            ("-0.0", "0"),
            ("1E+400", "10e399"),
            ("1.50", "15e-1"),
            ("100000000000000000000", "1.0E20"),
            ("1e30", "1000000000000000000000000000000"),
        ] {
            assert_eq!(parse(a), parse(b), "{a} {b}");
            assert_eq!(parse(a).canonical(), parse(b).canonical(), "{a} {b}");
        }
        for (a, b) in [
            ("9007199254740993", "9007199254740992"),
            ("9007199254740993.0", "9007199254740992"),
            ("0.12345678901234567891", "0.12345678901234567892"),
            ("18446744073709551616", "18446744073709551617"),
            ("1e400", "1e401"),
            ("-1.5", "1.5"),
            ("10", "100"),
        ] {
            assert_ne!(parse(a), parse(b), "{a} {b}");
        }
    }

    #[test]
    fn numbers_are_taken_as_yaml_spells_them() {
        let spelt = |text: &str| Number::spelt(text).map(|number| number.to_string());
        for (yaml, json) in [
            ("+1.5", "1.5"),
            ("-.5", "-0.5"),
            ("1.", "1"),
            ("1.e3", "1e3"),
            ("1.10", "1.10"),
        ] {
            assert_eq!(spelt(yaml).as_deref(), Some(json), "{yaml}");
        }
        for other in ["0x1f", "0o7", ".inf", "1_000", "", "-", "."] {
            assert_eq!(spelt(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_no_json_is_none() {
        let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(Json::parse(&deep(100)).is_ok() && Json::parse(&deep(100_000)).is_err());
        for text in ["", "01", "{\"a\":1,}", "\"\\ud800\"", "nul", "[1 2]", "1 2"] {
            assert!(Json::parse(text).is_err(), "{text}");
        }
        assert!(Json::from_slice(b"\"\xff\"").is_err());
        assert_eq!(parse(" {\"a\": 1, \"a\": 2} "), json!({"a": 2}), "the last one counts");
    }

    proptest! {
        #[test]
        fn the_canonical_form_is_equal_for_equal_decimals(
            digits in "[1-9][0-9]{0,30}", zeros in 0usize..5, shift in -20i64..20, other in "[1-9][0-9]{0,30}",
        ) {
            let plain = parse(&format!("{digits}e{shift}"));
            let padded = parse(&format!("{digits}{}e{}", "0".repeat(zeros), shift - zeros as i64));
            prop_assert_eq!(&plain, &padded);
            let fraction = parse(&format!("0.{digits}E{}", shift + digits.len() as i64));
            prop_assert_eq!(&plain, &fraction);
            let differ = digits.trim_end_matches('0') != other.trim_end_matches('0') || digits.len() != other.len();
            prop_assert_eq!(plain != parse(&format!("{other}e{shift}")), differ);
            prop_assert_eq!(parse(&plain.canonical()), plain);
        }

        #[test]
        fn what_is_written_is_read_again(text in "[ -~]{0,20}", n in any::<i64>(), x in any::<f64>()) {
            prop_assume!(x.is_finite());
            let value = json!({"t": text, "n": n, "l": [x, null, true]});
            let json = Json::from(value.clone());
            prop_assert_eq!(&Json::parse(&json.to_string()).unwrap(), &json);
            prop_assert_eq!(&Json::parse(&value.to_string()).unwrap(), &value);
            prop_assert_eq!(&Json::parse(&serde_json::to_string(&json).unwrap()).unwrap(), &json);
        }
    }
}
