//! The only place that starts programs.

mod browser;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio_util::sync::CancellationToken;

use crate::diag::{Failure, Reason, Result};
use crate::env::Env;

pub use browser::open_browser;

/// How long a program has to end after SIGTERM.
const TERM_GRACE: Duration = Duration::from_secs(5);

/// How long to wait for more output of a program that has ended, where something still holds its pipes open.
const PIPES: Duration = Duration::from_secs(2);

/// A program to run.
#[derive(Debug, Clone, Default)]
pub struct Program {
    path: PathBuf,
    args: Vec<OsString>,
    env: BTreeMap<String, Option<String>>,
    stdin: Option<Vec<u8>>,
    cwd: Option<PathBuf>,
    tethered: bool,
}

/// What a program left behind.
#[derive(Debug, Clone)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Program {
    /// A program by its path, or by a name to be looked up on the `PATH` of this process.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            ..Self::default()
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: Into<OsString>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of its environment, on top of this process's.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), Some(value.into()));
        self
    }

    /// Takes a variable out of its environment.
    #[must_use]
    pub fn without_env(mut self, name: impl Into<String>) -> Self {
        self.env.insert(name.into(), None);
        self
    }

    /// What it reads from standard input; nothing without this.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// The folder it runs in.
    #[must_use]
    pub fn cwd(mut self, dir: impl Into<PathBuf>) -> Self {
        self.cwd = Some(dir.into());
        self
    }

    /// Ties its life to this process: even when this one is killed with SIGKILL, the program and all that it started
    /// end within moments. For programs that change things for a long time (kind, debootstrap): a later run must not
    /// meet one that an earlier run left at work. Cannot be used together with [`Self::stdin`].
    #[must_use]
    pub fn tethered(mut self) -> Self {
        self.tethered = true;
        self
    }

    /// The command line as a person would type it.
    pub fn display(&self) -> String {
        std::iter::once(self.path.display().to_string())
            .chain(self.args.iter().map(|a| {
                let text = a.to_string_lossy().into_owned();
                if text.is_empty() || text.contains(|c: char| c.is_whitespace() || "'\"$&|;<>*".contains(c)) {
                    format!("'{}'", text.replace('\'', r"'\''"))
                } else {
                    text
                }
            }))
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// Runs it to its end, whatever its exit status; `line` gets each line of both outputs as it comes.
    ///
    /// The program leads a process group of its own. When `cancel` is triggered, or this future is dropped, the whole
    /// group is ended: SIGTERM, then SIGKILL after a grace period (at once when dropped).
    ///
    /// # Errors
    /// [`Reason::ToolMissing`] if it cannot be started, [`Reason::Interrupted`] if it was cancelled.
    pub async fn run(&self, cancel: &CancellationToken, mut line: impl FnMut(&str) + Send) -> Result<Output> {
        let mut child = self.spawn()?;
        let mut group = Group::of(&child);
        // held until the end: see `tethered`
        let _tether = if self.tethered { child.stdin.take() } else { None };
        if let Some(bytes) = self.stdin.clone()
            && let Some(mut pipe) = child.stdin.take()
        {
            // a program that ends without reading all of it is judged by its exit status
            tokio::spawn(async move {
                let _ = pipe.write_all(&bytes).await;
            });
        }
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        if let Some(pipe) = child.stdout.take() {
            tokio::spawn(forward(pipe, true, sender.clone()));
        }
        if let Some(pipe) = child.stderr.take() {
            tokio::spawn(forward(pipe, false, sender.clone()));
        }
        drop(sender);
        let (mut stdout, mut stderr) = (String::new(), String::new());
        let mut take = |(is_stdout, text): (bool, String)| {
            line(&text);
            let into = if is_stdout { &mut stdout } else { &mut stderr };
            into.push_str(&text);
            into.push('\n');
        };
        let status = loop {
            tokio::select! {
                Some(read) = receiver.recv() => take(read),
                status = child.wait() => break status,
                () = cancel.cancelled() => {
                    group.terminate();
                    if tokio::time::timeout(TERM_GRACE, child.wait()).await.is_err() {
                        group.kill();
                    }
                    return Err(Failure::new(Reason::Interrupted, format!("`{}` was stopped", self.display())));
                }
            }
        };
        // a grandchild may hold the pipes open after the program's end: do not wait for it
        while let Ok(Some(read)) = tokio::time::timeout(PIPES, receiver.recv()).await {
            take(read);
        }
        if self.tethered {
            // the watcher is all that is left of the group
            group.kill();
        }
        group.ended();
        let status = status.map_err(|e| Failure::new(Reason::ToolFailed, self.display()).cause(&e))?;
        Ok(Output { status, stdout, stderr })
    }

    /// Runs it quietly and returns its standard output.
    ///
    /// # Errors
    /// As [`Self::run`], and [`Reason::ToolFailed`] with the output as evidence if it did not end with success.
    pub async fn output(&self, cancel: &CancellationToken) -> Result<String> {
        let output = self.run(cancel, |_| {}).await?;
        if output.status.success() {
            Ok(output.stdout)
        } else {
            Err(self.failed(&output))
        }
    }

    /// The failure of a program that ended with an error.
    pub fn failed(&self, output: &Output) -> Failure {
        Failure::new(
            Reason::ToolFailed,
            format!("`{}` ended with {}", self.display(), output.status),
        )
        .evidence(tail(&output.stderr, 30))
        .evidence(tail(&output.stdout, 10))
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place that starts programs")]
    fn spawn(&self) -> Result<tokio::process::Child> {
        let mut command = if self.tethered {
            // the watcher's read ends when the pipe's other end, held by this process, is closed by whatever ends it
            let mut shell = tokio::process::Command::new("/bin/sh");
            shell.args([
                "-c",
                "exec 3<&0; (read -r _ <&3; kill -KILL 0) >/dev/null 2>&1 & exec \"$@\" 3<&- </dev/null",
                "sh",
            ]);
            shell.arg(&self.path);
            shell
        } else {
            tokio::process::Command::new(&self.path)
        };
        command
            .args(&self.args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command.stdin(if self.stdin.is_some() || self.tethered {
            Stdio::piped()
        } else {
            Stdio::null()
        });
        for (name, value) in &self.env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(dir) = &self.cwd {
            command.current_dir(dir);
        }
        #[cfg(unix)]
        command.process_group(0);
        command
            .spawn()
            .map_err(|e| Failure::new(Reason::ToolMissing, format!("cannot start `{}`", self.path.display())).cause(&e))
    }
}

/// The last `lines` lines of a text.
pub fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// Looks a program up on the `PATH` of the user.
pub fn find(env: &Env, name: &str) -> Option<PathBuf> {
    which::which_in(name, env.var("PATH"), &env.cwd).ok()
}

/// Whether two paths are the same file.
pub fn same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

async fn forward(
    pipe: impl AsyncRead + Unpin,
    is_stdout: bool,
    sender: tokio::sync::mpsc::UnboundedSender<(bool, String)>,
) {
    let mut reader = BufReader::new(pipe);
    let mut bytes = Vec::new();
    while matches!(reader.read_until(b'\n', &mut bytes).await, Ok(n) if n > 0) {
        let text = String::from_utf8_lossy(&bytes);
        if sender
            .send((is_stdout, text.trim_end_matches(['\r', '\n']).to_owned()))
            .is_err()
        {
            return;
        }
        bytes.clear();
    }
}

/// The process group of a child: what is left of it is killed when this is dropped before [`Group::ended`].
struct Group(Option<i32>);

impl Group {
    fn of(child: &tokio::process::Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()))
    }

    fn ended(&mut self) {
        self.0 = None;
    }

    #[cfg(unix)]
    fn signal(&self, signal: nix::sys::signal::Signal) {
        if let Some(id) = self.0 {
            // an empty group is what is wanted
            let _ = nix::sys::signal::killpg(nix::unistd::Pid::from_raw(id), signal);
        }
    }

    fn terminate(&self) {
        #[cfg(unix)]
        self.signal(nix::sys::signal::Signal::SIGTERM);
    }

    fn kill(&self) {
        #[cfg(unix)]
        self.signal(nix::sys::signal::Signal::SIGKILL);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn both_outputs_and_the_status_are_kept() {
        let program = Program::new("sh").args(["-c", "echo out; echo err >&2; exit 3"]);
        let mut lines = Vec::new();
        let output = program
            .run(&CancellationToken::new(), |l| lines.push(l.to_owned()))
            .await
            .unwrap();
        assert_eq!(
            (output.status.code(), output.stdout.as_str(), output.stderr.as_str()),
            (Some(3), "out\n", "err\n")
        );
        lines.sort();
        assert_eq!(lines, ["err", "out"]);
        let failure = program.output(&CancellationToken::new()).await.unwrap_err();
        assert_eq!(failure.id(), Reason::ToolFailed);
        assert!(failure.detail().evidence.iter().any(|e| e.contains("err")));
    }

    #[tokio::test]
    async fn cancelling_ends_the_whole_group() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let script = format!("sleep 60 & echo $! > {}; wait", file.path().display());
        let cancel = CancellationToken::new();
        let trigger = cancel.clone();
        let path = file.path().to_owned();
        tokio::spawn(async move {
            while fs_err::read_to_string(&path).map_or(true, |t| !t.ends_with('\n')) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            trigger.cancel();
        });
        let failure = Program::new("sh")
            .args(["-c", &script])
            .run(&cancel, |_| {})
            .await
            .unwrap_err();
        assert_eq!(failure.id(), Reason::Interrupted);
        let pid: i32 = fs_err::read_to_string(file.path()).unwrap().trim().parse().unwrap();
        let gone = || {
            // a zombie that nobody has reaped yet is gone as well
            fs_err::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |s| s.contains(") Z "))
        };
        for _ in 0..6000 {
            if gone() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("grandchild {pid} is still there");
    }

    #[tokio::test]
    async fn a_tethered_program_ends_with_its_parent() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let script = format!("echo $$ > {}; sleep 60", file.path().display());
        let program = Program::new("sh").args(["-c", &script]).tethered();
        // as a killed parent would: the pipe's end is closed and nobody sends a signal
        let mut child = program.spawn().unwrap();
        let tether = child.stdin.take().unwrap();
        while fs_err::read_to_string(file.path()).map_or(true, |t| !t.ends_with('\n')) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        drop(tether);
        let status = tokio::time::timeout(Duration::from_secs(60), child.wait())
            .await
            .unwrap()
            .unwrap();
        assert!(!status.success());

        let output = Program::new("sh").args(["-c", "echo fine"]).tethered();
        assert_eq!(output.output(&CancellationToken::new()).await.unwrap(), "fine\n");
    }

    #[tokio::test]
    async fn a_missing_program_is_named() {
        let failure = Program::new("no-such-program")
            .output(&CancellationToken::new())
            .await
            .unwrap_err();
        assert_eq!(failure.id(), Reason::ToolMissing);
        assert!(failure.to_string().contains("no-such-program"));
    }

    #[test]
    fn arguments_are_shown_as_they_would_be_typed() {
        let program = Program::new("kind").args(["create", "a b", "it's"]);
        assert_eq!(program.display(), r"kind create 'a b' 'it'\''s'");
    }
}
