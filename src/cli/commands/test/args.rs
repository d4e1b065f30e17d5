//! The arguments of `dev test`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueHint};

use super::init::InitArgs;
use super::update::Update;
use crate::config;
use crate::e2e::Shard;

/// What else `dev test` does. A folder of such a name is `./NAME`.
#[derive(Debug, Clone, Subcommand)]
pub enum TestCommand {
    /// Write a first case for a SQL script: its topics, with records that suit the columns
    #[command(
        after_help = "Nothing is started, and no file is written over. The records only suit the columns: put in what counts.\n\nExamples:\n  dev test init jobs/orders.sql\n  dev test init jobs/orders.sql tests/orders-twice.test.yaml"
    )]
    Init(InitArgs),
}

/// What `dev test` runs, and how.
#[derive(Debug, Clone, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct TestArgs {
    /// What else.
    #[command(subcommand)]
    pub command: Option<TestCommand>,
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
    /// Write what came out into the cases that fail, comments and all else left as they are; `all`: also where a
    /// pattern or `repeat` is lost by it
    #[arg(long, value_name = "WHAT", num_args = 0..=1, require_equals = true, default_missing_value = "records", hide_possible_values = true, conflicts_with_all = ["watch", "repeat", "list", "dry_run"], help_heading = "How")]
    pub update: Option<Update>,
    /// Go on: run each case again whose files change, until Ctrl-C
    #[arg(long, conflicts_with_all = ["list", "dry_run", "keep", "rerun_failed", "fail_fast"], help_heading = "How")]
    pub watch: bool,
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
