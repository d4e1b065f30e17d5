//! What a run gave, for reports.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::journal::Mark;
use super::observe::Observed;
use crate::diag::Failure;
use crate::event::Verdict;

/// One case of a run.
#[derive(Debug, Clone, Serialize)]
pub struct CaseReport {
    /// What it is called: its name, with a number where it is run several times.
    pub title: String,
    /// Its name.
    pub name: String,
    /// The file it was read from.
    pub file: PathBuf,
    /// Its tags.
    pub tags: Vec<String>,
    /// How it came out.
    pub verdict: Verdict,
    /// When it began, since the run did.
    pub began: Duration,
    /// How long it took.
    pub took: Duration,
    /// Differences of expected and seen records, or why there is no verdict; empty for `pass`.
    pub detail: Vec<String>,
    /// The failure, for `error`.
    pub failure: Option<Failure>,
    /// What happened in it, in order.
    pub marks: Vec<Mark>,
    /// What was gathered of a case that did not pass.
    pub evidence: Vec<Exhibit>,
    /// The folder where it lies.
    pub folder: Option<PathBuf>,
    /// For `fail`: what would have to be expected instead.
    #[serde(skip)]
    pub observed: Vec<Observed>,
    /// Whether it would pass with that.
    #[serde(skip)]
    pub mendable: bool,
}

impl CaseReport {
    /// A report that says no more than the verdict.
    pub fn new(title: impl Into<String>, file: impl Into<PathBuf>, verdict: Verdict) -> Self {
        Self {
            title: title.into(),
            name: String::new(),
            file: file.into(),
            tags: Vec::new(),
            verdict,
            began: Duration::ZERO,
            took: Duration::ZERO,
            detail: Vec::new(),
            failure: None,
            marks: Vec::new(),
            evidence: Vec::new(),
            folder: None,
            observed: Vec::new(),
            mendable: false,
        }
    }
}

/// A piece of evidence; secrets are masked.
#[derive(Debug, Clone, Serialize)]
pub struct Exhibit {
    /// The name of its file.
    pub name: String,
    /// The text.
    pub text: String,
}

/// How many cases came out how, and each of them.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// Cases whose every expectation held.
    pub passed: usize,
    /// Cases that gave other records.
    pub failed: usize,
    /// Cases that could not be run to their end.
    pub errors: usize,
    /// Cases that were not begun, because the run was stopped.
    pub skipped: usize,
    /// Cases that say themselves that they are not to be run.
    pub set_aside: usize,
    /// What could not be removed; empty in every ordinary run.
    pub left_behind: Vec<Failure>,
    /// Every case, in the order of the run.
    pub cases: Vec<CaseReport>,
    /// How long the run took.
    pub took: Duration,
}

impl Summary {
    /// Whether every case passed that was to be run.
    pub fn all_passed(&self) -> bool {
        self.failed == 0 && self.errors == 0 && self.skipped == 0
    }

    /// Counts a case and keeps it.
    pub(super) fn add(&mut self, case: CaseReport) {
        match case.verdict {
            Verdict::Pass => self.passed += 1,
            Verdict::Fail => self.failed += 1,
            Verdict::Error => self.errors += 1,
            Verdict::Skip if case.detail.is_empty() => self.skipped += 1,
            Verdict::Skip => self.set_aside += 1,
        }
        self.cases.push(case);
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} with errors",
            self.passed, self.failed, self.errors
        )?;
        if self.set_aside > 0 {
            write!(f, ", {} skipped", self.set_aside)?;
        }
        if self.skipped > 0 {
            write!(f, ", {} not run", self.skipped)?;
        }
        Ok(())
    }
}
