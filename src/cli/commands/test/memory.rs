//! Which cases did not pass the last time, for `--rerun-failed`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::diag::{Failure, Reason, Result};
use crate::e2e::Summary;
use crate::event::Verdict;

/// The name of the file, beside the cluster's kubeconfig.
const FILE: &str = "last-test.json";

#[derive(Debug, Default, Serialize, Deserialize)]
struct Last {
    v: u32,
    /// By the case's file, absolute: the names of its cases.
    failed: Failed,
}

/// Cases by their files and names.
pub(super) type Failed = BTreeMap<PathBuf, BTreeSet<String>>;

/// Remembers the cases of a run that did not pass. Cases that were not in it stay as they were.
///
/// # Errors
/// [`Reason::FileUnreadable`] if it cannot be written.
pub(super) fn remember(folder: &Path, summary: &Summary) -> Result<()> {
    let mut failed = read(folder).unwrap_or_default().failed;
    for case in &summary.cases {
        if let Some(names) = failed.get_mut(&case.file) {
            names.remove(&case.name);
        }
    }
    // one of several attempts is enough, and what was not run has not passed
    let bad = summary.cases.iter().filter(|case| match case.verdict {
        Verdict::Fail | Verdict::Error => true,
        Verdict::Skip => case.detail.is_empty(),
        Verdict::Pass => false,
    });
    for case in bad {
        failed.entry(case.file.clone()).or_default().insert(case.name.clone());
    }
    failed.retain(|_, names| !names.is_empty());
    let text = serde_json::to_string_pretty(&Last { v: 2, failed }).unwrap_or_default();
    let file = folder.join(FILE);
    let write = || fs_err::create_dir_all(folder).and_then(|()| fs_err::write(&file, text));
    write().map_err(|error| {
        Failure::new(Reason::FileUnreadable, format!("{} cannot be written", file.display())).cause(&error)
    })
}

fn read(folder: &Path) -> Option<Last> {
    serde_json::from_slice(&fs_err::read(folder.join(FILE)).ok()?).ok()
}

/// The cases that did not pass the last time they were run, and are still there.
///
/// # Errors
/// [`Reason::CaseInvalid`] if there are none.
pub(super) fn failed(folder: &Path) -> Result<Failed> {
    let failed = read(folder).unwrap_or_default().failed;
    let there: Failed = failed.into_iter().filter(|(file, _)| file.exists()).collect();
    if there.is_empty() {
        return Err(
            Failure::new(Reason::CaseInvalid, "no case is known that did not pass the last time").next("dev test PATH"),
        );
    }
    Ok(there)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::e2e::CaseReport;

    fn summary(cases: &[(&Path, Verdict)]) -> Summary {
        let report = |(file, verdict): &(&Path, Verdict)| CaseReport {
            name: "x".to_owned(),
            ..CaseReport::new("x #1", *file, *verdict)
        };
        Summary {
            cases: cases.iter().map(report).collect(),
            ..Summary::default()
        }
    }

    #[test]
    fn what_did_not_pass_is_remembered_until_it_does() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, "").unwrap();
            path
        };
        let (a, b, c) = (file("a"), file("b"), file("c"));
        let state = dir.path().join("state");
        let failed = |state: &Path| failed(state).map(|all| all.into_keys().collect::<Vec<_>>());
        assert!(failed(&state).is_err());
        let first = [(a.as_path(), Verdict::Pass), (&b, Verdict::Fail), (&c, Verdict::Skip)];
        remember(&state, &summary(&first)).unwrap();
        assert_eq!(failed(&state).unwrap(), [b.clone(), c.clone()]);
        remember(&state, &summary(&[(&c, Verdict::Pass), (&a, Verdict::Error)])).unwrap();
        assert_eq!(failed(&state).unwrap(), [a.clone(), b.clone()]);
        remember(&state, &summary(&[(&a, Verdict::Pass), (&a, Verdict::Fail)])).unwrap();
        std::fs::remove_file(&b).unwrap();
        assert_eq!(failed(&state).unwrap(), [a]);
    }

    #[test]
    fn cases_of_one_file_are_remembered_by_themselves() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a");
        std::fs::write(&file, "").unwrap();
        let run = |cases: &[(&str, Verdict)]| {
            let cases = cases.iter().map(|(name, verdict)| CaseReport {
                name: (*name).to_owned(),
                ..CaseReport::new(*name, &file, *verdict)
            });
            let summary = Summary {
                cases: cases.collect(),
                ..Summary::default()
            };
            remember(dir.path(), &summary).unwrap();
            failed(dir.path()).map(|all| all.into_values().flatten().collect::<Vec<_>>())
        };
        let told = run(&[
            ("x[n=1]", Verdict::Fail),
            ("x[n=2]", Verdict::Pass),
            ("x[n=3]", Verdict::Error),
        ]);
        assert_eq!(told.unwrap(), ["x[n=1]", "x[n=3]"]);
        assert_eq!(run(&[("x[n=1]", Verdict::Pass)]).unwrap(), ["x[n=3]"]);
        assert!(run(&[("x[n=3]", Verdict::Pass)]).is_err());
    }
}
