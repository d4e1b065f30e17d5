//! What helps to understand a case that did not pass, gathered before anything of it is removed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use http::Request;
use serde_json::Value;
use tokio::time::timeout;

use super::Target;
use super::case::Prepared;
use super::journal::{Mark, checkpoints, restarts};
use super::mask::mask;
use super::report::Exhibit;
use crate::diag::{Failure, Reason, Result};
use crate::flink::SessionJob;
use crate::kube::{list, text};

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(5);
/// The most of one log that is kept, in bytes; the end of it.
const LOG: usize = 400_000;
/// Lines of a log that are asked for.
const LINES: usize = 4000;

/// Marks of what Flink tells of the job of a case: its checkpoints and its failures.
pub(super) async fn history(prepared: &Prepared, target: &Target, began: u64) -> (Vec<Mark>, Vec<Exhibit>) {
    let rest = target.rest();
    let job = SessionJob::left_behind(&target.client, &target.namespace, &target.session, &prepared.names.job);
    // an id of its own for each start that a step made
    if let Some(id) = job.id().await {
        prepared.journal.job(&id);
    }
    let (mut marks, mut exhibits) = (Vec::new(), Vec::new());
    let ids = prepared.journal.jobs();
    for (index, id) in ids.iter().enumerate() {
        let number = if ids.len() > 1 {
            format!("-{}", index + 1)
        } else {
            String::new()
        };
        if let Ok(Some(answer)) = rest.get(&format!("/jobs/{id}/checkpoints")).await {
            marks.extend(checkpoints(&answer, began));
            exhibits.push(json(&format!("checkpoints{number}.json"), &answer));
        }
        let path = format!("/jobs/{id}/exceptions?maxExceptions=20");
        if let Ok(Some(answer)) = rest.get(&path).await {
            marks.extend(restarts(&answer, began));
            exhibits.push(json(&format!("exceptions{number}.json"), &answer));
        }
    }
    (marks, exhibits)
}

/// The records that were read, the script as it ran, the job's object, events, and the logs of the time of the case.
/// What cannot be had is said in its place.
pub(super) async fn gather(prepared: &Prepared, target: &Target, difference: &[String]) -> Vec<Exhibit> {
    let mut all = vec![exhibit("difference.txt", &difference.join("\n"))];
    if !prepared.script.text.is_empty() {
        all.push(exhibit("script.sql", &prepared.script.text));
    }
    for topic in &prepared.topics {
        let lines = prepared.journal.lines(&topic.name);
        if !lines.is_empty() {
            let name = format!("seen-{}.jsonl", prepared.names.short(&topic.name));
            all.push(exhibit(&name, &lines));
        }
    }
    let namespace = &target.namespace;
    let since = prepared.journal.elapsed().as_secs() + 2;
    let job = format!(
        "/apis/flink.apache.org/v1beta1/namespaces/{namespace}/flinksessionjobs/{}",
        prepared.names.job
    );
    let events = format!("/api/v1/namespaces/{namespace}/events");
    let (job, events) = tokio::join!(fetch(target, &job), list(&target.client, &events));
    all.push(exhibit("job.json", &job.map(pretty).unwrap_or_else(|why| why)));
    let events = events.map_or_else(|failure| failure.to_string(), |events| told(&events, prepared, target));
    all.push(exhibit("events.txt", &events));
    let session = format!("app%3D{},type%3Dflink-native-kubernetes", target.session);
    let mut pods = vec![(namespace.as_str(), session.as_str())];
    if let Some(operator) = &target.operator {
        pods.push((operator, "app.kubernetes.io%2Fname%3Dflink-kubernetes-operator"));
    }
    for (namespace, selector) in pods {
        let found = list(
            &target.client,
            &format!("/api/v1/namespaces/{namespace}/pods?labelSelector={selector}"),
        )
        .await;
        for pod in found.unwrap_or_default() {
            let (name, component) = (text(&pod, "/metadata/name"), text(&pod, "/metadata/labels/component"));
            let path = format!("/api/v1/namespaces/{namespace}/pods/{name}/log?sinceSeconds={since}&tailLines={LINES}");
            let log = fetch(target, &path).await.unwrap_or_else(|why| why);
            let name = if component.is_empty() {
                name.to_owned()
            } else {
                format!("{component}-{name}")
            };
            all.push(exhibit(&format!("{name}.log"), end_of(&log)));
        }
    }
    let script = base64::engine::general_purpose::STANDARD.encode(&prepared.script.text);
    all.iter_mut().for_each(|exhibit| without_script(exhibit, &script));
    all
}

