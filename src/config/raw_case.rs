//! The test case as users write it. The descriptions of the JSON Schema are the comments of this file.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::case::{Fields, Match};
use super::hook::{Collect, RawHook};
use super::raw_steps::{RawJob, RawStep};
use super::steps::Need;
use super::units::{Format, Span};

/// A test case of `dev`: records in, a SQL script (or a program of a jar, or in Python), records out. Each case has topics
/// of its own; the script, or `args`, names them as `${topic.NAME}`, the brokers as `${kafka.bootstrap}`, and the
/// schema registry as `${registry.url}`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(
    title = "Test case of dev",
    extend("anyOf" = [
        {"required": ["sql"]},
        {"required": ["jar"]},
        {"required": ["project"]},
        {"required": ["python"]}
    ])
)]
pub(super) struct RawCase {
    /// The version of this format, 1.
    #[expect(dead_code, reason = "checked before the rest is read")]
    pub(super) version: Format,
    /// The name of the case; that of the file if there is none.
    pub(super) name: Option<String>,
    /// The file of the SQL script, relative to this file.
    pub(super) sql: Option<String>,
    /// A jar, relative to this file: the program to be run; beside `sql`, what the script needs, such as the classes of
    /// its functions.
    pub(super) jar: Option<String>,
    /// The folder of a Maven or Gradle project instead, relative to this file: it is built first, and its jar is taken.
    pub(super) project: Option<String>,
    /// The class of the jar that starts the job; the one that its manifest names if nothing is said.
    pub(super) class: Option<String>,
    /// The file of a Python program, relative to this file; modules beside it that it imports go with it. The session
    /// cluster has to have Python.
    pub(super) python: Option<String>,
    /// What the program is given.
    #[serde(default)]
    #[schemars(with = "Vec<RawValue>")]
    pub(super) args: Vec<String>,
    /// What goes into the topics, by the topic's name, before the job is looked at.
    #[serde(default)]
    pub(super) given: BTreeMap<String, Form<RawGiven>>,
    /// What must come out of the topics, by the topic's name: neither more nor less. At least one topic.
    #[serde(default)]
    #[schemars(extend("minProperties" = 1))]
    pub(super) expect: BTreeMap<String, Form<RawExpectation>>,
    /// What must not come out of the topics, by the topic's name: `any` record at all, or one that has these fields (a
    /// list, or a mapping that says how they are read, too).
    #[serde(default)]
    pub(super) forbid: BTreeMap<String, RawForbid>,
    /// What happens after the job was submitted and the given records were sent, in order; it begins when the job runs.
    #[serde(default)]
    pub(super) steps: Vec<RawStep>,
    /// What becomes of the job, looked at when the records are as expected.
    pub(super) job: Option<RawJob>,
    /// What the environment must have: `ha` (high availability), `savepoints` (a folder for them), `python`, `registry` (a
    /// schema registry). Without it the case is not run and counts as skipped; if it is not said here, that is an error.
    #[serde(default)]
    pub(super) needs: Vec<Need>,
    /// Values by their names: `${var.NAME}` stands for one, in any text of this file and in the script.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, RawValue>")]
    #[expect(dead_code, reason = "read from the tree, before the rest is decoded")]
    pub(super) vars: BTreeMap<String, IgnoredAny>,
    /// Several cases of one file: each name has a list of values, and there is a case for every choice of them; or a list
    /// of sets of values, each a mapping. A case is called `NAME[size=1,region=eu]`.
    #[schemars(with = "Option<RawMatrix>")]
    #[expect(dead_code, reason = "read from the tree, before the rest is decoded")]
    pub(super) matrix: Option<Matrix>,
    /// What is done before the job is submitted and records are sent, in order; the topics are there. What fails is an
    /// error of the case.
    #[serde(default)]
    pub(super) setup: Vec<RawHook>,
    /// What is done after the verdict, whatever it is, also after Ctrl-C; the job still runs, the topics are there.
    #[serde(default)]
    pub(super) teardown: Vec<RawHook>,
    /// The evidence that is gathered if the case does not pass; all of it if nothing is said.
    pub(super) collect: Option<Vec<Collect>>,
    /// Words by which cases are chosen: `dev test --tag WORD`.
    #[serde(default)]
    pub(super) tags: Vec<String>,
    /// Why this case is not to be run for now.
    pub(super) skip: Option<String>,
    /// How long all may take, from the submission to the last record, e.g. `90s`; `60s` if nothing is said.
    #[schemars(extend("default" = "60s"))]
    pub(super) within: Option<Span>,
}

/// A value of `vars` and `matrix`, for the schema.
#[derive(JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) enum RawValue {
    Text(String),
    Number(f64),
    Bool(bool),
}

/// The values of a matrix, for the schema.
#[derive(JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) enum RawMatrix {
    /// Lists of values by their names.
    Lists(BTreeMap<String, Vec<RawValue>>),
    /// Sets of values.
    Sets(Vec<BTreeMap<String, RawValue>>),
}

