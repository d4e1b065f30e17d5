//! Whether a layer can be unpacked before the layers below it are there.

use std::collections::BTreeSet;
use std::io::{self, Read, Seek};
use std::path::{Component, Path, PathBuf};

/// Whether all that a layer's tar says is within itself: each entry comes after its folder's, and hard links lead to its
/// own files. Else what it becomes depends on what is below it: the owner of a folder, the file behind a link.
///
/// # Errors
/// If it is no tar.
pub(in crate::image) fn stands_alone(layer: impl Read + Seek) -> io::Result<bool> {
    let mut folders = BTreeSet::from([PathBuf::new()]);
    let mut files = BTreeSet::new();
    let mut archive = tar::Archive::new(layer);
    for entry in archive.entries_with_seek()? {
        let entry = entry?;
        let Some(path) = plain(&entry.path()?) else {
            return Ok(false);
        };
        let kind = entry.header().entry_type();
        if !path.parent().is_none_or(|parent| folders.contains(parent)) {
            return Ok(false);
        }
        if kind.is_hard_link() {
            let target = entry.link_name()?.and_then(|target| plain(&target));
            if !target.is_some_and(|target| files.contains(&target)) {
                return Ok(false);
            }
        }
        match kind.is_dir() {
            true => folders.insert(path),
            false => {
                // a link in the place of a folder
                folders.remove(&path);
                files.insert(path)
            }
        };
    }
    Ok(true)
}

/// A path without what does not change where it leads; `None` if it leads out.
fn plain(path: &Path) -> Option<PathBuf> {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => plain.push(name),
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(entries: &[(&str, tar::EntryType, &str)]) -> io::Cursor<Vec<u8>> {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, kind, target) in entries {
            let mut header = tar::Header::new_ustar();
            header.set_entry_type(*kind);
            header.set_size(if kind.is_file() { 3 } else { 0 });
            header.set_path(path).unwrap();
            if !target.is_empty() {
                header.set_link_name(target).unwrap();
            }
            header.set_cksum();
            let bytes: &[u8] = if kind.is_file() { b"abc" } else { b"" };
            tar.append(&header, bytes).unwrap();
        }
        io::Cursor::new(tar.into_inner().unwrap())
    }

    #[test]
    fn a_layer_that_leans_on_those_below_is_told() {
        use tar::EntryType::{Directory as Dir, Link, Regular as File, Symlink};
        let alone = |entries: &[(&str, tar::EntryType, &str)]| stands_alone(layer(entries)).unwrap();
        assert!(alone(&[]));
        assert!(alone(&[
            ("./", Dir, ""),
            ("opt/", Dir, ""),
            ("./opt/a", File, ""),
            ("opt/.wh.gone", File, ""),
            ("opt/b", Link, "opt/a"),
            ("opt/c", Symlink, "/usr/c"),
        ]));
        assert!(!alone(&[("opt/a", File, "")]), "its folder is not told");
        assert!(
            !alone(&[("opt/a", File, ""), ("opt/", Dir, "")]),
            "its folder is told too late"
        );
        assert!(
            !alone(&[("opt/", Dir, ""), ("opt/b", Link, "usr/a")]),
            "a link to what is below"
        );
        assert!(
            !alone(&[("a", Dir, ""), ("a", Symlink, "b"), ("a/x", File, "")]),
            "through a link"
        );
        assert!(stands_alone(io::Cursor::new(vec![1; 2048])).is_err());
    }

    #[test]
    fn ways_out_of_a_layer_are_none() {
        assert_eq!(plain(Path::new("a/../b")), None);
        assert_eq!(plain(Path::new("/./a/b/")), Some(PathBuf::from("a/b")));
    }
}
