//! Reads a test case and everything it names, and checks it as a whole.

mod expect;
mod given;
mod hooks;
mod matrix;
mod program;
mod script;
mod steps;
mod topics;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::case::Case;
use super::decode::decode;
use super::load::format_version;
use super::raw_case::RawCase;
use super::skeleton::{relative, skeleton};
use super::source::{Place, Source};
use super::yaml::{Entry, Node, Yaml, parse};
use crate::diag::{Failure, Reason, Result};
use crate::sql;
use matrix::Variant;
use script::problem_at;

/// Errors that are looked for in the keys of one case.
const MOST_PROBLEMS: usize = 20;
/// How long a case may take if it does not say so.
const WITHIN: Duration = Duration::from_secs(60);

impl Case {
    /// Reads a case, its SQL script and its files of records; the first one of a file that has a matrix.
    ///
    /// # Errors
    /// The first of those of [`Case::read`].
    pub fn load(path: &Path) -> Result<Self> {
        Self::read(path).map_err(first).map(|mut cases| cases.swap_remove(0))
    }

    /// Reads a case, its SQL script and its files of records, and finds all that is wrong with them. With a matrix a
    /// file holds several cases, in their order; there is at least one.
    ///
    /// # Errors
    /// `FILE_UNREADABLE`, `CASE_INVALID`, `VERSION_UNKNOWN`, `RECORD_INVALID` or `SQL_INVALID`, each with the place in
    /// the file that is wrong; at least one.
    pub fn read(path: &Path) -> Result<Vec<Self>, Vec<Failure>> {
        let source = Source::read(path, path).map_err(|failure| vec![failure])?;
        Self::in_its_folder(path, &source)
    }

    /// As [`Case::read`], with another text than that of the file.
    ///
    /// # Errors
    /// Those of [`Case::read`].
    pub fn check(path: &Path, text: &str) -> Result<Vec<Self>, Vec<Failure>> {
        Self::in_its_folder(path, &Source::new(path, text))
    }

    fn in_its_folder(path: &Path, source: &Arc<Source>) -> Result<Vec<Self>, Vec<Failure>> {
        let folder = path.parent().unwrap_or(Path::new(""));
        let read = |name: &str| {
            let file = folder.join(name);
            Source::read(&file, &file)
        };
        Self::from_source(source, &read)
    }

    /// Reads a case that is no file, such as an example within the program. `file` is what it is called in messages;
    /// `files` are those it names, by the names it uses.
    ///
    /// # Errors
    /// Those of [`Case::load`].
    pub fn parse(file: &Path, text: &str, files: &[(&str, &str)]) -> Result<Self> {
        let folder = file.parent().unwrap_or(Path::new(""));
        let read = |name: &str| match files.iter().find(|(known, _)| *known == name) {
            Some((_, text)) => Ok(Source::new(folder.join(name), text)),
            None => Err(Failure::new(
                Reason::FileUnreadable,
                format!("there is no file `{name}`"),
            )),
        };
        let cases = Self::from_source(&Source::new(file, text), &read).map_err(first)?;
        let mut cases = cases.into_iter();
        let none = || Failure::new(Reason::CaseInvalid, "there is no case");
        cases.next().ok_or_else(none)
    }

    /// The text of a first case for a script, to be written to a file in `folder`.
    ///
    /// # Errors
    /// All that is in the way, each at its place in the script; at least one.
    pub fn skeleton(script: &Path, folder: &Path) -> Result<String, Vec<Failure>> {
        let source = Source::read(script, script).map_err(|failure| vec![failure])?;
        skeleton(&source, &relative(folder, script))
    }

    fn from_source(source: &Arc<Source>, read: &Read<'_>) -> Result<Vec<Self>, Vec<Failure>> {
        let one = |failure| vec![failure];
        let tree = parse(source, Reason::CaseInvalid).map_err(one)?;
        format_version(&tree, source, "case", Reason::CaseInvalid).map_err(one)?;
        let mut problems = Vec::new();
        let variants = matrix::variants(&tree, &mut problems);
        let (mut cases, mut used) = (Vec::new(), BTreeSet::new());
        for variant in &variants {
            match Self::of_tree(tree.clone(), variant, &mut used, source, read) {
                Ok(case) => cases.push(case),
                Err(found) => problems.extend(found),
            }
        }
        if problems.is_empty() {
            matrix::unused(&tree, &used, &mut problems);
        }
        if problems.is_empty() {
            return Ok(cases);
        }
        // what is wrong with all variants is told once
        let mut told = BTreeSet::new();
        problems.retain(|problem| told.insert(problem.to_string()));
        Err(problems)
    }

