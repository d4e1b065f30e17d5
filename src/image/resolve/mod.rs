//! Observes which images there are and decides where the others come from. Changes nothing.

mod cert_manager;
mod planned;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::join_all;
use serde::Serialize;

use self::planned::Plan;
pub use self::planned::PlannedImage;
use super::decide::{Action, Presence};
use super::recipe::{INPUTS_LABEL, Names, Recipe, Recipes};
use super::{base, kind_tool};
use crate::config::{ImageSource, Profile, Webhook};
use crate::container::{Engine, ImageInfo, RegistryAnswer, mirrored};
use crate::diag::{Failure, Reason, Result};
use crate::env::Env;

/// How long a registry may take to answer whether it has an image.
const PROBE: Duration = Duration::from_secs(3);

/// Where the operator's CRDs come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CrdSource {
    /// An image that holds nothing else.
    Image(String),
    /// A jar in the published image of the operator.
    OperatorJar(String),
}

/// All images of a profile and where they come from.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// Name of kind's node image.
    pub node: String,
    /// Name of the operator's image.
    pub operator: String,
    /// Whether the operator's admission webhook is installed.
    pub operator_webhook: bool,
    /// Where the operator's CRDs come from.
    pub operator_crds: CrdSource,
    /// cert-manager's version, if the profile has it.
    pub cert_manager_version: Option<String>,
    /// Name of Kafka's image.
    pub kafka: String,
    /// Name of the schema registry's image.
    pub schema_registry: String,
    /// Name of the session cluster's image.
    pub session: String,
    /// Every image that is looked at, what is done with it and why; those that are needed come first.
    pub images: Vec<PlannedImage>,
    /// Why images come from where they come from, one line each.
    pub reasons: Vec<String>,
    pub(super) recipes: Recipes,
    pub(super) source: ImageSource,
    pub(super) mirror: Option<String>,
}

/// Short name of the group of cert-manager's programs.
pub(super) const CERT_MANAGER_GROUP: &str = "cert-manager";

impl Resolved {
    /// What is not kept.
    pub fn work(&self) -> impl Iterator<Item = &PlannedImage> {
        self.images.iter().filter(|image| image.action != Action::Keep)
    }
}

/// What the engine has under each name.
pub(super) struct Seen(BTreeMap<String, ImageInfo>);

impl Seen {
    async fn of(engine: &Engine, names: impl Iterator<Item = String>) -> Result<Self> {
        let all = join_all(names.map(|name| async move {
            let image = engine.image(&name).await?;
            Ok::<_, Failure>((name, image))
        }))
        .await;
        let mut seen = BTreeMap::new();
        for found in all {
            if let (name, Some(image)) = found? {
                seen.insert(name, image);
            }
        }
        Ok(Self(seen))
    }

    fn get(&self, name: &str) -> Option<&ImageInfo> {
        self.0.get(name)
    }
}

/// What an image in the engine is to a recipe.
pub(super) fn presence(image: Option<&ImageInfo>, recipe: &Recipe, recipes: &Recipes) -> Presence {
    match image.map(|image| image.labels.get(INPUTS_LABEL)) {
        None => Presence::Absent,
        Some(None) => Presence::Foreign,
        Some(Some(inputs)) => Presence::Ours {
            current: *inputs == recipes.inputs(recipe),
        },
    }
}

/// Asks the registries for images, all at once, each at most 3 s.
pub(super) async fn probe(
    engine: &Engine,
    mirror: Option<&str>,
    names: impl IntoIterator<Item = String>,
) -> BTreeMap<String, RegistryAnswer> {
    let asked = names.into_iter().map(|name| async move {
        let at = mirror.map_or_else(|| name.clone(), |mirror| mirrored(mirror, &name));
        let answer = tokio::time::timeout(PROBE, engine.in_registry(&at)).await;
        (
            name,
            answer.unwrap_or_else(|_| RegistryAnswer::NoAnswer("no answer within 3 s".to_owned())),
        )
    });
    join_all(asked).await.into_iter().collect()
}

/// What is known while deciding.
struct Facts<'a> {
    engine: &'a Engine,
    env: &'a Env,
    profile: &'a Profile,
    recipes: Recipes,
    seen: Seen,
    answers: BTreeMap<String, RegistryAnswer>,
}

