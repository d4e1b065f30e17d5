//! Test cases on a real cluster: records in, a SQL job, records out, a verdict.
//!
//! Each case runs with names of its own (`dev-RUN-NUMBER-NAME`), so nothing that others use is touched, and all that it
//! made is removed whatever the verdict is. A case passes when, with the job running, every expectation has held for
//! a quiet second: a surplus record that comes right behind the last expected one is seen.

mod about;
mod case;
mod case_step;
mod compare;
mod demo;
mod diff;
mod evidence;
mod faults;
mod forbid;
mod hooks;
mod html;
mod index;
mod journal;
mod junit;
mod lease;
mod mask;
mod matching;
mod names;
mod needs;
mod observe;
mod pattern;
mod registered;
mod report;
mod run;
mod schedule;
mod seen;
mod select;
mod settle;
mod snapshots;
mod steps;
mod substitute;
mod value;
mod verdict;

pub use demo::demo_case;
pub use faults::recover;
pub use html::html;
pub use journal::Mark;
pub use junit::junit;
pub(crate) use lease::{LABEL_RUN, RunLease, sweep_dead, sweep_pods};
pub(crate) use names::{Names, run_id};
pub use observe::Observed;
pub use report::{CaseReport, Exhibit, Summary};
pub use run::{RunOptions, Target, remove_kept, run_cases};
pub use select::{Selection, Shard};
pub(crate) use substitute::{Script, substitute};

#[cfg(test)]
mod tests;
