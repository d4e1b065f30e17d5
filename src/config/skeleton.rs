//! A first case for a script: its topics with a record or two that suit the tables' columns.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use super::avro_draft;
use super::flow::flow;
use super::json::Json;
use super::source::{Place, Source};
use crate::diag::{Failure, Reason, Result};
use crate::sql::{self, Column, Table};

/// Formats of values that are JSON with a row in it, as a change.
const CHANGES: [&str; 1] = ["debezium-json"];

/// The text of a case for a script; `sql` is the script's name as the case is to have it.
///
/// # Errors
/// All that is in the way, each at its place in the script: what cannot run as a job, a topic that is not
/// `${topic.NAME}`, a format that a case cannot write; or that nothing is written to a topic.
pub(crate) fn skeleton(script: &Arc<Source>, sql: &str) -> Result<String, Vec<Failure>> {
    let at = |position: sql::Position, width| Place::new(script, position.line, position.column, width);
    if let Err(problem) = sql::lint(&script.text) {
        let failure = at(problem.position, problem.width).failure(Reason::SqlInvalid, problem.message);
        return Err(vec![problem.next.into_iter().fold(failure, Failure::next)]);
    }
    let mut problems = Vec::new();
    let mut topics: Vec<Topic> = Vec::new();
    for table in sql::tables(&script.text).into_iter().filter(is_kafka) {
        let Some((_, written, position)) = table.options.iter().find(|(key, ..)| key == "topic") else {
            continue;
        };
        let name = written.strip_prefix("${topic.").and_then(|rest| rest.strip_suffix('}'));
        match name {
            Some(name) if !topics.iter().any(|topic| topic.name == name) => match Topic::of(name, &table) {
                Ok(topic) => topics.push(topic),
                Err(why) => problems.push(at(table.position, 1).failure(Reason::SqlInvalid, why)),
            },
            // two tables of one topic: one that is written tells more
            Some(name) => topics.iter_mut().filter(|topic| topic.name == name).for_each(|topic| {
                topic.written |= table.written;
                topic.read |= table.read;
            }),
            None => {
                let message = format!("the topic `{written}` would be the same for all cases");
                let failure = at(*position, written.chars().count() + 2).failure(Reason::SqlInvalid, message);
                let word: String = written.chars().map(|c| if c == '.' { '_' } else { c }).collect();
                problems.push(failure.next(format!("write '${{topic.{word}}}': each case has topics of its own")));
            }
        }
    }
    if problems.is_empty() && !topics.iter().any(|topic| topic.written) {
        let message = "the script writes to no topic: a case could not see what comes out";
        let start = Place::start(script).failure(Reason::SqlInvalid, message);
        problems.push(start.next("INSERT INTO a table with 'connector' = 'kafka' or 'upsert-kafka'"));
    }
    let found = sql::placeholders(&script.text);
    let mut vars: Vec<&str> = found.iter().filter_map(|one| one.name.strip_prefix("var.")).collect();
    vars.sort_unstable();
    vars.dedup();
    if problems.is_empty() {
        Ok(text(sql, &topics, &vars))
    } else {
        Err(problems)
    }
}

/// The way to a file from a folder, as it is written in a case; both absolute, or relative to the same.
pub(super) fn relative(folder: &Path, file: &Path) -> String {
    let common = folder
        .components()
        .zip(file.components())
        .take_while(|(a, b)| a == b)
        .count();
    let up = folder.components().skip(common).map(|_| "..".to_owned());
    let down = file
        .components()
        .skip(common)
        .map(|part| part.as_os_str().to_string_lossy().into_owned());
    up.chain(down).collect::<Vec<_>>().join("/")
}

fn is_kafka(table: &Table) -> bool {
    matches!(table.option("connector"), Some("kafka" | "upsert-kafka"))
}

/// A topic of the case.
#[derive(Debug)]
struct Topic {
    name: String,
    written: bool,
    read: bool,
    /// It holds the last row of each key.
    upsert: bool,
    format: Option<&'static str>,
    /// Of what is in Avro.
    schema: Option<Json>,
    columns: Vec<String>,
    /// Two records in their written form.
    records: Vec<Json>,
    /// What moves event time on, if the table has any.
    close: Option<Json>,
}

