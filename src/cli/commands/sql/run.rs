//! Statements carried out one after another, and their results printed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tokio_util::sync::CancellationToken;

use crate::cli::output::{self, table};
use crate::cli::session::Session;
use crate::diag::{Failure, Reason, Result};
use crate::event::EventSink;
use crate::job::{Stage, mask};
use crate::sql::{Position, split};
use crate::sqlsession::{Answer, Gateway, Limits, Offered, Outcome, bounded};

/// A statement with its place.
pub(super) struct Numbered {
    file: PathBuf,
    position: Position,
    text: String,
}

/// The statements of all scripts; `ends`: tables of topics end where the topics end.
///
/// # Errors
/// [`Reason::SqlInvalid`] at the place of what does not fall into statements.
pub(super) fn statements(scripts: &[(PathBuf, String)], ends: bool) -> Result<Vec<Numbered>> {
    let mut all = Vec::new();
    for (file, text) in scripts {
        let found = split(text).map_err(|e| {
            Failure::new(Reason::SqlInvalid, e.message).at(file.clone(), e.position.line, e.position.column)
        })?;
        all.extend(found.into_iter().map(|statement| Numbered {
            file: file.clone(),
            position: statement.position,
            text: if ends {
                bounded(statement.text)
            } else {
                statement.text.to_owned()
            },
        }));
    }
    if all.is_empty() {
        return Err(Failure::new(Reason::SqlInvalid, "there is no statement"));
    }
    Ok(all)
}

/// Makes the tables that are offered.
pub(super) async fn offer(
    gateway: &Gateway,
    offered: &Offered,
    vars: &BTreeMap<String, String>,
    limits: Limits,
    events: &EventSink,
    cancel: &CancellationToken,
) -> Result<()> {
    if offered.statements.is_empty() {
        return Ok(());
    }
    let title = format!("{} tables", offered.statements.len());
    let stage = Stage::start(events, cancel, "tables", title);
    let cx = stage.cx().clone();
    let work = async {
        for statement in &offered.statements {
            let made = gateway.run(statement, limits, &cx).await;
            made.map_err(|failure| {
                let message = failure.detail().message.clone();
                let failure = failure.reworded(message).evidence(format!("in: {}", head(statement)));
                failure.map_texts(|text| mask(text, vars))
            })?;
        }
        Ok(())
    };
    stage.run(work, |()| offered.names.join(", ")).await
}

/// Carries them out until one fails.
pub(super) async fn all(
    session: &Session,
    gateway: &Gateway,
    statements: &[Numbered],
    vars: &BTreeMap<String, String>,
    limits: Limits,
    events: &EventSink,
) -> Result<()> {
    for (index, statement) in statements.iter().enumerate() {
        // the text has the values in it: secret ones are not shown
        let title = head(&mask(&statement.text, vars));
        let stage = Stage::start(
            events,
            &session.cancel,
            &format!("statement/{}", index + 1),
            title.clone(),
        );
        let cx = stage.cx().clone();
        let work = async {
            let result = gateway.run(&statement.text, limits, &cx).await;
            result.map_err(|failure| at_users_place(failure, statement).map_texts(|text| mask(text, vars)))
        };
        let result = stage.run(work, told).await?;
        let outcome = Outcome {
            v: 1,
            statement: index + 1,
            text: title,
            result,
        };
        print(session, &outcome);
    }
    Ok(())
}

/// A failure of a statement at its place in the script.
fn at_users_place(failure: Failure, statement: &Numbered) -> Failure {
    let (line, column) = failure
        .detail()
        .location
        .as_ref()
        .map_or((1, 1), |l| (l.line, l.column));
    let Position {
        line: first,
        column: start,
    } = statement.position;
    let column = if line == 1 { start + column - 1 } else { column };
    failure.at(statement.file.clone(), first + line - 1, column)
}

/// The first line, cut.
fn head(statement: &str) -> String {
    let first = statement.trim().lines().next().unwrap_or_default();
    if first.chars().count() > 60 || first.len() < statement.trim().len() {
        format!("{} …", first.chars().take(60).collect::<String>().trim_end())
    } else {
        first.to_owned()
    }
}

fn told(answer: &Answer) -> String {
    match answer {
        Answer::Ok => "OK".to_owned(),
        Answer::Job { job_id } => format!("job {job_id} was started"),
        Answer::Rows { rows, complete, .. } => {
            let more = if *complete { "" } else { ", there are more" };
            let s = if rows.len() == 1 { "" } else { "s" };
            format!("{} row{s}{more}", rows.len())
        }
    }
}

fn print(session: &Session, outcome: &Outcome) {
    if session.json() {
        session.result("", outcome);
        return;
    }
    match &outcome.result {
        Answer::Ok => {}
        Answer::Job { job_id } => output::result(job_id),
        Answer::Rows { columns, rows, .. } => {
            let changes = rows
                .iter()
                .any(|row| row.contains_key("op") && columns.iter().all(|c| c.name != "op"));
            let mut head: Vec<String> = columns.iter().map(|c| c.name.clone()).collect();
            if changes {
                head.insert(0, "op".to_owned());
            }
            let mut lines = vec![head];
            for row in rows {
                let mut cells: Vec<String> = row.values().map(shown).collect();
                if changes && !row.contains_key("op") {
                    cells.insert(0, "+I".to_owned());
                }
                lines.push(cells);
            }
            output::result(&table(&lines));
        }
    }
}

/// A value as people read it.
fn shown(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => "NULL".to_owned(),
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_keep_their_places_and_errors_get_them() {
        let script = (PathBuf::from("a.sql"), "SELECT 1;\n  SELECT\n x;".to_owned());
        let all = statements(&[script], true).unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!(head(&all[1].text), "SELECT …");
        let refused = |line, column| {
            let failure = Failure::new(Reason::JobSubmitFailed, "no x").at("", line, column);
            let placed = at_users_place(failure, &all[1]);
            let place = placed.detail().location.clone().unwrap();
            (place.line, place.column)
        };
        assert_eq!(refused(1, 8), (2, 10));
        assert_eq!(refused(2, 2), (3, 2));
        let failure = at_users_place(Failure::new(Reason::JobFailed, "x"), &all[1]);
        assert_eq!(failure.detail().location.as_ref().unwrap().line, 2);
        assert!(statements(&[(PathBuf::from("b.sql"), "-- nothing".to_owned())], true).is_err());
    }
}
