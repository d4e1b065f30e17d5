//! Runs the wrapper with a fake runc over the two files that name capabilities.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::process::Program;

const SETS: [&str; 5] = ["bounding", "effective", "inheritable", "permitted", "ambient"];

struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    /// A folder with a fake runc that writes its arguments down, and the bounding set to go by.
    fn new(bounding: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let runc = dir.path().join("runc");
        fs_err::write(
            &runc,
            "#!/bin/sh\nprintf '%s\\n' \"$@\" >\"$(dirname \"$0\")/arguments\"\nexit 7\n",
        )
        .unwrap();
        fs_err::set_permissions(&runc, std::fs::Permissions::from_mode(0o755)).unwrap();
        fs_err::write(
            dir.path().join("status"),
            format!("CapEff:\t0\nCapBnd:\t{bounding}\nCapAmb:\t0\n"),
        )
        .unwrap();
        Self { dir }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        fs_err::write(&path, text).unwrap();
        path
    }

    /// Runs the wrapper; it must hand arguments and exit status through.
    async fn run(&self, args: &[&str]) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/doctor/assets/runc-bounded");
        let output = Program::new("sh")
            .arg(script)
            .args(args.iter().copied())
            .env("REAL_RUNC", self.dir.path().join("runc").display().to_string())
            .env(
                "RUNC_BOUNDED_STATUS",
                self.dir.path().join("status").display().to_string(),
            )
            .run(&CancellationToken::new(), |_| {})
            .await
            .unwrap();
        assert_eq!((output.status.code(), output.stderr.as_str()), (Some(7), ""));
        let seen = fs_err::read_to_string(self.dir.path().join("arguments")).unwrap();
        assert_eq!(seen.lines().collect::<Vec<_>>(), args);
    }
}

fn process() -> Value {
    json!({
        "terminal": true,
        // neither arguments nor the environment may be touched, whatever they look like
        "args": ["grep", "CAP_SYS_RESOURCE", "\"bounding\":[\"CAP_SYS_RESOURCE\"]", "a,b]"],
        "env": ["CAPS=\"CAP_SYS_RESOURCE\",\"CAP_KILL\"", "TAB=a\tb", "UNICODE=ü", "BACKSLASH=\\"],
        "capabilities": {
            "bounding": ["CAP_SYS_RESOURCE", "CAP_CHOWN", "CAP_SYS_TIME"],
            "effective": ["CAP_CHOWN", "CAP_SYS_RESOURCE", "CAP_KILL"],
            "inheritable": ["CAP_CHOWN", "CAP_SYS_RESOURCE"],
            "permitted": ["CAP_SYS_RESOURCE"],
            "ambient": [],
        },
    })
}

fn config() -> Value {
    json!({"ociVersion": "1.0.2", "process": process(), "annotations": {"why": "CAP_SYS_RESOURCE"}, "mounts": []})
}

/// What a file must be afterwards.
fn without(mut value: Value, pointer: &str, denied: &[&str]) -> Value {
    for set in SETS {
        let all = value
            .pointer_mut(&format!("{pointer}/capabilities/{set}"))
            .unwrap()
            .as_array_mut()
            .unwrap();
        all.retain(|c| !denied.contains(&c.as_str().unwrap()));
    }
    value
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&fs_err::read_to_string(path).unwrap()).unwrap()
}

#[tokio::test]
async fn a_bundle_loses_exactly_the_denied_capabilities() {
    // without 24 (SYS_RESOURCE) and 25 (SYS_TIME)
    let bench = Bench::new("000001fffcffffff");
    let denied = ["CAP_SYS_RESOURCE", "CAP_SYS_TIME"];
    for text in [config().to_string(), serde_json::to_string_pretty(&config()).unwrap()] {
        let file = bench.file("config.json", &text);
        let bundle = bench.dir.path().to_str().unwrap();
        bench
            .run(&[
                "--root",
                "/run/create",
                "--log-format",
                "json",
                "create",
                "--bundle",
                bundle,
                "--pid-file",
                "x",
                "id",
            ])
            .await;
        assert_eq!(read(&file), without(config(), "/process", &denied));
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        bench.run(&["create", &format!("--bundle={bundle}"), "id"]).await;
        assert_eq!(
            read(&file),
            without(config(), "/process", &denied),
            "the second time changes nothing"
        );
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode(), mode);
    }
}

#[tokio::test]
async fn so_does_the_process_of_an_exec() {
    let bench = Bench::new("000001fffeffffff");
    for option in [vec!["--process"], vec!["-p"]] {
        let file = bench.file("process.json", &process().to_string());
        let mut args = vec!["--root", "/run/runc", "exec"];
        args.extend(option);
        args.extend([file.to_str().unwrap(), "--detach", "id"]);
        bench.run(&args).await;
        assert_eq!(read(&file), without(process(), "", &["CAP_SYS_RESOURCE"]));
    }
}

#[tokio::test]
async fn nothing_is_touched_where_nothing_is_denied() {
    let bench = Bench::new("000001ffffffffff");
    let text = serde_json::to_string_pretty(&config()).unwrap();
    let file = bench.file("config.json", &text);
    bench
        .run(&["create", "--bundle", bench.dir.path().to_str().unwrap(), "id"])
        .await;
    assert_eq!(fs_err::read_to_string(&file).unwrap(), text);
}

#[tokio::test]
async fn other_commands_touch_no_file() {
    let bench = Bench::new("0000000000000000");
    let text = config().to_string();
    let file = bench.file("config.json", &text);
    let bundle = bench.dir.path().to_str().unwrap();
    for args in [
        vec!["--version"],
        vec!["kill", "--all", "id", "9"],
        vec!["delete", "-b", bundle],
        vec!["state", "create"],
    ] {
        bench.run(&args).await;
        assert_eq!(fs_err::read_to_string(&file).unwrap(), text, "{args:?}");
    }
    bench.run(&["create", "--bundle", "/no/such/bundle", "id"]).await;
}

#[tokio::test]
async fn an_empty_bounding_set_leaves_empty_sets() {
    let bench = Bench::new("0000000000000000");
    let file = bench.file("config.json", &config().to_string());
    bench
        .run(&["run", "-b", bench.dir.path().to_str().unwrap(), "id"])
        .await;
    for set in SETS {
        assert_eq!(
            read(&file).pointer(&format!("/process/capabilities/{set}")),
            Some(&json!([]))
        );
    }
}