/// Jobs carry their script in a form in which no secret would be found; `script.sql` has it.
fn without_script(exhibit: &mut Exhibit, encoded: &str) {
    if !encoded.is_empty() && exhibit.text.contains(encoded) {
        exhibit.text = exhibit.text.replace(encoded, "(see script.sql)");
    }
}

async fn fetch(target: &Target, path: &str) -> Result<String, String> {
    let request = Request::get(path).body(Vec::new()).map_err(|e| e.to_string())?;
    match timeout(ANSWER, target.client.request_text(request)).await {
        Ok(answer) => answer.map_err(|error| format!("could not be had: {error}")),
        Err(_) => Err(format!("could not be had: no answer within {} s", ANSWER.as_secs())),
    }
}

/// The last part of a log, from the start of a line on.
fn end_of(log: &str) -> &str {
    let mut from = log.len().saturating_sub(LOG);
    while !log.is_char_boundary(from) {
        from += 1;
    }
    match log[from..].find('\n') {
        Some(end) if from > 0 => &log[from + end + 1..],
        _ => &log[from..],
    }
}

/// The events of the job and of the session cluster's pods, oldest first.
fn told(events: &[Value], prepared: &Prepared, target: &Target) -> String {
    let about = |event: &&Value| {
        let name = text(event, "/involvedObject/name");
        name == prepared.names.job || name.starts_with(&target.session)
    };
    let mut lines: Vec<_> = events
        .iter()
        .filter(about)
        .map(|event| {
            let at = |pointer| text(event, pointer);
            let time = if at("/lastTimestamp").is_empty() {
                at("/eventTime")
            } else {
                at("/lastTimestamp")
            };
            let (kind, reason, name) = (at("/type"), at("/reason"), at("/involvedObject/name"));
            format!("{time} {kind} {reason} {name}: {}", at("/message"))
        })
        .collect();
    lines.sort_unstable();
    lines.join("\n")
}

fn pretty(json: String) -> String {
    match serde_json::from_str::<Value>(&json) {
        Ok(value) => serde_json::to_string_pretty(&value).unwrap_or(json),
        Err(_) => json,
    }
}

fn json(name: &str, value: &Value) -> Exhibit {
    exhibit(name, &serde_json::to_string_pretty(value).unwrap_or_default())
}

fn exhibit(name: &str, text: &str) -> Exhibit {
    Exhibit {
        name: name.to_owned(),
        text: mask(text),
    }
}

/// Writes evidence into a folder of its own below `parent`, and tells which.
///
/// # Errors
/// [`Reason::FileUnreadable`] if it cannot be written.
pub(super) fn write(parent: &Path, case: &str, exhibits: &[Exhibit]) -> Result<PathBuf> {
    let folder = parent.join(case);
    let failed = |error: std::io::Error| {
        Failure::new(
            Reason::FileUnreadable,
            format!("evidence cannot be written to {}", folder.display()),
        )
        .cause(&error)
    };
    fs_err::create_dir_all(&folder).map_err(failed)?;
    for exhibit in exhibits {
        fs_err::write(folder.join(&exhibit.name), &exhibit.text).map_err(failed)?;
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_log_begins_with_a_whole_line() {
        let log = format!("{}\nlast é", "x".repeat(LOG));
        assert_eq!(end_of(&log), "last é");
        assert_eq!(end_of("a\nb"), "a\nb");
    }

    #[test]
    fn the_script_is_in_no_other_file() {
        let mut job = exhibit(
            "job.json",
            "{\"args\": [\"--script-base64\", \"U0VU\"], \"again\": \"[U0VU]\"}",
        );
        without_script(&mut job, "U0VU");
        assert!(
            !job.text.contains("U0VU") && job.text.matches("see script.sql").count() == 2,
            "{}",
            job.text
        );
    }

    #[test]
    fn evidence_is_written_masked_into_a_folder_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let folder = write(dir.path(), "dev-x-1-a", &[exhibit("a.log", "'password' = 'x'")]).unwrap();
        assert_eq!(folder, dir.path().join("dev-x-1-a"));
        assert_eq!(
            std::fs::read_to_string(folder.join("a.log")).unwrap(),
            "'password' = '***'"
        );
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert_eq!(write(&file, "a", &[]).unwrap_err().id(), Reason::FileUnreadable);
    }
}
