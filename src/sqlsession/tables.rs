//! What is offered as tables: topics that the profile declares, and what scripts create.

use std::sync::LazyLock;

use regex::Regex;

use crate::config::TopicTable;
use crate::sql::{Kind, split};

/// Statements that make tables, and what they are called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offered {
    /// Statements, without semicolons.
    pub statements: Vec<String>,
    /// Names of the profile's tables.
    pub names: Vec<String>,
}

impl Offered {
    /// Everything as one script.
    pub fn script(&self) -> String {
        self.statements.iter().map(|s| format!("{s};\n")).collect()
    }
}

/// The profile's topics. `bounded`: a table ends where its topic ends when it is read, so that a query does, too.
pub fn of_profile(topics: &[TopicTable], bootstrap: &str, bounded: bool) -> Offered {
    Offered {
        statements: topics.iter().map(|topic| create(topic, bootstrap, bounded)).collect(),
        names: topics.iter().map(|topic| topic.name.clone()).collect(),
    }
}

/// What a script creates: tables, views, functions. What it inserts and selects is left out. `ends` is what `bounded`
/// is of [`of_profile`].
///
/// # Errors
/// Why it does not fall into statements, with the place.
pub fn of_script(script: &str, ends: bool) -> Result<Vec<String>, crate::sql::SplitError> {
    let statements = split(script)?;
    let makes = |kind: Kind| matches!(kind, Kind::Create | Kind::Set | Kind::Use | Kind::Load | Kind::Jar);
    let made = statements.iter().filter(|s| makes(s.kind));
    let texts = made.map(|s| if ends { bounded(s.text) } else { s.text.to_owned() });
    Ok(texts.collect())
}

/// A statement whose table of a topic ends where the topic ends when it is read, unless it says itself where.
pub fn bounded(statement: &str) -> String {
    static KAFKA: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"'connector'\s*=\s*'kafka'").ok());
    let creates = statement
        .get(..6)
        .is_some_and(|word| word.eq_ignore_ascii_case("create"));
    match &*KAFKA {
        Some(kafka) if creates && !statement.contains("'scan.bounded.mode'") => kafka
            .replace(statement, "$0, 'scan.bounded.mode' = 'latest-offset'")
            .into_owned(),
        _ => statement.to_owned(),
    }
}

fn create(topic: &TopicTable, bootstrap: &str, bounded: bool) -> String {
    let mut lines: Vec<String> = topic.columns.iter().map(|column| quoted_column(column)).collect();
    if let Some((column, expression)) = &topic.watermark {
        lines.push(format!("WATERMARK FOR {} AS {expression}", identifier(column)));
    }
    let mut options = vec![
        ("connector".to_owned(), "kafka".to_owned()),
        ("topic".to_owned(), topic.topic.clone()),
        ("properties.bootstrap.servers".to_owned(), bootstrap.to_owned()),
        ("scan.startup.mode".to_owned(), "earliest-offset".to_owned()),
        ("format".to_owned(), topic.format.clone()),
    ];
    if bounded {
        options.push(("scan.bounded.mode".to_owned(), "latest-offset".to_owned()));
    }
    for (key, value) in &topic.options {
        options.retain(|(k, _)| k != key);
        options.push((key.clone(), value.clone()));
    }
    let options: Vec<String> = options
        .iter()
        .map(|(key, value)| format!("  {} = {}", literal(key), literal(value)))
        .collect();
    format!(
        "CREATE TEMPORARY TABLE {} (\n  {}\n) WITH (\n{}\n)",
        identifier(&topic.name),
        lines.join(",\n  "),
        options.join(",\n")
    )
}

/// A column with its name quoted: it may be a word of SQL.
fn quoted_column(column: &str) -> String {
    let column = column.trim();
    if column.starts_with('`') {
        return column.to_owned();
    }
    match column.split_once(char::is_whitespace) {
        Some((name, rest)) => format!("{} {}", identifier(name), rest.trim()),
        None => column.to_owned(),
    }
}

fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
