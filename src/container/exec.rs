//! Programs in running containers.

use std::pin::Pin;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use futures::StreamExt;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};

use super::Engine;
use crate::diag::{Failure, Reason, Result};

/// What a program reads.
pub type Stdin = Pin<Box<dyn AsyncRead + Send>>;

/// How many bytes are handed to the engine at once.
const CHUNK: usize = 256 * 1024;

/// How long the engine may take to know the exit code of a program whose outputs have ended.
const EXIT_CODE: Duration = Duration::from_secs(10);

/// What a program in a container left behind.
#[derive(Debug, Clone)]
pub struct ExecOutput {
    /// Its exit code.
    pub code: i64,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl ExecOutput {
    /// Its standard output if it ended with 0.
    ///
    /// # Errors
    /// [`Reason::ToolFailed`] with both outputs as evidence; `what` names the program.
    pub fn success(self, what: &str) -> Result<String> {
        if self.code == 0 {
            return Ok(self.stdout);
        }
        Err(Failure::new(
            Reason::ToolFailed,
            format!("`{what}` ended with exit code {}", self.code),
        )
        .evidence(crate::process::tail(&self.stderr, 20))
        .evidence(crate::process::tail(&self.stdout, 10)))
    }
}

impl Engine {
    /// Runs a program in a running container to its end, whatever its exit code. `stdin` is streamed, then closed;
    /// a program that ends before it has read all of it is judged by its exit code alone.
    ///
    /// When this future is dropped the program finds its standard input closed.
    ///
    /// # Errors
    /// [`Reason::EngineError`] if the container does not run or the program cannot be started; the error of `stdin`.
    pub async fn exec(
        &self,
        container: &str,
        cmd: &[&str],
        stdin: Option<Stdin>,
        privileged: bool,
    ) -> Result<ExecOutput> {
        let what = || format!("run `{}` in {container}", cmd.first().unwrap_or(&""));
        let options = CreateExecOptions {
            attach_stdin: Some(stdin.is_some()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(cmd.to_vec()),
            privileged: Some(privileged),
            ..CreateExecOptions::default()
        };
        let id = self
            .docker
            .create_exec(container, options)
            .await
            .map_err(|e| self.failed(&what(), &e))?
            .id;
        let options = StartExecOptions {
            output_capacity: Some(CHUNK),
            ..StartExecOptions::default()
        };
        let started = self
            .docker
            .start_exec(&id, Some(options))
            .await
            .map_err(|e| self.failed(&what(), &e))?;
        let StartExecResults::Attached { mut output, mut input } = started else {
            return Err(Failure::new(
                Reason::EngineError,
                format!("the engine did not attach to `{}`", what()),
            ));
        };
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let read = async {
            while let Some(part) = output.next().await {
                match part? {
                    LogOutput::StdOut { message } => stdout.extend_from_slice(&message),
                    LogOutput::StdErr { message } => stderr.extend_from_slice(&message),
                    LogOutput::StdIn { .. } | LogOutput::Console { .. } => {}
                }
            }
            Ok::<_, bollard::errors::Error>(())
        };
        let write = feed(stdin, &mut input);
        tokio::pin!(read, write);
        let mut written = false;
        loop {
            tokio::select! {
                ended = &mut read => {
                    ended.map_err(|e| self.failed(&what(), &e))?;
                    break;
                }
                fed = &mut write, if !written => {
                    fed?;
                    written = true;
                }
            }
        }
        let code = self.exit_code(&id, &what()).await?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(ExecOutput {
            code,
            stdout: text(&stdout),
            stderr: text(&stderr),
        })
    }

    async fn exit_code(&self, id: &str, what: &str) -> Result<i64> {
        let known = async {
            loop {
                let exec = self.docker.inspect_exec(id).await.map_err(|e| self.failed(what, &e))?;
                if let (Some(false), Some(code)) = (exec.running, exec.exit_code) {
                    return Ok(code);
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(EXIT_CODE, known).await.unwrap_or_else(|_| {
            Err(
                Failure::new(Reason::EngineError, format!("the engine could not {what}"))
                    .evidence("its outputs were closed, but it did not end"),
            )
        })
    }
}

/// Copies all of `stdin` into the program. Only an error of the source counts: a program may stop reading.
async fn feed(stdin: Option<Stdin>, input: &mut Pin<Box<dyn AsyncWrite + Send>>) -> Result<()> {
    if let Some(stdin) = stdin {
        let mut source = BufReader::with_capacity(CHUNK, stdin);
        loop {
            let bytes = tokio::io::AsyncBufReadExt::fill_buf(&mut source)
                .await
                .map_err(|e| Failure::new(Reason::FileUnreadable, "what was to be sent cannot be read").cause(&e))?;
            let length = bytes.len();
            if length == 0 || input.write_all(bytes).await.is_err() {
                break;
            }
            tokio::io::AsyncBufReadExt::consume(&mut source, length);
        }
    }
    let _ = input.shutdown().await;
    Ok(())
}
