//! YAML as a tree in which every key and value knows its place. Layers are laid over each other and decoded from it
//! (see `layer.rs` and `decode.rs`), so that whatever is wrong later is still told with file, line and column.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Error, Spanned};

use super::json::{Json, Number};
use super::source::{Place, Source};
use crate::diag::{Reason, Result};

/// A value and its place.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// What it is.
    pub(crate) value: Yaml,
    /// Where it stands.
    pub(crate) place: Place,
}

/// What a [`Node`] is. Scalars keep their spelling: `1.10` is the number 1.1, and the version `1.10`.
#[derive(Debug, Clone)]
pub(crate) enum Yaml {
    /// Nothing, `~` or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number and its spelling.
    Int(i64, String),
    /// A whole number beyond those.
    Uint(u64, String),
    /// Any other number and its spelling.
    Float(f64, String),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping; keys are unique.
    Map(Vec<Entry>),
}

/// A key of a mapping and what it holds.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The key; what is no text is spelt as it was.
    pub(crate) key: String,
    /// Where the key stands.
    pub(crate) place: Place,
    /// Its value.
    pub(crate) node: Node,
}

impl Node {
    /// The value of a key of this mapping.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|entry| &entry.node)
    }

    /// A key of this mapping.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The keys of this mapping; none where it is none.
    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.value {
            Yaml::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The members of this list; none where it is none.
    pub(crate) fn items(&self) -> &[Self] {
        match &self.value {
            Yaml::List(items) => items,
            _ => &[],
        }
    }

    /// The place of what lies at `path` (keys, joined by dots), or of the nearest that is there.
    pub(crate) fn locate(&self, path: &str) -> &Place {
        let mut node = self;
        for key in path.split('.') {
            let Some(next) = node.get(key) else { break };
            node = next;
        }
        &node.place
    }

    /// The value as JSON; numbers keep their digits.
    pub(crate) fn json(&self) -> Json {
        match &self.value {
            Yaml::Null => Json::Null,
            Yaml::Bool(value) => Json::Bool(*value),
            Yaml::Int(value, _) => Json::from(*value),
            Yaml::Uint(value, _) => Json::from(serde_json::Value::from(*value)),
            Yaml::Float(value, text) => {
                Number::spelt(text).map_or_else(|| Json::from(serde_json::Value::from(*value)), Json::Number)
            }
            Yaml::Text(text) => Json::Text(text.clone()),
            Yaml::List(items) => Json::List(items.iter().map(Self::json).collect()),
            Yaml::Map(entries) => Json::Map(
                entries
                    .iter()
                    .map(|entry| (entry.key.clone(), entry.node.json()))
                    .collect(),
            ),
        }
    }
}

/// Reads one YAML document. Booleans are `true` and `false` only, `0755` and `1_000` are text.
///
/// # Errors
/// `reason`, at its place: no YAML, more than one document, a key that is there twice.
pub(crate) fn parse(source: &Arc<Source>, reason: Reason) -> Result<Node> {
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        with_snippet: false,
    };
    let tree: Spanned<Any> = serde_saphyr::from_str_with_options(&source.text, options).map_err(|error| {
        let error = error.without_snippet();
        let place = error.location().map_or_else(
            || Place::start(source),
            |at| Place::new(source, count(at.line()), count(at.column()), 1),
        );
        let why = match error {
            Error::MultipleDocuments { .. } => "there is more than one document in the file".to_owned(),
            Error::NonFiniteFloat { value, .. } => format!("`{value}` is no finite number; text wants quotes"),
            other => without_position(&other.to_string()).to_owned(),
        };
        place.failure(reason, format!("this is not valid YAML: {why}"))
    })?;
    placed(tree.into(), source, reason)
}

fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The parser's sentence without the position at its end: the failure has it already.
fn without_position(message: &str) -> &str {
    let cut = [" at line ", ": line ", " (line "]
        .iter()
        .filter_map(|mark| message.rfind(mark))
        .max();
    cut.map_or(message, |at| &message[..at]).trim_end_matches(['.', ':'])
}

/// A value as the parser hands it over.
#[derive(Debug)]
enum Any {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Text(String),
    List(Vec<Item>),
    Map(Vec<(Item, Item)>),
}