impl Topic {
    fn of(name: &str, table: &Table) -> Result<Self, String> {
        let upsert = table.option("connector") == Some("upsert-kafka");
        let format = table
            .option("value.format")
            .or(table.option("format"))
            .unwrap_or("json");
        let kind = match format {
            "json" => None,
            "csv" => Some("csv"),
            "raw" => Some("raw"),
            "avro" => Some("avro"),
            "avro-confluent" => Some("avro-confluent"),
            change if CHANGES.contains(&change) => None,
            other => {
                return Err(format!(
                    "a case cannot write the format `{other}` of the table `{}`",
                    table.name
                ));
            }
        };
        let shape = Shape::of(table, upsert, format);
        let columns = match kind {
            Some("csv") => shape.values.iter().map(|column| column.name.clone()).collect(),
            _ => Vec::new(),
        };
        let given = !table.written;
        // the registry knows that of what a job writes
        let schema = match kind {
            Some("avro") => Some(shape.avro()),
            Some("avro-confluent") if given => Some(shape.avro()),
            _ => None,
        };
        Ok(Self {
            name: name.to_owned(),
            written: table.written,
            read: table.read,
            upsert,
            format: kind,
            schema,
            columns,
            records: (1..=2).map(|n| shape.record(n, given)).collect(),
            close: table
                .watermark
                .as_ref()
                .filter(|_| given)
                .map(|_| shape.record(LATE, true)),
        })
    }
}

/// The number of the record that comes much later than all others.
const LATE: i64 = 9;

/// What of a table is where in a record.
struct Shape<'a> {
    values: Vec<&'a Column>,
    keys: Vec<(String, &'a Column)>,
    raw_key: bool,
    format: &'a str,
    iso: bool,
    metadata: Vec<&'a Column>,
    /// The columns of its primary key, which are never NULL.
    primary: &'a [String],
}

impl<'a> Shape<'a> {
    fn of(table: &'a Table, upsert: bool, format: &'a str) -> Self {
        let prefix = table.option("key.fields-prefix").unwrap_or_default();
        let names: Vec<&str> = match table.option("key.fields") {
            Some(fields) => fields
                .split(';')
                .map(str::trim)
                .filter(|name| !name.is_empty())
                .collect(),
            None if upsert => table.key.iter().map(String::as_str).collect(),
            None => Vec::new(),
        };
        let physical = || table.columns.iter().filter(|column| column.metadata.is_none());
        let keys = names.iter().filter_map(|name| {
            let column = physical().find(|column| column.name == **name)?;
            Some((name.strip_prefix(prefix).unwrap_or(name).to_owned(), column))
        });
        let without_key = table.option("value.fields-include") == Some("EXCEPT_KEY");
        let iso = ["json.timestamp-format.standard", "value.json.timestamp-format.standard"];
        Self {
            values: physical()
                .filter(|column| !(without_key && names.contains(&column.name.as_str())))
                .collect(),
            keys: keys.collect(),
            raw_key: table.option("key.format") == Some("raw"),
            format,
            iso: iso.iter().any(|key| table.option(key) == Some("ISO-8601")),
            metadata: table
                .columns
                .iter()
                .filter(|column| column.metadata.is_some())
                .collect(),
            primary: &table.key,
        }
    }

    fn avro(&self) -> Json {
        let required = |column: &Column| column.not_null || self.primary.contains(&column.name);
        let columns = self.values.iter();
        avro_draft::schema(columns.map(|column| (column.name.as_str(), column.of.as_str(), required(column))))
    }

    fn sample(&self, column: &Column, n: i64) -> Json {
        sample(&column.name, &column.of, n, self.iso)
    }

