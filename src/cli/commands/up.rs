//! `dev up`.

use std::process::ExitCode;

use serde_json::json;

use crate::cli::output::{self, human_duration};
use crate::cli::session::Session;
use crate::config::{ImageSource, Profile};
use crate::diag::{Failure, Reason, Result};
use crate::environment::{self, Context, Endpoint};
use crate::event::{EventKind, EventSink};
use crate::process::{Program, find};
use crate::{doctor, engine};

pub(super) async fn run(session: &Session, profile: Option<&str>, dry_run: bool, switch: bool) -> Result<ExitCode> {
    let profile = Profile::load(&session.env, profile)?;
    preflight(session, &profile).await?;
    let context = Context::open(&session.env, profile).await?;
    if dry_run {
        let plan = environment::prepare(&context).await?.plan;
        session.result(&plan.to_text(), &plan);
        return Ok(ExitCode::SUCCESS);
    }
    let (events, rendering) = session.render();
    let result = bring_up(session, &context, &events).await;
    events.emit(EventKind::RunFinished {
        ok: result.is_ok(),
        summary: match &result {
            Ok(summary) => summary.clone(),
            Err(failure) => failure.to_string(),
        },
    });
    drop(events);
    rendering.finish().await;
    result?;
    if switch {
        switch_context(session, &context).await?;
    }
    if !session.json() {
        output::result(&where_it_listens(session, &environment::listening(&context).await?));
    }
    Ok(ExitCode::SUCCESS)
}

/// What would make the run fail halfway is found before anything is created.
pub(super) async fn preflight(session: &Session, profile: &Profile) -> Result<()> {
    let builds = profile.images.source != ImageSource::Registry;
    let findings = doctor::preflight(&session.env, profile, builds).await;
    doctor::blocking(&findings).map_or(Ok(()), Err)
}

/// Plans and carries the plan out.
pub(super) async fn bring_up(session: &Session, context: &Context, events: &EventSink) -> Result<String> {
    // a part that stands still would be waited for in vain
    super::test::recover(context, &|what| events.note(what)).await?;
    let prepared = environment::prepare(context).await?;
    let noop = prepared.plan.is_noop();
    for note in &prepared.plan.notes {
        events.note(note.clone());
    }
    let summary = engine::run(prepared.steps, events, &session.cancel).await?;
    let name = context.kind.name();
    let took = human_duration(events.elapsed());
    Ok(if noop {
        format!("`{name}` is up; nothing was changed ({took})")
    } else {
        format!(
            "`{name}` is up: {} steps changed something, {} found it right ({took})",
            summary.changed, summary.unchanged
        )
    })
}

/// The endpoints and the next commands, as the end of `dev up`.
pub(super) fn where_it_listens(session: &Session, endpoints: &[Endpoint]) -> String {
    let mut lines: Vec<String> = endpoints
        .iter()
        .map(|e| {
            format!(
                "  {:15} {} {}",
                e.name,
                session.out.code(&e.address),
                session.out.dim(&format!("({})", e.from))
            )
        })
        .collect();
    lines.push(String::new());
    lines.push(format!("next: {}", session.out.code("dev test PATH...")));
    if let Some(kubeconfig) = endpoints.iter().find(|e| e.name == "kubeconfig") {
        lines.push(format!(
            "  or: {}",
            session.out.code(&format!("export KUBECONFIG={}", kubeconfig.address))
        ));
    }
    lines.join("\n")
}

async fn switch_context(session: &Session, context: &Context) -> Result<()> {
    // merging kubeconfigs is kubectl's own business
    let kubectl = find(&session.env, "kubectl").ok_or_else(|| {
        let message = "`--switch-context` needs kubectl on the PATH";
        Failure::new(Reason::ToolMissing, message)
            .next(format!("export KUBECONFIG={}", context.kind.kubeconfig().display()))
    })?;
    let own = session
        .env
        .var("KUBECONFIG")
        .map_or_else(|| session.env.home.join(".kube/config"), Into::into);
    let both = format!("{}:{}", context.kind.kubeconfig().display(), own.display());
    let merged = Program::new(kubectl)
        .args(["config", "view", "--flatten"])
        .env("KUBECONFIG", both)
        .output(&session.cancel)
        .await?;
    let write = || -> std::io::Result<()> {
        if let Some(dir) = own.parent() {
            fs_err::create_dir_all(dir)?;
        }
        let part = own.with_extension("flink-dev-new");
        fs_err::write(&part, merged)?;
        fs_err::rename(&part, &own)
    };
    write().map_err(|e| Failure::new(Reason::FileUnreadable, "your kubeconfig could not be written").cause(&e))?;
    let note = json!({"v": 1, "event": "note", "message": format!("current context of {} is now kind-{}", own.display(), context.kind.name())});
    if session.json() {
        output::result(&note.to_string());
    } else {
        output::message(note["message"].as_str().unwrap_or_default());
    }
    Ok(())
}
