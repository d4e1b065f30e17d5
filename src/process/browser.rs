//! The user's browser.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::diag::{Failure, Reason, Result};
use crate::env::Env;

/// How long the opener is watched: it hands the address to a browser and ends. One that has to start the browser first
/// may stay as long as that.
const BOUND: Duration = Duration::from_secs(5);

/// What opens an address: `open` on macOS, `xdg-open` elsewhere.
const OPENER: &str = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };

/// Opens an address in the user's browser; returns once the opener has taken it. The browser outlives this process.
///
/// # Errors
/// [`Reason::ToolMissing`] where there is no opener; [`Reason::ToolFailed`] if it ends with an error.
pub async fn open_browser(env: &Env, url: &str) -> Result<()> {
    let by_hand = format!("open {url} yourself");
    let Some(opener) = super::find(env, OPENER) else {
        let message = format!("no browser can be started: `{OPENER}` is not on the PATH");
        return Err(Failure::new(Reason::ToolMissing, message).next(by_hand));
    };
    let mut child = start(&opener, url).map_err(|e| {
        Failure::new(Reason::ToolMissing, format!("cannot start `{}`", opener.display()))
            .cause(&e)
            .next(by_hand.clone())
    })?;
    match tokio::time::timeout(BOUND, child.wait()).await {
        Ok(Ok(status)) if !status.success() => {
            let message = format!("no browser was started: {OPENER} ended with {status}");
            Err(Failure::new(Reason::ToolFailed, message).next(by_hand))
        }
        _ => Ok(()),
    }
}

/// Not a [`super::Program`]: those end with this process, and with the keys that a terminal sends to its group.
#[expect(clippy::disallowed_methods, reason = "this is where programs are started")]
fn start(opener: &Path, url: &str) -> std::io::Result<tokio::process::Child> {
    let mut command = tokio::process::Command::new(opener);
    command
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    #[cfg(unix)]
    command.process_group(0);
    command.spawn()
}
