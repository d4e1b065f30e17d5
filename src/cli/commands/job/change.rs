//! `dev job suspend`, `resume`, `restart`, `scale`, `savepoint`, `cancel` and `rm`.

use std::process::ExitCode;

use serde_json::json;

use super::args::How;
use crate::cli::session::Session;
use crate::diag::{Reason, Result};
use crate::event::EventKind;
use crate::job::{self, Changed, Managed, Stage};

/// What is done with a job.
#[derive(Debug)]
pub(super) enum Change {
    Suspend,
    Resume,
    Restart,
    Cancel,
    Scale(u32),
    Savepoint(Option<String>),
}

impl Change {
    fn verb(&self) -> &'static str {
        match self {
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Restart => "restart",
            Self::Cancel => "cancel",
            Self::Scale(_) => "scale",
            Self::Savepoint(_) => "savepoint of",
        }
    }
}

pub(super) async fn run(session: &Session, name: &str, change: Change, how: &How) -> Result<ExitCode> {
    let place = super::place(session, &how.place).await?;
    let job = Managed::find(&place, name).await?;
    job::cluster_ready(&job).await?;
    let (events, rendering) = session.render();
    let stage = Stage::start(&events, &session.cancel, "job", format!("{} {name}", change.verb()));
    let cx = stage.cx().clone();
    let work = async {
        match change {
            Change::Suspend => job.suspend(false, how.within, &cx).await,
            Change::Cancel => job.suspend(true, how.within, &cx).await,
            Change::Resume => job.resume(how.within, &cx).await,
            Change::Restart => job.restart(how.within, &cx).await,
            Change::Scale(parallelism) => job.scale(parallelism, how.within, &cx).await,
            Change::Savepoint(path) => job.savepoint(path.as_deref(), how.within, &cx).await,
        }
    };
    let result = stage.run(work, |changed: &Changed| changed.seen.clone()).await;
    if let Ok(changed) = &result {
        for note in &changed.notes {
            events.note(note.clone());
        }
    }
    events.emit(EventKind::RunFinished {
        ok: result.is_ok(),
        summary: match &result {
            Ok(changed) => format!("{name}: {}", changed.seen),
            Err(failure) => failure.to_string(),
        },
    });
    drop((events, cx));
    rendering.finish().await;
    let changed = result?;
    // for people, the last line of the run says it all
    if session.json() {
        session.result("", &changed);
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn remove(session: &Session, names: &[String], if_exists: bool, how: &How) -> Result<ExitCode> {
    let place = super::place(session, &how.place).await?;
    let mut jobs = Vec::new();
    // all are looked up before the first one is touched
    for name in names {
        match Managed::find(&place, name).await {
            Ok(job) => jobs.push(job),
            Err(failure) if if_exists && failure.id() == Reason::JobUnknown => {}
            Err(failure) => return Err(failure.evidence("no job was removed")),
        }
    }
    let (events, rendering) = session.render();
    let mut result = Ok(());
    for job in &jobs {
        let stage = Stage::start(
            &events,
            &session.cancel,
            &format!("rm/{}", job.name),
            format!("remove {}", job.name),
        );
        let cx = stage.cx().clone();
        let work = job.remove(how.within, &cx);
        result = stage
            .run(work, |()| "object gone, nothing of it runs in Flink".to_owned())
            .await;
        if result.is_err() {
            break;
        }
    }
    drop(events);
    rendering.finish().await;
    result?;
    if session.json() {
        let removed: Vec<&str> = jobs.iter().map(|job| job.name.as_str()).collect();
        session.result("", &json!({ "v": 1, "removed": removed }));
    }
    Ok(ExitCode::SUCCESS)
}
