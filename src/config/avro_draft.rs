//! The Avro schema of a table's columns, as Flink's formats `avro` and `avro-confluent` have it: for `dev test init`.
//! The rules are those of `AvroSchemaConverter` in flink-avro.

use super::json::Json;
use super::skeleton::{inner, word_of};

/// The schema of a row: names, types as they are written, and whether there is always a value.
pub(super) fn schema<'a>(columns: impl Iterator<Item = (&'a str, &'a str, bool)>) -> Json {
    record("record", columns)
}

fn record<'a>(name: &str, columns: impl Iterator<Item = (&'a str, &'a str, bool)>) -> Json {
    let field = |(column, of, required): (&str, &str, bool)| {
        let written = value(&format!("{name}_{column}"), of);
        let mut field = vec![("name", Json::from(column))];
        if required {
            field.push(("type", written));
        } else {
            field.push(("type", nullable(written)));
            field.push(("default", Json::Null));
        }
        map(field)
    };
    map(vec![
        ("type", Json::from("record")),
        ("name", Json::from(name)),
        ("fields", Json::List(columns.map(field).collect())),
    ])
}

/// The schema of a type's values; `name` is for a record in it.
fn value(name: &str, of: &str) -> Json {
    let word = word_of(of);
    let logical = |of: &str, logical: &str| map(vec![("type", Json::from(of)), ("logicalType", Json::from(logical))]);
    let within = |of: &str| {
        let written = value(name, of);
        if not_null(of) { written } else { nullable(written) }
    };
    let word = word.as_str();
    match word {
        "BOOLEAN" => Json::from("boolean"),
        "TINYINT" | "SMALLINT" | "INT" | "INTEGER" => Json::from("int"),
        "BIGINT" => Json::from("long"),
        "FLOAT" => Json::from("float"),
        "DOUBLE" => Json::from("double"),
        "DECIMAL" | "DEC" | "NUMERIC" => {
            let said = inner(of, word);
            let digits = |at: usize, usual: i64| said.get(at).and_then(|n| n.parse().ok()).unwrap_or(usual);
            let mut decimal = vec![("type", Json::from("bytes")), ("logicalType", Json::from("decimal"))];
            decimal.push(("precision", Json::from(digits(0, 10))));
            decimal.push(("scale", Json::from(digits(1, 0))));
            map(decimal)
        }
        "DATE" => logical("int", "date"),
        "TIME" => logical("int", "time-millis"),
        "TIMESTAMP" | "TIMESTAMP_LTZ" => logical("long", "timestamp-millis"),
        "BYTES" | "BINARY" | "VARBINARY" => Json::from("bytes"),
        "ARRAY" => {
            let items = inner(of, word).first().map_or(Json::from("string"), |of| within(of));
            map(vec![("type", Json::from("array")), ("items", items)])
        }
        "MAP" => {
            let values = inner(of, word).get(1).map_or(Json::from("string"), |of| within(of));
            map(vec![("type", Json::from("map")), ("values", values)])
        }
        "MULTISET" => map(vec![("type", Json::from("map")), ("values", Json::from("int"))]),
        "ROW" => {
            let fields = inner(of, word).into_iter().filter_map(|field| {
                let (name, of) = field.split_once(' ')?;
                Some((name.trim_matches('`'), of, not_null(of)))
            });
            record(name, fields)
        }
        // texts, and what nobody knows
        _ => Json::from("string"),
    }
}

fn nullable(written: Json) -> Json {
    Json::List(vec![Json::from("null"), written])
}

/// Whether a type within another one says that there is always a value.
fn not_null(of: &str) -> bool {
    of.to_uppercase().ends_with("NOT NULL")
}

fn map(fields: Vec<(&str, Json)>) -> Json {
    Json::Map(
        fields
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    )
}
