//! The arguments.

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

use super::commands::image::args::ImageCommand;
use super::commands::job::args::JobArgs;
use super::commands::sql::args::SqlArgs;
use super::commands::test::args::TestArgs;
use super::commands::topic::args::TopicArgs;
use super::commands::ui::UiArgs;
use super::commands::watch::WatchArgs;
use super::output::ColorChoice;
use super::render::Format;

/// From a machine to a verdict: a local Kubernetes cluster with the Flink operator and Kafka, SQL jobs on it, and
/// tests of those jobs with records in and records out.
#[derive(Debug, Parser)]
#[command(
    name = "dev",
    version,
    max_term_width = 100,
    after_help = "Examples:\n  dev demo --fix           make the machine ready, boot everything, run an example, say PASS\n  dev up                   bring up the profile `default` (or ./dev.yaml)\n  dev test examples/       run every *.test.yaml below a folder\n  dev status               what runs, where it listens, why something is not ready\n  dev down                 take everything away; images stay for the next time"
)]
pub struct Cli {
    #[command(flatten)]
    /// Options of every command.
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Show what programs and builds print, too
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// When to use colours and a live view
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: ColorChoice,
    /// `json`: events and results as JSON on standard output
    #[arg(short, long, global = true, value_name = "FORMAT", default_value = "human")]
    pub output: Format,
}