/// Observes which images of the profile there are and decides where the others come from. Changes nothing; with all
/// images in the engine it takes some ten requests side by side.
///
/// # Errors
/// [`Reason::VersionUnknown`] and [`Reason::ImageUnavailable`] for what cannot be had; what the engine answers.
pub async fn resolve(profile: &Profile, engine: &Engine, env: &Env) -> Result<Resolved> {
    let source = profile.images.source;
    let names = Names::of(profile);
    let candidates = cert_manager::candidates(profile);
    let recipes = Recipes::of(profile, &candidates);
    let seen = Seen::of(engine, recipes.iter().map(|recipe| recipe.name.clone())).await?;
    let mut facts = Facts {
        engine,
        env,
        profile,
        recipes,
        seen,
        answers: BTreeMap::new(),
    };

    // the images that everything else is made for, in the order in which they are needed
    let mut wanted = vec![names.node.clone(), names.operator.clone()];
    if kind_tool::needs_image(env) {
        wanted.insert(0, names.kind.clone());
    }
    if profile.kafka.enabled {
        wanted.push(names.kafka.clone());
    }
    if profile.schema_registry.enabled {
        wanted.push(names.schema_registry.clone());
    }
    if profile.session.enabled {
        wanted.push(names.session.clone());
    }
    if source != ImageSource::Packages {
        facts.ask(&wanted).await;
    }
    let cert_manager = if candidates.is_empty() {
        None
    } else {
        Some(facts.cert_manager(&candidates).await?)
    };

    let mut plan = Plan {
        facts: &facts,
        images: Vec::new(),
        done: BTreeSet::new(),
    };
    for name in &wanted {
        plan.add(name)?;
    }
    let operator = plan
        .images
        .iter()
        .find(|i| i.name == names.operator)
        .map_or(Action::Keep, |i| i.action);
    // only the published image has it, and says so in its environment
    let published = match operator {
        Action::Pull => true,
        Action::Keep => facts
            .seen
            .get(&names.operator)
            .is_some_and(|image| image.env("WEBHOOK_JAR").is_some()),
        Action::Build => false,
    };
    let operator_crds = if published {
        CrdSource::OperatorJar(names.operator.clone())
    } else {
        plan.add(&names.crds)?;
        CrdSource::Image(names.crds.clone())
    };
    let mut reasons = Vec::new();
    if let Some(choice) = &cert_manager {
        plan.add_cert_manager(choice)?;
        reasons.push(format!("cert-manager {}: {}", choice.version, choice.why));
    }
    let (operator_webhook, why) = webhook(profile, published)?;
    reasons.push(format!("Flink operator {} {why}", profile.operator.version));
    let images = std::mem::take(&mut plan.images);
    if images
        .iter()
        .any(|i| i.action == Action::Build && facts.recipes.get(&i.name).is_some_and(|r| r.suite.is_some()))
    {
        base::can_make(env)?;
    }
    let recipes = cert_manager
        .iter()
        .flat_map(|c| c.names.iter().flatten().map(|n| (n, &c.version)))
        .fold(facts.recipes.clone(), |all, (name, version)| {
            all.with_cert_manager(name, version).unwrap_or(all)
        });
    Ok(Resolved {
        node: names.node,
        operator: names.operator,
        operator_webhook,
        operator_crds,
        cert_manager_version: cert_manager.map(|choice| choice.version),
        kafka: names.kafka,
        schema_registry: names.schema_registry,
        session: names.session,
        images,
        reasons,
        recipes,
        source,
        mirror: profile.images.mirror.clone(),
    })
}

fn webhook(profile: &Profile, published: bool) -> Result<(bool, &'static str)> {
    match (profile.operator.webhook, published, profile.cert_manager.enabled) {
        (Webhook::Off, ..) => Ok((false, "without its webhook: the profile says so")),
        (Webhook::On, false, _) => Err(Failure::new(
            Reason::ImageUnavailable,
            format!(
                "the operator's image {} is built from packages and has no webhook",
                profile.operator.version
            ),
        )
        .next("set `operator.webhook: auto` in the profile")
        .next("set `images.source: registry` in the profile")),
        (Webhook::Auto, false, _) => Ok((false, "without its webhook: packages do not have it")),
        (Webhook::Auto, true, false) => Ok((false, "without its webhook: it needs cert-manager for its certificate")),
        (Webhook::On | Webhook::Auto, true, _) => Ok((true, "with its webhook: the published image has it")),
    }
}

impl Facts<'_> {
    /// Asks the registries for what is absent and may be needed.
    async fn ask(&mut self, wanted: &[String]) {
        let mut absent = BTreeSet::new();
        let mut open: Vec<&str> = wanted.iter().map(String::as_str).collect();
        while let Some(name) = open.pop() {
            let Some(recipe) = self.recipes.get(name) else { continue };
            let presence = presence(self.seen.get(name), recipe, &self.recipes);
            match presence {
                Presence::Foreign | Presence::Ours { current: true } => {}
                Presence::Absent | Presence::Ours { current: false } => {
                    if !recipe.is_internal() && presence == Presence::Absent && !absent.insert(name.to_owned()) {
                        continue;
                    }
                    open.extend(recipe.from.iter().map(String::as_str));
                }
            }
        }
        absent.retain(|name| !self.answers.contains_key(name));
        let answers = probe(self.engine, self.profile.images.mirror.as_deref(), absent).await;
        self.answers.extend(answers);
    }
}
