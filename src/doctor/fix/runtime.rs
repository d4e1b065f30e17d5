//! The runtime that leaves out capabilities which the machine cannot give.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep};

use super::super::RUNTIME;
use super::super::engine::connect;
use super::{Cx, prove};
use crate::diag::{Failure, Reason, Result};
use crate::process::Program;

/// The wrapper itself.
const SCRIPT: &str = include_str!("../assets/runc-bounded");
/// How long a daemon may take to read its configuration anew.
const RELOAD: Duration = Duration::from_secs(15);

/// Lays the wrapper down and names it in the daemon's configuration; a configuration that was there is kept beside.
pub(super) async fn write(cx: &Cx<'_>) -> Result<String> {
    let (runtime, config) = (cx.paths.runtime(), cx.paths.config());
    cx.tell(format!(
        "installing the runtime {} and making it the default in {}",
        runtime.display(),
        config.display()
    ));
    let failed = |e: std::io::Error| Failure::new(Reason::CureFailed, "the runtime cannot be installed").cause(&e);
    replace(&runtime, SCRIPT, 0o755).map_err(failed)?;
    let old = if config.exists() {
        Some(fs_err::read_to_string(&config).map_err(failed)?)
    } else {
        None
    };
    let (new, replaced) = merge(old.as_deref(), &runtime).map_err(|why| {
        Failure::new(
            Reason::CureFailed,
            format!("{} cannot be extended: {why}", config.display()),
        )
        .next(format!("correct {}, then: dev doctor --fix", config.display()))
    })?;
    if let Some(other) = replaced {
        cx.tell(format!(
            "the default runtime was `{other}`; containers can still ask for it by name"
        ));
    }
    match old {
        Some(old) if old == new => {}
        Some(old) => {
            let backup = config.with_extension("json.before-flink-dev");
            if !backup.exists() {
                replace(&backup, &old, 0o644).map_err(failed)?;
            }
            replace(&config, &new, 0o644).map_err(failed)?;
        }
        None => replace(&config, &new, 0o644).map_err(failed)?,
    }
    Ok(format!("{} names {}", config.display(), runtime.display()))
}

/// Has the running daemon read its configuration anew, and proves with what was lacking that it helped.
pub(super) async fn take_up(cx: &Cx<'_>) -> Result<String> {
    let endpoint = cx.paths.endpoint();
    let failed =
        |why: String| Failure::new(Reason::CureFailed, "the engine does not take the runtime up").evidence(why);
    let docker = connect(&endpoint).await.map_err(failed)?;
    let default = || async {
        let info = docker.info().await.map_err(|e| e.to_string())?;
        let name = info.default_runtime.unwrap_or_default();
        let path = info.runtimes.and_then(|mut all| all.remove(&name)?.path);
        Ok::<_, String>(path.unwrap_or(name))
    };
    let is_ours = |path: &str| path.rsplit('/').next() == Some(RUNTIME);
    if !is_ours(&default().await.map_err(failed)?) {
        reload(cx).await?;
        let began = Instant::now();
        loop {
            let path = default().await.map_err(failed)?;
            if is_ours(&path) {
                break;
            }
            let why = format!("its default runtime is still `{path}`");
            cx.step.waiting(&*why);
            if began.elapsed() > RELOAD {
                return Err(failed(why)
                    .evidence("options on the daemon's own command line win over its file: look for --default-runtime")
                    .next("restart the Docker daemon"));
            }
            sleep(Duration::from_millis(100)).await;
        }
    }
    cx.tell("starting a privileged container that runs `true`, as a proof");
    prove::privileged(&docker).await?;
    Ok(format!(
        "privileged containers start, with the runtime {}",
        cx.paths.runtime().display()
    ))
}

/// Runtimes are among the settings that a running daemon takes up; its containers go on running.
async fn reload(cx: &Cx<'_>) -> Result<()> {
    let failed =
        |e: &dyn std::error::Error| Failure::new(Reason::CureFailed, "the daemon cannot be told to reload").cause(e);
    let stream = UnixStream::connect(&cx.paths.socket).await.map_err(|e| failed(&e))?;
    let pid = stream.peer_cred().ok().and_then(|c| c.pid()).unwrap_or_default();
    let name = fs_err::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    if name.trim() == "dockerd" {
        cx.tell(format!(
            "having the Docker daemon read its configuration anew: kill -HUP {pid}"
        ));
        return nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGHUP)
            .map_err(|e| failed(&e));
    }
    // systemd listens for it and hands the socket over
    let systemctl = Program::new("systemctl").args(["reload", "docker"]);
    cx.tell(format!(
        "having the Docker daemon read its configuration anew: {}",
        systemctl.display()
    ));
    systemctl.output(cx.step.cancel()).await.map(|_| ())
}

