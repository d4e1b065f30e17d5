//! Notices that files have changed: by looking, for instances of inotify are scarce where containers run, and looking
//! works on every file system.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, sleep};

/// Between two looks; many files get more.
const POLL: Duration = Duration::from_millis(100);
/// A change counts once the files have been quiet for this long: what is half written is left alone.
const QUIET: Duration = Duration::from_millis(150);
/// Looking may take this part of the time at most.
const SHARE: u32 = 20;
/// Of files whose content is compared, in bytes.
const COMPARED: u64 = 256 << 20;
/// Folders of a project that are no sources of it.
const NOT_SOURCES: [&str; 4] = ["target", "build", "node_modules", "out"];
/// How deep sources lie below a project.
const DEPTH: usize = 24;

/// What is looked at.
#[derive(Debug, Clone, Default)]
pub struct Watched {
    /// Files that have to be there.
    pub files: Vec<PathBuf>,
    /// Folders with all that is in them, but for hidden files and what builds make.
    pub folders: Vec<PathBuf>,
}

/// Length and time of each file.
type Look = BTreeMap<PathBuf, (u64, Option<SystemTime>)>;

/// Notices changes.
#[derive(Debug)]
pub struct Watcher {
    what: Watched,
    accepted: Look,
    content: Option<[u8; 32]>,
    /// A look that differs from the accepted one, and since when it has been the same.
    pending: Option<(Look, Instant)>,
}

impl Watcher {
    /// One that takes the files as they are now for known.
    pub async fn new(what: Watched) -> Self {
        let (accepted, _) = look(&what).await;
        let content = content(&accepted).await;
        Self {
            what,
            accepted,
            content,
            pending: None,
        }
    }

    /// Waits until the files have another content than the last time, and are quiet. Files that are missing for a
    /// moment (an editor puts a new one in place) are waited for. May be dropped and called again.
    pub async fn changed(&mut self) {
        loop {
            let start = Instant::now();
            let (now, whole) = look(&self.what).await;
            let took = start.elapsed();
            if !whole || now == self.accepted {
                self.pending = None;
            } else {
                match &self.pending {
                    Some((before, since)) if *before == now => {
                        if since.elapsed() >= QUIET && self.accept(now).await {
                            return;
                        }
                    }
                    _ => self.pending = Some((now, Instant::now())),
                }
            }
            sleep(POLL.max(took * SHARE)).await;
        }
    }

    /// Takes a look for known; tells whether the content is another one.
    async fn accept(&mut self, now: Look) -> bool {
        let content = content(&now).await;
        let same = content.is_some() && content == self.content;
        self.accepted = now;
        self.content = content;
        self.pending = None;
        !same
    }
}

/// Looks once; also whether every file that has to be there is.
async fn look(what: &Watched) -> (Look, bool) {
    let what = what.clone();
    let looked = move || {
        let mut look = Look::new();
        let whole = what.files.iter().filter(|path| add(path, &mut look)).count() == what.files.len();
        for folder in &what.folders {
            walk(folder, DEPTH, &mut look);
        }
        (look, whole)
    };
    tokio::task::spawn_blocking(looked).await.unwrap_or_default()
}

/// The sources of a project: all files below its folder, but for hidden ones and what builds make.
pub fn sources(project: &Path) -> Vec<PathBuf> {
    let mut look = Look::new();
    walk(project, DEPTH, &mut look);
    look.into_keys().collect()
}

fn add(path: &Path, look: &mut Look) -> bool {
    let Ok(info) = std::fs::metadata(path) else {
        return false;
    };
    let is_file = info.is_file();
    if is_file {
        look.insert(path.to_owned(), (info.len(), info.modified().ok()));
    }
    is_file
}

fn walk(dir: &Path, depth: usize, look: &mut Look) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        // editors keep their own files beside ours
        if name.starts_with('.') || name.ends_with('~') || name.ends_with(".swp") || name.ends_with(".tmp") {
            continue;
        }
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => {
                if depth > 0 && !NOT_SOURCES.contains(&&*name) {
                    walk(&entry.path(), depth - 1, look);
                }
            }
            Ok(_) => {
                add(&entry.path(), look);
            }
            Err(_) => {}
        }
    }
}

/// The hash of all files; `None` if one cannot be read or they are too large: then a new time is a change.
async fn content(look: &Look) -> Option<[u8; 32]> {
    let total: u64 = look.values().map(|(len, _)| len).sum();
    if total > COMPARED {
        return None;
    }
    let paths: Vec<PathBuf> = look.keys().cloned().collect();
    let hash = move || {
        let mut hash = Sha256::new();
        for path in paths {
            let bytes = std::fs::read(&path).ok()?;
            hash.update(path.to_string_lossy().as_bytes());
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(&bytes);
        }
        Some(hash.finalize().into())
    };
    tokio::task::spawn_blocking(hash).await.ok().flatten()
}
