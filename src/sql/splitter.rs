//! Puts tokens together to statements and tells what each is.

use super::lexer::{Token, Type, tokens};
use super::{Kind, Setting, SplitError, Statement, position};

/// The statements of a script, in order; empty ones are left out.
///
/// # Errors
/// If a quote, a comment, a hint or a statement set is not closed, or a `SET` has no value.
pub fn split(script: &str) -> Result<Vec<Statement<'_>>, SplitError> {
    Splitter {
        script,
        tokens: tokens(script)?,
    }
    .statements()
}

/// The words a query begins with.
const QUERY: [&str; 4] = ["SELECT", "WITH", "VALUES", "TABLE"];

struct Splitter<'a> {
    script: &'a str,
    tokens: Vec<Token>,
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
        if self.words(first, &["BEGIN", "STATEMENT", "SET"]) && self.is(first + 3, Type::Semicolon) {
            return self.end_of_set(first, first + 3);
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
        let position = position(self.script, range.start);
        Ok(Statement {
            kind,
            position,
            text: &self.script[range.clone()],
            range,
            inner,
            setting,
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
            "CREATE" | "REPLACE" if self.fills_table(at + 1, end) => Kind::CreateAs,
            "CREATE" | "REPLACE" => Kind::Create,
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

    /// Whether what is created is a table, filled by an `AS` outside of all parentheses.
    fn fills_table(&self, first: usize, end: usize) -> bool {
        let (mut table, mut depth) = (false, 0_i64);
        for at in first..end {
            if self.symbol(at, "(") {
                depth += 1;
            } else if self.symbol(at, ")") {
                depth -= 1;
            } else if depth == 0 && !table {
                match self.word(at).as_str() {
                    "TABLE" => table = true,
                    "OR" | "REPLACE" | "ALTER" | "TEMPORARY" | "MATERIALIZED" => {}
                    _ => return false,
                }
            } else if depth == 0 && self.word(at) == "AS" {
                return true;
            }
        }
        false
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
            position: position(self.script, self.tokens[at].range.start),
            message,
        }
    }

    fn is(&self, at: usize, kind: Type) -> bool {
        self.tokens.get(at).is_some_and(|token| token.kind == kind)
    }

    /// The word at a token in capitals; nothing where there is none.
    fn word(&self, at: usize) -> String {
        match self.tokens.get(at) {
            Some(Token {
                kind: Type::Word,
                range,
            }) => self.script[range.clone()].to_uppercase(),
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
