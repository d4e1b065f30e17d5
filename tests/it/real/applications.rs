//! Applications: jars that are refused, connectors, projects, and watching.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use super::steps::{command, dev, docker, edit, kubectl};
use super::watching::Watching;

fn jar(dir: &Path, name: &str, entries: &[(&str, Vec<u8>)]) -> String {
    let path = dir.join(name);
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    for (name, bytes) in entries {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
    path.display().to_string()
}

/// A class file's head for a Java release; there is no compiler for a newer one around.
fn class(release: u8) -> Vec<u8> {
    vec![0xCA, 0xFE, 0xBA, 0xBE, 0, 0, 0, release + 44]
}

/// The name of the image that was made.
fn image_of(stdout: &str) -> String {
    let event = stdout
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|event| event["event"] == "image_built")
        .unwrap_or_else(|| panic!("no image_built:\n{stdout}"));
    event["name"].as_str().unwrap().to_owned()
}

pub(super) fn copy_of_clicks() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/clicks");
    let source = "src/main/java/com/example/clicks/ClicksPerUser.java";
    std::fs::create_dir_all(dir.path().join(source).parent().unwrap()).unwrap();
    for file in ["pom.xml", source] {
        std::fs::copy(from.join(file), dir.path().join(file)).unwrap();
    }
    dir
}

#[test]
#[ignore = "needs a real Docker engine"]
fn jars_that_cannot_run_on_the_image_are_refused() {
    dev(&["up"]).ends_with(0);
    let dir = tempfile::tempdir().unwrap();
    let good = jar(dir.path(), "app.jar", &[("com/acme/OrdersJob.class", class(17))]);
    let new = jar(dir.path(), "new.jar", &[("com/acme/Job.class", class(21))]);
    let factory = b"org.acme.KafkaFactory\n".to_vec();
    let service = "META-INF/services/org.apache.flink.table.factories.Factory";
    let one = jar(dir.path(), "one.jar", &[(service, factory.clone())]);
    let two = jar(dir.path(), "two.jar", &[(service, factory)]);
    let old = jar(
        dir.path(),
        "flink-sql-connector-kafka-3.4.0-1.20.jar",
        &[("a/B.class", class(11))],
    );
    let refused = |args: &[&str], code: i32, words: &[&str]| {
        let mut all = vec!["image", "build", "--no-load", "--no-engine"];
        all.extend(args);
        let run = dev(&all).ends_with(code);
        for word in words {
            assert!(run.stderr.contains(word), "`{word}`:\n{}", run.stderr);
        }
    };
    refused(
        &["--jar", &good, "--main", "com.acme.OrderJob"],
        26,
        &[
            "error[JAR_INVALID]",
            "has no class com.acme.OrderJob",
            "--main com.acme.OrdersJob",
        ],
    );
    refused(
        &["--jar", &new],
        26,
        &[
            "compiled for Java 21 (class file 65)",
            "has Java 17",
            "maven.compiler.release",
        ],
    );
    refused(
        &["--jar", &good, "--lib", &one, "--lib", &two],
        27,
        &["one.jar", "two.jar", "clash"],
    );
    refused(
        &["--jar", &good, "--lib", &old],
        27,
        &["made for Flink 1.20", "take flink-sql-connector-kafka 5.0.0-2.2"],
    );
    refused(
        &["--jar", &good, "--connector", "kafak"],
        27,
        &["error[CONNECTOR_INVALID]", "--connector kafka"],
    );
    refused(
        &["--jar", &good, "--connector", "kafka:3.4.0-1.20"],
        27,
        &["made for Flink 1.20", "--connector kafka:5.0.0-2.2"],
    );
    // the session cluster's image has the connector, in the version for its Flink
    let coordinates = b"groupId=org.apache.flink\nartifactId=flink-connector-kafka\nversion=5.9.0-2.2\n".to_vec();
    let factory = b"org.apache.flink.streaming.connectors.kafka.table.KafkaDynamicTableFactory\n".to_vec();
    let shaded = jar(
        dir.path(),
        "shaded.jar",
        &[
            ("com/acme/Job.class", class(17)),
            (service, factory),
            (
                "META-INF/maven/org.apache.flink/flink-connector-kafka/pom.properties",
                coordinates,
            ),
        ],
    );
    refused(
        &["--jar", &shaded, "--base", "flink-dev/sql-session:2.2.1"],
        27,
        &[
            "in another version, which is loaded first",
            "flink-sql-connector-kafka-5.0.0-2.2.jar",
        ],
    );
    let python = dir.path().join("x.py");
    std::fs::write(&python, "print(1)\n").unwrap();
    refused(&["--python", python.to_str().unwrap()], 53, &["has no Python"]);
}

