//! The plan of images while it is made.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{Facts, presence};
use crate::diag::{Failure, Reason, Result};
use crate::image::decide::{Action, decide};

/// One image of the plan.
#[derive(Debug, Clone, Serialize)]
pub struct PlannedImage {
    /// Its name, or of a group that is made together.
    pub name: String,
    /// What is done.
    pub action: Action,
    /// Why.
    pub why: String,
    /// Folder and target of its `Dockerfile`, for what is built.
    pub dockerfile: String,
    /// Whether pods run it: it goes into the node.
    pub for_node: bool,
    pub(super) short: String,
    pub(super) needs: Vec<String>,
}

impl PlannedImage {
    /// Id of its step, e.g. `image/kafka`.
    pub fn step_id(&self) -> String {
        format!("image/{}", self.short)
    }

    /// Title of its step, e.g. `build apache/kafka:4.1.1`.
    pub fn title(&self) -> String {
        match self.action {
            Action::Keep => format!("keep {}", self.name),
            Action::Pull => format!("pull {}", self.name),
            Action::Build => format!("build {}", self.name),
        }
    }

    /// Ids of the image steps that come before; some may not be in the plan, as they have nothing to do.
    pub fn step_needs(&self) -> Vec<String> {
        self.needs.iter().map(|short| format!("image/{short}")).collect()
    }
}

/// The plan while it is made: an image comes after those it needs.
pub(super) struct Plan<'a> {
    pub(super) facts: &'a Facts<'a>,
    pub(super) images: Vec<PlannedImage>,
    pub(super) done: BTreeSet<String>,
}

impl Plan<'_> {
    /// Adds an image, and first those that it is made from.
    ///
    /// # Errors
    /// What [`decide`] says of it.
    pub(super) fn add(&mut self, name: &str) -> Result<()> {
        let Facts {
            recipes,
            seen,
            answers,
            profile,
            ..
        } = self.facts;
        let Some(recipe) = recipes.get(name) else {
            return Err(Failure::new(Reason::Internal, format!("no recipe for {name}")));
        };
        if !self.done.insert(name.to_owned()) {
            return Ok(());
        }
        let presence = presence(seen.get(name), recipe, recipes);
        let (action, why) = decide(recipe, profile.images.source, presence, answers.get(name))?;
        let mut needs = Vec::new();
        if action == Action::Build {
            for from in &recipe.from {
                self.add(from)?;
                needs.extend(recipes.get(from).map(|from| from.short.clone()));
            }
        }
        let target = if recipe.target.is_empty() {
            String::new()
        } else {
            format!(" ({})", recipe.target)
        };
        self.images.push(PlannedImage {
            name: name.to_owned(),
            action,
            why,
            dockerfile: format!("{}{target}", recipe.dockerfile()),
            for_node: matches!(
                recipe.short.as_str(),
                "operator" | "kafka" | "schema-registry" | "session" | "pyflink" | "session-registry"
            ),
            short: recipe.short.clone(),
            needs,
        });
        Ok(())
    }
}
