use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::cap::least_recent;
use super::node::{NodeImage, parse};
use super::plan::plan;
use super::*;
use crate::image::{APP_LABEL, INPUTS_LABEL};

const NODE: &str = "dev-control-plane";
const OLD: &str = "orders:0000000000aa";
const NEW: &str = "orders:0000000000bb";

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000)
}

fn image(id: &str, names: &[&str], created: i64, label: Option<&str>) -> EngineImage {
    EngineImage {
        id: format!("sha256:{id}"),
        names: names.iter().map(|n| (*n).to_owned()).collect(),
        size: 100,
        created,
        tagged: 0,
        labels: label.map(|l| (l.to_owned(), "orders".to_owned())).into_iter().collect(),
        in_use: false,
    }
}

fn in_node(name: &str, id: &str) -> NodeImage {
    NodeImage {
        name: format!("hub.example/library/{name}"),
        digest: format!("sha256:m{id}"),
        bytes: 100,
        id: if id.is_empty() {
            String::new()
        } else {
            format!("sha256:{id}")
        },
    }
}

fn cached(id: &str, layers: &[&str]) -> CachedImage {
    let layers: Vec<String> = layers.iter().map(|l| (*l).to_owned()).collect();
    CachedImage {
        id: id.to_owned(),
        blobs: layers.iter().cloned().chain([format!("config-{id}")]).collect(),
        layers,
    }
}

/// Files of the cache: name, size, seconds since they were used.
fn files(all: &[(&str, u64, u64)]) -> BTreeMap<String, CachedFile> {
    let file = |(name, size, age): &(&str, u64, u64)| {
        let used = now() - Duration::from_secs(*age);
        ((*name).to_owned(), CachedFile { size: *size, used })
    };
    all.iter().map(file).collect()
}

/// Two builds of `orders`, an image of the user's, one of `dev`'s own; all in the node.
fn inventory() -> Inventory {
    Inventory {
        engine: vec![
            image("aa", &[OLD], 1, Some(APP_LABEL)),
            image("bb", &[NEW], 2, Some(APP_LABEL)),
            image("cc", &["mine:1"], 1, None),
            image("dd", &["flink:2"], 1, Some(INPUTS_LABEL)),
        ],
        nodes: vec![NodeStock {
            node: NODE.to_owned(),
            images: vec![
                in_node(OLD, "aa"),
                in_node(NEW, "bb"),
                in_node("mine:1", "cc"),
                in_node("other:000000000000", ""),
            ],
            ..NodeStock::default()
        }],
        cache: CacheStock {
            images: vec![
                cached("aa", &["base", "a"]),
                cached("bb", &["base", "b"]),
                cached("gone", &["base", "g"]),
            ],
            files: files(&[
                ("base", 1000, 5000),
                ("a", 10, 5000),
                ("b", 10, 5000),
                ("g", 500, 9000),
                ("stray", 7, 8000),
                ("young", 7, 1),
            ]),
        },
        registry: "hub.example".to_owned(),
        ..Inventory::default()
    }
}

fn things(inventory: &Inventory) -> Vec<String> {
    plan(inventory, None, now())
        .items
        .iter()
        .map(|item| item.thing.to_string())
        .collect()
}

#[test]
fn only_what_is_ours_and_unused_is_stale() {
    let found = things(&inventory());
    let expected = [
        format!("engine  {OLD}"),
        format!("node    hub.example/library/{OLD} in {NODE}"),
        "cache   image gone".to_owned(),
        "cache   layer g".to_owned(),
        "cache   layer stray".to_owned(),
    ];
    assert_eq!(found, expected);
    // the user's own images are in no plan, whatever they look like
    let mut other = inventory();
    other.engine.iter_mut().for_each(|image| image.labels.clear());
    assert!(
        !things(&other)
            .iter()
            .any(|t| t.starts_with("engine") || t.starts_with("node"))
    );
}

#[test]
fn what_a_pod_or_a_container_uses_stays() {
    let mut used = inventory();
    used.nodes[0].used.insert(format!("hub.example/library/{OLD}"));
    assert!(!things(&used).iter().any(|t| t.contains(OLD)), "{:?}", things(&used));
    let mut used = inventory();
    used.engine[0].in_use = true;
    let found = things(&used);
    assert!(!found.contains(&format!("engine  {OLD}")), "{found:?}");
}

#[test]
fn the_newest_build_is_the_one_that_got_its_name_last() {
    // what was built before came out of the engine's cache and is wanted again
    let mut back = inventory();
    back.engine[0].tagged = 5;
    let found = things(&back);
    assert!(
        found.contains(&format!("engine  {NEW}")) && !found.contains(&format!("engine  {OLD}")),
        "{found:?}"
    );
    // images that are made the same way each time have no time of their own
    back.engine[0].tagged = 0;
    back.engine[0].created = 2;
    assert!(
        !things(&back).iter().any(|t| t.contains("orders")),
        "{:?}",
        things(&back)
    );
    let asked: Vec<String> = back
        .older_builds_of(&[OLD.to_owned()])
        .items
        .iter()
        .map(|i| i.thing.to_string())
        .collect();
    assert_eq!(
        asked,
        [
            format!("node    hub.example/library/{NEW} in {NODE}"),
            format!("engine  {NEW}")
        ]
    );
}

