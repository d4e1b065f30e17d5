//! On a real node's containerd: `cargo test --lib image::inventory -- --ignored`.

use std::time::Duration;

use super::node;
use crate::container::Engine;
use crate::env::Env;
use crate::image::load::real_tests::{Node, docker};

async fn sh(node: &str, script: &str) -> String {
    docker(&["exec", node, "sh", "-c", script]).await
}

#[tokio::test]
#[ignore = "needs a Docker engine with the images of the default profile"]
async fn what_became_used_stays_and_who_looks_waits_for_nobody() {
    let engine = Engine::connect(&Env::from_process()).await.unwrap();
    let node = Node::start("flink-dev-test-prune").await;
    // containerd is up soon after the node
    let names =
        "until ctr version >/dev/null 2>&1; do sleep 0.1; done; ctr -n k8s.io images ls -q | grep '^registry.k8s.io/'";
    let names = sh(node.0, names).await;
    let name = names.lines().next().unwrap();
    let copies = ["test/a:1", "test/a:2"];
    for copy in copies {
        sh(node.0, &format!("ctr -n k8s.io images tag {name} {copy}")).await;
    }
    sh(
        node.0,
        "ctr -n k8s.io images unpack test/a:1; ctr -n k8s.io containers create test/a:1 user",
    )
    .await;
    assert!(!node::remove_unused(&engine, node.0, copies[0]).await.unwrap());
    assert!(node::remove_unused(&engine, node.0, copies[1]).await.unwrap());
    let left = sh(node.0, "ctr -n k8s.io images ls -q | grep '^test/a:'").await;
    assert_eq!(left.trim(), copies[0]);

    // a load that holds the node for long
    docker(&[
        "exec",
        "-d",
        node.0,
        "flock",
        "/run/flink-dev-load.lock",
        "sleep",
        "250",
    ])
    .await;
    sh(
        node.0,
        "while flock -n /run/flink-dev-load.lock true; do sleep 0.1; done",
    )
    .await;
    let look = async { tokio::join!(node::stock(&engine, node.0), node::unnamed(&engine, node.0)) };
    let (stock, unnamed) = tokio::time::timeout(Duration::from_secs(100), look)
        .await
        .expect("a look waits for the load");
    assert!(stock.unwrap().images.iter().any(|image| image.name == copies[0]));
    assert_eq!(unnamed.unwrap(), Vec::<String>::new());
}
