//! Paths in an image: what a user gives is checked before it becomes an entry of an archive. Pure.

use std::collections::BTreeMap;

use super::{File, Group};
use crate::diag::{Failure, Reason, Result};

/// How a name begins that means "this was removed" in a layer.
const WHITEOUT: &str = ".wh.";

/// Groups with at least one file, their paths without the leading slash.
///
/// # Errors
/// [`Reason::Usage`] for a path that is not absolute, leaves its folder, would be taken for a removal, is there twice,
/// or lies below a file.
pub(super) fn clean(groups: &[Group]) -> Result<Vec<Group>> {
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    let mut cleaned = Vec::new();
    for group in groups.iter().filter(|group| !group.files.is_empty()) {
        let mut files = Vec::new();
        for file in &group.files {
            let target = path(&file.target)?;
            let from = match &file.source {
                super::Source::Path(path) => path.display().to_string(),
                super::Source::Bytes(_) => group.title.clone(),
            };
            if let Some(other) = seen.insert(target.clone(), from.clone()) {
                return Err(
                    Failure::new(Reason::Usage, format!("two files would be /{target} in the image"))
                        .evidence(format!("{other}\n{from}"))
                        .next("give one of them another name, or leave one out"),
                );
            }
            files.push(File { target, ..file.clone() });
        }
        cleaned.push(Group {
            title: group.title.clone(),
            files,
        });
    }
    for target in seen.keys() {
        if let Some(above) = folders_above(target).into_iter().find(|f| seen.contains_key(f)) {
            return Err(Failure::new(
                Reason::Usage,
                format!("/{above} would be a file and a folder in the image"),
            ));
        }
    }
    Ok(cleaned)
}

fn path(target: &str) -> Result<String> {
    let bad = |why: &str| {
        let shown = target.escape_debug();
        Err(Failure::new(
            Reason::Usage,
            format!("`{shown}` is no path of an image: {why}"),
        ))
    };
    let Some(path) = target.strip_prefix('/') else {
        return bad("it does not begin with `/`");
    };
    for part in path.split('/') {
        match part {
            "" => return bad("a name in it is empty"),
            "." | ".." => return bad("`.` and `..` are not resolved"),
            part if part.starts_with(WHITEOUT) => return bad("a name with `.wh.` means that a file was removed"),
            part if part.chars().any(char::is_control) => return bad("it has a control character"),
            _ => {}
        }
    }
    Ok(path.to_owned())
}

/// The folders that a path lies in, outermost first.
pub(super) fn folders_above(path: &str) -> Vec<String> {
    path.match_indices('/').map(|(at, _)| path[..at].to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::image::app::Source;

    fn group(title: &str, targets: &[&str]) -> Group {
        let file = |target: &&str| File {
            target: (*target).to_owned(),
            source: Source::Bytes(Bytes::new()),
            mode: 0o644,
        };
        Group {
            title: title.to_owned(),
            files: targets.iter().map(file).collect(),
        }
    }

    #[test]
    fn empty_groups_make_no_layer() {
        let cleaned = clean(&[group("a", &[]), group("b", &["/opt/x"])]).unwrap();
        assert_eq!(cleaned.len(), 1);
        assert_eq!(cleaned[0].files[0].target, "opt/x");
    }

    #[test]
    fn paths_that_could_do_harm_are_refused() {
        let bad = [
            "opt/x",
            "/",
            "/opt//x",
            "/opt/",
            "/../x",
            "/opt/../../x",
            "/./x",
            "/opt/.wh.x",
            "/.wh..wh..opq",
            "/a\nb",
            "/a\0b",
            "",
        ];
        for target in bad {
            let error = clean(&[group("g", &[target])]).unwrap_err();
            assert_eq!(error.id(), Reason::Usage, "{target:?}");
        }
    }

    #[test]
    fn a_path_is_there_once_and_is_no_folder_of_another() {
        let twice = clean(&[group("a", &["/opt/x"]), group("b", &["/opt/x"])]).unwrap_err();
        assert!(twice.to_string().contains("two files would be /opt/x"), "{twice}");
        let both = clean(&[group("a", &["/opt/x", "/opt/x/y"])]).unwrap_err();
        assert!(both.to_string().contains("a file and a folder"), "{both}");
        assert_eq!(folders_above("opt/flink/x"), ["opt", "opt/flink"]);
    }
}
