//! On a real node's containerd (without kubeadm): `cargo test --lib image::load -- --ignored`.

use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::*;
use crate::event::{Event, EventKind, EventSink};
use crate::process::Program;

/// Images that lie in the engine after a build of the default profile, and second names of them: someone may build the
/// first anew meanwhile.
const IMAGES: [(&str, &str); 3] = [
    ("apache/kafka:4.1.1", "flink-dev-test/kafka:1"),
    ("apache/flink-kubernetes-operator:1.16.1", "flink-dev-test/operator:1"),
    ("flink-dev/sql-session:2.2.1", "flink-dev-test/session:1"),
];

/// A container that boots as kind's node does, removed with its volume at the end.
pub(in crate::image) struct Node(pub(in crate::image) &'static str);

impl Node {
    pub(in crate::image) async fn start(name: &'static str) -> Self {
        Self::start_with(name, &[]).await
    }

    /// With more options of `docker run`.
    pub(in crate::image) async fn start_with(name: &'static str, options: &[&str]) -> Self {
        docker(&["rm", "-f", "-v", name]).await;
        let mut run = vec![
            "run",
            "--name",
            name,
            "--hostname",
            name,
            "--detach",
            "--tty",
            "--privileged",
            "--security-opt",
            "seccomp=unconfined",
            "--security-opt",
            "apparmor=unconfined",
            "--tmpfs",
            "/tmp",
            "--tmpfs",
            "/run",
            "--volume",
            "/var",
            "--cgroupns=private",
        ];
        run.extend(options);
        run.push("kindest/node:v1.34.4");
        docker(&run).await;
        Self(name)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let name = self.0;
        // a test that failed has no runtime to wait with
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(docker(&["rm", "-f", "-v", name]));
        })
        .join()
        .unwrap();
    }
}

pub(in crate::image) async fn docker(args: &[&str]) -> String {
    let program = Program::new("docker").args(args.iter().copied());
    let output = program.run(&CancellationToken::new(), |_| {}).await.unwrap();
    output.stdout + &output.stderr
}

fn cx() -> (StepCx, tokio::sync::mpsc::UnboundedReceiver<Event>) {
    let (sink, events) = EventSink::channel();
    (StepCx::detached("load", sink, CancellationToken::new()), events)
}

async fn images(engine: &Engine) -> Vec<String> {
    for (name, second) in IMAGES {
        if engine.image(second).await.unwrap().is_none() {
            engine.tag(name, second).await.unwrap();
        }
    }
    IMAGES.iter().map(|(_, second)| (*second).to_owned()).collect()
}

