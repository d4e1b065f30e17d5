//! What an expected value stands for: a value, or one with patterns, with some of its fields, with numbers that may be
//! a little apart.

use std::str::FromStr as _;

use bigdecimal::BigDecimal;
use regex::Regex;

use crate::config::{Fields, Json, Number, quoted, write_list, write_map};

/// Places of a decimal that are reckoned with; a double has up to 1074.
const PLACES: i64 = 2000;

/// How values are compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rules {
    /// Which fields count.
    pub(super) fields: Fields,
    /// How far numbers may be apart.
    pub(super) tolerance: f64,
}

impl Rules {
    /// By value, all fields.
    pub(super) const STRICT: Self = Self {
        fields: Fields::Strict,
        tolerance: 0.0,
    };
}

/// An expected value, ready to be compared.
#[derive(Debug, Clone)]
pub(super) enum Want {
    /// Anything that is there: `{$any: true}`.
    Any,
    /// A text that matches: `{$regex: PATTERN}`.
    Text(Regex),
    /// A number, `null`, a boolean or a text; its canonical form.
    Scalar(Json, String),
    /// A list, item by item.
    List(Vec<Self>),
    /// A mapping.
    Map(Vec<(String, Self)>),
}

impl Want {
    /// What a key, a value or a header of a case stands for. Its patterns were checked when the case was read.
    pub(super) fn of(value: &Json) -> Self {
        // `{$json: …}` is what it holds, patterns and all
        let literal = matches!(value.fields(), [(name, _)] if name == "$json");
        Self::read(value, !literal)
    }

    fn read(value: &Json, patterns: bool) -> Self {
        match value {
            Json::List(items) => Self::List(items.iter().map(|item| Self::read(item, patterns)).collect()),
            Json::Map(fields) => {
                if let ([(name, inner)], true) = (fields.as_slice(), patterns) {
                    match (name.as_str(), inner) {
                        ("$any", Json::Bool(true)) => return Self::Any,
                        ("$regex", Json::Text(pattern)) => {
                            if let Ok(regex) = Regex::new(pattern) {
                                return Self::Text(regex);
                            }
                        }
                        _ => {}
                    }
                }
                let field = |(name, value): &(String, Json)| (name.clone(), Self::read(value, patterns));
                Self::Map(fields.iter().map(field).collect())
            }
            scalar => Self::Scalar(scalar.clone(), scalar.canonical()),
        }
    }

    /// Whether there is no pattern in it, so that it is one value.
    pub(super) fn is_value(&self) -> bool {
        match self {
            Self::Any | Self::Text(_) => false,
            Self::Scalar(..) => true,
            Self::List(items) => items.iter().all(Self::is_value),
            Self::Map(fields) => fields.iter().all(|(_, want)| want.is_value()),
        }
    }

    /// Whether a seen value is what is expected.
    pub(super) fn fits(&self, seen: &Json, rules: Rules) -> bool {
        match (self, seen) {
            (Self::Any, _) => true,
            (Self::Text(regex), Json::Text(text)) => regex.is_match(text),
            (Self::Scalar(want, canon), seen) => scalar_fits(want, canon, seen, rules.tolerance),
            (Self::List(wants), Json::List(items)) => {
                wants.len() == items.len() && wants.iter().zip(items).all(|(want, item)| want.fits(item, rules))
            }
            (Self::Map(wants), Json::Map(fields)) => {
                (rules.fields == Fields::Partial || wants.len() == fields.len())
                    && wants
                        .iter()
                        .all(|(name, want)| seen.get(name).is_some_and(|value| want.fits(value, rules)))
            }
            _ => false,
        }
    }

    /// Where a seen value is not what is expected: `path: expected …, seen …`, one entry a place.
    pub(super) fn differences(&self, seen: &Json, rules: Rules) -> Vec<String> {
        let mut out = Vec::new();
        self.compare("", Some(seen), rules, &mut out);
        out
    }

    fn compare(&self, path: &str, seen: Option<&Json>, rules: Rules, out: &mut Vec<String>) {
        match (self, seen) {
            (Self::Map(wants), Some(object @ Json::Map(fields))) => {
                let below = |name: &str| {
                    if path.is_empty() {
                        name.to_owned()
                    } else {
                        format!("{path}.{name}")
                    }
                };
                for (name, want) in wants {
                    want.compare(&below(name), object.get(name), rules, out);
                }
                if rules.fields == Fields::Strict {
                    let more = fields
                        .iter()
                        .filter(|(name, _)| !wants.iter().any(|(known, _)| known == name));
                    out.extend(more.map(|(name, value)| format!("{}: expected nothing, seen {value}", below(name))));
                }
            }
            (Self::List(wants), Some(Json::List(items))) => {
                for i in 0..wants.len().max(items.len()) {
                    let below = format!("{path}[{i}]");
                    match (wants.get(i), items.get(i)) {
                        (Some(want), item) => want.compare(&below, item, rules, out),
                        (None, Some(item)) => out.push(format!("{below}: expected nothing, seen {item}")),
                        (None, None) => {}
                    }
                }
            }
            (want, Some(seen)) if want.fits(seen, rules) => {}
            (want, seen) => {
                let place = if path.is_empty() { "value" } else { path };
                let seen = seen.map_or_else(|| "nothing".to_owned(), ToString::to_string);
                out.push(format!("{place}: expected {want}, seen {seen}"));
            }
        }
    }