    /// One variant of a case.
    fn of_tree(
        mut tree: Node,
        variant: &Variant,
        used: &mut BTreeSet<String>,
        source: &Arc<Source>,
        read: &Read<'_>,
    ) -> Result<Self, Vec<Failure>> {
        let mut unfilled = Vec::new();
        matrix::fill(&mut tree, variant, used, &mut unfilled);
        if !unfilled.is_empty() {
            return Err(unfilled);
        }
        let (raw, mut problems) = decode_all(&mut tree);
        let Some(raw) = raw else { return Err(problems) };
        // what could not be decoded is not there any more: what is missing because of it is no second error
        let whole = problems.is_empty();
        let vars = variant.spelt();
        let reader = Reader {
            tree: &tree,
            read,
            folder: source.file.parent().unwrap_or(Path::new("")),
            files: RefCell::default(),
            vars: &vars,
        };
        let mut take = |found: Result<()>| problems.extend(found.err());
        let mut name = String::new();
        take(reader.name(raw.name.as_deref(), &source.file).map(|found| name = found));
        let given = reader.given(&raw, &mut problems);
        let expect = reader.expect(&raw, whole, &mut problems);
        let forbid = reader.forbid(&raw, &mut problems);
        let mut scripts = Vec::new();
        let program = reader.program(&raw, &mut scripts);
        let program = program.map_err(|failure| problems.push(failure)).ok();
        let within = raw.within.map_or(WITHIN, |span| span.0);
        let steps = reader.steps(&raw.steps, (&given, within), &mut scripts, &mut problems);
        let job = reader.job(raw.job.as_ref(), whole, &mut problems);
        let setup = reader.hooks("setup", &raw.setup, &mut scripts, &mut problems);
        let teardown = reader.hooks("teardown", &raw.teardown, &mut scripts, &mut problems);
        if let (Some(program), true) = (&program, whole) {
            used.extend(reader.placeholders(program, &scripts, &mut problems));
        }
        let (Some(program), true) = (program, problems.is_empty()) else {
            return Err(problems);
        };
        let files = reader.files.into_inner();
        if !variant.label.is_empty() {
            name = format!("{name}[{}]", variant.label);
        }
        Ok(Self {
            name,
            file: source.file.clone(),
            program,
            given,
            expect,
            forbid,
            steps,
            job,
            needs: raw.needs,
            within,
            tags: raw.tags,
            setup,
            teardown,
            collect: raw.collect,
            skip: raw.skip,
            vars,
            of_matrix: !variant.label.is_empty(),
            files,
        })
    }

    /// What is most likely not meant, but can run: one sentence each, with its place.
    pub fn warnings(&self) -> Vec<Failure> {
        let source = Source::new(self.program.file(), self.program.script());
        let warnings = sql::lint(&source.text).map(|lint| lint.warnings).unwrap_or_default();
        warnings
            .into_iter()
            .map(|problem| problem_at(&source, problem))
            .collect()
    }
}

/// The first of all, with how many there are.
fn first(mut problems: Vec<Failure>) -> Failure {
    let first = problems.swap_remove(0);
    match problems.len() {
        0 => first,
        more => first.evidence(format!("and {more} more in this case")),
    }
}

/// Decodes a case. What cannot be is told and taken out of the tree, so that the rest is looked at, too.
fn decode_all(tree: &mut Node) -> (Option<RawCase>, Vec<Failure>) {
    let mut problems: Vec<Failure> = Vec::new();
    loop {
        match decode::<RawCase>(tree, Reason::CaseInvalid) {
            Ok(raw) => return (Some(raw), problems),
            Err(failure) => {
                let known = problems.iter().any(|p| p.to_string() == failure.to_string());
                let place = failure.detail().location.as_ref().map(|at| (at.line, at.column));
                if !known {
                    problems.push(failure);
                }
                // a part that is missing cannot be taken out
                let taken = place.is_some_and(|place| take_out(tree, place, 0));
                if known || !taken || problems.len() >= MOST_PROBLEMS {
                    return (None, problems);
                }
            }
        }
    }
}

/// Takes the key out of a tree that a place belongs to: one of a topic, else the topic, else one of the case.
fn take_out(node: &mut Node, place: (usize, usize), depth: usize) -> bool {
    let Yaml::Map(entries) = &mut node.value else {
        return false;
    };
    let at = |entry: &Entry| (entry.place.line, entry.place.column);
    let Some(index) = entries.iter().rposition(|entry| at(entry) <= place) else {
        return false;
    };
    let exact = at(&entries[index]) == place;
    if depth < 2 && !exact && take_out(&mut entries[index].node, place, depth + 1) {
        return true;
    }
    entries.remove(index);
    true
}

/// Reads a file by the name that the case uses.
type Read<'a> = dyn Fn(&str) -> Result<Arc<Source>> + 'a;

struct Reader<'a> {
    tree: &'a Node,
    read: &'a Read<'a>,
    /// That of the case; names of files are relative to it.
    folder: &'a Path,
    /// The files that were read.
    files: RefCell<Vec<PathBuf>>,
    /// What `${var.NAME}` in a script stands for.
    vars: &'a BTreeMap<String, String>,
}

impl Reader<'_> {
    fn name(&self, name: Option<&str>, path: &Path) -> Result<String> {
        let Some(name) = name else {
            let stem = path
                .file_stem()
                .map(|stem| stem.to_string_lossy().into_owned())
                .unwrap_or_default();
            return Ok(stem.strip_suffix(".test").unwrap_or(&stem).to_owned());
        };
        if name.trim().is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
            let message = "the name of a case is one line of 1 to 100 characters";
            return Err(self.tree.locate("name").failure(Reason::CaseInvalid, message));
        }
        Ok(name.trim().to_owned())
    }

    /// A file that the case names at `place`; the failure points there, since there it is put right.
    fn read(&self, name: &str, place: &Place) -> Result<Arc<Source>> {
        let found = (self.read)(name).inspect(|source| self.files.borrow_mut().push(source.file.clone()));
        found.map_err(|failure| {
            let detail = failure.detail();
            if detail.location.is_some() {
                return failure;
            }
            let told = place.failure(detail.id, detail.message.clone());
            detail
                .evidence
                .iter()
                .fold(told, Failure::evidence)
                .next("paths are relative to this file")
        })
    }
}
