//! Against the engine of this machine: `cargo test --lib image -- --ignored`.

use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::testing::profile;
use super::*;
use crate::config::{ImageSource, Profile};
use crate::container::Engine;
use crate::diag::Reason;
use crate::engine::StepCx;
use crate::env::Env;
use crate::event::EventSink;

#[tokio::test]
#[ignore = "needs a Docker engine with the images of the default profile"]
async fn what_is_in_the_engine_is_found_fast_and_taken_out() {
    let env = Env::from_process();
    let engine = Engine::connect(&env).await.unwrap();
    let start = Instant::now();
    let resolved = resolve(&profile(), &engine, &env).await.unwrap();
    let took = start.elapsed();
    let crds = operator_crds(&resolved, &engine, &env).await.unwrap();
    assert_eq!(crds.len(), 4);
    let version = crds[0]["spec"]["versions"][0].clone();
    assert!(version["subresources"]["scale"].is_null(), "{version}");
    let objects = cert_manager_manifests(&resolved, &engine, &env).await.unwrap();
    assert!(objects.iter().filter(|o| o["kind"] == "Deployment").count() == 3);
    assert_eq!(cert_manager_images(&resolved, &engine, &env).await.unwrap().len(), 3);
    let cx = StepCx::detached("kind", EventSink::discard(), CancellationToken::new());
    let kind = kind_tool(&engine, &env, &cx).await.unwrap();
    assert!(kind.exists());
    assert!(took.as_secs() < 15, "{took:?}");
}

#[path = "../../tests/it/fakes/registry.rs"]
mod registry;

/// The default profile with a mirror, an operator that only the mirror may have, and nothing else to be made.
fn mirrored(registry: &registry::Registry, operator: &str) -> Profile {
    let mut profile = profile();
    profile.images.mirror = Some(registry.address().to_owned());
    profile.operator.version = operator.to_owned();
    profile.cert_manager.enabled = false;
    profile.kafka.enabled = false;
    profile.session.enabled = false;
    profile
}

#[tokio::test]
#[ignore = "needs a Docker engine on this machine with the images of the default profile"]
async fn an_image_of_a_mirror_is_pulled_and_gets_its_public_name() {
    let env = Env::from_process();
    let engine = Engine::connect(&env).await.unwrap();
    let registry = registry::Registry::start().await;
    let version = format!("0.0.{}", std::process::id());
    let repository = "apache/flink-kubernetes-operator";
    let name = format!("{repository}:{version}");

    // the mirror answers and has it not, packages neither: the versions that can be had are told
    let failure = resolve(&mirrored(&registry, &version), &engine, &env)
        .await
        .unwrap_err();
    assert_eq!(failure.id(), Reason::VersionUnknown);
    assert!(failure.to_string().contains("1.16.1"), "{failure:?}");
    let asked = registry.requests();
    assert!(
        asked
            .iter()
            .any(|r| r.contains(&format!("/v2/{repository}/manifests/{version}"))),
        "{asked:?}"
    );

    let id = registry.add(
        repository,
        &version,
        ("operator.txt", b"from the mirror"),
        &["WEBHOOK_JAR=webhook.jar"],
    );
    for source in [ImageSource::Auto, ImageSource::Registry] {
        let mut profile = mirrored(&registry, &version);
        profile.images.source = source;
        // an image that was pulled before is no work any more
        engine.remove_image(&name).await.unwrap();
        let mut resolved = resolve(&profile, &engine, &env).await.unwrap();
        // with the source `registry` the node image that dev built would be pulled as well
        resolved.images.retain(|image| image.name == name);
        let work: Vec<_> = resolved
            .work()
            .map(|image| (image.name.as_str(), image.action))
            .collect();
        assert_eq!(work, [(name.as_str(), Action::Pull)]);
        assert_eq!(resolved.operator_crds, CrdSource::OperatorJar(name.clone()));
        let steps = steps(&resolved, &engine, &env);
        crate::engine::run(steps, &EventSink::discard(), &CancellationToken::new())
            .await
            .unwrap();
        let image = engine.image(&name).await.unwrap().unwrap();
        assert_eq!(
            (image.id.as_str(), image.env("WEBHOOK_JAR")),
            (id.as_str(), Some("webhook.jar"))
        );
        // the mirror's own name is gone again
        assert!(
            engine
                .image(&format!("{}/{name}", registry.address()))
                .await
                .unwrap()
                .is_none()
        );
    }
    let file = engine.files_of_image(&name, "/operator.txt").await.unwrap();
    assert_eq!(file[0].1, b"from the mirror");
    let resolved = resolve(&mirrored(&registry, &version), &engine, &env).await.unwrap();
    assert!(resolved.work().next().is_none(), "{:?}", resolved.images);
    // cert-manager is off in this profile, and the webhook has its certificate from it
    assert!(!resolved.operator_webhook && resolved.reasons.iter().any(|r| r.contains("needs cert-manager")));
    engine.remove_image(&name).await.unwrap();
}