#[test]
#[ignore = "needs a real Docker engine"]
fn a_connector_is_fetched_once_and_lies_in_the_image() {
    dev(&["up"]).ends_with(0);
    let dir = tempfile::tempdir().unwrap();
    let app = jar(dir.path(), "with-connector.jar", &[("com/acme/Job.class", class(17))]);
    let args = [
        "image",
        "build",
        "--jar",
        &app,
        "--connector",
        "kafka",
        "--no-load",
        "-o",
        "json",
    ];
    let image = image_of(&dev(&args).ends_with(0).stdout);
    let listed = docker(&["run", "--rm", "--entrypoint", "ls", &image, "/opt/flink/usrlib"]);
    assert_eq!(listed, "flink-sql-connector-kafka-5.0.0-2.2.jar\nwith-connector.jar");
    // the same from what is kept: the same image
    assert_eq!(image_of(&dev(&args).ends_with(0).stdout), image);
    // the session cluster's image has it
    let run = dev(&[
        "image",
        "build",
        "--jar",
        &app,
        "--base",
        "flink-dev/sql-session:2.2.1",
        "--connector",
        "kafka",
        "--no-load",
        "--no-engine",
    ]);
    assert!(
        run.ends_with(0)
            .stderr
            .contains("has flink-sql-connector-kafka 5.0.0-2.2 already")
    );
    docker(&["rmi", &image]);
}

#[test]
#[ignore = "needs a real Docker engine"]
fn without_a_maven_it_runs_inside_the_engine() {
    dev(&["up"]).ends_with(0);
    let project = copy_of_clicks();
    let cache = tempfile::tempdir().unwrap();
    let nothing = |args: &[&str]| {
        let output = command(args)
            .env("PATH", "/nonexistent")
            .env("XDG_CACHE_HOME", cache.path())
            .output()
            .unwrap();
        let (stdout, stderr) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        println!("{stdout}{stderr}");
        (output.status.code(), stderr.into_owned())
    };
    let dir = project.path().to_str().unwrap();
    let args = [
        "image",
        "build",
        "--project",
        dir,
        "--connector",
        "kafka",
        "--no-load",
        "--no-engine",
    ];
    let (code, stderr) = nothing(&args);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("Maven in a build built"), "{stderr}");
    assert!(project.path().join("target/clicks-1.0.jar").is_file());
    let source = project
        .path()
        .join("src/main/java/com/example/clicks/ClicksPerUser.java");
    edit(&source, "tables.getConfig()", "tabels.getConfig()");
    let (code, stderr) = nothing(&args);
    assert_eq!(code, Some(54), "{stderr}");
    assert!(stderr.contains("ClicksPerUser.java:12:9"), "{stderr}");
    // what held the jars is gone
    assert_eq!(docker(&["images", "-q", "flink-dev/maven-run"]), "");
}

#[test]
#[ignore = "needs a real Docker engine"]
fn a_gradle_project_is_built_by_its_wrapper() {
    use std::os::unix::fs::PermissionsExt;
    dev(&["up"]).ends_with(0);
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("build.gradle"), "plugins { id 'java' }\n").unwrap();
    jar(dir.path(), "made.jar", &[("com/acme/OrdersJob.class", class(17))]);
    let project = dir.path().to_str().unwrap();
    let build = |script: &str| {
        std::fs::write(path("gradlew"), format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(path("gradlew"), std::fs::Permissions::from_mode(0o755)).unwrap();
        dev(&[
            "image",
            "build",
            "--project",
            project,
            "--no-load",
            "--no-engine",
            "-o",
            "json",
        ])
    };
    // what Gradle leaves behind: the application, and jars that are none
    let run = build(
        "[ \"$*\" = '--console=plain assemble' ] || exit 9\necho '> Task :jar'\nmkdir -p build/libs\n\
         for end in '' -plain -sources; do cp made.jar build/libs/orders-1.0$end.jar; done",
    )
    .ends_with(0);
    let image = image_of(&run.stdout);
    assert!(image.starts_with("orders:"), "{image}");
    assert!(run.stdout.contains("./gradlew"), "{}", run.stdout);
    let failed = build(
        "echo '> Task :compileJava FAILED'\necho \"$PWD/src/main/java/A.java:3: error: ';' expected\" >&2\nexit 1",
    )
    .ends_with(54);
    assert!(
        failed.stdout.contains("';' expected") && failed.stdout.contains("A.java"),
        "{}",
        failed.stdout
    );
}

#[test]
#[ignore = "needs a real Docker engine"]
fn scripts_lie_in_an_image_where_the_runner_reads_them() {
    dev(&["up"]).ends_with(0);
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("totals.sql");
    std::fs::write(
        &script,
        "CREATE TABLE b (x INT) WITH ('connector' = 'blackhole');\nINSERT INTO b SELECT 1;\n",
    )
    .unwrap();
    let run = dev(&[
        "image",
        "build",
        "--sql",
        script.to_str().unwrap(),
        "--no-load",
        "-o",
        "json",
    ])
    .ends_with(0);
    let image = image_of(&run.stdout);
    assert!(image.starts_with("totals:"), "{image}");
    let text = docker(&[
        "run",
        "--rm",
        "--entrypoint",
        "cat",
        &image,
        "/opt/flink/usrlib/sql/totals.sql",
    ]);
    assert!(text.ends_with("INSERT INTO b SELECT 1;"), "{text}");
    docker(&["rmi", &image]);
    std::fs::write(&script, "INSERT INTO b SELECT 1;\n  SELECT 2;\n").unwrap();
    let run = dev(&["image", "build", "--sql", script.to_str().unwrap()]).ends_with(23);
    assert!(run.stderr.contains("totals.sql:2:3"), "{}", run.stderr);
}

