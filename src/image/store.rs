//! What several may want at the same time: files are written whole or not at all, and things have locks.

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::diag::{Failure, Reason, Result};
use crate::engine::StepCx;
use crate::env::Env;

/// Writes a file under its name only when all of it is there; makes its folder.
///
/// # Errors
/// Those of the file system.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    fs_err::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}

/// How long others' work may hold a lock of this machine.
const HOST_LOCK: Duration = Duration::from_secs(1800);

/// What is waited for longer than this is told.
const SILENT: Duration = Duration::from_secs(1);

/// How often it is looked whether a lock is free: waiting in the kernel could not be cancelled.
const LOOK: Duration = Duration::from_millis(20);

/// The lock of a thing for all processes of this user, by its name; given back when it is dropped or the process ends.
/// `what` holds it if it has to be waited for, and is told then.
///
/// # Errors
/// [`Reason::FileUnreadable`] if there is no place for it; [`Reason::TimedOut`] if it is not given back.
pub(super) async fn host_lock(env: &Env, name: &str, what: &str, cx: &StepCx) -> Result<File> {
    let folder = locks_dir(env);
    let path = folder.join(name.replace('/', "%"));
    let open = || fs_err::OpenOptions::new().create(true).append(true).open(&path);
    let file = fs_err::create_dir_all(&folder)
        .and_then(|()| open())
        .map_err(|e| Failure::new(Reason::FileUnreadable, "there is no place for a lock").cause(&e))?;
    take_lock(file.into_file(), what, HOST_LOCK, cx).await
}

/// Locks a file (flock(2)). That `what` holds it is told if it takes longer than a second.
///
/// # Errors
/// [`Reason::TimedOut`] after `bound`; [`Reason::FileUnreadable`] if the file cannot be locked.
pub(super) async fn take_lock(file: File, what: &str, bound: Duration, cx: &StepCx) -> Result<File> {
    let start = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => {
                return Err(Failure::new(Reason::FileUnreadable, "a lock cannot be taken").cause(&error));
            }
        }
        if start.elapsed() > bound {
            let message = format!("{what} has not ended after {} s", bound.as_secs());
            return Err(Failure::new(Reason::TimedOut, message).next("ps -ef | grep '[d]ev '"));
        }
        if start.elapsed() > SILENT {
            cx.waiting(format!("{what} has to end first"));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The folder of the locks of this user's processes.
pub(crate) fn locks_dir(env: &Env) -> PathBuf {
    env.cache_dir().join("locks")
}

/// The lock of a thing in a folder, by its name; waited for as long as it takes.
///
/// # Errors
/// Those of the file system.
pub(crate) async fn lock_in(folder: &Path, name: &str) -> std::io::Result<File> {
    fs_err::create_dir_all(folder)?;
    let path = folder.join(name.replace('/', "%"));
    let file = fs_err::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)?
        .into_file();
    tokio::task::spawn_blocking(move || {
        file.lock()?;
        Ok(file)
    })
    .await
    .unwrap_or_else(|e| Err(std::io::Error::other(e)))
}

/// The lock of a thing within this process, by its name.
pub(super) fn process_lock(name: &str) -> Arc<tokio::sync::Mutex<()>> {
    static LOCKS: LazyLock<Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>> = LazyLock::new(Mutex::default);
    LOCKS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .entry(name.to_owned())
        .or_default()
        .clone()
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::event::{EventKind, EventSink};

    #[tokio::test]
    async fn whoever_waits_for_a_lock_is_told_what_for() {
        let dir = tempfile::tempdir().unwrap();
        let open = || File::create(dir.path().join("lock")).unwrap();
        let (sink, mut events) = EventSink::channel();
        let cx = StepCx::detached("image", sink, CancellationToken::new());
        let minute = Duration::from_secs(60);
        let held = take_lock(open(), "a build of orders", minute, &cx).await.unwrap();
        let short = Duration::from_millis(1);
        let failure = take_lock(open(), "a build of orders", short, &cx).await.unwrap_err();
        assert_eq!(failure.id(), Reason::TimedOut, "{failure:?}");
        assert!(events.try_recv().is_err(), "it was told before a second was over");
        let told = async {
            let event = events.recv().await.unwrap();
            drop(held);
            event
        };
        let (second, event) = tokio::join!(take_lock(open(), "a build of orders", minute, &cx), told);
        second.unwrap();
        let EventKind::StepWaiting { reason, .. } = event.kind else {
            panic!("{event:?}");
        };
        assert_eq!(reason, "a build of orders has to end first");
    }
}