async fn names_in(node: &str) -> Vec<String> {
    let text = docker(&["exec", node, "ctr", "-n", "k8s.io", "images", "ls", "-q"]).await;
    text.lines()
        .filter(|line| line.contains("flink") || line.contains("kafka"))
        .map(str::to_owned)
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Docker engine with the images of the default profile"]
async fn a_node_gets_its_images_once_and_whole() {
    let env = Env::from_process();
    let engine = Engine::connect(&env).await.unwrap();
    let images = images(&engine).await;
    let node = Node::start("flink-dev-test-load").await;
    let (cx, _events) = cx();
    let report = load(&engine, &env, node.0, &images, &cx).await.unwrap();
    assert_eq!((report.loaded.len(), &report.fallback), (3, &None), "{report:?}");
    assert!(missing_in_node(&engine, node.0, &images).await.unwrap().is_empty());
    let start = Instant::now();
    let again = load(&engine, &env, node.0, &images, &cx).await.unwrap();
    // one look at the node, no layer: bounded widely, as other tests may run beside it
    assert!(start.elapsed().as_secs() < 50, "{:?}", start.elapsed());
    assert!(!again.moved_anything() && again.layers == 0, "{again:?}");
    assert_eq!(names_in(node.0).await.len(), 3, "{:?}", names_in(node.0).await);
    // what is in the node is what is in the engine
    for (image, program) in [
        (IMAGES[0].1, "/opt/kafka/bin/kafka-run-class.sh"),
        (IMAGES[2].1, "/opt/flink/bin/launch"),
    ] {
        let reference = normalize(image, engine.default_registry().await.unwrap());
        let script = format!(
            "mkdir -p /mnt/x && ctr -n k8s.io images mount {reference} /mnt/x >/dev/null && sha256sum </mnt/x{program}; \
             ctr -n k8s.io images unmount --rm /mnt/x >/dev/null"
        );
        let inside = docker(&["exec", "--privileged", node.0, "sh", "-c", &script]).await;
        let files = engine.files_of_image(image, program).await.unwrap();
        let expected = layout::sha256(&files[0].1);
        assert!(inside.starts_with(&expected), "{image}: {inside} is not {expected}");
    }
    // an image that another tool took away is brought back, without its layers travelling again
    docker(&[
        "exec",
        node.0,
        "ctr",
        "-n",
        "k8s.io",
        "images",
        "rm",
        &normalize(IMAGES[0].1, engine.default_registry().await.unwrap()),
    ])
    .await;
    assert_eq!(missing_in_node(&engine, node.0, &images).await.unwrap(), [IMAGES[0].1]);
    let back = load(&engine, &env, node.0, &images, &cx).await.unwrap();
    assert_eq!(back.loaded, [IMAGES[0].1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Docker engine with the images of the default profile"]
async fn a_load_that_is_killed_leaves_no_image_and_the_next_one_repairs() {
    let env = Env::from_process();
    let engine = Engine::connect(&env).await.unwrap();
    let images = images(&engine).await;
    let node = Node::start("flink-dev-test-killed").await;
    for part in [0.2, 0.6, 0.95] {
        let (cx, mut events) = cx();
        let reached = async {
            while let Some(event) = events.recv().await {
                if let EventKind::StepProgress { done, total, .. } = event.kind
                    && done as f64 > total as f64 * part
                {
                    return true;
                }
            }
            false
        };
        tokio::select! {
            // what is left of a wave may be less than asked for
            result = load(&engine, &env, node.0, &images, &cx) => { result.unwrap(); }
            reached = reached => assert!(reached),
        }
        // the kubelet must not see any of it under its name, unless all of it is there
        let missing = missing_in_node(&engine, node.0, &images).await.unwrap();
        let names = names_in(node.0).await;
        for name in &missing {
            assert!(
                !names.contains(&normalize(name, engine.default_registry().await.unwrap())),
                "{name} is not complete and has its name: {names:?}"
            );
        }
    }
    let (cx, _events) = cx();
    let report = load(&engine, &env, node.0, &images, &cx).await.unwrap();
    assert_eq!(report.fallback, None);
    assert!(missing_in_node(&engine, node.0, &images).await.unwrap().is_empty());
    let mut staged = names_in(node.0).await;
    staged.retain(|name| name.starts_with(layout::STAGE));
    assert_eq!(staged, Vec::<String>::new());
    let left = docker(&["exec", node.0, "ls", "/var/lib/containerd/.flink-dev-load"]).await;
    assert!(left.contains("No such file"), "{left}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Docker engine with the images of the default profile"]
async fn layers_that_are_broken_in_the_cache_are_brought_the_slow_way() {
    let real = Env::from_process();
    let engine = Engine::connect(&real).await.unwrap();
    let node = Node::start("flink-dev-test-broken").await;
    let home = tempfile::tempdir().unwrap();
    let mut env = real.clone();
    env.vars
        .insert("XDG_CACHE_HOME".to_owned(), home.path().display().to_string());
    let name = vec![images(&engine).await.remove(0)];
    remember(&engine, &env, &name).await.unwrap();
    let cache = Cache::of(&engine, &env).await.unwrap();
    let id = engine.image(IMAGES[0].1).await.unwrap().unwrap().id;
    let image = cache.image(IMAGES[0].1, &id).unwrap();
    let last = cache.blob(&image.layers.last().unwrap().digest);
    let mut bytes = fs_err::read(&last).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs_err::write(&last, bytes).unwrap();
    let (cx, mut events) = cx();
    let report = load(&engine, &env, node.0, &name, &cx).await.unwrap();
    assert!(report.fallback.is_some(), "{report:?}");
    assert!(missing_in_node(&engine, node.0, &name).await.unwrap().is_empty());
    assert!(cache.image(IMAGES[0].1, &id).is_none(), "what was broken is still kept");
    let mut notes = Vec::new();
    while let Ok(event) = events.try_recv() {
        if let EventKind::Note { message } = event.kind {
            notes.push(message);
        }
    }
    assert!(notes.iter().any(|n| n.contains("slow way")), "{notes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Docker engine with the images of the default profile"]
async fn a_node_that_was_replaced_between_two_loads_gets_everything_again() {
    let env = Env::from_process();
    let engine = Engine::connect(&env).await.unwrap();
    let images = images(&engine).await;
    let (cx, _events) = cx();
    let nodes = ["flink-dev-test-reset".to_owned()];
    let node = Node::start("flink-dev-test-reset").await;
    node::state(&engine, node.0, &cx).await.unwrap();
    let first = crate::image::bring(&engine, &env, &nodes, &images, &cx).await.unwrap();
    assert_eq!(first[0].report.loaded.len(), images.len(), "{first:?}");
    let again = crate::image::bring(&engine, &env, &nodes, &images, &cx).await.unwrap();
    assert_eq!(
        (again[0].report.loaded.len(), again[0].report.kept.len()),
        (0, images.len())
    );
    drop(node);
    let node = Node::start("flink-dev-test-reset").await;
    node::state(&engine, node.0, &cx).await.unwrap();
    let third = crate::image::bring(&engine, &env, &nodes, &images, &cx).await.unwrap();
    assert_eq!(third[0].report.loaded.len(), images.len(), "{third:?}");
    assert!(missing_in_node(&engine, node.0, &images).await.unwrap().is_empty());
}
