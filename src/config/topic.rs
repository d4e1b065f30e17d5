//! Topics that a profile declares, as the tables that they are in SQL: checked so far as it can be known without Flink.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::units::Setting;
use super::words::{listed, nearest};
use super::yaml::Node;
use crate::diag::{Reason, Result};

/// Formats of values that Flink brings along, or whose jar an image may have.
const FORMATS: [&str; 12] = [
    "json",
    "csv",
    "raw",
    "avro",
    "avro-confluent",
    "protobuf",
    "debezium-json",
    "canal-json",
    "maxwell-json",
    "ogg-json",
    "debezium-avro-confluent",
    "parquet",
];

/// The longest name of a topic that Kafka takes.
const LONGEST_TOPIC: usize = 249;

/// A topic as a table of SQL sessions; the key it stands under is the table's name.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct RawTopic {
    /// Its name in Kafka; the table's, if nothing is said.
    pub(super) topic: Option<String>,
    /// Its columns, each as in `CREATE TABLE`: `amount DECIMAL(10, 2)`, `at AS PROCTIME()`.
    #[schemars(length(min = 1))]
    pub(super) columns: Vec<String>,
    /// The format of its values; `json` if nothing is said.
    #[schemars(extend("default" = "json"))]
    pub(super) format: Option<String>,
    /// Its watermark: a column and what is taken off, e.g. `placed_at - INTERVAL '5' SECOND`.
    pub(super) watermark: Option<String>,
    /// More options of the connector, e.g. `json.ignore-parse-errors: true`.
    #[serde(default)]
    pub(super) options: BTreeMap<String, Setting>,
}

/// A topic as a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TopicTable {
    /// The table's name.
    pub name: String,
    /// The topic's name in Kafka.
    pub topic: String,
    /// Its columns, each as in `CREATE TABLE`.
    pub columns: Vec<String>,
    /// The format of its values.
    pub format: String,
    /// The column with the time of its records, and the expression of the watermark.
    pub watermark: Option<(String, String)>,
    /// More options of the connector.
    pub options: BTreeMap<String, String>,
}

/// The tables of a profile, by name.
///
/// # Errors
/// [`Reason::ConfigInvalid`] at the place of what cannot be a table.
pub(super) fn topics(raw: BTreeMap<String, RawTopic>, tree: &Node) -> Result<Vec<TopicTable>> {
    let here = tree.get("topics");
    raw.into_iter()
        .map(|(name, raw)| table(name, raw, here.unwrap_or(tree)))
        .collect()
}

fn table(name: String, raw: RawTopic, topics: &Node) -> Result<TopicTable> {
    let node = topics.get(&name).unwrap_or(topics);
    let at = |key: &str| node.get(key).map_or(&node.place, |n| &n.place);
    let wrong = |place: &super::Place, message: String| Err(place.failure(Reason::ConfigInvalid, message));
    let topic = raw.topic.unwrap_or_else(|| name.clone());
    let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if topic.is_empty() || topic.len() > LONGEST_TOPIC || !topic.chars().all(legal) {
        let message = format!("`{topic}` is no name of a topic: letters, digits, `.`, `_` and `-`");
        return wrong(at("topic"), message);
    }
    let items = node.get("columns").map_or(&[][..], Node::items);
    if raw.columns.is_empty() {
        return wrong(at("columns"), format!("the table `{name}` has no column"));
    }
    let mut names: Vec<&str> = Vec::new();
    for (index, column) in raw.columns.iter().enumerate() {
        let place = items.get(index).map_or_else(|| at("columns"), |n| &n.place);
        let (column_name, kind) = split(column);
        if !is_name(column_name) || kind.is_empty() {
            let message = format!("`{column}` is no column: write its name and its type, like `amount DECIMAL(10, 2)`");
            return wrong(place, message);
        }
        if !is_closed(kind) {
            return wrong(
                place,
                format!("`{column}` has a parenthesis or a quote that is not closed"),
            );
        }
        if names.contains(&column_name) {
            return wrong(place, format!("the table `{name}` has two columns `{column_name}`"));
        }
        names.push(column_name);
    }
    let format = raw.format.unwrap_or_else(|| "json".to_owned());
    if !FORMATS.contains(&format.as_str()) {
        let failure = at("format").failure(Reason::ConfigInvalid, format!("unknown format `{format}`"));
        return Err(match nearest(&format, FORMATS) {
            Some(near) => failure.next(format!("did you mean `{near}`?")),
            None => failure.next(format!("known: {}", listed(FORMATS))),
        });
    }
    let watermark = match raw.watermark {
        None => None,
        Some(text) => {
            let (column, _) = split(&text);
            if !names.contains(&column) {
                let message = format!("the watermark begins with `{column}`, which is no column of `{name}`");
                let failure = at("watermark").failure(Reason::ConfigInvalid, message);
                return Err(match nearest(column, names.iter().copied()) {
                    Some(near) => failure.next(format!("did you mean `{near}`?")),
                    None => failure.next(format!("columns: {}", names.join(", "))),
                });
            }
            if !is_closed(&text) {
                return wrong(
                    at("watermark"),
                    format!("`{text}` has a parenthesis or a quote that is not closed"),
                );
            }
            Some((column.to_owned(), text))
        }
    };
    Ok(TopicTable {
        columns: raw.columns,
        options: raw.options.into_iter().map(|(k, Setting(v))| (k, v)).collect(),
        name,
        topic,
        format,
        watermark,
    })
}

