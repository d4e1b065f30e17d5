//! Kernel settings that a kubelet changes for the whole machine and never puts back.
//!
//! Source of the list: `setupKernelTunables` in Kubernetes' `pkg/kubelet/cm/container_manager_linux.go`; the values
//! outlive the cluster (seen on Linux 6.18).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::diag::{Failure, Reason, Result};

/// The settings, as paths below `/proc/sys`.
const CHANGED_BY_KUBELET: [&str; 3] = ["vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops"];

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

/// Keeps the settings of before the cluster; a record that is there already is older, so it stays.
pub(super) fn remember(cluster_dir: &Path) -> Result<()> {
    let file = file(cluster_dir);
    let now = read(Path::new("/proc/sys"));
    if file.exists() || now.is_empty() {
        return Ok(());
    }
    let text = serde_json::to_string_pretty(&now).unwrap_or_default();
    fs_err::write(&file, text)
        .map_err(|e| Failure::new(Reason::Internal, "cannot note the kernel's settings").cause(&e))
}

/// Leaves it to the cluster of another folder to put the settings back that this one remembers, if they differ from
/// those of now. What this one remembers is older than what that one found, which was already changed. Tells whether
/// there was anything to leave.
pub(super) fn hand_over(cluster_dir: &Path, other_dir: &Path) -> Result<bool> {
    let settings = to_restore(cluster_dir);
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
pub(super) fn to_restore(cluster_dir: &Path) -> Values {
    let Ok(text) = fs_err::read_to_string(file(cluster_dir)) else {
        return Values::new();
    };
    let before: Values = serde_json::from_str(&text).unwrap_or_default();
    let now = read(Path::new("/proc/sys"));
    before
        .into_iter()
        .filter(|(name, value)| now.get(name).is_some_and(|v| v != value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_record_is_kept_and_nothing_is_written_that_is_right() {
        let dir = tempfile::tempdir().unwrap();
        remember(dir.path()).unwrap();
        if read(Path::new("/proc/sys")).is_empty() {
            return; // not Linux: nothing to remember
        }
        assert!(to_restore(dir.path()).is_empty(), "nothing changed since");
        let mut other = read(Path::new("/proc/sys"));
        other.insert("kernel/panic".into(), "4711".into());
        fs_err::write(file(dir.path()), serde_json::to_string(&other).unwrap()).unwrap();
        remember(dir.path()).unwrap();
        assert_eq!(
            to_restore(dir.path()).get("kernel/panic").map(String::as_str),
            Some("4711")
        );
    }

    #[test]
    fn the_settings_of_before_go_to_the_cluster_that_stays() {
        let (ours, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        remember(ours.path()).unwrap();
        remember(other.path()).unwrap();
        let now = read(Path::new("/proc/sys"));
        if now.is_empty() {
            return; // not Linux
        }
        assert!(!hand_over(ours.path(), other.path()).unwrap(), "nothing changed since");
        let mut before = now.clone();
        before.insert("kernel/panic".into(), "4711".into());
        fs_err::write(file(ours.path()), serde_json::to_string(&before).unwrap()).unwrap();
        assert!(hand_over(ours.path(), other.path()).unwrap());
        let restore = to_restore(other.path());
        assert_eq!(restore.get("kernel/panic").map(String::as_str), Some("4711"));
        assert_eq!(restore.len(), 1);
        assert!(!hand_over(ours.path(), &other.path().join("nowhere")).unwrap());
    }
}
