//! Against the engine of this machine: `cargo test --lib container -- --ignored`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::engine::StepCx;
use crate::event::{Event, EventKind, EventSink};
use crate::process::Program;

async fn engine() -> Engine {
    Engine::connect(&Env::from_process())
        .await
        .expect("these tests need a Docker engine")
}

fn cx() -> (StepCx, tokio::sync::mpsc::UnboundedReceiver<Event>) {
    let (sink, events) = EventSink::channel();
    (StepCx::detached("image/test", sink, CancellationToken::new()), events)
}

fn build(name: &str, dockerfile: &str) -> Build {
    let mut context = Context::new();
    context.add("Dockerfile", 0o644, dockerfile.as_bytes().to_vec());
    context.add("file", 0o644, &b"of the context\n"[..]);
    Build {
        name: name.to_owned(),
        context,
        dockerfile: "dockerfiles/test/Dockerfile".to_owned(),
        labels: BTreeMap::from([("test".to_owned(), "yes".to_owned())]),
        ..Build::default()
    }
}

async fn helpers(engine: &Engine, image: &str) -> usize {
    let all = engine.containers_with_label(HELPER_LABEL).await.unwrap();
    all.iter().filter(|c| c.image == image).count()
}

/// Any image that can run a shell; the suites' base is there wherever `dev` has built something.
const SHELL: &str = "debian:bookworm-slim";

#[tokio::test]
#[ignore = "needs a Docker engine"]
async fn a_build_keeps_what_lies_in_a_cache_mount() {
    let engine = engine().await;
    let name = "flink-dev-test/cache:1";
    let dockerfile = |nonce: &str| {
        format!(
            "FROM {SHELL} AS made\nRUN --mount=type=cache,id=flink-dev-test-cache,target=/cache \\\n    \
             --mount=type=bind,source=file,target=/run/file \\\n    \
             echo {nonce} >>/cache/runs && cat /run/file && cp /cache/runs /runs\nFROM scratch\nCOPY --from=made /runs /\n"
        )
    };
    let (one, two) = (Instant::now(), format!("{:?}", Instant::now()));
    let nonces = [format!("\"{one:?}\""), format!("\"again {two}\"")];
    for nonce in &nonces {
        let (cx, mut events) = cx();
        let built = engine.build(&build(name, &dockerfile(nonce)), &cx).await.unwrap();
        assert!(built.ran > 0, "{built:?}");
        let mut output = Vec::new();
        while let Ok(event) = events.try_recv() {
            if let EventKind::StepOutput { line, .. } = event.kind {
                output.push(line);
            }
        }
        assert!(output.iter().any(|l| l == "of the context"), "{output:?}");
    }
    let files = engine.files_of_image(name, "/runs").await.unwrap();
    let text = String::from_utf8(files[0].1.clone()).unwrap();
    for nonce in &nonces {
        assert!(text.contains(nonce.trim_matches('"')), "{text}");
    }
    let image = engine.image(name).await.unwrap().unwrap();
    assert_eq!(image.labels.get("test").map(String::as_str), Some("yes"));
    // the same again is taken from the cache
    let again = engine
        .build(&build(name, &dockerfile(&nonces[1])), &cx().0)
        .await
        .unwrap();
    assert_eq!((again.ran, again.id), (0, image.id));
    engine.remove_image(name).await.unwrap();
    assert_eq!(helpers(&engine, name).await, 0);
}

