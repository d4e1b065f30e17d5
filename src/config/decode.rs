//! From the tree of a YAML file to typed values; what is wrong is told as a [`Mismatch`].

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};

use super::mismatch::Mismatch;
use super::words::listed;
use super::yaml::{Entry, Node, Yaml};
use crate::diag::{Reason, Result};

/// Reads a typed value out of a tree.
///
/// # Errors
/// `reason`, at the place of the first thing that is wrong.
pub(crate) fn decode<T: DeserializeOwned>(node: &Node, reason: Reason) -> Result<T> {
    T::deserialize(node).map_err(|error| error.at(&node.place).into_failure(reason))
}

type Decoded<T> = Result<T, Mismatch>;

impl Node {
    fn found(&self) -> String {
        match &self.value {
            Yaml::Null => "nothing".to_owned(),
            Yaml::Bool(value) => format!("`{value}`"),
            Yaml::Int(_, text) | Yaml::Uint(_, text) | Yaml::Float(_, text) => format!("the number {text}"),
            Yaml::Text(text) if text.chars().count() > 40 => {
                format!("the text `{}…`", text.chars().take(40).collect::<String>())
            }
            Yaml::Text(text) => format!("the text `{text}`"),
            Yaml::List(_) => "a list".to_owned(),
            Yaml::Map(_) => "a mapping".to_owned(),
        }
    }

    fn expected<T>(&self, what: &str) -> Decoded<T> {
        Err(Mismatch::new(format!("expected {what}, found {}", self.found())).at(&self.place))
    }

    /// The spelling of a scalar that is not null.
    pub(crate) fn spelling(&self) -> Option<&str> {
        match &self.value {
            Yaml::Bool(true) => Some("true"),
            Yaml::Bool(false) => Some("false"),
            Yaml::Int(_, text) | Yaml::Uint(_, text) | Yaml::Float(_, text) | Yaml::Text(text) => Some(text),
            Yaml::Null | Yaml::List(_) | Yaml::Map(_) => None,
        }
    }

    fn whole_number<'de, V: Visitor<'de>>(&self, visitor: V) -> Decoded<V::Value> {
        match self.value {
            Yaml::Int(value, _) => visitor.visit_i64(value),
            Yaml::Uint(value, _) => visitor.visit_u64(value),
            _ => self.expected("a whole number"),
        }
        .map_err(|error: Mismatch| error.at(&self.place))
    }

    fn list<'de, V: Visitor<'de>>(&self, items: &[Self], visitor: V) -> Decoded<V::Value> {
        visitor
            .visit_seq(Items(items.iter()))
            .map_err(|error| error.at(&self.place))
    }

    fn mapping<'de, V: Visitor<'de>>(&self, entries: &[Entry], visitor: V) -> Decoded<V::Value> {
        let entries = Entries {
            entries: entries.iter(),
            value: None,
        };
        visitor.visit_map(entries).map_err(|error| error.at(&self.place))
    }
}

macro_rules! whole_numbers {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
            self.whole_number(visitor)
        })*
    };
}

impl<'de> Deserializer<'de> for &Node {
    type Error = Mismatch;

    whole_numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        match &self.value {
            Yaml::Null => visitor.visit_unit(),
            Yaml::Bool(value) => visitor.visit_bool(*value),
            Yaml::Int(value, _) => visitor.visit_i64(*value),
            Yaml::Uint(value, _) => visitor.visit_u64(*value),
            Yaml::Float(value, _) => visitor.visit_f64(*value),
            Yaml::Text(text) => visitor.visit_str(text),
            Yaml::List(items) => self.list(items, visitor),
            Yaml::Map(entries) => self.mapping(entries, visitor),
        }
        .map_err(|error: Mismatch| error.at(&self.place))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        match self.value {
            Yaml::Bool(value) => visitor.visit_bool(value),
            _ => self.expected("`true` or `false`"),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        match self.value {
            Yaml::Float(value, _) => visitor
                .visit_f64(value)
                .map_err(|error: Mismatch| error.at(&self.place)),
            Yaml::Int(..) | Yaml::Uint(..) => self.whole_number(visitor),
            _ => self.expected("a number"),
        }
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        self.deserialize_str(visitor)
    }

