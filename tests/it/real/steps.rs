//! What the scenarios are made of.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The cluster that the scenarios make and take down: that of the shipped profile. With another name in a `dev.yaml` at
/// the repository's root, and in this variable, they leave that one alone.
pub(crate) fn cluster() -> String {
    std::env::var("DEV_TEST_CLUSTER").unwrap_or_else(|_| "flink-dev".to_owned())
}

pub(crate) fn node() -> String {
    format!("{}-control-plane", cluster())
}

/// Ids of the cluster's containers.
pub(crate) fn containers() -> String {
    let label = format!("label=io.x-k8s.kind.cluster={}", cluster());
    docker(&["ps", "-aq", "--filter", &label])
}

/// What takes longer is worth to be looked at, though it ended well.
const LONG: Duration = Duration::from_secs(100);

/// A run of the built program in the repository, with the caller's environment.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(crate::dev::program());
    command
        .args(args)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null());
    command
}

pub(crate) fn dev(args: &[&str]) -> Ran {
    let start = Instant::now();
    let output = command(args).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let ran = Ran {
        code: output.status.code(),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
        took: start.elapsed(),
    };
    println!(
        "dev {}: {:?} in {:.2} s",
        args.join(" "),
        ran.code,
        ran.took.as_secs_f64()
    );
    if ran.took > LONG {
        println!("{}", ran.stderr);
    }
    ran
}

impl Ran {
    #[track_caller]
    pub(crate) fn ends_with(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "stdout:\n{}\nstderr:\n{}",
            self.stdout,
            self.stderr
        );
        self
    }
}

/// Runs `dev up -o json` until it has told of an event, waits, and kills it with SIGKILL. If the event never came: what
/// the run told instead.
pub(crate) fn up_killed_at(mut wanted: impl FnMut(&Value) -> bool, after: Duration) -> Result<(), String> {
    let mut child = command(&["up", "-o", "json"]).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut told = Err(String::new());
    for line in lines.map_while(Result::ok) {
        if serde_json::from_str::<Value>(&line).is_ok_and(|event| wanted(&event)) {
            told = Ok(());
            std::thread::sleep(after);
            break;
        }
        told = told.map_err(|so_far| so_far + &line + "\n");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    told
}

/// Whether no other cluster of ours is there: two share the network and the kernel's settings.
pub(crate) fn alone() -> bool {
    let format = "{{.Names}} {{.Label \"io.x-k8s.kind.cluster\"}}";
    let nodes = docker(&["ps", "-a", "--filter", "network=flink-dev", "--format", format]);
    let ours = format!(" {}", cluster());
    let others: Vec<_> = nodes.lines().filter(|l| !l.ends_with(&ours)).collect();
    if !others.is_empty() {
        println!("NOT SEEN: what the last cluster takes away with it, as there are others: {others:?}");
    }
    others.is_empty()
}

pub(crate) fn docker(args: &[&str]) -> String {
    let output = Command::new("docker").args(args).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// kubectl inside the node: an independent witness.
pub(crate) fn kubectl(args: &[&str]) -> String {
    let node = node();
    let mut all = vec!["exec", &node, "kubectl", "--kubeconfig=/etc/kubernetes/admin.conf"];
    all.extend(args);
    docker(&all)
}

/// Resource version of every object that `dev` manages.
fn resource_versions() -> BTreeMap<String, String> {
    let kinds = "deployments,statefulsets,services,configmaps,serviceaccounts,roles,rolebindings,clusterroles,\
                 clusterrolebindings,customresourcedefinitions,validatingwebhookconfigurations,\
                 mutatingwebhookconfigurations,flinkdeployments,namespaces";
    let format = r#"jsonpath={range .items[*]}{.kind}/{.metadata.namespace}/{.metadata.name} {.metadata.resourceVersion}{"\n"}{end}"#;
    kubectl(&[
        "get",
        kinds,
        "-A",
        "-l",
        "app.kubernetes.io/managed-by=flink-dev",
        "-o",
        format,
    ])
    .lines()
    .filter_map(|l| l.split_once(' '))
    .map(|(name, version)| (name.to_owned(), version.to_owned()))
    .collect()
}

/// The same once nothing has changed for three seconds: right after a start the operator still writes status.
pub(crate) fn settled_resource_versions() -> BTreeMap<String, String> {
    let mut before = resource_versions();
    for _ in 0..60 {
        std::thread::sleep(Duration::from_secs(3));
        let now = resource_versions();
        if now == before {
            return now;
        }
        before = now;
    }
    panic!("objects change all the time");
}

/// A copy of the example, to be changed.
pub(crate) fn example_copy() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/orders");
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
    }
    dir
}

pub(crate) fn edit(file: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "`{from}` is not in {}", file.display());
    std::fs::write(file, text.replacen(from, to, 1)).unwrap();
}
