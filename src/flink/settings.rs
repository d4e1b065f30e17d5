//! The settings of a Flink cluster, as its JobManager tells them.

use std::collections::BTreeMap;

use super::rest::Rest;
use crate::diag::Result;

/// Where checkpoints lie: the setting's name, and the one of before.
pub const CHECKPOINTS: [&str; 2] = ["execution.checkpointing.dir", "state.checkpoints.dir"];
/// Where savepoints lie: the setting's name, and the one of before.
pub const SAVEPOINTS: [&str; 2] = ["execution.checkpointing.savepoint-dir", "state.savepoints.dir"];
/// What keeps jobs over the end of a JobManager: the setting's name, and the one of before.
const HIGH_AVAILABILITY: [&str; 2] = ["high-availability.type", "high-availability"];

/// The settings of a Flink cluster. One that is empty is not set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings(BTreeMap<String, String>);

impl<'a> FromIterator<(&'a str, &'a str)> for Settings {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(all: I) -> Self {
        let set = all.into_iter().filter(|(_, value)| !value.is_empty());
        Self(set.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }
}

impl Settings {
    /// Asks a cluster; nothing is set in one that is not there.
    ///
    /// # Errors
    /// [`crate::diag::Reason::FlinkUnreachable`].
    pub async fn of(rest: &Rest) -> Result<Self> {
        let answer = rest.get("/jobmanager/config").await?.unwrap_or_default();
        let entries = answer.as_array().into_iter().flatten();
        Ok(entries
            .filter_map(|one| Some((one["key"].as_str()?, one["value"].as_str()?)))
            .collect())
    }

    /// The value of a setting by its own name.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// The value of a setting under the first of its names that is set.
    pub fn any_of(&self, keys: [&str; 2]) -> Option<&str> {
        keys.iter().find_map(|key| self.get(key))
    }

    /// Whether jobs outlive their JobManager.
    pub fn is_highly_available(&self) -> bool {
        self.any_of(HIGH_AVAILABILITY)
            .is_some_and(|kind| !kind.eq_ignore_ascii_case("none"))
    }
}
