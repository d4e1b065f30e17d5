//! The script of a case, and what it names.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Reader;
use crate::config::addresses::REGISTRY_URL;
use crate::config::program::CaseProgram;
use crate::config::source::{Place, Source};
use crate::config::words::{listed, nearest};
use crate::config::yaml::{Entry, Node};
use crate::diag::{Failure, Reason, Result};
use crate::sql;

impl Reader<'_> {
    /// Reads a script that the case names at `place`.
    pub(super) fn script(&self, name: &str, place: &Place) -> Result<Arc<Source>> {
        let source = self.read(name, place)?;
        sql::lint(&source.text).map_err(|problem| problem_at(&source, problem))?;
        Ok(source)
    }

    /// Checks that the scripts and what a program is given name no topic but those of the case, and each of them at least
    /// once; tells which values scripts use.
    pub(super) fn placeholders(
        &self,
        program: &CaseProgram,
        scripts: &[Arc<Source>],
        problems: &mut Vec<Failure>,
    ) -> BTreeSet<String> {
        let mut topics: Vec<&Entry> = ["given", "expect", "forbid"]
            .iter()
            .filter_map(|part| self.tree.get(part))
            .flat_map(Node::entries)
            .collect();
        let steps = self.tree.get("steps").map(Node::items).unwrap_or_default();
        topics.extend(steps.iter().filter_map(|step| step.get("feed")).flat_map(Node::entries));
        let mut known: Vec<String> = topics.iter().map(|entry| format!("topic.{}", entry.key)).collect();
        known.push("kafka.bootstrap".to_owned());
        known.push(REGISTRY_URL.to_owned());
        known.extend(self.vars.keys().map(|name| format!("var.{name}")));
        known.dedup();
        let found: Vec<_> = scripts
            .iter()
            .flat_map(|source| {
                sql::placeholders(&source.text)
                    .into_iter()
                    .map(move |one| (source, one))
            })
            .collect();
        let is_known = |name: &str| known.iter().any(|known| known == name);
        let unknown = |place: &Place, reason, name: &str| {
            let words = || known.iter().map(String::as_str);
            let hint = nearest(name, words());
            let hint = hint
                .map(|name| format!(", did you mean `${{{name}}}`?"))
                .unwrap_or_default();
            let failure = place.failure(reason, format!("unknown name `${{{name}}}`{hint}"));
            failure.next(format!("known in this case: {}", listed(words())))
        };
        for (source, placeholder) in &found {
            // the SQL runner puts in what has a default: the environment of the cluster's pods may have it
            if placeholder.has_default() || is_known(placeholder.name) {
                continue;
            }
            let width = placeholder.name.chars().count() + 3;
            let place = Place::new(source, placeholder.position.line, placeholder.position.column, width);
            problems.push(unknown(&place, Reason::SqlInvalid, placeholder.name));
        }
        let given = self.names_in_args();
        for (place, name) in given.iter().filter(|(_, name)| !is_known(name)) {
            problems.push(unknown(place, Reason::CaseInvalid, name));
        }
        let names = found.iter().map(|(_, placeholder)| placeholder.name);
        let named: BTreeSet<&str> = names
            .chain(given.iter().map(|(_, name)| *name))
            .filter_map(|name| name.strip_prefix("topic."))
            .collect();
        let (who, place) = match program {
            CaseProgram::Sql { file, .. } => ("script", format!("where {} names the topic", file.display())),
            CaseProgram::Jar { .. } | CaseProgram::Python { .. } => ("program", "in `args`".to_owned()),
        };
        let mut told = BTreeSet::new();
        for entry in topics {
            if told.insert(&entry.key) && !named.contains(entry.key.as_str()) {
                let message = format!("the {who} does not use the topic `{}`", entry.key);
                let next = format!(
                    "write '${{topic.{}}}' {place}: each case has topics of its own",
                    entry.key
                );
                problems.push(entry.place.failure(Reason::CaseInvalid, message).next(next));
            }
        }
        let vars = found
            .iter()
            .filter_map(|(_, placeholder)| placeholder.name.strip_prefix("var."));
        vars.map(str::to_owned).collect()
    }
}

pub(super) fn problem_at(source: &Arc<Source>, problem: sql::Problem) -> Failure {
    let place = Place::new(source, problem.position.line, problem.position.column, problem.width);
    let failure = place.failure(Reason::SqlInvalid, problem.message);
    match problem.next {
        Some(next) => failure.next(next),
        None => failure,
    }
}
