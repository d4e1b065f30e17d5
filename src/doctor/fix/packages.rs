//! Installs packages of Debian and its descendants.

use std::time::Duration;

use super::Cx;
use crate::diag::{Failure, Reason, Result};
use crate::process::Program;

/// How long fetching the lists may take.
const UPDATE: Duration = Duration::from_secs(300);
/// How long fetching and unpacking may take.
const INSTALL: Duration = Duration::from_secs(900);

/// Brings the lists up to date, once, and installs what is missing.
pub(super) async fn install(cx: &Cx<'_>, names: &[&str]) -> Result<String> {
    let update = apt_get(&["update"]);
    cx.tell(format!("fetching the lists of packages: {}", update.display()));
    if let Err(failure) = run(cx, &update, UPDATE).await {
        if failure.id() == Reason::Interrupted {
            return Err(failure);
        }
        // one list that cannot be had is no hindrance: installing tells whether the others are enough
        cx.tell(format!("not all lists of packages could be fetched: {failure}"));
    }
    let madison = Program::new("apt-cache")
        .args(["madison", "docker-cli"])
        .output(cx.step.cancel())
        .await;
    let wanted = choose(names, madison.is_ok_and(|versions| !versions.trim().is_empty()));
    let mut args = vec!["install", "-y", "--no-install-recommends"];
    args.extend(&wanted);
    let install = apt_get(&args);
    cx.tell(format!("installing {}: {}", wanted.join(", "), install.display()));
    run(cx, &install, INSTALL).await?;

    let mut query = vec!["-W", "-f", "${Package} ${Version} ${Status}\n"];
    query.extend(&wanted);
    let state = Program::new("dpkg-query").args(query).output(cx.step.cancel()).await?;
    let lacking = not_installed(&state, &wanted);
    if lacking.is_empty() {
        return Ok(format!("installed: {}", wanted.join(", ")));
    }
    Err(Failure::new(
        Reason::CureFailed,
        format!("not installed after all: {}", lacking.join(", ")),
    )
    .evidence(state))
}

/// Debian 13 and later have the command line in a package of its own, earlier ones in that of the daemon.
fn choose<'a>(names: &[&'a str], has_cli_package: bool) -> Vec<&'a str> {
    let mut wanted: Vec<&str> = Vec::new();
    for name in names {
        let name = if *name == "docker-cli" && !has_cli_package {
            "docker.io"
        } else {
            name
        };
        if !wanted.contains(&name) {
            wanted.push(name);
        }
    }
    wanted
}

/// Those of `wanted` that `dpkg-query` does not call installed.
fn not_installed<'a>(state: &str, wanted: &[&'a str]) -> Vec<&'a str> {
    let installed = |name: &&str| {
        state
            .lines()
            .any(|l| l.split_whitespace().next() == Some(name) && l.ends_with(" install ok installed"))
    };
    wanted.iter().filter(|n| !installed(n)).copied().collect()
}

fn apt_get(args: &[&str]) -> Program {
    // another apt may be at work (unattended upgrades): wait for it instead of failing
    Program::new("apt-get")
        .args(["-o", "DPkg::Lock::Timeout=120"])
        // a mirror that says nothing is asked again
        .args(["-o", "Acquire::Retries=5", "-o", "Acquire::http::Timeout=60"])
        .args(args.iter().copied())
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("NEEDRESTART_SUSPEND", "1")
        .env("LC_ALL", "C.UTF-8")
}

/// dpkg draws its progress over one line: what it says last.
fn last_state(line: &str) -> &str {
    line.rsplit('\r')
        .find(|text| !text.trim().is_empty())
        .unwrap_or_default()
}

async fn run(cx: &Cx<'_>, program: &Program, bound: Duration) -> Result<()> {
    let running = program.run(cx.step.cancel(), |line| cx.step.output(last_state(line)));
    let output = tokio::time::timeout(bound, running).await.map_err(|_| {
        let message = format!("`{}` did not end within {} s", program.display(), bound.as_secs());
        Failure::new(Reason::CureFailed, message).next("dpkg --configure -a")
    })??;
    if output.status.success() {
        Ok(())
    } else {
        Err(program.failed(&output))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_comes_from_where_the_release_has_it() {
        assert_eq!(
            choose(&["docker-cli", "docker.io", "debootstrap"], false),
            ["docker.io", "debootstrap"]
        );
        assert_eq!(choose(&["docker-cli", "docker.io"], true), ["docker-cli", "docker.io"]);
    }

    #[test]
    fn only_what_dpkg_calls_installed_counts() {
        let state = "docker.io 20.10 install ok installed\ndebootstrap 1.0 deinstall ok config-files\n";
        assert_eq!(
            not_installed(state, &["docker.io", "debootstrap", "docker-cli"]),
            ["debootstrap", "docker-cli"]
        );
    }

    #[test]
    fn of_a_line_that_is_drawn_over_the_last_state_is_told() {
        assert_eq!(
            last_state("(Reading ... \r(Reading ... 5%\r(Reading ... 9 files.)\r"),
            "(Reading ... 9 files.)"
        );
        assert_eq!((last_state("Done."), last_state("")), ("Done.", ""));
    }

    #[test]
    fn apt_never_asks() {
        assert_eq!(
            apt_get(&["update"]).display(),
            "apt-get -o DPkg::Lock::Timeout=120 -o Acquire::Retries=5 -o Acquire::http::Timeout=60 update"
        );
    }
}
