//! Carries out what was decided: pulls and builds, each image once however many ask for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::decide::{Action, Presence, decide};
use super::recipe::{INPUTS_LABEL, Recipe, Recipes};
use super::resolve::{CERT_MANAGER_GROUP, PlannedImage, Resolved, presence, probe};
use super::store::process_lock;
use super::{base, host, load, manifests};
use crate::config::ImageSource;
use crate::container::{Build, Engine};
use crate::diag::{Failure, Reason, Result};
use crate::engine::{Bounds, Done, Step, StepCx};
use crate::env::Env;

/// Builds at once: each uses several cores at its best, and memory at its worst.
static BUILDS: Semaphore = Semaphore::const_new(2);

/// One step an image that is pulled or built; none if nothing is to be done.
pub fn steps(resolved: &Resolved, engine: &Engine, env: &Env) -> Vec<Step> {
    let maker = Arc::new(Maker::new(resolved, engine, env));
    resolved.work().map(|image| maker.clone().step(image.clone())).collect()
}

/// Pulls and builds images of one plan.
#[derive(Debug)]
pub(super) struct Maker {
    engine: Engine,
    env: Env,
    recipes: Recipes,
    source: ImageSource,
    mirror: Option<String>,
    actions: BTreeMap<String, Action>,
    resolved: Option<Resolved>,
}

impl Maker {
    fn new(resolved: &Resolved, engine: &Engine, env: &Env) -> Self {
        Self {
            engine: engine.clone(),
            env: env.clone(),
            recipes: resolved.recipes.clone(),
            source: resolved.source,
            mirror: resolved.mirror.clone(),
            actions: resolved
                .images
                .iter()
                .map(|image| (image.name.clone(), image.action))
                .collect(),
            resolved: Some(resolved.clone()),
        }
    }

    /// One that makes the recipes' images and what they are `FROM`, outside a plan.
    pub(super) fn of(recipes: Recipes, engine: &Engine, env: &Env) -> Self {
        Self {
            engine: engine.clone(),
            env: env.clone(),
            recipes,
            source: ImageSource::Auto,
            mirror: None,
            actions: BTreeMap::new(),
            resolved: None,
        }
    }

    fn step(self: Arc<Self>, image: PlannedImage) -> Step {
        let bounds = match image.action {
            Action::Pull => Bounds::secs(120, 1800),
            Action::Keep | Action::Build => Bounds::secs(600, 3600),
        };
        let needs = image.step_needs();
        let needs: Vec<&str> = needs.iter().map(String::as_str).collect();
        let for_node = image.for_node;
        let group = image.step_id() == format!("image/{CERT_MANAGER_GROUP}");
        Step::new(image.step_id(), image.title(), &needs, bounds, move |cx| async move {
            let (done, names) = if group {
                self.make_cert_manager(&cx).await?
            } else {
                (
                    self.make(&self.recipes, &image.name, &cx).await?,
                    vec![image.name.clone()],
                )
            };
            if for_node {
                // its layers are wanted as files when a node is made: taken now, nobody waits for them then
                cx.waiting("layers are kept for nodes");
                if let Err(failure) = load::remember(&self.engine, &self.env, &names).await {
                    cx.events()
                        .note(format!("layers of {} are not kept: {failure}", names.join(", ")));
                }
            }
            Ok(done)
        })
    }

