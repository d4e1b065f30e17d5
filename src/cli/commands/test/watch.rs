//! `dev test --watch`: cases whose files changed are run again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::args::TestArgs;
use super::projects;
use crate::cli::session::Session;
use crate::config::Case;
use crate::diag::{Failure, Result};
use crate::e2e::{self, RunOptions, Selection, Summary, Target};
use crate::event::EventSink;
use crate::watch::{Watched, Watcher};

/// What is followed.
pub(super) struct Follow<'a> {
    pub(super) session: &'a Session,
    pub(super) args: &'a TestArgs,
    pub(super) selection: Selection,
    pub(super) target: Target,
    pub(super) events: &'a EventSink,
}

/// What a case was made of, by its file and its name.
type Known = BTreeMap<(PathBuf, String), [u8; 32]>;

impl Follow<'_> {
    /// Runs all cases, then those that change, until the user ends it; each round's summary goes to `ran`.
    pub(super) async fn run(
        &self,
        cases: Vec<Case>,
        options: &RunOptions,
        mut ran: impl FnMut(&Summary) -> Result<()>,
    ) -> Result<()> {
        let cancel = &self.session.cancel;
        let (mut known, mut files) = (prints(&cases), files(&cases));
        let mut watcher = Watcher::new(self.watched(&files)).await;
        let (mut next, mut since) = (cases, None);
        while !cancel.is_cancelled() {
            let begun: Vec<_> = next.iter().map(id).collect();
            match self.round(next, options, &mut watcher, since).await {
                Some(summary) => {
                    ran(&summary)?;
                    tokio::select! {
                        () = cancel.cancelled() => break,
                        () = watcher.changed() => {}
                    }
                }
                // they did not come to their end, whatever changed
                None => begun.iter().for_each(|id| {
                    known.remove(id);
                }),
            }
            loop {
                since = newest(&files);
                next = match self.read() {
                    Ok(cases) => {
                        files = self::files(&cases);
                        watcher = Watcher::new(self.watched(&files)).await;
                        // looked at behind the watcher's first look: a change in between is not missed
                        let now = prints(&cases);
                        let changed = |case: &Case| now.get(&id(case)) != known.get(&id(case));
                        let mut changed: Vec<Case> = cases.into_iter().filter(changed).collect();
                        known = now;
                        match self.build(&mut changed).await {
                            Ok(()) => changed,
                            Err(failure) => {
                                self.events.note(failure.as_note(0));
                                Vec::new()
                            }
                        }
                    }
                    Err(problems) => {
                        problems.iter().for_each(|problem| self.events.note(problem.as_note(0)));
                        Vec::new()
                    }
                };
                if !next.is_empty() || cancel.is_cancelled() {
                    break;
                }
                tokio::select! {
                    () = cancel.cancelled() => break,
                    () = watcher.changed() => {}
                }
            }
        }
        Ok(())
    }

    /// Runs cases to their end, or until the files change again: then what they made is removed, and there is no summary.
    async fn round(
        &self,
        cases: Vec<Case>,
        options: &RunOptions,
        watcher: &mut Watcher,
        since: Option<SystemTime>,
    ) -> Option<Summary> {
        let (stop, start) = (CancellationToken::new(), Instant::now());
        let run = e2e::run_cases(cases, self.target.clone(), options, self.events.clone(), stop.clone());
        let mut run = std::pin::pin!(run);
        let summary = tokio::select! {
            summary = &mut run => summary,
            () = self.session.cancel.cancelled() => {
                stop.cancel();
                run.await
            }
            () = watcher.changed() => {
                self.events.note("the files changed again: from the beginning".to_owned());
                stop.cancel();
                run.await;
                return None;
            }
        };
        let edited = since.and_then(|since| since.elapsed().ok());
        let took = match edited {
            Some(edited) => format!("{:.1} s after the change", edited.as_secs_f64()),
            None => format!("{:.1} s", start.elapsed().as_secs_f64()),
        };
        self.events
            .note(format!("{summary}: {took}; watching (Ctrl-C ends it)"));
        Some(summary)
    }

    async fn build(&self, cases: &mut [Case]) -> Result<()> {
        match &self.target.engine {
            Some(engine) => projects::build(self.session, engine, cases, self.events).await,
            None => Ok(()),
        }
    }

    fn read(&self) -> Result<Vec<Case>, Vec<Failure>> {
        let files = super::files(self.session, self.args, None).map_err(|failure| vec![failure])?;
        let mut cases = self.selection.choose(super::read(&files)?);
        projects::add_sources(&mut cases);
        Ok(cases)
    }

    /// The files of the cases, and the folders where new ones may come.
    fn watched(&self, files: &BTreeSet<PathBuf>) -> Watched {
        let asked = self.args.paths.iter().map(|path| self.session.env.absolute(path));
        Watched {
            files: files.iter().cloned().collect(),
            folders: asked.filter(|path| path.is_dir()).collect(),
        }
    }
}

fn id(case: &Case) -> (PathBuf, String) {
    (case.file.clone(), case.name.clone())
}

/// All files that cases are read from.
fn files(cases: &[Case]) -> BTreeSet<PathBuf> {
    cases
        .iter()
        .flat_map(|case| std::iter::once(&case.file).chain(&case.files))
        .cloned()
        .collect()
}

/// What each case is made of: the content of its files.
fn prints(cases: &[Case]) -> Known {
    let mut contents: BTreeMap<&Path, Vec<u8>> = BTreeMap::new();
    let mut known = Known::new();
    for case in cases {
        let mut hash = Sha256::new();
        for file in std::iter::once(&case.file).chain(&case.files) {
            // what cannot be read now is another content than any
            let content = contents
                .entry(file)
                .or_insert_with(|| fs_err::read(file).unwrap_or_default());
            hash.update((content.len() as u64).to_le_bytes());
            hash.update(&*content);
        }
        known.insert(id(case), hash.finalize().into());
    }
    known
}

/// When the last of the files was written.
fn newest(files: &BTreeSet<PathBuf>) -> Option<SystemTime> {
    files
        .iter()
        .filter_map(|file| fs_err::metadata(file).ok()?.modified().ok())
        .max()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(file: &Path, name: &str, files: &[&Path]) -> Case {
        Case {
            name: name.to_owned(),
            file: file.to_owned(),
            files: files.iter().map(|file| file.to_path_buf()).collect(),
            ..Case::default()
        }
    }

    #[test]
    fn a_case_is_another_one_when_one_of_its_files_changes() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, name).unwrap();
            path
        };
        let (a, b, sql) = (file("a"), file("b"), file("sql"));
        let cases = [case(&a, "a", &[&sql]), case(&b, "b[n=1]", &[]), case(&b, "b[n=2]", &[])];
        let before = prints(&cases);
        assert_eq!(files(&cases).len(), 3);
        std::fs::write(&sql, "other").unwrap();
        let after = prints(&cases);
        let changed: Vec<_> = after
            .iter()
            .filter(|(id, print)| before.get(id) != Some(print))
            .map(|(id, _)| &id.1)
            .collect();
        assert_eq!(changed, ["a"]);
        assert!(newest(&files(&cases)).is_some());
    }
}
