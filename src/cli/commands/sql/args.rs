//! The arguments of `dev sql`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};

use super::super::job::args::Where;
use crate::cli::values::{duration, setting};

/// `dev sql`.
#[derive(Debug, Args)]
pub struct SqlArgs {
    /// Scripts to be carried out, statement by statement
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,
    /// A statement, or several with semicolons
    #[arg(short, long, value_name = "STATEMENT")]
    pub execute: Vec<String>,
    /// A script whose tables and views are offered, too; nothing that it inserts is carried out
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub tables: Vec<PathBuf>,
    /// A value for ${NAME} in scripts and statements
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    pub var: Vec<(String, String)>,
    /// Queries are streams: they take what comes, until --within is over, and rows may be taken back
    #[arg(long)]
    pub streaming: bool,
    /// At most so many rows of each result
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = rows)]
    pub rows: usize,
    /// How long each statement may take
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    pub within: Duration,
    /// How long the session's pod may take
    #[arg(long, value_name = "DURATION", default_value = "90s", value_parser = duration, hide = true)]
    pub start_within: Duration,
    #[command(flatten)]
    /// The environment.
    pub place: Where,
}

fn rows(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(rows @ 1..=1_000_000) => Ok(rows),
        _ => Err("a number from 1 to 1000000".to_owned()),
    }
}
