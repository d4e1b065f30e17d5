use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::image::app::target;

/// Path, permissions, owner, group, time, bytes (none for a folder).
type Seen = (String, u32, u64, u64, u64, Option<Vec<u8>>);

fn read(tar: &[u8]) -> Vec<Seen> {
    let mut archive = tar::Archive::new(tar);
    archive
        .entries()
        .unwrap()
        .map(|entry| {
            let mut entry = entry.unwrap();
            let header = entry.header().clone();
            let path = entry.path().unwrap().to_str().unwrap().to_owned();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            let kind = header.entry_type();
            assert!(kind.is_dir() || kind.is_file(), "{kind:?}");
            (
                path.trim_end_matches('/').to_owned(),
                header.mode().unwrap(),
                header.uid().unwrap(),
                header.gid().unwrap(),
                header.mtime().unwrap(),
                kind.is_file().then_some(bytes),
            )
        })
        .collect()
}

fn file(target: &str, bytes: &[u8]) -> File {
    File {
        target: target.to_owned(),
        source: Source::Bytes(Bytes::copy_from_slice(bytes)),
        mode: 0o644,
    }
}

fn tar_of(files: &[File], folders: &Folders) -> Vec<u8> {
    let mut tar = Vec::new();
    write_tar(files, folders, &mut tar).unwrap();
    tar
}

#[test]
fn folders_come_before_what_is_in_them_and_keep_what_the_base_gave_them() {
    let root = Folder {
        uid: 0,
        gid: 0,
        mode: 0o755,
    };
    let folders = Folders::from([("opt".to_owned(), root)]);
    let files = [
        file("opt/flink/usrlib/b.jar", b"b"),
        file("opt/flink/usrlib/a.jar", b"aa"),
    ];
    let seen = read(&tar_of(&files, &folders));
    let short: Vec<_> = seen
        .iter()
        .map(|(p, m, u, g, t, b)| (p.as_str(), *m, *u, *g, *t, b.clone()))
        .collect();
    assert_eq!(
        short,
        [
            ("opt", 0o755, 0, 0, 1, None),
            ("opt/flink", 0o755, 9999, 9999, 1, None),
            ("opt/flink/usrlib", 0o755, 9999, 9999, 1, None),
            ("opt/flink/usrlib/a.jar", 0o644, 9999, 9999, 1, Some(b"aa".to_vec())),
            ("opt/flink/usrlib/b.jar", 0o644, 9999, 9999, 1, Some(b"b".to_vec())),
        ]
    );
}

#[test]
fn the_form_of_a_layer_stays() {
    // the digest is part of images that lie in nodes: a change of the form is a change of all of them
    let tar = tar_of(&[file("opt/flink/usrlib/a.jar", b"one")], &Folders::new());
    insta::assert_snapshot!(sha256(&tar), @"6cfa455aff9751e53ddf411196ca04b48ee0444ee210666ff1c8fc97eb104356");
}

fn cache() -> (tempfile::TempDir, Cache) {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::at(dir.path(), "hub.example");
    (dir, cache)
}

fn on_disk(path: &Path) -> Group {
    Group {
        title: "libraries".to_owned(),
        files: vec![File {
            target: "opt/flink/usrlib/big.jar".to_owned(),
            source: Source::Path(path.to_owned()),
            mode: 0o644,
        }],
    }
}

