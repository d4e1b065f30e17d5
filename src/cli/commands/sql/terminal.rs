//! The user's terminal, given to Flink's client: keys go there as they are, and its size follows.

use crate::cli::session::Session;
use crate::diag::Result;
use crate::sqlsession::SqlPod;

#[cfg(unix)]
pub(super) async fn attach(session: &Session, pod: &SqlPod, init: &str) -> Result<u8> {
    use crate::diag::{Failure, Reason};
    use crate::sqlsession::{Terminal, shell};

    let raw = Raw::enter().map_err(|e| Failure::new(Reason::Usage, "the terminal cannot be used").cause(&e))?;
    let (sender, sizes) = tokio::sync::watch::channel(size());
    let resizing = tokio::spawn(async move {
        let kind = tokio::signal::unix::SignalKind::window_change();
        let Ok(mut changes) = tokio::signal::unix::signal(kind) else {
            return;
        };
        while changes.recv().await.is_some() {
            if sender.send(size()).is_err() {
                return;
            }
        }
    });
    let terminal = Terminal {
        input: tokio::io::stdin(),
        output: tokio::io::stdout(),
        sizes,
        kind: session.env.var("TERM").unwrap_or("dumb").to_owned(),
    };
    // Ctrl-C is a key of the client's here; a signal from elsewhere ends the session
    let result = tokio::select! {
        result = shell(pod, init, terminal) => result,
        () = session.cancel.cancelled() => Err(Failure::new(Reason::Interrupted, "interrupted")),
    };
    resizing.abort();
    drop(raw);
    result
}

#[cfg(not(unix))]
pub(super) async fn attach(_: &Session, _: &SqlPod, _: &str) -> Result<u8> {
    use crate::diag::{Failure, Reason};
    Err(Failure::new(Reason::Usage, "the interactive session needs a Unix terminal").next("dev sql -e STATEMENT"))
}

#[cfg(unix)]
fn size() -> crate::sqlsession::Size {
    let usual = crate::sqlsession::Size { width: 80, height: 24 };
    rustix::termios::tcgetwinsize(std::io::stdout()).map_or(usual, |size| crate::sqlsession::Size {
        width: size.ws_col,
        height: size.ws_row,
    })
}

/// The terminal without line editing, echo and signals of its own, until this is dropped.
#[cfg(unix)]
struct Raw {
    before: rustix::termios::Termios,
}

#[cfg(unix)]
impl Raw {
    fn enter() -> std::io::Result<Self> {
        use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
        let before = tcgetattr(std::io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(std::io::stdin(), OptionalActions::Now, &raw)?;
        Ok(Self { before })
    }
}

#[cfg(unix)]
impl Drop for Raw {
    fn drop(&mut self) {
        use rustix::termios::{OptionalActions, tcsetattr};
        // the shell that comes next needs it
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Drain, &self.before);
    }
}
