//! The arguments of `dev job`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum, ValueHint};

use crate::cli::values::{duration, setting};
use crate::flink::UpgradeMode;
use crate::job::logs::Level;

/// `dev job`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  dev job run orders.sql                 check, submit, follow until it runs\n  dev job run clicks.jar -- --from now   a class of a jar in the session cluster\n  dev job run orders.sql --application   in a cluster of its own\n  dev job ls\n  dev job status orders\n  dev job logs orders -f --level warn\n  dev job scale orders 2\n  dev job savepoint orders\n  dev job suspend orders\n  dev job resume orders\n  dev job restart orders\n  dev job verify checkpoint orders\n  dev job cancel orders\n  dev job rm orders"
)]
pub struct JobArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: JobCommand,
}

/// Where.
#[derive(Debug, Clone, Args)]
pub struct Where {
    /// The environment's profile
    #[arg(short, long, value_name = "PROFILE")]
    pub profile: Option<String>,
}

/// The commands below `dev job`.
#[derive(Debug, Subcommand)]
pub enum JobCommand {
    /// Run SQL, a jar or Python in the session cluster or in a cluster of its own, and follow it until it runs
    #[command(
        after_help = "Before anything is created, the script with its topics and connectors or the jar with its class and its Java, and\nthe room for its tasks are checked. It has run when the operator, its observed generation and Flink agree. A job that does not run, or that\nyou interrupt before it does, is removed again.\n\nWith --application the job gets an image, a JobManager and TaskManagers of its own, sized as the profile's session\ncluster is; without it, it is one of the jobs of the session cluster.\n\nIn a script, ${NAME} and ${NAME:-default} are filled by --var; ${kafka.bootstrap} is the profile's broker,\n${registry.url} its schema registry, and ${topic.NAME} is NAME. Values do not stand in Flink's log.\n\nExamples:\n  dev job run orders.sql\n  dev job run orders.sql --name orders-eu --var REGION=EU --parallelism 2\n  dev job run orders.sql --set execution.checkpointing.interval=10s --upgrade-mode last-state\n  dev job run orders.sql --replace -o json | tail -1 | jq .job_id\n  dev job run target/clicks-1.0.jar --main com.example.Clicks -- --topic clicks\n  dev job run orders.sql --application --connector jdbc --upgrade-mode savepoint\n  dev job run orders.sql --from-savepoint file:///flink/savepoints/savepoint-ab12cd-0123456789ab"
    )]
    Run(Run),
    /// List the jobs of the session cluster and the applications
    #[command(
        after_help = "Examples:\n  dev job ls\n  dev job ls -o json | jq -r '.jobs[] | select(.flink != \"RUNNING\") | .name'"
    )]
    Ls {
        #[command(flatten)]
        /// The environment.
        place: Where,
    },
    /// Tell how a job is, as the operator and Flink have it
    #[command(
        after_help = "Ends with 0 if it runs, has finished or was suspended; 81 if it failed, 71 if it is on its way.\n\nExamples:\n  dev job status orders\n  dev job status orders -o json | jq .checkpoints"
    )]
    Status {
        /// The job
        name: String,
        #[command(flatten)]
        /// The environment.
        place: Where,
    },
    /// Print the log of the JobManager and the TaskManagers in one, from the job's creation on
    #[command(
        after_help = "Other jobs of the same session cluster write into the same log.\n\nExamples:\n  dev job logs orders --level warn\n  dev job logs orders -f --since 1m\n  dev job logs orders --previous"
    )]
    Logs(Logs),
    /// Let a job go on with another program, and keep its state
    #[command(
        after_help = "The new program is checked before the job is touched. Its state is kept by a savepoint, or as the job's upgrade\nmode says; what it began from is shown, and a job that began anew is an error. The same file changes nothing.\n\nExamples:\n  dev job upgrade orders orders.sql\n  dev job upgrade clicks target/clicks-1.1.jar --upgrade-mode last-state\n  dev job upgrade orders orders.sql --from-savepoint file:///flink/savepoints/savepoint-ab12cd-0123456789ab\n  dev job upgrade orders orders.sql -o json | tail -1 | jq .kept"
    )]
    Upgrade(Upgrade),
    /// Take a savepoint, and print where it is
    #[command(
        after_help = "Examples:\n  dev job savepoint orders\n  dev job savepoint orders --path s3://bucket/savepoints"
    )]
    Savepoint {
        /// The job
        name: String,
        /// Where to, if not where the cluster keeps its savepoints; JobManager and TaskManagers share that place
        #[arg(long, value_name = "URI")]
        path: Option<String>,
        #[command(flatten)]
        /// How.
        how: How,
    },
    /// Run a job with another parallelism
    #[command(after_help = "Examples:\n  dev job scale orders 2")]
    Scale {
        /// The job
        name: String,
        /// The parallelism
        #[arg(value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
        parallelism: u32,
        #[command(flatten)]
        /// How.
        how: How,
    },
    /// Stop a job so that it can be resumed; what becomes of its state is its upgrade mode
    #[command(after_help = "Examples:\n  dev job suspend orders && dev job resume orders")]
    Suspend(One),
    /// Let a suspended job run again
    #[command(after_help = "Examples:\n  dev job resume orders")]
    Resume(One),
    /// Restart a job without a change
    #[command(after_help = "Examples:\n  dev job restart orders")]
    Restart(One),
    /// End a job in Flink and drop its state; its object stays, and `dev job resume` begins anew
    #[command(after_help = "Examples:\n  dev job cancel orders")]
    Cancel(One),
    /// Prove that a job keeps its state: over the end of a process, or by a savepoint
    #[command(
        after_help = "Examples:\n  dev job verify checkpoint orders\n  dev job verify savepoint orders\n  dev job verify checkpoint      with a counting job of its own"
    )]
    Verify(super::verify::VerifyArgs),
    /// Remove jobs: end them in Flink and delete their objects
    #[command(after_help = "Examples:\n  dev job rm orders\n  dev job rm orders totals --if-exists")]
    Rm {
        /// The jobs
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        /// Pass over those that are not there
        #[arg(long)]
        if_exists: bool,
        #[command(flatten)]
        /// How.
        how: How,
    },
}

