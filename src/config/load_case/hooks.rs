//! `setup` and `teardown`.

use std::sync::Arc;

use super::Reader;
use crate::config::hook::{Hook, HookAction, RawHook, WITHIN};
use crate::config::source::Source;
use crate::config::yaml::Node;
use crate::diag::{Failure, Reason, Result};

impl Reader<'_> {
    /// The steps of `setup` or `teardown`; the scripts that they run go to `scripts`.
    pub(super) fn hooks(
        &self,
        part: &str,
        raw: &[RawHook],
        scripts: &mut Vec<Arc<Source>>,
        problems: &mut Vec<Failure>,
    ) -> Vec<Hook> {
        let nodes = self.tree.get(part).map(Node::items).unwrap_or_default();
        let mut all = Vec::new();
        for (node, raw) in nodes.iter().zip(raw) {
            match self.hook_action(part, node, raw, scripts) {
                Ok(action) => all.push(Hook {
                    action,
                    within: raw.within.map_or(WITHIN, |span| span.0),
                    line: node.place.line,
                }),
                Err(failure) => problems.push(failure),
            }
        }
        all
    }

    fn hook_action(
        &self,
        part: &str,
        node: &Node,
        raw: &RawHook,
        scripts: &mut Vec<Arc<Source>>,
    ) -> Result<HookAction> {
        let wrong = |message: String| Err(node.place.failure(Reason::CaseInvalid, message));
        match (&raw.run, &raw.sql) {
            (Some(run), None) if run.trim().is_empty() => wrong("the command is empty".to_owned()),
            (Some(run), None) => Ok(HookAction::Run(run.clone())),
            (None, Some(name)) => {
                let source = self.script(name, node.locate("sql"))?;
                let action = HookAction::Sql {
                    text: source.text.clone(),
                    file: source.file.clone(),
                };
                scripts.push(source);
                Ok(action)
            }
            (Some(_), Some(_)) => wrong(format!("a step of `{part}` has either `run` or `sql`, not both")),
            (None, None) => wrong(format!("a step of `{part}` needs `run: COMMAND` or `sql: FILE`")),
        }
    }
}
