//! Images of the cache by containerd's API, against a fake of it.

use tokio_util::sync::CancellationToken;

use super::*;
use crate::event::{EventKind, EventSink};
use crate::image::containerd::fake::{Fake, Fault, layer};
use crate::image::load::sha256;

fn image(layers: &[(&str, u64)]) -> Image {
    Image {
        reference: "r".to_owned(),
        id: "sha256:i".to_owned(),
        config: Vec::new(),
        layers: layers
            .iter()
            .map(|(name, size)| Layer {
                digest: sha256(name.as_bytes()),
                size: *size,
            })
            .collect(),
    }
}

#[test]
fn what_several_images_share_is_unpacked_once_and_the_largest_first() {
    let images = [
        image(&[("debian", 120), ("jre", 230), ("kafka", 110)]),
        image(&[("debian", 120), ("jre", 230), ("flink", 490)]),
    ];
    let chains: Vec<Vec<String>> = images.iter().map(|image| chain_ids(&image.layers)).collect();
    let all = pieces(&images, &chains, &BTreeSet::new());
    let sizes = |pieces: &[Piece]| pieces.iter().map(|piece| piece.layer.size).collect::<Vec<_>>();
    assert_eq!(sizes(&all), [490, 230, 120, 110]);
    assert_eq!(all[0].parent, chains[0][1]);
    assert_eq!(all[2].parent, "");
    let rest = pieces(&images, &chains, &chains[0].iter().cloned().collect());
    assert_eq!(sizes(&rest), [490]);
}

struct World {
    fake: Fake,
    dir: tempfile::TempDir,
    cache: Cache,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            fake: Fake::start(),
            cache: Cache::at(dir.path(), "h"),
            dir,
        }
    }

    fn image(&self, name: &str, layers: &[&str]) -> Image {
        let config = format!(r#"{{"name":"{name}"}}"#).into_bytes();
        Image {
            reference: name.to_owned(),
            id: format!("sha256:{}", sha256(&config)),
            config,
            layers: layers
                .iter()
                .map(|layer_name| layer(&self.dir.path().join("blobs/sha256"), layer_name))
                .collect(),
        }
    }

    async fn bring(&self, images: &[Image]) -> (Result<()>, LoadReport, Vec<u64>) {
        let (sink, mut events) = EventSink::channel();
        let cx = StepCx::detached("load", sink, CancellationToken::new());
        let mut report = LoadReport::default();
        let done = bring(&self.fake.node().await, &self.cache, images, &mut report, &cx).await;
        let mut progress = Vec::new();
        while let Ok(event) = events.try_recv() {
            if let EventKind::StepProgress { done, .. } = event.kind {
                progress.push(done);
            }
        }
        (done, report, progress)
    }
}

#[tokio::test]
async fn all_images_come_with_each_layer_over_the_right_one() {
    let world = World::new();
    let images = [
        world.image("kafka", &["debian", "jre", "kafka"]),
        // an entry whose folder is not told: it waits for the layers below it
        world.image("flink", &["debian", "jre", "opt/flink"]),
    ];
    let (done, report, progress) = world.bring(&images).await;
    done.unwrap();
    assert_eq!(report.layers, 4);
    assert_eq!(progress.last(), Some(&report.bytes));
    for image in &images {
        let chains = chain_ids(&image.layers);
        for (n, (layer, chain)) in image.layers.iter().zip(&chains).enumerate() {
            let parent = n.checked_sub(1).map_or("", |below| &chains[below]);
            assert_eq!(world.fake.state().snapshots[chain].parent, parent);
            assert_eq!(world.fake.files(chain), std::slice::from_ref(&layer.digest));
        }
        let state = world.fake.state();
        assert_eq!(state.images[&image.reference].1[ID_LABEL], image.id);
        assert_eq!(state.images[&image.id].0, state.images[&image.reference].0);
        assert!(state.leases.is_empty());
        assert_eq!(state.snapshots.len(), 4, "{:?}", state.snapshots);
    }
    let (done, report, _) = world.bring(&images).await;
    done.unwrap();
    assert_eq!(report.layers, 0, "all of it is there");
}

#[tokio::test]
async fn layers_that_are_wrong_in_the_cache_are_refused_and_not_left_in_the_node() {
    let world = World::new();
    let image = world.image("flink", &["debian", "flink"]);
    let file = world.cache.blob(&image.layers[1].digest);
    let mut bytes = fs_err::read(&file).unwrap();
    bytes[0] ^= 1;
    // another file: the node's may be the same one under another name
    fs_err::remove_file(&file).unwrap();
    fs_err::write(&file, &bytes).unwrap();
    let (done, ..) = world.bring(std::slice::from_ref(&image)).await;
    let failure = done.unwrap_err();
    assert!(failure.detail().evidence[0].contains("have the digest"), "{failure:?}");
    let state = world.fake.state();
    assert!(!state.images.contains_key("flink"), "half an image has a name");
    assert!(!state.blobs.contains_key(&format!("sha256:{}", image.layers[1].digest)));
    assert!(state.leases.is_empty());
}

#[tokio::test]
async fn a_store_that_takes_no_files_gets_the_bytes_from_containerd() {
    let world = World::new();
    let image = world.image("flink", &["debian", "flink"]);
    let store = world
        .fake
        .path("/var/lib/containerd/io.containerd.content.v1.content/blobs/sha256");
    // laid where nobody looks
    fs_err::rename(&store, store.with_extension("old")).unwrap();
    fs_err::write(&store, "no folder").unwrap();
    world
        .fake
        .state()
        .faults
        .insert("Content/Write", Fault::Refuse(tonic::Code::Unknown, "disk"));
    let (done, ..) = world.bring(std::slice::from_ref(&image)).await;
    assert!(done.unwrap_err().detail().evidence[0].contains("disk"));
    fs_err::remove_file(&store).unwrap();
    fs_err::rename(store.with_extension("old"), &store).unwrap();
    world.fake.state().faults.clear();
    let (done, report, _) = world.bring(std::slice::from_ref(&image)).await;
    done.unwrap();
    assert_eq!(report.layers, 2);
}
