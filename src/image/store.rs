//! What several may want at the same time: files are written whole or not at all, and things have locks.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

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

/// The lock of a thing for all processes of this user, by its name; given back when it is dropped or the process ends.
///
/// # Errors
/// Those of the file system.
pub(super) async fn host_lock(env: &Env, name: &str) -> std::io::Result<std::fs::File> {
    let folder = env.cache_dir().join("locks");
    fs_err::create_dir_all(&folder)?;
    let file = fs_err::OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join(name.replace('/', "%")))?
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