/// One job, and how.
#[derive(Debug, Args)]
pub struct One {
    /// The job
    pub name: String,
    #[command(flatten)]
    /// How.
    pub how: How,
}

/// Where, and for how long.
#[derive(Debug, Args)]
pub struct How {
    /// How long it may take until it is seen; an application's cluster goes and comes with most changes
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = duration)]
    pub within: Duration,
    #[command(flatten)]
    /// The environment.
    pub place: Where,
}

/// `dev job logs`.
#[derive(Debug, Args)]
pub struct Logs {
    /// The job
    pub name: String,
    /// Go on until Ctrl-C, also with TaskManagers that come later
    #[arg(short, long, conflicts_with = "previous")]
    pub follow: bool,
    /// Not older than that [default: the job itself]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub since: Option<Duration>,
    /// The log of before the last restart of a container
    #[arg(long)]
    pub previous: bool,
    /// Only this grave and graver; a stack trace belongs to its line
    #[arg(long, value_name = "LEVEL", default_value = "trace")]
    pub level: LogLevel,
    /// At most so many lines of each pod
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub tail: u32,
    #[command(flatten)]
    /// The environment.
    pub place: Where,
}

/// How grave a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// All
    Trace,
    /// DEBUG and graver
    Debug,
    /// INFO and graver
    Info,
    /// WARN and graver
    Warn,
    /// ERROR only
    Error,
}

impl From<LogLevel> for Level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Trace => Self::Trace,
            LogLevel::Debug => Self::Debug,
            LogLevel::Info => Self::Info,
            LogLevel::Warn => Self::Warn,
            LogLevel::Error => Self::Error,
        }
    }
}

/// `dev job run`.
#[derive(Debug, Args)]
pub struct Run {
    /// The SQL script, the jar, or the Python program
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// The session cluster [default: the profile's]
    #[arg(long, value_name = "NAME", conflicts_with = "application")]
    pub session: Option<String>,
    /// Run it in a cluster of its own, from an image of its own
    #[arg(long)]
    pub application: bool,
    /// The job's name [default: the file's]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    #[command(flatten)]
    /// What runs.
    pub what: What,
    /// What becomes of its state when it is changed or suspended
    #[arg(long, value_name = "MODE", default_value = "stateless")]
    pub upgrade_mode: Mode,
    /// Begin from this savepoint or checkpoint
    #[arg(long, value_name = "URI")]
    pub from_savepoint: Option<String>,
    /// Remove a job of that name first
    #[arg(long)]
    pub replace: bool,
    /// Return as soon as it is submitted
    #[arg(long)]
    pub detach: bool,
    /// How long it may take until it runs
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    pub within: Duration,
    #[command(flatten)]
    /// The environment.
    pub place: Where,
    /// Arguments of a jar's class or of a Python program
    #[arg(last = true, value_name = "ARGS")]
    pub args: Vec<String>,
}

/// `dev job upgrade`.
#[derive(Debug, Args)]
pub struct Upgrade {
    /// The job
    pub name: String,
    /// The SQL script, the jar, or the Python program
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    #[command(flatten)]
    /// What runs.
    pub what: What,
    /// How its state is kept, now and later [default: the job's own; a savepoint, if that is `stateless`]
    #[arg(long, value_name = "MODE")]
    pub upgrade_mode: Option<Mode>,
    /// Begin from this savepoint or checkpoint, not from the state that the job has now
    #[arg(long, value_name = "URI")]
    pub from_savepoint: Option<String>,
    /// Drop state that the new program has no place for
    #[arg(long)]
    pub allow_non_restored_state: bool,
    #[command(flatten)]
    /// How.
    pub how: How,
    /// Arguments of a jar's class or of a Python program
    #[arg(last = true, value_name = "ARGS")]
    pub args: Vec<String>,
}

/// What a job runs, besides its file.
#[derive(Debug, Args)]
pub struct What {
    /// The class of a jar [default: the jar's manifest names it]
    #[arg(long, value_name = "CLASS")]
    pub main: Option<String>,
    /// Its parallelism [default: what the script sets, or 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub parallelism: Option<u32>,
    /// A setting of the job, over its cluster's
    #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
    pub set: Vec<(String, String)>,
    /// A value for ${NAME} in the script
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    pub var: Vec<(String, String)>,
    /// A connector or format for an application's image: its name, or GROUP:ARTIFACT:VERSION
    #[arg(long = "connector", value_name = "NAME")]
    pub connectors: Vec<String>,
    /// A jar for an application's image
    #[arg(long = "lib", value_name = "JAR", value_hint = ValueHint::FilePath)]
    pub libraries: Vec<PathBuf>,
    /// The image below an application's [default: Flink's; for SQL the session cluster's]
    #[arg(long, value_name = "IMAGE")]
    pub base: Option<String>,
}

/// What becomes of a job's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// It is lost
    Stateless,
    /// A savepoint is taken
    Savepoint,
    /// The last checkpoint is used
    LastState,
}

impl From<Mode> for UpgradeMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Stateless => Self::Stateless,
            Mode::Savepoint => Self::Savepoint,
            Mode::LastState => Self::LastState,
        }
    }
}
