//! A script before anything is created: placeholders filled, linted, and what it needs of its surroundings.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::fill::{Filled, fill};
use super::tables::{Table, TableOption, tables};
use crate::config::{Place, Source, nearest};
use crate::diag::{Failure, Reason, Result};
use crate::sql::{Kind, Problem, lint, split};

/// Connectors, and how the names of the jars begin that bring them.
const CONNECTORS: &[(&str, &[&str])] = &[
    ("kafka", &["flink-sql-connector-kafka", "flink-connector-kafka"]),
    ("upsert-kafka", &["flink-sql-connector-kafka", "flink-connector-kafka"]),
    ("filesystem", &["flink-connector-files"]),
    ("datagen", &["flink-table-api-java-uber", "flink-connector-datagen"]),
    ("print", &["flink-table-api-java-uber"]),
    ("blackhole", &["flink-table-api-java-uber"]),
    ("jdbc", &["flink-connector-jdbc", "flink-sql-connector-jdbc"]),
    (
        "elasticsearch-7",
        &["flink-sql-connector-elasticsearch7", "flink-connector-elasticsearch7"],
    ),
    (
        "opensearch",
        &["flink-sql-connector-opensearch", "flink-connector-opensearch"],
    ),
    ("mongodb", &["flink-sql-connector-mongodb", "flink-connector-mongodb"]),
    ("hbase-2.2", &["flink-sql-connector-hbase", "flink-connector-hbase"]),
    (
        "kinesis",
        &["flink-sql-connector-aws-kinesis", "flink-sql-connector-kinesis"],
    ),
    ("pulsar", &["flink-sql-connector-pulsar"]),
    ("rabbitmq", &["flink-sql-connector-rabbitmq"]),
    ("mysql-cdc", &["flink-sql-connector-mysql-cdc"]),
    ("postgres-cdc", &["flink-sql-connector-postgres-cdc"]),
    ("iceberg", &["iceberg-flink"]),
    ("paimon", &["paimon-flink"]),
    ("hudi", &["hudi-flink"]),
];

/// Formats that are not part of every image, likewise.
const FORMATS: &[(&str, &[&str])] = &[
    ("json", &["flink-json"]),
    ("debezium-json", &["flink-json"]),
    ("csv", &["flink-csv"]),
    ("avro", &["flink-sql-avro", "flink-avro"]),
    (
        "avro-confluent",
        &["flink-sql-avro-confluent-registry", "flink-avro-confluent-registry"],
    ),
    ("parquet", &["flink-sql-parquet", "flink-parquet"]),
    ("orc", &["flink-sql-orc", "flink-orc"]),
    ("protobuf", &["flink-sql-protobuf", "flink-protobuf"]),
];

/// A script that can be run as one job.
#[derive(Debug, Clone)]
pub struct Script {
    /// The text for Flink, and the way back.
    pub filled: Filled,
    /// The user's file, for messages.
    pub file: PathBuf,
    /// How many `INSERT`s it has.
    pub inserts: usize,
    source: Arc<Source>,
    tables: Vec<Table>,
    /// Whether it brings jars of its own.
    adds_jars: bool,
    /// `SET 'parallelism.default'`.
    parallelism: Option<u32>,
}

impl Script {
    /// Reads a script. `shown` is how its file is called in messages; `bootstrap` is Kafka's address in the cluster.
    ///
    /// # Errors
    /// [`Reason::FileUnreadable`]; [`Reason::SqlInvalid`] at its place.
    pub fn load(path: &Path, shown: &Path, vars: &BTreeMap<String, String>, bootstrap: Option<&str>) -> Result<Self> {
        Self::of(Source::read(path, shown)?, vars, bootstrap)
    }

    fn of(source: Arc<Source>, vars: &BTreeMap<String, String>, bootstrap: Option<&str>) -> Result<Self> {
        let filled = fill(&source.text, vars, bootstrap).map_err(|p| failure(&source, None, p))?;
        let found = lint(&filled.text).map_err(|p| failure(&source, Some(&filled), p))?;
        // it runs, and reads from nowhere: for a job that is meant to stay, that is an error
        if let Some(problem) = found.warnings.into_iter().next() {
            return Err(failure(&source, Some(&filled), problem));
        }
        let statements = split(&filled.text).unwrap_or_default();
        let tables = tables(&filled.text, &statements);
        let adds_jars = statements.iter().any(|s| s.kind == Kind::Jar);
        let settings = statements.iter().filter_map(|s| s.setting.as_ref());
        let parallelism = settings
            .filter(|s| s.key == "parallelism.default")
            .filter_map(|s| s.value.as_ref()?.parse().ok())
            .next_back();
        Ok(Self {
            file: source.file.clone(),
            inserts: found.inserts,
            filled,
            source,
            tables,
            adds_jars,
            parallelism,
        })
    }

