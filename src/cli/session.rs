//! What the commands share: the environment, the style of the outputs, cancellation by signals, the end of a run.

use std::process::ExitCode;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::args::Global;
use super::output::{self, Style};
use super::render::{Format, Rendering};
use super::report;
use crate::diag::Failure;
use crate::env::Env;
use crate::event::EventSink;

/// One run of the program.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) env: Env,
    pub(super) format: Format,
    pub(super) verbose: bool,
    pub(super) out: Style,
    pub(super) err: Style,
    pub(super) cancel: CancellationToken,
}

impl Session {
    pub(super) fn new(env: Env, global: &Global) -> Self {
        Self {
            format: global.output,
            verbose: global.verbose,
            out: Style::stdout(&env, global.color),
            err: Style::stderr(&env, global.color),
            cancel: CancellationToken::new(),
            env,
        }
    }

    /// Starts to render the events of a run.
    pub(super) fn render(&self) -> (EventSink, Rendering) {
        Rendering::start(self.format, self.err, self.verbose)
    }

    /// Whether results are wanted as JSON.
    pub(super) fn json(&self) -> bool {
        self.format == Format::Json
    }

    /// Prints a result: text for people, or JSON.
    pub(super) fn result(&self, text: &str, value: &impl serde::Serialize) {
        if self.json() {
            output::result(&serde_json::to_string(value).unwrap_or_else(|e| format!("{{\"error\":\"{e}\"}}")));
        } else {
            output::result(text);
        }
    }

    /// Shows a failure and tells its exit code.
    pub(super) fn fail(&self, failure: &Failure) -> ExitCode {
        if self.json() {
            output::result(&json!({"v": 1, "event": "error", "failure": failure, "next": failure.next_steps(), "exit_code": failure.exit_code()}).to_string());
        }
        output::message(&report::failure(failure, self.err));
        ExitCode::from(failure.exit_code())
    }

    /// Cancels the token at the first SIGINT or SIGTERM and leaves at once at the second.
    pub(super) fn watch_signals(&self) {
        let cancel = self.cancel.clone();
        // listened to from now on: a second signal right behind the first is heard, too
        let mut signals = Signals::listen();
        tokio::spawn(async move {
            signals.next().await;
            cancel.cancel();
            let code = signals.next().await;
            std::process::exit(code);
        });
    }
}

/// SIGINT and SIGTERM.
#[cfg(unix)]
struct Signals(Option<(tokio::signal::unix::Signal, tokio::signal::unix::Signal)>);

#[cfg(unix)]
impl Signals {
    fn listen() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        let both = signal(SignalKind::interrupt()).and_then(|i| Ok((i, signal(SignalKind::terminate())?)));
        Self(both.ok())
    }

    /// The exit code for the next one.
    async fn next(&mut self) -> i32 {
        let Some((interrupt, terminate)) = &mut self.0 else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = interrupt.recv() => 130,
            _ = terminate.recv() => 143,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> Self {
        Self
    }

    async fn next(&mut self) -> i32 {
        let _ = tokio::signal::ctrl_c().await;
        130
    }
}
