//! What the doctor found, and what would cure it.

use serde::Serialize;

use super::fix::Action;
use crate::diag::{Failure, Reason};

/// How a finding stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// As it should be, or of no account here.
    Ok,
    /// It works, but slower, with less room, or not for everything.
    Warn,
    /// `dev up` cannot work like this.
    Fail,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable name, e.g. `memory`.
    pub id: &'static str,
    /// For people, e.g. `Memory`.
    pub title: String,
    /// How it stands.
    pub status: Status,
    /// What was seen; for [`Status::Fail`] a sentence without a full stop.
    pub evidence: String,
    /// The entry of the catalogue that stops `dev up`; only with [`Status::Fail`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// What helps, if anything does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cure: Option<Cure>,
}

/// What helps against a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cure {
    /// What it does, for people.
    pub explains: String,
    /// What a person would type.
    pub command: String,
    /// Whether [`super::fix()`] can carry it out on this machine, as this user.
    pub automatic: bool,
    /// What [`super::fix()`] does.
    #[serde(skip)]
    pub(super) actions: Vec<Action>,
}

impl Cure {
    /// A cure that only a person can carry out.
    pub(super) fn by_hand(explains: impl Into<String>, command: impl Into<String>) -> Self {
        Self {
            explains: explains.into(),
            command: command.into(),
            automatic: false,
            actions: Vec::new(),
        }
    }

    /// A cure that [`super::fix()`] carries out if `may`; else it is one for a person.
    pub(super) fn by_action(
        may: bool,
        explains: impl Into<String>,
        command: impl Into<String>,
        actions: Vec<Action>,
    ) -> Self {
        let actions = if may { actions } else { Vec::new() };
        Self {
            explains: explains.into(),
            command: command.into(),
            automatic: may,
            actions,
        }
    }
}

impl Finding {
    /// Something that is as it should be.
    pub(super) fn ok(id: &'static str, title: impl Into<String>, evidence: impl Into<String>) -> Self {
        Self {
            id,
            title: title.into(),
            status: Status::Ok,
            evidence: evidence.into(),
            reason: None,
            cure: None,
        }
    }

    /// Something that works, but not as well as it could.
    pub(super) fn warn(id: &'static str, title: impl Into<String>, evidence: impl Into<String>) -> Self {
        Self {
            status: Status::Warn,
            ..Self::ok(id, title, evidence)
        }
    }

    /// Something that stops `dev up`.
    pub(super) fn fail(
        id: &'static str,
        title: impl Into<String>,
        evidence: impl Into<String>,
        reason: Reason,
    ) -> Self {
        Self {
            status: Status::Fail,
            reason: Some(reason),
            ..Self::ok(id, title, evidence)
        }
    }

    /// Adds what helps.
    #[must_use]
    pub(super) fn with(mut self, cure: Cure) -> Self {
        self.cure = Some(cure);
        self
    }
}

/// Whether there is something that [`super::fix()`] would change: a finding that is not ok, with a cure that can be
/// carried out here.
pub fn needs_fix(findings: &[Finding]) -> bool {
    findings
        .iter()
        .any(|f| f.status > Status::Ok && f.cure.as_ref().is_some_and(|c| c.automatic))
}

/// The failure of the first finding that stops `dev up`, with what helps as the next command; the other ones that do
/// are its evidence.
pub fn blocking(findings: &[Finding]) -> Option<Failure> {
    let mut failing = findings.iter().filter(|f| f.status == Status::Fail);
    let finding = failing.next()?;
    let failure = Failure::new(finding.reason.unwrap_or(Reason::NotReady), finding.evidence.clone());
    let failure = failing.fold(failure, |failure, other| {
        failure.evidence(format!("also: {}", other.evidence))
    });
    Some(match &finding.cure {
        Some(cure) if cure.automatic => failure.next("dev doctor --fix").next(cure.command.clone()),
        Some(cure) => failure.next(cure.command.clone()),
        None => failure,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_finding_that_fails_becomes_the_failure() {
        let cure = Cure::by_action(true, "starts it", "dockerd", vec![Action::StartDaemon]);
        let findings = [
            Finding::ok("cpu", "CPU", "4"),
            Finding::warn("inotify", "inotify", "128 instances"),
            Finding::fail("engine", "Docker engine", "nobody answers", Reason::EngineUnreachable).with(cure),
            Finding::fail("port", "Port", "taken", Reason::PortInUse),
        ];
        let failure = blocking(&findings).unwrap();
        assert_eq!(failure.id(), Reason::EngineUnreachable);
        assert_eq!(failure.to_string(), "nobody answers");
        assert_eq!(failure.next_steps(), ["dev doctor --fix", "dockerd"]);
        assert_eq!(failure.detail().evidence, ["also: taken"]);
        assert!(needs_fix(&findings));
        assert!(blocking(&findings[..2]).is_none() && !needs_fix(&findings[..2]));
    }

    #[test]
    fn a_cure_that_may_not_be_carried_out_has_no_actions() {
        let cure = Cure::by_action(false, "starts it", "sudo dockerd", vec![Action::StartDaemon]);
        assert!(!cure.automatic && cure.actions.is_empty());
        let finding = Finding::fail("engine", "Docker engine", "silent", Reason::EngineUnreachable).with(cure);
        assert!(!needs_fix(std::slice::from_ref(&finding)));
        assert_eq!(blocking(&[finding]).unwrap().next_steps(), ["sudo dockerd"]);
    }

    #[test]
    fn findings_serialise_for_machines() {
        let cure = Cure::by_hand("frees space", "docker system prune");
        let finding = Finding::fail("disk", "Free space", "3 GB free", Reason::DiskShort).with(cure);
        let json = serde_json::to_value(&finding).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"id": "disk", "title": "Free space", "status": "fail", "evidence": "3 GB free",
                "reason": "DISK_SHORT",
                "cure": {"explains": "frees space", "command": "docker system prune", "automatic": false}})
        );
    }
}
