//! Builds by BuildKit in the engine, with each step's log.

use std::collections::{BTreeMap, HashMap, VecDeque};

use bollard::models::BuildInfoAux;
use bollard::query_parameters::{BuildImageOptionsBuilder, BuilderVersion};
use futures::StreamExt;
use tokio_util::io::ReaderStream;

use super::build_error::{explain, shorten};
use super::{Context, Engine, message};
use crate::diag::{Failure, Reason, Result};
use crate::engine::StepCx;

/// Lines of a failed step's log that go into the failure.
const EVIDENCE_LINES: usize = 40;

/// A build to be done.
#[derive(Debug, Clone, Default)]
pub struct Build {
    /// Name of the image.
    pub name: String,
    /// Its files, with the `Dockerfile` at the root.
    pub context: Context,
    /// Path of the `Dockerfile` in the context; empty: `Dockerfile`.
    pub file: String,
    /// Where the `Dockerfile` is found by people, for failures.
    pub dockerfile: String,
    /// Name of the stage; empty: the last one.
    pub target: String,
    /// Build arguments.
    pub args: BTreeMap<String, String>,
    /// Labels of the image.
    pub labels: BTreeMap<String, String>,
    /// Whether the build's steps see the network of the engine's machine (for a proxy at its loopback address).
    pub host_network: bool,
}

impl Build {
    fn file(&self) -> &str {
        if self.file.is_empty() { "Dockerfile" } else { &self.file }
    }
}

/// What a build made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The image's id.
    pub id: String,
    /// Steps that ran.
    pub ran: usize,
    /// Steps that were taken from the cache.
    pub cached: usize,
}

impl Engine {
    /// Builds an image. Log lines and progress in steps go to `cx`; dropping the future stops the build.
    ///
    /// # Errors
    /// [`Reason::ImageBuildFailed`] with the failed step, its place in the `Dockerfile` and the end of its log.
    pub async fn build(&self, build: &Build, cx: &StepCx) -> Result<Built> {
        let context = build.context.clone();
        let file = tokio::task::spawn_blocking(move || context.spool())
            .await
            .map_err(|e| Failure::new(Reason::Internal, "packing the build's files panicked").cause(&e))??;
        let body = ReaderStream::with_capacity(tokio::fs::File::from_std(file), 256 * 1024);
        let to_map = |map: &BTreeMap<String, String>| -> HashMap<String, String> { map.clone().into_iter().collect() };
        let mut options = BuildImageOptionsBuilder::new()
            .dockerfile(build.file())
            .t(&build.name)
            .buildargs(&to_map(&build.args))
            .labels(&to_map(&build.labels))
            .target(&build.target)
            .version(BuilderVersion::BuilderBuildKit)
            .session(&session_id(&build.name));
        if build.host_network {
            options = options.networkmode("host");
        }
        let mut progress = Progress::default();
        let mut stream = self
            .long
            .build_image(options.build(), None, Some(bollard::body_try_stream(body)));
        while let Some(item) = stream.next().await {
            match item {
                Ok(info) => {
                    if let Some(BuildInfoAux::BuildKit(status)) = info.aux {
                        progress.take(status, cx);
                    }
                }
                Err(error) => return Err(progress.failure(build, &message(&error))),
            }
        }
        drop(stream);
        match self.image(&build.name).await? {
            Some(image) => Ok(Built {
                id: image.id,
                ran: progress.ran(),
                cached: progress.cached(),
            }),
            None => Err(Failure::new(
                Reason::ImageBuildFailed,
                format!("{} is not there after its build", build.name),
            )),
        }
    }
}

/// A session's id must be unique in the engine.
fn session_id(name: &str) -> String {
    use std::hash::{BuildHasher, Hasher};
    // a fresh random state each time
    let mut hasher = std::collections::hash_map::RandomState::new().build_hasher();
    hasher.write(name.as_bytes());
    format!("flink-dev-{:016x}", hasher.finish())
}

#[derive(Debug, Default)]
struct Vertex {
    name: String,
    started: bool,
    completed: bool,
    cached: bool,
    error: String,
    log: VecDeque<String>,
    /// The last line, until its end comes.
    partial: String,
}

/// What is known of a build's steps ("vertices" of BuildKit's graph).
#[derive(Debug, Default)]
struct Progress {
    vertices: BTreeMap<String, Vertex>,
}

impl Progress {
    fn take(&mut self, status: bollard::moby::buildkit::v1::StatusResponse, cx: &StepCx) {
        let mut moved = false;
        for seen in status.vertexes {
            let vertex = self.vertices.entry(seen.digest).or_default();
            moved |= vertex.started != seen.started.is_some() || vertex.completed != seen.completed.is_some();
            vertex.name = seen.name;
            vertex.started = seen.started.is_some();
            vertex.completed = seen.completed.is_some();
            vertex.cached |= seen.cached;
            if !seen.error.is_empty() {
                vertex.error = seen.error;
            }
        }
        for log in status.logs {
            let vertex = self.vertices.entry(log.vertex).or_default();
            vertex.partial.push_str(&String::from_utf8_lossy(&log.msg));
            while let Some(end) = vertex.partial.find('\n') {
                let rest = vertex.partial.split_off(end + 1);
                let line = std::mem::replace(&mut vertex.partial, rest);
                // a progress bar draws over its line: the last state is what is left
                let line = line
                    .trim_end_matches(['\r', '\n'])
                    .rsplit('\r')
                    .next()
                    .unwrap_or_default()
                    .to_owned();
                cx.output(line.clone());
                vertex.log.push_back(line);
                if vertex.log.len() > EVIDENCE_LINES {
                    vertex.log.pop_front();
                }
            }
        }
        if moved {
            let done = self.vertices.values().filter(|v| v.completed).count();
            let current = self.vertices.values().find(|v| v.started && !v.completed);
            let name = current.map(|v| shorten(&v.name)).unwrap_or_default();
            cx.progress(done as u64, self.vertices.len() as u64, "steps", name);
        }
    }

    fn steps(&self) -> impl Iterator<Item = &Vertex> {
        // what BuildKit does for itself is no step of the Dockerfile, and FROM does nothing
        self.vertices
            .values()
            .filter(|v| v.name.starts_with('[') && !v.name.starts_with("[internal]") && !v.name.contains("] FROM "))
    }

    fn cached(&self) -> usize {
        self.steps().filter(|v| v.cached).count()
    }

    fn ran(&self) -> usize {
        self.steps().filter(|v| v.completed && !v.cached).count()
    }

    fn failure(&self, build: &Build, error: &str) -> Failure {
        let text = build.context.text(build.file()).unwrap_or_default();
        // those that were stopped because another one failed say "context canceled"
        let failed = self.vertices.values().filter(|v| !v.error.is_empty());
        let vertex = failed.min_by_key(|v| v.error.contains("cancel"));
        let mut log: Vec<&str> = vertex.iter().flat_map(|v| v.log.iter().map(String::as_str)).collect();
        log.extend(vertex.map(|v| v.partial.as_str()).filter(|rest| !rest.is_empty()));
        let step = vertex.map(|v| (v.name.as_str(), v.error.as_str()));
        explain(&build.dockerfile, &text, &build.target, step, error).evidence(log.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_differ() {
        assert_ne!(session_id("a"), session_id("a"));
    }
}
