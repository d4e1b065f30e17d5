//! SQL and Python files of an image.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::container::Engine;
use crate::diag::{Failure, Reason, Result};
use crate::image::app::{Base, File, Source};
use crate::sql::{lint, placeholders};

/// Where interpreters lie.
const PYTHONS: [&str; 4] = [
    "/usr/bin/python3",
    "/usr/local/bin/python3",
    "/usr/bin/python",
    "/usr/local/bin/python",
];

/// SQL scripts that can run as session jobs.
///
/// # Errors
/// [`Reason::SqlInvalid`] at the place of what cannot run; [`Reason::FileUnreadable`]; [`Reason::Usage`] for two files
/// of one name.
pub(super) fn sql(files: &[PathBuf], cwd: &Path) -> Result<Vec<File>> {
    read(files, "sql", cwd, |text, shown| {
        lint(text).map_err(|problem| {
            let failure = Failure::new(Reason::SqlInvalid, problem.message).at(
                shown,
                problem.position.line,
                problem.position.column,
            );
            problem.next.into_iter().fold(failure, Failure::next)
        })?;
        // a cluster's address and a case's topics are nothing that an image can know
        let unknown = placeholders(text)
            .into_iter()
            .find(|p| p.name.starts_with("topic.") || p.name.starts_with("kafka."));
        match unknown {
            Some(p) => Err(Failure::new(
                Reason::SqlInvalid,
                format!(
                    "`${{{}}}` is put in by `dev test` and `dev watch`; in an image it would stay as it is",
                    p.name
                ),
            )
            .at(shown, p.position.line, p.position.column)
            .next("write the topic and the address of the broker out")),
            None => Ok(()),
        }
    })
}

/// Python files; what they say is not looked at.
///
/// # Errors
/// [`Reason::FileUnreadable`]; [`Reason::Usage`] for two files of one name.
pub(super) fn python(files: &[PathBuf], cwd: &Path) -> Result<Vec<File>> {
    read(files, "python", cwd, |_, _| Ok(()))
}

fn read(files: &[PathBuf], folder: &str, cwd: &Path, check: impl Fn(&str, &Path) -> Result<()>) -> Result<Vec<File>> {
    let mut seen: BTreeMap<String, &Path> = BTreeMap::new();
    let mut found = Vec::new();
    for path in files {
        let shown = path.strip_prefix(cwd).unwrap_or(path);
        let text = fs_err::read_to_string(path).map_err(|e| {
            Failure::new(Reason::FileUnreadable, "a script cannot be read")
                .at(shown, 0, 0)
                .cause(&e)
        })?;
        check(&text, shown)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(other) = seen.insert(name.clone(), shown) {
            return Err(Failure::new(Reason::Usage, format!("two scripts are called {name}"))
                .evidence(format!("{}\n{}", other.display(), shown.display()))
                .next("give one of them another name"));
        }
        found.push(File {
            target: format!("/opt/flink/usrlib/{folder}/{name}"),
            // what was checked is what goes in
            source: Source::Bytes(text.into_bytes().into()),
            mode: 0o644,
        });
    }
    Ok(found)
}

/// Refuses a base in which no Python file can run.
///
/// # Errors
/// [`Reason::ImageUnavailable`]; what the engine answers.
pub(super) async fn needs_python(engine: &Engine, base: &Base) -> Result<()> {
    let paths = PYTHONS.map(str::to_owned);
    let found = engine.entries_of_image(&base.id, &paths).await?;
    if found.iter().any(Option::is_some) {
        return Ok(());
    }
    Err(Failure::new(
        Reason::ImageUnavailable,
        format!("{} has no Python: a Python file cannot run on it", base.name),
    )
    .evidence(format!("looked for {}", PYTHONS.join(", ")))
    .next("--base with an image that has Python and the package apache-flink")
    .next("`session: {python: true}` in the profile, then `dev up`: it makes such an image, which is the base from then on"))
}