/// The first word, in backticks or not, and the rest.
fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix('`')
        && let Some((name, rest)) = rest.split_once('`')
    {
        return (name, rest.trim());
    }
    let end = text.find(|c: char| c.is_whitespace()).unwrap_or(text.len());
    (&text[..end], text[end..].trim())
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(['`', '\n', '\'', '"', '(', ')', ','])
}

/// Whether parentheses and quotes close, and no statement ends: what stands there goes into a statement as it is.
fn is_closed(text: &str) -> bool {
    let mut depth = 0i32;
    let mut quote: Option<char> = None;
    for c in text.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '`') => quote = Some(c),
            (None, '(' | '<') => depth += 1,
            (None, ')') => depth -= 1,
            (None, '>') => depth -= 1,
            (None, ';') => return false,
            (None, _) => {}
        }
        if depth < 0 {
            return false;
        }
    }
    depth == 0 && quote.is_none() && !text.contains("--") && !text.contains("/*")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Profile;
    use super::*;

    fn parse(topics: &str) -> Result<Profile> {
        Profile::parse(Path::new("dev.yaml"), &format!("version: 1\ntopics:\n{topics}"))
    }

    #[test]
    fn a_topic_becomes_a_table() {
        let text = "  orders:\n    columns:\n    - id INT\n    - 'placed at TIMESTAMP(3)'\n    - m MAP<STRING, INT>\n";
        let profile = parse(text).unwrap();
        let [orders] = &profile.topics[..] else { panic!() };
        assert_eq!((orders.topic.as_str(), orders.format.as_str()), ("orders", "json"));
        assert_eq!(orders.columns.len(), 3);
        let text = "  big:\n    topic: big.orders-1\n    format: csv\n    columns: [id INT, at TIMESTAMP(3)]\n    \
                    watermark: at - INTERVAL '5' SECOND\n    options: {csv.field-delimiter: ';'}\n";
        let profile = parse(text).unwrap();
        assert_eq!(profile.topics[0].watermark.as_ref().unwrap().0, "at");
        assert_eq!(profile.topics[0].options["csv.field-delimiter"], ";");
        assert!(parse("").unwrap().topics.is_empty());
    }

    #[test]
    fn what_is_no_table_is_told_at_its_place() {
        let wrong = |topics: &str, told: &str| {
            let failure = parse(topics).unwrap_err();
            assert!(failure.to_string().contains(told), "{failure}");
        };
        wrong("  a:\n    columns: [id]\n", "dev.yaml:4:15: `id` is no column");
        wrong(
            "  a:\n    columns: [id INT, id INT]\n",
            "dev.yaml:4:23: the table `a` has two columns `id`",
        );
        wrong(
            "  a:\n    columns:\n    - x DECIMAL(1\n",
            "dev.yaml:5:7: `x DECIMAL(1` has a parenthesis",
        );
        wrong("  a:\n    columns: []\n", "the table `a` has no column");
        wrong(
            "  a:\n    columns: [x INT]\n    format: jsn\n",
            "dev.yaml:5:13: unknown format `jsn`",
        );
        wrong(
            "  a:\n    columns: [x INT]\n    watermark: y - z\n",
            "dev.yaml:5:16: the watermark begins with `y`",
        );
        wrong(
            "  a:\n    columns: [x INT]\n    topic: a b\n",
            "dev.yaml:5:12: `a b` is no name of a topic",
        );
        wrong("  a:\n    colums: [x INT]\n", "did you mean `columns`?");
        wrong("  a:\n    columns: [\"x INT); DROP TABLE b\"]\n", "not closed");
    }
}
