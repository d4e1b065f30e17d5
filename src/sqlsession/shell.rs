//! Flink's own client, on the user's terminal.

use futures::{SinkExt as _, channel::mpsc};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, AttachParams, TerminalSize};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

use super::pod::{CONTAINER, SqlPod};
use crate::diag::{Failure, Reason, Result};
use crate::kube::failure;

/// How large a terminal is, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Its columns.
    pub width: u16,
    /// Its rows.
    pub height: u16,
}

/// A terminal: what is typed, what is shown, and how large it is, also when that changes.
pub struct Terminal<I, O> {
    /// What is typed.
    pub input: I,
    /// What is shown.
    pub output: O,
    /// How large it is.
    pub sizes: tokio::sync::watch::Receiver<Size>,
    /// The value of `TERM`.
    pub kind: String,
}

impl<I, O> std::fmt::Debug for Terminal<I, O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Terminal")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// Runs the client until it ends, with the statements of `init` done first. Tells its exit code.
///
/// # Errors
/// [`Reason::ClusterUnreachable`] if the connection breaks.
pub async fn shell<I, O>(pod: &SqlPod, init: &str, terminal: Terminal<I, O>) -> Result<u8>
where
    I: AsyncRead + Unpin + Send,
    O: AsyncWrite + Unpin + Send,
{
    let Terminal {
        mut input,
        mut output,
        mut sizes,
        kind,
    } = terminal;
    let broken = |what: &str| Failure::new(Reason::ClusterUnreachable, format!("the SQL session broke: {what}"));
    let api: Api<Pod> = Api::namespaced(pod.client.clone(), &pod.namespace);
    let how = AttachParams::interactive_tty().container(CONTAINER);
    let mut process = api
        .exec(&pod.name, pod.client_command(&kind, init), &how)
        .await
        .map_err(|e| failure(Reason::ClusterUnreachable, "Flink's SQL client cannot be started", &e))?;
    let (Some(mut to), Some(mut from), Some(status)) = (process.stdin(), process.stdout(), process.take_status())
    else {
        return Err(broken("it has no terminal"));
    };
    let resize = process.terminal_size();
    let shown = async {
        let copied = tokio::io::copy(&mut from, &mut output).await;
        let _ = output.flush().await;
        copied
    };
    let typed = async {
        let _ = tokio::io::copy(&mut input, &mut to).await;
        // the end of the input is told, and the client's end awaited
        let _ = to.shutdown().await;
        std::future::pending::<()>().await;
    };
    let sized = async {
        if let Some(resize) = resize {
            follow(&mut sizes, resize).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        copied = shown => { copied.map_err(|e| broken(&e.to_string()))?; }
        () = typed => {}
        () = sized => {}
    }
    let Some(status) = status.await else {
        return Err(broken("its end is not known"));
    };
    if status.status.as_deref() == Some("Success") {
        return Ok(0);
    }
    let causes = status.details.and_then(|d| d.causes).unwrap_or_default();
    let code = causes.iter().filter_map(|c| c.message.as_deref()?.parse().ok()).next();
    code.ok_or_else(|| broken(&status.message.unwrap_or_default()))
}

/// Tells each size, the first one at once.
async fn follow(sizes: &mut tokio::sync::watch::Receiver<Size>, mut resize: mpsc::Sender<TerminalSize>) {
    loop {
        let Size { width, height } = *sizes.borrow_and_update();
        if resize.send(TerminalSize { width, height }).await.is_err() || sizes.changed().await.is_err() {
            return;
        }
    }
}
