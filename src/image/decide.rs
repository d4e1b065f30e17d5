//! Where one image comes from: pure, from what was observed of it.

use super::recipe::Recipe;
use crate::config::ImageSource;
use crate::container::RegistryAnswer;
use crate::diag::{Failure, Reason, Result};

/// What is done with an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Taken as it is in the engine.
    Keep,
    /// Pulled from a registry.
    Pull,
    /// Built from packages.
    Build,
}

/// What the engine has under an image's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// Nothing.
    Absent,
    /// An image that `dev` did not build: pulled, or put there by the user.
    Foreign,
    /// One that `dev` built, from the inputs of today or from others.
    Ours { current: bool },
}

/// The newest cert-manager known to work, for where registries answer.
pub(super) const CERT_MANAGER_NEWEST: &str = "1.18.2";

/// The newest cert-manager whose programs packages have.
pub(super) const CERT_MANAGER_PACKAGED: &str = "1.11.5";

/// Versions that packages have, by the folder of the recipe; `None`: it has no versions of its own.
pub(super) fn packaged(dir: &str) -> Option<&'static [&'static str]> {
    match dir {
        "node" => Some(&["1.34.0", "1.34.2", "1.34.3", "1.34.4"]),
        // the wheel's checksum, and the connector that goes with it, are pinned
        "flink" | "sql-runner" | "pyflink" | "avro-confluent" => Some(&["2.2.1"]),
        "kafka" => Some(&["4.1.1"]),
        "schema-registry" => Some(&["3.0.9"]),
        "flink-operator" => Some(&["1.16.1"]),
        "cert-manager" => Some(&[CERT_MANAGER_PACKAGED]),
        _ => None,
    }
}

/// What is done with an image and why. `answer` is what its registry said, if it was asked.
///
/// # Errors
/// [`Reason::VersionUnknown`] if packages do not have the version and nothing else can be had;
/// [`Reason::ImageUnavailable`] if the registry that must have it has it not.
pub(super) fn decide(
    recipe: &Recipe,
    source: ImageSource,
    presence: Presence,
    answer: Option<&RegistryAnswer>,
) -> Result<(Action, String)> {
    let internal = recipe.is_internal();
    match (presence, source) {
        (Presence::Ours { current: true }, ImageSource::Auto | ImageSource::Packages) => {
            return Ok((Action::Keep, "in the engine, built from the same inputs".to_owned()));
        }
        (Presence::Ours { current: true }, ImageSource::Registry) if internal => {
            return Ok((Action::Keep, "in the engine, built from the same inputs".to_owned()));
        }
        (Presence::Foreign, ImageSource::Auto | ImageSource::Registry) => {
            return Ok((Action::Keep, "in the engine, not built by dev".to_owned()));
        }
        // a Debian is a Debian, and to make one takes root
        (Presence::Foreign, ImageSource::Packages) if recipe.suite.is_some() => {
            return Ok((Action::Keep, "in the engine, not built by dev".to_owned()));
        }
        _ => {}
    }
    let why_not_kept = match presence {
        Presence::Ours { current: false } => "its inputs changed",
        Presence::Ours { current: true } => "the profile wants it from a registry",
        Presence::Foreign => "the profile wants it from packages",
        Presence::Absent => "not in the engine",
    };
    if internal {
        return build(recipe, why_not_kept.to_owned(), None);
    }
    match (source, presence, answer) {
        (ImageSource::Packages, ..) | (_, Presence::Ours { current: false }, None) => {
            build(recipe, why_not_kept.to_owned(), None)
        }
        (ImageSource::Registry, _, Some(RegistryAnswer::HasNot(words))) => Err(Failure::new(
            Reason::ImageUnavailable,
            format!("the registry does not have {}", recipe.name),
        )
        .evidence(words)),
        // an unreachable registry is told by the pull itself, with the engine's words
        (ImageSource::Registry, ..) => Ok((Action::Pull, format!("{why_not_kept}; source is `registry`"))),
        (ImageSource::Auto, _, Some(RegistryAnswer::Has)) => {
            Ok((Action::Pull, format!("{why_not_kept}; its registry has it")))
        }
        (ImageSource::Auto, _, Some(RegistryAnswer::HasNot(words))) => build(
            recipe,
            format!("{why_not_kept}; its registry does not have it"),
            Some(words),
        ),
        (ImageSource::Auto, _, Some(RegistryAnswer::NoAnswer(words))) => {
            build(recipe, format!("{why_not_kept}; no registry answers"), Some(words))
        }
        (ImageSource::Auto, _, None) => build(recipe, why_not_kept.to_owned(), None),
    }
}