/// The daemon's configuration with our runtime as the default one, and the default that was there, if it was another.
/// All else stays as it is, in its order.
fn merge(old: Option<&str>, runtime: &Path) -> Result<(String, Option<String>), String> {
    let mut config: Map<String, Value> = match old.map(str::trim).filter(|t| !t.is_empty()) {
        Some(text) => serde_json::from_str(text).map_err(|e| e.to_string())?,
        None => Map::new(),
    };
    let runtimes = config.entry("runtimes").or_insert_with(|| json!({}));
    let Value::Object(runtimes) = runtimes else {
        return Err("`runtimes` is not an object".to_owned());
    };
    runtimes.insert(RUNTIME.to_owned(), json!({ "path": runtime }));
    let before = config.insert("default-runtime".to_owned(), json!(RUNTIME));
    let replaced = before
        .as_ref()
        .and_then(Value::as_str)
        .filter(|name| *name != RUNTIME)
        .map(str::to_owned);
    let text = serde_json::to_string_pretty(&config).map_err(|e| e.to_string())?;
    Ok((text + "\n", replaced))
}

/// Writes a file as a whole or not at all.
fn replace(path: &Path, text: &str, mode: u32) -> std::io::Result<()> {
    use std::io::Write as _;
    let dir = path.parent().unwrap_or(Path::new("/"));
    fs_err::create_dir_all(dir)?;
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(std::fs::Permissions::from_mode(mode))?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::super::{Paths, testing};
    use super::*;
    use crate::engine::StepCx;
    use crate::event::EventSink;

    #[test]
    fn what_is_in_the_configuration_stays_in_its_order() {
        let old =
            r#"{"log-driver": "local", "runtimes": {"nvidia": {"path": "/x"}}, "default-runtime": "nvidia", "a": [1]}"#;
        let (text, replaced) = merge(Some(old), Path::new("/lib/runc-bounded")).unwrap();
        let expected = json!({
            "log-driver": "local",
            "runtimes": {"nvidia": {"path": "/x"}, "runc-bounded": {"path": "/lib/runc-bounded"}},
            "default-runtime": "runc-bounded",
            "a": [1],
        });
        assert_eq!(text, serde_json::to_string_pretty(&expected).unwrap() + "\n");
        assert_eq!(replaced.as_deref(), Some("nvidia"));
        assert_eq!(
            merge(Some(&text), Path::new("/lib/runc-bounded")).unwrap(),
            (text, None),
            "the second time changes nothing"
        );
    }

    #[test]
    fn a_configuration_that_is_not_understood_is_not_touched() {
        assert!(merge(Some("{ // comment\n}"), Path::new("/r")).is_err());
        assert!(merge(Some(r#"{"runtimes": []}"#), Path::new("/r")).is_err());
        assert!(merge(Some("  \n"), Path::new("/r")).is_ok() && merge(None, Path::new("/r")).is_ok());
    }

    #[tokio::test]
    async fn the_wrapper_is_laid_down_and_the_old_configuration_kept_beside() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths {
            config_dir: dir.path().join("etc"),
            runtime_dir: dir.path().join("lib"),
            ..Paths::default()
        };
        fs_err::create_dir_all(&paths.config_dir).unwrap();
        fs_err::write(paths.config(), r#"{"bip": "10.1.0.1/24"}"#).unwrap();
        let env = testing::env(dir.path());
        let step = StepCx::detached("test", EventSink::discard(), tokio_util::sync::CancellationToken::new());
        let cx = Cx {
            env: &env,
            paths: &paths,
            step: &step,
        };
        for _ in 0..2 {
            write(&cx).await.unwrap();
            let mode = std::fs::metadata(paths.runtime()).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o755);
            let config: Value = serde_json::from_str(&fs_err::read_to_string(paths.config()).unwrap()).unwrap();
            assert_eq!(config["bip"], "10.1.0.1/24");
            assert_eq!(config["runtimes"][RUNTIME]["path"], paths.runtime().to_str().unwrap());
            let kept = fs_err::read_to_string(paths.config_dir.join("daemon.json.before-flink-dev")).unwrap();
            assert_eq!(kept, r#"{"bip": "10.1.0.1/24"}"#);
        }
    }
}
