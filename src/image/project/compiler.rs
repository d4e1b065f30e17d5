//! Errors of compilers in the output of a build tool: pure.

use std::path::{Path, PathBuf};

use crate::diag::{Failure, Reason};
use crate::image::maven;
use crate::process::tail;

/// Errors that are shown beside the first.
const SHOWN: usize = 9;

/// One error of a compiler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Error {
    pub(super) file: PathBuf,
    pub(super) line: usize,
    /// 0 if only the line is known.
    pub(super) column: usize,
    pub(super) message: String,
}

/// The failure of a build: at its first compiler error, with the others as evidence; without any, what the tool says.
/// Files are told relative to where the user is.
pub(super) fn failure(project: &Path, tool: &str, output: &str, cwd: &Path) -> Failure {
    let shown = project.strip_prefix(cwd).unwrap_or(project);
    let shown = if shown.as_os_str().is_empty() {
        Path::new(".")
    } else {
        shown
    };
    let errors = errors(output);
    let Some(first) = errors.first() else {
        let said = maven::errors(output);
        let said = if said.is_empty() {
            tail(output, 20)
        } else {
            said.into_iter().take(12).collect::<Vec<_>>().join("\n")
        };
        return Failure::new(
            Reason::ProjectBuildFailed,
            format!("{} does not build with {tool}", shown.display()),
        )
        .evidence(said);
    };
    let near = |file: &Path| file.strip_prefix(cwd).unwrap_or(file).to_owned();
    let others = errors.iter().skip(1).take(SHOWN).map(|e| match e.column {
        0 => format!("{}:{}: {}", near(&e.file).display(), e.line, e.message),
        column => format!("{}:{}:{column}: {}", near(&e.file).display(), e.line, e.message),
    });
    let mut failure = Failure::new(
        Reason::ProjectBuildFailed,
        format!("{} does not build: {}", shown.display(), first.message),
    )
    .at(near(&first.file), first.line, first.column)
    .evidence(others.collect::<Vec<_>>().join("\n"));
    if errors.len() > SHOWN + 1 {
        failure = failure.evidence(format!("{} more", errors.len() - SHOWN - 1));
    }
    failure.next(format!("correct {}", near(&first.file).display()))
}

/// The errors of an output, each once, in its order.
pub(super) fn errors(output: &str) -> Vec<Error> {
    let mut found: Vec<Error> = Vec::new();
    let mut last_is_new = false;
    for line in output.lines() {
        let line = line.trim();
        // javac tells what it did not find on a line of its own
        let symbol = line
            .strip_prefix("[ERROR]")
            .unwrap_or(line)
            .trim_start()
            .strip_prefix("symbol:");
        if let Some(symbol) = symbol {
            if let Some(error) = found.last_mut().filter(|_| last_is_new) {
                let symbol: Vec<&str> = symbol.split_whitespace().collect();
                error.message = format!("{}: {}", error.message, symbol.join(" "));
            }
            last_is_new = false;
        } else if let Some(error) = error(line) {
            let known = found.iter().any(|f| {
                (&f.file, f.line, f.column) == (&error.file, error.line, error.column)
                    && f.message.starts_with(&error.message)
            });
            last_is_new = !known;
            if !known {
                found.push(error);
            }
        }
    }
    found
}

/// javac by Maven (`[ERROR] F:[L,C] M`), Kotlin by Maven (`[ERROR] F: (L, C) M`), Kotlin by Gradle (`e: file://F:L:C M`),
/// javac and scalac as they are (`F:L: error: M`).
fn error(line: &str) -> Option<Error> {
    if let Some(rest) = line.strip_prefix("e: ") {
        let rest = rest.strip_prefix("file://").unwrap_or(rest);
        let (file, rest) = source(rest, ":")?;
        let (line, rest) = rest.split_once(':')?;
        let (column, message) = rest.split_once(' ')?;
        return made(file, line, column.trim_end_matches(':'), message);
    }
    let marked = line.strip_prefix("[ERROR] ");
    let text = marked.unwrap_or(line);
    if marked.is_some() {
        if let Some((file, rest)) = source(text, ":[") {
            let (place, message) = rest.split_once(']')?;
            let (line, column) = place.split_once(',')?;
            return made(file, line, column, message);
        }
        if let Some((file, rest)) = source(text, ": (") {
            let (place, message) = rest.split_once(')')?;
            let (line, column) = place.split_once(',')?;
            return made(file, line, column, message);
        }
    }
    let (file, rest) = source(text, ":")?;
    let (line, message) = rest.split_once(':')?;
    let message = message.trim().strip_prefix("error:")?;
    made(file, line, "0", message)
}

/// Splits after a source file's name.
fn source<'a>(text: &'a str, separator: &str) -> Option<(&'a str, &'a str)> {
    ["java", "kt", "scala", "groovy"].iter().find_map(|ending| {
        let mark = format!(".{ending}{separator}");
        let at = text.find(&mark)?;
        Some((&text[..=at + ending.len()], &text[at + mark.len()..]))
    })
}

fn made(file: &str, line: &str, column: &str, message: &str) -> Option<Error> {
    Some(Error {
        file: PathBuf::from(file.trim()),
        line: line.trim().parse().ok()?,
        column: column.trim().parse().ok()?,
        message: message.trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_all_compilers_have_their_place() {
        let output = "\
[INFO] x
[ERROR] COMPILATION ERROR :
[ERROR] /w/p/src/main/java/a/Job.java:[12,34] cannot find symbol
  symbol:   class Foo
[ERROR] /w/p/src/main/java/a/Job.java:[12,34] cannot find symbol
[ERROR] /w/p/src/main/kotlin/a/Job.kt: (3, 5) Unresolved reference: x
e: file:///w/p/src/main/kotlin/B.kt:7:9 Unresolved reference 'y'.
/w/p/src/main/java/C.java:4: error: ';' expected
[ERROR] /w/p/src/main/scala/D.scala:9: error: not found: value z
[ERROR] Failed to execute goal
warning: /w/p/src/main/java/C.java:5: warning: old
";
        let found: Vec<_> = errors(output)
            .into_iter()
            .map(|e| {
                (
                    e.file.file_name().unwrap().to_string_lossy().into_owned(),
                    e.line,
                    e.column,
                    e.message,
                )
            })
            .collect();
        let expected = [
            ("Job.java", 12, 34, "cannot find symbol: class Foo"),
            ("Job.kt", 3, 5, "Unresolved reference: x"),
            ("B.kt", 7, 9, "Unresolved reference 'y'."),
            ("C.java", 4, 0, "';' expected"),
            ("D.scala", 9, 0, "not found: value z"),
        ];
        assert_eq!(found, expected.map(|(f, l, c, m)| (f.to_owned(), l, c, m.to_owned())));
    }

    #[test]
    fn the_failure_is_at_the_first_error() {
        let output = "[ERROR] /w/p/A.java:[1,2] one\n[ERROR] /w/p/B.java:[3,4] two\n";
        let told = failure(Path::new("/w/p"), "mvn", output, Path::new("/w"));
        assert_eq!(told.to_string(), "p/A.java:1:2: p does not build: one");
        assert_eq!(told.detail().evidence, ["p/B.java:3:4: two"]);
        let told = failure(
            Path::new("/w"),
            "mvn",
            "[ERROR] no such plugin -> [Help 1]\n",
            Path::new("/w"),
        );
        assert_eq!(told.to_string(), ". does not build with mvn");
        assert_eq!(told.detail().evidence, ["no such plugin"]);
    }
}
