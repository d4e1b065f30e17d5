//! The doctor on the real thing. Not part of an ordinary run: they need root, Debian's Docker packages and a minute.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::finding::Status;
use super::fix::prove;
use super::{Finding, Paths, blocking, examine, examine_at, fix_at, preflight, testing};
use crate::engine::StepCx;
use crate::env::Env;
use crate::event::{EventKind, EventSink};

fn table(findings: &[Finding]) -> String {
    let row = |f: &Finding| format!("{:?} {} ({}): {}", f.status, f.title, f.id, f.evidence);
    findings.iter().map(row).collect::<Vec<_>>().join("\n")
}

fn find<'a>(findings: &'a [Finding], id: &str) -> &'a Finding {
    findings.iter().find(|f| f.id == id).unwrap()
}

#[tokio::test]
#[ignore = "needs a running Docker engine"]
async fn this_machine_is_examined_in_time() {
    let (env, profile) = (Env::from_process(), testing::profile());
    let began = Instant::now();
    let findings = examine(&env, &profile).await;
    let whole = began.elapsed();
    let began = Instant::now();
    let before = preflight(&env, &profile, false).await;
    let cheap = began.elapsed();
    assert_eq!(find(&findings, "engine").status, Status::Ok, "{}", table(&findings));
    // 4 s and 1 s on a quiet machine
    assert!(
        whole < Duration::from_secs(40) && cheap < Duration::from_secs(10),
        "{whole:?}, {cheap:?}"
    );
    assert!(blocking(&before).is_none(), "{}", table(&before));
}

/// A second engine beside the machine's own: started by the doctor, given the runtime, proved.
#[tokio::test]
#[ignore = "needs root and dockerd"]
async fn a_silent_engine_is_started_and_starts_privileged_containers() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let text = |name: &str| at(name).display().to_string();
    let paths = Paths {
        socket: at("docker.sock"),
        config_dir: at("etc"),
        runtime_dir: at("lib"),
        log: at("dockerd.log"),
        daemon_args: [
            ["--host", &format!("unix://{}", text("docker.sock"))],
            ["--data-root", &text("data")],
            ["--exec-root", &text("exec")],
            ["--pidfile", &text("docker.pid")],
            ["--config-file", &text("etc/daemon.json")],
            ["--bridge", "none"],
        ]
        .iter()
        .flatten()
        .map(|a| (*a).to_owned())
        .chain(["--iptables=false".to_owned(), "--ip6tables=false".to_owned()])
        .collect(),
        service: false,
    };
    fs_err::create_dir_all(&paths.config_dir).unwrap();
    fs_err::write(paths.config(), r#"{"log-driver": "local"}"#).unwrap();
    let env = with_own_network(Env::from_process(), &at("bin"));
    let outcome = scenario(&env, &paths).await;
    let pid = fs_err::read_to_string(at("docker.pid")).unwrap_or_default();
    if let Ok(pid) = pid.trim().parse() {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGTERM).unwrap();
        while Path::new(&format!("/proc/{pid}")).exists() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    let log = fs_err::read_to_string(&paths.log).unwrap_or_default();
    let told = outcome.unwrap_or_else(|e| panic!("{e}\n{log}"));
    let at = |what: &str| {
        told.iter()
            .position(|note| note.contains(what))
            .unwrap_or_else(|| panic!("{what}: {told:#?}"))
    };
    assert!(at("setsid dockerd") < at(" answers"), "{told:#?}");
    if told.iter().any(|note| note.contains("installing the runtime")) {
        assert!(
            at("installing the runtime") < at("kill -HUP") && at("as a proof") < at("containers start"),
            "{told:#?}"
        );
    }
}

/// An environment in which `dockerd` runs in a network namespace of its own: one that is told to have no bridge takes
/// away that of the machine's own engine.
fn with_own_network(mut env: Env, bin: &Path) -> Env {
    let dockerd = bin.join("dockerd");
    fs_err::create_dir_all(bin).unwrap();
    let path = env.var("PATH").unwrap().to_owned();
    fs_err::write(
        &dockerd,
        format!("#!/bin/sh\nPATH={path}\nexec unshare --net dockerd \"$@\"\n"),
    )
    .unwrap();
    fs_err::set_permissions(&dockerd, std::fs::Permissions::from_mode(0o755)).unwrap();
    env.vars.insert("PATH".to_owned(), format!("{}:{path}", bin.display()));
    env
}

async fn scenario(env: &Env, paths: &Paths) -> Result<Vec<String>, String> {
    let profile = testing::profile();
    let (events, mut receiver) = EventSink::channel();
    let cx = StepCx::detached("fix", events, CancellationToken::new());
    let before = examine_at(env, &profile, paths).await;
    if find(&before, "engine").status != Status::Fail {
        return Err(table(&before));
    }
    // first without the runtime, then with it: a running daemon takes it up
    let engine_only = [find(&before, "engine").clone()];
    let first = match fix_at(env, &profile, &engine_only, &cx, paths).await {
        Ok(after) => after,
        Err(failure) => return Err(format!("{failure}: {:?}", failure.detail().evidence)),
    };
    let lacking = find(&before, "capabilities").status == Status::Fail;
    if lacking && find(&first, "capabilities").status != Status::Fail {
        return Err(format!("the stock runtime cannot be fine\n{}", table(&first)));
    }
    let docker = super::engine::connect(&paths.endpoint()).await?;
    match prove::privileged(&docker).await {
        Err(failure) if lacking && failure.detail().evidence.concat().contains("operation not permitted") => {}
        Ok(()) if !lacking => {}
        other => {
            return Err(format!(
                "the proof must tell whether the stock runtime works: {other:?}"
            ));
        }
    }
    let only: Vec<Finding> = first.iter().filter(|f| f.id == "capabilities").cloned().collect();
    let second = fix_at(env, &profile, &only, &cx, paths)
        .await
        .map_err(|f| format!("{f}: {:?}", f.detail()))?;
    for id in ["engine", "capabilities"] {
        if find(&second, id).status != Status::Ok {
            return Err(table(&second));
        }
    }
    let config = fs_err::read_to_string(paths.config()).map_err(|e| e.to_string())?;
    if !config.contains("\"log-driver\": \"local\"") {
        return Err(config);
    }
    let mut told = Vec::new();
    while let Ok(event) = receiver.try_recv() {
        if let EventKind::Note { message } = event.kind {
            told.push(message);
        }
    }
    Ok(told)
}