    /// How alike a seen value is, from 0 to 1: the share of fields that fit.
    pub(super) fn similarity(&self, seen: &Json, rules: Rules) -> f64 {
        match (self, seen) {
            (Self::Map(wants), Json::Map(fields)) => {
                let all = match rules.fields {
                    Fields::Strict => wants.len().max(fields.len()),
                    Fields::Partial => wants.len(),
                };
                let fit = |(name, want): &&(String, Self)| seen.get(name).is_some_and(|value| want.fits(value, rules));
                wants.iter().filter(fit).count() as f64 / all.max(1) as f64
            }
            (want, seen) => f64::from(u8::from(want.fits(seen, rules))),
        }
    }
}

impl std::fmt::Display for Want {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Any => f.write_str("anything"),
            Self::Text(regex) => write!(f, "a text like /{regex}/"),
            Self::Scalar(value, _) => write!(f, "{value}"),
            Self::List(items) => write_list(f, items),
            Self::Map(fields) => write_map(f, fields),
        }
    }
}

fn scalar_fits(want: &Json, canon: &str, seen: &Json, tolerance: f64) -> bool {
    match (want, seen) {
        (Json::Number(want), Json::Number(seen)) => {
            seen.canonical() == canon || tolerance > 0.0 && near(want, seen, tolerance)
        }
        (Json::Number(_), _) | (_, Json::Number(_)) => false,
        _ => want == seen,
    }
}

/// Whether two numbers are no further apart than `tolerance`, reckoned as decimals: 1.1 and 1.0 are 0.1 apart.
fn near(a: &Number, b: &Number, tolerance: f64) -> bool {
    let (x, y) = (a.as_f64(), b.as_f64());
    if !x.is_finite() || !y.is_finite() {
        return false;
    }
    // most are far apart or near without a doubt; the rest is reckoned exactly
    let doubt = 4.0 * f64::EPSILON * x.abs().max(y.abs()).max(tolerance);
    if (x - y).abs() > tolerance + doubt {
        return false;
    }
    match (
        decimal(&a.to_string()),
        decimal(&b.to_string()),
        decimal(&tolerance.to_string()),
    ) {
        (Some(a), Some(b), Some(tolerance)) => (a - b).abs() <= tolerance,
        _ => (x - y).abs() <= tolerance,
    }
}

/// A number as a decimal, unless it has so many places that nobody reckons with them.
fn decimal(text: &str) -> Option<BigDecimal> {
    let decimal = BigDecimal::from_str(text).ok()?;
    (decimal.fractional_digit_count().abs() <= PLACES).then_some(decimal)
}

/// The fields that a value names, as a text that is equal for values that name the same.
pub(super) fn shape(value: &Json) -> String {
    match value {
        Json::List(items) => format!("[{}]", items.iter().map(shape).collect::<Vec<_>>().join(",")),
        Json::Map(fields) => {
            let mut all: Vec<_> = fields
                .iter()
                .map(|(name, value)| format!("{}:{}", quoted(name), shape(value)))
                .collect();
            all.sort_unstable();
            format!("{{{}}}", all.join(","))
        }
        _ => ".".to_owned(),
    }
}

