//! The way by containerd's API, against a fake of it.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tonic::Code;

use super::super::layer;
use super::super::{AppImage, base::sample};
use super::*;
use crate::event::{Event, EventSink};
use crate::image::containerd::fake::{Fake, Fault};
use crate::image::load::{Layer, chain_ids, sha256};

const NAME: &str = "h/library/orders:0123456789ab";

fn cx() -> (StepCx, tokio::sync::mpsc::UnboundedReceiver<Event>) {
    let (sink, events) = EventSink::channel();
    (StepCx::detached("image", sink, CancellationToken::new()), events)
}

fn image(content: &'static [u8]) -> AppImage {
    let digest = sha256(content);
    let config = format!(r#"{{"layer":"{digest}"}}"#).into_bytes();
    AppImage {
        name: "orders:0123456789ab".to_owned(),
        app: "orders".to_owned(),
        id: format!("sha256:{}", sha256(&config)),
        base: sample("b", &["aa", "bb"], serde_json::Value::Null),
        layers: vec![layer::Layer {
            title: "application".to_owned(),
            files: 1,
            size: content.len() as u64,
            digest,
            reused: false,
            content: Content::Memory(bytes::Bytes::from_static(content)),
        }],
        config,
    }
}

fn wanted(image: &AppImage) -> Wanted<'_> {
    let base = image.base.layers().into_iter().map(|digest| Layer { digest, size: 0 });
    let own = image.layers.iter().map(|own| Layer {
        digest: own.digest.clone(),
        size: own.size,
    });
    Wanted::new(image, NAME.to_owned(), base.chain(own).collect())
}

/// A node with the base.
fn node_with_base(image: &AppImage) -> Fake {
    let fake = Fake::start();
    let base: Vec<Layer> = wanted(image).layers[..2].to_vec();
    for chain in chain_ids(&base) {
        let snapshot = crate::image::containerd::fake::Snapshot {
            folder: String::new(),
            parent: String::new(),
            committed: true,
        };
        fake.state().snapshots.insert(chain, snapshot);
    }
    fake
}

async fn done(fake: &Fake, image: &AppImage) -> Done {
    let outcome = bring(&fake.node().await, &wanted(image), &cx().0).await.unwrap();
    let Outcome::Done(done) = outcome else {
        panic!("the image is not there");
    };
    done
}

async fn failure(fake: &Fake, image: &AppImage) -> Failure {
    match bring(&fake.node().await, &wanted(image), &cx().0).await {
        Err(failure) | Ok(Outcome::No(failure)) => failure,
        Ok(Outcome::Done(done)) => panic!("{done:?}"),
        Ok(Outcome::Large { .. }) => panic!("the base is missing"),
    }
}

/// No name, no lease, nothing half unpacked.
fn nothing_half(fake: &Fake) {
    let state = fake.state();
    assert!(!state.images.contains_key(NAME), "{:?}", state.images);
    assert!(state.leases.is_empty(), "{:?}", state.leases);
    assert!(state.snapshots.values().all(|s| s.committed), "{:?}", state.snapshots);
}

#[tokio::test]
async fn an_image_comes_with_its_layer_its_names_and_what_keeps_them() {
    let image = image(b"a layer");
    let fake = node_with_base(&image);
    let first = done(&fake, &image).await;
    assert_eq!(
        (first.way, first.by, first.layers, first.bytes),
        (Way::Layers, By::Api, 1, 7)
    );
    {
        let state = fake.state();
        let (manifest, labels) = &state.images[NAME];
        assert_eq!(state.images[&image.id].0, *manifest);
        assert_eq!(labels[APP_LABEL], "orders");
        assert_eq!(labels["dev.flink/image-id"], image.id);
        assert_eq!(labels["io.cri-containerd.image"], "managed");
        assert_eq!(state.images[&image.id].1["io.cri-containerd.image"], "managed");
        let wanted = wanted(&image);
        assert_eq!(
            state.blobs[&image.id].1["containerd.io/gc.ref.snapshot.overlayfs"],
            wanted.top()
        );
        let keeps = &state.blobs[manifest].1;
        assert_eq!(keeps["containerd.io/gc.ref.content.config"], image.id);
        assert_eq!(
            keeps["containerd.io/gc.ref.content.l.2"],
            format!("sha256:{}", image.layers[0].digest)
        );
        assert!(state.leases.is_empty());
    }
    let again = done(&fake, &image).await;
    assert_eq!((again.way, again.layers), (Way::Unchanged, 0));
    // what the node lost comes back: the name by which the kubelet finds it, the unpacked layer
    fake.state().images.remove(&image.id);
    assert_eq!(done(&fake, &image).await.way, Way::Layers);
    let top = wanted(&image).top().to_owned();
    fake.state().snapshots.remove(&top);
    assert_eq!(done(&fake, &image).await.layers, 1);
    assert_eq!(fake.files(&top), [image.layers[0].digest.clone()]);
}