/// A mapping of lists, or a list of mappings. The values themselves are read from the tree, with their places.
#[derive(Debug)]
pub(super) struct Matrix;

impl<'de> Deserialize<'de> for Matrix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MatrixVisitor;

        impl<'de> Visitor<'de> for MatrixVisitor {
            type Value = Matrix;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping of names to lists of values, or a list of mappings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Matrix, A::Error> {
                while access.next_entry::<String, Vec<IgnoredAny>>()?.is_some() {}
                Ok(Matrix)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Matrix, A::Error> {
                while access.next_element::<BTreeMap<String, IgnoredAny>>()?.is_some() {}
                Ok(Matrix)
            }
        }

        deserializer.deserialize_any(MatrixVisitor)
    }
}

/// Records for a topic.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline, extend("oneOf" = [{"required": ["records"]}, {"required": ["file"]}]))]
pub(super) struct RawGiven {
    /// The partitions of the topic; 1 if nothing is said.
    #[schemars(range(min = 1, max = 100), extend("default" = 1))]
    pub(super) partitions: Option<u32>,
    /// How values are written; `json` if nothing is said.
    #[schemars(extend("default" = "json"))]
    pub(super) format: Option<RawFormat>,
    /// The names of the columns, in order, for `format: csv`; those of the first record if nothing is said.
    #[serde(default)]
    pub(super) columns: Vec<String>,
    /// For `format: avro` and `avro-confluent`: the schema, or the name of a file with it, relative to this file.
    #[schemars(with = "Option<serde_json::Value>", extend("type" = ["string", "object", "array"]))]
    #[expect(dead_code, reason = "read from the tree, with its place")]
    pub(super) schema: Option<IgnoredAny>,
    /// A record that is sent to every partition after all others, so that event time goes on and windows close.
    #[schemars(with = "Option<RawRecord>")]
    #[expect(dead_code, reason = "read from the tree, with its place")]
    pub(super) close: Option<IgnoredAny>,
    /// The records, in order.
    #[schemars(with = "Option<Vec<RawRecord>>")]
    #[expect(dead_code, reason = "read from the tree, with their places")]
    pub(super) records: Option<Vec<IgnoredAny>>,
    /// A file with the records instead, relative to this file: one JSON a line (JSON Lines), or
    /// comma-separated with names in the first line if its name ends in `.csv`.
    #[expect(dead_code, reason = "read from the tree, with its place")]
    pub(super) file: Option<String>,
}

/// What must come out of a topic.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline, extend("oneOf" = [{"required": ["records"]}, {"required": ["file"]}]))]
pub(super) struct RawExpectation {
    /// The partitions of a topic into which nothing is given; 1 if nothing is said.
    #[schemars(range(min = 1, max = 100), extend("default" = 1))]
    pub(super) partitions: Option<u32>,
    /// How records are compared; `unordered` if nothing is said.
    #[serde(rename = "match")]
    #[schemars(extend("default" = "unordered"))]
    pub(super) mode: Option<Match>,
    /// Which fields count; `strict` (all) if nothing is said.
    #[schemars(extend("default" = "strict"))]
    pub(super) fields: Option<Fields>,
    /// How far numbers may be apart, e.g. `0.001`; 0 if nothing is said.
    #[schemars(range(min = 0.0), extend("default" = 0))]
    pub(super) tolerance: Option<f64>,
    /// `true` looks for surplus and doubled records with more patience: until one more checkpoint is complete, where
    /// the job takes any, and for 3 s.
    pub(super) exactly: Option<bool>,
    /// How long nothing may come after the last expected record; `1s` if nothing is said.
    #[schemars(extend("default" = "1s"))]
    pub(super) quiet: Option<Span>,
    /// For `match: window`: the fields that name a window, and what is counted in it; `window_start` and `window_end`
    /// if nothing is said.
    #[serde(default)]
    pub(super) by: Vec<String>,
    /// How values are read; `json` if nothing is said (what is no JSON is text).
    #[schemars(extend("default" = "json"))]
    pub(super) format: Option<RawFormat>,
    /// The names of the columns, in order, for `format: csv`; without them a record is a list.
    #[serde(default)]
    pub(super) columns: Vec<String>,
    /// For `format: avro`: the schema, or the name of a file with it, relative to this file. For `avro-confluent` it may be
    /// left out: records are read by the schema that they were written with, and have to fit this one if there is one.
    #[schemars(with = "Option<serde_json::Value>", extend("type" = ["string", "object", "array"]))]
    #[expect(dead_code, reason = "read from the tree, with its place")]
    pub(super) schema: Option<IgnoredAny>,
    /// The records; an empty list if none may come out.
    #[schemars(with = "Option<Vec<RawRecord>>")]
    #[expect(dead_code, reason = "read from the tree, with their places")]
    pub(super) records: Option<Vec<IgnoredAny>>,
    /// A file with the records instead, relative to this file: one JSON a line (JSON Lines), or
    /// comma-separated with names in the first line if its name ends in `.csv`.
    #[expect(dead_code, reason = "read from the tree, with its place")]
    pub(super) file: Option<String>,
}