#[tokio::test]
#[ignore = "needs a Docker engine"]
async fn a_failed_build_shows_its_step_and_log() {
    let engine = engine().await;
    let dockerfile = format!("FROM {SHELL}\n# comment\nRUN echo before && \\\n    echo wrong >&2 && exit 7\n");
    let failure = engine
        .build(&build("flink-dev-test/fails:1", &dockerfile), &cx().0)
        .await
        .unwrap_err();
    assert_eq!(failure.id(), Reason::ImageBuildFailed);
    let evidence = failure.detail().evidence.join("\n");
    assert!(
        failure
            .to_string()
            .starts_with("dockerfiles/test/Dockerfile:3: [2/2] RUN echo before"),
        "{failure}"
    );
    assert!(
        evidence.contains("before") && evidence.contains("wrong") && evidence.contains("exit code: 7"),
        "{evidence}"
    );
    let missing = engine
        .build(
            &build("flink-dev-test/fails:1", "FROM scratch\nCOPY nothing /\n"),
            &cx().0,
        )
        .await;
    let missing = missing.unwrap_err();
    let evidence = missing.detail().evidence.join("\n");
    assert!(
        missing.to_string().contains("Dockerfile:2") && evidence.contains("nothing"),
        "{missing} {evidence}"
    );
}

#[tokio::test]
#[ignore = "needs a Docker engine"]
async fn dropping_a_build_stops_it() {
    let engine = engine().await;
    let marker = format!("3{}", std::process::id());
    let dockerfile = format!("FROM {SHELL}\nRUN echo started && sleep {marker}\n");
    let running = || {
        fs_err::read_dir("/proc").unwrap().flatten().any(|entry| {
            fs_err::read(entry.path().join("cmdline")).is_ok_and(|cmd| cmd == format!("sleep\0{marker}\0").as_bytes())
        })
    };
    let (cx, mut events) = cx();
    let build = build("flink-dev-test/slow:1", &dockerfile);
    let started = async {
        while let Some(event) = events.recv().await {
            if matches!(&event.kind, EventKind::StepOutput { line, .. } if line == "started") {
                return;
            }
        }
    };
    tokio::select! {
        result = engine.build(&build, &cx) => panic!("{result:?}"),
        () = started => {}
    }
    for _ in 0..1200 {
        if !running() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("`sleep {marker}` still runs");
}

#[tokio::test]
#[ignore = "needs a Docker engine"]
async fn what_is_absent_is_no_error() {
    let engine = engine().await;
    // a name of its own: other tests read files out of the image at the same time
    let name = "flink-dev-test/absent:1";
    engine.tag(SHELL, name).await.unwrap();
    // a killed run may have left some
    let before = helpers(&engine, name).await;
    let info = engine.info().await.unwrap();
    assert!(
        info.cpus > 0 && info.memory_bytes > 1 << 28 && !info.arch.is_empty(),
        "{info:?}"
    );
    assert!(engine.image("flink-dev-test/none:1").await.unwrap().is_none());
    assert!(engine.container("flink-dev-test-none").await.unwrap().is_none());
    engine.remove_container("flink-dev-test-none").await.unwrap();
    engine.remove_image("flink-dev-test/none:1").await.unwrap();
    let failure = engine.read_from_image("flink-dev-test/none:1", "/x").await.unwrap_err();
    assert_eq!(failure.id(), Reason::ImageUnavailable);
    let failure = engine.read_from_image(name, "/no/such/path").await.unwrap_err();
    assert_eq!(failure.id(), Reason::ImageUnavailable);
    assert_eq!(helpers(&engine, name).await, before);
    engine.remove_image(name).await.unwrap();
}

/// The engine resets the connection if a program ends while it is written to.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real Docker engine"]
async fn a_program_that_reads_nothing_is_judged_by_its_exit_code() {
    let engine = engine().await;
    let name = "flink-dev-test-exec";
    let docker = async |args: &[&str]| {
        let program = Program::new("docker").args(args.iter().copied());
        program.run(&CancellationToken::new(), |_| {}).await.unwrap();
    };
    docker(&["rm", "-f", name]).await;
    docker(&["run", "-d", "--name", name, SHELL, "sleep", "600"]).await;
    for _ in 0..40 {
        let stdin: crate::container::Stdin = Box::pin(tokio::io::repeat(b'x').take(20_000_000));
        let command = ["sh", "-c", "echo broken >&2; exit 3"];
        let ran = engine.exec(name, &command, Some(stdin), false).await.unwrap();
        assert_eq!((ran.code, ran.stderr.as_str()), (3, "broken\n"));
    }
    docker(&["rm", "-f", name]).await;
}
