//! The files of a node from outside, by its process: `/proc/PID/root`, which the engine's word for the PID leads to.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::Mode;

use crate::container::ContainerInfo;

/// A node's root folder, held open. Paths below it are resolved as within the node: a link in there never leads to a
/// file of this machine.
#[derive(Debug, Clone)]
pub(in crate::image) struct Reach {
    root: Arc<OwnedFd>,
    /// Whether users in the node are those of this machine.
    same_users: bool,
    /// Folders of the node, and which of this machine they are.
    mounts: Arc<BTreeMap<String, String>>,
}

impl Reach {
    /// The files of a container, if it runs on this machine; else why not.
    pub(super) fn of(container: &ContainerInfo) -> Result<Self, String> {
        let pid = container.pid;
        if pid == 0 {
            return Err(format!("{} does not run", container.name));
        }
        let told = |e: &io::Error| format!("process {pid} of {} cannot be looked into: {e}", container.name);
        // held open, it is this process for good: a later one with its number is another
        let process = File::open(format!("/proc/{pid}")).map_err(|e| told(&e))?;
        let folder = PathBuf::from(format!("/proc/self/fd/{}", process.as_raw_fd()));
        let root = File::options()
            .read(true)
            .open(folder.join("root"))
            .map_err(|e| told(&e))?;
        let read = |name: &str| std::fs::read_to_string(folder.join(name));
        let cgroup = read("cgroup").map_err(|e| told(&e))?;
        let mounts = read("mountinfo").map_err(|e| told(&e))?;
        if !belongs(&container.id, &cgroup, &mounts) {
            return Err(format!(
                "process {pid} of this machine is not that of {}: the engine is on another machine",
                container.name
            ));
        }
        Ok(Self {
            root: Arc::new(root.into()),
            same_users: read("uid_map").is_ok_and(|map| is_identity(&map)),
            mounts: Arc::new(container.mounts.clone()),
        })
    }

    /// A folder as if it was a node's root, for tests.
    #[cfg(test)]
    pub(super) fn at(folder: &Path) -> Self {
        Self {
            root: Arc::new(File::open(folder).unwrap().into()),
            same_users: true,
            mounts: Arc::default(),
        }
    }

    /// Whether users in the node are those of this machine.
    pub(in crate::image) fn same_users(&self) -> bool {
        self.same_users
    }

    fn open(&self, path: &Path, flags: OFlag) -> io::Result<OwnedFd> {
        let mode = if flags.contains(OFlag::O_CREAT) {
            Mode::from_bits_truncate(0o644)
        } else {
            Mode::empty()
        };
        let how = OpenHow::new()
            .flags(flags | OFlag::O_CLOEXEC)
            .mode(mode)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        Ok(openat2(self.root.as_fd(), path, how)?)
    }

    /// A path of this process to a socket, which leads there as long as what is handed out with it lives.
    pub(super) fn socket(&self, path: &Path) -> io::Result<(PathBuf, OwnedFd)> {
        let socket = self.open(path, OFlag::O_PATH)?;
        Ok((PathBuf::from(format!("/proc/self/fd/{}", socket.as_raw_fd())), socket))
    }

    /// A file to be locked, made if need be.
    pub(super) fn lock_file(&self, path: &Path) -> io::Result<File> {
        Ok(self.open(path, OFlag::O_CREAT | OFlag::O_WRONLY)?.into())
    }

    /// A small file, and when it was changed.
    pub(super) fn read(&self, path: &Path) -> io::Result<(String, SystemTime)> {
        let mut file = File::from(self.open(path, OFlag::O_RDONLY)?);
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        Ok((text, file.metadata()?.modified()?))
    }

    /// Free space at a path for ordinary users, in bytes.
    pub(super) fn free(&self, path: &Path) -> io::Result<u64> {
        let folder = self.open(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY)?;
        let stat = nix::sys::statvfs::fstatvfs(&folder)?;
        // their widths differ between systems
        #[allow(clippy::unnecessary_cast, reason = "32-bit systems have other widths")]
        Ok(stat.blocks_available() as u64 * stat.fragment_size() as u64)
    }

    /// Whether there is something at a path.
    pub(super) fn has(&self, path: &Path) -> bool {
        self.open(path, OFlag::O_PATH).is_ok()
    }

    /// The same folder by a path of this machine, if it lies in a volume: seen from there, files of this machine can get
    /// names in it.
    pub(super) fn outside(&self, folder: &Folder, path: &Path) -> Option<PathBuf> {
        let volume = self.mounts.iter().filter(|(inside, _)| path.starts_with(inside));
        let (inside, outside) = volume.max_by_key(|(inside, _)| inside.len())?;
        let path = Path::new(outside).join(path.strip_prefix(inside).ok()?);
        let (here, there) = (std::fs::metadata(&path).ok()?, nix::sys::stat::fstat(&folder.0).ok()?);
        (here.dev() == there.st_dev && here.ino() == there.st_ino).then_some(path)
    }

    /// A folder of the node.
    pub(super) fn folder(&self, path: &Path) -> io::Result<Folder> {
        Ok(Folder(self.open(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY)?))
    }
}

/// A folder of a node, held open; names in it are single ones.
#[derive(Debug)]
pub(super) struct Folder(OwnedFd);

