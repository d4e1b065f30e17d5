//! Carries cures out: the only part of the doctor that changes anything.

mod daemon;
mod kernel;
mod packages;
pub(super) mod prove;
mod runtime;
#[cfg(test)]
mod wrapper_tests;

use std::collections::BTreeSet;

use super::finding::{Finding, Status};
use super::paths::Paths;
use crate::config::Profile;
use crate::diag::{Failure, Reason, Result};
use crate::engine::StepCx;
use crate::env::Env;

/// Something that can be done about a finding. The order is the one they are done in: the daemon's configuration is
/// written before the daemon is installed, because installing may start it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Action {
    /// Lays the wrapper of the runtime down and names it in the daemon's configuration.
    WriteRuntime,
    /// Installs a package of Debian or a descendant.
    Install(&'static str),
    /// Starts the daemon and waits until it answers.
    StartDaemon,
    /// Has the daemon take the wrapper up, and proves that privileged containers start.
    UseRuntime,
    /// Sets a parameter of the kernel until the next boot.
    Sysctl {
        /// Its name.
        key: &'static str,
        /// Its new value.
        value: u64,
    },
}

/// What a part of the cures is given.
struct Cx<'a> {
    env: &'a Env,
    paths: &'a Paths,
    step: &'a StepCx,
}

impl Cx<'_> {
    /// Says what will be done, before it is done.
    fn tell(&self, message: impl Into<String>) {
        self.step.events().note(message);
    }
}

/// Carries out the cures of these findings that can be carried out here, and examines the machine again.
///
/// Each is told before it is done, and has its result verified. Cures that only a person can carry out are told, too;
/// what they would cure is then still among the findings that come back: give them to [`super::blocking`].
///
/// # Errors
/// [`Reason::CureFailed`] with what was seen if one did not work; [`Reason::Interrupted`].
pub async fn fix(env: &Env, profile: &Profile, findings: &[Finding], cx: &StepCx) -> Result<Vec<Finding>> {
    fix_at(env, profile, findings, cx, &Paths::default()).await
}

/// As [`fix()`], for an engine whose files lie elsewhere.
///
/// # Errors
/// As [`fix()`].
pub async fn fix_at(
    env: &Env,
    profile: &Profile,
    findings: &[Finding],
    step: &StepCx,
    paths: &Paths,
) -> Result<Vec<Finding>> {
    let cx = Cx { env, paths, step };
    for finding in findings.iter().filter(|f| f.status > Status::Ok) {
        if let Some(cure) = finding.cure.as_ref().filter(|c| !c.automatic) {
            cx.tell(format!(
                "{}: not carried out, this is yours to do: {}",
                finding.title, cure.command
            ));
        }
    }
    let (packages, others) = plan(findings);
    for action in &others {
        // packages come after the first action's kind and before all others
        if *action > Action::Install("") {
            break;
        }
        carry_out(&cx, action).await?;
    }
    if !packages.is_empty() {
        packages::install(&cx, &packages).await.map_err(cure_failed)?;
    }
    for action in others.iter().filter(|a| **a > Action::Install("")) {
        carry_out(&cx, action).await?;
    }
    let after = super::examine_at(env, profile, paths).await;
    still_there(findings, &after).map_or(Ok(after), Err)
}

async fn carry_out(cx: &Cx<'_>, action: &Action) -> Result<()> {
    let seen = match action {
        Action::WriteRuntime => runtime::write(cx).await,
        Action::StartDaemon => daemon::start(cx).await,
        Action::UseRuntime => runtime::take_up(cx).await,
        // a limit that stays low is a warning, no reason to give up on the rest
        Action::Sysctl { key, value } => {
            kernel::set(cx, key, *value).or_else(|f| Ok(format!("{key}: {}", reasons(&f))))
        }
        Action::Install(name) => packages::install(cx, &[name]).await,
    };
    seen.map(|seen| cx.tell(seen)).map_err(cure_failed)
}