#[tokio::test]
async fn older_builds_go_unless_something_uses_them_and_leftovers_of_killed_loads_go() {
    let image = image(b"a layer");
    let fake = node_with_base(&image);
    let old = [
        "h/library/orders:aaaaaaaaaaaa",
        "h/library/orders:bbbbbbbbbbbb",
        "flink-dev.load/0:latest",
    ];
    let foreign = "h/library/orders:cccccccccccc";
    {
        let mut state = fake.state();
        let ours = BTreeMap::from([(APP_LABEL.to_owned(), "orders".to_owned())]);
        let others = ("sha256:others".to_owned(), BTreeMap::new());
        state.images.insert(foreign.to_owned(), others);
        for name in old {
            state
                .images
                .insert(name.to_owned(), ("sha256:old".to_owned(), ours.clone()));
        }
        state.containers.push(old[1].to_owned());
        state.leases.insert("of a killed load".to_owned());
    }
    assert_eq!(done(&fake, &image).await.removed, [old[0]]);
    let state = fake.state();
    assert!(!state.images.contains_key(old[0]) && !state.images.contains_key(old[2]));
    assert!(state.images.contains_key(old[1]), "a container uses it");
    assert!(state.images.contains_key(foreign), "somebody else loaded it");
    assert!(state.leases.is_empty());
}

#[tokio::test]
async fn what_a_load_that_was_killed_after_it_had_loaded_left_goes_with_the_next_one() {
    let image = image(b"a layer");
    let fake = node_with_base(&image);
    done(&fake, &image).await;
    let old = "h/library/orders:aaaaaaaaaaaa";
    let ours = BTreeMap::from([(APP_LABEL.to_owned(), "orders".to_owned())]);
    let older = ("sha256:old".to_owned(), ours);
    fake.state().images.insert(old.to_owned(), older);
    let again = done(&fake, &image).await;
    assert_eq!((again.way, again.removed), (Way::Unchanged, vec![old.to_owned()]));
    assert!(!fake.state().images.contains_key(old));
}

#[tokio::test]
async fn without_the_base_it_is_told_and_nothing_is_done() {
    let image = image(b"a layer");
    let fake = Fake::start();
    let outcome = bring(&fake.node().await, &wanted(&image), &cx().0).await.unwrap();
    assert!(matches!(outcome, Outcome::Large { cold: true }));
    assert!(fake.state().blobs.is_empty() && fake.state().leases.is_empty());
}

#[tokio::test]
async fn wrong_bytes_are_not_taken() {
    let mut image = image(b"a layer");
    let fake = node_with_base(&image);
    image.layers[0].content = Content::Memory(bytes::Bytes::from_static(b"a rayel"));
    let failure = failure(&fake, &image).await;
    assert_eq!(failure.id(), Reason::ImageLoadFailed);
    assert!(
        failure.detail().evidence[0].contains("unexpected commit digest"),
        "{failure:?}"
    );
    nothing_half(&fake);
}

#[tokio::test]
async fn each_refusal_is_told_and_leaves_nothing_half() {
    for method in [
        "Content/Write",
        "Snapshots/Prepare",
        "Diff/Apply",
        "Snapshots/Commit",
        "Images/Create",
    ] {
        let image = image(b"a layer");
        let fake = node_with_base(&image);
        let full = Fault::Refuse(Code::Unknown, "write /x: no space left on device");
        fake.state().faults.insert(method, full);
        let failure = failure(&fake, &image).await;
        assert!(
            failure.detail().evidence[0].contains("no space left"),
            "{method}: {failure:?}"
        );
        assert!(
            failure.to_string().contains("containerd of node could not"),
            "{failure}"
        );
        nothing_half(&fake);
        // the next load repairs
        fake.state().faults.clear();
        assert_eq!(done(&fake, &image).await.way, Way::Layers, "{method}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_containerd_that_hangs_is_told_with_what_it_did_not_do() {
    for (method, what) in [("Images/List", "list its images"), ("Diff/Apply", "unpack a layer")] {
        let image = image(b"a layer");
        let fake = node_with_base(&image);
        fake.state().faults.insert(method, Fault::Hang);
        let failure = failure(&fake, &image).await;
        assert_eq!(failure.id(), Reason::TimedOut, "{failure:?}");
        assert!(
            failure.to_string().contains(&format!("hangs: it did not {what}")),
            "{failure}"
        );
        assert!(failure.detail().next[1].contains("systemctl restart containerd"));
        assert!(!fake.state().images.contains_key(NAME));
    }
}

#[tokio::test(start_paused = true)]
async fn an_image_that_the_kubelet_does_not_see_has_no_name_in_the_end() {
    let image = image(b"a layer");
    let fake = node_with_base(&image);
    let blind = Fault::Refuse(Code::NotFound, "no image");
    fake.state().faults.insert("ImageService/ImageStatus", blind);
    let start = tokio::time::Instant::now();
    let failure = failure(&fake, &image).await;
    assert!(
        failure.detail().evidence[0].contains("the kubelet does not see it"),
        "{failure:?}"
    );
    assert!(
        start.elapsed() > Duration::from_secs(10),
        "it hears of images by events"
    );
    nothing_half(&fake);
}