    /// Any scalar is text as it is spelt, so that a version `1.10` needs no quotes.
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        match self.spelling() {
            Some(text) => visitor.visit_str(text).map_err(|error: Mismatch| error.at(&self.place)),
            None => self.expected("text"),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        match self.value {
            Yaml::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        match self.value {
            Yaml::Null => visitor.visit_unit(),
            _ => self.expected("nothing"),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Decoded<V::Value> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Decoded<V::Value> {
        visitor
            .visit_newtype_struct(self)
            .map_err(|error| error.at(&self.place))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        match &self.value {
            Yaml::List(items) => self.list(items, visitor),
            _ => self.expected("a list"),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Decoded<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(self, _: &'static str, _: usize, visitor: V) -> Decoded<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        match &self.value {
            Yaml::Map(entries) => self.mapping(entries, visitor),
            _ => self.expected("a mapping"),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        keys: &'static [&'static str],
        visitor: V,
    ) -> Decoded<V::Value> {
        match &self.value {
            Yaml::Map(entries) => self.mapping(entries, visitor),
            _ => self.expected(&format!("a mapping with keys of {}", listed(keys.iter().copied()))),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        words: &'static [&'static str],
        visitor: V,
    ) -> Decoded<V::Value> {
        match self.spelling() {
            Some(word) => visitor.visit_enum(Word(word)).map_err(|error| error.at(&self.place)),
            None => self.expected(&format!("one of {}", listed(words.iter().copied()))),
        }
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        visitor.visit_unit()
    }
}

struct Items<'a>(std::slice::Iter<'a, Node>);

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Mismatch;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Decoded<Option<T::Value>> {
        let Some(node) = self.0.next() else { return Ok(None) };
        seed.deserialize(node).map(Some).map_err(|error| error.at(&node.place))
    }
}

struct Entries<'a> {
    entries: std::slice::Iter<'a, Entry>,
    value: Option<&'a Node>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Mismatch;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Decoded<Option<K::Value>> {
        let Some(entry) = self.entries.next() else {
            return Ok(None);
        };
        self.value = Some(&entry.node);
        let key: StrDeserializer<'_, Mismatch> = entry.key.as_str().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|error| error.at(&entry.place))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Decoded<V::Value> {
        let node = self
            .value
            .take()
            .ok_or_else(|| Mismatch::new("a value was asked for before its key"))?;
        seed.deserialize(node).map_err(|error| error.at(&node.place))
    }
}

/// A word of an enumeration.
struct Word<'a>(&'a str);

impl<'de> EnumAccess<'de> for Word<'_> {
    type Error = Mismatch;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Decoded<(V::Value, Self)> {
        let word: StrDeserializer<'_, Mismatch> = self.0.into_deserializer();
        Ok((seed.deserialize(word)?, self))
    }
}

impl<'de> VariantAccess<'de> for Word<'_> {
    type Error = Mismatch;

    fn unit_variant(self) -> Decoded<()> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Decoded<T::Value> {
        Err(Mismatch::new(format!("`{}` holds nothing", self.0)))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Decoded<V::Value> {
        Err(Mismatch::new(format!("`{}` holds nothing", self.0)))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Decoded<V::Value> {
        Err(Mismatch::new(format!("`{}` holds nothing", self.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::source::Source;
    use crate::config::yaml::parse;

    #[derive(Debug, serde::Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Shop {
        name: String,
        #[serde(default)]
        open: Option<bool>,
        #[serde(default)]
        shelves: Vec<u16>,
        #[serde(default)]
        kind: Option<Kind>,
    }

    #[derive(Debug, serde::Deserialize, PartialEq)]
    #[serde(rename_all = "kebab-case")]
    enum Kind {
        CornerShop,
        Market,
    }

    fn read(text: &str) -> Result<Shop> {
        decode(
            &parse(&Source::new("t", text), Reason::ConfigInvalid)?,
            Reason::ConfigInvalid,
        )
    }

    #[test]
    fn a_good_tree_is_read() {
        let shop = read("name: 1.10\nopen: true\nshelves: [1, 2]\nkind: corner-shop\n").unwrap();
        let expected = Shop {
            name: "1.10".to_owned(),
            open: Some(true),
            shelves: vec![1, 2],
            kind: Some(Kind::CornerShop),
        };
        assert_eq!(shop, expected);
        assert_eq!(read("name: x\nopen:\n").unwrap().open, None, "nothing is no value");
    }

    #[test]
    fn what_is_wrong_is_told_at_its_place() {
        for (text, message) in [
            (
                "name: x\nopne: true\n",
                "t:2:1: unknown key `opne`, did you mean `open`?",
            ),
            ("name: x\ncolour: red\n", "t:2:1: unknown key `colour`"),
            (
                "name: x\nopen: yes\n",
                "t:2:7: expected `true` or `false`, found the text `yes`",
            ),
            (
                "name: x\nshelves: [1, 70000]\n",
                "t:2:14: expected a whole number from 0 to 65535, found 70000",
            ),
            (
                "name: x\nshelves: [1, -1]\n",
                "t:2:14: expected a whole number from 0 to 65535, found -1",
            ),
            (
                "name: x\nshelves: [1.5]\n",
                "t:2:11: expected a whole number, found the number 1.5",
            ),
            ("name: x\nshelves: 1\n", "t:2:10: expected a list, found the number 1"),
            (
                "name: x\nkind: markt\n",
                "t:2:7: unknown value `markt`, did you mean `market`?",
            ),
            (
                "name: x\nkind: [market]\n",
                "t:2:7: expected one of `corner-shop`, `market`, found a list",
            ),
            ("name: [x]\n", "t:1:7: expected text, found a list"),
            ("open: true\n", "t:1:1: the key `name` is missing"),
            (
                "7\n",
                "t:1:1: expected a mapping with keys of `name`, `open`, `shelves`, `kind`, found the number 7",
            ),
        ] {
            assert_eq!(read(text).unwrap_err().to_string(), message, "{text}");
        }
    }
}
