//! The test case as users write it. The descriptions of the JSON Schema are the comments of this file.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::case::Match;
use super::units::{Format, Span};

/// A test case of `dev`: records in, a SQL script, records out. Each case has topics of its own; the script names them
/// as `${topic.NAME}`, and the brokers as `${kafka.bootstrap}`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Test case of dev")]
pub(super) struct RawCase {
    /// The version of this format, 1.
    #[expect(dead_code, reason = "checked before the rest is read")]
    pub(super) version: Format,
    /// The name of the case; that of the file if there is none.
    pub(super) name: Option<String>,
    /// The file of the SQL script, relative to this file.
    pub(super) sql: String,
    /// What goes into the topics, by the topic's name, before the job is looked at.
    #[serde(default)]
    pub(super) given: BTreeMap<String, Form<RawGiven>>,
    /// What must come out of the topics, by the topic's name: neither more nor less. At least one topic.
    #[serde(default)]
    #[schemars(extend("minProperties" = 1))]
    pub(super) expect: BTreeMap<String, Form<RawExpectation>>,
    /// How long all may take, from the submission to the last record, e.g. `90s`; `60s` if nothing is said.
    #[schemars(extend("default" = "60s"))]
    pub(super) within: Option<Span>,
}

/// Records for a topic.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline, extend("oneOf" = [{"required": ["records"]}, {"required": ["file"]}]))]
pub(super) struct RawGiven {
    /// The partitions of the topic; 1 if nothing is said.
    #[schemars(range(min = 1, max = 100), extend("default" = 1))]
    pub(super) partitions: Option<u32>,
    /// The records, in order.
    #[schemars(with = "Option<Vec<RawRecord>>")]
    #[expect(dead_code, reason = "read from the tree, with their places")]
    pub(super) records: Option<Vec<IgnoredAny>>,
    /// A file with the records instead, relative to this file: one JSON a line (JSON Lines).
    #[expect(dead_code, reason = "read from the tree, with its place")]
    pub(super) file: Option<String>,
}

/// What must come out of a topic.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline, extend("oneOf" = [{"required": ["records"]}, {"required": ["file"]}]))]
pub(super) struct RawExpectation {
    /// How records are compared; `unordered` if nothing is said.
    #[serde(rename = "match")]
    #[schemars(extend("default" = "unordered"))]
    pub(super) mode: Option<Match>,
    /// The records; an empty list if none may come out.
    #[schemars(with = "Option<Vec<RawRecord>>")]
    #[expect(dead_code, reason = "read from the tree, with their places")]
    pub(super) records: Option<Vec<IgnoredAny>>,
    /// A file with the records instead, relative to this file: one JSON a line (JSON Lines).
    #[expect(dead_code, reason = "read from the tree, with its place")]
    pub(super) file: Option<String>,
}

/// A list of records, or a mapping that says more. The records themselves are read from the tree, with their places.
#[derive(Debug)]
pub(super) enum Form<T> {
    /// A list.
    Short,
    /// A mapping.
    Long(T),
}

/// One record, for the schema; `load_case.rs` tells the forms apart.
pub(super) struct RawRecord;

impl<'de, T: DeserializeOwned> Deserialize<'de> for Form<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FormVisitor<T>(PhantomData<T>);

        impl<'de, T: DeserializeOwned> Visitor<'de> for FormVisitor<T> {
            type Value = Form<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of records, or a mapping with `records` or `file`")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Form<T>, A::Error> {
                while access.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Form::Short)
            }

            fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<Form<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(access)).map(Form::Long)
            }
        }

        deserializer.deserialize_any(FormVisitor(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Form<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Form_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let records = generator.subschema_for::<Vec<RawRecord>>();
        let long = generator.subschema_for::<T>();
        json_schema!({"anyOf": [records, long]})
    }
}

impl JsonSchema for RawRecord {
    fn schema_name() -> Cow<'static, str> {
        "Record".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A record. A mapping with `value`, and besides it at most `key`, is the long form: `{key: eu, value: \
                            {total: 3}}`. Anything else is the value itself: `{total: 3}`. A value is sent as JSON, a key that is \
                            text as it is, any other key as JSON. The value `null` is a tombstone.",
            "anyOf": [
                {
                    "type": "object",
                    "required": ["value"],
                    "properties": {
                        "key": {"description": "The record's key."},
                        "value": {"description": "The record's value; `null` is a tombstone."}
                    },
                    "additionalProperties": false
                },
                true
            ]
        })
    }
}
