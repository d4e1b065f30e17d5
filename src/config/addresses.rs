//! Where scripts and programs find what the environment has.

/// The name of the placeholder for the address of the schema registry, `${registry.url}`.
pub const REGISTRY_URL: &str = "registry.url";

/// Addresses in the cluster, as scripts have them by names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Addresses<'a> {
    /// `${kafka.bootstrap}`.
    pub kafka: Option<&'a str>,
    /// `${registry.url}`.
    pub registry: Option<&'a str>,
}

impl<'a> Addresses<'a> {
    /// Whether a placeholder has this name, and what it stands for, if the environment has it.
    pub fn of(self, name: &str) -> Option<Option<&'a str>> {
        match name {
            "kafka.bootstrap" => Some(self.kafka),
            REGISTRY_URL => Some(self.registry),
            _ => None,
        }
    }
}

/// Words for a placeholder of this name where the environment has nothing that it could stand for.
pub fn lacking(name: &str) -> String {
    let what = match name {
        REGISTRY_URL => "schema registry",
        _ => "Kafka",
    };
    format!("`${{{name}}}`: the profile has no {what}")
}
