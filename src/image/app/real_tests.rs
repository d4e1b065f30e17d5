//! On a real engine and a real node's containerd: `cargo test --lib image::app -- --ignored --test-threads=1`.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::*;
use crate::engine::StepCx;
use crate::event::{Event, EventKind, EventSink};
use crate::image::load::real_tests::{Node, docker};

/// A base that is small and always there after a build of the default profile.
const BASE: &str = "debian:bookworm-slim";

struct World {
    engine: Engine,
    env: Env,
    cx: StepCx,
    events: tokio::sync::mpsc::UnboundedReceiver<Event>,
}

impl World {
    async fn new() -> Self {
        let env = Env::from_process();
        let (sink, events) = EventSink::channel();
        Self {
            engine: Engine::connect(&env).await.unwrap(),
            env,
            cx: StepCx::detached("image", sink, CancellationToken::new()),
            events,
        }
    }

    async fn build(&self, base: &str, app: &str, files: &[(&str, Vec<u8>)]) -> AppImage {
        let group = |(target, bytes): &(&str, Vec<u8>)| Group {
            title: (*target).to_owned(),
            files: vec![File {
                target: (*target).to_owned(),
                source: Source::Bytes(bytes.clone().into()),
                mode: 0o644,
            }],
        };
        let spec = Spec {
            name: app.to_owned(),
            groups: files.iter().map(group).collect(),
            env: BTreeMap::new(),
            labels: BTreeMap::new(),
        };
        let base = Base::find(&self.engine, base).await.unwrap();
        assemble(&self.engine, &self.env, &base, &spec).await.unwrap()
    }

    async fn deliver(&self, image: &AppImage, node: &str, engine: bool) -> Result<Delivery> {
        let targets = Targets {
            nodes: vec![node.to_owned()],
            engine,
        };
        deliver(&self.engine, &self.env, image, &targets, &self.cx).await
    }

    /// From now on nodes are spoken to by programs in them only.
    fn by_exec(&mut self) {
        self.env.vars.insert("FLINK_DEV_NODE_API".to_owned(), "off".to_owned());
    }

    async fn reference(&self, name: &str) -> String {
        crate::image::load::normalize(name, self.engine.default_registry().await.unwrap())
    }

    fn notes(&mut self) -> Vec<String> {
        let mut notes = Vec::new();
        while let Ok(event) = self.events.try_recv() {
            if let EventKind::Note { message } = event.kind {
                notes.push(message);
            }
        }
        notes
    }
}

async fn sh(node: &str, script: &str) -> String {
    docker(&["exec", "--privileged", node, "sh", "-c", script]).await
}

/// Names of builds of an application in a node.
async fn builds(node: &str, app: &str) -> Vec<String> {
    let text = sh(node, &format!("ctr -n k8s.io images ls -q | grep '/{app}:'")).await;
    text.lines().map(str::to_owned).collect()
}

