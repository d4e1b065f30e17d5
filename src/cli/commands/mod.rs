//! One file a command.

mod demo;
mod doctor;
mod down;
pub(in crate::cli) mod image;
pub(super) mod job;
pub(in crate::cli) mod sql;
mod status;
pub(super) mod test;
pub(super) mod topic;
pub(in crate::cli) mod ui;
mod up;
pub(in crate::cli) mod watch;

use std::process::ExitCode;

use clap::CommandFactory;

use super::args::{Cli, Command, SchemaOf};
use super::output;
use super::session::Session;
use crate::config;
use crate::diag::{Failure, Reason, Result, catalogue};
use crate::environment;

/// Commands that need neither the network nor other programs.
pub(super) fn without_runtime(command: &Command, session: &Session) -> Option<ExitCode> {
    match command {
        Command::Schema { format } => {
            let schema = match format {
                SchemaOf::Profile => config::profile_schema(),
                SchemaOf::Case => config::case_schema(),
            };
            output::result(&serde_json::to_string_pretty(&schema).unwrap_or_default());
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "dev", &mut script);
            output::result(String::from_utf8_lossy(&script).trim_end());
        }
        Command::Explain { id } => {
            return Some(match explain(id.as_deref()) {
                Ok(text) => {
                    output::result(&text);
                    ExitCode::SUCCESS
                }
                Err(failure) => session.fail(&failure),
            });
        }
        _ => return None,
    }
    Some(ExitCode::SUCCESS)
}

fn explain(id: Option<&str>) -> Result<String> {
    let all = catalogue().iter().map(|reason| reason.entry());
    let Some(id) = id else {
        let lines: Vec<_> = all
            .map(|e| format!("{:3}  {:22} {}", e.exit_code, e.id, e.what))
            .collect();
        return Ok(lines.join("\n"));
    };
    let wanted = id.to_uppercase();
    let names: Vec<&str> = all.clone().map(|e| e.id).collect();
    all.clone()
        .find(|e| e.id == wanted)
        .map(|e| format!("{} (exit code {})\n{}.\nnext: {}", e.id, e.exit_code, e.what, e.next))
        .ok_or_else(|| {
            let failure = Failure::new(Reason::Usage, format!("no error has the id `{id}`"));
            match config::nearest(&wanted, names) {
                Some(near) => failure.next(format!("dev explain {near}")),
                None => failure.next("dev explain"),
            }
        })
}

/// Runs a command that does something.
pub(super) async fn run(command: Command, session: &Session) -> ExitCode {
    session.watch_signals();
    let result = match command {
        Command::Up {
            profile,
            dry_run,
            switch_context,
        } => up::run(session, profile.profile.as_deref(), dry_run, switch_context).await,
        Command::Down { profile } => down::run(session, profile.profile.as_deref()).await,
        Command::Status { profile } => status::run(session, profile.profile.as_deref()).await,
        Command::Test(args) => test::run(session, &args).await,
        Command::Job(job) => job::run(session, job.command).await,
        Command::Sql(args) => sql::run(session, &args).await,
        Command::Ui(args) => ui::run(session, &args).await,
        Command::Topic(topic) => topic::run(session, topic.command).await,
        Command::Demo { fix, profile } => demo::run(session, fix, profile.as_deref()).await,
        Command::Doctor { profile, fix } => doctor::run(session, profile.profile.as_deref(), fix).await,
        Command::Watch(args) => watch::run(session, &args).await,
        Command::Image { command } => image::run(session, command).await,
        Command::Objects { profile } => objects(session, profile.profile.as_deref()).await,
        Command::Schema { .. } | Command::Explain { .. } | Command::Completions { .. } => Ok(ExitCode::SUCCESS),
    };
    match result {
        Ok(code) => code,
        Err(failure) => session.fail(&failure),
    }
}

async fn objects(session: &Session, profile: Option<&str>) -> Result<ExitCode> {
    let profile = config::Profile::load(&session.env, profile)?;
    let context = environment::Context::open(&session.env, profile).await?;
    let contents = environment::contents(&context).await?;
    output::result(&serde_json::to_string_pretty(&contents).unwrap_or_default());
    Ok(ExitCode::SUCCESS)
}
