//! What happens in a case after its job was submitted, and what becomes of the job: the resolved form.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::case::Given;

/// One step of a case.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// What is done.
    pub action: Action,
    /// How long it may take.
    pub within: Duration,
    /// The line of the case's file it is written on, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Records go into topics.
    Feed(Vec<Feed>),
    /// A fact is waited for.
    Await(Fact),
    /// The process of a part ends at once, as by SIGKILL.
    Kill(Part),
    /// The processes of a part stand still.
    Pause(Part),
    /// They go on.
    Resume(Part),
    /// A savepoint is taken and kept under a name.
    Savepoint(String),
    /// The job is started anew.
    Restart(Restart),
    /// The job goes on with another script from a savepoint that is taken of it.
    Upgrade {
        /// The script's file.
        sql_file: PathBuf,
        /// The script as written.
        sql: String,
    },
    /// The job goes on with another parallelism from a savepoint that is taken of it.
    Scale(u32),
}

/// Records for one topic.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Feed {
    /// The topic and the records.
    pub given: Given,
    /// Records a second; all at once if nothing is said. With a rate, the next steps run meanwhile.
    pub rate: Option<f64>,
}

/// A fact that can be seen.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fact {
    /// So many checkpoints that began after the step did are complete.
    Checkpoint(u64),
    /// The job has this state.
    State(JobState),
    /// So many committed records are in a topic.
    Records {
        /// The topic's name in the case.
        topic: String,
        /// How many at least.
        count: usize,
    },
    /// Each task that has a watermark has at least this one, in milliseconds since the Unix epoch, and one has.
    Watermark(i64),
    /// All feeds with a rate have ended.
    Fed,
}

/// A part of the environment that can be killed or paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Part {
    /// A TaskManager that runs tasks of the case's job.
    TaskManager,
    /// The JobManager of the session cluster.
    JobManager,
    /// The Kafka broker.
    Broker,
    /// The Flink operator.
    Operator,
}

impl Part {
    /// As it is written in a case.
    pub fn word(self) -> &'static str {
        match self {
            Self::TaskManager => "taskmanager",
            Self::JobManager => "jobmanager",
            Self::Broker => "broker",
            Self::Operator => "operator",
        }
    }
}

/// From where a job is started anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// From a savepoint that is taken of it now.
    Savepoint,
    /// From its last checkpoint.
    Checkpoint,
    /// Without state.
    Nothing,
    /// From the savepoint that an earlier step took under this name.
    Named(String),
}

/// A state of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(inline)]
pub enum JobState {
    /// All its tasks run.
    Running,
    /// It has ended well.
    Finished,
    /// It has failed for good.
    Failed,
    /// It failed and is about to run again.
    Restarting,
}

impl JobState {
    /// As Flink spells it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Finished => "FINISHED",
            Self::Failed => "FAILED",
            Self::Restarting => "RESTARTING",
        }
    }
}

/// What becomes of the job, looked at when the records are as expected.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct JobExpectation {
    /// Its state.
    pub state: Option<JobState>,
    /// The fewest and the most failures after which Flink started it again.
    pub restarts: Option<(u64, u64)>,
    /// Whether it went on from a checkpoint or savepoint.
    pub restored: Option<bool>,
    /// The line it is written on, for messages.
    pub line: usize,
}

impl JobExpectation {
    /// Whether anything is said.
    pub fn is_empty(&self) -> bool {
        self.state.is_none() && self.restarts.is_none() && self.restored.is_none()
    }
}

/// What an environment must have for a case to be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Need {
    /// A JobManager that is followed by another one (`high-availability.type`).
    Ha,
    /// A folder for savepoints (`execution.checkpointing.savepoint-dir`).
    Savepoints,
    /// A session cluster whose image has Python (`session: {python: true}`).
    Python,
    /// A schema registry (`schema_registry: {enabled: true}`).
    Registry,
}

impl Need {
    /// As it is written in a case.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ha => "ha",
            Self::Savepoints => "savepoints",
            Self::Python => "python",
            Self::Registry => "registry",
        }
    }
}

impl Action {
    /// What it needs of the environment.
    pub fn need(&self) -> Option<Need> {
        match self {
            Self::Kill(Part::JobManager) => Some(Need::Ha),
            Self::Savepoint(_)
            | Self::Upgrade { .. }
            | Self::Scale(_)
            | Self::Restart(Restart::Savepoint | Restart::Named(_)) => Some(Need::Savepoints),
            _ => None,
        }
    }

    /// The part of the environment that it disturbs, also for other cases.
    pub fn fault(&self) -> Option<Part> {
        match self {
            Self::Kill(part) | Self::Pause(part) => Some(*part),
            _ => None,
        }
    }
}

/// As it is written in a case, for people.
impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Feed(feeds) => {
                let each = feeds.iter().map(|feed| {
                    let rate = feed.rate.map(|rate| format!(", {rate} a second")).unwrap_or_default();
                    format!("{} to {}{rate}", feed.given.records.len(), feed.given.topic)
                });
                write!(f, "feed {}", each.collect::<Vec<_>>().join("; "))
            }
            Self::Await(fact) => write!(f, "await {fact}"),
            Self::Kill(part) => write!(f, "kill {}", part.word()),
            Self::Pause(part) => write!(f, "pause {}", part.word()),
            Self::Resume(part) => write!(f, "resume {}", part.word()),
            Self::Savepoint(name) => write!(f, "savepoint {name}"),
            Self::Restart(Restart::Savepoint) => f.write_str("restart from savepoint"),
            Self::Restart(Restart::Checkpoint) => f.write_str("restart from checkpoint"),
            Self::Restart(Restart::Nothing) => f.write_str("restart from nothing"),
            Self::Restart(Restart::Named(name)) => write!(f, "restart from savepoint {name}"),
            Self::Upgrade { sql_file, .. } => {
                let name = sql_file.file_name().unwrap_or_default().to_string_lossy();
                write!(f, "upgrade to {name}")
            }
            Self::Scale(parallelism) => write!(f, "scale to {parallelism}"),
        }
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checkpoint(1) => f.write_str("checkpoint"),
            Self::Checkpoint(count) => write!(f, "{count} checkpoints"),
            Self::State(state) => f.write_str(state.word()),
            Self::Records { topic, count } => write!(f, "{count} records in {topic}"),
            Self::Watermark(millis) => {
                let time = jiff::Timestamp::from_millisecond(*millis);
                write!(
                    f,
                    "watermark {}",
                    time.map_or_else(|_| millis.to_string(), |at| at.to_string())
                )
            }
            Self::Fed => f.write_str("fed"),
        }
    }
}
