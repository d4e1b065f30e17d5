//! The arguments of `dev test`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};

use crate::config;
use crate::e2e::Shard;

/// What `dev test` runs, and how.
#[derive(Debug, Clone, Args)]
pub struct TestArgs {
    /// Cases, or folders that are searched for *.test.yaml
    #[arg(required_unless_present_any = ["rerun_failed", "remove_kept"], value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
    /// The environment's profile
    #[arg(short, long, value_name = "PROFILE")]
    pub profile: Option<String>,

    /// Only cases whose name or file has this word or matches this pattern (`*`, `?`); `!WORD`: only others
    #[arg(short = 'k', long = "keyword", value_name = "WORD", help_heading = "Which cases")]
    pub words: Vec<String>,
    /// Only cases with this tag; `!TAG`: only others
    #[arg(long = "tag", value_name = "TAG", help_heading = "Which cases")]
    pub tags: Vec<String>,
    /// Only this part of all, e.g. `1/4`, so that several machines share them
    #[arg(long, value_name = "N/OF", help_heading = "Which cases")]
    pub shard: Option<Shard>,
    /// Only those that did not pass the last time
    #[arg(long, help_heading = "Which cases")]
    pub rerun_failed: bool,
    /// Print the chosen cases and run none
    #[arg(long, help_heading = "Which cases", conflicts_with = "dry_run")]
    pub list: bool,
    /// Check the chosen cases, print what would be done, and run none
    #[arg(long, help_heading = "Which cases")]
    pub dry_run: bool,

    /// How many at a time [default: as many as task slots are free]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=16), help_heading = "How")]
    pub jobs: Option<u16>,
    /// Run each case so often
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000), help_heading = "How")]
    pub repeat: u16,
    /// Begin no more cases after the first that does not pass
    #[arg(long, help_heading = "How")]
    pub fail_fast: bool,
    /// Leave jobs and topics of a case that does not pass, and tell how to look at them
    #[arg(long, help_heading = "How")]
    pub keep: bool,
    /// Take away what runs with --keep left
    #[arg(long, help_heading = "How", conflicts_with_all = ["paths", "keep"])]
    pub remove_kept: bool,
    /// Stop after this time, e.g. `10m`; what runs then does not pass
    #[arg(long, value_name = "TIME", value_parser = config::parse_duration, help_heading = "How")]
    pub timeout: Option<Duration>,

    /// Write a JUnit report, for CI systems
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Reports")]
    pub junit: Option<PathBuf>,
    /// Write a report as one HTML file: verdicts, timelines, differences, evidence
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Reports")]
    pub report: Option<PathBuf>,
    /// Where logs, events and records of a case that does not pass go [default: beside the cluster's kubeconfig]
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath, help_heading = "Reports")]
    pub evidence: Option<PathBuf>,
}
