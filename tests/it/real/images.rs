//! `dev image` on the real cluster: what is made is what Docker's own build makes, in pods as in the engine.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::steps::{dev, docker, kubectl, node};

const BASE: &str = "flink:2.2.1-java17";

fn jar(dir: &Path, name: &str, content: &[u8]) -> PathBuf {
    let path = dir.join(name);
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    let options = zip::write::SimpleFileOptions::default();
    zip.start_file("com/example/Job.class", options).unwrap();
    // a class file of Java 17, as far as anybody looks
    zip.write_all(&[0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 61]).unwrap();
    zip.start_file("data", options).unwrap();
    zip.write_all(content).unwrap();
    zip.finish().unwrap();
    path
}

fn build(args: &[&str]) -> Value {
    let run = dev(&[&["image", "build", "-o", "json"], args].concat()).ends_with(0);
    let mut built = run
        .stdout
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    built.rfind(|line| line["event"] == "image_built").unwrap()
}

fn in_node(script: &str) -> String {
    docker(&["exec", &node(), "sh", "-c", script])
}

/// Builds of an application in the node, and those of them that are whole.
fn builds(app: &str) -> (Vec<String>, Vec<String>) {
    let lines = |text: String| -> Vec<String> { text.lines().map(str::to_owned).collect() };
    (
        lines(in_node(&format!("ctr -n k8s.io images ls -q | grep '/{app}:'"))),
        lines(in_node(&format!("ctr -n k8s.io images check -q | grep '/{app}:'"))),
    )
}

fn remove(app: &str) {
    in_node(&format!(
        "for n in $(ctr -n k8s.io images ls -q | grep '/{app}:'); do ctr -n k8s.io images rm $n; done"
    ));
    for name in docker(&["images", "--format", "{{.Repository}}:{{.Tag}}", app]).lines() {
        docker(&["rmi", name]);
    }
}

#[test]
#[ignore = "needs a real Docker engine"]
fn a_jar_is_the_same_image_for_pods_and_for_docker() {
    dev(&["up"]).ends_with(0);
    let dir = tempfile::tempdir().unwrap();
    let app = jar(dir.path(), "dev-test-pod-1.0.jar", b"one");
    let lib = jar(dir.path(), "library.jar", b"library");
    let (app, lib) = (app.to_str().unwrap(), lib.to_str().unwrap());
    let args = ["--jar", app, "--main", "com.example.Job", "--lib", lib, "--into", "lib"];
    let first = build(&args);
    let name = first["name"].as_str().unwrap();
    assert!(name.starts_with("dev-test-pod:"), "{name}");
    let again = build(&args);
    assert_eq!(
        (&again["id"], &again["nodes"][0]["way"]),
        (&first["id"], &"unchanged".into())
    );
    // with other times on the files, by another path
    let other = tempfile::tempdir().unwrap();
    std::fs::copy(app, other.path().join("dev-test-pod-1.0.jar")).unwrap();
    let copy = other.path().join("dev-test-pod-1.0.jar");
    let moved = [
        "--jar",
        copy.to_str().unwrap(),
        "--main",
        "com.example.Job",
        "--lib",
        lib,
        "--into",
        "lib",
    ];
    assert_eq!(build(&moved)["id"], first["id"]);

    // the same by Docker's own build
    let text = format!(
        "FROM {BASE}\nCOPY --chown=9999:9999 library.jar /opt/flink/lib/\n\
         COPY --chown=9999:9999 dev-test-pod-1.0.jar /opt/flink/usrlib/\n"
    );
    std::fs::write(dir.path().join("Dockerfile"), text).unwrap();
    docker(&["build", "-q", "-t", "dev-test-built:1", dir.path().to_str().unwrap()]);
    let look = "stat -c '%n %u:%g %a' / /opt /opt/flink /opt/flink/* /opt/flink/lib/* /opt/flink/usrlib/*; \
                sha256sum /opt/flink/usrlib/* /opt/flink/lib/library.jar; id; pwd; env | grep -E '^(FLINK|PATH)' | sort";
    let run = |image: &str| docker(&["run", "--rm", "--entrypoint", "sh", image, "-c", look]);
    let (ours, theirs) = (run(name), run("dev-test-built:1"));
    assert!(
        ours.contains("/opt/flink/usrlib/dev-test-pod-1.0.jar 9999:9999 644"),
        "{ours}"
    );
    assert_eq!(ours, theirs);
    let config = |image: &str| {
        let format = "{{json .Config.Entrypoint}} {{json .Config.Cmd}} {{json .Config.User}} {{json .Config.WorkingDir}} \
                      {{json .Config.Env}} {{json .Config.ExposedPorts}}";
        docker(&["image", "inspect", "--format", format, image])
    };
    assert_eq!(config(name), config("dev-test-built:1"));
    assert_eq!(
        docker(&["history", "-q", name]).lines().count(),
        docker(&[
            "image",
            "inspect",
            "--format",
            "{{range .RootFS.Layers}}{{println .}}{{end}}",
            name
        ])
        .lines()
        .count()
    );

    // and in a pod
    let pod = "dev-test-pod";
    kubectl(&["delete", "pod", pod, "--ignore-not-found", "--now"]);
    kubectl(&[
        "run",
        pod,
        "--image",
        name,
        "--image-pull-policy",
        "Never",
        "--restart",
        "Never",
        "--command",
        "--",
        "sh",
        "-c",
        look,
    ]);
    kubectl(&[
        "wait",
        "pod",
        pod,
        "--for=jsonpath={.status.phase}=Succeeded",
        "--timeout=120s",
    ]);
    let inside = kubectl(&["logs", pod]);
    let image = kubectl(&[
        "get",
        "pod",
        pod,
        "-o",
        "jsonpath={.status.containerStatuses[0].imageID}",
    ]);
    assert!(
        image.contains(first["id"].as_str().unwrap()),
        "{image} is not {}",
        first["id"]
    );
    assert_eq!(inside, ours);

    // a pod uses it: the next build leaves it alone, the one after the pod's end does not
    let sleeper = "dev-test-sleeper";
    kubectl(&["delete", "pod", sleeper, pod, "--ignore-not-found", "--now"]);
    kubectl(&[
        "run",
        sleeper,
        "--image",
        name,
        "--image-pull-policy",
        "Never",
        "--restart",
        "Never",
        "--command",
        "--",
        "sleep",
        "600",
    ]);
    kubectl(&["wait", "pod", sleeper, "--for=condition=Ready", "--timeout=120s"]);
    jar(dir.path(), "dev-test-pod-1.0.jar", b"two");
    let second = build(&args);
    assert_ne!(second["id"], first["id"]);
    assert_eq!(builds("dev-test-pod").0.len(), 2);
    kubectl(&["delete", "pod", sleeper, "--now"]);
    // the kubelet removes containers of a pod when the pod is gone already
    let users = format!("ctr -n k8s.io containers ls | grep -c '/{name} '");
    let start = std::time::Instant::now();
    while in_node(&users) != "0" {
        assert!(
            start.elapsed() < Duration::from_secs(120),
            "containers of a deleted pod stay"
        );
        std::thread::sleep(Duration::from_millis(200));
    }
    jar(dir.path(), "dev-test-pod-1.0.jar", b"three");
    let third = build(&args);
    assert_eq!(
        builds("dev-test-pod").0,
        [format!("{}{}", prefix(), third["name"].as_str().unwrap())]
    );
    docker(&["rmi", "dev-test-built:1"]);
    remove("dev-test-pod");
}

