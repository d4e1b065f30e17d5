//! Parameters of the kernel.

use std::path::{Path, PathBuf};

use super::Cx;
use crate::diag::{Failure, Reason, Result};

/// Sets a parameter until the next boot, and reads it back. Written to where `sysctl` writes it, for that program is
/// not part of every system.
pub(super) fn set(cx: &Cx<'_>, key: &str, value: u64) -> Result<String> {
    cx.tell(format!("raising {key} until the next boot: sysctl -w {key}={value}"));
    set_at(&Path::new("/proc/sys").join(below(key)), value)?;
    Ok(format!("{key} is {value}, until the next boot"))
}

fn set_at(file: &Path, value: u64) -> Result<()> {
    let failed = |e: std::io::Error| Failure::new(Reason::CureFailed, "the parameter cannot be set").cause(&e);
    fs_err::OpenOptions::new()
        .write(true)
        .open(file)
        .and_then(|mut f| std::io::Write::write_all(&mut f, value.to_string().as_bytes()))
        .map_err(failed)?;
    let read = fs_err::read_to_string(file).map_err(failed)?;
    if read.trim().parse() == Ok(value) {
        return Ok(());
    }
    Err(Failure::new(
        Reason::CureFailed,
        format!("{} is still {}", file.display(), read.trim()),
    ))
}

fn below(key: &str) -> PathBuf {
    key.split('.').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_back_and_a_missing_parameter_is_not_created() {
        assert_eq!(
            below("fs.inotify.max_user_instances"),
            Path::new("fs/inotify/max_user_instances")
        );
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("limit");
        assert_eq!(set_at(&file, 512).unwrap_err().id(), Reason::CureFailed);
        assert!(!file.exists());
        fs_err::write(&file, "128").unwrap();
        set_at(&file, 512).unwrap();
        // a file that takes what is written and keeps another value is what a refusing kernel looks like
        assert_eq!(
            set_at(Path::new("/dev/null"), 512).unwrap_err().id(),
            Reason::CureFailed
        );
    }

    #[test]
    #[ignore = "needs root on Linux"]
    fn the_kernel_takes_the_value_it_has() {
        let file = Path::new("/proc/sys/fs/inotify/max_user_instances");
        let now = fs_err::read_to_string(file).unwrap().trim().parse().unwrap();
        set_at(file, now).unwrap();
    }
}