#[test]
#[cfg(unix)]
fn a_large_layer_is_made_once() {
    let (dir, cache) = cache();
    let path = dir.path().join("big.jar");
    fs_err::write(&path, vec![7; 5 << 20]).unwrap();
    // so fresh that its times do not tell
    let settled = on_disk(&path);
    assert!(!make(&cache, &settled, &Folders::new()).unwrap().reused);
    // the inode's own time cannot be set
    while stamp(&path).unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(50));
    }
    let first = make(&cache, &settled, &Folders::new()).unwrap();
    let second = make(&cache, &settled, &Folders::new()).unwrap();
    assert_eq!((first.reused, second.reused), (false, true));
    assert_eq!(first.digest, second.digest);
    let Content::Cached(blob) = &second.content else {
        panic!("{second:?}")
    };
    let bytes = fs_err::read(blob).unwrap();
    assert_eq!(
        (sha256(&bytes), bytes.len() as u64),
        (second.digest.clone(), second.size)
    );
    // the same bytes from memory give the same layer
    let mut other = settled.clone();
    other.files[0].source = Source::Bytes(vec![7; 5 << 20].into());
    assert_eq!(make(&cache, &other, &Folders::new()).unwrap().digest, first.digest);
    // a changed file of the same size and a changed blob are noticed
    fs_err::write(&path, vec![8; 5 << 20]).unwrap();
    assert_ne!(make(&cache, &settled, &Folders::new()).unwrap().digest, first.digest);
    fs_err::write(blob, b"cut").unwrap();
    assert!(!make(&cache, &other, &Folders::new()).unwrap().reused);
    assert_eq!(fs_err::metadata(blob).unwrap().len(), first.size);
}

#[test]
fn a_file_that_is_gone_is_named() {
    let (dir, cache) = cache();
    let group = on_disk(&dir.path().join("none.jar"));
    let error = make(&cache, &group, &Folders::new()).unwrap_err();
    assert_eq!(error.id(), Reason::FileUnreadable);
    assert!(error.detail().evidence.join(" ").contains("none.jar"), "{error:?}");
}

#[test]
fn a_file_that_grows_or_shrinks_meanwhile_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    fs_err::write(&path, b"12345").unwrap();
    for announced in [4, 6] {
        let mut input = Exactly {
            input: fs_err::File::open(&path).unwrap(),
            left: announced,
            path: &path,
        };
        let error = input.read_to_end(&mut Vec::new()).unwrap_err();
        assert!(error.to_string().contains("changes while it is read"), "{error}");
    }
}

fn name() -> impl Strategy<Value = String> {
    // long ones do not fit into USTAR's fields
    prop_oneof!["[a-zA-Z0-9._ -]{1,12}", "[a-z]{90,140}", "\\PC{1,8}", "[é.]{60,70}"]
        .prop_filter("no path of an image", |n| {
            !n.contains('/') && n != "." && n != ".." && !n.starts_with(".wh.")
        })
}

proptest! {
    #[test]
    fn what_goes_in_comes_out(
        wanted in proptest::collection::btree_map(proptest::collection::vec(name(), 1..5), proptest::collection::vec(any::<u8>(), 0..600), 1..8),
        order in any::<u64>(),
    ) {
        let mut files: Vec<File> = wanted.iter().map(|(parts, bytes)| file(&format!("/{}", parts.join("/")), bytes)).collect();
        let length = files.len();
        let group = Group { title: "g".to_owned(), files: files.clone() };
        let Ok(cleaned) = target::clean(&[group]) else { return Ok(()) };
        let tar = tar_of(&cleaned[0].files, &Folders::new());
        prop_assert_eq!(tar.len() % 512, 0);
        let seen = read(&tar);
        let got: BTreeMap<String, Vec<u8>> = seen.iter().filter_map(|(p, .., b)| Some((p.clone(), b.clone()?))).collect();
        let expected: BTreeMap<String, Vec<u8>> = wanted.iter().map(|(parts, bytes)| (parts.join("/"), bytes.clone())).collect();
        prop_assert_eq!(got, expected);
        // each folder once, before what is in it
        let mut open = BTreeSet::new();
        for (path, .., bytes) in &seen {
            for above in folders_above(path) {
                prop_assert!(open.contains(&above), "{} before {}", path, above);
            }
            if bytes.is_none() {
                prop_assert!(open.insert(path.clone()));
            }
        }
        // the order in which files are named does not matter
        files.rotate_left(usize::try_from(order % length as u64).unwrap());
        let again = target::clean(&[Group { title: "g".to_owned(), files }]).unwrap();
        prop_assert_eq!(tar_of(&again[0].files, &Folders::new()), tar);
    }
}
