//! `dev topic produce`: every line is read and checked before the first one is sent, in bounded memory.

use std::fs::File;
use std::io::{self, BufReader, Seek as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::json;

use super::args::Produce;
use crate::cli::output::human_duration;
use crate::cli::session::Session;
use crate::diag::{Failure, Reason, Result};
use crate::kafka::text::{Form, LineError, Records};

pub(super) async fn run(session: &Session, args: &Produce) -> Result<ExitCode> {
    let start = std::time::Instant::now();
    let client = super::connect(session, &args.broker).await?;
    let name = &args.name;
    let partitions = client.require(std::slice::from_ref(name)).await?;
    let partitions = partitions.get(name).map_or(0, Vec::len);
    let form = match (args.value_only, args.csv) {
        (true, _) => Form::Plain,
        (_, true) => Form::Csv,
        _ => Form::Json,
    };
    let shown = if args.file == Path::new("-") {
        "stdin".into()
    } else {
        args.file.clone()
    };
    let checking = {
        let (path, key) = (session.env.absolute(&args.file), args.key.clone());
        let (stdin, shown) = (args.file == Path::new("-"), Arc::new(shown.clone()));
        // reading may block for as long as whoever writes into the pipe likes
        tokio::task::spawn_blocking(move || check(stdin, &path, &shown, form, key.as_deref(), partitions))
    };
    let interrupted = || Failure::new(Reason::Interrupted, "interrupted");
    let file = tokio::select! {
        checked = checking => checked.map_err(|e| Failure::new(Reason::Internal, "the reader panicked").cause(&e))??,
        () = session.cancel.cancelled() => return Err(interrupted().evidence("no record was sent")),
    };

    let mut writer = client.writer(name).await?;
    for record in Records::new(BufReader::new(file), form, args.key.as_deref()) {
        // it was good a moment ago: the file has changed since
        let (_, record) = record.map_err(|e| at(&shown, &e))?;
        if session.cancel.is_cancelled() {
            let sent = writer.acknowledged();
            return Err(interrupted().evidence(format!("at least {sent} records were acknowledged")));
        }
        writer.write(record).await?;
    }
    let acknowledged = writer.finish().await?;
    let took = start.elapsed();
    let text = format!(
        "{acknowledged} records acknowledged in topic {name} ({})",
        human_duration(took)
    );
    let value = json!({ "v": 1, "topic": name, "acknowledged": acknowledged, "seconds": took.as_secs_f64() });
    session.result(&text, &value);
    Ok(ExitCode::SUCCESS)
}

/// Reads everything once and hands it out again from its start. What cannot be read twice is kept in a file without
/// a name meanwhile.
fn check(stdin: bool, path: &Path, shown: &Path, form: Form, key: Option<&str>, partitions: usize) -> Result<File> {
    let unreadable = |error: &io::Error| {
        let message = match error.kind() {
            io::ErrorKind::NotFound => format!("there is no file `{}`", shown.display()),
            _ => format!("`{}` cannot be read", shown.display()),
        };
        Failure::new(Reason::FileUnreadable, message).cause(error)
    };
    let spool = |mut input: Box<dyn io::Read>| -> io::Result<File> {
        let mut kept = tempfile::tempfile()?;
        io::copy(&mut input, &mut kept)?;
        kept.rewind()?;
        Ok(kept)
    };
    let mut file = if stdin {
        spool(Box::new(io::stdin().lock())).map_err(|e| unreadable(&e))?
    } else {
        // std and not fs-err: the message names the file as the user did
        let file = File::open(path).map_err(|e| unreadable(&e))?;
        let kind = file.metadata().map_err(|e| unreadable(&e))?;
        if kind.is_dir() {
            let message = format!("`{}` is a folder, not a file", shown.display());
            return Err(Failure::new(Reason::FileUnreadable, message));
        }
        if kind.is_file() {
            file
        } else {
            spool(Box::new(file)).map_err(|e| unreadable(&e))?
        }
    };
    for record in Records::new(BufReader::new(&mut file), form, key) {
        let (line, record) = record.map_err(|e| at(shown, &e))?;
        if let Some(partition) = record
            .partition
            .filter(|p| usize::try_from(*p).is_ok_and(|p| p >= partitions))
        {
            let message = format!("there is no partition {partition}: the topic has {partitions}");
            let error = LineError {
                line,
                column: 1,
                message,
            };
            return Err(at(shown, &error).next("leave `partition` out: the key chooses one"));
        }
    }
    file.rewind().map_err(|e| unreadable(&e))?;
    Ok(file)
}

fn at(file: &Path, error: &LineError) -> Failure {
    Failure::new(Reason::RecordInvalid, error.message.clone()).at(file, error.line, error.column)
}
