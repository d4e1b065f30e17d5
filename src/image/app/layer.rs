//! Layers of files: the same files give the same bytes.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::base::{Folder, Folders};
use super::target::folders_above;
use super::{File, Group, OWNER, Source};
use crate::diag::{Failure, Reason, Result};
use crate::image::load::{Cache, sha256};
use crate::image::store::write_whole;

/// Time of every entry, in seconds since the epoch: not 0, which some tools take for "none".
const MTIME: u64 = 1;

/// Version of the form of a layer: it is a part of the keys under which layers are remembered.
const FORM: u32 = 1;

/// A layer of less is made anew each time; of more it is kept in the cache, and known again by the times of its files.
const KEEP_FROM: u64 = 4 << 20;

/// A file changed less than this before its layer was kept may change once more without its times telling.
const SETTLED: Duration = Duration::from_secs(2);

/// A layer that was made here.
#[derive(Debug, Clone, Serialize)]
pub struct Layer {
    /// What is in it.
    pub title: String,
    /// How many files.
    pub files: usize,
    /// Bytes of its tar.
    pub size: u64,
    /// Its diffID: sha256 of its tar, in hex.
    #[serde(serialize_with = "with_algorithm")]
    pub digest: String,
    /// Whether it was found in the cache.
    pub reused: bool,
    #[serde(skip)]
    pub(super) content: Content,
}

fn with_algorithm<S: Serializer>(digest: &String, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("sha256:{digest}"))
}

/// Where the bytes of a layer are.
#[derive(Debug, Clone)]
pub(super) enum Content {
    Memory(Bytes),
    Cached(PathBuf),
}

/// What is kept of a large layer.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    digest: String,
    size: u64,
}

/// Makes the layer of a group.
///
/// # Errors
/// [`Reason::FileUnreadable`] if a file cannot be read, or changes while it is read.
pub(super) fn make(cache: &Cache, group: &Group, folders: &Folders) -> Result<Layer> {
    let failed = |error: &io::Error| {
        Failure::new(
            Reason::FileUnreadable,
            format!("the layer of {} could not be made", group.title),
        )
        .cause(error)
    };
    let mut total = 0;
    for file in &group.files {
        total += match &file.source {
            Source::Bytes(bytes) => bytes.len() as u64,
            Source::Path(path) => fs_err::metadata(path).map_err(|e| failed(&e))?.len(),
        };
    }
    let layer = |digest, size, reused, content| Layer {
        title: group.title.clone(),
        files: group.files.len(),
        size,
        digest,
        reused,
        content,
    };
    if total < KEEP_FROM {
        let mut tar = Vec::new();
        write_tar(&group.files, folders, &mut tar).map_err(|e| failed(&e))?;
        return Ok(layer(
            sha256(&tar),
            tar.len() as u64,
            false,
            Content::Memory(tar.into()),
        ));
    }
    let key = key(group, folders).map_err(|e| failed(&e))?;
    let note = key.as_ref().map(|key| cache.note(key));
    let known = note.as_ref().and_then(|note| {
        let kept: Kept = serde_json::from_slice(&fs_err::read(note).ok()?).ok()?;
        let whole = fs_err::metadata(cache.blob(&kept.digest)).is_ok_and(|m| m.len() == kept.size);
        whole.then_some(kept)
    });
    if let Some(kept) = known {
        let path = cache.blob(&kept.digest);
        return Ok(layer(kept.digest, kept.size, true, Content::Cached(path)));
    }
    let mut hash = Sha256::new();
    let (digest, size) = cache
        .keep(|file| {
            let mut both = Both {
                hash: &mut hash,
                file,
                size: 0,
            };
            write_tar(&group.files, folders, &mut both)?;
            let size = both.size;
            Ok((hex::encode(hash.finalize_reset()), size))
        })
        .map_err(|e| failed(&e))?;
    if let Some(note) = note {
        let kept = Kept {
            digest: digest.clone(),
            size,
        };
        // without it the layer is made again
        let _ = serde_json::to_vec(&kept).map(|text| write_whole(&note, &text));
    }
    let path = cache.blob(&digest);
    Ok(layer(digest, size, false, Content::Cached(path)))
}

/// Writes and hashes at once.
struct Both<'a> {
    hash: &'a mut Sha256,
    file: &'a mut dyn Write,
    size: u64,
}

impl Write for Both<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.file.write(bytes)?;
        self.hash.update(&bytes[..length]);
        self.size += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// What a large layer is known by: its files' places and times, and all that else goes into it. `None` if a file is so
/// fresh that its times do not tell.
fn key(group: &Group, folders: &Folders) -> io::Result<Option<String>> {
    let mut text = format!("form {FORM}\n");
    let mut parts: BTreeMap<&str, String> = BTreeMap::new();
    for file in &group.files {
        let from = match &file.source {
            Source::Bytes(bytes) => format!("bytes {}", sha256(bytes)),
            Source::Path(path) => match stamp(path)? {
                Some(stamp) => stamp,
                None => return Ok(None),
            },
        };
        parts.insert(&file.target, format!("{:o} {from}", file.mode));
    }
    for (target, part) in parts {
        text.push_str(&format!("{}\n{target}\n{part}\n", target.len()));
    }
    for (path, folder) in folders {
        text.push_str(&format!("{path} {} {} {:o}\n", folder.uid, folder.gid, folder.mode));
    }
    Ok(Some(sha256(text.as_bytes())))
}