    /// The parallelism that the script sets.
    pub fn parallelism(&self) -> Option<u32> {
        self.parallelism
    }

    /// The Kafka topics that it names, for tables of the broker that `is_ours` says of its `bootstrap.servers`.
    pub fn topics(&self, is_ours: impl Fn(&str) -> bool) -> Vec<String> {
        let ours = self
            .kafka_tables()
            .filter(|t| t.get(BOOTSTRAP).is_some_and(|o| is_ours(&o.value)));
        let mut names: Vec<String> = ours
            .filter_map(|t| t.get("topic"))
            .flat_map(|o| o.value.split(';').map(|n| n.trim().to_owned()))
            .filter(|n| !n.is_empty())
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// The failure for topics of [`Self::topics`] that are not there, at the first one's place.
    pub fn missing_topics(&self, missing: &[String], known: &[String]) -> Failure {
        let names = missing.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ");
        let message = match missing {
            [_] => format!("there is no topic {names}"),
            _ => format!("there are no topics {names}"),
        };
        let first = &missing[0];
        let option = self
            .kafka_tables()
            .filter_map(|t| t.get("topic"))
            .find(|o| o.value.split(';').any(|n| n.trim() == first));
        let mut failure = match option {
            Some(option) => self.at(option, Reason::TopicUnknown, message),
            None => Failure::new(Reason::TopicUnknown, message),
        };
        if let Some(near) = nearest(first, known) {
            failure = failure.evidence(format!("the nearest that is there: `{near}`"));
        }
        failure.next(format!("dev topic create {}", missing.join(" ")))
    }

    /// Checks that connectors and formats of the tables are among `jars`, the names of the JobManager's jars.
    ///
    /// One that is in no list of ours is left to Flink, which tells what it knows.
    ///
    /// # Errors
    /// [`Reason::ConnectorMissing`] at the first one's place.
    pub fn check_connectors(&self, jars: &[String]) -> Result<()> {
        if self.adds_jars || jars.is_empty() {
            return Ok(());
        }
        for table in &self.tables {
            for option in &table.options {
                let known = match option.key.as_str() {
                    "connector" => CONNECTORS,
                    "format" | "value.format" | "key.format" => FORMATS,
                    _ => continue,
                };
                let Some((_, needed)) = known.iter().find(|(name, _)| *name == option.value) else {
                    continue;
                };
                if jars.iter().any(|jar| needed.iter().any(|start| jar.starts_with(start))) {
                    continue;
                }
                let message = format!("the session image has no {} `{}`", what(&option.key), option.value);
                let there: Vec<&str> = known
                    .iter()
                    .filter(|(_, needed)| jars.iter().any(|jar| needed.iter().any(|start| jar.starts_with(start))))
                    .map(|(name, _)| *name)
                    .collect();
                return Err(self
                    .at(option, Reason::ConnectorMissing, message)
                    .evidence(format!("no jar {}-* in the JobManager's classpath", needed[0]))
                    .evidence(format!("there: {}", there.join(", "))));
            }
        }
        Ok(())
    }

    fn kafka_tables(&self) -> impl Iterator<Item = &Table> {
        let kafka = |t: &&Table| {
            t.get("connector")
                .is_some_and(|o| o.value == "kafka" || o.value == "upsert-kafka")
        };
        self.tables.iter().filter(kafka)
    }

    /// A failure at an option, in the user's file.
    fn at(&self, option: &TableOption, reason: Reason, message: String) -> Failure {
        let (line, column) = (option.position.line, option.position.column);
        let column = self.filled.column(line, column);
        Place::new(&self.source, line, column, option.value.chars().count()).failure(reason, message)
    }

    /// Moves a place in the text that Flink was given to the user's file.
    pub fn at_users_place(&self, failure: Failure) -> Failure {
        match failure.detail().location.clone() {
            Some(place) if place.file == self.file && place.column > 0 => {
                let column = self.filled.column(place.line, place.column);
                failure.at(place.file, place.line, column)
            }
            _ => failure,
        }
    }
}

const BOOTSTRAP: &str = "properties.bootstrap.servers";

fn what(key: &str) -> &'static str {
    if key == "connector" { "connector" } else { "format" }
}

