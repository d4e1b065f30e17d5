//! Build contexts: the same files always make the same tar.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufWriter, Seek, Write};
use std::path::PathBuf;

use crate::diag::{Failure, Reason, Result};

/// Every file's time: some tools refuse the epoch, so it is the beginning of 2000.
const MTIME: u64 = 946_684_800;

#[derive(Debug, Clone)]
enum Content {
    Bytes(Cow<'static, [u8]>),
    /// A file of this machine, too large for memory.
    File(PathBuf),
    /// A symbolic link to this.
    Link(PathBuf),
    Folder,
}

/// The files a build gets to see.
#[derive(Debug, Clone, Default)]
pub struct Context {
    files: BTreeMap<String, (u32, Content)>,
}

impl Context {
    /// A context without files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file with its permission bits; one of the same path is replaced.
    pub fn add(&mut self, path: impl Into<String>, mode: u32, bytes: impl Into<Cow<'static, [u8]>>) {
        self.files.insert(path.into(), (mode, Content::Bytes(bytes.into())));
    }

    /// Adds a file of this machine, read when the build starts.
    pub fn add_file(&mut self, path: impl Into<String>, mode: u32, file: impl Into<PathBuf>) {
        self.files.insert(path.into(), (mode, Content::File(file.into())));
    }

    /// Adds a symbolic link.
    pub fn add_link(&mut self, path: impl Into<String>, target: impl Into<PathBuf>) {
        self.files.insert(path.into(), (0o777, Content::Link(target.into())));
    }

    /// Adds a folder with its permission bits; those of files are there without it.
    pub fn add_folder(&mut self, path: impl Into<String>, mode: u32) {
        self.files.insert(path.into(), (mode, Content::Folder));
    }

    /// The text of a file, if it is there and held in memory.
    pub fn text(&self, path: &str) -> Option<Cow<'_, str>> {
        match self.files.get(path)? {
            (_, Content::Bytes(bytes)) => Some(String::from_utf8_lossy(bytes)),
            _ => None,
        }
    }

    /// Writes the tar: sorted, folders first, owned by root, one time for all.
    ///
    /// # Errors
    /// Those of `out` and of the files of this machine.
    pub fn write(&self, out: impl Write) -> std::io::Result<()> {
        let mut tar = tar::Builder::new(out);
        let mut folders = BTreeSet::new();
        for (path, (mode, content)) in &self.files {
            let mut slash = 0;
            while let Some(next) = path[slash..].find('/') {
                slash += next + 1;
                if folders.insert(path[..slash].to_owned()) {
                    let mode = match self.files.get(&path[..slash - 1]) {
                        Some((mode, Content::Folder)) => *mode,
                        _ => 0o755,
                    };
                    let mut header = header(mode, 0, tar::EntryType::Directory);
                    tar.append_data(&mut header, &path[..slash], std::io::empty())?;
                }
            }
            match content {
                Content::Bytes(bytes) => {
                    let mut header = header(*mode, bytes.len() as u64, tar::EntryType::Regular);
                    tar.append_data(&mut header, path, bytes.as_ref())?;
                }
                Content::File(file) => {
                    let file = fs_err::File::open(file)?;
                    let mut header = header(*mode, file.metadata()?.len(), tar::EntryType::Regular);
                    tar.append_data(&mut header, path, file)?;
                }
                Content::Link(target) => {
                    let mut header = header(*mode, 0, tar::EntryType::Symlink);
                    tar.append_link(&mut header, path, target)?;
                }
                Content::Folder => {
                    if folders.insert(format!("{path}/")) {
                        let mut header = header(*mode, 0, tar::EntryType::Directory);
                        tar.append_data(&mut header, format!("{path}/"), std::io::empty())?;
                    }
                }
            }
        }
        tar.into_inner()?.flush()
    }

    /// The tar in a file without a name, at its beginning.
    ///
    /// # Errors
    /// [`Reason::FileUnreadable`].
    pub(super) fn spool(&self) -> Result<std::fs::File> {
        let write = || {
            let mut file = tempfile::tempfile()?;
            self.write(BufWriter::with_capacity(1 << 20, &file))?;
            file.rewind()?;
            Ok::<_, std::io::Error>(file)
        };
        write().map_err(|e| Failure::new(Reason::FileUnreadable, "the build's files could not be packed").cause(&e))
    }
}

fn header(mode: u32, size: u64, kind: tar::EntryType) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_mode(mode);
    header.set_size(size);
    header.set_entry_type(kind);
    header.set_mtime(MTIME);
    header.set_uid(0);
    header.set_gid(0);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_adding_makes_no_difference() {
        let mut forth = Context::new();
        forth.add("a/b/c", 0o644, &b"c"[..]);
        forth.add("a/run", 0o755, &b"run"[..]);
        let mut back = Context::new();
        back.add("a/run", 0o755, b"run".to_vec());
        back.add("a/b/c", 0o644, b"c".to_vec());
        let (mut one, mut two) = (Vec::new(), Vec::new());
        forth.write(&mut one).unwrap();
        back.write(&mut two).unwrap();
        assert_eq!(one, two);
        let mut seen = Vec::new();
        for entry in tar::Archive::new(one.as_slice()).entries().unwrap() {
            let entry = entry.unwrap();
            let header = entry.header();
            assert_eq!((header.mtime().unwrap(), header.uid().unwrap()), (MTIME, 0));
            seen.push((entry.path().unwrap().display().to_string(), header.mode().unwrap()));
        }
        let expected = [("a/", 0o755), ("a/b/", 0o755), ("a/b/c", 0o644), ("a/run", 0o755)];
        assert_eq!(seen, expected.map(|(path, mode)| (path.to_owned(), mode)));
    }

    #[test]
    fn folders_and_links_are_as_they_were() {
        let mut context = Context::new();
        context.add_folder("a", 0o700);
        context.add("a-b", 0o644, &b""[..]);
        context.add("a/c", 0o644, &b""[..]);
        context.add_folder("empty", 0o755);
        context.add_link("link", "a/c");
        let mut bytes = Vec::new();
        context.write(&mut bytes).unwrap();
        let mut seen = Vec::new();
        for entry in tar::Archive::new(bytes.as_slice()).entries().unwrap() {
            let entry = entry.unwrap();
            let link = entry.link_name().unwrap().map(|l| l.display().to_string());
            seen.push((
                entry.path().unwrap().display().to_string(),
                entry.header().mode().unwrap(),
                link,
            ));
        }
        let plain = |path: &str, mode| (path.to_owned(), mode, None);
        let link = ("link".to_owned(), 0o777, Some("a/c".to_owned()));
        let expected = [
            plain("a/", 0o700),
            plain("a-b", 0o644),
            plain("a/c", 0o644),
            plain("empty/", 0o755),
            link,
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_file_of_this_machine_is_read_when_written() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs_err::write(file.path(), "later").unwrap();
        let mut context = Context::new();
        context.add_file("big", 0o600, file.path());
        assert!(context.text("big").is_none());
        let mut bytes = Vec::new();
        context.write(&mut bytes).unwrap();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let text = std::io::read_to_string(archive.entries().unwrap().next().unwrap().unwrap()).unwrap();
        assert_eq!(text, "later");
    }
}
