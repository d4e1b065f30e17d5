//! `dev doctor`.

use std::process::ExitCode;

use serde_json::json;

use crate::cli::session::Session;
use crate::config::Profile;
use crate::diag::Result;
use crate::doctor::{self, Finding, Status};
use crate::engine::StepCx;
use crate::event::EventSink;

pub(super) async fn run(session: &Session, profile: Option<&str>, fix: bool) -> Result<ExitCode> {
    let profile = Profile::load(&session.env, profile)?;
    let mut findings = doctor::examine(&session.env, &profile).await;
    if fix && doctor::needs_fix(&findings) {
        let (events, rendering) = session.render();
        let fixed = fix_with(session, &profile, &findings, &events).await;
        drop(events);
        rendering.finish().await;
        findings = fixed?;
    }
    let failure = doctor::blocking(&findings);
    session.result(
        &text(session, &findings),
        &json!({"v": 1, "ok": failure.is_none(), "findings": findings}),
    );
    Ok(failure.map_or(ExitCode::SUCCESS, |f| ExitCode::from(f.exit_code())))
}

/// Examines the machine and carries the cures out that it needs.
pub(super) async fn make_ready(session: &Session, profile: &Profile, events: &EventSink) -> Result<()> {
    let mut findings = doctor::examine(&session.env, profile).await;
    if doctor::needs_fix(&findings) {
        findings = fix_with(session, profile, &findings, events).await?;
    }
    doctor::blocking(&findings).map_or(Ok(()), Err)
}

async fn fix_with(
    session: &Session,
    profile: &Profile,
    findings: &[Finding],
    events: &EventSink,
) -> Result<Vec<Finding>> {
    let cx = StepCx::detached("doctor", events.clone(), session.cancel.clone());
    doctor::fix(&session.env, profile, findings, &cx).await
}

fn text(session: &Session, findings: &[Finding]) -> String {
    let style = session.out;
    let mut lines = Vec::new();
    for finding in findings {
        let mark = match finding.status {
            Status::Ok => style.good("ok  "),
            Status::Warn => style.warn("warn"),
            Status::Fail => style.bad("FAIL"),
        };
        lines.push(format!("{mark} {:24} {}", finding.title, finding.evidence));
        if let (Some(cure), true) = (&finding.cure, finding.status != Status::Ok) {
            lines.push(format!("       {}", style.dim(&cure.explains)));
            lines.push(format!("       cure: {}", style.code(&cure.command)));
        }
    }
    lines.join("\n")
}