    /// The `n`th record in its written form.
    fn record(&self, n: i64, given: bool) -> Json {
        let fields = self
            .values
            .iter()
            .map(|column| (column.name.clone(), self.sample(column, n)))
            .collect();
        let row = Json::Map(fields);
        let value = match self.format {
            "raw" => self
                .values
                .first()
                .map_or(Json::Null, |column| match self.sample(column, n) {
                    Json::Text(text) => Json::Text(text),
                    other => Json::Text(other.to_string()),
                }),
            change if CHANGES.contains(&change) => Json::Map(vec![
                ("op".to_owned(), Json::from("c")),
                ("before".to_owned(), Json::Null),
                ("after".to_owned(), row),
            ]),
            _ => row,
        };
        let mut long = Vec::new();
        match self.keys.as_slice() {
            [] => {}
            [(_, column)] if self.raw_key => long.push(("key".to_owned(), self.sample(column, n))),
            keys => {
                let fields = keys
                    .iter()
                    .map(|(name, column)| (name.clone(), self.sample(column, n)))
                    .collect();
                long.push(("key".to_owned(), Json::Map(fields)));
            }
        }
        if given {
            for column in &self.metadata {
                match column.metadata.as_ref().map(|(key, _)| key.as_str()) {
                    Some("timestamp") => long.push(("timestamp".to_owned(), Json::Text(time(n, "T", "Z")))),
                    Some("headers") => {
                        let headers = vec![("source".to_owned(), Json::from("test"))];
                        long.push(("headers".to_owned(), Json::Map(headers)));
                    }
                    _ => {}
                }
            }
        }
        // a value of a mapping that could be taken for the long form is written within it
        if long.is_empty() && value.get("value").is_none() {
            return value;
        }
        let at = long.iter().take_while(|(part, _)| part == "key").count();
        long.insert(at, ("value".to_owned(), value));
        Json::Map(long)
    }
}

/// A time, later for a greater `n`.
fn time(n: i64, between: &str, end: &str) -> String {
    // the last one is an hour later, so that windows close
    if n == LATE {
        return format!("2026-01-01{between}01:00:00{end}");
    }
    format!("2026-01-01{between}00:00:{n:02}{end}")
}

/// A value of a type, another one for another `n`.
fn sample(name: &str, of: &str, n: i64, iso: bool) -> Json {
    let (upper, word) = (of.to_uppercase(), word_of(of));
    let between = if iso { "T" } else { " " };
    let inner = |from: &str| inner(of, from);
    match word.as_str() {
        "BOOLEAN" => Json::Bool(n % 2 == 1),
        "TINYINT" | "SMALLINT" | "INT" | "INTEGER" | "BIGINT" => Json::from(n),
        "FLOAT" | "DOUBLE" => Json::from(serde_json::Value::from(n as f64 + 0.5)),
        "DECIMAL" | "DEC" | "NUMERIC" if of.contains(',') => Json::from(serde_json::Value::from(n as f64 + 0.5)),
        "DECIMAL" | "DEC" | "NUMERIC" => Json::from(n),
        "DATE" => Json::Text(format!("2026-01-{n:02}")),
        "TIME" => Json::Text(format!("00:00:{n:02}")),
        "TIMESTAMP_LTZ" => Json::Text(time(n, between, "Z")),
        "TIMESTAMP" if upper.contains("LOCAL TIME ZONE") => Json::Text(time(n, between, "Z")),
        "TIMESTAMP" => Json::Text(time(n, between, "")),
        "BYTES" | "BINARY" | "VARBINARY" => Json::from("AAE="),
        "ARRAY" => Json::List(
            inner("ARRAY")
                .first()
                .map(|of| sample(name, of, n, iso))
                .into_iter()
                .collect(),
        ),
        "MAP" => match inner("MAP").as_slice() {
            [_, value] => Json::Map(vec![("k".to_owned(), sample(name, value, n, iso))]),
            _ => Json::Map(Vec::new()),
        },
        "MULTISET" => Json::Map(vec![("k".to_owned(), Json::from(n))]),
        "ROW" => {
            let fields = inner("ROW").into_iter().filter_map(|field| {
                let (name, of) = field.split_once(' ')?;
                let name = name.trim_matches('`').to_owned();
                let value = sample(&name, of, n, iso);
                Some((name, value))
            });
            Json::Map(fields.collect())
        }
        // texts, and what nobody knows
        _ => Json::Text(format!("{name}-{n}")),
    }
}

/// The word that a type begins with, in capitals: `DECIMAL` of `decimal(10, 2)`.
pub(super) fn word_of(of: &str) -> String {
    of.split(['(', '<', ' ']).next().unwrap_or_default().to_uppercase()
}

