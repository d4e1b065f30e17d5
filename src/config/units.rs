//! Values with a unit, as users write them: memory, durations, ports, versions of the format.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};

use super::profile::{Port, StateVolume};

/// Memory in MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Memory(pub(super) u64);

/// A length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Span(pub(super) Duration);

/// `off` or a length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct SpanOrOff(pub(super) Option<Duration>);

/// `node`, `default`, `none` or the name of a storage class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct VolumeChoice(pub(super) StateVolume);

/// `auto` or a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct PortChoice(pub(super) Port);

/// A value of a setting of Flink: any scalar, as it is spelt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Setting(pub(super) String);

/// The number of a format; checked before anything else is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Format;

/// Splits `1.5Gi` into the number and the unit.
fn number_and_unit(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim()))
}

/// Memory in MiB out of `1536m`, `1536Mi`, `1.5g` or `1.5Gi`.
fn memory(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no amount of memory; write it like `1536m` or `1.5Gi`");
    let (number, unit) = number_and_unit(text).ok_or_else(wrong)?;
    let mib = match unit.to_lowercase().as_str() {
        "m" | "mi" | "mb" | "mib" => number,
        "g" | "gi" | "gb" | "gib" => number * 1024.0,
        "" => {
            return Err(format!("`{text}` has no unit; write `{text}m` if it is MiB"));
        }
        _ => return Err(wrong()),
    };
    // beyond that no machine goes, and a f64 is exact below
    if !(mib >= 1.0 && mib < f64::from(1 << 30)) {
        return Err(format!("`{text}` is out of range"));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be from 1 to 2^30"
    )]
    Ok(mib.round() as u64)
}

/// A duration out of `90s`, `2m`, `1m30s` or `1h`.
///
/// # Errors
/// Why it is none, for people.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    duration(text)
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no duration; write it like `90s`, `2m` or `1m30s`");
    let mut rest = text.trim();
    if rest.parse::<f64>().is_ok() {
        return Err(format!("`{text}` has no unit; write `{rest}s` for seconds"));
    }
    let mut sum = 0.0;
    while !rest.is_empty() {
        let (number, units) = number_and_unit(rest).ok_or_else(wrong)?;
        let end = units.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(units.len());
        let (unit, next) = units.split_at(end);
        sum += number
            * match unit {
                "ms" => 0.001,
                "s" | "sec" => 1.0,
                "m" | "min" => 60.0,
                "h" => 3600.0,
                _ => return Err(wrong()),
            };
        rest = next.trim_start();
    }
    if sum > 0.0 && sum <= 24.0 * 3600.0 {
        Ok(Duration::from_secs_f64(sum))
    } else {
        Err(format!("`{text}` is out of range: more than nothing and at most a day"))
    }
}

fn duration_or_off(text: &str) -> Result<Option<Duration>, String> {
    match text {
        // YAML 1.1 reads `off` as a boolean, and so do people
        "off" | "false" => Ok(None),
        _ => duration(text).map(Some).map_err(|why| format!("{why}; or `off`")),
    }
}

fn volume(text: &str) -> Result<StateVolume, String> {
    // names of storage classes are DNS subdomains (RFC 1123)
    let label = |part: &str| {
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        !part.is_empty() && part.chars().all(inner) && !part.starts_with('-') && !part.ends_with('-')
    };
    match text {
        "node" => Ok(StateVolume::Node),
        "default" => Ok(StateVolume::DefaultClass),
        "none" => Ok(StateVolume::None),
        class if class.len() <= 40 && class.split('.').all(label) => Ok(StateVolume::Class(class.to_owned())),
        _ => Err(format!(
            "`{text}` is no volume; write `node`, `default`, `none` or the name of a storage class"
        )),
    }
}

fn port(text: &str) -> Result<Port, String> {
    match text {
        "auto" => Ok(Port::Auto),
        _ => match text.parse::<u16>() {
            Ok(0) | Err(_) if text.parse::<i64>().is_ok() => {
                Err(format!("the port {text} is out of range: 1 to 65535, or `auto`"))
            }
            Ok(port) => Ok(Port::Fixed(port)),
            Err(_) => Err(format!("`{text}` is no port; write `auto` or a number from 1 to 65535")),
        },
    }
}

macro_rules! read_from_text {
    ($name:ident, $parse:expr) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $parse(&String::deserialize(deserializer)?)
                    .map($name)
                    .map_err(D::Error::custom)
            }
        }
    };
}

read_from_text!(Memory, memory);
read_from_text!(Span, duration);
read_from_text!(SpanOrOff, duration_or_off);
read_from_text!(VolumeChoice, volume);
read_from_text!(PortChoice, port);
read_from_text!(Setting, |text: &str| Ok::<_, String>(text.to_owned()));