/// The actions of all findings that are not ok: packages, which are installed at once, and all others in order.
fn plan(findings: &[Finding]) -> (Vec<&'static str>, Vec<Action>) {
    let all: BTreeSet<Action> = findings
        .iter()
        .filter(|f| f.status > Status::Ok)
        .filter_map(|f| f.cure.as_ref())
        .flat_map(|c| c.actions.iter().cloned())
        .collect();
    let packages = all
        .iter()
        .filter_map(|a| {
            if let Action::Install(name) = a {
                Some(*name)
            } else {
                None
            }
        })
        .collect();
    (
        packages,
        all.into_iter().filter(|a| !matches!(a, Action::Install(_))).collect(),
    )
}

/// The failure of a cure that was carried out and did not help.
fn still_there(before: &[Finding], after: &[Finding]) -> Option<Failure> {
    let cured = before
        .iter()
        .filter(|f| f.status > Status::Ok && f.cure.as_ref().is_some_and(|c| c.automatic));
    let mut left = cured.filter_map(|f| after.iter().find(|a| a.id == f.id && a.status == Status::Fail));
    left.next().map(|finding| {
        let message = format!("{} is no better after its cure: {}", finding.title, finding.evidence);
        let failure = Failure::new(Reason::CureFailed, message);
        finding
            .cure
            .iter()
            .fold(failure, |failure, cure| failure.next(cure.command.clone()))
    })
}

/// A failure on one line.
fn reasons(failure: &Failure) -> String {
    std::iter::once(failure.to_string())
        .chain(failure.detail().evidence.iter().cloned())
        .collect::<Vec<_>>()
        .join(": ")
}

fn cure_failed(failure: Failure) -> Failure {
    if matches!(failure.id(), Reason::Interrupted | Reason::CureFailed) {
        return failure;
    }
    let detail = failure.detail();
    let outer = Failure::new(Reason::CureFailed, detail.message.clone());
    let outer = detail
        .evidence
        .iter()
        .fold(outer, |outer, seen| outer.evidence(seen.clone()));
    detail.next.iter().fold(outer, |outer, next| outer.next(next.clone()))
}

#[cfg(test)]
mod tests {
    use super::super::finding::Cure;
    use super::*;

    fn ill(id: &'static str, actions: Vec<Action>) -> Finding {
        Finding::fail(id, id, "ill", Reason::NotReady).with(Cure::by_action(true, "", "cmd", actions))
    }

    #[test]
    fn the_runtime_is_written_before_and_taken_up_after_the_daemon_is_there() {
        let findings = [
            ill("engine", vec![Action::Install("docker.io"), Action::StartDaemon]),
            ill("capabilities", vec![Action::UseRuntime, Action::WriteRuntime]),
            ill("docker-cli", vec![Action::Install("docker-cli")]),
            ill("again", vec![Action::Install("docker.io")]),
            Finding {
                status: Status::Ok,
                ..ill("well", vec![Action::Install("not-this")])
            },
        ];
        let (packages, others) = plan(&findings);
        assert_eq!(packages, ["docker-cli", "docker.io"]);
        assert_eq!(others, [Action::WriteRuntime, Action::StartDaemon, Action::UseRuntime]);
        assert!(Action::WriteRuntime < Action::Install("") && Action::StartDaemon > Action::Install("zzz"));
    }

    #[test]
    fn a_cure_that_did_not_help_is_a_failure() {
        let before = [ill("engine", vec![Action::StartDaemon])];
        let failure = still_there(&before, &before).unwrap();
        assert_eq!(failure.id(), Reason::CureFailed);
        assert_eq!(failure.next_steps(), ["cmd"]);
        assert!(still_there(&before, &[Finding::ok("engine", "engine", "fine")]).is_none());
        let by_hand = [Finding::fail("port", "port", "taken", Reason::PortInUse).with(Cure::by_hand("", "edit"))];
        assert!(still_there(&by_hand, &by_hand).is_none(), "it was not ours to cure");
    }
}
