//! `dev test --update`: cases that did not pass are written anew with what came out.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use similar::TextDiff;

use crate::cli::session::Session;
use crate::config::{Case, Rewrite, rewritten};
use crate::diag::{Failure, Reason, Result};
use crate::e2e::{CaseReport, Summary};
use crate::event::{EventSink, Verdict};

/// What may be written anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Update {
    /// Records; where a pattern or `repeat` would be lost, nothing of the case
    Records,
    /// Those, too
    All,
}

/// Files with several cases: what is written for one holds for the others, too.
pub(super) fn shared(cases: &[Case]) -> BTreeSet<PathBuf> {
    cases
        .iter()
        .filter(|case| case.of_matrix)
        .map(|case| case.file.clone())
        .collect()
}

/// Writes the cases that failed anew and tells the differences; whether each case that did not pass would pass now.
pub(super) fn update(
    session: &Session,
    what: Update,
    summary: &Summary,
    shared: &BTreeSet<PathBuf>,
    events: &EventSink,
) -> bool {
    let mut all = true;
    for case in &summary.cases {
        match case.verdict {
            Verdict::Pass => continue,
            Verdict::Skip if !case.detail.is_empty() => continue,
            Verdict::Fail => {}
            Verdict::Error | Verdict::Skip => {
                all = false;
                continue;
            }
        }
        let shown = case.file.strip_prefix(&session.env.cwd).unwrap_or(&case.file);
        match one(case, shown, what, shared.contains(&case.file)) {
            Ok(Some(diff)) => events.note(format!("{} is written anew:\n{diff}", shown.display())),
            Ok(None) => all = false,
            Err(failure) => {
                all = false;
                events.note(format!("{} stays as it is: {}", shown.display(), failure.as_note(1)));
            }
        }
        all &= case.mendable;
    }
    all
}

/// Writes one case anew; tells the difference, or `None` if other records would not help.
fn one(case: &CaseReport, shown: &Path, what: Update, shared: bool) -> Result<Option<String>> {
    if case.observed.is_empty() {
        return Ok(None);
    }
    if shared {
        let message = "it stands for several cases, and what came out of one need not come out of the others";
        return Err(
            Failure::new(Reason::CaseInvalid, message).next("write the expected records by hand, with ${var.NAME}")
        );
    }
    let lost: Vec<_> = case.observed.iter().flat_map(|topic| &topic.lost).cloned().collect();
    if what != Update::All && !lost.is_empty() {
        let failure = Failure::new(Reason::CaseInvalid, "what stands for many values would be lost");
        return Err(failure.evidence(lost.join("\n")).next("dev test --update=all PATH"));
    }
    let unreadable = |error: std::io::Error| {
        Failure::new(
            Reason::FileUnreadable,
            format!("{} cannot be written anew", shown.display()),
        )
        .cause(&error)
    };
    let before = fs_err::read_to_string(&case.file).map_err(unreadable)?;
    let rewrites: Vec<Rewrite> = case.observed.iter().map(|topic| topic.rewrite.clone()).collect();
    let after = rewritten(shown, &before, &rewrites)?;
    Case::check(&case.file, &after).map_err(|mut problems| problems.swap_remove(0))?;
    replace(&case.file, &after).map_err(unreadable)?;
    let diff = TextDiff::from_lines(&before, &after);
    let name = shown.display().to_string();
    Ok(Some(
        diff.unified_diff().context_radius(2).header(&name, &name).to_string(),
    ))
}

/// Puts a new text in place of a file, so that it is never half written.
fn replace(file: &Path, text: &str) -> std::io::Result<()> {
    // what a link points to is written, not the link
    let file = fs_err::canonicalize(file)?;
    let folder = file.parent().unwrap_or(Path::new("/"));
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    new.write_all(text.as_bytes())?;
    let permissions = fs_err::metadata(&file)?.permissions();
    fs_err::set_permissions(new.path(), permissions)?;
    new.persist(&file).map_err(|error| error.error)?;
    Ok(())
}