impl Folder {
    /// Copies a file into it under a name that it has only when it is whole. On one file system not a byte is read.
    pub(super) fn put(&self, name: &str, source: &Path) -> io::Result<()> {
        let partial = format!(".{name}.part");
        let mut from = File::open(source)?;
        let flags = OFlag::O_CREAT | OFlag::O_TRUNC | OFlag::O_WRONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let copied = || -> io::Result<()> {
            let to = nix::fcntl::openat(&self.0, partial.as_str(), flags, Mode::from_bits_truncate(0o644))?;
            io::copy(&mut from, &mut File::from(to))?;
            nix::fcntl::renameat(&self.0, partial.as_str(), &self.0, name)?;
            Ok(())
        };
        let mut copied = copied;
        copied().inspect_err(|_| self.remove(&partial))
    }

    /// A symbolic link in it, to a path of the node.
    pub(super) fn symlink(&self, name: &str, target: &str) -> io::Result<()> {
        Ok(nix::unistd::symlinkat(target, &self.0, name)?)
    }

    /// Takes a file out of it; one that is not there is fine.
    pub(super) fn remove(&self, name: &str) {
        let _ = nix::unistd::unlinkat(&self.0, name, nix::unistd::UnlinkatFlags::NoRemoveDir);
    }

    /// Moves a folder of it to the place of an empty one of another.
    pub(super) fn move_to(&self, name: &str, other: &Self, new: &str) -> io::Result<()> {
        Ok(nix::fcntl::renameat(&self.0, name, &other.0, new)?)
    }

    /// User and group that a folder in it belongs to.
    pub(super) fn owner(&self, name: &str) -> io::Result<(u32, u32)> {
        let stat = nix::sys::stat::fstatat(&self.0, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        Ok((stat.st_uid, stat.st_gid))
    }
}

/// Whether a process is one of a container: of its control group, or with files mounted that the engine keeps for it.
/// Its id is 64 digits that nobody else has.
fn belongs(id: &str, cgroup: &str, mounts: &str) -> bool {
    id.len() == 64 && (cgroup.contains(id) || mounts.contains(&format!("/containers/{id}/")))
}

/// Whether a `uid_map` maps all users to themselves (user_namespaces(7)).
fn is_identity(map: &str) -> bool {
    map.split_whitespace().eq(["0", "0", "4294967295"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_of_another_container_or_machine_is_told_apart() {
        let id = "4f".repeat(32);
        assert!(belongs(
            &id,
            &format!("0::/system.slice/docker-{id}.scope/init.scope\n"),
            ""
        ));
        let mounts = format!("1 2 0:1 /var/lib/docker/containers/{id}/hostname /etc/hostname rw\n");
        assert!(belongs(&id, "0::/\n", &mounts));
        assert!(!belongs(&id, "0::/init.scope\n", "1 2 0:1 / / rw\n"));
        assert!(!belongs("", "0::/\n", "/containers//\n"), "no id is everywhere");
        assert!(is_identity("         0          0 4294967295\n"));
        assert!(!is_identity("         0     100000      65536\n"));
    }

    #[test]
    fn links_do_not_lead_out_of_a_node() {
        let dir = tempfile::tempdir().unwrap();
        let node = dir.path().join("node");
        fs_err::create_dir_all(node.join("etc")).unwrap();
        fs_err::write(node.join("etc/name"), "inside").unwrap();
        fs_err::create_dir_all(dir.path().join("etc")).unwrap();
        fs_err::write(dir.path().join("etc/name"), "outside").unwrap();
        std::os::unix::fs::symlink("/etc/name", node.join("absolute")).unwrap();
        std::os::unix::fs::symlink("../../../etc/name", node.join("up")).unwrap();
        let reach = Reach::at(&node);
        for path in ["/absolute", "/up", "etc/name"] {
            assert_eq!(reach.read(Path::new(path)).unwrap().0, "inside", "{path}");
        }
        assert!(reach.free(Path::new("/etc")).unwrap() > 0);
        assert!(reach.has(Path::new("/etc")) && !reach.has(Path::new("/none")));
    }

    #[test]
    fn files_come_into_a_folder_whole() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::write(dir.path().join("blob"), "bytes").unwrap();
        for name in ["in", "old", "new"] {
            fs_err::create_dir_all(dir.path().join(name)).unwrap();
        }
        let reach = Reach::at(dir.path());
        let folder = reach.folder(Path::new("/in")).unwrap();
        folder.put("copy", &dir.path().join("blob")).unwrap();
        folder.symlink("soft", "/blob").unwrap();
        let mut names: Vec<_> = fs_err::read_dir(dir.path().join("in"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["copy", "soft"]);
        assert_eq!(fs_err::read_to_string(dir.path().join("in/copy")).unwrap(), "bytes");
        assert!(folder.put("x", &dir.path().join("none")).is_err());
        let mut mounted = reach.clone();
        let volume = ("/".to_owned(), dir.path().display().to_string());
        mounted.mounts = Arc::new(BTreeMap::from([volume]));
        assert_eq!(mounted.outside(&folder, Path::new("/in")), Some(dir.path().join("in")));
        assert_eq!(
            mounted.outside(&folder, Path::new("/old")),
            None,
            "it is another folder"
        );
        assert_eq!(reach.outside(&folder, Path::new("/in")), None);
        fs_err::write(dir.path().join("old/file"), "moved").unwrap();
        let above = reach.folder(Path::new("/")).unwrap();
        above.move_to("old", &above, "new").unwrap();
        assert_eq!(fs_err::read_to_string(dir.path().join("new/file")).unwrap(), "moved");
        folder.remove("copy");
        folder.remove("copy");
        assert!(!reach.has(Path::new("/in/copy")));
    }
}
