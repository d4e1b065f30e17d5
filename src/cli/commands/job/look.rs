//! `dev job ls` and `dev job status`.

use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::args::Where;
use crate::cli::output::table;
use crate::cli::session::Session;
use crate::diag::{Reason, Result};
use crate::job::{self, Kind, Managed, Report, Row, Verdict};

pub(super) async fn list(session: &Session, place: &Where) -> Result<ExitCode> {
    let place = super::place(session, place).await?;
    let rows = job::rows(&place).await?;
    session.result(&listing(&rows, now_ms()), &json!({ "v": 1, "jobs": rows }));
    Ok(ExitCode::SUCCESS)
}

fn listing(rows: &[Row], now_ms: i64) -> String {
    if rows.is_empty() {
        return "no jobs".to_owned();
    }
    let head = ["JOB", "KIND", "CLUSTER", "OPERATOR", "FLINK", "SINCE", "JOB ID"];
    let mut all = vec![head.map(str::to_owned).to_vec()];
    let shown = |text: &str| {
        if text.is_empty() {
            "-".to_owned()
        } else {
            text.to_owned()
        }
    };
    for row in rows {
        all.push(vec![
            row.name.clone(),
            kind(row.kind).to_owned(),
            row.cluster.clone(),
            shown(&row.lifecycle),
            shown(&row.flink),
            since(row.started_ms, now_ms),
            shown(&row.job_id),
        ]);
    }
    let mut text = table(&all);
    for row in rows.iter().filter(|row| !row.error.is_empty()) {
        text.push_str(&format!("\n{}: {}", row.name, row.error));
    }
    text
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Session => "session",
        Kind::Application => "application",
    }
}

fn now_ms() -> i64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_millis());
    i64::try_from(now).unwrap_or(i64::MAX)
}

/// `12s`, `3m`, `5h`, `2d`.
fn since(started_ms: i64, now_ms: i64) -> String {
    if started_ms <= 0 {
        return "-".to_owned();
    }
    let seconds = Duration::from_millis(u64::try_from(now_ms - started_ms).unwrap_or(0)).as_secs();
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

pub(super) async fn status(session: &Session, name: &str, place: &Where) -> Result<ExitCode> {
    let place = super::place(session, place).await?;
    let job = Managed::find(&place, name).await?;
    let report = job::report(&job).await?;
    session.result(&text(session, &report, now_ms()), &report);
    let code = match report.verdict {
        Verdict::Running | Verdict::Finished | Verdict::Suspended => 0,
        Verdict::Failed => Reason::JobFailed.entry().exit_code,
        Verdict::Unsettled => Reason::ComponentNotReady.entry().exit_code,
    };
    Ok(ExitCode::from(code))
}

fn text(session: &Session, report: &Report, now_ms: i64) -> String {
    let style = session.out;
    let word = match report.verdict {
        Verdict::Running => style.good("running"),
        Verdict::Finished => style.good("finished"),
        Verdict::Suspended => style.warn("suspended"),
        Verdict::Failed => style.bad("failed"),
        Verdict::Unsettled => style.warn("unsettled"),
    };
    let mut lines = vec![format!("{} ({word})", style.bold(&report.name))];
    let mut row = |name: &str, value: String| {
        if !value.is_empty() {
            lines.push(format!("  {name:12} {value}"));
        }
    };
    let shown = |text: &str| if text.is_empty() { "-" } else { text }.to_owned();
    row("kind", format!("{} in cluster {}", kind(report.kind), report.cluster));
    let seen = if report.seen {
        ""
    } else {
        ", has not seen the last change"
    };
    let wanted = &report.wanted;
    row(
        "operator",
        format!(
            "{}, job {}{seen} (wanted: {wanted})",
            shown(&report.lifecycle),
            shown(&report.operator)
        ),
    );
    let tasks: Vec<String> = report.tasks.iter().map(|(state, n)| format!("{n} {state}")).collect();
    let tasks = if tasks.is_empty() {
        String::new()
    } else {
        format!(", tasks: {}", tasks.join(", "))
    };
    row("flink", format!("{}{tasks}", shown(&report.flink)));
    row("job id", report.job_id.clone());
    if !report.flink.is_empty() {
        row("started", format!("{} ago", since(report.started_ms, now_ms)));
        row("parallelism", report.parallelism.to_string());
        let last = if report.last_checkpoint.is_empty() {
            String::new()
        } else {
            format!(", last: {}", report.last_checkpoint)
        };
        row("checkpoints", format!("{} completed{last}", report.checkpoints));
    }
    row("upgrade mode", report.upgrade_mode.clone());
    if report.failures > 0 {
        row(
            "failures",
            format!("{}, the last one: {}", report.failures, report.last_failure),
        );
    }
    row("error", report.error.clone());
    if matches!(report.verdict, Verdict::Failed | Verdict::Unsettled) {
        let next = format!("dev job logs {} --level warn", report.name);
        lines.push(format!("next: {}", style.code(&next)));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_jobs() {
        let row = |name: &str, flink: &str, started_ms, error: &str| Row {
            name: name.to_owned(),
            kind: Kind::Session,
            cluster: "session".to_owned(),
            lifecycle: "STABLE".to_owned(),
            flink: flink.to_owned(),
            job_id: "ab".to_owned(),
            started_ms,
            error: error.to_owned(),
        };
        let rows = [row("orders", "RUNNING", 1000, ""), row("x", "", 0, "no such table")];
        insta::assert_snapshot!(listing(&rows, 66_000), @r"
        JOB     KIND     CLUSTER  OPERATOR  FLINK    SINCE  JOB ID
        orders  session  session  STABLE    RUNNING  65s    ab
        x       session  session  STABLE    -        -      ab
        x: no such table
        ");
        assert_eq!(since(1, 3 * 3_600_000), "2h");
    }
}
