//! A folder of this machine as a build context.

use std::path::Path;

use super::ignore::Ignore;
use crate::container::Context;
use crate::diag::{Failure, Reason, Result};

/// All of a folder but what is left out; `shown` is the folder as the user gave it.
///
/// # Errors
/// [`Reason::FileUnreadable`] with the path that cannot be read.
pub(super) fn read(folder: &Path, shown: &Path, ignore: &Ignore) -> Result<Context> {
    let mut context = Context::new();
    walk(folder, "", ignore, &mut context).map_err(|error| {
        Failure::new(
            Reason::FileUnreadable,
            format!("the build context {} cannot be read", shown.display()),
        )
        .cause(&error)
    })?;
    Ok(context)
}

fn walk(folder: &Path, below: &str, ignore: &Ignore, context: &mut Context) -> std::io::Result<()> {
    for entry in fs_err::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().into_string().map_err(|name| {
            std::io::Error::new(
                std::io::ErrorKind::InvalidData,
                format!("{}/{} is no Unicode", folder.display(), name.display()),
            )
        })?;
        let path = if below.is_empty() {
            name
        } else {
            format!("{below}/{name}")
        };
        let out = ignore.by(&path).is_some();
        // of the entry itself, a link is not followed
        let seen = entry.metadata()?;
        if seen.is_dir() {
            if !out {
                context.add_folder(path.clone(), mode(&seen));
            }
            if !out || ignore.has_exceptions() {
                walk(&entry.path(), &path, ignore, context)?;
            }
        } else if out {
        } else if seen.is_symlink() {
            context.add_link(path, fs_err::read_link(entry.path())?);
        } else if seen.is_file() {
            context.add_file(path, mode(&seen), entry.path());
        }
        // sockets and devices are of no use in a build
    }
    Ok(())
}

#[cfg(unix)]
fn mode(seen: &std::fs::Metadata) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    seen.permissions().mode() & 0o7777
}

#[cfg(not(unix))]
fn mode(seen: &std::fs::Metadata) -> u32 {
    // as Docker's client does there: everything may be run
    let _ = seen;
    0o755
}
