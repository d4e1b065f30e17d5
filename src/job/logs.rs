//! The logs of a job's Flink cluster: JobManager and TaskManagers in one stream, with their levels.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::{AsyncBufReadExt as _, StreamExt as _};
use k8s_openapi::jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::change::pods_of;
use super::managed::Managed;
use crate::diag::{Failure, Reason, Result};
use crate::kube::{failure, list, text};

/// How grave a line is, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    /// `TRACE`.
    Trace,
    /// `DEBUG`.
    Debug,
    /// `INFO`.
    Info,
    /// `WARN`.
    Warn,
    /// `ERROR` and `FATAL`.
    Error,
}

impl Level {
    /// The level that a line of Flink's log tells: `2026-11-25 14:10:22,476 INFO  …`.
    pub(super) fn of(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let date = words.next()?;
        if date.len() != 10 || !date.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        Some(match words.nth(1)? {
            "TRACE" => Self::Trace,
            "DEBUG" => Self::Debug,
            "INFO" => Self::Info,
            "WARN" => Self::Warn,
            "ERROR" | "FATAL" => Self::Error,
            _ => return None,
        })
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// When it was written, as the node's clock has it (RFC 3339).
    pub time: String,
    /// Who wrote it: `jobmanager`, or `taskmanager-1-1`.
    pub from: String,
    /// How grave it is; lines without a level, such as those of a stack trace, have that of the line before.
    pub level: Level,
    /// The line itself.
    pub line: String,
}

/// Which lines are wanted.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// Not older than that; `None`: not older than the job's object.
    pub since: Option<Duration>,
    /// Those of the containers' runs before the last restart.
    pub previous: bool,
    /// Only this grave and graver.
    pub level: Level,
    /// At most so many of each pod.
    pub tail: u32,
}

/// What a pod's lines are read from.
struct Source {
    pod: String,
    from: String,
}

/// Lines that are there already, in the order of their time.
///
/// # Errors
/// [`Reason::ComponentNotReady`] if the cluster has no pod; what the API server answers.
pub async fn logs(job: &Managed, wanted: Wanted) -> Result<Vec<LogLine>> {
    let sources = sources(job).await?;
    if sources.is_empty() {
        let message = format!("Flink cluster `{}` has no pod, so no log", job.cluster);
        return Err(Failure::new(Reason::ComponentNotReady, message).next(format!("dev job status {}", job.name)));
    }
    let mut all = Vec::new();
    let mut refused = None;
    for source in &sources {
        let request = request(job, source, wanted, false)?;
        match job.client.request_text(request).await {
            Ok(log) => all.extend(lines(&log, &source.from)),
            // a pod that was not restarted has no log of before; one that starts has none at all
            Err(kube::Error::Api(status)) if status.code == 400 => refused = Some(status.message),
            Err(error) => {
                let what = format!("the log of pod {} cannot be read", source.pod);
                return Err(failure(Reason::ClusterUnreachable, what, &error));
            }
        }
    }
    if let (true, Some(why)) = (all.is_empty(), refused) {
        let message = if wanted.previous {
            "no container was restarted, so there is no log of before"
        } else {
            "no container has a log yet"
        };
        return Err(Failure::new(Reason::ComponentNotReady, message).evidence(why));
    }
    all.retain(|line| line.level >= wanted.level);
    all.sort_by(|a, b| a.time.cmp(&b.time));
    Ok(all)
}

/// Lines as they are written, also those of pods that come later; ends when nobody receives them any more.
///
/// # Errors
/// What the API server answers.
pub async fn follow(job: &Managed, wanted: Wanted, out: &mpsc::Sender<LogLine>) -> Result<()> {
    let mut followed = BTreeSet::new();
    let mut streams = tokio::task::JoinSet::new();
    let mut wanted = wanted;
    loop {
        for source in sources(job).await? {
            if !followed.insert(source.pod.clone()) {
                continue;
            }
            let (client, out, request) = (job.client.clone(), out.clone(), request(job, &source, wanted, true)?);
            streams.spawn(async move {
                // a container that still starts refuses: the pod is tried again
                let Ok(stream) = client.request_stream(request).await else {
                    return Some(source.pod);
                };
                let mut lines = stream.lines();
                let mut level = Level::Info;
                while let Some(Ok(text)) = lines.next().await {
                    let line = line(&text, &source.from, &mut level);
                    if line.level >= wanted.level && out.send(line).await.is_err() {
                        return None;
                    }
                }
                None
            });
        }
        tokio::select! {
            () = out.closed() => return Ok(()),
            () = sleep(Duration::from_secs(1)) => {}
        }
        while let Some(ended) = streams.try_join_next() {
            if let Ok(Some(pod)) = ended {
                followed.remove(&pod);
            }
        }
        // pods that come from now on are new: all they write counts
        wanted.tail = u32::MAX;
    }
}

