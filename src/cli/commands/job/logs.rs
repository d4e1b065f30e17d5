//! `dev job logs`.

use std::process::ExitCode;

use tokio::sync::mpsc;

use super::args::Logs;
use crate::cli::output::Lines;
use crate::cli::session::Session;
use crate::diag::{Reason, Result};
use crate::job::Managed;
use crate::job::logs::{self, Level, LogLine, Wanted};

pub(super) async fn run(session: &Session, args: &Logs) -> Result<ExitCode> {
    let place = super::place(session, &args.place).await?;
    let job = Managed::find(&place, &args.name).await?;
    let wanted = Wanted {
        since: args.since,
        previous: args.previous,
        level: args.level.into(),
        tail: args.tail,
    };
    let mut out = Lines::new();
    if !args.follow {
        for line in logs::logs(&job, wanted).await? {
            out.line(&shown(session, &line));
        }
        out.flush();
        return Ok(ExitCode::SUCCESS);
    }
    let (sender, mut lines) = mpsc::channel(1024);
    let mut follow = std::pin::pin!(logs::follow(&job, wanted, &sender));
    loop {
        tokio::select! {
            biased;
            () = session.cancel.cancelled() => {
                return Ok(ExitCode::from(Reason::Interrupted.entry().exit_code));
            }
            Some(line) = lines.recv() => {
                out.line(&shown(session, &line));
                while let Ok(line) = lines.try_recv() {
                    out.line(&shown(session, &line));
                }
                if !out.flush() {
                    return Ok(ExitCode::SUCCESS);
                }
            }
            ended = &mut follow => {
                ended?;
                return Ok(ExitCode::SUCCESS);
            }
        }
    }
}

fn shown(session: &Session, line: &LogLine) -> Vec<u8> {
    if session.json() {
        return serde_json::to_vec(line).unwrap_or_default();
    }
    let style = session.out;
    let text = match line.level {
        Level::Error => style.bad(&line.line),
        Level::Warn => style.warn(&line.line),
        _ => line.line.clone(),
    };
    format!("{} {text}", style.code(&format!("{:15}", line.from))).into_bytes()
}