fn build(recipe: &Recipe, why: String, words: Option<&String>) -> Result<(Action, String)> {
    match packaged(recipe.dir) {
        Some(known) if !recipe.version.is_empty() && !known.contains(&recipe.version.as_str()) => Err(Failure::new(
            Reason::VersionUnknown,
            format!(
                "{} cannot be had from packages; versions that can: {}",
                recipe.name,
                known.join(", ")
            ),
        )
        .evidence(why)
        .evidence(words.cloned().unwrap_or_default())
        .next(format!("set the version to {} in the profile", known[known.len() - 1]))
        .next("set `images.mirror` to a registry that this machine reaches")),
        _ => Ok((Action::Build, why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::recipe::Recipes;
    use crate::image::testing::profile;

    #[expect(clippy::needless_pass_by_value, reason = "answers are written where they are given")]
    fn of(name: &str, source: ImageSource, presence: Presence, answer: Option<RegistryAnswer>) -> Result<Action> {
        let mut profile = profile();
        if name == "apache/kafka:3.9.0" {
            profile.kafka.version = "3.9.0".into();
        }
        let recipes = Recipes::of(&profile, &["1.11.5"]);
        decide(recipes.get(name).unwrap(), source, presence, answer.as_ref()).map(|(action, _)| action)
    }

    const KAFKA: &str = "apache/kafka:4.1.1";
    const OURS: Presence = Presence::Ours { current: true };
    const STALE: Presence = Presence::Ours { current: false };

    #[test]
    fn auto_keeps_then_pulls_then_builds() {
        use ImageSource::Auto;
        let no = || Some(RegistryAnswer::NoAnswer("dial".into()));
        assert_eq!(of(KAFKA, Auto, Presence::Foreign, None).unwrap(), Action::Keep);
        assert_eq!(of(KAFKA, Auto, OURS, None).unwrap(), Action::Keep);
        assert_eq!(of(KAFKA, Auto, STALE, None).unwrap(), Action::Build);
        assert_eq!(
            of(KAFKA, Auto, Presence::Absent, Some(RegistryAnswer::Has)).unwrap(),
            Action::Pull
        );
        assert_eq!(of(KAFKA, Auto, Presence::Absent, no()).unwrap(), Action::Build);
        // what only dev makes is never pulled
        assert_eq!(
            of("flink-dev/jre:17", Auto, Presence::Absent, Some(RegistryAnswer::Has)).unwrap(),
            Action::Build
        );
    }

    #[test]
    fn a_source_that_was_chosen_is_kept_to() {
        use ImageSource::{Packages, Registry};
        assert_eq!(of(KAFKA, Packages, Presence::Foreign, None).unwrap(), Action::Build);
        assert_eq!(
            of("debian:bookworm-slim", Packages, Presence::Foreign, None).unwrap(),
            Action::Keep
        );
        assert_eq!(of(KAFKA, Registry, OURS, None).unwrap(), Action::Pull);
        assert_eq!(of("flink-dev/jre:17", Registry, OURS, None).unwrap(), Action::Keep);
        let refused = of(
            KAFKA,
            Registry,
            Presence::Absent,
            Some(RegistryAnswer::HasNot("manifest unknown".into())),
        );
        assert_eq!(refused.unwrap_err().id(), Reason::ImageUnavailable);
    }

    #[test]
    fn an_unknown_version_names_those_that_can_be_had() {
        let answer = Some(RegistryAnswer::NoAnswer("dial tcp".into()));
        let failure = of("apache/kafka:3.9.0", ImageSource::Auto, Presence::Absent, answer).unwrap_err();
        assert_eq!(failure.id(), Reason::VersionUnknown);
        assert!(failure.to_string().contains("4.1.1"), "{failure}");
        assert!(
            failure.detail().evidence.iter().any(|e| e.contains("dial tcp")),
            "{failure:?}"
        );
    }
}