/// A value and where it was seen, in a third of what the parser takes for that: a case may have a million of them.
#[derive(Debug)]
struct Item {
    value: Any,
    line: u32,
    column: u32,
    /// How many characters are marked there.
    width: u32,
    /// The bytes that it was spelt with, where it was defined: start and length.
    spelt: Option<(u32, u32)>,
}

impl From<Spanned<Any>> for Item {
    fn from(spanned: Spanned<Any>) -> Self {
        let Spanned {
            value,
            referenced,
            defined,
        } = spanned;
        let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        // only of a number it matters, and the parser knows none of a text that is not in one piece
        let span = defined.span();
        let spelt = span.byte_offset().zip(span.byte_len());
        Self {
            value,
            line: small(referenced.line()),
            column: small(referenced.column()),
            width: small(referenced.span().len()),
            spelt: spelt.map(|(start, length)| (small(start), small(length))),
        }
    }
}

impl<'de> Deserialize<'de> for Any {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyVisitor;

        impl<'de> Visitor<'de> for AnyVisitor {
            type Value = Any;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("any value")
            }

            fn visit_unit<E>(self) -> Result<Any, E> {
                Ok(Any::Null)
            }

            fn visit_none<E>(self) -> Result<Any, E> {
                Ok(Any::Null)
            }

            fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Any, D::Error> {
                Any::deserialize(deserializer)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Any, E> {
                Ok(Any::Bool(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Any, E> {
                Ok(Any::Int(value))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Any, E> {
                Ok(i64::try_from(value).map_or(Any::Uint(value), Any::Int))
            }

            // its digits are those that are written
            fn visit_i128<E>(self, value: i128) -> Result<Any, E> {
                Ok(Any::Float(value as f64))
            }

            fn visit_u128<E>(self, value: u128) -> Result<Any, E> {
                Ok(Any::Float(value as f64))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Any, E> {
                Ok(Any::Float(value))
            }

            fn visit_str<E>(self, value: &str) -> Result<Any, E> {
                Ok(Any::Text(value.to_owned()))
            }

            fn visit_string<E>(self, value: String) -> Result<Any, E> {
                Ok(Any::Text(value))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Any, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = access.next_element::<Spanned<Any>>()? {
                    items.push(item.into());
                }
                Ok(Any::List(items))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Any, A::Error> {
                let mut entries = Vec::new();
                while let Some((key, value)) = access.next_entry::<Spanned<Any>, Spanned<Any>>()? {
                    entries.push((key.into(), value.into()));
                }
                Ok(Any::Map(entries))
            }
        }

        deserializer.deserialize_any(AnyVisitor)
    }
}

/// What is written at a place, for plain scalars.
fn spelling(spelt: Option<(u32, u32)>, source: &Source) -> Option<String> {
    let (start, length) = spelt?;
    let start = usize::try_from(start).ok()?;
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    source.text.get(start..end).map(|text| text.trim().to_owned())
}

fn placed(item: Item, source: &Arc<Source>, reason: Reason) -> Result<Node> {
    let Item {
        value,
        line,
        column,
        width: marked,
        spelt,
    } = item;
    let spelt = || spelling(spelt, source);
    let (value, width) = match value {
        Any::Null => (Yaml::Null, 1),
        Any::Bool(value) => (Yaml::Bool(value), 4),
        Any::Int(value) => (Yaml::Int(value, spelt().unwrap_or_else(|| value.to_string())), 0),
        Any::Uint(value) => (Yaml::Uint(value, spelt().unwrap_or_else(|| value.to_string())), 0),
        Any::Float(value) => (Yaml::Float(value, spelt().unwrap_or_else(|| value.to_string())), 0),
        Any::Text(text) => (Yaml::Text(text), 0),
        Any::List(items) => {
            let items = items
                .into_iter()
                .map(|item| placed(item, source, reason))
                .collect::<Result<_>>()?;
            (Yaml::List(items), 1)
        }
        Any::Map(entries) => (Yaml::Map(mapping(entries, source, reason)?), 1),
    };
    let width = if width > 0 { width } else { marked.max(1) as usize };
    Ok(Node {
        value,
        place: Place::new(source, line as usize, column as usize, width),
    })
}

fn mapping(entries: Vec<(Item, Item)>, source: &Arc<Source>, reason: Reason) -> Result<Vec<Entry>> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut found: Vec<Entry> = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        let key = placed(key, source, reason)?;
        let text = match key.value {
            Yaml::Text(text) | Yaml::Int(_, text) | Yaml::Uint(_, text) | Yaml::Float(_, text) => text,
            Yaml::Bool(value) => value.to_string(),
            Yaml::Null => return Err(key.place.failure(reason, "a key is missing before the colon")),
            Yaml::List(_) | Yaml::Map(_) => {
                return Err(key.place.failure(reason, "a key is one word, not a list or a mapping"));
            }
        };
        if let Some(first) = seen.insert(text.clone(), found.len()) {
            let first = &found[first].place;
            return Err(key
                .place
                .failure(
                    reason,
                    format!("the key `{text}` is there twice, first in line {}", first.line),
                )
                .evidence(first.excerpt())
                .next("remove one of the two"));
        }
        found.push(Entry {
            key: text,
            place: key.place,
            node: placed(value, source, reason)?,
        });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_text(text: &str) -> Result<Node> {
        parse(&Source::new("t.yaml", text), Reason::ConfigInvalid)
    }

    #[test]
    fn every_value_and_key_has_its_place() {
        let tree = parse_text("a: 1\nb:\n  - x\n  - c: {d: 'e f'}\n").unwrap();
        let place = |node: &Node| (node.place.line, node.place.column);
        assert_eq!(place(tree.get("a").unwrap()), (1, 4));
        let list = tree.get("b").unwrap().items();
        assert_eq!(place(&list[0]), (3, 5));
        let entry = list[1].get("c").unwrap().entry("d").unwrap();
        assert_eq!((entry.place.line, entry.place.column), (4, 9));
        assert_eq!(place(&entry.node), (4, 12));
        assert_eq!(
            tree.json(),
            serde_json::json!({"a": 1, "b": ["x", {"c": {"d": "e f"}}]})
        );
    }

    #[test]
    fn scalars_keep_their_spelling() {
        let tree = parse_text("v: 1.10\nw: &a 2.20\nx: *a\nz: 0755\nt: 1_000\nb: yes\nn:\nbig: 18446744073709551615\n")
            .unwrap();
        let spelt = |key: &str| match &tree.get(key).unwrap().value {
            Yaml::Float(_, text) | Yaml::Text(text) | Yaml::Uint(_, text) => text.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(spelt("v"), "1.10");
        assert_eq!(spelt("w"), "2.20");
        assert_eq!(spelt("x"), "2.20");
        assert_eq!(spelt("z"), "0755");
        assert_eq!(spelt("t"), "1_000");
        assert_eq!(spelt("b"), "yes");
        assert_eq!(spelt("big"), "18446744073709551615");
        assert!(matches!(tree.get("n").unwrap().value, Yaml::Null));
    }

    #[test]
    fn what_is_no_yaml_is_told_with_its_place() {
        let told: Vec<String> = [
            "a: [1,\nb: 2\n",
            "a: 'x\n",
            "a:\n\tb: 1\n",
            "a: 1\n b: 2\n",
            "a: 1\n---\nb: 2\n",
            "a: *x\n",
            "a: 1e999\n",
            "a: @x\n",
            "? [a]\n: 1\n",
            ": 1\n",
        ]
        .iter()
        .map(|text| format!("{text:?}\n{}\n", parse_text(text).unwrap_err()))
        .collect();
        insta::assert_snapshot!(told.join("\n"));
    }

    #[test]
    fn a_key_that_is_there_twice_names_both_places() {
        let failure = parse_text("a: 1\nb: 2\n'a': 3\n").unwrap_err();
        assert_eq!(
            failure.to_string(),
            "t.yaml:3:1: the key `a` is there twice, first in line 1"
        );
        assert_eq!(failure.detail().evidence.len(), 2);
        assert!(parse_text("x:\n  a: 1\n  a: 2\n").is_err(), "deeper down, too");
    }
}