/// A profile.
#[derive(Debug, Clone, Args)]
pub struct ProfileArg {
    /// A shipped profile (default, minimal) or a YAML file [default: ./dev.yaml here or above, else `default`]
    #[arg(value_name = "PROFILE", value_hint = ValueHint::FilePath)]
    pub profile: Option<String>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Bring an environment up: cluster, images, cert-manager, Flink operator, Kafka, session cluster
    #[command(
        after_help = "What is there already is left alone; after an interruption the same command goes on.\n\nExamples:\n  dev up\n  dev up minimal\n  dev up ./team.yaml --dry-run\n  dev up -o json | jq -c 'select(.event == \"step_finished\")'"
    )]
    Up {
        #[command(flatten)]
        /// The profile.
        profile: ProfileArg,
        /// Print the plan and change nothing
        #[arg(long)]
        dry_run: bool,
        /// Also add the cluster to your own kubeconfig and make it the current context
        #[arg(long)]
        switch_context: bool,
    },
    /// Take an environment down; images and layers stay for the next time
    #[command(after_help = "Examples:\n  dev down\n  dev down minimal")]
    Down {
        #[command(flatten)]
        /// The profile.
        profile: ProfileArg,
    },
    /// Tell what runs, which versions, where it listens, and why something is not ready
    #[command(
        after_help = "Ends with 0 if all is ready, 71 if not, 61 if there is no cluster.\n\nExamples:\n  dev status\n  dev status -o json | jq .endpoints"
    )]
    Status {
        #[command(flatten)]
        /// The profile.
        profile: ProfileArg,
    },
    /// Run test cases: records in, SQL, records out, verdict
    #[command(
        after_help = "Cases run side by side, each with topics and a job of its own; all of it is removed afterwards, also after Ctrl-C.\nEnds with 0 if all pass, 1 if one does not.\n\nExamples:\n  dev test examples/orders/orders.test.yaml\n  dev test . -k join --tag '!slow' --junit junit.xml --report report.html\n  dev test . --shard 1/4 --repeat 3 --fail-fast\n  dev test . --rerun-failed --keep\n  dev test . -k 'totals[*size=100*' --list\n  dev test orders.test.yaml --watch\n  dev test orders.test.yaml --update\n  dev test init jobs/orders.sql"
    )]
    Test(TestArgs),
    /// Flink jobs: run, list, look at, change, remove
    Job(JobArgs),
    /// Kafka topics: create, list, delete, produce, consume
    Topic(TopicArgs),
    /// SQL on the session cluster: Flink's client on the terminal, or statements and their results
    #[command(
        after_help = "Without FILE and -e, on a terminal, Flink's SQL client is started. Topics that the profile declares under `topics`\nare tables, and so is what a --tables script creates; ${kafka.bootstrap}, ${registry.url} and ${topic.NAME}\nare filled in.\n\nStatements run one after another and end with the first that fails. A query reads its topics up to their ends of\nnow and then ends; with --streaming it goes on until --within is over. Rows go to standard output, with -o json one\nobject for each statement.\n\nThe session lives in a pod of its own, which is removed at the end.\n\nExamples:\n  dev sql\n  dev sql -e 'SELECT COUNT(*) FROM orders'\n  dev sql --tables examples/orders/orders.sql -e 'SELECT * FROM orders' --rows 10\n  echo 'SHOW TABLES;' | dev sql\n  dev sql report.sql -o json | jq -c 'select(.result == \"rows\") | .rows[]'\n  dev sql -e 'SELECT * FROM orders' --streaming --within 20s"
    )]
    Sql(SqlArgs),
    /// Flink's user interface in a browser: of the session cluster, an application or a job
    #[command(
        after_help = "Serves until Ctrl-C. When the JobManager is replaced, the same address leads to the new one.\n\nExamples:\n  dev ui\n  dev ui --open\n  dev ui orders                the page of a job\n  dev ui clicks --port 9000    an application with a cluster of its own\n  dev ui -o json | jq -r 'select(.url) | .url'"
    )]
    Ui(UiArgs),
    /// Everything in one: machine, environment, the example `orders`, verdict
    #[command(after_help = "Examples:\n  dev demo --fix\n  dev demo --profile minimal")]
    Demo {
        /// Carry out what `dev doctor` finds necessary, told before it is done
        #[arg(long)]
        fix: bool,
        /// The environment's profile
        #[arg(short, long, value_name = "PROFILE")]
        profile: Option<String>,
    },
    /// Examine the machine; each finding with its evidence and the command that cures it
    #[command(
        after_help = "Without --fix nothing is changed. Ends with 0 unless something fails.\n\nExamples:\n  dev doctor\n  dev doctor --fix\n  dev doctor -o json | jq '.findings[] | select(.status != \"ok\")'"
    )]
    Doctor {
        #[command(flatten)]
        /// The profile.
        profile: ProfileArg,
        /// Carry the cures out, each told before it is done
        #[arg(long)]
        fix: bool,
    },
    /// Do it again on each change: a SQL script as a session job, a jar or a project as the image of a deployment
    #[command(
        after_help = "One line for each change, with its timing. An error is shown with its place, and watching goes on. Ctrl-C ends\nit; a script's job is removed then. ${topic.NAME} is the topic NAME itself, which is made if it is missing.\n\nExamples:\n  dev watch examples/orders/orders.sql\n  dev watch --project examples/clicks --deployment clicks\n  dev watch --jar target/app.jar --deployment app -n team"
    )]
    Watch(WatchArgs),
    /// Images of applications: make them, bring them into the cluster
    #[command(after_help = "Examples:\n  dev image build --jar target/orders-1.0.jar\n  dev image load orders:1.0")]
    Image {
        /// What to do with images.
        #[command(subcommand)]
        command: ImageCommand,
    },
    /// Print the JSON Schema of a file format
    #[command(after_help = "Examples:\n  dev schema case > case.schema.json")]
    Schema {
        /// Which format
        format: SchemaOf,
    },
    /// Explain the id of an error, or list all
    #[command(after_help = "Examples:\n  dev explain PORT_IN_USE\n  dev explain")]
    Explain {
        /// The id, as in `error[ID]`
        id: Option<String>,
    },
    /// Print every object and image of an environment as JSON
    #[command(hide = true)]
    Objects {
        #[command(flatten)]
        /// The profile.
        profile: ProfileArg,
    },
    /// Print a completion script
    #[command(after_help = "Examples:\n  dev completions bash > /etc/bash_completion.d/dev")]
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
}

/// File formats with a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    /// dev.yaml and the profiles
    Profile,
    /// *.test.yaml
    Case,
}
