//! `dev topic consume`: records to standard output, as fast as the reader takes them.

use std::process::ExitCode;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::args::{Consume, Until};
use crate::cli::output::Lines;
use crate::cli::session::Session;
use crate::diag::{Failure, Reason, Result};
use crate::kafka::Incoming;
use crate::kafka::text::json_line;

/// How long `--until N` waits for its records.
const WAIT: Duration = Duration::from_secs(30);
/// How long the broker may keep back records that are there.
const STALLED: Duration = Duration::from_secs(30);

pub(super) async fn run(session: &Session, args: &Consume) -> Result<ExitCode> {
    let client = super::connect(session, &args.broker).await?;
    let until = match args.until {
        _ if args.follow => None,
        until => Some(until.unwrap_or(Until::End)),
    };
    let mut scan = client
        .scan(&args.name, args.from, args.partition, args.committed)
        .await?;
    let bound = match (args.timeout, until) {
        (None, Some(Until::Count(_))) => Some(WAIT),
        (timeout, _) => timeout,
    };
    let deadline = bound.map(|bound| Instant::now() + bound);
    let mut out = Lines::new();
    let mut read = 0;
    let mut progress = Instant::now();
    loop {
        if until == Some(Until::End) && scan.at_end().await {
            return Ok(ExitCode::SUCCESS);
        }
        let records = tokio::select! {
            biased;
            () = session.cancel.cancelled() => return Ok(interrupted()),
            () = maybe(deadline) => return ended_by_time(args, until, read, bound.unwrap_or_default()),
            records = scan.next(Duration::from_millis(250)) => records?,
        };
        if !records.is_empty() {
            progress = Instant::now();
        } else if until == Some(Until::End) && progress.elapsed() >= STALLED {
            let message = format!(
                "the broker gave no record for {} s, and not all were read",
                STALLED.as_secs()
            );
            return Err(Failure::new(Reason::KafkaUnreachable, message).evidence(format!("{read} records were read")));
        }
        for record in &records {
            if until == Some(Until::End) && scan.is_newer(record) {
                continue;
            }
            out.line(&shown(args, record));
            read += 1;
            if until == Some(Until::Count(read)) {
                out.flush();
                return Ok(ExitCode::SUCCESS);
            }
        }
        // a reader that went away (`| head -1`) has what it wanted
        if !out.flush() {
            return Ok(ExitCode::SUCCESS);
        }
    }
}

fn shown(args: &Consume, record: &Incoming) -> Vec<u8> {
    match (&record.value, args.value_only) {
        (Some(value), true) => value.to_vec(),
        (None, true) => Vec::new(),
        _ => json_line(record).into_bytes(),
    }
}

fn ended_by_time(args: &Consume, until: Option<Until>, read: u64, bound: Duration) -> Result<ExitCode> {
    let wanted = match until {
        // that long was asked for
        None => return Ok(ExitCode::SUCCESS),
        Some(Until::Count(count)) => format!("{read} of {count} records"),
        Some(Until::End) => format!("{read} records, and not yet the end"),
    };
    let message = format!("topic {}: {wanted} after {} s", args.name, bound.as_secs_f64());
    Err(Failure::new(Reason::TimedOut, message)
        .next(format!("dev topic ls {}", args.name))
        .next("give it longer with --timeout"))
}

fn interrupted() -> ExitCode {
    ExitCode::from(Reason::Interrupted.entry().exit_code)
}

async fn maybe(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
