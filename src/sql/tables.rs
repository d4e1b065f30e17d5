//! The tables that a script creates, as far as it says itself what they look like: columns, keys, options.

use std::collections::BTreeSet;

use super::lexer::{Token, Type, tokens};
use super::lines::Lines;
use super::{Kind, Position, Statement, split};

/// A table that a script creates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its name, without quotes, catalog and database.
    pub name: String,
    /// Where its statement begins.
    pub position: Position,
    /// Its columns, in order; those that are computed have none in a record and are left out.
    pub columns: Vec<Column>,
    /// The columns of its primary key.
    pub key: Vec<String>,
    /// The column that is event time, if there is any.
    pub watermark: Option<String>,
    /// What stands behind `WITH`: key, value and the place of the value; without quotes, placeholders as they are.
    pub options: Vec<(String, String, Position)>,
    /// Whether the script writes into it.
    pub written: bool,
    /// Whether the script reads it.
    pub read: bool,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type as it is written, blanks collapsed, e.g. `DECIMAL(10, 2)`.
    pub of: String,
    /// Whether `NOT NULL` is said of it.
    pub not_null: bool,
    /// For metadata: its key, and whether it is only read.
    pub metadata: Option<(String, bool)>,
}

impl Table {
    /// The value of an option.
    pub fn option(&self, key: &str) -> Option<&str> {
        let found = self.options.iter().find(|(known, ..)| known == key);
        found.map(|(_, value, _)| value.as_str())
    }
}

/// The tables of a script, in order; none where it does not fall into statements.
pub fn tables(script: &str) -> Vec<Table> {
    let statements = split(script).unwrap_or_default();
    let lines = Lines::new(script);
    let mut tables: Vec<Table> = statements
        .iter()
        .filter(|one| matches!(one.kind, Kind::Create | Kind::CreateAs))
        .filter_map(|one| Reader::new(script, one, &lines).table())
        .collect();
    let (mut written, mut read) = (BTreeSet::new(), BTreeSet::new());
    for statement in &statements {
        uses(script, statement, &mut written, &mut read);
    }
    for table in &mut tables {
        table.written |= written.contains(&table.name);
        table.read = read.contains(&table.name);
    }
    tables
}

/// The names that a statement writes into, and all others that it mentions.
fn uses(script: &str, statement: &Statement<'_>, written: &mut BTreeSet<String>, read: &mut BTreeSet<String>) {
    for inner in &statement.inner {
        uses(script, inner, written, read);
    }
    if !statement.inner.is_empty() || matches!(statement.kind, Kind::Set | Kind::Reset | Kind::Drop) {
        return;
    }
    let lines = Lines::new(script);
    let reader = Reader::new(script, statement, &lines);
    // a created table names itself
    let from = match statement.kind {
        Kind::Create | Kind::CreateAs => reader.behind_name(),
        _ => 0,
    };
    let mut target = false;
    let mut at = from;
    while at < reader.tokens.len() {
        let opens = reader.word(at, "INTO") || reader.word(at, "OVERWRITE");
        if opens && (0..at).any(|before| reader.word(before, "INSERT")) {
            target = true;
            at += 1;
        } else if let Some((name, next)) = reader.name(at) {
            if target {
                written.insert(name);
            } else {
                read.insert(name);
            }
            target = false;
            at = next;
        } else {
            at += 1;
        }
    }
}

struct Reader<'a> {
    script: &'a str,
    lines: &'a Lines<'a>,
    start: usize,
    position: Position,
    tokens: Vec<Token>,
}

impl<'a> Reader<'a> {
    fn new(script: &'a str, statement: &Statement<'_>, lines: &'a Lines<'a>) -> Self {
        let start = statement.range.start;
        Self {
            script,
            lines,
            start,
            position: statement.position,
            tokens: tokens(&script[statement.range.clone()]).unwrap_or_default(),
        }
    }