/// Waits until a number in the node, which containerd's garbage collector makes smaller, is what it was.
async fn comes_down_to(node: &str, script: &str, expected: usize) {
    let mut last = 0;
    for _ in 0..600 {
        last = sh(node, script).await.trim().parse().unwrap();
        if last <= expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("`{script}`: {last}, before it was {expected}");
}

const SNAPSHOTS: &str = "ctr -n k8s.io snapshots ls | grep -c Committed";
const BLOBS: &str = "ctr -n k8s.io content ls -q | wc -l";

async fn remove_from_engine(app: &str) {
    let names = docker(&["images", "--format", "{{.Repository}}:{{.Tag}}", app]).await;
    for name in names.lines() {
        docker(&["rmi", name]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a real Docker engine"]
async fn the_same_files_are_the_same_image_in_node_and_engine() {
    // of a run that was killed
    remove_from_engine("dev-test-same").await;
    let mut world = World::new().await;
    let node = Node::start("flink-dev-test-app").await;
    let files = [
        ("/opt/dev/usrlib/dep.jar", vec![1; 30_000]),
        ("/opt/dev/usrlib/app.jar", vec![2; 20_000]),
    ];
    let image = world.build(BASE, "dev-test-same", &files).await;
    assert_eq!(world.build(BASE, "dev-test-same", &files).await.id, image.id);
    // the base is not there yet
    let first = world.deliver(&image, node.0, true).await.unwrap();
    assert_eq!(first.nodes[0].way, Way::Files, "{first:?}");
    assert_eq!(first.engine.unwrap().way, Way::Layers);
    let again = world.deliver(&image, node.0, true).await.unwrap();
    assert_eq!((again.nodes[0].way, again.nodes[0].bytes), (Way::Unchanged, 0));
    assert_eq!(again.engine.unwrap().way, Way::Unchanged);
    // one layer changed: that one travels
    let changed = [files[0].clone(), ("/opt/dev/usrlib/app.jar", vec![3; 20_000])];
    let next = world.build(BASE, "dev-test-same", &changed).await;
    assert_eq!(next.layers[0].digest, image.layers[0].digest);
    let second = world.deliver(&next, node.0, true).await.unwrap();
    assert_eq!(
        (second.nodes[0].way, second.nodes[0].layers),
        (Way::Layers, 1),
        "{second:?}"
    );
    assert_eq!(second.nodes[0].removed, [world.reference(&image.name).await]);
    assert_eq!(second.engine.unwrap().removed, std::slice::from_ref(&image.name));
    assert_eq!(world.notes(), Vec::<String>::new());
    // node and engine see the same files, owners and permissions, old folders as the base has them
    let look = "cd $R/opt && find . -exec stat -c '%n %u:%g %a %s' {} + | sort && sha256sum dev/usrlib/* && stat -c '%u:%g %a' .";
    let reference = world.reference(&next.name).await;
    let inside = sh(
        node.0,
        &format!(
            "mkdir -p /mnt/x && ctr -n k8s.io images mount {reference} /mnt/x >/dev/null && (R=/mnt/x; {look}); \
             ctr -n k8s.io images unmount --rm /mnt/x >/dev/null"
        ),
    )
    .await;
    let engine = docker(&[
        "run", "--rm", "--user", "0", "--env", "R=", &next.name, "sh", "-c", look,
    ])
    .await;
    assert!(inside.contains("./dev/usrlib/app.jar 9999:9999 644 20000"), "{inside}");
    assert!(inside.contains("./dev/usrlib 9999:9999 755"), "{inside}");
    assert!(inside.trim_end().ends_with("0:0 755"), "{inside}");
    assert_eq!(inside, engine);
    let id = docker(&["image", "inspect", "--format", "{{.Id}}", &next.name]).await;
    assert_eq!(id.trim(), next.id);
    // what the node was given, and what it was reset to
    sh(node.0, &format!("ctr -n k8s.io images rm {reference} {}", next.id)).await;
    let back = world.deliver(&next, node.0, false).await.unwrap();
    assert_ne!(back.nodes[0].way, Way::Unchanged);
    assert_eq!(builds(node.0, "dev-test-same").await, [reference]);
    remove_from_engine("dev-test-same").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a real Docker engine"]
async fn fifty_builds_leave_one_image_and_no_snapshot_more() {
    // of a run that was killed
    remove_from_engine("dev-test-fifty").await;
    let world = World::new().await;
    let node = Node::start("flink-dev-test-fifty").await;
    let build = async |n: u32| {
        let file = ("/opt/app.jar", n.to_le_bytes().repeat(2000));
        let image = world.build(BASE, "dev-test-fifty", &[file]).await;
        world.deliver(&image, node.0, true).await.unwrap();
        image
    };
    build(0).await;
    let number = async |script: &str| sh(node.0, script).await.trim().parse::<usize>().unwrap();
    let (snapshots, blobs) = (number(SNAPSHOTS).await, number(BLOBS).await);
    let mut last = None;
    for n in 1..=50 {
        last = Some(build(n).await);
    }
    let last = last.unwrap();
    assert_eq!(
        builds(node.0, "dev-test-fifty").await,
        [world.reference(&last.name).await]
    );
    comes_down_to(node.0, SNAPSHOTS, snapshots).await;
    comes_down_to(node.0, BLOBS, blobs).await;
    let in_engine = docker(&["images", "--format", "{{.Repository}}:{{.Tag}}", "dev-test-fifty"]).await;
    assert_eq!(in_engine.trim(), last.name);
    remove_from_engine("dev-test-fifty").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a real Docker engine"]
async fn a_build_that_something_uses_stays_until_nothing_does() {
    // of a run that was killed
    docker(&["rm", "-f", "dev-test-user"]).await;
    remove_from_engine("dev-test-used").await;
    let world = World::new().await;
    let node = Node::start("flink-dev-test-used").await;
    let build = async |n: u8| {
        let image = world
            .build(BASE, "dev-test-used", &[("/opt/app.jar", vec![n; 1000])])
            .await;
        let delivery = world.deliver(&image, node.0, true).await.unwrap();
        (image, delivery)
    };
    let (old, _) = build(1).await;
    let reference = world.reference(&old.name).await;
    sh(node.0, &format!("ctr -n k8s.io containers create {reference} user")).await;
    docker(&["create", "--name", "dev-test-user", &old.name, "true"]).await;
    // names that look like builds: an image of somebody else, and a build that was killed before it got its label
    let (others, killed) = (
        world.reference("dev-test-used:aaaaaaaaaaaa").await,
        world.reference("dev-test-used:bbbbbbbbbbbb").await,
    );
    let script = format!(
        "c() {{ ctr -n k8s.io images \"$@\"; }}; c tag $(c ls -q | grep -m 1 '^registry.k8s.io/') {others} && \
         c tag {reference} {killed} && c label {killed} {APP_LABEL}="
    );
    sh(node.0, &script).await;
    assert_eq!(builds(node.0, "dev-test-used").await.len(), 3);
    let (_, second) = build(2).await;
    assert_eq!(second.nodes[0].removed, [killed]);
    assert_eq!(second.engine.unwrap().removed, Vec::<String>::new());
    assert!(builds(node.0, "dev-test-used").await.contains(&reference));
    sh(node.0, "ctr -n k8s.io containers rm user").await;
    docker(&["rm", "dev-test-user"]).await;
    let (last, third) = build(3).await;
    assert_eq!(third.nodes[0].removed.len(), 2, "{third:?}");
    assert_eq!(third.engine.unwrap().removed.len(), 2);
    let mut left = builds(node.0, "dev-test-used").await;
    left.retain(|name| *name != others);
    assert_eq!(left, [world.reference(&last.name).await]);
    assert!(builds(node.0, "dev-test-used").await.contains(&others));
    remove_from_engine("dev-test-used").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a real Docker engine"]
async fn what_the_base_removed_stays_removed() {
    // of a run that was killed
    remove_from_engine("dev-test-whiteout").await;
    remove_from_engine("dev-test-whiteout-base").await;
    let world = World::new().await;
    let node = Node::start("flink-dev-test-whiteout").await;
    // a file that went, a folder that was made anew, and a link, all in layers below
    let dir = tempfile::tempdir().unwrap();
    let text = format!(
        "FROM {BASE}\nRUN mkdir -p /opt/a /opt/b && touch /opt/a/gone /opt/a/stays /opt/b/old\n\
         RUN rm /opt/a/gone && rm -r /opt/b && mkdir -m 750 /opt/b && touch /opt/b/new && ln -s stays /opt/a/link\n"
    );
    fs_err::write(dir.path().join("Dockerfile"), text).unwrap();
    let path = dir.path().display().to_string();
    docker(&["build", "-q", "-t", "dev-test-whiteout-base:1", &path]).await;
    let file = [("/opt/b/app.jar", vec![5; 1000])];
    let image = world
        .build("dev-test-whiteout-base:1", "dev-test-whiteout", &file)
        .await;
    world.deliver(&image, node.0, true).await.unwrap();
    let look = "cd $R/opt && find . -exec stat -c '%N %u:%g %a %s' {} + | grep -v '\\./dev' | sort";
    let reference = world.reference(&image.name).await;
    let inside = sh(
        node.0,
        &format!(
            "mkdir -p /mnt/x && ctr -n k8s.io images mount {reference} /mnt/x >/dev/null && (R=/mnt/x; {look}); \
             ctr -n k8s.io images unmount --rm /mnt/x >/dev/null"
        ),
    )
    .await;
    let engine = docker(&["run", "--rm", "--env", "R=", &image.name, "sh", "-c", look]).await;
    assert_eq!(inside, engine);
    for (path, there) in [
        ("a/gone", false),
        ("a/stays", true),
        ("a/link", true),
        ("b/old", false),
        ("b/new", true),
    ] {
        assert_eq!(inside.contains(path), there, "{path}: {inside}");
    }
    // an entry of the layer has not changed the base's folder
    assert!(inside.contains("'./b' 0:0 750"), "{inside}");
    remove_from_engine("dev-test-whiteout").await;
    docker(&["rmi", "dev-test-whiteout-base:1"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a real Docker engine"]
async fn a_build_that_is_cut_off_leaves_nothing_half() {
    let world = World::new().await;
    let node = Node::start("flink-dev-test-cut").await;
    let first = world
        .build(BASE, "dev-test-cut", &[("/opt/app.jar", vec![0; 3_000_000])])
        .await;
    world.deliver(&first, node.0, false).await.unwrap();
    for (n, after) in [20, 60, 80, 100, 120, 140, 160, 180, 220, 300].into_iter().enumerate() {
        let bytes = vec![u8::try_from(n).unwrap() + 1; 3_000_000];
        let image = world.build(BASE, "dev-test-cut", &[("/opt/app.jar", bytes)]).await;
        let load = world.deliver(&image, node.0, false);
        let cut = tokio::time::timeout(Duration::from_millis(after), load).await.is_err();
        // the node's side may be at work for a moment more: the lock tells when it is done
        sh(node.0, "flock -w 60 /run/flink-dev-load.lock true").await;
        let names = builds(node.0, "dev-test-cut").await;
        let checked = sh(node.0, "ctr -n k8s.io images check -q | grep '/dev-test-cut:'").await;
        let whole: Vec<&str> = checked.lines().collect();
        assert_eq!(names, whole, "after {after} ms (cut: {cut})");
        assert!(!names.is_empty(), "the image of before is gone");
        let done = world.deliver(&image, node.0, false).await.unwrap();
        assert!(matches!(done.nodes[0].way, Way::Layers | Way::Unchanged), "{done:?}");
    }
    assert_eq!(builds(node.0, "dev-test-cut").await.len(), 1);
    let left = sh(
        node.0,
        "ls -d /run/flink-dev-app /var/lib/containerd/.flink-dev-app 2>&1 | grep -vc 'No such'",
    )
    .await;
    assert_eq!(left.trim(), "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a real Docker engine"]
async fn a_full_node_says_so_and_keeps_what_it_had() {
    let world = World::new().await;
    // the base takes about 170 MB, as layer and unpacked
    let node = Node::start_with(
        "flink-dev-test-full",
        &["--tmpfs", "/var/lib/containerd:size=300m,exec,dev,suid"],
    )
    .await;
    let old = world
        .build(BASE, "dev-test-full", &[("/opt/app.jar", vec![1; 1000])])
        .await;
    world.deliver(&old, node.0, false).await.unwrap();
    let used = async || -> u64 {
        let text = sh(node.0, "df -Pk /var/lib/containerd | tail -n 1").await;
        text.split_whitespace().nth(2).unwrap().parse().unwrap()
    };
    let before = used().await;
    let large: Vec<u8> = (0..150_000_000_u32).map(|n| (n >> 3) as u8).collect();
    let intact = async |image: &AppImage| {
        let checked = sh(node.0, "ctr -n k8s.io images check -q | grep '/dev-test-full:'").await;
        assert_eq!(checked.trim(), world.reference(&image.name).await);
        assert_eq!(
            builds(node.0, "dev-test-full").await.len(),
            1,
            "half an image is listed"
        );
    };
    // too large for the disk: found out while it is written
    let image = world.build(BASE, "dev-test-full", &[("/opt/app.jar", large)]).await;
    let failure = world.deliver(&image, node.0, false).await.unwrap_err();
    assert_eq!(failure.id(), Reason::DiskShort, "{failure:?}");
    intact(&old).await;
    // no room for anything: found out before anything is written
    let free = sh(node.0, "df -Pk /var/lib/containerd | tail -n 1").await;
    let free: u64 = free.split_whitespace().nth(3).unwrap().parse().unwrap();
    let fill = format!("head -c {}k /dev/zero >/var/lib/containerd/fill", free - 10_000);
    sh(node.0, &fill).await;
    let small = world
        .build(BASE, "dev-test-full", &[("/opt/app.jar", vec![2; 100_000])])
        .await;
    let failure = world.deliver(&small, node.0, false).await.unwrap_err();
    assert_eq!(failure.id(), Reason::DiskShort, "{failure:?}");
    assert!(
        failure.detail().evidence.join(" ").contains("MB are free"),
        "{failure:?}"
    );
    intact(&old).await;
    sh(node.0, "rm /var/lib/containerd/fill").await;
    assert!(used().await < before + 20_000, "{} kB, before {before}", used().await);
    let done = world.deliver(&small, node.0, false).await.unwrap();
    assert_eq!(done.nodes[0].way, Way::Layers);
    intact(&small).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a real Docker engine"]
async fn a_node_that_takes_no_layers_gets_an_archive_and_that_is_told() {
    let mut world = World::new().await;
    world.by_exec();
    let node = Node::start("flink-dev-test-ladder").await;
    // a `ctr` that fails for all but whole archives: the first two ways break, each in its own manner
    let broken = r#"p=$(command -v ctr); mv $p $p.real; cat >$p <<'X'
#!/bin/sh
case "$*" in
  *"images import"*" -") ;;
  *import*|*ingest*) echo "ctr: broken for a test" >&2; exit 1 ;;
esac
exec "$0.real" "$@"
X
chmod 755 $p"#;
    sh(node.0, broken).await;
    let image = world
        .build(BASE, "dev-test-ladder", &[("/opt/app.jar", vec![9; 1000])])
        .await;
    let done = world.deliver(&image, node.0, false).await.unwrap();
    assert_eq!(done.nodes[0].way, Way::Archive, "{done:?}");
    let notes = world.notes();
    assert!(
        notes
            .iter()
            .any(|note| note.contains("slower way") && note.contains("broken for a test")),
        "{notes:?}"
    );
    // the base is there now: the quick way is tried, and its failure is told
    let next = world
        .build(BASE, "dev-test-ladder", &[("/opt/app.jar", vec![8; 1000])])
        .await;
    let done = world.deliver(&next, node.0, false).await.unwrap();
    assert_eq!(done.nodes[0].way, Way::Archive, "{done:?}");
    assert_eq!(world.notes().len(), 2, "one for each way that failed");
    assert_eq!(
        builds(node.0, "dev-test-ladder").await,
        [world.reference(&next.name).await]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a real Docker engine"]
async fn several_nodes_are_filled_side_by_side() {
    let world = World::new().await;
    let nodes = [
        Node::start("flink-dev-test-many-1").await,
        Node::start("flink-dev-test-many-2").await,
        Node::start("flink-dev-test-many-3").await,
    ];
    let targets = Targets {
        nodes: nodes.iter().map(|node| node.0.to_owned()).collect(),
        engine: false,
    };
    for n in 1..=2 {
        let image = world
            .build(BASE, "dev-test-many", &[("/opt/app.jar", vec![n; 1000])])
            .await;
        let done = deliver(&world.engine, &world.env, &image, &targets, &world.cx)
            .await
            .unwrap();
        assert_eq!(done.nodes.len(), 3);
        for node in &nodes {
            assert_eq!(
                builds(node.0, "dev-test-many").await,
                [world.reference(&image.name).await]
            );
        }
    }
    // two builds of one name at the same time: one after the other, and the later one stays
    let image = async |n| {
        world
            .build(BASE, "dev-test-many", &[("/opt/app.jar", vec![n; 1000])])
            .await
    };
    let (one, two) = tokio::join!(image(3), image(4));
    let both = tokio::join!(
        deliver(&world.engine, &world.env, &one, &targets, &world.cx),
        deliver(&world.engine, &world.env, &two, &targets, &world.cx)
    );
    both.0.unwrap();
    both.1.unwrap();
    for node in &nodes {
        assert_eq!(builds(node.0, "dev-test-many").await.len(), 1);
    }
}

/// All that a node's containerd has of images, but for times and for what is the snapshotter's own.
async fn all_of(node: &str) -> String {
    sh(
        node,
        "ctr -n k8s.io images ls | awk '{ print $1, $2, $3, $NF }'; ctr -n k8s.io images check | grep -v pause; \
         ctr -n k8s.io content ls | awk '{ print $1, $2, $NF }' | sort; \
         ctr -n k8s.io snapshots ls | sort; ctr -n k8s.io leases ls | wc -l; ls -A /var/lib/containerd; \
         for n in $(ctr -n k8s.io images ls -q | grep '/dev-test-both:'); do mkdir -p /mnt/x; \
         ctr -n k8s.io images mount $n /mnt/x >/dev/null; (cd /mnt/x && find . -mindepth 1 -exec stat -c '%N %u:%g %a %s %Y' {} + | sort | sha256sum); \
         ctr -n k8s.io images unmount --rm /mnt/x >/dev/null; done",
    )
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a real Docker engine, and root"]
async fn both_ways_leave_the_same_in_a_node() {
    let mut world = World::new().await;
    let nodes = [
        Node::start("flink-dev-test-both-1").await,
        Node::start("flink-dev-test-both-2").await,
    ];
    for node in &nodes {
        sh(node.0, "until ctr version >/dev/null 2>&1; do sleep 0.1; done").await;
    }
    for (node, by) in nodes.iter().zip([By::Api, By::Exec]) {
        if by == By::Exec {
            world.by_exec();
        }
        for (n, way) in [(1, Way::Files), (2, Way::Layers)] {
            let files = [
                ("/opt/dev/usrlib/dep.jar", vec![1; 30_000]),
                ("/opt/dev/usrlib/app.jar", vec![n; 20_000]),
            ];
            let image = world.build(BASE, "dev-test-both", &files).await;
            let done = world.deliver(&image, node.0, false).await.unwrap();
            assert_eq!((done.nodes[0].by, done.nodes[0].way), (by, way), "{done:?}");
        }
    }
    assert_eq!(world.notes(), Vec::<String>::new());
    let mut found = Vec::new();
    for node in &nodes {
        // what a load leaves behind goes with containerd's next garbage collection, and that comes with a removal
        sh(
            node.0,
            "n=$(ctr -n k8s.io images ls -q | head -n 1) && ctr -n k8s.io images tag $n dev.test/collect:1 && \
             ctr -n k8s.io images rm --sync dev.test/collect:1",
        )
        .await;
        found.push(all_of(node.0).await);
    }
    assert_eq!(
        found[0], found[1],
        "\n--- by the API\n{}\n--- by programs\n{}",
        found[0], found[1]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a real Docker engine, and root"]
async fn a_node_or_containerd_that_was_started_again_is_noticed() {
    let mut world = World::new().await;
    let node = Node::start("flink-dev-test-again").await;
    let round = async |world: &World, n: u8| {
        let file = ("/opt/app.jar", vec![n; 1000]);
        let image = world.build(BASE, "dev-test-again", &[file]).await;
        let done = world.deliver(&image, node.0, false).await.unwrap();
        assert_eq!(done.nodes[0].by, By::Api, "{done:?}");
        assert_eq!(
            builds(node.0, "dev-test-again").await,
            [world.reference(&image.name).await]
        );
        done.nodes[0].way
    };
    let up = "until ctr version >/dev/null 2>&1; do sleep 0.1; done";
    sh(node.0, up).await;
    assert_eq!(round(&world, 1).await, Way::Files);
    assert_eq!(round(&world, 2).await, Way::Layers);
    sh(node.0, &format!("systemctl restart containerd; {up}")).await;
    assert_eq!(round(&world, 3).await, Way::Layers);
    docker(&["restart", "-t", "1", node.0]).await;
    sh(node.0, up).await;
    assert_eq!(round(&world, 4).await, Way::Layers);
    // another node under the same name: it has nothing
    let node = Node::start("flink-dev-test-again").await;
    sh(node.0, up).await;
    assert_eq!(round(&world, 5).await, Way::Files);
    assert_eq!(world.notes(), Vec::<String>::new());
}