    /// Makes one image as planned, and before it what it is `FROM`.
    pub(super) async fn make(&self, recipes: &Recipes, name: &str, cx: &StepCx) -> Result<Done> {
        let Some(recipe) = recipes.get(name) else {
            return Err(Failure::new(Reason::Internal, format!("no recipe for {name}")));
        };
        // however many ask for an image at the same time, it is made once
        let lock = process_lock(&format!("image {name}"));
        let _one = lock.lock().await;
        let there = self.engine.image(name).await?;
        let action = match (self.actions.get(name), presence(there.as_ref(), recipe, recipes)) {
            // someone else was faster
            (Some(Action::Build), Presence::Ours { current: true }) => Action::Keep,
            (Some(action), _) => *action,
            (None, found) => self.decide(recipe, found).await?,
        };
        match action {
            Action::Keep => Ok(Done::Unchanged(format!("{name} is in the engine"))),
            Action::Pull => {
                self.engine.pull_from(self.mirror.as_deref(), name, cx).await?;
                Ok(Done::Changed(format!("pulled, {}", self.id(name).await?)))
            }
            Action::Build => {
                for from in &recipe.from {
                    Box::pin(self.make(recipes, from, cx)).await?;
                }
                self.build(recipes, recipe, cx).await?;
                if let Some(old) = there {
                    let new = self.engine.image(name).await?.map(|image| image.id);
                    if new.is_some_and(|new| new != old.id) {
                        // without a name it is of no use; one that a container still uses stays
                        let _ = self.engine.remove_image(&old.id).await;
                    }
                }
                Ok(Done::Changed(format!("built, {}", self.id(name).await?)))
            }
        }
    }

    async fn decide(&self, recipe: &Recipe, found: Presence) -> Result<Action> {
        let ask = found == Presence::Absent && !recipe.is_internal() && self.source == ImageSource::Auto;
        let answers = if ask {
            probe(&self.engine, self.mirror.as_deref(), [recipe.name.clone()]).await
        } else {
            BTreeMap::new()
        };
        Ok(decide(recipe, self.source, found, answers.get(&recipe.name))?.0)
    }

    async fn build(&self, recipes: &Recipes, recipe: &Recipe, cx: &StepCx) -> Result<()> {
        let proxies = host::Proxies::of(&self.env, self.engine.is_local());
        let mut context = recipe.context();
        context.add("ca-bundle.crt", 0o644, host::ca_bundle(&self.env));
        let inputs = recipes.inputs(recipe);
        let mut args = proxies.args;
        args.extend(recipe.args.clone());
        let build = Build {
            name: recipe.name.clone(),
            context,
            file: String::new(),
            dockerfile: recipe.dockerfile(),
            target: recipe.target.to_owned(),
            args,
            labels: BTreeMap::from([(INPUTS_LABEL.to_owned(), inputs.clone())]),
            host_network: proxies.host_network,
        };
        if BUILDS.available_permits() == 0 {
            cx.waiting("other builds run");
        }
        let _permit = BUILDS
            .acquire()
            .await
            .map_err(|e| Failure::new(Reason::Internal, "no builds").cause(&e))?;
        match recipe.suite {
            Some(suite) => base::make(&self.engine, &self.env, suite, build, cx).await?,
            None => {
                self.engine.build(&build, cx).await?;
            }
        }
        let built = self.engine.image(&recipe.name).await?;
        if built.is_some_and(|image| image.labels.get(INPUTS_LABEL) == Some(&inputs)) {
            return Ok(());
        }
        Err(Failure::new(
            Reason::ImageBuildFailed,
            format!("{} is not what was built", recipe.name),
        )
        .evidence(format!(
            "the engine's image of that name has no label {INPUTS_LABEL}={inputs}"
        )))
    }

    /// Makes cert-manager's programs: their names are known once its manifests are there.
    async fn make_cert_manager(&self, cx: &StepCx) -> Result<(Done, Vec<String>)> {
        let resolved = self.resolved.as_ref();
        let (Some(resolved), Some(version)) = (resolved, resolved.and_then(|r| r.cert_manager_version.as_ref())) else {
            return Err(Failure::new(Reason::Internal, "there is no cert-manager in the plan"));
        };
        let names = manifests::cert_manager_images(resolved, &self.engine, &self.env).await?;
        let mut made = Vec::new();
        for name in &names {
            let recipes = self.recipes.with_cert_manager(name, version).ok_or_else(|| {
                Failure::new(
                    Reason::ImageUnavailable,
                    format!("cert-manager {version} runs an unknown image {name}"),
                )
            })?;
            if let Done::Changed(text) = self.make(&recipes, name, cx).await? {
                made.push(text);
            }
        }
        let all = format!("{} images", names.len());
        Ok((
            if made.is_empty() {
                Done::Unchanged(all)
            } else {
                Done::Changed(all)
            },
            names,
        ))
    }

