//! Builds by BuildKit in the engine, with each step's log.

use std::collections::{BTreeMap, HashMap, VecDeque};

use bollard::models::BuildInfoAux;
use bollard::query_parameters::{BuildImageOptionsBuilder, BuilderVersion};
use futures::StreamExt;
use tokio_util::io::ReaderStream;

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
            .dockerfile("Dockerfile")
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
        let failure = Failure::new(Reason::ImageBuildFailed, format!("{} could not be built", build.name));
        // those that were stopped because another one failed say "context canceled"
        let failed = self.vertices.values().filter(|v| !v.error.is_empty());
        let Some(vertex) = failed.min_by_key(|v| v.error.contains("cancel")) else {
            return failure.evidence(error);
        };
        let line = build
            .context
            .text("Dockerfile")
            .and_then(|text| line_of(&text, &vertex.name));
        let place = line.map_or_else(
            || build.dockerfile.clone(),
            |line| format!("{}:{line}", build.dockerfile),
        );
        let mut log: Vec<&str> = vertex.log.iter().map(String::as_str).collect();
        if !vertex.partial.is_empty() {
            log.push(&vertex.partial);
        }
        failure
            .evidence(format!("{place}: {}", shorten(&vertex.name)))
            .evidence(log.join("\n"))
            .evidence(if vertex.error.contains(error) {
                error
            } else {
                &vertex.error
            })
    }
}

/// The first 100 characters: a `RUN` may be as long as a script.
fn shorten(name: &str) -> String {
    let mut short: String = name.chars().take(100).collect();
    if short.len() < name.len() {
        short.push('…');
    }
    short
}

/// The line of the `Dockerfile` whose instruction a step is, e.g. of `[jars 3/5] RUN make  all`.
fn line_of(dockerfile: &str, vertex: &str) -> Option<usize> {
    let squeeze = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let instruction = squeeze(vertex.split_once("] ")?.1);
    let lines: Vec<&str> = dockerfile.lines().collect();
    let mut at = 0;
    while at < lines.len() {
        let first = at;
        let mut logical = String::new();
        while at < lines.len() {
            let line = lines[at];
            at += 1;
            if line.trim_start().starts_with('#') {
                // comments may stand between the lines of an instruction
                if logical.is_empty() { break } else { continue }
            }
            match line.trim_end().strip_suffix('\\') {
                Some(part) => logical.push_str(part),
                None => {
                    logical.push_str(line);
                    break;
                }
            }
            logical.push(' ');
        }
        let logical = squeeze(&logical);
        // arguments are put in for variables of COPY and WORKDIR: what comes before the first one must do
        let fixed = logical.split('$').next().unwrap_or_default().trim_end();
        if !logical.is_empty() && (logical == instruction || (fixed.len() > 8 && instruction.starts_with(fixed))) {
            return Some(first + 1);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCKERFILE: &str =
        "FROM scratch AS a\n# why\nRUN one && \\\n    # between\n    two\nCOPY x /y\nWORKDIR /opt/flink/$A\n";

    #[test]
    fn a_step_is_found_in_its_dockerfile() {
        assert_eq!(line_of(DOCKERFILE, "[a 2/3] RUN one &&     two"), Some(3));
        assert_eq!(line_of(DOCKERFILE, "[a 3/3] COPY x /y"), Some(6));
        assert_eq!(line_of(DOCKERFILE, "[a 3/3] WORKDIR /opt/flink/v1"), Some(7));
        assert_eq!(line_of(DOCKERFILE, "[a 3/3] RUN other"), None);
        assert_eq!(line_of(DOCKERFILE, "exporting to image"), None);
    }

    #[test]
    fn sessions_differ() {
        assert_ne!(session_id("a"), session_id("a"));
    }
}
