//! `dev job upgrade`.

use std::process::ExitCode;

use super::args::Upgrade as Args;
use super::run::{cluster, code};
use crate::cli::output::human_bytes;
use crate::cli::session::Session;
use crate::diag::Result;
use crate::event::EventKind;
use crate::job::{self, Cluster, Extras, Kind, Managed, Upgrade, Upgraded};

pub(super) async fn run(session: &Session, args: &Args) -> Result<ExitCode> {
    let (place, workshop) = super::opened(session, &args.how.place).await?;
    let found = Managed::find(&place, &args.name).await?;
    job::cluster_ready(&found).await?;
    let extras = match cluster(session, &args.what, found.kind == Kind::Application)? {
        Cluster::Application(extras) => extras,
        Cluster::Session => Extras::default(),
    };
    let wanted = Upgrade {
        code: code(session, &args.file, &args.what, &args.args, &place)?,
        extras,
        parallelism: args.what.parallelism,
        settings: args.what.set.iter().cloned().collect(),
        mode: args.upgrade_mode.map(Into::into),
        from: args.from_savepoint.clone(),
        drop_unknown: args.allow_non_restored_state,
        within: args.how.within,
    };
    let (events, rendering) = session.render();
    let result = job::upgrade(&place, &workshop, &found, &wanted, &events, &session.cancel).await;
    events.emit(EventKind::RunFinished {
        ok: result.is_ok(),
        summary: match &result {
            Ok(done) => summary(done),
            Err(failure) => failure.to_string(),
        },
    });
    drop(events);
    rendering.finish().await;
    let done = result?;
    session.result(&text(&done), &done);
    Ok(ExitCode::SUCCESS)
}

fn summary(done: &Upgraded) -> String {
    if !done.changed {
        return format!("job {} is {} and runs this already", done.name, done.state);
    }
    match done.kept {
        Some(_) => format!("job {} is {} with its state of before", done.name, done.state),
        None => format!("job {} is {} and began anew", done.name, done.state),
    }
}

fn text(done: &Upgraded) -> String {
    let mut lines = Vec::new();
    if let Some(kept) = &done.kept {
        let what = if kept.savepoint { "savepoint" } else { "checkpoint" };
        lines.push(format!("  {what:12} {}", kept.path));
        let size = kept
            .bytes
            .map_or_else(String::new, |bytes| format!(", {}", human_bytes(bytes)));
        lines.push(format!("  restored     id {}{size}", kept.id));
    }
    lines.push(format!("  job id       {}", done.job_id));
    lines.join("\n")
}
