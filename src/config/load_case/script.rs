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
    pub(super) fn script(&self, name: &str) -> Result<Arc<Source>> {
        let source = self.read(name, self.tree.locate("sql"))?;
        sql::lint(&source.text).map_err(|problem| problem_at(&source, problem))?;
        Ok(source)
    }

    /// Checks that the script names the topics of the case, and no other; tells which values it uses.
    pub(super) fn placeholders(&self, source: &Arc<Source>, problems: &mut Vec<Failure>) -> BTreeSet<String> {
        let topics: Vec<&Entry> = ["given", "expect", "forbid"]
            .iter()
            .filter_map(|part| self.tree.get(part))
            .flat_map(Node::entries)
            .collect();
        let mut known: Vec<String> = topics.iter().map(|entry| format!("topic.{}", entry.key)).collect();
        known.push("kafka.bootstrap".to_owned());
        known.extend(self.vars.keys().map(|name| format!("var.{name}")));
        known.dedup();
        let found = sql::placeholders(&source.text);
        for placeholder in &found {
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
                    .any(|placeholder| placeholder.name.strip_prefix("topic.") == Some(&entry.key))
            {
                let message = format!("the script does not use the topic `{}`", entry.key);
                let next = format!(
                    "write '${{topic.{}}}' where {} names the topic: each case has topics of its own",
                    entry.key,
                    source.file.display()
                );
                problems.push(entry.place.failure(Reason::CaseInvalid, message).next(next));
            }
        }
        let vars = found
            .iter()
            .filter_map(|placeholder| placeholder.name.strip_prefix("var."));
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
