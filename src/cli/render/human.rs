//! The live view: a line for each step that runs, drawn over; what is done moves up and stays.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Renderer;
use super::lines::{end_line, is_detail};
use crate::cli::output::{Style, human_bytes};
use crate::event::{Event, EventKind};

/// The renderer for terminals.
pub(super) struct Human {
    style: Style,
    verbose: bool,
    all: MultiProgress,
    bars: BTreeMap<String, (ProgressBar, String)>,
    many: bool,
}

impl Human {
    pub(super) fn new(style: Style, verbose: bool) -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(15));
        Self {
            style,
            verbose,
            all,
            bars: BTreeMap::new(),
            many: false,
        }
    }

    fn keep(&self, line: &str) {
        // fails only when standard error is gone
        let _ = self.all.println(line);
    }

    fn say(&self, step: &str, doing: &str) {
        if let Some((bar, title)) = self.bars.get(step) {
            let first = doing.lines().next().unwrap_or_default();
            bar.set_message(format!("{title}  {}", self.style.dim(first)));
        }
    }
}

impl Renderer for Human {
    fn event(&mut self, event: &Event) {
        if let EventKind::CasesReady { total, .. } = &event.kind {
            self.many = *total > 1;
        }
        match &event.kind {
            EventKind::StepStarted { step, title } => {
                let bar = self.all.add(ProgressBar::new_spinner());
                if let Ok(style) = ProgressStyle::with_template("{spinner:.cyan} {wide_msg} {elapsed:>4}") {
                    bar.set_style(style);
                }
                bar.set_message(title.clone());
                bar.enable_steady_tick(Duration::from_millis(100));
                self.bars.insert(step.clone(), (bar, title.clone()));
            }
            EventKind::StepProgress {
                step,
                done,
                total,
                unit,
                message,
            } => {
                let amount = match (*unit, *total) {
                    ("bytes", 0) => human_bytes(*done),
                    ("bytes", total) => format!("{} of {}", human_bytes(*done), human_bytes(total)),
                    (_, 0) => String::new(),
                    (_, total) => format!("{done}/{total}"),
                };
                self.say(step, &format!("{amount} {message}"));
            }
            EventKind::StepWaiting { step, reason } => self.say(step, reason),
            EventKind::StepOutput { step, line } => {
                if self.verbose {
                    self.keep(&format!("      {}| {line}", self.style.dim(step)));
                }
            }
            kind => {
                if let EventKind::StepFinished { step, .. } | EventKind::StepFailed { step, .. } = kind
                    && let Some((bar, _)) = self.bars.remove(step)
                {
                    bar.finish_and_clear();
                    self.all.remove(&bar);
                }
                if self.many && !self.verbose && is_detail(kind) {
                    return;
                }
                if let Some(line) = end_line(kind, self.style) {
                    self.keep(&line);
                }
            }
        }
    }
}

impl Drop for Human {
    fn drop(&mut self) {
        // a failure's report comes next: nothing may be drawn over it
        let _ = self.all.clear();
    }
}