/// The part of a seen value that `like` names, in its canonical form; `None` where something of it is not there.
pub(super) fn project(like: &Json, seen: &Json) -> Option<String> {
    fn part(like: &Json, seen: &Json) -> Option<Json> {
        match (like, seen) {
            (Json::Map(names), Json::Map(_)) => names
                .iter()
                .map(|(name, like)| Some((name.clone(), part(like, seen.get(name)?)?)))
                .collect::<Option<Vec<_>>>()
                .map(Json::Map),
            (Json::List(likes), Json::List(items)) if likes.len() == items.len() => likes
                .iter()
                .zip(items)
                .map(|(like, item)| part(like, item))
                .collect::<Option<Vec<_>>>()
                .map(Json::List),
            (Json::Map(_) | Json::List(_), _) => None,
            (_, seen) => Some(seen.clone()),
        }
    }
    part(like, seen).map(|part| part.canonical())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const PARTIAL: Rules = Rules {
        fields: Fields::Partial,
        tolerance: 0.0,
    };

    fn want(value: Value) -> Want {
        Want::of(&value.into())
    }

    fn near(tolerance: f64) -> Rules {
        Rules {
            fields: Fields::Strict,
            tolerance,
        }
    }

    #[test]
    fn patterns_stand_for_what_they_say() {
        let want = want(json!({"id": {"$regex": "^o[0-9]+$"}, "at": {"$any": true}, "n": [1, {"$any": true}]}));
        assert!(!want.is_value());
        let fits = |seen: Value| want.fits(&seen.into(), Rules::STRICT);
        assert!(fits(json!({"id": "o17", "at": null, "n": [1.0, "x"]})));
        for wrong in [
            json!({"id": "x17", "at": 1, "n": [1, 2]}),
            json!({"id": 17, "at": 1, "n": [1, 2]}),
            json!({"id": "o17", "n": [1, 2]}),
            json!({"id": "o17", "at": 1, "n": [1]}),
            json!({"id": "o17", "at": 1, "n": [1, 2], "more": 1}),
        ] {
            assert!(!fits(wrong.clone()), "{wrong}");
        }
        assert_eq!(
            want.differences(&json!({"id": 1, "n": [2]}).into(), Rules::STRICT),
            [
                "id: expected a text like /^o[0-9]+$/, seen 1",
                "at: expected anything, seen nothing",
                "n[0]: expected 1, seen 2",
                "n[1]: expected anything, seen nothing",
            ]
        );
    }

    #[test]
    fn some_fields_are_all_that_counts_if_the_case_says_so() {
        let want = want(json!({"a": {"b": 1}}));
        let seen = Json::from(json!({"a": {"b": 1, "c": 2}, "d": 3}));
        assert!(want.fits(&seen, PARTIAL) && !want.fits(&seen, Rules::STRICT));
        assert!(
            !want.fits(&json!({"a": {"c": 2}}).into(), PARTIAL),
            "what is named has to be there"
        );
        assert!(want.differences(&seen, PARTIAL).is_empty());
        assert_eq!(
            want.differences(&seen, Rules::STRICT),
            ["a.c: expected nothing, seen 2", "d: expected nothing, seen 3"]
        );
    }

    #[test]
    fn numbers_may_be_apart_as_far_as_is_said() {
        let want = want(json!({"x": 1.0, "n": null, "t": "1"}));
        let fits = |x: Value, by| want.fits(&json!({"x": x, "n": null, "t": "1"}).into(), near(by));
        assert!(fits(json!(1.1), 0.1) && fits(json!(0.9), 0.1) && fits(json!(1), 0.0));
        assert!(!fits(json!(1.1001), 0.1) && !fits(json!(1.0001), 0.0) && !fits(json!("1"), 9.0));
        assert!(!fits(json!(null), 9.0));
    }

    #[test]
    fn numbers_beyond_a_double_are_told_apart() {
        let fits = |want: &str, seen: &str, by| {
            let parse = |text| Json::parse(text).unwrap();
            Want::of(&parse(want)).fits(&parse(seen), near(by))
        };
        assert!(!fits("12345678901234567890.1", "12345678901234567890.2", 0.0));
        assert!(fits("12345678901234567890.1", "12345678901234567890.2", 0.1));
        assert!(!fits("12345678901234567890.1", "12345678901234567890.3", 0.1));
        assert!(!fits("12345678901234567890", "12345678901234567891", 0.999));
        assert!(fits("1e400", "10e399", 0.0) && !fits("1e400", "1.1e400", 9.0));
        assert!(!fits("1e-999999999", "1", 0.5) && fits("1e-999999999", "0", 0.5));
    }

    #[test]
    fn what_is_told_to_be_json_is_no_pattern() {
        let literal = want(json!({"$json": {"$any": true}}));
        assert!(literal.fits(&json!({"$json": {"$any": true}}).into(), Rules::STRICT));
        assert!(!literal.fits(&json!({"$json": {"$any": 1}}).into(), Rules::STRICT));
    }

    fn values() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-3i64..3).prop_map(Value::from),
            (-3i64..3).prop_map(|n| Value::from(n as f64 / 2.0)),
            "[ab]{0,2}".prop_map(Value::from),
        ];
        leaf.prop_recursive(2, 12, 3, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
                proptest::collection::btree_map("[a-c]", inner, 0..3)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
        .prop_map(Json::from)
    }

    proptest! {
        #[test]
        fn without_patterns_it_is_equality(a in values(), b in values()) {
            let want = Want::of(&a);
            prop_assert!(want.is_value() && want.fits(&a, Rules::STRICT) && want.fits(&a, PARTIAL));
            let equal = a.canonical() == b.canonical();
            prop_assert_eq!(equal, a == b);
            prop_assert_eq!(want.fits(&b, Rules::STRICT), equal);
            prop_assert_eq!(want.differences(&b, Rules::STRICT).is_empty(), equal);
        }

        #[test]
        fn a_projection_is_equal_where_the_named_fields_fit(a in values(), b in values()) {
            prop_assert_eq!(project(&a, &b) == Some(a.canonical()), Want::of(&a).fits(&b, PARTIAL), "{} {}", a, b);
        }
    }
}
