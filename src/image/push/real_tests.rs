//! Against the engine of this machine: `cargo test --lib image::push -- --ignored`.

use std::collections::BTreeMap;

use tokio_util::sync::CancellationToken;

use super::*;
use crate::container::{Build, Context};
use crate::event::EventSink;
use crate::image::load::{Layer, sha256};

/// A small image that can run a shell; it is there wherever `dev` has built something.
const BASE: &str = "debian:bookworm-slim";

async fn built(engine: &Engine, name: &str, text: &str) -> ImageInfo {
    let mut context = Context::new();
    let dockerfile = format!("FROM {BASE}\nRUN rm /etc/issue && echo deps >/deps\nCOPY file /opt/file\n");
    context.add("Dockerfile", 0o644, dockerfile.into_bytes());
    context.add("file", 0o640, text.as_bytes().to_vec());
    let build = Build {
        name: name.to_owned(),
        context,
        dockerfile: "Dockerfile".to_owned(),
        labels: BTreeMap::new(),
        ..Build::default()
    };
    engine.build(&build, &cx()).await.unwrap();
    engine.image(name).await.unwrap().unwrap()
}

fn cx() -> StepCx {
    StepCx::detached("push", EventSink::discard(), CancellationToken::new())
}

/// The names in the tar of a layer.
fn names(cache: &Cache, layer: &Layer) -> Vec<String> {
    let bytes = fs_err::read(cache.blob(&layer.digest)).unwrap();
    assert_eq!(sha256(&bytes), layer.digest, "the bytes are the diffID's");
    let mut tar = tar::Archive::new(bytes.as_slice());
    let entries = tar
        .entries()
        .unwrap()
        .map(|e| e.unwrap().path().unwrap().display().to_string());
    entries.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Docker engine"]
async fn only_new_layers_leave_the_engine() {
    let home = tempfile::tempdir().unwrap();
    let mut env = Env::from_process();
    env.vars
        .insert("XDG_CACHE_HOME".to_owned(), home.path().display().to_string());
    let engine = Engine::connect(&env).await.unwrap();
    let cache = Cache::of(&engine, &env).await.unwrap();
    let name = "flink-dev-test/pushed:1";
    let first = built(&engine, name, "one").await;
    let pushed = into_cache(&engine, &env, &cache, name, &first, &cx()).await.unwrap();
    assert_eq!(pushed.0.layers, first.diff_ids.len(), "{pushed}");
    let image = cache.image(name, &first.id).unwrap();
    assert_eq!(names(&cache, image.layers.last().unwrap()), ["opt/", "opt/file"]);
    let whiteout = names(&cache, &image.layers[image.layers.len() - 2]);
    assert!(whiteout.contains(&"etc/.wh.issue".to_owned()), "{whiteout:?}");

    // the engine asks by the digests of what it sent, and a rebuilt layer is the only one that travels
    let second = built(&engine, name, "two").await;
    let pushed = into_cache(&engine, &env, &cache, name, &second, &cx()).await.unwrap();
    assert_eq!(
        (pushed.0.layers, pushed.0.skipped),
        (1, first.diff_ids.len() - 1),
        "{pushed}"
    );
    assert!(pushed.0.bytes < 50_000, "{pushed}");
    let image = cache.image(name, &second.id).unwrap();
    assert_eq!(image.layers.len(), second.diff_ids.len());

    // a layer that the cache lost meanwhile is sent again
    let lost = cache.blob(&image.layers[0].digest);
    fs_err::remove_file(&lost).unwrap();
    assert!(cache.image(name, &second.id).is_none());
    into_cache(&engine, &env, &cache, name, &second, &cx()).await.unwrap();
    assert!(lost.exists() && cache.image(name, &second.id).is_some());

    // the engine's archive holds the same, in whatever form its store writes it
    let elsewhere = tempfile::tempdir().unwrap();
    let other = Cache::at(elsewhere.path(), &cache.registry);
    other
        .fill(&engine, &[(name.to_owned(), second.id.clone())])
        .await
        .unwrap();
    let (by_archive, by_push) = (
        other.image(name, &second.id).unwrap(),
        cache.image(name, &second.id).unwrap(),
    );
    assert_eq!((by_archive.layers, by_archive.config), (by_push.layers, by_push.config));

    // the image has no name of ours left, and its own still; another test may be pushing another one
    let all = engine.images().await.unwrap().into_iter();
    let ours = all.filter(|image| [&first.id, &second.id].contains(&&image.id));
    let leftover = ours.flat_map(|image| image.names).find(|name| is_leftover(name));
    assert_eq!(leftover, None);
    assert_eq!(engine.image(name).await.unwrap().unwrap().id, second.id);
    engine.remove_image(name).await.unwrap();
    let _ = engine.remove_image(&first.id).await;
}