fn failure(source: &Arc<Source>, filled: Option<&Filled>, problem: Problem) -> Failure {
    let (line, column) = (problem.position.line, problem.position.column);
    let column = filled.map_or(column, |f| f.column(line, column));
    let failure = Place::new(source, line, column, problem.width).failure(Reason::SqlInvalid, problem.message);
    match problem.next {
        Some(next) => failure.next(next),
        None => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(text: &str) -> Result<Script> {
        Script::of(Source::new("a.sql", text), &BTreeMap::new(), Some("kafka.kafka:9092"))
    }

    fn table(connector: &str, topic: &str) -> String {
        format!(
            "CREATE TABLE t (a INT) WITH ('connector' = '{connector}', 'topic' = '{topic}',\n \
             'properties.bootstrap.servers' = '${{kafka.bootstrap}}', 'format' = 'json');\nINSERT INTO t SELECT 1;"
        )
    }

    #[test]
    fn what_cannot_run_is_told_before_anything_is_created() {
        let failure = script("SELECT 1").unwrap_err();
        assert_eq!(
            (failure.id(), failure.detail().location.as_ref().unwrap().line),
            (Reason::SqlInvalid, 1)
        );
        let local = table("kafka", "a").replace("${kafka.bootstrap}", "localhost:9092");
        let failure = script(&local).unwrap_err();
        assert!(
            failure.to_string().contains("`localhost` is the pod itself"),
            "{failure}"
        );
        assert_eq!(failure.detail().location.as_ref().unwrap().line, 2);
        assert_eq!(
            script("INSERT INTO a SELECT '${X}'").unwrap_err().id(),
            Reason::SqlInvalid
        );
        assert_eq!(
            script("SET 'parallelism.default' = '3'; INSERT INTO a SELECT 1")
                .unwrap()
                .parallelism(),
            Some(3)
        );
    }

    #[test]
    fn topics_of_our_broker_are_told_with_their_place() {
        let script = script(&table("upsert-kafka", "orders; totals")).unwrap();
        assert_eq!(script.topics(|b| b == "kafka.kafka:9092"), ["orders", "totals"]);
        assert!(script.topics(|b| b == "other:9092").is_empty());
        let failure = script.missing_topics(&["totals".to_owned()], &["total".to_owned()]);
        assert_eq!(failure.id(), Reason::TopicUnknown);
        assert_eq!(
            failure.detail().location.as_ref().map(|l| (l.line, l.column)),
            Some((1, 71))
        );
        assert_eq!(failure.next_steps(), ["dev topic create totals"]);
    }

    #[test]
    fn connectors_are_looked_for_among_the_jars() {
        let jars = |all: &[&str]| all.iter().map(|j| (*j).to_owned()).collect::<Vec<_>>();
        let ours = jars(&["flink-sql-connector-kafka-5.0.0-2.2.jar", "flink-json-2.2.1.jar"]);
        script(&table("kafka", "a")).unwrap().check_connectors(&ours).unwrap();
        script(&table("of-our-own", "a"))
            .unwrap()
            .check_connectors(&ours)
            .unwrap();
        let failure = script(&table("jdbc", "a"))
            .unwrap()
            .check_connectors(&ours)
            .unwrap_err();
        assert_eq!(failure.id(), Reason::ConnectorMissing);
        assert!(failure.to_string().contains("no connector `jdbc`"), "{failure}");
        let failure = script(&table("kafka", "a").replace("json", "avro"))
            .unwrap()
            .check_connectors(&ours)
            .unwrap_err();
        assert!(failure.to_string().contains("no format `avro`"), "{failure}");
        let own = format!("ADD JAR '/x.jar';\n{}", table("jdbc", "a"));
        script(&own).unwrap().check_connectors(&ours).unwrap();
    }
}