/// What stands between the outer brackets of a type, parted by commas.
pub(super) fn inner<'a>(of: &'a str, word: &str) -> Vec<&'a str> {
    let rest = of.get(word.len()..).unwrap_or_default().trim();
    let Some(rest) = rest
        .get(1..)
        .map(|rest| rest.trim_end().trim_end_matches("NOT NULL").trim_end())
    else {
        return Vec::new();
    };
    let rest = &rest[..rest.len().saturating_sub(1)];
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in rest.char_indices() {
        match c {
            '<' | '(' => depth += 1,
            '>' | ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(rest[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(rest[start..].trim());
    parts
}

fn text(sql: &str, topics: &[Topic], vars: &[&str]) -> String {
    let mut out = String::new();
    out.push_str("# A test case: `given` goes in, the script runs as a Flink job, `expect` must come out.\n");
    out.push_str(
        "# The records below only suit the columns: put in what counts; `dev test --update` writes what came.\n",
    );
    let _ = writeln!(out, "version: 1\nsql: {}\n", flow(&Json::from(sql)));
    if !vars.is_empty() {
        let vars = vars
            .iter()
            .map(|name| ((*name).to_owned(), Json::from(*name)))
            .collect();
        let _ = writeln!(out, "vars: {}\n", flow(&Json::Map(vars)));
    }
    let given: Vec<&Topic> = topics.iter().filter(|topic| !topic.written).collect();
    if !given.is_empty() {
        out.push_str("given:\n");
    }
    for topic in given {
        // a topic that nothing reads only has to be there
        let records = if topic.read { topic.records.as_slice() } else { &[] };
        part(&mut out, topic, records, &[]);
    }
    out.push_str(if topics.iter().any(|topic| !topic.written) {
        "\nexpect:\n"
    } else {
        "expect:\n"
    });
    for topic in topics.iter().filter(|topic| topic.written) {
        let mode = topic.upsert.then(|| "match: last-per-key".to_owned());
        let mode: Vec<String> = mode.into_iter().collect();
        part(&mut out, topic, &topic.records, &mode);
    }
    out.push_str("\nwithin: 60s\n");
    out
}

fn part(out: &mut String, topic: &Topic, records: &[Json], more: &[String]) {
    let name = flow(&Json::from(topic.name.as_str()));
    let mut lines = more.to_vec();
    if let Some(format) = topic.format {
        lines.push(format!("format: {format}"));
    }
    if let Some(schema) = &topic.schema {
        lines.push(format!("schema: {}", flow(schema)));
    }
    if !topic.columns.is_empty() {
        let columns = topic.columns.iter().map(|column| Json::from(column.as_str())).collect();
        lines.push(format!("columns: {}", flow(&Json::List(columns))));
    }
    let close = topic.close.as_ref().filter(|_| !records.is_empty());
    if records.is_empty() {
        let _ = writeln!(out, "  {name}: []");
        return;
    }
    let short = lines.is_empty() && close.is_none();
    let _ = writeln!(out, "  {name}:");
    for line in &lines {
        let _ = writeln!(out, "    {line}");
    }
    if !short {
        out.push_str("    records:\n");
    }
    for record in records {
        let _ = writeln!(out, "{}- {}", if short { "    " } else { "      " }, flow(record));
    }
    if let Some(close) = close {
        out.push_str("    # event time goes on, so that windows close\n");
        let _ = writeln!(out, "    close: {}", flow(close));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Case;

    fn made(script: &str) -> Result<String, Vec<Failure>> {
        skeleton(&Source::new("job.sql", script), "job.sql")
    }

    /// A file on which a table named `name` with `more` options lies.
    fn table(name: &str, columns: &str, more: &str) -> String {
        format!(
            "CREATE TABLE {name} ({columns}) WITH ('topic' = '${{topic.{name}}}', 'properties.bootstrap.servers' = '${{kafka.bootstrap}}', {more});\n"
        )
    }

    #[test]
    fn a_table_in_avro_has_a_schema_that_its_records_suit() {
        let columns = "id BIGINT NOT NULL, name STRING, price DECIMAL(10, 2), day DATE, at TIME(3), placed TIMESTAMP(3), \
             ok BOOLEAN, raw BYTES, tags ARRAY<STRING NOT NULL>, counts MAP<STRING, INT>, bag MULTISET<STRING>, \
             r ROW<a INT NOT NULL, s ROW<d DOUBLE>>, PRIMARY KEY (name) NOT ENFORCED";
        let script = table("orders", columns, "'connector' = 'kafka', 'format' = 'avro'")
            + &table(
                "totals",
                "n BIGINT",
                "'connector' = 'kafka', 'value.format' = 'avro-confluent'",
            )
            + "INSERT INTO totals SELECT COUNT(*) FROM orders;";
        let text = made(&script).unwrap();
        insta::assert_snapshot!(text);
        // records are checked by the schema when a case is read
        Case::parse(Path::new("job.test.yaml"), &text, &[("job.sql", &script)])
            .unwrap_or_else(|f| panic!("{f}\n{text}"));
    }

    #[test]
    fn a_case_has_records_that_suit_the_tables() {
        let script = table(
            "orders",
            "id STRING, amount DECIMAL(10, 2), at_ TIMESTAMP(3), tags ARRAY<STRING>, place ROW<x INT, y MAP<STRING, BIGINT>>, \
             sent TIMESTAMP_LTZ(3) METADATA FROM 'timestamp', WATERMARK FOR at_ AS at_",
            "'connector' = 'kafka', 'format' = 'json'",
        ) + &table(
            "rates",
            "cur STRING, `value` DOUBLE, PRIMARY KEY (cur) NOT ENFORCED",
            "'connector' = 'upsert-kafka', 'key.format' = 'raw', 'value.format' = 'json', 'value.fields-include' = 'EXCEPT_KEY'",
        ) + &table("lines_", "a INT, b BOOLEAN", "'connector' = 'kafka', 'format' = 'csv'")
            + &table(
                "totals",
                "region STRING, n BIGINT, PRIMARY KEY (region) NOT ENFORCED",
                "'connector' = 'upsert-kafka', 'key.format' = 'json', 'value.format' = 'json'",
            )
            + "INSERT INTO totals SELECT id, 1 FROM orders, rates;\nINSERT INTO lines_ SELECT 1, TRUE FROM orders;\n";
        let text = made(&script).unwrap();
        insta::assert_snapshot!(text);
        let case = Case::parse(Path::new("job.test.yaml"), &text, &[("job.sql", &script)]).unwrap();
        assert_eq!((case.given.len(), case.expect.len()), (2, 2));
    }

    #[test]
    fn every_example_gets_a_case_that_can_be_read() {
        let mut count = 0;
        for entry in std::fs::read_dir("examples/sql").unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|end| end != "sql") {
                continue;
            }
            let script = std::fs::read_to_string(&path).unwrap();
            let text = made(&script).unwrap_or_else(|problems| panic!("{}: {problems:?}", path.display()));
            let case = Case::parse(Path::new("job.test.yaml"), &text, &[("job.sql", &script)]);
            case.unwrap_or_else(|failure| panic!("{}: {failure}\n{text}", path.display()));
            count += 1;
        }
        assert!(count >= 15, "{count}");
    }

    #[test]
    fn the_script_is_named_as_seen_from_the_case() {
        let way = |folder: &str, file: &str| relative(Path::new(folder), Path::new(file));
        assert_eq!(way("/a/b", "/a/b/x.sql"), "x.sql");
        assert_eq!(way("/a/tests", "/a/jobs/x.sql"), "../jobs/x.sql");
        assert_eq!(way("", "jobs/x.sql"), "jobs/x.sql");
    }

    #[test]
    fn what_is_in_the_way_is_told_at_its_place() {
        let told = |script: &str| {
            made(script)
                .unwrap_err()
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        let script = "CREATE TABLE a (x INT) WITH ('connector' = 'kafka', 'topic' = 'orders', 'format' = 'json');\n\
            CREATE TABLE b (x INT) WITH ('connector' = 'kafka', 'topic' = '${topic.b}', 'format' = 'protobuf');\n\
            INSERT INTO b SELECT x FROM a;\n";
        assert_eq!(
            told(script),
            [
                "job.sql:1:63: the topic `orders` would be the same for all cases",
                "job.sql:2:1: a case cannot write the format `protobuf` of the table `b`",
            ]
        );
        let script = "CREATE TABLE a (x INT) WITH ('connector' = 'print');\nINSERT INTO a SELECT 1;\n";
        assert_eq!(
            told(script),
            ["job.sql:1:1: the script writes to no topic: a case could not see what comes out"]
        );
        assert_eq!(told("SELECT 1;\n").len(), 1);
    }
}