    async fn id(&self, name: &str) -> Result<String> {
        let image = self.engine.image(name).await?;
        let id = image.map(|image| image.id).unwrap_or_default();
        Ok(id.chars().take("sha256:".len() + 12).collect())
    }
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::event::EventSink;
    use crate::image::recipe::TRIXIE;
    use crate::image::testing::profile;

    /// Makes the image of a recipe under another name, twice; only the first time anything is done.
    async fn made_once(of: &str, name: &str, timeout_s: u64) {
        let env = Env::from_process();
        let engine = Engine::connect(&env).await.unwrap();
        engine.remove_image(name).await.unwrap();
        let recipes = Recipes::of(&profile(), &[]).with_copy(of, name);
        // a base image would be asked for at a registry under its second name
        let maker = Maker {
            source: ImageSource::Packages,
            ..Maker::of(recipes.clone(), &engine, &env)
        };
        let cx = StepCx::detached("image/test", EventSink::discard(), CancellationToken::new());
        let bound = std::time::Duration::from_secs(timeout_s);
        let keep_from = recipes
            .get(name)
            .unwrap()
            .from
            .iter()
            .map(|f| (f.clone(), Action::Keep))
            .collect();
        let maker = Maker {
            actions: keep_from,
            ..maker
        };
        let (one, two) = tokio::time::timeout(bound, async {
            // two that ask at the same time
            tokio::join!(maker.make(&recipes, name, &cx), maker.make(&recipes, name, &cx))
        })
        .await
        .unwrap();
        let (one, two) = (one.unwrap(), two.unwrap());
        assert!(one.changed() && !two.changed(), "{one:?} {two:?}");
        let image = engine.image(name).await.unwrap().unwrap();
        assert_eq!(image.labels[INPUTS_LABEL], recipes.inputs(recipes.get(name).unwrap()));
        assert!(crate::image::is_own(&image));
    }

    #[tokio::test]
    #[ignore = "needs a Docker engine with the images of the default profile"]
    async fn an_image_is_built_once_however_many_ask_for_it() {
        let kind = Recipes::of_kind()
            .iter()
            .find(|r| r.short == "kind")
            .unwrap()
            .name
            .clone();
        made_once(&kind, "flink-dev-test/kind:1", 580).await;
        let engine = Engine::connect(&Env::from_process()).await.unwrap();
        let files = engine.files_of_image("flink-dev-test/kind:1", "/kind").await.unwrap();
        assert!(files[0].1.len() > 1_000_000);
        engine.remove_image("flink-dev-test/kind:1").await.unwrap();
    }

    #[tokio::test]
    #[ignore = "needs a Docker engine, debootstrap and root"]
    async fn a_debian_is_made_where_none_can_be_pulled() {
        made_once(TRIXIE, "flink-dev-test/debian:1", 580).await;
        let engine = Engine::connect(&Env::from_process()).await.unwrap();
        let files = engine
            .files_of_image("flink-dev-test/debian:1", "/etc/debian_version")
            .await
            .unwrap();
        assert!(
            files[0].1.starts_with(b"13"),
            "{:?}",
            String::from_utf8_lossy(&files[0].1)
        );
        let slim = engine
            .files_of_image("flink-dev-test/debian:1", "/etc/dpkg/dpkg.cfg.d/slim")
            .await
            .unwrap();
        assert!(!slim.is_empty());
        engine.remove_image("flink-dev-test/debian:1").await.unwrap();
        let left = std::fs::read_dir(Env::from_process().cache_dir()).unwrap().flatten();
        assert!(
            left.into_iter()
                .all(|e| !e.file_name().to_string_lossy().starts_with("debootstrap-"))
        );
    }
}