async fn sources(job: &Managed) -> Result<Vec<Source>> {
    let selector = pods_of(&job.cluster).replace('=', "%3D").replace(',', "%2C");
    let path = format!("/api/v1/namespaces/{}/pods?labelSelector={selector}", job.namespace);
    let pods = list(&job.client, &path).await?;
    Ok(pods.iter().map(|pod| source(pod, &job.cluster)).collect())
}

fn source(pod: &Value, cluster: &str) -> Source {
    let name = text(pod, "/metadata/name").to_owned();
    let from = match text(pod, "/metadata/labels/component") {
        "jobmanager" => "jobmanager".to_owned(),
        _ => name.strip_prefix(&format!("{cluster}-")).unwrap_or(&name).to_owned(),
    };
    Source { pod: name, from }
}

fn request(job: &Managed, source: &Source, wanted: Wanted, follow: bool) -> Result<http::Request<Vec<u8>>> {
    let created = text(&job.object, "/metadata/creationTimestamp").to_owned();
    let since = match wanted.since {
        Some(since) => {
            let now = Timestamp::now();
            now.checked_sub(since)
                .unwrap_or(now)
                .strftime("%Y-%m-%dT%H:%M:%SZ")
                .to_string()
        }
        None => created,
    };
    let mut uri = format!(
        "/api/v1/namespaces/{}/pods/{}/log?container=flink-main-container&timestamps=true&previous={}",
        job.namespace, source.pod, wanted.previous
    );
    if !since.is_empty() && !wanted.previous {
        uri.push_str(&format!("&sinceTime={since}"));
    }
    if wanted.tail < u32::MAX {
        uri.push_str(&format!("&tailLines={}", wanted.tail));
    }
    if follow {
        uri.push_str("&follow=true");
    }
    let request = http::Request::get(uri).body(Vec::new());
    request.map_err(|e| Failure::new(Reason::Internal, "not a request").cause(&e))
}

fn lines(log: &str, from: &str) -> Vec<LogLine> {
    let mut level = Level::Info;
    log.lines().map(|text| line(text, from, &mut level)).collect()
}

/// `2026-11-25T14:10:22.476123456Z 2026-11-25 14:10:22,476 INFO  …`.
fn line(text: &str, from: &str, level: &mut Level) -> LogLine {
    let (time, line) = text.split_once(' ').unwrap_or((text, ""));
    *level = Level::of(line).unwrap_or(*level);
    LogLine {
        time: time.to_owned(),
        from: from.to_owned(),
        level: *level,
        line: line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_and_stack_traces_inherit_them() {
        let log = "2026-11-25T14:10:22.4Z 2026-11-25 14:10:22,476 INFO  a.B [] - x\n\
                   2026-11-25T14:10:22.5Z 2026-11-25 14:10:22,477 WARN  a.B [] - y\n\
                   2026-11-25T14:10:22.6Z java.lang.Exception: INFO\n\
                   2026-11-25T14:10:22.7Z \tat a.b(C.java:1)\n\
                   2026-11-25T14:10:22.8Z 2026-11-25 14:10:23,000 ERROR a.B [] - z";
        let levels: Vec<_> = lines(log, "jobmanager").into_iter().map(|l| l.level).collect();
        assert_eq!(
            levels,
            [Level::Info, Level::Warn, Level::Warn, Level::Warn, Level::Error]
        );
        assert!(Level::Warn > Level::Info);
        assert_eq!(lines("2026-11-25T14:10:22.4Z", "x")[0].line, "");
        let pod = serde_json::json!({ "metadata": { "name": "session-taskmanager-1-2", "labels": { "component": "taskmanager" } } });
        assert_eq!(source(&pod, "session").from, "taskmanager-1-2");
    }
}