#[test]
fn leftovers_of_killed_processes_are_ours() {
    let mut left = inventory();
    left.engine.push(image(
        "ee",
        &["127.0.0.1:4000/flink-dev/push:cc", "flink-dev/unnamed:12"],
        3,
        None,
    ));
    left.engine.push(image("ff", &[], 3, Some(INPUTS_LABEL)));
    left.engine.push(image("fe", &[], 3, None));
    left.nodes[0].unnamed.push("sha256:0123456789abcdef".to_owned());
    let found = things(&left);
    for expected in [
        "engine  127.0.0.1:4000/flink-dev/push:cc",
        "engine  flink-dev/unnamed:12",
        "node    0123456789ab in dev-control-plane",
    ] {
        assert!(found.contains(&expected.to_owned()), "{expected}: {found:?}");
    }
    // labels are inherited: an image without a name may be a user's, FROM one of ours
    assert!(!found.iter().any(|t| t.contains("sha256:f")), "{found:?}");
}

#[test]
fn a_build_that_only_a_node_has_stays() {
    // the engine has not heard of the newest builds there, or another cluster's node did not get this one
    let mut elsewhere = inventory();
    let mut other = elsewhere.nodes[0].clone();
    other.node = "other-control-plane".to_owned();
    other.images.retain(|image| !image.name.ends_with(NEW));
    other.used.clear();
    elsewhere.nodes[0].used.clear();
    assert!(
        things(&elsewhere)
            .iter()
            .any(|t| t.ends_with(&format!("{OLD} in {NODE}")))
    );
    elsewhere.nodes.push(other);
    let found = things(&elsewhere);
    assert!(!found.iter().any(|t| t.contains("other-control-plane")), "{found:?}");
    // nor does the engine lose what that node would be given again
    assert!(!found.contains(&format!("engine  {OLD}")), "{found:?}");
}

#[test]
fn a_newer_build_that_only_a_node_has_stays_beside_the_engines_older_one() {
    // the engine lost the newest build, and a pod runs the one before it
    const NEWER: &str = "orders:0000000000cc";
    let mut lost = inventory();
    lost.nodes[0].images.push(in_node(NEWER, "ee"));
    lost.nodes[0].used.insert(format!("hub.example/library/{NEW}"));
    let found = things(&lost);
    assert!(!found.iter().any(|thing| thing.contains(NEWER)), "{found:?}");
    assert!(found.iter().any(|thing| thing.contains(OLD)), "{found:?}");
    // a build that was made just now is newer than all others, whoever has them
    let asked = lost.older_builds_of(&[NEW.to_owned()]);
    assert!(
        asked.items.iter().any(|item| item.thing.to_string().contains(NEWER)),
        "{asked:?}"
    );
}

#[test]
fn layers_that_a_node_has_or_may_have_stay() {
    let mut linked = inventory();
    linked.nodes[0].blobs.insert("stray".to_owned());
    assert!(!things(&linked).contains(&"cache   layer stray".to_owned()));
    let mut silent = inventory();
    silent.silent.push("other-control-plane".to_owned());
    let plan = plan(&silent, None, now());
    assert!(!plan.items.iter().any(|i| matches!(i.thing, Thing::Layer { .. })));
    assert!(
        plan.notes[0].contains("other-control-plane does not answer"),
        "{:?}",
        plan.notes
    );
}

#[test]
fn over_the_cap_the_longest_unused_goes_first_and_what_is_needed_stays() {
    let inventory = inventory();
    let all = inventory.cache.bytes();
    assert!(least_recent(&inventory, all, now()).is_empty());
    assert_eq!(least_recent(&inventory, all - 1, now()), ["g"]);
    assert_eq!(least_recent(&inventory, all - 501, now()), ["g", "stray"]);
    assert_eq!(least_recent(&inventory, 0, now()), ["g", "stray"], "the rest is needed");
    let plan = plan(&inventory, Some(100), now());
    assert!(plan.notes[0].contains("more than its cap"), "{:?}", plan.notes);
    assert_eq!(plan.cache_bytes(), 507);
}

#[test]
fn rows_tell_where_an_image_is_and_what_it_shares() {
    let all = rows(&inventory(), false);
    let row = |name: &str| all.iter().find(|row| row.name == name);
    let new = row(NEW).unwrap();
    assert_eq!(
        (new.engine, new.cached, new.shared, &new.stale),
        (true, 1010, 1000, &None)
    );
    assert_eq!(
        new.nodes,
        [Place {
            node: NODE.to_owned(),
            current: true,
            used: false
        }]
    );
    assert!(row(OLD).unwrap().stale.is_some());
    // what others loaded is shown only when all is asked for
    assert!(row("hub.example/library/other:000000000000").is_none());
    assert!(rows(&inventory(), true).iter().any(|row| row.name.contains("other:")));
}

#[test]
fn a_nodes_stock_is_read() {
    let text = "== images\nREF TYPE DIGEST SIZE PLATFORMS LABELS\n\
        r/a:1 application/x sha256:aa 1.5 MiB linux/amd64 dev.flink/image-id=sha256:1,io.cri-containerd.image=managed\n\
        r/b:1 application/x sha256:bb 10 B linux/amd64 -\n\
        flink-dev.load/0:latest application/x sha256:cc 1.0 MiB linux/amd64 -\n\
        sha256:1 application/x sha256:aa 1.0 MiB linux/amd64 io.cri-containerd.image=managed\n\
        == containers\nCONTAINER IMAGE RUNTIME\n0823 r/a:1 io.containerd.runc.v2\n== blobs\nsha256:aa\n";
    let stock = parse("n", text);
    let expected = [("r/a:1", 1_572_864, "sha256:1"), ("r/b:1", 10, "")];
    let found: Vec<_> = stock
        .images
        .iter()
        .map(|i| (i.name.as_str(), i.bytes, i.id.as_str()))
        .collect();
    assert_eq!(found, expected);
    assert_eq!(stock.used, BTreeSet::from(["r/a:1".to_owned()]));
    assert_eq!(stock.blobs, BTreeSet::from(["aa".to_owned()]));
}