/// How the bytes of a value are made or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(super) enum RawFormat {
    /// JSON.
    Json,
    /// One line of comma-separated values.
    Csv,
    /// The text as it is.
    Raw,
    /// Avro's binary encoding, of a value of the `schema`.
    Avro,
    /// The same behind the id of its schema in the schema registry, as Confluent's serializers write it.
    AvroConfluent,
}

/// Records that must not come: any, those of a list, or a mapping that says more.
#[derive(Debug)]
pub(super) enum RawForbid {
    Any,
    Records,
    Long(RawForbidden),
}

/// Records that must not come out of a topic, and how they are read.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline, extend("oneOf" = [{"required": ["records"]}, {"required": ["file"]}]))]
pub(super) struct RawForbidden {
    /// How values are read; as the case says of this topic elsewhere, else `json`, if nothing is said.
    pub(super) format: Option<RawFormat>,
    /// The names of the columns, in order, for `format: csv`.
    #[serde(default)]
    pub(super) columns: Vec<String>,
    /// For `format: avro`: the schema, or the name of a file with it, relative to this file. For `avro-confluent` it may be
    /// left out: records are read by the schema that they were written with, and have to fit this one if there is one.
    #[schemars(with = "Option<serde_json::Value>", extend("type" = ["string", "object", "array"]))]
    #[expect(dead_code, reason = "read from the tree, with its place")]
    pub(super) schema: Option<IgnoredAny>,
    /// The records, by some of their fields.
    #[schemars(with = "Option<Vec<RawRecord>>")]
    #[expect(dead_code, reason = "read from the tree, with their places")]
    pub(super) records: Option<Vec<IgnoredAny>>,
    /// A file with the records instead, as for what is expected.
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

impl<'de> Deserialize<'de> for RawForbid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ForbidVisitor;

        impl<'de> Visitor<'de> for ForbidVisitor {
            type Value = RawForbid;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`any`, a list of records, or a mapping with `records` or `file`")
            }

            fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<RawForbid, A::Error> {
                RawForbidden::deserialize(MapAccessDeserializer::new(access)).map(RawForbid::Long)
            }

            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<RawForbid, E> {
                if word == "any" {
                    Ok(RawForbid::Any)
                } else {
                    Err(E::custom(format!(
                        "expected `any`, a list of records, or a mapping, found the text `{word}`"
                    )))
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<RawForbid, A::Error> {
                while access.next_element::<IgnoredAny>()?.is_some() {}
                Ok(RawForbid::Records)
            }
        }

        deserializer.deserialize_any(ForbidVisitor)
    }
}

impl JsonSchema for RawForbid {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Forbid".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let records = generator.subschema_for::<Vec<RawRecord>>();
        let long = generator.subschema_for::<RawForbidden>();
        json_schema!({"anyOf": [{"const": "any", "description": "No record at all may come."}, records, long]})
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
            "description": "A record. A mapping with `value`, and besides it at most `key`, `headers`, `timestamp`, `partition` \
                            and `repeat`, is the long form: `{key: eu, value: {total: 3}}`. Anything else is the value itself: \
                            `{total: 3}`. A value is sent as JSON, a key that is text as it is, any other key as JSON. The value \
                            `null` is a tombstone, `{$json: null}` is JSON's null. `{$hex: 00ff}` are bytes. In an expected \
                            record `{$regex: PATTERN}` stands for a text that matches, `{$any: true}` for anything that is \
                            there; headers, time and partition count where they are named.",
            "anyOf": [
                {
                    "type": "object",
                    "required": ["value"],
                    "properties": {
                        "key": {"description": "The record's key."},
                        "value": {"description": "The record's value; `null` is a tombstone."},
                        "headers": {
                            "description": "The record's headers. Of expected ones, those that are not named may be there with \
                                            `fields: partial` only.",
                            "type": "object",
                            "additionalProperties": {"type": ["string", "number", "boolean", "null", "object"]}
                        },
                        "timestamp": {
                            "description": "The record's time, e.g. `2026-01-01T00:00:00Z`, or milliseconds since 1970.",
                            "type": ["string", "integer"]
                        },
                        "partition": {"description": "The record's partition, from 0 on.", "type": "integer", "minimum": 0},
                        "repeat": {
                            "description": "How often; `${i}` in a text counts from 0 on, and may be reckoned with: `${i * 10 + 5}`, \
                                            `${i % 3}`, with zeros before it `${i:04}`. A text that is nothing else becomes a number.",
                            "type": "integer",
                            "minimum": 1
                        }
                    },
                    "additionalProperties": false
                },
                true
            ]
        })
    }
}
