//! The steps of a case as users write them. The descriptions of the JSON Schema are the comments of this file.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use super::raw_case::{Form, RawRecord};
use super::steps::{JobState, Part};
use super::units::Span;

/// One step: exactly one of its keys besides `within`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline, extend("oneOf" = [{"required": ["feed"]}, {"required": ["await"]}, {"required": ["kill"]},
    {"required": ["pause"]}, {"required": ["resume"]}, {"required": ["savepoint"]}, {"required": ["restart"]},
    {"required": ["upgrade"]}, {"required": ["scale"]}]))]
pub(super) struct RawStep {
    /// Records go into topics, by the topic's name; partitions and format are those that `given` says of the topic.
    #[schemars(extend("minProperties" = 1))]
    pub(super) feed: Option<BTreeMap<String, Form<RawFeed>>>,
    /// A fact is waited for: `checkpoint` (one that begins from now on is complete), `fed` (all feeds with a rate have
    /// ended), or a mapping with one of `checkpoint`, `state`, `records`, `watermark`.
    #[serde(rename = "await")]
    pub(super) fact: Option<RawAwait>,
    /// The process of a part ends at once (SIGKILL). The step ends when it is gone and, for a TaskManager, when Flink
    /// has noticed. Such a case runs alone. A killed JobManager needs high availability.
    pub(super) kill: Option<Part>,
    /// All processes of a part stand still (SIGSTOP) until `resume`, at the latest until the end of the case. Such a case
    /// runs alone.
    pub(super) pause: Option<Part>,
    /// The processes of a paused part go on.
    pub(super) resume: Option<Part>,
    /// A savepoint is taken and kept under this name, for `restart: {from: NAME}`.
    pub(super) savepoint: Option<String>,
    /// The job is started anew: `from savepoint` (one that is taken of it now), `from checkpoint` (the last one), `from
    /// nothing`, or `{from: NAME}` with the name of a savepoint of an earlier step.
    pub(super) restart: Option<RawRestart>,
    /// The job goes on with another script, from a savepoint that is taken of it.
    pub(super) upgrade: Option<RawUpgrade>,
    /// The job goes on with this parallelism, from a savepoint that is taken of it.
    #[schemars(range(min = 1, max = 100))]
    pub(super) scale: Option<u32>,
    /// How long the step may take; what is left of the case's time if nothing is said.
    pub(super) within: Option<Span>,
}

/// Records for a topic.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline, extend("oneOf" = [{"required": ["records"]}, {"required": ["file"]}]))]
pub(super) struct RawFeed {
    /// How many records a second; all at once if nothing is said. With a rate, the next steps run meanwhile, and the
    /// expected records are waited for when all were sent.
    #[schemars(range(min = 0.1, max = 100_000.0))]
    pub(super) rate: Option<f64>,
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

/// A fact: a word, or a mapping.
#[derive(Debug)]
pub(super) enum RawAwait {
    /// `checkpoint`.
    Checkpoint,
    /// `fed`.
    Fed,
    /// A mapping.
    Fact(RawFact),
}

/// A fact: exactly one of the keys.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline, extend("minProperties" = 1, "maxProperties" = 1))]
pub(super) struct RawFact {
    /// So many checkpoints that begin from now on are complete.
    #[schemars(range(min = 1, max = 1000))]
    pub(super) checkpoint: Option<u64>,
    /// Flink and the operator show the job in this state.
    pub(super) state: Option<JobState>,
    /// So many committed records are in a topic.
    pub(super) records: Option<RawCount>,
    /// Each task that has a watermark has at least this one, e.g. `2026-01-01T00:00:00Z` or milliseconds since 1970, and
    /// one has.
    #[schemars(with = "Option<RawTime>")]
    pub(super) watermark: Option<String>,
}

/// So many committed records in a topic.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct RawCount {
    /// The topic's name.
    pub(super) topic: String,
    /// How many at least.
    #[schemars(range(min = 1))]
    pub(super) count: usize,
}

/// A point in time, for the schema.
pub(super) struct RawTime;

/// From where a job is started anew.
#[derive(Debug)]
pub(super) enum RawRestart {
    Savepoint,
    Checkpoint,
    Nothing,
    Named(RawFrom),
}

/// The savepoint of an earlier step.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct RawFrom {
    /// Its name.
    pub(super) from: String,
}

/// Another script.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct RawUpgrade {
    /// The file of the SQL script, relative to this file. Flink finds the state of an operator again where the plan has
    /// the same shape.
    pub(super) sql: String,
}

/// What becomes of the job.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline, extend("minProperties" = 1))]
pub(super) struct RawJob {
    /// Its state.
    pub(super) state: Option<JobState>,
    /// How often Flink started it again after a failure. A new JobManager counts anew.
    pub(super) restarts: Option<RawRestarts>,
    /// Whether it went on from a checkpoint or a savepoint.
    pub(super) restored_from_checkpoint: Option<bool>,
}

/// How often Flink started a job again after a failure.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline, extend("minProperties" = 1))]
pub(super) struct RawRestarts {
    /// The fewest; 0 if nothing is said.
    pub(super) at_least: Option<u64>,
    /// The most; any number if nothing is said.
    pub(super) at_most: Option<u64>,
}

/// Reads a word, or a mapping.
macro_rules! word_or_mapping {
    ($name:ident, $schema:ty, $expecting:literal, [$($word:literal => $value:expr),*], $map:path, $about:literal) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct WordVisitor;

                impl<'de> Visitor<'de> for WordVisitor {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expecting)
                    }

                    fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<$name, E> {
                        match word {
                            $($word => Ok($value),)*
                            _ => Err(E::unknown_variant(word, &[$($word),*])),
                        }
                    }

                    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<$name, A::Error> {
                        Deserialize::deserialize(MapAccessDeserializer::new(access)).map($map)
                    }
                }

                deserializer.deserialize_any(WordVisitor)
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                let mapping = generator.subschema_for::<$schema>();
                json_schema!({"anyOf": [{"enum": [$($word),*], "description": $about}, mapping]})
            }
        }
    };
}

word_or_mapping!(RawAwait, RawFact, "`checkpoint`, `fed`, or a mapping with one of `checkpoint`, `state`, `records`, `watermark`",
    ["checkpoint" => RawAwait::Checkpoint, "fed" => RawAwait::Fed], RawAwait::Fact, "A fact by its name.");
word_or_mapping!(RawRestart, RawFrom, "`from savepoint`, `from checkpoint`, `from nothing`, or a mapping with `from`",
    ["from savepoint" => RawRestart::Savepoint, "from checkpoint" => RawRestart::Checkpoint, "from nothing" => RawRestart::Nothing],
    RawRestart::Named, "What the job goes on from.");

impl JsonSchema for RawTime {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["string", "integer"]})
    }
}
