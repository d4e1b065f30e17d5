//! Runs Maven inside a build, and takes the jars out.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher};

use super::user_settings;
use crate::container::{Build, Context, Engine};
use crate::diag::{Failure, Reason, Result};
use crate::engine::StepCx;
use crate::env::Env;
use crate::image::make::Maker;
use crate::image::recipe::{JDK, Recipes};
use crate::image::{embedded, host};

/// Where the Dockerfile is found in the repository.
const DIR: &str = "dockerfiles/maven";

/// Maven's option to ask the repositories for newer snapshots now; without it, it asks once a day.
pub(in crate::image) const UPDATE_SNAPSHOTS: &str = "--update-snapshots";

/// Runs `goals` on the files below `project/` of `context`, and returns what lies in its `target` folders by path in
/// the project. `strict`: a checksum that does not match, or is not there, is an error.
///
/// The user's Maven settings and the host's CA bundle are bound into the step that needs them; the image that holds
/// the jars is removed again.
///
/// # Errors
/// [`Reason::ImageBuildFailed`] with the end of Maven's output as evidence.
pub(in crate::image) async fn run_in_image(
    engine: &Engine,
    env: &Env,
    mut context: Context,
    goals: &str,
    strict: bool,
    cx: &StepCx,
) -> Result<Vec<(String, Vec<u8>)>> {
    let recipes = Recipes::of_jdk();
    Maker::of(recipes.clone(), engine, env).make(&recipes, JDK, cx).await?;
    for (path, mode, bytes) in embedded::below(DIR) {
        context.add(path, mode, bytes);
    }
    context.add("ca-bundle.crt", 0o644, host::ca_bundle(env));
    context.add("settings.xml", 0o600, user_settings(env));
    let proxies = host::Proxies::of(env, engine.is_local());
    let mut args: BTreeMap<String, String> = proxies.args;
    args.insert("GOALS".to_owned(), goals.to_owned());
    if goals.contains(UPDATE_SNAPSHOTS) {
        // the engine would take the answer of the last time
        args.insert("AGAIN".to_owned(), format!("{:016x}", random()));
    }
    let checksums = if strict {
        "--strict-checksums"
    } else {
        "--lax-checksums"
    };
    args.insert("CHECKSUMS".to_owned(), checksums.to_owned());
    let name = format!("flink-dev/maven-run:{:016x}", random());
    let build = Build {
        name: name.clone(),
        context,
        file: String::new(),
        dockerfile: format!("{DIR}/Dockerfile"),
        target: String::new(),
        args,
        labels: BTreeMap::new(),
        host_network: proxies.host_network,
    };
    engine.build(&build, cx).await?;
    let files = engine.files_of_image(&name, "/out").await;
    // read or not, it is of no more use
    let removed = engine.remove_image(&name).await;
    let files = files?;
    removed?;
    let mut jars = Vec::new();
    for (path, bytes) in files {
        let path = path
            .strip_prefix("out/")
            .unwrap_or(&path)
            .trim_start_matches("./")
            .to_owned();
        if std::path::Path::new(&path)
            .components()
            .any(|c| !matches!(c, std::path::Component::Normal(_)))
        {
            return Err(Failure::new(Reason::Internal, "a jar lies outside of its project").evidence(path));
        }
        jars.push((path, bytes));
    }
    Ok(jars)
}

/// Names of two runs at the same time must differ.
fn random() -> u64 {
    std::hash::RandomState::new().build_hasher().finish()
}
