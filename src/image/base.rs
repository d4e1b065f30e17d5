//! `debian:SUITE-slim` where it cannot be pulled: made by `debootstrap` on this machine.

use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::container::{Build, Engine};
use crate::diag::{Failure, Reason, Result};
use crate::engine::StepCx;
use crate::env::Env;
use crate::process::{self, Program};

/// A folder older than this was left behind by a process that was killed.
const LEFT_BEHIND: Duration = Duration::from_secs(2 * 3600);

const PREFIX: &str = "debootstrap-";

/// Whether this machine can make a Debian base image.
///
/// # Errors
/// [`Reason::ToolMissing`] or [`Reason::NotReady`] with what it lacks.
pub(super) fn can_make(env: &Env) -> Result<()> {
    let what = "no Debian base image is in the engine and none can be pulled";
    if !cfg!(target_os = "linux") {
        return Err(
            Failure::new(Reason::NotReady, format!("{what}; one can be made on Linux only"))
                .next("set `images.mirror` to a registry that this machine reaches"),
        );
    }
    if program(env).is_none() {
        return Err(Failure::new(
            Reason::ToolMissing,
            format!("{what}; to make one, `debootstrap` is missing"),
        )
        .next("dev doctor --fix"));
    }
    #[cfg(unix)]
    if !nix::unistd::geteuid().is_root() {
        return Err(Failure::new(
            Reason::NotReady,
            format!("{what}; `debootstrap` makes one, but only for root"),
        )
        .next("run this once as root: sudo dev up"));
    }
    Ok(())
}

fn program(env: &Env) -> Option<std::path::PathBuf> {
    // it lies where only root's PATH looks
    process::find(env, "debootstrap")
        .or_else(|| Some(Path::new("/usr/sbin/debootstrap").to_owned()).filter(|path| path.exists()))
}

/// Makes the root file system and builds the image from it.
pub(super) async fn make(engine: &Engine, env: &Env, suite: &str, mut build: Build, cx: &StepCx) -> Result<()> {
    can_make(env)?;
    let program = program(env).unwrap_or_else(|| "debootstrap".into());
    let cache = env.cache_dir();
    let failed = |e: &dyn std::error::Error| {
        Failure::new(
            Reason::ImageBuildFailed,
            format!("no place for the root file system of {suite}"),
        )
        .cause(e)
    };
    fs_err::create_dir_all(&cache).map_err(|e| failed(&e))?;
    sweep(&cache);
    let work = tempfile::Builder::new()
        .prefix(PREFIX)
        .tempdir_in(&cache)
        .map_err(|e| failed(&e))?;
    let (root, tar) = (work.path().join("root"), work.path().join("rootfs.tar"));
    fs_err::create_dir(&root).map_err(|e| failed(&e))?;

    let wgetrc = work.path().join("wgetrc");
    fs_err::write(&wgetrc, bounded_wgetrc(env)).map_err(|e| failed(&e))?;

    // a mount namespace of its own: /proc of an interrupted run would stay mounted otherwise
    let debootstrap = Program::new("unshare")
        .args(["--mount", "--propagation", "private", "--"])
        .arg(program)
        .args(["--variant=minbase", "--include=ca-certificates", suite])
        .arg(&root)
        .env("WGETRC", wgetrc.display().to_string())
        .tethered();
    let mut packages = 0;
    let output = debootstrap
        .run(cx.cancel(), |line| {
            cx.output(line);
            packages += u64::from(line.contains("Unpacking") || line.contains("Configuring"));
            cx.progress(packages, 0, "steps", format!("debootstrap {suite}"));
        })
        .await?;
    if !output.status.success() {
        let log = fs_err::read_to_string(root.join("debootstrap/debootstrap.log")).unwrap_or_default();
        return Err(
            Failure::new(Reason::ImageBuildFailed, format!("debootstrap could not make {suite}"))
                .evidence(process::tail(&output.stdout, 10))
                .evidence(process::tail(&output.stderr, 10))
                .evidence(process::tail(&log, 20)),
        );
    }
    // what no image needs; copyright files stay
    let slim = "rm -rf var/lib/apt/lists/* var/cache/* var/log/* usr/share/man/* usr/share/locale/* usr/share/info/* dev/* && \
                find usr/share/doc -type f ! -name copyright -delete && find usr/share/doc -type l -delete && \
                : >etc/machine-id && mkdir -p var/cache/apt/archives/partial var/lib/apt/lists/partial && \
                tar --numeric-owner --sort=name -cf \"$1\" .";
    Program::new("sh")
        .args(["-ec", slim, "sh"])
        .arg(&tar)
        .cwd(&root)
        .output(cx.cancel())
        .await?;
    build.context.add_file("rootfs.tar", 0o644, &tar);
    engine.build(&build, cx).await?;
    tokio::task::spawn_blocking(move || drop(work)).await.ok();
    Ok(())
}

/// Settings for debootstrap's wget: the user's own, and a bound on silence. wget by itself gives up on a server that
/// says nothing after 15 minutes.
fn bounded_wgetrc(env: &Env) -> String {
    let users = env
        .var("WGETRC")
        .map_or_else(|| env.home.join(".wgetrc"), |path| env.absolute(Path::new(path)));
    let users = fs_err::read_to_string(users).unwrap_or_default();
    format!("{users}\ntimeout = 60\ntries = 5\nwaitretry = 5\n")
}

fn sweep(cache: &Path) {
    for entry in std::fs::read_dir(cache).into_iter().flatten().flatten() {
        let old = entry
            .metadata()
            .and_then(|m| m.modified())
            .is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age > LEFT_BEHIND));
        if old && entry.file_name().to_string_lossy().starts_with(PREFIX) {
            // tidying up: the next one tries again
            let _ = fs_err::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wget_gets_bounds_after_the_users_own_settings() {
        let home = tempfile::tempdir().unwrap();
        let mut env = Env::from_process();
        env.home = home.path().to_owned();
        env.vars.remove("WGETRC");
        assert!(bounded_wgetrc(&env).contains("\ntimeout = 60\n"));
        // the last line of a file may lack its end
        std::fs::write(home.path().join(".wgetrc"), "http_proxy = http://proxy:3128").unwrap();
        assert!(bounded_wgetrc(&env).starts_with("http_proxy = http://proxy:3128\ntimeout = 60\n"));
        env.vars.insert("WGETRC".into(), "/nowhere/wgetrc".into());
        assert!(!bounded_wgetrc(&env).contains("proxy"));
    }
}
