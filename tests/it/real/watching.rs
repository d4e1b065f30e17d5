//! Runs of `dev` that watch files.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::steps::command;

/// Long enough for any machine; a test that is well never waits for it.
const BOUND: Duration = Duration::from_secs(300);

/// A run that goes on until Ctrl-C, with its lines as they come.
pub(crate) struct Watching {
    child: Child,
    lines: Receiver<String>,
    seen: String,
}

impl Watching {
    pub(crate) fn start(args: &[&str]) -> Self {
        let mut child = command(args)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                println!("{line}");
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            lines,
            seen: String::new(),
        }
    }

    /// The next line with these words.
    #[track_caller]
    pub(crate) fn line(&mut self, words: &str) -> String {
        loop {
            let Ok(line) = self.lines.recv_timeout(BOUND) else {
                panic!("no line with `{words}`:\n{}", self.seen);
            };
            self.seen.push_str(&line);
            self.seen.push('\n');
            if line.contains(words) {
                return line;
            }
        }
    }

    /// Ends it as Ctrl-C does.
    #[track_caller]
    pub(crate) fn stop(mut self) {
        interrupt(self.child.id());
        let status = self.child.wait().unwrap();
        while let Ok(line) = self.lines.recv_timeout(Duration::from_secs(5)) {
            self.seen.push_str(&line);
            self.seen.push('\n');
        }
        assert_eq!(status.code(), Some(0), "{}", self.seen);
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        // of a test that failed; one that was stopped is gone already
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn interrupt(pid: u32) {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
}
