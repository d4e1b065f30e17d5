//! `dev job run`.

use std::process::ExitCode;

use super::args::Run;
use crate::cli::output::human_duration;
use crate::cli::session::Session;
use crate::diag::{Failure, Reason, Result};
use crate::event::EventKind;
use crate::job::{self, Script, Started, Wanted};

pub(super) async fn run(session: &Session, args: &Run) -> Result<ExitCode> {
    if let Some("jar" | "py") = args.script.extension().and_then(|e| e.to_str()) {
        let message = "only SQL scripts can be run so far";
        return Err(Failure::new(Reason::Usage, message).next("dev job run FILE.sql"));
    }
    let mut place = super::place(session, &args.place).await?;
    if let Some(name) = &args.session {
        place.session.clone_from(name);
    }
    let vars = args.var.iter().cloned().collect();
    let bootstrap = place.kafka.as_ref().map(|(_, internal)| internal.as_str());
    let wanted = Wanted {
        name: job::job_name(args.name.as_deref(), &args.script)?,
        script: Script::load(&session.env.absolute(&args.script), &args.script, &vars, bootstrap)?,
        parallelism: args.parallelism,
        settings: args.set.iter().cloned().collect(),
        upgrade_mode: args.upgrade_mode.into(),
        replace: args.replace,
        detach: args.detach,
        within: args.within,
    };
    let (events, rendering) = session.render();
    let result = job::run(&place, &wanted, &events, &session.cancel).await;
    events.emit(EventKind::RunFinished {
        ok: result.is_ok(),
        summary: match &result {
            Ok(started) => summary(started),
            Err(failure) => failure.to_string(),
        },
    });
    drop(events);
    rendering.finish().await;
    let started = result?;
    let next = format!(
        "next: {}",
        session.out.code(&format!("dev job status {}", started.name))
    );
    session.result(&next, &started);
    Ok(ExitCode::SUCCESS)
}

fn summary(started: &Started) -> String {
    let took = human_duration(std::time::Duration::from_secs_f64(started.seconds));
    format!(
        "job {} is {} in session {} ({took})",
        started.name, started.state, started.session
    )
}
