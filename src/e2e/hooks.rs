//! `setup` and `teardown` of a case: commands of this machine, and scripts that have to end well.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::Target;
use super::case::{Prepared, at_users_place, interrupted};
use super::case_step::CaseStep;
use super::lease::LABEL_RUN;
use crate::config::{Hook, HookAction};
use crate::diag::{Failure, Reason, Result};
use crate::event::EventSink;
use crate::flink::{JobSpec, Phase, SessionJob};
use crate::process::{Program, tail};

/// Of a command's output that is shown, in lines.
const SHOWN: usize = 40;

/// Does the steps of `part` in their order, to the first that fails.
///
/// # Errors
/// [`Reason::ToolFailed`] for a command that does not end with 0, [`Reason::TimedOut`] for what takes too long, those of
/// a job for a script; each at the line of the case. Nothing of it runs any more then.
pub(super) async fn play(
    prepared: &Prepared,
    (part, hooks): (&'static str, &[Hook]),
    target: &Target,
    events: &EventSink,
    cancel: &CancellationToken,
) -> Result<()> {
    for (number, hook) in hooks.iter().enumerate() {
        let id = format!("{part}-{}", number + 1);
        let title = match &hook.action {
            HookAction::Run(command) => format!("{part}: {}", first_line(command)),
            HookAction::Sql { file, .. } => {
                format!("{part}: {}", file.file_name().unwrap_or_default().to_string_lossy())
            }
        };
        let work = async {
            let result = match &hook.action {
                HookAction::Run(command) => run(prepared, command, hook.within, target, cancel).await,
                HookAction::Sql { file, .. } => script(prepared, &id, file, hook.within, target, cancel).await,
            };
            result.map_err(|failure| match failure.detail().location {
                Some(_) => failure,
                None => failure.at(prepared.case.file.clone(), hook.line, 0),
            })
        };
        let step = CaseStep::start(prepared, events, cancel, &id, &title);
        step.run(work, Clone::clone).await?;
    }
    Ok(())
}

fn first_line(command: &str) -> String {
    let line = command.trim().lines().next().unwrap_or_default();
    let cut: String = line.chars().take(60).collect();
    if cut.len() < command.trim().len() {
        format!("{cut}…")
    } else {
        cut
    }
}

/// Runs a command of this machine; tells how it ended.
async fn run(
    prepared: &Prepared,
    command: &str,
    within: Duration,
    target: &Target,
    cancel: &CancellationToken,
) -> Result<String> {
    let mut program = Program::new("sh")
        .arg("-c")
        .arg(command)
        .cwd(
            prepared
                .case
                .file
                .parent()
                .filter(|p| !p.as_os_str().is_empty())
                .unwrap_or(Path::new(".")),
        )
        .env("CASE", &prepared.case.name)
        .env("KAFKA_BOOTSTRAP", &target.kafka_local);
    for (name, value) in topics(prepared) {
        program = program.env(name, value);
    }
    let failed = |reason, message: String, output: &str| {
        let failure = Failure::new(reason, message);
        match tail(output, SHOWN) {
            last if last.is_empty() => failure,
            last => failure.evidence(last),
        }
    };
    let mut seen = String::new();
    let ended = timeout(
        within,
        program.run(cancel, |line| {
            seen.push_str(line);
            seen.push('\n');
        }),
    )
    .await;
    match ended {
        Ok(Ok(output)) if output.status.success() => Ok("ended with 0".to_owned()),
        Ok(Ok(output)) => Err(failed(
            Reason::ToolFailed,
            format!("the command failed: {}", output.status),
            &seen,
        )),
        Ok(Err(failure)) => Err(failure),
        Err(_) => {
            let message = format!("the command did not end within {} s", within.as_secs_f64());
            Err(failed(Reason::TimedOut, message, &seen))
        }
    }
}

/// The variables that tell a command the names of topics.
fn topics(prepared: &Prepared) -> BTreeMap<String, String> {
    let variable = |topic: &str| {
        let word = topic.chars().map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_uppercase()
            } else {
                '_'
            }
        });
        format!("TOPIC_{}", word.collect::<String>())
    };
    let topics = prepared.case.topics().into_iter();
    topics
        .map(|topic| (variable(topic), prepared.names.topic(topic)))
        .collect()
}

/// Runs a script as a job of its own until it has ended well, and removes the job.
async fn script(
    prepared: &Prepared,
    id: &str,
    file: &Path,
    within: Duration,
    target: &Target,
    cancel: &CancellationToken,
) -> Result<String> {
    let script = prepared.other(file)?;
    let spec = JobSpec {
        name: prepared.names.beside(id),
        program: script.text.clone().into(),
        script_file: file.to_owned(),
        labels: BTreeMap::from([(LABEL_RUN.to_owned(), prepared.run_id().to_owned())]),
        ..JobSpec::default()
    };
    let job = SessionJob::submit(&target.client, &target.namespace, &target.session, &spec).await?;
    let (report, mut phases) = watch::channel(Phase::Waiting("submitted".to_owned()));
    let ends = async {
        loop {
            if *phases.borrow_and_update() == Phase::Finished {
                return;
            }
            if phases.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let result = tokio::select! {
        biased;
        () = cancel.cancelled() => Err(interrupted()),
        () = ends => Ok("FINISHED".to_owned()),
        failure = job.follow(&report) => Err(failure),
        () = tokio::time::sleep(within) => {
            let message = format!("the job did not end within {} s", within.as_secs_f64());
            let failure = Failure::new(Reason::TimedOut, message);
            Err(job.evidence().await.into_iter().fold(failure, Failure::evidence))
        }
    };
    let result = result.map_err(|failure| at_users_place(failure, file, script));
    // whatever became of it
    let removed = job.delete().await;
    result.and_then(|told| removed.map(|()| told))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_command_is_named_by_its_beginning() {
        assert_eq!(first_line("  echo hello \n"), "echo hello");
        assert_eq!(first_line("one\ntwo"), "one…");
    }
}