/// What the node's names have before those of the engine.
fn prefix() -> String {
    let name = in_node("ctr -n k8s.io images ls -q | grep '/flink-dev/sql-session:' | head -n 1");
    let (registry, _) = name.split_once("/flink-dev/").unwrap();
    format!("{registry}/library/")
}

#[test]
#[ignore = "needs a real Docker engine"]
fn a_build_that_is_killed_leaves_nothing_half_and_the_next_one_is_whole() {
    dev(&["up"]).ends_with(0);
    let dir = tempfile::tempdir().unwrap();
    let path = jar(dir.path(), "dev-test-kill.jar", &[0; 100]);
    let args = ["--jar", path.to_str().unwrap()];
    build(&args);
    for (n, after) in [30, 60, 90, 120, 150, 180, 220, 260, 320, 400].into_iter().enumerate() {
        jar(dir.path(), "dev-test-kill.jar", &[u8::try_from(n).unwrap() + 1; 100]);
        let mut child = std::process::Command::new(crate::dev::program())
            .args([&["image", "build"], &args[..]].concat())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(after));
        // it may have ended by itself
        let _ = child.kill();
        child.wait().unwrap();
        // what it began in the node holds the lock until it has ended
        in_node("flock -w 60 /run/flink-dev-load.lock true");
        let (all, whole) = builds("dev-test-kill");
        assert_eq!(all, whole, "killed after {after} ms");
        assert!(
            !all.is_empty(),
            "killed after {after} ms, and the build of before is gone"
        );
        let built = build(&args);
        let (all, whole) = builds("dev-test-kill");
        assert_eq!(all, whole);
        assert_eq!(
            all,
            [format!("{}{}", prefix(), built["name"].as_str().unwrap())],
            "after {after} ms"
        );
    }
    remove("dev-test-kill");
}

#[test]
#[ignore = "needs a real Docker engine"]
fn what_cannot_be_is_refused_before_anything_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let path = jar(dir.path(), "dev-test-refused.jar", b"x");
    let path = path.to_str().unwrap();
    let run = dev(&["image", "build", "--jar", path, "--base", "no-such-image:1"]).ends_with(53);
    assert!(run.stderr.contains("no-such-image:1"), "{}", run.stderr);
    let run = dev(&["image", "build", "--jar", path, "--node", "no-such-node"]).ends_with(61);
    assert!(run.stderr.contains("no-such-node"), "{}", run.stderr);
    dev(&["image", "load", "no-such-image:1"]).ends_with(53);
    assert_eq!(docker(&["images", "-q", "dev-test-refused"]), "");
}
