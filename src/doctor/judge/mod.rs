//! Turns facts into findings. Pure: the same facts give the same findings.

mod engine;
#[cfg(test)]
mod engine_tests;
mod machine;
mod settings;
mod supply;
#[cfg(test)]
mod tests;

use super::finding::Finding;
use super::probe::Facts;
use crate::config::{ImageSource, Profile};
use crate::env::Env;

pub(super) use engine::{capabilities, too_old};
pub(super) use machine::{disk, memory, ports};

/// All findings, in the order in which they should be cured.
pub(super) fn all(facts: &Facts, env: &Env, profile: &Profile) -> Vec<Finding> {
    let mut findings = vec![
        engine::engine(facts),
        engine::command_line(facts),
        engine::capabilities_of(facts),
    ];
    if let Some(engine) = facts.engine() {
        findings.push(engine::storage(engine));
        findings.push(engine::cgroup(engine, &profile.cluster.kubernetes));
    }
    findings.push(machine::disk(facts.free_mib, builds(facts, profile)));
    findings.push(machine::cpu(facts, profile));
    findings.push(machine::memory_of(facts, profile));
    findings.extend(machine::inotify(&facts.host));
    findings.push(machine::open_files(facts));
    findings.extend(machine::ports(
        &facts.ports,
        facts.engine().and_then(|e| e.node.as_ref()),
    ));
    findings.push(supply::kind(&facts.tools));
    findings.push(supply::debootstrap(facts, profile));
    findings.push(supply::container_registry(facts, profile));
    findings.push(supply::package_registries(facts, profile));
    findings.push(settings::proxy(env));
    findings.push(settings::ca(facts));
    findings
}

/// Whether images are still to be had. The node's image is the last and the largest one.
fn missing_images(facts: &Facts, profile: &Profile) -> bool {
    facts.engine().is_none_or(|e| !e.images.contains(&profile.node_image()))
}

/// Whether images may have to be built from packages.
fn builds(facts: &Facts, profile: &Profile) -> bool {
    profile.images.source != ImageSource::Registry && missing_images(facts, profile)
}

/// MiB for people.
fn gib(mib: u64) -> String {
    format!("{:.1} GiB", mib as f64 / 1024.0)
}