fn script(dir: &Path, column: &str) -> PathBuf {
    let path = dir.join("watched.sql");
    let text = format!(
        "CREATE TABLE a (x INT) WITH ('connector' = 'datagen', 'rows-per-second' = '1');\n\
         CREATE TABLE b (x INT) WITH ('connector' = 'blackhole');\n\
         INSERT INTO b SELECT {column} FROM a;\n"
    );
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
#[ignore = "needs a real Docker engine"]
fn a_watched_script_runs_again_on_each_change() {
    dev(&["up"]).ends_with(0);
    let dir = tempfile::tempdir().unwrap();
    let path = script(dir.path(), "x");
    let mut watching = Watching::start(&["watch", path.to_str().unwrap()]);
    watching.line("RUNNING");
    let jobs = || {
        kubectl(&[
            "-n",
            "flink",
            "get",
            "flinksessionjobs",
            "-o",
            "jsonpath={.items[*].metadata.name}",
        ])
    };
    let first = jobs();
    assert!(first.contains("watch-watched"), "{first}");
    script(dir.path(), "x + 1");
    watching.line("change 1: RUNNING");
    let second = jobs();
    assert!(second.contains("watch-watched") && second != first, "{first} {second}");
    // what Flink refuses is told at its place, and the next good one runs
    script(dir.path(), "y");
    watching.line("watched.sql:3:22");
    script(dir.path(), "x + 2");
    watching.line("change 3: RUNNING");
    // what can be told without Flink leaves the job alone
    let before = jobs();
    std::fs::write(&path, "SELECT 1;\n").unwrap();
    watching.line("watched.sql:1:1");
    assert_eq!(jobs(), before);
    watching.stop();
    assert!(!jobs().contains("watch-watched"), "{}", jobs());
}

#[test]
#[ignore = "needs a real Docker engine"]
fn a_watched_project_becomes_the_image_of_its_deployment() {
    dev(&["up"]).ends_with(0);
    let dir = copy_of_clicks();
    let project = dir.path().to_str().unwrap();
    let source = dir.path().join("src/main/java/com/example/clicks/ClicksPerUser.java");
    let build = ["image", "build", "--project", project, "--no-engine", "-o", "json"];
    let run = dev(&build).ends_with(0);
    let image = image_of(&run.stdout);
    assert!(image.starts_with("clicks:"), "{image}");
    // the same sources, the same image
    let again = dev(&build).ends_with(0);
    assert_eq!(image_of(&again.stdout), image);

    let unknown = dev(&["watch", "--project", project, "--deployment", "no-such"]).ends_with(89);
    assert!(unknown.stderr.contains("DEPLOYMENT_UNKNOWN"), "{}", unknown.stderr);
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/clicks/deployment.yaml")).unwrap();
    apply(
        &text
            .replace("image: IMAGE", &format!("image: {image}"))
            .replace("name: clicks", "name: clicks-test"),
    );
    let deployment = Deleted;

    let mut watching = Watching::start(&["watch", "--project", project, "--deployment", "clicks-test"]);
    watching.line("RUNNING");
    edit(&source, "'rows-per-second' = '5'", "'rows-per-second' = '6'");
    watching.line("change 1: clicks:");
    let image = |of: &str| kubectl(&["-n", "flink", "get", of, "-o", "jsonpath={..image}"]);
    let set = kubectl(&[
        "-n",
        "flink",
        "get",
        "flinkdeployment",
        "clicks-test",
        "-o",
        "jsonpath={.spec.image}",
    ]);
    assert!(set.starts_with("clicks:") && !again.stdout.contains(&set), "{set}");
    assert!(
        image("deployment/clicks-test").contains(&set),
        "the JobManager's pods run it"
    );
    // an error of the compiler is told at its place; the job goes on
    edit(&source, "tables.getConfig()", "tabels.getConfig()");
    watching.line("ClicksPerUser.java:12:9");
    let state = kubectl(&[
        "-n",
        "flink",
        "get",
        "flinkdeployment",
        "clicks-test",
        "-o",
        "jsonpath={.status.jobStatus.state}",
    ]);
    assert_eq!(state, "RUNNING");
    edit(&source, "tabels.getConfig()", "tables.getConfig()");
    watching.line("the image is the same");
    watching.stop();
    drop(deployment);
}

/// Applies a manifest with the kubectl in the node.
fn apply(manifest: &str) {
    let mut child = std::process::Command::new("docker")
        .args([
            "exec",
            "-i",
            &super::steps::node(),
            "kubectl",
            "--kubeconfig=/etc/kubernetes/admin.conf",
            "apply",
            "-f",
            "-",
        ])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(manifest.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

/// The deployment of a test: gone whatever its verdict.
struct Deleted;

impl Drop for Deleted {
    fn drop(&mut self) {
        kubectl(&[
            "-n",
            "flink",
            "delete",
            "flinkdeployment",
            "clicks-test",
            "--timeout=60s",
        ]);
    }
}
