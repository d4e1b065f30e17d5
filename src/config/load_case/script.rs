//! The script of a case, and what it names.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Reader;
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

    /// Checks that the scripts name no topic but those of the case, and each of them at least once; tells which values they
    /// use.
    pub(super) fn placeholders(&self, scripts: &[Arc<Source>], problems: &mut Vec<Failure>) -> BTreeSet<String> {
        let mut topics: Vec<&Entry> = ["given", "expect", "forbid"]
            .iter()
            .filter_map(|part| self.tree.get(part))
            .flat_map(Node::entries)
            .collect();
        let steps = self.tree.get("steps").map(Node::items).unwrap_or_default();
        topics.extend(steps.iter().filter_map(|step| step.get("feed")).flat_map(Node::entries));
        let mut known: Vec<String> = topics.iter().map(|entry| format!("topic.{}", entry.key)).collect();
        known.push("kafka.bootstrap".to_owned());
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
        for (source, placeholder) in &found {
            // the SQL runner puts in what has a default: the environment of the cluster's pods may have it
            if placeholder.has_default() || known.iter().any(|name| name == placeholder.name) {
                continue;
            }
            let words = || known.iter().map(String::as_str);
            let hint = nearest(placeholder.name, words());
            let hint = hint
                .map(|name| format!(", did you mean `${{{name}}}`?"))
                .unwrap_or_default();
            let width = placeholder.name.chars().count() + 3;
            problems.push(
                Place::new(source, placeholder.position.line, placeholder.position.column, width)
                    .failure(
                        Reason::SqlInvalid,
                        format!("unknown name `${{{}}}`{hint}", placeholder.name),
                    )
                    .next(format!("known in this case: {}", listed(words()))),
            );
        }
        let mut told = BTreeSet::new();
        for entry in topics {
            if told.insert(&entry.key)
                && !found
                    .iter()
                    .any(|(_, placeholder)| placeholder.name.strip_prefix("topic.") == Some(&entry.key))
            {
                let message = format!("the script does not use the topic `{}`", entry.key);
                let file = scripts.first().map(|source| source.file.display().to_string());
                let next = format!(
                    "write '${{topic.{}}}' where {} names the topic: each case has topics of its own",
                    entry.key,
                    file.unwrap_or_default()
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
