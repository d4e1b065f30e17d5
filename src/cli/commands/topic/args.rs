//! The arguments of `dev topic`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueHint};

use crate::cli::values::{duration, setting};
use crate::kafka::Start;
use crate::kafka::text::parse_time;

/// `dev topic`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  dev topic create orders --partitions 3\n  dev topic produce orders orders.jsonl\n  dev topic consume orders --until 10\n  dev topic ls\n  dev topic rm orders"
)]
pub struct TopicArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: TopicCommand,
}

/// Which broker.
#[derive(Debug, Clone, Args)]
pub struct Broker {
    /// The environment's profile
    #[arg(short, long, value_name = "PROFILE")]
    pub profile: Option<String>,
    /// Another broker than the profile's
    #[arg(long, value_name = "HOST:PORT")]
    pub bootstrap: Option<String>,
}

/// The commands below `dev topic`.
#[derive(Debug, Subcommand)]
pub enum TopicCommand {
    /// Create topics; each has its leaders when the command ends
    #[command(
        after_help = "Examples:\n  dev topic create orders totals\n  dev topic create orders --partitions 3 --set cleanup.policy=compact"
    )]
    Create {
        /// Their names
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        /// Partitions of each
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
        partitions: u32,
        /// A setting of the topic, e.g. `retention.ms=60000`
        #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
        set: Vec<(String, String)>,
        /// Leave those alone that are there already
        #[arg(long)]
        if_not_exists: bool,
        #[command(flatten)]
        /// The broker.
        broker: Broker,
    },
    /// List topics: partitions, records, oldest and newest offset
    #[command(
        after_help = "With names, each partition is shown. `records` counts offsets: those that compaction took away, too.\n\nExamples:\n  dev topic ls\n  dev topic ls orders\n  dev topic ls -o json | jq '.topics[].name'"
    )]
    Ls {
        /// Only these
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        #[command(flatten)]
        /// The broker.
        broker: Broker,
    },
    /// Delete topics and their records
    #[command(
        after_help = "Nothing is asked, and nothing is deleted if one of them is not there.\n\nExamples:\n  dev topic rm orders totals\n  dev topic rm orders --if-exists"
    )]
    Rm {
        /// Their names
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        /// Pass over those that are not there
        #[arg(long)]
        if_exists: bool,
        #[command(flatten)]
        /// The broker.
        broker: Broker,
    },
    /// Produce records from a file or from standard input; nothing is sent unless every line is good
    #[command(
        after_help = "Each line is one JSON: the value itself, or {\"key\": …, \"value\": …, \"headers\": {…}, \"timestamp\": …, \"partition\": …}, of\nwhich only `value` is needed. A key that is a text is sent as it is, all else as the JSON that stands there. A value of\nexactly such fields wants --value-only. `dev topic consume` writes what this command takes.\n\nExamples:\n  dev topic produce orders orders.jsonl --key id\n  echo '{\"key\": \"a\", \"value\": {\"id\": 1}}' | dev topic produce orders\n  dev topic produce orders orders.csv --csv --key id\n  dev topic consume orders | dev topic produce copy"
    )]
    Produce(Produce),
    /// Print records as JSON lines
    #[command(
        after_help = "By default everything that is in the topic now. Values that are no JSON are `value_text` or `value_base64`.\n\nExamples:\n  dev topic consume orders\n  dev topic consume orders --until 10 --timeout 30s\n  dev topic consume orders -f --from latest\n  dev topic consume orders --from 2026-11-25T14:00:00Z | jq .value"
    )]
    Consume(Consume),
}

/// `dev topic produce`.
#[derive(Debug, Args)]
pub struct Produce {
    /// The topic
    pub name: String,
    /// The file; `-` is standard input, which is read to its end first
    #[arg(default_value = "-", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// Each line is a value, as it is
    #[arg(long, conflicts_with = "csv")]
    pub value_only: bool,
    /// CSV with a header row; each row is sent as a JSON object
    #[arg(long)]
    pub csv: bool,
    /// The field of the value that becomes the key
    #[arg(long, value_name = "FIELD")]
    pub key: Option<String>,
    #[command(flatten)]
    /// The broker.
    pub broker: Broker,
}

/// `dev topic consume`.
#[derive(Debug, Args)]
pub struct Consume {
    /// The topic
    pub name: String,
    /// Where to begin: `earliest`, `latest`, an offset, or a time (RFC 3339)
    #[arg(long, value_name = "WHERE", default_value = "earliest", value_parser = start)]
    pub from: Start,
    /// When to end: after so many records, or at the `end` that the topic has now [default: end]
    #[arg(long, value_name = "N|end", value_parser = until, conflicts_with = "follow")]
    pub until: Option<Until>,
    /// Go on until Ctrl-C
    #[arg(short, long)]
    pub follow: bool,
    /// Give up after this long; with --follow: end then [default: 30s with --until N]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub timeout: Option<Duration>,
    /// Only one partition
    #[arg(long, value_name = "N")]
    pub partition: Option<i32>,
    /// Leave out records of open and aborted transactions
    #[arg(long)]
    pub committed: bool,
    /// Print the values only, as they are
    #[arg(long)]
    pub value_only: bool,
    #[command(flatten)]
    /// The broker.
    pub broker: Broker,
}

/// When reading ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// After so many records.
    Count(u64),
    /// At the end that the topic had at the start.
    End,
}

fn until(text: &str) -> Result<Until, String> {
    match text {
        "end" => Ok(Until::End),
        _ => match text.parse::<u64>() {
            Ok(count) if count > 0 => Ok(Until::Count(count)),
            _ => Err("write a number of records, or `end`".to_owned()),
        },
    }
}

fn start(text: &str) -> Result<Start, String> {
    match text {
        "earliest" => Ok(Start::Earliest),
        "latest" => Ok(Start::Latest),
        _ => match text.parse::<i64>() {
            Ok(offset) if offset >= 0 => Ok(Start::Offset(offset)),
            Ok(_) => Err("an offset is not negative".to_owned()),
            Err(_) => parse_time(text)
                .map(Start::Timestamp)
                .map_err(|_| "write `earliest`, `latest`, an offset, or a time like `2026-11-25T14:00:00Z`".to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_ends_are_read() {
        assert_eq!(start("17"), Ok(Start::Offset(17)));
        assert_eq!(start("1970-01-01T00:00:01Z"), Ok(Start::Timestamp(1000)));
        assert!(start("yesterday").is_err() && start("-1").is_err());
        assert_eq!(until("3"), Ok(Until::Count(3)));
        assert!(until("0").is_err() && until("x").is_err());
    }
}
