//! `dev test init`: a first case for a script.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueHint};
use serde_json::json;

use crate::cli::session::Session;
use crate::config::{CASE_SUFFIX, Case};
use crate::diag::{Failure, Reason, Result};

/// What `dev test init` takes.
#[derive(Debug, Clone, Args)]
pub struct InitArgs {
    /// The SQL script that the case is for
    #[arg(value_name = "FILE.sql", value_hint = ValueHint::FilePath)]
    pub script: PathBuf,
    /// The case's file [default: beside the script, NAME.test.yaml]
    #[arg(value_name = "CASE", value_hint = ValueHint::FilePath)]
    pub case: Option<PathBuf>,
}

/// Writes the case, and reads it again.
pub(super) fn run(session: &Session, args: &InitArgs) -> Result<ExitCode> {
    let script = session.env.absolute(&args.script);
    let case = match &args.case {
        Some(case) => session.env.absolute(case),
        None => script.with_file_name(format!("{}{CASE_SUFFIX}", stem(&script))),
    };
    let shown = case.strip_prefix(&session.env.cwd).unwrap_or(&case).to_owned();
    if !case.to_string_lossy().ends_with(CASE_SUFFIX) {
        let message = format!("`{}` is no name of a case: it ends in `{CASE_SUFFIX}`", shown.display());
        return Err(Failure::new(Reason::Usage, message));
    }
    if case.exists() {
        let message = format!("there is a file `{}` already", shown.display());
        let failure = Failure::new(Reason::Usage, message);
        return Err(failure.next(format!("dev test init {} OTHER{CASE_SUFFIX}", args.script.display())));
    }
    let folder = case.parent().unwrap_or(Path::new(""));
    let text = match Case::skeleton(&script, folder) {
        Ok(text) => text,
        Err(problems) => return Ok(super::tell_all(session, &problems)),
    };
    // never over a file that somebody made meanwhile
    let mut options = std::fs::OpenOptions::new();
    let written = options.write(true).create_new(true).open(&case).and_then(|mut file| {
        use std::io::Write as _;
        file.write_all(text.as_bytes())
    });
    written.map_err(|error| {
        Failure::new(
            Reason::FileUnreadable,
            format!("`{}` cannot be written", shown.display()),
        )
        .cause(&error)
    })?;
    if let Err(problems) = Case::read(&case) {
        let failure = Failure::new(Reason::Internal, "the case that was written is not valid");
        return Err(problems
            .iter()
            .fold(failure, |failure, problem| failure.evidence(problem.to_string())));
    }
    let text = format!("{}\n  then: dev test {}", shown.display(), shown.display());
    session.result(&text, &json!({"v": 1, "file": case, "sql": script}));
    Ok(ExitCode::SUCCESS)
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
