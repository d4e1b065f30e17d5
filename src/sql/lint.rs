//! What can be told about a script without Flink: whether it can run as one session job.

use super::lines::Lines;
use super::{Kind, Position, Statement, split};

/// Something in a script, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub position: Position,
    /// How many characters it covers.
    pub width: usize,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub next: Option<String>,
}

/// What was found in a script that can run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lint {
    /// How many `INSERT`s the job has; a `CREATE TABLE … AS` is one.
    pub inserts: usize,
    /// What is most likely not meant, but can run.
    pub warnings: Vec<Problem>,
}

/// Checks that a script can run as one session job: it falls into statements, has an `INSERT`, and nothing that waits
/// for rows or starts a job of its own. The SQL runner refuses the same.
///
/// # Errors
/// The first thing that is wrong.
pub fn lint(script: &str) -> Result<Lint, Problem> {
    let statements = split(script).map_err(|error| Problem {
        position: error.position,
        width: 1,
        message: error.message.to_owned(),
        next: None,
    })?;
    let start = Position { line: 1, column: 1 };
    if statements.is_empty() {
        let next = Some("write CREATE TABLE and INSERT INTO statements".to_owned());
        return Err(Problem {
            position: start,
            width: 1,
            message: "the script holds no statement".to_owned(),
            next,
        });
    }
    let mut inserts = 0;
    for statement in &statements {
        if let Some((reason, next)) = refusal(statement) {
            return Err(problem(
                statement,
                format!("{} cannot run in a session job: {reason}", head(statement)),
                next,
            ));
        }
        match statement.kind {
            Kind::Insert | Kind::CreateAs => inserts += 1,
            Kind::StatementSet => {
                if let Some(other) = statement.inner.iter().find(|inner| inner.kind != Kind::Insert) {
                    let message = format!("{} cannot stand in a statement set: only INSERT can", head(other));
                    return Err(problem(other, message, "move it before the statement set"));
                }
                inserts += statement.inner.len();
            }
            _ => {}
        }
    }
    if inserts == 0 {
        let message = "the script has no INSERT: there is no job to start".to_owned();
        // the last statement is where an INSERT would follow
        let place = statements.last().map_or(start, |statement| statement.position);
        let next = Some("add INSERT INTO … SELECT …".to_owned());
        return Err(Problem {
            position: place,
            width: 1,
            message,
            next,
        });
    }
    let lines = Lines::new(script);
    Ok(Lint {
        inserts,
        warnings: statements
            .iter()
            .flat_map(|statement| local_brokers(&lines, statement))
            .collect(),
    })
}

fn refusal(statement: &Statement<'_>) -> Option<(&'static str, &'static str)> {
    Some(match statement.kind {
        Kind::Select => (
            "nobody would see its rows",
            "write them to a table: INSERT INTO … SELECT …",
        ),
        Kind::CreateMaterialized => ("it starts a job of its own", "write CREATE TABLE and INSERT INTO"),
        Kind::ExecutePlan => ("it starts a job of its own", "write the statements of the plan"),
        Kind::Delete | Kind::Update | Kind::Truncate | Kind::Call | Kind::Analyze | Kind::Compile => {
            ("only INSERTs make up its job", "remove it")
        }
        Kind::Other => ("it is not a statement that dev knows", "correct or remove it"),
        Kind::Set if waits(statement) => ("it would wait for its own end", "remove it"),
        _ => return None,
    })
}

/// `SET 'table.dml-sync' = 'true'`: the script runs in the JobManager, which cannot wait for the job that it starts.
fn waits(statement: &Statement<'_>) -> bool {
    statement.setting.as_ref().is_some_and(|setting| {
        setting.key == "table.dml-sync"
            && setting
                .value
                .as_ref()
                .is_some_and(|value| !value.eq_ignore_ascii_case("false"))
    })
}

fn problem(statement: &Statement<'_>, message: String, next: &str) -> Problem {
    let first_line = statement.text.lines().next().unwrap_or_default();
    Problem {
        position: statement.position,
        width: first_line.chars().count().max(1),
        message,
        next: Some(next.to_owned()),
    }
}

/// The statement's first words.
fn head(statement: &Statement<'_>) -> String {
    const LONGEST: usize = 30;
    let line = statement.text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("`{}…`", line[..end].trim_end()),
        None => format!("`{line}`"),
    }
}

/// Addresses of brokers that mean the pod itself where the job runs.
fn local_brokers(lines: &Lines<'_>, statement: &Statement<'_>) -> Vec<Problem> {
    if !matches!(statement.kind, Kind::Create | Kind::CreateAs) || !statement.text.contains("bootstrap.servers") {
        return Vec::new();
    }
    ["localhost:", "127.0.0.1:"]
        .iter()
        .flat_map(|host| statement.text.match_indices(host))
        .map(|(at, host)| Problem {
            position: lines.position(statement.range.start + at),
            width: host.len() - 1,
            message: format!(
                "`{}` is the pod itself where the job runs, not this machine",
                host.trim_end_matches(':')
            ),
            next: Some("write '${kafka.bootstrap}'".to_owned()),
        })
        .collect()
}