#[cfg(unix)]
fn stamp(path: &Path) -> io::Result<Option<String>> {
    use std::os::unix::fs::MetadataExt;
    let meta = fs_err::metadata(path)?;
    let changed = SystemTime::UNIX_EPOCH
        + Duration::new(
            u64::try_from(meta.ctime()).unwrap_or_default(),
            u32::try_from(meta.ctime_nsec()).unwrap_or_default(),
        );
    // a clock that was set back makes nothing trustworthy
    let settled = SystemTime::now().duration_since(changed).is_ok_and(|age| age > SETTLED);
    Ok(settled.then(|| {
        format!(
            "file {}:{} {} {}.{} {}.{}",
            meta.dev(),
            meta.ino(),
            meta.size(),
            meta.mtime(),
            meta.mtime_nsec(),
            meta.ctime(),
            meta.ctime_nsec()
        )
    }))
}

#[cfg(not(unix))]
fn stamp(_path: &Path) -> io::Result<Option<String>> {
    Ok(None)
}

/// Writes files and the folders above them as a tar: sorted by path, with fixed times, owned by Flink's user, folders
/// as in `folders`.
pub(super) fn write_tar(files: &[File], folders: &Folders, out: &mut dyn Write) -> io::Result<()> {
    enum Entry<'a> {
        Folder(Folder),
        File(&'a File),
    }
    let mut entries: BTreeMap<&str, Entry<'_>> = BTreeMap::new();
    let above: Vec<String> = files.iter().flat_map(|file| folders_above(&file.target)).collect();
    for path in &above {
        let folder = folders.get(path).copied().unwrap_or(Folder {
            uid: OWNER,
            gid: OWNER,
            mode: 0o755,
        });
        entries.insert(path, Entry::Folder(folder));
    }
    for file in files {
        entries.insert(&file.target, Entry::File(file));
    }
    let mut tar = tar::Builder::new(out);
    for (path, entry) in entries {
        let mut header = tar::Header::new_ustar();
        header.set_mtime(MTIME);
        match entry {
            Entry::Folder(folder) => {
                header.set_entry_type(tar::EntryType::Directory);
                header.set_size(0);
                header.set_mode(folder.mode);
                header.set_uid(folder.uid);
                header.set_gid(folder.gid);
                append(&mut tar, header, &format!("{path}/"), io::empty())?;
            }
            Entry::File(file) => {
                header.set_entry_type(tar::EntryType::Regular);
                header.set_mode(file.mode);
                header.set_uid(OWNER);
                header.set_gid(OWNER);
                match &file.source {
                    Source::Bytes(bytes) => {
                        header.set_size(bytes.len() as u64);
                        append(&mut tar, header, path, bytes.as_ref())?;
                    }
                    Source::Path(source) => {
                        let input = fs_err::File::open(source)?;
                        let size = input.metadata()?.len();
                        header.set_size(size);
                        let input = Exactly {
                            input,
                            left: size,
                            path: source,
                        };
                        append(&mut tar, header, path, input)?;
                    }
                }
            }
        }
    }
    tar.into_inner()?.flush()
}

/// A path that USTAR cannot hold goes into a PAX record before the entry; its own field holds a digest of it then.
fn append(
    tar: &mut tar::Builder<&mut dyn Write>,
    mut header: tar::Header,
    path: &str,
    input: impl Read,
) -> io::Result<()> {
    if header.set_path(path).is_err() {
        append_pax_path(tar, path)?;
        header.set_path(sha256(path.as_bytes()))?;
    }
    header.set_cksum();
    tar.append(&header, input)
}

fn append_pax_path(tar: &mut tar::Builder<&mut dyn Write>, path: &str) -> io::Result<()> {
    // its length counts itself
    let rest = format!(" path={path}\n");
    let mut length = rest.len();
    while length != rest.len() + length.to_string().len() {
        length = rest.len() + length.to_string().len();
    }
    let record = format!("{length}{rest}");
    let mut header = tar::Header::new_ustar();
    header.set_path("PaxHeaders/path")?;
    header.set_entry_type(tar::EntryType::XHeader);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(MTIME);
    header.set_size(record.len() as u64);
    header.set_cksum();
    tar.append(&header, record.as_bytes())
}

/// As many bytes of a file as were announced, or an error: it may be written to at this moment.
struct Exactly<'a> {
    input: fs_err::File,
    left: u64,
    path: &'a Path,
}

impl Read for Exactly<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let changed = || io::Error::other(format!("{} changes while it is read", self.path.display()));
        if self.left == 0 {
            return match self.input.read(&mut [0])? {
                0 => Ok(0),
                _ => Err(changed()),
            };
        }
        let length = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let read = self.input.read(&mut buffer[..length])?;
        if read == 0 && !buffer.is_empty() {
            return Err(changed());
        }
        self.left -= read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
