//! What is done before and after a case, and which evidence is gathered.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::units::Span;

/// How long a step of `setup` or `teardown` may take if it does not say so.
pub(super) const WITHIN: Duration = Duration::from_secs(60);

/// A step of `setup` or `teardown`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hook {
    /// What is done.
    pub action: HookAction,
    /// How long it may take.
    pub within: Duration,
    /// The line it is written on, for messages.
    pub line: usize,
}

/// What a step of `setup` or `teardown` does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HookAction {
    /// A command of this machine, for `sh -c`.
    Run(String),
    /// A SQL script as a job that has to end well; its text as written, and its file.
    Sql {
        /// The text, with its placeholders.
        text: String,
        /// The file.
        file: PathBuf,
    },
}

/// A step of `setup` or `teardown`, as users write it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline, extend("oneOf" = [{"required": ["run"]}, {"required": ["sql"]}]))]
pub(super) struct RawHook {
    /// A command of this machine, by `sh -c` in the folder of this file. It finds `KAFKA_BOOTSTRAP` (Kafka's address on
    /// this machine), `TOPIC_NAME` for each topic (its name in capitals, other characters than letters and digits as `_`)
    /// and `CASE` (the case's name) in its environment.
    pub(super) run: Option<String>,
    /// The file of a SQL script, relative to this file, as a job that has to end well: with an `INSERT` from what ends.
    pub(super) sql: Option<String>,
    /// How long it may take; `60s` if nothing is said.
    #[schemars(extend("default" = "60s"))]
    pub(super) within: Option<Span>,
}

/// A piece of evidence of a case that does not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Collect {
    /// The JobManager's log.
    #[serde(rename = "jobmanager.log")]
    JobManager,
    /// The TaskManagers' logs.
    #[serde(rename = "taskmanager.log")]
    TaskManager,
    /// The operator's log.
    #[serde(rename = "operator.log")]
    Operator,
    /// Events of Kubernetes.
    Events,
    /// The job's checkpoints.
    Checkpoints,
    /// The job's exceptions.
    Exceptions,
    /// The job's object.
    Job,
    /// The script as it ran.
    Script,
    /// The records that were read.
    Records,
}

impl Collect {
    /// What a piece of evidence is, by the name of its file; `None` for the difference, which is always kept.
    pub(crate) fn of(name: &str) -> Option<Self> {
        Some(match name {
            "difference.txt" => return None,
            "script.sql" => Self::Script,
            "job.json" => Self::Job,
            "events.txt" => Self::Events,
            _ if name.starts_with("seen-") => Self::Records,
            _ if name.starts_with("checkpoints") => Self::Checkpoints,
            _ if name.starts_with("exceptions") => Self::Exceptions,
            _ if name.starts_with("jobmanager-") => Self::JobManager,
            _ if name.starts_with("taskmanager-") => Self::TaskManager,
            _ if name.ends_with(".log") => Self::Operator,
            _ => return None,
        })
    }
}
