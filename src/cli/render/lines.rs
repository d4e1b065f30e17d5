//! Plain lines: one for each change of state, and a heartbeat while nothing changes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::Renderer;
use crate::cli::output::{self, Style, human_duration};
use crate::event::{Event, EventKind, Verdict};

/// After this long without a line, the steps that run are named.
const HEARTBEAT: Duration = Duration::from_secs(20);

/// The renderer for logs and pipes.
pub(super) struct Lines {
    style: Style,
    verbose: bool,
    running: BTreeMap<String, (String, Instant, String)>,
    last_line: Instant,
    many: bool,
}

impl Lines {
    pub(super) fn new(style: Style, verbose: bool) -> Self {
        Self {
            style,
            verbose,
            running: BTreeMap::new(),
            last_line: Instant::now(),
            many: false,
        }
    }

    fn print(&mut self, elapsed: Duration, text: &str) {
        self.last_line = Instant::now();
        let stamp = self.style.dim(&format!("[{:6.1}s]", elapsed.as_secs_f64()));
        output::message(&format!("{stamp} {text}"));
    }
}

impl Renderer for Lines {
    fn event(&mut self, event: &Event) {
        if let EventKind::CasesReady { total, .. } = &event.kind {
            self.many = *total > 1;
        }
        if self.many && !self.verbose && is_detail(&event.kind) {
            return;
        }
        match &event.kind {
            EventKind::StepStarted { step, title } => {
                self.running
                    .insert(step.clone(), (title.clone(), Instant::now(), String::new()));
                self.print(event.elapsed, &format!("{} {title}", self.style.dim("start")));
            }
            EventKind::StepProgress { step, message, .. } | EventKind::StepWaiting { step, reason: message } => {
                if let Some(entry) = self.running.get_mut(step) {
                    entry.2.clone_from(message);
                }
                if self.verbose {
                    self.print(event.elapsed, &format!("      {step}: {message}"));
                }
            }
            EventKind::StepOutput { step, line } if self.verbose => {
                self.print(event.elapsed, &format!("      {step}| {line}"));
            }
            EventKind::StepFinished { step, .. } | EventKind::StepFailed { step, .. } => {
                self.running.remove(step);
                if let Some(line) = end_line(&event.kind, self.style) {
                    self.print(event.elapsed, &line);
                }
            }
            kind => {
                if let Some(line) = end_line(kind, self.style) {
                    self.print(event.elapsed, &line);
                }
            }
        }
    }

    fn tick(&mut self) {
        if self.last_line.elapsed() >= HEARTBEAT && !self.running.is_empty() {
            self.last_line = Instant::now();
            for (title, since, reason) in self.running.values() {
                let reason = if reason.is_empty() {
                    String::new()
                } else {
                    format!(": {reason}")
                };
                output::message(&format!(
                    "          ... {title} ({}){reason}",
                    human_duration(since.elapsed())
                ));
            }
        }
    }
}

/// Whether an event is a part of a case, which is told in one line where there are many.
pub(super) fn is_detail(kind: &EventKind) -> bool {
    match kind {
        EventKind::StepStarted { step, .. }
        | EventKind::StepFinished { step, .. }
        | EventKind::StepFailed { step, .. } => step.starts_with("case/"),
        EventKind::CaseStarted { .. } => true,
        _ => false,
    }
}

/// The line that stays for an event, shared with the live view.
pub(super) fn end_line(kind: &EventKind, style: Style) -> Option<String> {
    Some(match kind {
        EventKind::StepFinished {
            title,
            took,
            changed,
            evidence,
            ..
        } => {
            let mark = if *changed {
                style.good("ok   ")
            } else {
                style.dim("kept ")
            };
            let evidence = if evidence.is_empty() {
                String::new()
            } else {
                format!(": {evidence}")
            };
            format!(
                "{mark} {title}{} {}",
                style.dim(&evidence),
                style.dim(&format!("({})", human_duration(*took)))
            )
        }
        EventKind::StepFailed {
            title, took, failure, ..
        } => {
            let id = failure.id().entry().id;
            format!(
                "{} {title}: {} [{id}] ({})",
                style.bad("FAIL "),
                failure.detail().message,
                human_duration(*took)
            )
        }
        EventKind::StepSlow {
            step,
            took,
            bound,
            reason,
        } => {
            let reason = if reason.is_empty() {
                String::new()
            } else {
                format!(": {reason}")
            };
            let (took, bound) = (human_duration(*took), human_duration(*bound));
            format!(
                "{} {step} takes long ({took}, given up after {bound}){reason}",
                style.warn("slow ")
            )
        }
        EventKind::Note { message } => format!("{}  {message}", style.dim("note")),
        EventKind::CasesReady {
            total,
            side_by_side,
            alone,
        } if *side_by_side > 1 => {
            let alone = match alone {
                0 => String::new(),
                alone => format!(", {alone} with faults alone after them"),
            };
            format!(
                "{} {total} cases, {side_by_side} side by side{alone}",
                style.dim("cases")
            )
        }
        EventKind::CaseStarted { case } => format!("{} {case}", style.dim("case ")),
        EventKind::CaseFinished {
            case,
            verdict,
            took,
            detail,
            ..
        } => {
            let verdict = match verdict {
                Verdict::Pass => style.good("PASS "),
                Verdict::Fail => style.bad("FAIL "),
                Verdict::Error => style.bad("ERROR"),
                Verdict::Skip => style.warn("SKIP "),
            };
            let mut out = format!(
                "{verdict} {case} {}",
                style.dim(&format!("({})", human_duration(*took)))
            );
            for line in detail {
                let line = match line.trim_start().chars().next() {
                    Some('-') => style.bad(line),
                    Some('+') => style.good(line),
                    Some('~') => style.warn(line),
                    _ => line.clone(),
                };
                out.push_str("\n      ");
                out.push_str(&line);
            }
            out
        }
        EventKind::CancelBegan { reason } => {
            format!("{} {reason}: cleaning up (again to leave at once)", style.warn("stop "))
        }
        EventKind::RunFinished { ok: true, summary } => format!("{} {summary}", style.good("done ")),
        EventKind::RunFinished { ok: false, .. }
        | EventKind::CasesReady { .. }
        | EventKind::PlanReady { .. }
        | EventKind::StepStarted { .. }
        | EventKind::StepProgress { .. }
        | EventKind::StepWaiting { .. }
        | EventKind::StepOutput { .. } => return None,
    })
}
