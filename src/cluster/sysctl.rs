//! Kernel settings that a kubelet changes for the whole machine and never puts back.
//!
//! Source of the list: `setupKernelTunables` in Kubernetes' `pkg/kubelet/cm/container_manager_linux.go`; the values
//! outlive the cluster (seen on Linux 6.18).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::diag::{Failure, Reason, Result};

/// The settings, as paths below `/proc/sys`.
const CHANGED_BY_KUBELET: [&str; 3] = ["vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops"];

/// Where the kernel shows its settings.
pub(super) const KERNEL: &str = "/proc/sys";

/// Values of kernel settings, by path below `/proc/sys`.
pub(super) type Values = BTreeMap<String, String>;

fn file(cluster_dir: &Path) -> PathBuf {
    cluster_dir.join("sysctl-before.json")
}

/// The settings as they are now; empty where there is no `/proc/sys` (the engine is in a virtual machine).
pub(super) fn read(root: &Path) -> Values {
    CHANGED_BY_KUBELET
        .iter()
        .filter_map(|name| {
            let value = fs_err::read_to_string(root.join(name)).ok()?;
            Some(((*name).to_owned(), value.trim().to_owned()))
        })
        .collect()
}

/// Keeps the settings of before the cluster; a record that is there already is older, so it stays. So is that of another
/// cluster that runs, in whose folder `other_dir` it lies: it may go, and put the settings back, before this one is made.
pub(super) fn remember(kernel: &Path, cluster_dir: &Path, other_dir: Option<&Path>) -> Result<()> {
    let file = file(cluster_dir);
    let mut now = read(kernel);
    if file.exists() || now.is_empty() {
        return Ok(());
    }
    let other = other_dir.and_then(|dir| fs_err::read_to_string(self::file(dir)).ok());
    let before: Values = serde_json::from_str(&other.unwrap_or_default()).unwrap_or_default();
    now.extend(before);
    let text = serde_json::to_string_pretty(&now).unwrap_or_default();
    fs_err::write(&file, text)
        .map_err(|e| Failure::new(Reason::Internal, "cannot note the kernel's settings").cause(&e))
}

/// Leaves it to the cluster of another folder to put the settings back that this one remembers, if they differ from
/// those of now. What this one remembers is older than what that one found, which was already changed. Tells whether
/// there was anything to leave.
pub(super) fn hand_over(kernel: &Path, cluster_dir: &Path, other_dir: &Path) -> Result<bool> {
    let settings = to_restore(kernel, cluster_dir);
    // a cluster without a folder was made for another user, who remembers by himself or not at all
    if settings.is_empty() || !other_dir.is_dir() {
        return Ok(false);
    }
    let other = fs_err::read_to_string(file(other_dir)).unwrap_or_default();
    let mut all: Values = serde_json::from_str(&other).unwrap_or_default();
    all.extend(settings);
    let text = serde_json::to_string_pretty(&all).unwrap_or_default();
    fs_err::write(file(other_dir), text)
        .map_err(|e| Failure::new(Reason::Internal, "cannot note the kernel's settings").cause(&e))?;
    Ok(true)
}

/// What has to be written to have the remembered settings again.
pub(super) fn to_restore(kernel: &Path, cluster_dir: &Path) -> Values {
    let Ok(text) = fs_err::read_to_string(file(cluster_dir)) else {
        return Values::new();
    };
    let before: Values = serde_json::from_str(&text).unwrap_or_default();
    let now = read(kernel);
    before
        .into_iter()
        .filter(|(name, value)| now.get(name).is_some_and(|v| v != value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A kernel with these settings.
    fn kernel(panic: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, value) in [
            ("vm/overcommit_memory", "1"),
            ("kernel/panic", panic),
            ("kernel/panic_on_oops", "1"),
        ] {
            let file = dir.path().join(name);
            fs_err::create_dir_all(file.parent().unwrap()).unwrap();
            fs_err::write(file, format!("{value}\n")).unwrap();
        }
        dir
    }

    fn panic_of(values: &Values) -> Option<&str> {
        values.get("kernel/panic").map(String::as_str)
    }

    #[test]
    fn the_oldest_record_is_kept_and_nothing_is_written_that_is_right() {
        let (before, after, dir) = (kernel("0"), kernel("10"), tempfile::tempdir().unwrap());
        remember(before.path(), dir.path(), None).unwrap();
        assert!(
            to_restore(before.path(), dir.path()).is_empty(),
            "nothing changed since"
        );
        remember(after.path(), dir.path(), None).unwrap();
        let restore = to_restore(after.path(), dir.path());
        assert_eq!((panic_of(&restore), restore.len()), (Some("0"), 1));
        // the engine is in a virtual machine: there is nothing to remember
        let (none, empty) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        remember(none.path(), empty.path(), None).unwrap();
        assert!(!file(empty.path()).exists() && to_restore(none.path(), dir.path()).is_empty());
    }

    #[test]
    fn the_settings_of_before_go_to_the_cluster_that_stays() {
        let (before, after) = (kernel("0"), kernel("10"));
        let (ours, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        remember(before.path(), ours.path(), None).unwrap();
        remember(after.path(), other.path(), None).unwrap();
        let hand_over = |kernel: &Path, to: &Path| hand_over(kernel, ours.path(), to).unwrap();
        assert!(!hand_over(before.path(), other.path()), "nothing changed since");
        assert!(hand_over(after.path(), other.path()));
        assert_eq!(panic_of(&to_restore(after.path(), other.path())), Some("0"));
        assert!(!hand_over(after.path(), &other.path().join("nowhere")));
    }

    #[test]
    fn a_cluster_beside_another_remembers_what_that_one_found() {
        let (before, after) = (kernel("0"), kernel("10"));
        let (ours, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        remember(before.path(), other.path(), None).unwrap();
        remember(after.path(), ours.path(), Some(other.path())).unwrap();
        assert_eq!(panic_of(&to_restore(after.path(), ours.path())), Some("0"));
    }
}
