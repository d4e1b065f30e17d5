//! Starts the Docker daemon so that it outlives this program.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::super::engine::connect;
use super::super::host::Host;
use super::Cx;
use crate::diag::{Failure, Reason, Result};
use crate::process::{Program, tail};

/// How long a daemon may take until it answers; it may have a large root to look through.
const BOUND: Duration = Duration::from_secs(90);
/// How long to wait for an answer after the daemon that we started has ended: another one may have been first.
const OTHER: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(100);

/// Starts it in a session of its own. Raises the limit of open files as far as it goes, since containers inherit it;
/// prints the daemon's process id. `$0` is the log, `$@` the daemon's arguments.
const DETACH: &str = r#"cd / && ulimit -n "$(ulimit -H -n)"; setsid dockerd "$@" >>"$0" 2>&1 </dev/null & echo $!"#;

/// Starts the daemon through the service manager, or by itself where there is none, and waits until it answers.
pub(super) async fn start(cx: &Cx<'_>) -> Result<String> {
    if let Ok(seen) = answers(cx).await {
        return Ok(format!("{seen} already"));
    }
    let cancel = cx.step.cancel();
    if cx.paths.service && Host::read("/".as_ref()).systemd {
        let systemctl = Program::new("systemctl").args(["enable", "--now", "docker"]);
        cx.tell(format!("starting the Docker daemon: {}", systemctl.display()));
        systemctl.output(cancel).await?;
        return wait(cx, None).await;
    }
    for (file, program) in pid_files(&cx.paths.daemon_args) {
        if is_stale(&file, program) {
            cx.tell(format!(
                "removing {}, whose process is no {program} any more",
                file.display()
            ));
            fs_err::remove_file(&file)
                .map_err(|e| Failure::new(Reason::CureFailed, "a file of a dead daemon stays").cause(&e))?;
        }
    }
    let log = &cx.paths.log;
    let from = std::fs::metadata(log).map_or(0, |m| m.size());
    let path = format!(
        "{}:/usr/local/sbin:/usr/sbin:/sbin",
        cx.env.var("PATH").unwrap_or("/usr/bin:/bin")
    );
    let command = Program::new("dockerd")
        .args(cx.paths.daemon_args.iter().cloned())
        .display();
    cx.tell(format!(
        "starting the Docker daemon in the background, for no service manager runs here: setsid {command} >>{}",
        log.display()
    ));
    let shell = Program::new("sh")
        .args(["-c", DETACH])
        .arg(log.as_os_str())
        .args(cx.paths.daemon_args.iter().cloned())
        .env("PATH", path)
        // what cargo sets for the programs it runs is not meant for a daemon
        .without_env("LD_LIBRARY_PATH");
    let pid = shell.output(cancel).await?.trim().to_owned();
    wait(cx, Some((pid, from))).await
}

/// Where the daemon and its containerd note their process ids, with the programs' names.
fn pid_files(args: &[String]) -> [(PathBuf, &'static str); 2] {
    let given = |option: &str, default: &str| {
        let at = args.iter().position(|a| a == option);
        let value = at.and_then(|at| args.get(at + 1));
        PathBuf::from(value.map_or(default, String::as_str))
    };
    [
        (given("--pidfile", "/var/run/docker.pid"), "dockerd"),
        (
            given("--exec-root", "/var/run/docker").join("containerd/containerd.pid"),
            "containerd",
        ),
    ]
}

/// Whether the process that a file names is no such program. A daemon that was killed leaves its file, and the id may
/// belong to another process by now: dockerd would not start then, or take that process for its containerd.
fn is_stale(file: &Path, program: &str) -> bool {
    let Ok(pid) = fs_err::read_to_string(file) else {
        return false;
    };
    let name = fs_err::read_to_string(format!("/proc/{}/comm", pid.trim())).unwrap_or_default();
    name.trim() != program
}

/// Waits until the daemon answers; gives up early when the one that was started has ended.
async fn wait(cx: &Cx<'_>, started: Option<(String, u64)>) -> Result<String> {
    let began = Instant::now();
    let mut ended: Option<Instant> = None;
    loop {
        let why = match answers(cx).await {
            Ok(seen) => return Ok(seen),
            Err(why) => why,
        };
        cx.step.waiting(format!("the Docker daemon does not answer yet: {why}"));
        if started.as_ref().is_some_and(|(pid, _)| !alive(pid)) {
            ended.get_or_insert_with(Instant::now);
        }
        let gone = ended.is_some_and(|at| at.elapsed() > OTHER);
        if gone || began.elapsed() > BOUND {
            let what = if gone { "ended by itself" } else { "does not answer" };
            let failure = Failure::new(Reason::CureFailed, format!("the Docker daemon {what}")).evidence(why);
            return Err(match started {
                Some((_, from)) => failure
                    .evidence(since(cx, from))
                    .next(format!("read {}, then: dockerd --debug", cx.paths.log.display())),
                None => failure.next("journalctl -u docker"),
            });
        }
        tokio::select! {
            () = sleep(POLL) => {}
            () = cx.step.cancel().cancelled() => {
                return Err(Failure::new(Reason::Interrupted, "stopped while waiting for the Docker daemon"));
            }
        }
    }
}

async fn answers(cx: &Cx<'_>) -> Result<String, String> {
    let docker = connect(&cx.paths.endpoint()).await?;
    match timeout(Duration::from_secs(2), docker.version()).await {
        Ok(Ok(version)) => Ok(format!("Docker {} answers", version.version.unwrap_or_default())),
        Ok(Err(e)) => Err(e.to_string()),
        Err(_) => Err("no answer within 2 s".to_owned()),
    }
}

/// Whether a process is there and more than a corpse that nobody has collected.
fn alive(pid: &str) -> bool {
    match fs_err::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => !stat.contains(") Z "),
        Err(_) => false,
    }
}

/// The end of what the daemon wrote since it was started.
fn since(cx: &Cx<'_>, from: u64) -> String {
    let log = fs_err::read(&cx.paths.log).unwrap_or_default();
    let from = usize::try_from(from).unwrap_or(0).min(log.len());
    tail(&String::from_utf8_lossy(&log[from..]), 15)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_names_another_program_is_stale() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("docker.pid");
        assert!(!is_stale(&file, "dockerd"), "there is none");
        std::fs::write(&file, std::process::id().to_string()).unwrap();
        assert!(is_stale(&file, "dockerd"), "the id is this test's");
        let own = std::fs::read_to_string(format!("/proc/{}/comm", std::process::id())).unwrap();
        assert!(!is_stale(&file, own.trim()));
        std::fs::write(&file, "999999999\n").unwrap();
        assert!(is_stale(&file, "dockerd"), "the process is gone");
    }

    #[test]
    fn the_files_lie_where_the_daemon_is_told_to_put_them() {
        let of = |args: &[&str]| {
            let args: Vec<String> = args.iter().map(|a| (*a).to_owned()).collect();
            pid_files(&args).map(|(file, _)| file.display().to_string())
        };
        let default = ["/var/run/docker.pid", "/var/run/docker/containerd/containerd.pid"];
        assert_eq!(of(&[]), default);
        let own = ["/x/pid", "/x/exec/containerd/containerd.pid"];
        assert_eq!(of(&["--exec-root", "/x/exec", "--pidfile", "/x/pid"]), own);
    }
}
