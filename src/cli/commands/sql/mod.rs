//! `dev sql`.

pub(in crate::cli) mod args;
mod run;
mod terminal;

use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use args::SqlArgs;

use super::job;
use crate::cli::session::Session;
use crate::config::{Addresses, Source};
use crate::diag::{Failure, Reason, Result};
use crate::event::{EventKind, EventSink};
use crate::job::{Place, Stage, fill, unused};
use crate::sqlsession::{self, Gateway, Limits, Mode, Offered, SqlPod};

/// What is to be carried out, and what it is called in messages.
struct Input {
    name: PathBuf,
    text: String,
}

pub(super) async fn run(session: &Session, args: &SqlArgs) -> Result<ExitCode> {
    let inputs = inputs(session, args)?;
    if inputs.is_empty() && session.json() {
        let message = "the interactive session speaks to people only";
        return Err(Failure::new(Reason::Usage, message).next("dev sql -o json -e 'SHOW TABLES'"));
    }
    let (place, workshop) = job::opened(session, &args.place).await?;
    // what runs to an end reads to the end of its topics
    let ends = !inputs.is_empty() && !args.streaming;
    let mut offered = Offered::default();
    let addresses = place.addresses();
    if let Some(bootstrap) = addresses.kafka {
        offered = sqlsession::of_profile(&workshop.profile.topics, bootstrap, ends);
    }
    let mut tables = Vec::new();
    for file in &args.tables {
        tables.push((file, Source::read(&session.env.absolute(file), file)?));
    }
    let texts = inputs.iter().map(|input| input.text.as_str());
    let texts = texts.chain(tables.iter().map(|(_, script)| script.text.as_str()));
    if let Some(problem) = unused(texts, &args.var.iter().cloned().collect()) {
        let failure = Failure::new(Reason::Usage, problem.message);
        return Err(problem.next.into_iter().fold(failure, Failure::next));
    }
    for (file, script) in tables {
        let filled = filled(args, file, &script.text, addresses)?;
        let made = sqlsession::of_script(&filled, ends)
            .map_err(|e| located(file, e.position.line, e.position.column, e.message.to_owned()))?;
        offered.statements.extend(made);
    }
    if inputs.is_empty() {
        return interactive(session, args, &place, &offered).await;
    }
    let mut scripts = Vec::new();
    for input in &inputs {
        scripts.push((input.name.clone(), filled(args, &input.name, &input.text, addresses)?));
    }
    // a script that does not even fall into statements starts nothing
    let statements = run::statements(&scripts, ends)?;
    let (events, rendering) = session.render();
    let result = batch(session, args, &place, &offered, &statements, &events).await;
    events.emit(EventKind::RunFinished {
        ok: result.is_ok(),
        summary: match &result {
            Ok(()) => format!("{} statements", statements.len()),
            Err(failure) => failure.to_string(),
        },
    });
    drop(events);
    rendering.finish().await;
    result.map(|()| ExitCode::SUCCESS)
}

/// `-e`, files, and standard input where it is no terminal and nothing else was given.
fn inputs(session: &Session, args: &SqlArgs) -> Result<Vec<Input>> {
    let mut inputs = Vec::new();
    for file in &args.files {
        inputs.push(Input {
            text: Source::read(&session.env.absolute(file), file)?.text.clone(),
            name: file.clone(),
        });
    }
    for statement in &args.execute {
        inputs.push(Input {
            name: PathBuf::from("(-e)"),
            text: statement.clone(),
        });
    }
    if inputs.is_empty() && !std::io::stdin().is_terminal() {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .map_err(|e| Failure::new(Reason::FileUnreadable, "standard input cannot be read").cause(&e))?;
        if text.trim().is_empty() {
            let message = "standard input is no terminal, and there is no statement in it";
            return Err(Failure::new(Reason::Usage, message).next("dev sql -e 'SHOW TABLES'"));
        }
        inputs.push(Input {
            name: PathBuf::from("(standard input)"),
            text,
        });
    }
    Ok(inputs)
}

fn filled(args: &SqlArgs, name: &Path, text: &str, addresses: Addresses<'_>) -> Result<String> {
    let vars = args.var.iter().cloned().collect();
    let filled = fill(text, &vars, addresses).map_err(|p| {
        let failure = located(name, p.position.line, p.position.column, p.message);
        p.next.into_iter().fold(failure, Failure::next)
    })?;
    Ok(filled.text)
}

fn located(name: &Path, line: usize, column: usize, message: String) -> Failure {
    Failure::new(Reason::SqlInvalid, message).at(name, line, column)
}

async fn pod(session: &Session, args: &SqlArgs, place: &Place, mode: Mode, events: &EventSink) -> Result<SqlPod> {
    let title = format!("SQL session on {}", place.session);
    let stage = Stage::start(events, &session.cancel, "session", title);
    let cx = stage.cx().clone();
    let start = SqlPod::start(place, mode, args.start_within, &cx);
    stage.run(start, |pod| format!("pod {} answers", pod.name)).await
}

async fn batch(
    session: &Session,
    args: &SqlArgs,
    place: &Place,
    offered: &Offered,
    statements: &[run::Numbered],
    events: &EventSink,
) -> Result<()> {
    let pod = pod(session, args, place, Mode::Gateway, events).await?;
    let vars = args.var.iter().cloned().collect();
    let work = async {
        let gateway = Gateway::open(&pod, args.streaming).await?;
        let limits = Limits {
            rows: args.rows,
            within: args.within,
            open_end: args.streaming,
        };
        run::offer(&gateway, offered, &vars, limits, events, &session.cancel).await?;
        run::all(session, &gateway, statements, &vars, limits, events).await
    };
    let result = work.await;
    removed(pod, result).await
}

async fn interactive(session: &Session, args: &SqlArgs, place: &Place, offered: &Offered) -> Result<ExitCode> {
    let (events, rendering) = session.render();
    let started = pod(session, args, place, Mode::Client, &events).await;
    if started.is_ok() && !offered.names.is_empty() {
        events.note(format!("tables: {}", offered.names.join(", ")));
    }
    drop(events);
    // from here on the terminal is the client's
    rendering.finish().await;
    let pod = started?;
    let result = terminal::attach(session, &pod, &offered.script()).await;
    let code = removed(pod, result).await?;
    Ok(ExitCode::from(code))
}

/// Removes the pod, whatever came of it.
async fn removed<T>(pod: SqlPod, result: Result<T>) -> Result<T> {
    match (result, pod.remove().await) {
        (Ok(value), Ok(())) => Ok(value),
        (Ok(_), Err(left)) => Err(left),
        (Err(failure), left) => Err(failure.evidence(left.err().map(|f| f.to_string()).unwrap_or_default())),
    }
}
