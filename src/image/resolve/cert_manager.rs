//! Which cert-manager: what is there, else the newest that a registry has, else what packages have.

use super::planned::{Plan, PlannedImage};
use super::{CERT_MANAGER_GROUP, Facts, Seen, presence, probe};
use crate::config::{ImageSource, Profile};
use crate::container::RegistryAnswer;
use crate::diag::{Failure, Reason, Result};
use crate::image::decide::{Action, CERT_MANAGER_NEWEST, CERT_MANAGER_PACKAGED, Presence, decide};
use crate::image::manifests;
use crate::image::recipe::{TRIXIE, manifests_name};

/// The versions of cert-manager that come into question, most wanted first; none if the profile is without it.
pub(super) fn candidates(profile: &Profile) -> Vec<&str> {
    let named = profile.cert_manager.version.as_str();
    match (profile.cert_manager.enabled, profile.images.source) {
        (false, _) => Vec::new(),
        _ if !named.is_empty() => vec![named],
        (true, ImageSource::Registry) => vec![CERT_MANAGER_NEWEST],
        (true, ImageSource::Packages) => vec![CERT_MANAGER_PACKAGED],
        (true, ImageSource::Auto) => vec![CERT_MANAGER_NEWEST, CERT_MANAGER_PACKAGED],
    }
}

/// What was decided of cert-manager.
pub(super) struct Choice {
    pub(super) version: String,
    pub(super) why: String,
    /// Names of its images, if its manifests are in the engine.
    pub(super) names: Option<Vec<String>>,
    /// Whether the engine has all of them, as they should be.
    complete: bool,
}

impl Facts<'_> {
    /// Chooses a version: one that is there completely, else the newest that a registry has, else that of packages.
    pub(super) async fn cert_manager(&mut self, candidates: &[&str]) -> Result<Choice> {
        let mut choices = Vec::new();
        for version in candidates {
            let choice = self.cert_manager_of(version).await?;
            if choice.complete {
                return Ok(choice);
            }
            choices.push(choice);
        }
        let [newest, .., packaged] = choices.as_slice() else {
            return choices
                .pop()
                .ok_or_else(|| Failure::new(Reason::Internal, "no cert-manager to choose from"));
        };
        let asked = newest.names.as_ref().and_then(|names| names.first().cloned());
        let asked = asked.unwrap_or_else(|| TRIXIE.to_owned());
        // any registry's answer will do where the names are not known yet
        if !self.answers.contains_key(&asked) && (newest.names.is_some() || self.answers.is_empty()) {
            let answers = probe(self.engine, self.profile.images.mirror.as_deref(), [asked.clone()]).await;
            self.answers.extend(answers);
        }
        let has = match newest.names {
            Some(_) => self.answers.get(&asked) == Some(&RegistryAnswer::Has),
            None => self.answers.values().any(|answer| *answer == RegistryAnswer::Has),
        };
        let (take, why) = if has {
            (newest, "the newest, as a registry has it".to_owned())
        } else {
            (
                packaged,
                format!("what packages have; no registry gave {}", newest.version),
            )
        };
        Ok(Choice {
            version: take.version.clone(),
            why,
            names: take.names.clone(),
            complete: false,
        })
    }

    async fn cert_manager_of(&self, version: &str) -> Result<Choice> {
        let manifests = manifests_name(version);
        let recipe = self.recipes.get(&manifests);
        let current = recipe.is_some_and(|recipe| {
            matches!(
                presence(self.seen.get(&manifests), recipe, &self.recipes),
                Presence::Foreign | Presence::Ours { current: true }
            )
        });
        let mut choice = Choice {
            version: version.to_owned(),
            why: String::new(),
            names: None,
            complete: false,
        };
        if !current {
            choice.why = if self.profile.cert_manager.version.is_empty() {
                format!("what the source `{}` has", source_name(self.profile.images.source))
            } else {
                "the profile says so".to_owned()
            };
            return Ok(choice);
        }
        let names = manifests::image_names(self.engine, self.env, &manifests).await?;
        let images = Seen::of(self.engine, names.iter().cloned()).await?;
        choice.complete = names.iter().all(|name| {
            let Some(recipes) = self.recipes.with_cert_manager(name, version) else {
                return false;
            };
            let Some(recipe) = recipes.get(name) else { return false };
            let answer = self.answers.get(name);
            decide(
                recipe,
                self.profile.images.source,
                presence(images.get(name), recipe, &recipes),
                answer,
            )
            .is_ok_and(|(action, _)| action == Action::Keep)
        });
        choice.why = if self.profile.cert_manager.version.is_empty() {
            "in the engine".to_owned()
        } else {
            "the profile says so".to_owned()
        };
        choice.names = Some(names);
        Ok(choice)
    }
}

fn source_name(source: ImageSource) -> &'static str {
    match source {
        ImageSource::Auto => "auto",
        ImageSource::Registry => "registry",
        ImageSource::Packages => "packages",
    }
}

impl Plan<'_> {
    /// Adds cert-manager: its manifests, and its programs unless they are there.
    ///
    /// # Errors
    /// [`Reason::VersionUnknown`] for a version that packages do not have.
    pub(super) fn add_cert_manager(&mut self, choice: &Choice) -> Result<()> {
        let manifests = manifests_name(&choice.version);
        self.add(&manifests)?;
        if choice.complete {
            return Ok(());
        }
        let from_registry = match self.facts.profile.images.source {
            ImageSource::Registry => true,
            ImageSource::Packages => false,
            ImageSource::Auto => choice.version != CERT_MANAGER_PACKAGED,
        };
        let needs = vec!["cert-manager-manifests".to_owned(), "go".to_owned()];
        if !from_registry {
            if choice.version != CERT_MANAGER_PACKAGED {
                return Err(Failure::new(
                    Reason::VersionUnknown,
                    format!(
                        "cert-manager {} cannot be had from packages; versions that can: {CERT_MANAGER_PACKAGED}",
                        choice.version
                    ),
                ));
            }
            let go = self
                .facts
                .recipes
                .get(&manifests)
                .map(|recipe| recipe.from.clone())
                .unwrap_or_default();
            for from in go {
                self.add(&from)?;
            }
        }
        let action = if from_registry { Action::Pull } else { Action::Build };
        self.images.push(PlannedImage {
            name: format!("cert-manager {}", choice.version),
            action,
            why: choice.why.clone(),
            dockerfile: "dockerfiles/cert-manager/Dockerfile".to_owned(),
            for_node: true,
            short: CERT_MANAGER_GROUP.to_owned(),
            needs,
        });
        Ok(())
    }
}
