//! A system whose engine runs in a machine of its own: nothing of a node can be reached.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::container::ContainerInfo;

/// A node's root folder; there is none here.
#[derive(Debug, Clone)]
pub(in crate::image) enum Reach {}

/// A folder of a node.
#[derive(Debug)]
pub(super) enum Folder {}

impl Reach {
    pub(super) fn of(_container: &ContainerInfo) -> Result<Self, String> {
        Err("the engine does not run on this machine itself".to_owned())
    }

    pub(in crate::image) fn same_users(&self) -> bool {
        match *self {}
    }

    pub(super) fn socket(&self, _path: &Path) -> io::Result<(PathBuf, ())> {
        match *self {}
    }

    pub(super) fn lock_file(&self, _path: &Path) -> io::Result<File> {
        match *self {}
    }

    pub(super) fn read(&self, _path: &Path) -> io::Result<(String, SystemTime)> {
        match *self {}
    }

    pub(super) fn free(&self, _path: &Path) -> io::Result<u64> {
        match *self {}
    }

    pub(super) fn has(&self, _path: &Path) -> bool {
        match *self {}
    }

    pub(super) fn outside(&self, _folder: &Folder, _path: &Path) -> Option<PathBuf> {
        match *self {}
    }

    pub(super) fn folder(&self, _path: &Path) -> io::Result<Folder> {
        match *self {}
    }
}

impl Folder {
    pub(super) fn put(&self, _name: &str, _source: &Path) -> io::Result<()> {
        match *self {}
    }

    pub(super) fn symlink(&self, _name: &str, _target: &str) -> io::Result<()> {
        match *self {}
    }

    pub(super) fn remove(&self, _name: &str) {
        match *self {}
    }

    pub(super) fn move_to(&self, _name: &str, _other: &Self, _new: &str) -> io::Result<()> {
        match *self {}
    }

    pub(super) fn owner(&self, _name: &str) -> io::Result<(u32, u32)> {
        match *self {}
    }
}
