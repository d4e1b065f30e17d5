//! The connectors that are known by name. Versions are those published on Maven Central; a connector's version ends
//! with the minor version of Flink that it was made for.

use crate::image::jar::{Artifact, Minor};

const FLINK: &str = "org.apache.flink";

/// Where a connector's versions come from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Releases {
    /// Released by itself: Flink's minor version, the connector's version, its artifacts; oldest first.
    Own(&'static [Release]),
    /// Released with Flink, under Flink's version.
    WithFlink(&'static [&'static str]),
    /// In `lib` of every Flink.
    Builtin,
}

/// One release for one minor version of Flink.
#[derive(Debug, Clone, Copy)]
pub(super) struct Release {
    pub(super) flink: Minor,
    pub(super) version: &'static str,
    pub(super) artifacts: &'static [&'static str],
}

/// A connector or format with a name.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// As users write it.
    pub name: &'static str,
    /// Other spellings.
    pub(super) aliases: &'static [&'static str],
    /// What more it needs, if anything.
    pub(super) also: Option<&'static str>,
    pub(super) releases: Releases,
}

impl Known {
    /// Of its own releases, those that are known; empty for what comes with Flink.
    pub(super) fn own(&self) -> &'static [Release] {
        match self.releases {
            Releases::Own(releases) => releases,
            Releases::WithFlink(_) | Releases::Builtin => &[],
        }
    }

    /// The artifacts of a release.
    pub(super) fn artifacts(ids: &[&str], version: &str) -> Vec<Artifact> {
        ids.iter()
            .map(|id| Artifact {
                group: FLINK.to_owned(),
                id: (*id).to_owned(),
                version: version.to_owned(),
            })
            .collect()
    }
}

const fn own(flink: (u16, u16), version: &'static str, artifacts: &'static [&'static str]) -> Release {
    Release {
        flink: Minor(flink.0, flink.1),
        version,
        artifacts,
    }
}

const KAFKA: &[&str] = &["flink-sql-connector-kafka"];
const ELASTICSEARCH: &[&str] = &["flink-sql-connector-elasticsearch7"];
const MONGODB: &[&str] = &["flink-sql-connector-mongodb"];
const JDBC: &[&str] = &["flink-connector-jdbc"];
/// From its version 4 on the connector has an artifact for each database.
const JDBC_ALL: &[&str] = &[
    "flink-connector-jdbc-core",
    "flink-connector-jdbc-postgres",
    "flink-connector-jdbc-mysql",
];

const ALL: &[Known] = &[
    Known {
        name: "kafka",
        aliases: &["upsert-kafka"],
        also: None,
        releases: Releases::Own(&[
            own((1, 18), "3.2.0-1.18", KAFKA),
            own((1, 19), "3.3.0-1.19", KAFKA),
            own((1, 20), "3.4.0-1.20", KAFKA),
            own((2, 0), "4.0.1-2.0", KAFKA),
            own((2, 1), "5.0.0-2.1", KAFKA),
            own((2, 2), "5.0.0-2.2", KAFKA),
        ]),
    },
    Known {
        name: "jdbc",
        aliases: &["postgres", "postgresql", "mysql"],
        also: Some("the database's own JDBC driver is not part of it: add it with --lib"),
        releases: Releases::Own(&[
            own((1, 18), "3.2.0-1.18", JDBC),
            own((1, 19), "3.3.0-1.19", JDBC),
            own((1, 20), "3.3.0-1.20", JDBC),
            own((2, 0), "4.0.0-2.0", JDBC_ALL),
            own((2, 1), "4.1.0-2.1", JDBC_ALL),
            own((2, 2), "4.1.0-2.2", JDBC_ALL),
        ]),
    },
    Known {
        name: "elasticsearch",
        aliases: &["elasticsearch7", "elasticsearch-7", "elastic"],
        also: None,
        releases: Releases::Own(&[
            own((1, 18), "3.1.0-1.18", ELASTICSEARCH),
            own((1, 19), "3.1.0-1.19", ELASTICSEARCH),
            own((1, 20), "3.1.0-1.20", ELASTICSEARCH),
            own((2, 0), "4.0.0-2.0", ELASTICSEARCH),
        ]),
    },
    Known {
        name: "mongodb",
        aliases: &["mongo"],
        also: None,
        releases: Releases::Own(&[
            own((1, 18), "1.2.0-1.18", MONGODB),
            own((1, 19), "1.2.0-1.19", MONGODB),
            own((1, 20), "2.0.0-1.20", MONGODB),
        ]),
    },
    Known {
        name: "avro",
        aliases: &[],
        also: None,
        releases: Releases::WithFlink(&["flink-sql-avro"]),
    },
    Known {
        name: "avro-confluent",
        aliases: &["avro-confluent-registry", "schema-registry"],
        also: None,
        releases: Releases::WithFlink(&["flink-sql-avro-confluent-registry"]),
    },
    Known {
        name: "parquet",
        aliases: &[],
        also: Some("Hadoop's own classes are not part of it: add them with --lib where a job needs them"),
        releases: Releases::WithFlink(&["flink-sql-parquet"]),
    },
    Known {
        name: "orc",
        aliases: &[],
        also: None,
        releases: Releases::WithFlink(&["flink-sql-orc"]),
    },
    Known {
        name: "protobuf",
        aliases: &["proto"],
        also: None,
        releases: Releases::WithFlink(&["flink-sql-protobuf"]),
    },
    Known {
        name: "json",
        aliases: &["debezium-json", "canal-json", "maxwell-json"],
        also: None,
        releases: Releases::Builtin,
    },
    Known {
        name: "csv",
        aliases: &[],
        also: None,
        releases: Releases::Builtin,
    },
    Known {
        name: "filesystem",
        aliases: &["files", "file"],
        also: None,
        releases: Releases::Builtin,
    },
    Known {
        name: "datagen",
        aliases: &["print", "blackhole"],
        also: None,
        releases: Releases::Builtin,
    },
];

/// Every connector with a name, in the order in which they are listed.
pub const fn known() -> &'static [Known] {
    ALL
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_table_is_consistent() {
        let mut names = BTreeSet::new();
        for known in known() {
            for name in std::iter::once(&known.name).chain(known.aliases) {
                assert!(names.insert(*name), "{name} stands twice");
            }
            let minors: Vec<_> = known.own().iter().map(|release| release.flink).collect();
            assert!(
                minors.is_sorted_by(|a, b| a < b),
                "{}: oldest first, each once",
                known.name
            );
            for release in known.own() {
                let suffix = release.version.rsplit('-').next().unwrap_or_default();
                assert_eq!(
                    Minor::of(suffix),
                    Some(release.flink),
                    "{} {}",
                    known.name,
                    release.version
                );
                assert!(!release.artifacts.is_empty());
            }
        }
    }
}
