//! The schema registry of an environment: where it is, its API, and how values name their schema.

mod client;
#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;
mod wire;

use crate::config::Profile;

pub use client::{Registry, subject_of};
pub use wire::{framed, unframed};

/// The name of its Deployment and Service.
pub const SERVICE: &str = "schema-registry";
/// The port that it listens at.
pub const PORT: u16 = 8080;
/// The API of Confluent's schema registry, as Apicurio Registry has it.
const API: &str = "/apis/ccompat/v7";

/// The address of a profile's registry in the cluster, which `${registry.url}` stands for; `None` without one.
pub fn url(profile: &Profile) -> Option<String> {
    let namespace = &profile.kafka.namespace;
    let there = profile.schema_registry.enabled;
    there.then(|| format!("http://{SERVICE}.{namespace}.svc.cluster.local:{PORT}{API}"))
}
