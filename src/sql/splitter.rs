//! Puts tokens together to statements and tells what each is.

use super::lexer::{Token, Type, tokens};
use super::lines::Lines;
use super::{Connector, Kind, Setting, SplitError, Statement};

/// The statements of a script, in order; empty ones are left out.
///
/// # Errors
/// If a quote, a comment, a hint or a statement set is not closed, or a `SET` has no value.
pub fn split(script: &str) -> Result<Vec<Statement<'_>>, SplitError> {
    Splitter {
        script,
        tokens: tokens(script)?,
        lines: Lines::new(script),
    }
    .statements()
}

/// The words a query begins with.
const QUERY: [&str; 4] = ["SELECT", "WITH", "VALUES", "TABLE"];

struct Splitter<'a> {
    script: &'a str,
    tokens: Vec<Token>,
    lines: Lines<'a>,
}

impl<'a> Splitter<'a> {
    fn statements(&self) -> Result<Vec<Statement<'a>>, SplitError> {
        let mut statements = Vec::new();
        let mut at = 0;
        while at < self.tokens.len() {
            if self.is(at, Type::Semicolon) {
                at += 1;
                continue;
            }
            let (end, inner) = self.end(at)?;
            statements.push(self.statement(at, end, inner)?);
            at = end;
        }
        Ok(statements)
    }

    /// The token behind the statement's last one, and what stands in its statement set.
    fn end(&self, first: usize) -> Result<(usize, Vec<Statement<'a>>), SplitError> {
        // at the script's end too: it lacks its END, and would take in what is put behind it
        let body = first + 3;
        let opens = self.is(body, Type::Semicolon) || body == self.tokens.len();
        if self.words(first, &["BEGIN", "STATEMENT", "SET"]) && opens {
            return self.end_of_set(first, body);
        }
        let mut at = first;
        while at < self.tokens.len() && !self.is(at, Type::Semicolon) {
            if self.words(at, &["STATEMENT", "SET", "BEGIN"]) {
                return self.end_of_set(first, at + 3);
            }
            at += 1;
        }
        Ok((at, Vec::new()))
    }

    fn end_of_set(&self, first: usize, body: usize) -> Result<(usize, Vec<Statement<'a>>), SplitError> {
        let mut inner = Vec::new();
        let mut at = body;
        while at < self.tokens.len() {
            if self.is(at, Type::Semicolon) {
                at += 1;
            } else if self.words(at, &["END"]) {
                if at + 1 < self.tokens.len() && !self.is(at + 1, Type::Semicolon) {
                    return Err(self.error(at + 1, "semicolon expected after END"));
                }
                return Ok((at + 1, inner));
            } else {
                let start = at;
                while at < self.tokens.len() && !self.is(at, Type::Semicolon) {
                    at += 1;
                }
                inner.push(self.statement(start, at, Vec::new())?);
            }
        }
        Err(self.error(first, "statement set not closed by END"))
    }

    fn statement(&self, first: usize, end: usize, inner: Vec<Statement<'a>>) -> Result<Statement<'a>, SplitError> {
        let kind = self.kind(first, end);
        let setting = match kind {
            Kind::Set | Kind::Reset => self.setting(kind, first + 1, end)?,
            _ => None,
        };
        let range = self.tokens[first].range.start..self.tokens[end - 1].range.end;
        let table = match kind {
            Kind::CreateAs | Kind::CreateMaterialized => true,
            Kind::Create => self.word(self.created(first + 1, end)) == "TABLE",
            _ => false,
        };
        let connector = table.then(|| self.connector(first, end)).flatten();
        Ok(Statement {
            kind,
            position: self.lines.position(range.start),
            text: &self.script[range.clone()],
            range,
            inner,
            setting,
            connector,
        })
    }

    fn kind(&self, first: usize, end: usize) -> Kind {
        let mut at = first;
        while at < end && self.symbol(at, "(") {
            at += 1;
        }
        let word = |at: usize| if at < end { self.word(at) } else { String::new() };
        if at > first {
            return if is_query(&word(at)) { Kind::Select } else { Kind::Other };
        }
        let second = word(at + 1);
        match word(at).as_str() {
            "SET" => Kind::Set,
            "RESET" => Kind::Reset,
            "INSERT" => Kind::Insert,
            "CREATE" | "REPLACE" => self.create(self.created(at + 1, end), end),
            "DROP" => Kind::Drop,
            "ALTER" => Kind::Alter,
            "USE" => Kind::Use,
            "LOAD" | "UNLOAD" => Kind::Load,
            "ADD" | "REMOVE" if second == "JAR" => Kind::Jar,
            "SHOW" => Kind::Show,
            "DESCRIBE" | "DESC" => Kind::Describe,
            "EXPLAIN" => Kind::Explain,
            "DELETE" => Kind::Delete,
            "UPDATE" => Kind::Update,
            "TRUNCATE" => Kind::Truncate,
            "CALL" => Kind::Call,
            "ANALYZE" => Kind::Analyze,
            "COMPILE" if second == "AND" => Kind::ExecutePlan,
            "COMPILE" => Kind::Compile,
            "BEGIN" if self.words(at, &["BEGIN", "STATEMENT", "SET"]) => Kind::StatementSet,
            "EXECUTE" => match second.as_str() {
                "STATEMENT" => Kind::StatementSet,
                "INSERT" => Kind::Insert,
                "PLAN" => Kind::ExecutePlan,
                query if is_query(query) => Kind::Select,
                _ => Kind::Other,
            },
            query if is_query(query) => Kind::Select,
            _ => Kind::Other,
        }
    }

    /// The word that tells what is created; none other than these can stand before it.
    fn created(&self, first: usize, end: usize) -> usize {
        let before = ["OR", "REPLACE", "ALTER", "TEMPORARY"];
        (first..end)
            .find(|at| !before.contains(&self.word(*at).as_str()))
            .unwrap_or(end)
    }

    /// `CREATE`, or what it is if it fills the table: by an `AS` outside of all parentheses.
    fn create(&self, first: usize, end: usize) -> Kind {
        match self.word(first).as_str() {
            "MATERIALIZED" if first < end => return Kind::CreateMaterialized,
            "TABLE" if first < end => {}
            _ => return Kind::Create,
        }
        let mut depth = 0_i64;
        for at in first..end {
            if self.symbol(at, "(") {
                depth += 1;
            } else if self.symbol(at, ")") {
                depth -= 1;
            } else if depth == 0 && self.word(at) == "AS" {
                return Kind::CreateAs;
            }
        }
        Kind::Create
    }

    /// The first `'connector' = '…'` directly within the parentheses of a `WITH`.
    fn connector(&self, first: usize, end: usize) -> Option<Connector> {
        let text = |at: usize| self.is(at, Type::Text).then(|| self.value(at, at + 1));
        let (mut depth, mut with) = (0_i64, None);
        for at in first..end {
            if self.symbol(at, "(") {
                depth += 1;
                if with.is_none() && self.word(at - 1) == "WITH" {
                    with = Some(depth);
                }
            } else if self.symbol(at, ")") {
                if with == Some(depth) {
                    with = None;
                }
                depth -= 1;
            } else if with == Some(depth)
                && at + 2 < end
                && self.symbol(at + 1, "=")
                && text(at).as_deref() == Some("connector")
                && let Some(name) = text(at + 2)
            {
                let range = self.tokens[at + 2].range.clone();
                return Some(Connector {
                    name,
                    position: self.lines.position(range.start),
                    width: self.script[range].chars().count(),
                });
            }
        }
        None
    }

    fn setting(&self, kind: Kind, first: usize, end: usize) -> Result<Option<Setting>, SplitError> {
        if first == end {
            return Ok(None);
        }
        if kind == Kind::Reset {
            return Ok(Some(Setting {
                key: self.value(first, end),
                value: None,
            }));
        }
        match (first..end).find(|at| self.symbol(*at, "=")) {
            Some(equals) if equals > first && equals + 1 < end => Ok(Some(Setting {
                key: self.value(first, equals),
                value: Some(self.value(equals + 1, end)),
            })),
            _ => Err(self.error(first - 1, "SET wants a key, = and a value")),
        }
    }

    /// The text of some tokens; of a single one in quotes, what is within them.
    fn value(&self, first: usize, end: usize) -> String {
        let text = &self.script[self.tokens[first].range.start..self.tokens[end - 1].range.end];
        if end - first > 1 || !matches!(self.tokens[first].kind, Type::Text | Type::Name) {
            return text.to_owned();
        }
        let quote = &text[text.len() - 1..];
        let start = text.find(quote).map_or(0, |at| at + 1);
        text.get(start..text.len() - 1)
            .unwrap_or_default()
            .replace(&quote.repeat(2), quote)
    }

    fn error(&self, at: usize, message: &'static str) -> SplitError {
        SplitError {
            position: self.lines.position(self.tokens[at].range.start),
            message,
        }
    }

    fn is(&self, at: usize, kind: Type) -> bool {
        self.tokens.get(at).is_some_and(|token| token.kind == kind)
    }

    /// The word at a token in capitals; nothing where there is none. Of ASCII only: Flink knows no keyword with the
    /// Turkish dotless i or the long s.
    fn word(&self, at: usize) -> String {
        match self.tokens.get(at) {
            Some(Token {
                kind: Type::Word,
                range,
            }) => self.script[range.clone()].to_ascii_uppercase(),
            _ => String::new(),
        }
    }

    fn words(&self, at: usize, expected: &[&str]) -> bool {
        expected
            .iter()
            .enumerate()
            .all(|(index, word)| self.word(at + index) == *word)
    }

    fn symbol(&self, at: usize, expected: &str) -> bool {
        let found = self.tokens.get(at).filter(|token| token.kind == Type::Symbol);
        found.is_some_and(|token| &self.script[token.range.clone()] == expected)
    }
}

fn is_query(word: &str) -> bool {
    QUERY.contains(&word)
}
