//! Images that a user builds with a Dockerfile, or has in the engine already: into the node, run by a pod, listed,
//! removed.

use std::path::Path;

use serde_json::Value;

use super::steps::{dev, docker, kubectl, node};

/// A small image that can run a shell; it is there wherever `dev` has built something.
const BASE: &str = "debian:bookworm-slim";

const APP: &str = "flink-dev-test/web";

/// What the pod and `docker run` are asked to tell of the image's files.
const LOOK: &str = "ls -lnR /opt/app /etc/issue.net; cat /opt/app/text; ls /etc/issue /opt/gone 2>&1; id";

fn write(dir: &Path, name: &str, text: &str) {
    std::fs::create_dir_all(dir.join(name).parent().unwrap()).unwrap();
    std::fs::write(dir.join(name), text).unwrap();
}

fn example(text: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    // whiteouts of a file and of a folder that another layer made anew, owners, modes, a build argument
    let dockerfile = format!(
        "FROM {BASE} AS base\nRUN mkdir -p /opt/gone/deep /opt/app/old && touch /opt/gone/deep/x /opt/app/old/y\n\
         FROM base\nARG GREETING=none\nRUN rm -r /etc/issue /opt/gone && rm -r /opt/app && mkdir -m 750 /opt/app && \\\n    \
         echo $GREETING >/opt/app/greeting && chown -R 9999:9999 /opt/app\nCOPY --chown=1:2 text /opt/app/text\n"
    );
    write(dir.path(), "Dockerfile", &dockerfile);
    write(dir.path(), ".dockerignore", "*.tmp\n");
    write(dir.path(), "text", text);
    write(dir.path(), "huge.tmp", "left out");
    dir
}

fn build(dir: &Path, more: &[&str]) -> Value {
    let file = dir.join("Dockerfile").display().to_string();
    let mut args = vec!["image", "build", "--file", &file, "--name", APP, "-o", "json"];
    args.extend(more);
    let ran = dev(&args).ends_with(0);
    let lines: Vec<Value> = ran.stdout.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let notes: Vec<&Value> = lines.iter().filter(|l| l["event"] == "note").collect();
    println!("{notes:?}");
    lines.into_iter().find(|l| l["event"] == "image_built").unwrap()
}

fn names_in_node() -> String {
    docker(&["exec", &node(), "ctr", "-n", "k8s.io", "images", "ls", "-q"])
}

fn snapshots() -> usize {
    docker(&["exec", &node(), "ctr", "-n", "k8s.io", "snapshots", "ls"])
        .lines()
        .count()
}

/// What an interrupted run left of an image.
fn forget(repository: &str) {
    let names = docker(&["images", "--format", "{{.Repository}}:{{.Tag}}", repository]);
    for name in names.lines() {
        dev(&["image", "rm", "--force", name]);
    }
}

fn nonce() -> u128 {
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos()
}

fn remove_pod(pod: &str) {
    kubectl(&[
        "delete",
        "pod",
        pod,
        "--ignore-not-found",
        "--force",
        "--grace-period=0",
        "--wait=true",
    ]);
}

