//! Programs in running containers.

use std::pin::Pin;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use futures::{Stream, StreamExt};
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

/// What both outputs of a program say, as it comes.
type Output = Pin<Box<dyn Stream<Item = std::result::Result<LogOutput, bollard::errors::Error>> + Send>>;
/// What a program is told.
type Input = Pin<Box<dyn AsyncWrite + Send>>;

/// A program in a container that has been started.
struct Started {
    id: String,
    /// What it is, for messages.
    what: String,
    output: Output,
    input: Input,
}

/// A program in a container that is talked with: what it reads depends on what it said before. When this is dropped
/// the program finds its standard input closed.
pub struct ExecSession {
    engine: Engine,
    id: String,
    what: String,
    output: Output,
    input: Input,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl std::fmt::Debug for ExecSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExecSession")
            .field("what", &self.what)
            .finish_non_exhaustive()
    }
}

impl ExecSession {
    /// Writes to the program. One that has ended is no error here: its exit code tells more.
    pub async fn send(&mut self, bytes: &[u8]) {
        if self.input.write_all(bytes).await.is_ok() {
            let _ = self.input.flush().await;
        }
    }

    /// The lines up to one that begins with `mark`, and that one's rest; `None` if the program ends before.
    ///
    /// # Errors
    /// [`Reason::EngineError`] if the engine's answer cannot be read.
    pub async fn until(&mut self, mark: &str) -> Result<Option<(String, String)>> {
        loop {
            if let Some(found) = cut(&mut self.stdout, mark) {
                return Ok(Some(found));
            }
            match self.output.next().await {
                Some(Ok(LogOutput::StdOut { message })) => self.stdout.extend_from_slice(&message),
                Some(Ok(LogOutput::StdErr { message })) => self.stderr.extend_from_slice(&message),
                Some(Ok(LogOutput::StdIn { .. } | LogOutput::Console { .. })) => {}
                Some(Err(error)) if !cut_off(&error) => return Err(self.engine.failed(&self.what, &error)),
                Some(Err(_)) | None => return Ok(None),
            }
        }
    }

    /// What the program said and nobody has read yet, both outputs.
    pub fn said(&self) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        crate::process::tail(&(text(&self.stdout) + &text(&self.stderr)), 15)
    }

    /// Closes the program's input and waits for its end; its output is what was not yet read.
    ///
    /// # Errors
    /// [`Reason::EngineError`] if the connection breaks or the program does not end.
    pub async fn finish(mut self) -> Result<ExecOutput> {
        let _ = self.input.shutdown().await;
        // no line begins with this: all that is left is read
        self.until("\0").await?;
        let code = self.engine.exit_code(&self.id, &self.what).await?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(ExecOutput {
            code,
            stdout: text(&self.stdout),
            stderr: text(&self.stderr),
        })
    }
}

/// Takes the lines up to the first whole one that begins with `mark` out of `bytes`, that one included.
fn cut(bytes: &mut Vec<u8>, mark: &str) -> Option<(String, String)> {
    let mut start = 0;
    while let Some(length) = bytes[start..].iter().position(|b| *b == b'\n') {
        let line = &bytes[start..start + length];
        if let Some(rest) = line.strip_prefix(mark.as_bytes()) {
            let found = (
                String::from_utf8_lossy(&bytes[..start]).into_owned(),
                String::from_utf8_lossy(rest).trim().to_owned(),
            );
            bytes.drain(..=start + length);
            return Some(found);
        }
        start += length + 1;
    }
    None
}

impl Engine {
    /// Starts a program in a running container, to be talked with.
    ///
    /// # Errors
    /// [`Reason::EngineError`] if the container does not run or the program cannot be started.
    pub async fn exec_session(&self, container: &str, cmd: &[&str], privileged: bool) -> Result<ExecSession> {
        let Started {
            id,
            what,
            output,
            input,
        } = self.start(container, cmd, true, privileged).await?;
        Ok(ExecSession {
            engine: self.clone(),
            id,
            what,
            output,
            input,
            stdout: Vec::new(),
            stderr: Vec::new(),
        })
    }

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
        let Started {
            id,
            what,
            mut output,
            mut input,
        } = self.start(container, cmd, stdin.is_some(), privileged).await?;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let read = async {
            while let Some(part) = output.next().await {
                match part {
                    Ok(LogOutput::StdOut { message }) => stdout.extend_from_slice(&message),
                    Ok(LogOutput::StdErr { message }) => stderr.extend_from_slice(&message),
                    Ok(LogOutput::StdIn { .. } | LogOutput::Console { .. }) => {}
                    Err(error) if cut_off(&error) => break,
                    Err(error) => return Err(error),
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
                    ended.map_err(|e| self.failed(&what, &e))?;
                    break;
                }
                fed = &mut write, if !written => {
                    fed?;
                    written = true;
                }
            }
        }
        let code = self.exit_code(&id, &what).await?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(ExecOutput {
            code,
            stdout: text(&stdout),
            stderr: text(&stderr),
        })
    }

    /// Creates and starts a program, attached to both of its outputs, and to its input if it `reads`.
    async fn start(&self, container: &str, cmd: &[&str], reads: bool, privileged: bool) -> Result<Started> {
        let what = format!("run `{}` in {container}", cmd.first().unwrap_or(&""));
        let options = CreateExecOptions {
            attach_stdin: Some(reads),
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
            .map_err(|e| self.failed(&what, &e))?
            .id;
        let options = StartExecOptions {
            output_capacity: Some(CHUNK),
            ..StartExecOptions::default()
        };
        let started = self
            .docker
            .start_exec(&id, Some(options))
            .await
            .map_err(|e| self.failed(&what, &e))?;
        match started {
            StartExecResults::Attached { output, input } => Ok(Started {
                id,
                what,
                output,
                input,
            }),
            StartExecResults::Detached => Err(Failure::new(
                Reason::EngineError,
                format!("the engine did not attach to `{what}`"),
            )),
        }
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

/// Whether the engine closed a connection on which it had bytes to read: a program that has ended takes no more of them,
/// and then the kernel tells a reset in place of the end. What the program said has been read before. If it is the
/// engine that is gone, the question for the exit code tells so.
fn cut_off(error: &bollard::errors::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
    matches!(error, bollard::errors::Error::IOError { err } if matches!(err.kind(), ConnectionReset | BrokenPipe))
}

/// Copies all of `stdin` into the program. Only an error of the source counts: a program may stop reading.
async fn feed(stdin: Option<Stdin>, input: &mut Input) -> Result<()> {
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

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn an_answer_ends_with_its_marked_line() {
        let mut bytes = b"one\ntwo\n== end 3\nnext".to_vec();
        assert_eq!(
            cut(&mut bytes, "== end"),
            Some(("one\ntwo\n".to_owned(), "3".to_owned()))
        );
        // half a line is none, whatever it begins with
        assert_eq!(bytes, b"next");
        bytes.extend_from_slice(b"\n== end");
        assert_eq!(cut(&mut bytes, "== end"), None);
        bytes.extend_from_slice(b" 0\n");
        assert_eq!(cut(&mut bytes, "== end"), Some(("next\n".to_owned(), "0".to_owned())));
        assert!(bytes.is_empty());
    }
}
