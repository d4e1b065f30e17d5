//! A script before anything is created: placeholders filled, linted, and what it needs of its surroundings.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::connectors;
use super::tables::{Table, TableOption, tables};
use super::vars::values;
use crate::config::{Addresses, Place, Source, nearest};
use crate::diag::{Failure, Reason, Result};
use crate::sql::{Kind, Problem, lint, split, substitute};

/// A script that can be run as one job.
#[derive(Debug, Clone)]
pub struct Script {
    /// What the SQL runner puts in for its placeholders.
    pub vars: BTreeMap<String, String>,
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
    /// Reads a script. `shown` is how its file is called in messages; `addresses` are those in the cluster.
    ///
    /// # Errors
    /// [`Reason::FileUnreadable`]; [`Reason::SqlInvalid`] at its place.
    pub fn load(path: &Path, shown: &Path, vars: &BTreeMap<String, String>, addresses: Addresses<'_>) -> Result<Self> {
        Self::of(Source::read(path, shown)?, vars, addresses)
    }

    fn of(source: Arc<Source>, vars: &BTreeMap<String, String>, addresses: Addresses<'_>) -> Result<Self> {
        let vars = values(&source.text, vars, addresses).map_err(|p| failure(&source, p))?;
        // as the SQL runner will read it: what is checked is what runs
        let put = substitute(&source.text, |name| vars.get(name).cloned()).map_err(|p| failure(&source, p))?;
        let at_home = |problem: Problem| {
            let position = put.origin(problem.position);
            failure(&source, Problem { position, ..problem })
        };
        let found = lint(&put.text).map_err(at_home)?;
        // it runs, and reads from nowhere: for a job that is meant to stay, that is an error
        if let Some(problem) = found.warnings.into_iter().next() {
            return Err(at_home(problem));
        }
        let statements = split(&put.text).unwrap_or_default();
        let tables = tables(&put, &statements);
        let adds_jars = statements.iter().any(|s| s.kind == Kind::Jar);
        let settings = statements.iter().filter_map(|s| s.setting.as_ref());
        let parallelism = settings
            .filter(|s| s.key == "parallelism.default")
            .filter_map(|s| s.value.as_ref()?.parse().ok())
            .next_back();
        Ok(Self {
            file: source.file.clone(),
            inserts: found.inserts,
            vars,
            source,
            tables,
            adds_jars,
            parallelism,
        })
    }

    /// Its text, as the user wrote it.
    pub fn text(&self) -> &str {
        &self.source.text
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

    /// Checks that connectors and formats of the tables are among `jars`, the names of the jars of the image's `lib`.
    ///
    /// # Errors
    /// [`Reason::ConnectorMissing`] at the first one's place.
    pub fn check_connectors(&self, jars: &[String]) -> Result<()> {
        if self.adds_jars || jars.is_empty() {
            return Ok(());
        }
        let Some(missing) = connectors::missing(&self.tables, jars) else {
            return Ok(());
        };
        let (what, option) = (missing.what, missing.option);
        let message = format!("the image has no {what} `{}`", option.value);
        Err(self
            .at(option, Reason::ConnectorMissing, message)
            .evidence(format!("no jar {}-* in the JobManager's classpath", missing.jar))
            .evidence(format!("there: {}", missing.there.join(", "))))
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
        // a value that was put in is not in the user's line
        let written = self.source.text.contains(&option.value);
        let width = if written { option.value.chars().count() } else { 1 };
        Place::new(&self.source, line, column, width).failure(reason, message)
    }
}

const BOOTSTRAP: &str = "properties.bootstrap.servers";

fn failure(source: &Arc<Source>, problem: Problem) -> Failure {
    let (line, column) = (problem.position.line, problem.position.column);
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
        let addresses = Addresses {
            kafka: Some("kafka.kafka:9092"),
            registry: None,
        };
        Script::of(Source::new("a.sql", text), &BTreeMap::new(), addresses)
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