    fn text(&self, at: usize) -> &'a str {
        let token = self.tokens.get(at);
        token.map_or("", |token| {
            &self.script[self.start + token.range.start..self.start + token.range.end]
        })
    }

    fn word(&self, at: usize, word: &str) -> bool {
        self.text(at).eq_ignore_ascii_case(word)
    }

    fn words(&self, at: usize, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(i, word)| self.word(at + i, word))
    }

    /// What a quoted text or name says.
    fn unquoted(&self, at: usize) -> Option<String> {
        let text = self.text(at);
        match self.tokens.get(at)?.kind {
            Type::Word => Some(text.to_owned()),
            Type::Text | Type::Name => {
                let quote = text.chars().last()?;
                let inner = text.get(text.find(quote)? + 1..text.len() - 1)?;
                Some(inner.replace(&format!("{quote}{quote}"), &quote.to_string()))
            }
            _ => None,
        }
    }

    /// The last part of a name with dots, and the token behind it.
    fn name(&self, at: usize) -> Option<(String, usize)> {
        if self.tokens.get(at)?.kind == Type::Text {
            return None;
        }
        let (mut name, mut next) = (self.unquoted(at)?, at + 1);
        while self.word(next, ".") {
            let Some(part) = self.unquoted(next + 1) else { break };
            (name, next) = (part, next + 2);
        }
        Some((name, next))
    }

    /// The token behind the name of what is created.
    fn behind_name(&self) -> usize {
        let Some(mut at) = (0..self.tokens.len()).find(|at| self.word(*at, "TABLE") || self.word(*at, "VIEW")) else {
            return 0;
        };
        at += 1;
        if self.words(at, &["IF", "NOT", "EXISTS"]) {
            at += 3;
        }
        self.name(at).map_or(at, |(_, next)| next)
    }

    fn table(&self) -> Option<Table> {
        let mut at = (0..self.tokens.len().min(4)).find(|at| self.word(*at, "TABLE"))? + 1;
        if self.words(at, &["IF", "NOT", "EXISTS"]) {
            at += 3;
        }
        let (name, mut at) = self.name(at)?;
        let mut table = Table {
            name,
            position: self.position,
            columns: Vec::new(),
            key: Vec::new(),
            watermark: None,
            options: Vec::new(),
            written: false,
            read: false,
        };
        if self.word(at, "(") {
            let end = self.closing(at);
            for (from, to) in self.parts(at + 1, end) {
                self.column(from, to, &mut table);
            }
            at = end + 1;
        }
        while at < self.tokens.len() && !self.word(at, "WITH") {
            // a query of its own may have a WITH, too
            if self.word(at, "AS") {
                table.written = true;
                return Some(table);
            }
            at = if self.word(at, "(") {
                self.closing(at) + 1
            } else {
                at + 1
            };
        }
        if self.word(at + 1, "(") {
            let end = self.closing(at + 1);
            for (from, _) in self.parts(at + 2, end) {
                if let (Some(key), Some(value)) = (self.unquoted(from), self.unquoted(from + 2)) {
                    let place = self.start + self.tokens[from + 2].range.start;
                    table.options.push((key, value, self.lines.position(place)));
                }
            }
            table.written = (end..self.tokens.len()).any(|at| self.word(at, "AS"));
        }
        Some(table)
    }

    fn column(&self, from: usize, to: usize, table: &mut Table) {
        let constraint = (from..to).find(|at| self.words(*at, &["PRIMARY", "KEY"]));
        if let Some(at) = constraint.filter(|at| self.word(at + 2, "(")) {
            let names = self.parts(at + 3, self.closing(at + 2)).into_iter();
            table.key = names.filter_map(|(from, _)| self.unquoted(from)).collect();
            return;
        }
        let words = ["CONSTRAINT", "LIKE", "PERIOD"];
        let plain = self.tokens.get(from).is_some_and(|token| token.kind == Type::Word);
        if plain && self.words(from, &["WATERMARK", "FOR"]) {
            table.watermark = self.unquoted(from + 2);
            return;
        }
        if plain && words.iter().any(|word| self.word(from, word)) && !self.word(from + 1, "AS") && to - from > 2 {
            return;
        }
        let Some(name) = self.unquoted(from).filter(|_| !self.word(from + 1, "AS")) else {
            return;
        };
        if constraint.is_some() {
            table.key = vec![name.clone()];
        }
        let ends = ["METADATA", "NOT", "NULL", "PRIMARY", "CONSTRAINT", "COMMENT"];
        let end =
            (from + 1..to).find(|at| ends.iter().any(|word| self.word(*at, word)) && self.depth(from + 1, *at) == 0);
        let end = end.unwrap_or(to);
        let metadata = (end..to).find(|at| self.word(*at, "METADATA")).map(|at| {
            let key = if self.word(at + 1, "FROM") {
                self.unquoted(at + 2)
            } else {
                None
            };
            let only_read = (at..to).any(|at| self.word(at, "VIRTUAL"));
            (key.unwrap_or_else(|| name.clone()), only_read)
        });
        table.columns.push(Column {
            name,
            of: self.spelt(from + 1, end),
            not_null: (end..to).any(|at| self.words(at, &["NOT", "NULL"])),
            metadata,
        });
    }

    /// How many brackets are open at a token that were not at `from`.
    fn depth(&self, from: usize, at: usize) -> i32 {
        let step = |at| match self.text(at) {
            "(" | "<" => 1,
            ")" | ">" => -1,
            _ => 0,
        };
        (from..at).map(step).sum()
    }

    /// Tokens with the blanks that a person puts between them.
    fn spelt(&self, from: usize, to: usize) -> String {
        let mut text = String::new();
        for at in from..to {
            let token = self.text(at);
            let tight = matches!(token, "," | "(" | ")" | "<" | ">") || text.is_empty() || text.ends_with(['(', '<']);
            if !tight {
                text.push(' ');
            }
            text.push_str(token);
        }
        text
    }

    /// The bracket that closes the one at `open`, or the end.
    fn closing(&self, open: usize) -> usize {
        let mut depth = 0;
        for at in open..self.tokens.len() {
            match self.text(at) {
                "(" => depth += 1,
                ")" => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return at;
            }
        }
        self.tokens.len()
    }

    /// What commas part, brackets passed over.
    fn parts(&self, from: usize, to: usize) -> Vec<(usize, usize)> {
        let mut parts = Vec::new();
        let (mut start, mut depth) = (from, 0);
        for at in from..to {
            match self.text(at) {
                "(" | "<" => depth += 1,
                ")" | ">" => depth -= 1,
                "," if depth == 0 => {
                    parts.push((start, at));
                    start = at + 1;
                }
                _ => {}
            }
        }
        if start < to {
            parts.push((start, to));
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_as_it_is_written() {
        let script = "SET 'a' = 'b';\n\
            CREATE TEMPORARY TABLE IF NOT EXISTS cat.db.`or``ders` (\n\
              id STRING NOT NULL COMMENT 'the, id',\n  -- a comment, with commas\n  amount DECIMAL(10,2),\n\
              row1 ROW<a INT, b ARRAY<STRING>>, m MAP < STRING , BYTES > METADATA FROM 'headers' VIRTUAL,\n\
              ts TIMESTAMP(3) METADATA, total AS amount * 2, `watermark` INT,\n\
              WATERMARK FOR ts AS ts - INTERVAL '5' SECOND, PRIMARY KEY (id, `amount`) NOT ENFORCED\n\
            ) WITH ('connector' = 'kafka', 'topic' = '${topic.orders}');\n\
            CREATE TABLE out_ (n BIGINT PRIMARY KEY NOT ENFORCED) WITH ('connector' = 'upsert-kafka');\n\
            INSERT INTO out_ SELECT COUNT(*) FROM `or``ders`;";
        let tables = tables(script);
        let [orders, out] = tables.as_slice() else {
            panic!("{tables:?}")
        };
        assert_eq!(
            (orders.name.as_str(), orders.read, orders.written),
            ("or`ders", true, false)
        );
        assert_eq!(
            (out.read, out.written, out.key.clone()),
            (false, true, vec!["n".to_owned()])
        );
        let columns: Vec<_> = orders
            .columns
            .iter()
            .map(|c| (c.name.as_str(), c.of.as_str()))
            .collect();
        assert_eq!(
            columns,
            [
                ("id", "STRING"),
                ("amount", "DECIMAL(10, 2)"),
                ("row1", "ROW<a INT, b ARRAY<STRING>>"),
                ("m", "MAP<STRING, BYTES>"),
                ("ts", "TIMESTAMP(3)"),
                ("watermark", "INT"),
            ]
        );
        let metadata: Vec<_> = orders.columns.iter().filter_map(|c| c.metadata.clone()).collect();
        assert_eq!(metadata, [("headers".to_owned(), true), ("ts".to_owned(), false)]);
        assert_eq!(orders.key, ["id", "amount"]);
        assert_eq!(orders.watermark.as_deref(), Some("ts"));
        assert_eq!(orders.option("topic"), Some("${topic.orders}"));
        assert_eq!(orders.options[1].2.line, 9);
    }

    #[test]
    fn what_a_script_writes_and_reads_is_told() {
        let script = "CREATE TABLE a (x INT) WITH ('k'='v');CREATE TABLE b (x INT) WITH ('k'='v');\n\
            CREATE TABLE c WITH ('k'='v') AS SELECT x FROM a;CREATE VIEW v AS SELECT x FROM d;\n\
            CREATE TABLE d (x INT);\n\
            EXECUTE STATEMENT SET BEGIN INSERT INTO b SELECT x FROM a JOIN v ON TRUE; INSERT INTO db.d SELECT 1; END;";
        let told: Vec<_> = tables(script)
            .into_iter()
            .map(|t| (t.name, t.read, t.written))
            .collect();
        let expected = [
            ("a", true, false),
            ("b", false, true),
            ("c", false, true),
            ("d", true, true),
        ];
        assert_eq!(
            told,
            expected.map(|(name, read, written)| (name.to_owned(), read, written))
        );
        assert!(tables("CREATE TABLE 'x").is_empty());
        for broken in [
            "CREATE TABLE",
            "CREATE TABLE a (",
            "CREATE TABLE a (x",
            "CREATE TABLE a (x INT) WITH (",
            "CREATE TABLE a WITH ('x' =",
        ] {
            tables(broken);
        }
    }
}