#[test]
#[ignore = "needs a real Docker engine"]
fn an_image_of_a_dockerfile_runs_in_a_pod_as_it_runs_in_docker() {
    dev(&["up"]).ends_with(0);
    remove_pod("web-test");
    forget(APP);
    // layers of its own each time, whatever an earlier run left
    let nonce = nonce();
    let dir = example(&format!("one {nonce}\n"));
    let built = build(dir.path(), &["--build-arg", "GREETING=hello"]);
    let name = built["name"].as_str().unwrap().to_owned();
    assert!(
        name.starts_with(&format!("{APP}:")) && !name.ends_with("latest"),
        "{name}"
    );
    assert_eq!(built["nodes"][0]["report"]["fallback"], Value::Null, "{built}");
    kubectl(&[
        "run",
        "web-test",
        "--image",
        &name,
        "--image-pull-policy=Never",
        "--restart=Never",
        "--command",
        "--",
        "sh",
        "-c",
        &format!("{LOOK}; sleep 600"),
    ]);
    kubectl(&["wait", "--for=condition=Ready", "pod/web-test", "--timeout=120s"]);
    let expected = docker(&["run", "--rm", &name, "sh", "-c", LOOK]);
    assert!(
        expected.contains("hello") || expected.contains("greeting"),
        "{expected}"
    );
    let mut seen = String::new();
    for _ in 0..300 {
        seen = kubectl(&["logs", "web-test"]);
        if seen.contains("uid=") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    assert_eq!(seen, expected, "files, owners, modes and whiteouts");

    // the same again does nothing
    let again = build(dir.path(), &["--build-arg", "GREETING=hello"]);
    assert_eq!(
        (&again["name"], &again["steps"]["ran"]),
        (&built["name"], &Value::from(0))
    );
    assert_eq!(again["nodes"][0]["report"]["loaded"], Value::Array(Vec::new()));

    // a change: one layer travels, and the build that the pod uses stays
    write(dir.path(), "text", &format!("two {nonce}\n"));
    let second = build(dir.path(), &["--build-arg", "GREETING=hello"]);
    let new = second["name"].as_str().unwrap().to_owned();
    assert_ne!(new, name);
    assert_eq!(second["nodes"][0]["report"]["layers"], 1, "{second}");
    assert!(names_in_node().contains(&name), "the pod's image stays");
    let refused = dev(&["image", "rm", &name]).ends_with(59);
    assert!(refused.stderr.contains("default/web-test"), "{}", refused.stderr);
    let listed = dev(&["image", "ls", "-o", "json"]).ends_with(0);
    let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
    let row = |name: &str| {
        listed["images"]
            .as_array()
            .unwrap()
            .iter()
            .find(|row| row["name"] == name)
            .cloned()
    };
    assert_eq!(row(&name).unwrap()["nodes"][0]["used"], true, "{listed}");
    let row = row(&new).unwrap();
    assert_eq!(
        (&row["engine"], &row["own"], &row["nodes"][0]["current"]),
        (&Value::Bool(true), &Value::Bool(true), &Value::Bool(true))
    );
    assert!(
        row["shared"].as_u64().unwrap() > 50_000_000,
        "the base's layers are shared: {row}"
    );

    // once nothing uses it, it is stale, and a rebuild or `prune` removes it
    remove_pod("web-test");
    let run_by = || docker(&["exec", &node(), "ctr", "-n", "k8s.io", "containers", "ls"]);
    for _ in 0..300 {
        if !run_by().contains(&name) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    let plan = dev(&["image", "prune", "--dry-run", APP]).ends_with(0);
    assert!(
        plan.stdout.contains(&name) && !plan.stdout.contains(&new),
        "{}",
        plan.stdout
    );
    assert!(names_in_node().contains(&name), "a dry run removes nothing");
    dev(&["image", "prune", APP]).ends_with(0);
    assert!(!names_in_node().contains(&name), "{}", names_in_node());
    assert!(names_in_node().contains(&new));
    assert_eq!(docker(&["images", "-q", &name]), "");

    // many rebuilds leave one image, and no snapshot more
    let before = snapshots();
    for round in 0..5 {
        write(dir.path(), "text", &format!("round {round} {nonce}\n"));
        build(dir.path(), &["--build-arg", "GREETING=hello"]);
    }
    let names = names_in_node();
    assert_eq!(names.lines().filter(|l| l.contains(APP)).count(), 1, "{names}");
    // what lost its name is collected soon
    let mut now = snapshots();
    for _ in 0..300 {
        if now <= before {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(200));
        now = snapshots();
    }
    assert!(now <= before, "{before} snapshots became {now}");
    assert_eq!(docker(&["images", "-q", APP]).lines().count(), 1);

    let last = docker(&["images", "--format", "{{.Repository}}:{{.Tag}}", APP]);
    dev(&["image", "rm", &last]).ends_with(0);
    assert!(!names_in_node().contains(APP));
    assert_eq!(docker(&["images", "-q", APP]), "");
    dev(&["image", "rm", &last]).ends_with(53);
}

#[test]
#[ignore = "needs a real Docker engine"]
fn an_image_of_the_engine_goes_in_under_its_own_name_and_again_when_the_name_moves() {
    dev(&["up"]).ends_with(0);
    let nonce = nonce();
    let (user, dir) = ("flink-dev-test/user:1", example(&format!("one {nonce}\n")));
    forget("flink-dev-test/user");
    let context = dir.path().display().to_string();
    // as what is FROM one of ours has it: labels are inherited
    let build = || docker(&["build", "-q", "-t", user, "--label", "dev.flink.app=user", &context]);
    build();
    let load = |expected: &str| {
        let ran = dev(&["image", "load", user, "-o", "json"]).ends_with(0);
        let last: Value = ran
            .stdout
            .lines()
            .last()
            .map(|l| serde_json::from_str(l).unwrap())
            .unwrap();
        assert_eq!(last["nodes"][0]["report"]["fallback"], Value::Null, "{last}");
        assert_eq!(
            last["nodes"][0]["report"]["loaded"]
                .as_array()
                .unwrap()
                .len()
                .to_string(),
            expected,
            "{last}"
        );
        last
    };
    load("1");
    load("0");
    let first = docker(&["image", "inspect", "-f", "{{.Id}}", user]);
    let digits = first.trim_start_matches("sha256:");
    write(dir.path(), "text", &format!("two {nonce}\n"));
    build();
    let unnamed = docker(&["images", "-q", "--no-trunc", "--filter", "dangling=true"]);
    assert!(unnamed.contains(digits), "{unnamed}");
    let moved = load("1");
    assert_eq!(moved["nodes"][0]["report"]["layers"], 1, "{moved}");
    assert_eq!(
        moved["nodes"][0]["removed"].as_array().unwrap().len(),
        1,
        "the replaced image goes: {moved}"
    );
    // it is the user's: no plan has it, nor the image that has no name any more
    let plan = dev(&["image", "prune", "--dry-run", "-o", "json"]).ends_with(0);
    let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
    let in_engine = plan["plan"]["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|i| i["where"] == "engine");
    let names: Vec<_> = in_engine.map(|item| item["name"].as_str().unwrap()).collect();
    assert!(
        !names.iter().any(|name| *name == user || name.contains(digits)),
        "{names:?}"
    );
    docker(&["rmi", &first]);
    dev(&["image", "rm", user]).ends_with(0);
    assert!(!names_in_node().contains("flink-dev-test/user"));
}

#[test]
#[ignore = "needs a real Docker engine"]
fn errors_of_a_dockerfile_have_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("Dockerfile");
    let shown = file.display().to_string();
    let build = |text: &str, more: &[&str], code: i32| {
        std::fs::write(&file, text).unwrap();
        let mut args = vec![
            "image",
            "build",
            "--file",
            &shown,
            "--name",
            "flink-dev-test/bad",
            "--no-load",
        ];
        args.extend(more);
        dev(&args).ends_with(code).stderr
    };
    let seen = build(
        &format!("FROM {BASE}\n# why\nRUN echo before && \\\n    exit 7\n"),
        &[],
        50,
    );
    assert!(
        seen.contains(&format!("{shown}:3")) && seen.contains("before"),
        "{seen}"
    );
    let seen = build(&format!("FROM {BASE}\n\nRUNN true\n"), &[], 50);
    assert!(
        seen.contains("unknown instruction: RUNN") && seen.contains(&format!("--> {shown}:3")),
        "{seen}"
    );
    let seen = build(&format!("FROM {BASE} AS jobs\nRUN true\n"), &["--target", "job"], 50);
    assert!(
        seen.contains("there is no stage `job`") && seen.contains("--target jobs"),
        "{seen}"
    );
    std::fs::write(dir.path().join(".dockerignore"), "target\n").unwrap();
    std::fs::create_dir(dir.path().join("target")).unwrap();
    std::fs::write(dir.path().join("target/app.jar"), "jar").unwrap();
    let seen = build(&format!("FROM {BASE}\nCOPY target/app.jar /app.jar\n"), &[], 50);
    assert!(seen.contains(&format!("{shown}:2")), "{seen}");
    assert!(seen.contains(".dockerignore:1 leaves target"), "{seen}");
    let seen = build("FROM flink-dev-test/nowhere:1\nRUN true\n", &[], 51);
    assert!(
        seen.contains(&format!("--> {shown}:1")) && seen.contains("flink-dev-test/nowhere:1 is not in the engine"),
        "{seen}"
    );
    assert_eq!(docker(&["images", "-q", "flink-dev-test/bad"]), "");
    assert_eq!(docker(&["images", "-q", "flink-dev/unnamed"]), "");
}

/// Gives the engine an image of one file for an architecture, as an archive of `docker save`.
fn load_archive(architecture: &str, name: &str) {
    let file = |tar: &mut tar::Builder<Vec<u8>>, path: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, bytes).unwrap();
    };
    let mut layer = tar::Builder::new(Vec::new());
    file(&mut layer, "x", b"x");
    let layer = layer.into_inner().unwrap();
    let digest = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&layer));
    let config = serde_json::json!({"architecture": architecture, "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{digest}")]}});
    let list = serde_json::json!([{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]);
    let mut archive = tar::Builder::new(Vec::new());
    file(&mut archive, "layer.tar", &layer);
    file(&mut archive, "config.json", config.to_string().as_bytes());
    file(&mut archive, "manifest.json", list.to_string().as_bytes());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image.tar");
    std::fs::write(&path, archive.into_inner().unwrap()).unwrap();
    docker(&["load", "-i", &path.display().to_string()]);
    assert_ne!(docker(&["images", "-q", name]), "");
}

#[test]
#[ignore = "needs a real Docker engine"]
fn what_cannot_be_loaded_is_told_before_anything_is_done() {
    dev(&["up"]).ends_with(0);
    let seen = dev(&["image", "load", "flink-dev/sql-sesion:2.2.1"])
        .ends_with(53)
        .stderr;
    assert!(
        seen.contains("the engine has no image") && seen.contains("dev image load flink-dev/sql-session:2.2.1"),
        "{seen}"
    );
    let (other, name) = (
        if cfg!(target_arch = "x86_64") { "arm64" } else { "amd64" },
        "flink-dev-test/other:1",
    );
    load_archive(other, name);
    let seen = dev(&["image", "load", name]).ends_with(53).stderr;
    assert!(seen.contains(&format!("{name} is for {other}")), "{seen}");
    docker(&["rmi", name]);
}
