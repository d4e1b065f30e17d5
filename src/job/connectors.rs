//! Connectors and formats that a script names, and the jars that bring them.

use super::tables::{Table, TableOption};

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

/// Which of a table's options name something that a jar brings.
fn known(key: &str) -> Option<&'static [(&'static str, &'static [&'static str])]> {
    match key {
        "connector" => Some(CONNECTORS),
        "format" | "value.format" | "key.format" => Some(FORMATS),
        _ => None,
    }
}

/// A connector or format without a jar.
#[derive(Debug)]
pub(super) struct Missing<'a> {
    /// The option that names it.
    pub(super) option: &'a TableOption,
    /// `connector` or `format`.
    pub(super) what: &'static str,
    /// How the name of its jar begins.
    pub(super) jar: &'static str,
    /// Those that are there.
    pub(super) there: Vec<&'static str>,
}

/// The first connector or format of the tables that none of `jars` brings. One that is in no list of ours is left to
/// Flink, which tells what it knows.
pub(super) fn missing<'a>(tables: &'a [Table], jars: &[String]) -> Option<Missing<'a>> {
    let brought = |needed: &[&str]| jars.iter().any(|jar| needed.iter().any(|start| jar.starts_with(start)));
    tables.iter().flat_map(|table| &table.options).find_map(|option| {
        let known = known(&option.key)?;
        let (_, needed) = known.iter().find(|(name, _)| *name == option.value)?;
        if brought(needed) {
            return None;
        }
        let there = known
            .iter()
            .filter(|(_, needed)| brought(needed))
            .map(|(name, _)| *name);
        Some(Missing {
            option,
            what: if option.key == "connector" {
                "connector"
            } else {
                "format"
            },
            jar: needed[0],
            there: there.collect(),
        })
    })
}