impl<'de> Deserialize<'de> for Format {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u32::deserialize(deserializer).map(|_| Self)
    }
}

macro_rules! schema {
    ($name:ident, $($json:tt)+) => {
        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($($json)+)
            }
        }
    };
}

schema!(Memory, {
    "type": "string",
    "pattern": "^[0-9]+(\\.[0-9]+)?([mM]|[mM][iI]|[mM][iI]?[bB]|[gG]|[gG][iI]|[gG][iI]?[bB])$",
    "examples": ["1536m", "1.5Gi"]
});
schema!(Span, {
    "type": "string",
    "pattern": "^([0-9]+(\\.[0-9]+)?(ms|s|sec|m|min|h) ?)+$",
    "examples": ["90s", "2m", "1m30s"]
});
schema!(SpanOrOff, {
    "anyOf": [
        {"enum": ["off", false]},
        {"type": "string", "pattern": "^([0-9]+(\\.[0-9]+)?(ms|s|sec|m|min|h) ?)+$", "examples": ["10s", "1m"]}
    ]
});
schema!(VolumeChoice, {
    "type": "string",
    "pattern": "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
    "maxLength": 40,
    "examples": ["node", "default", "none"]
});
schema!(PortChoice, {
    "anyOf": [{"const": "auto"}, {"type": "integer", "minimum": 1, "maximum": 65535}]
});
schema!(Setting, {"type": ["string", "number", "boolean"]});
schema!(Format, {"const": 1});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_has_a_unit() {
        for (text, mib) in [
            ("1536m", 1536),
            ("1.5Gi", 1536),
            ("1536Mi", 1536),
            ("2g", 2048),
            ("512 MiB", 512),
        ] {
            assert_eq!(memory(text), Ok(mib), "{text}");
        }
        for (text, message) in [
            ("1536", "`1536` has no unit; write `1536m` if it is MiB"),
            (
                "1024ßm",
                "`1024ßm` is no amount of memory; write it like `1536m` or `1.5Gi`",
            ),
            ("-1g", "`-1g` is no amount of memory; write it like `1536m` or `1.5Gi`"),
            ("", "`` is no amount of memory; write it like `1536m` or `1.5Gi`"),
            ("0m", "`0m` is out of range"),
            ("9999999999g", "`9999999999g` is out of range"),
        ] {
            assert_eq!(memory(text).unwrap_err(), message);
        }
    }

    #[test]
    fn a_duration_has_a_unit() {
        for (text, millis) in [
            ("90s", 90_000),
            ("2m", 120_000),
            ("1m30s", 90_000),
            ("1m 30s", 90_000),
            ("500ms", 500),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for (text, message) in [
            ("60", "`60` has no unit; write `60s` for seconds"),
            (
                "2 minutes",
                "`2 minutes` is no duration; write it like `90s`, `2m` or `1m30s`",
            ),
            ("s", "`s` is no duration; write it like `90s`, `2m` or `1m30s`"),
            ("0s", "`0s` is out of range: more than nothing and at most a day"),
            ("25h", "`25h` is out of range: more than nothing and at most a day"),
        ] {
            assert_eq!(duration(text).unwrap_err(), message);
        }
        assert!(duration("").is_err());
    }

    #[test]
    fn checkpoints_can_be_off_and_a_volume_can_be_a_class() {
        assert_eq!(duration_or_off("off"), Ok(None));
        assert_eq!(duration_or_off("10s"), Ok(Some(Duration::from_secs(10))));
        assert_eq!(
            duration_or_off("10").unwrap_err(),
            "`10` has no unit; write `10s` for seconds; or `off`"
        );
        assert_eq!(volume("node"), Ok(StateVolume::Node));
        assert_eq!(volume("default"), Ok(StateVolume::DefaultClass));
        assert_eq!(volume("none"), Ok(StateVolume::None));
        assert_eq!(volume("fast.local"), Ok(StateVolume::Class("fast.local".to_owned())));
        for text in ["", "Fast", "a..b", "/data", "-a", &"a".repeat(41)] {
            assert!(volume(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_port_is_a_number_or_auto() {
        assert_eq!(port("auto"), Ok(Port::Auto));
        assert_eq!(port("9092"), Ok(Port::Fixed(9092)));
        for text in ["0", "-1", "65536"] {
            assert_eq!(
                port(text).unwrap_err(),
                format!("the port {text} is out of range: 1 to 65535, or `auto`")
            );
        }
        assert_eq!(
            port("kafka").unwrap_err(),
            "`kafka` is no port; write `auto` or a number from 1 to 65535"
        );
    }
}
