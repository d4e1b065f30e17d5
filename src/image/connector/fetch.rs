//! Fetches connectors from the user's Maven repository, each once: what was fetched is kept, with its checksum.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::container::{Context, Engine};
use crate::diag::{Failure, Reason, Result};
use crate::engine::StepCx;
use crate::env::Env;
use crate::image::jar::{self, Artifact};
use crate::image::maven;
use crate::image::store::{process_lock, write_whole};
use crate::process::Program;

/// Copies what a project depends on; this release runs with Maven 3.6.3 and later.
const PLUGIN: &str = "3.8.1";
const GOALS: &str = "dependency:copy-dependencies";

/// The files of artifacts, in their order. What is not kept yet is fetched in one run of Maven, which compares the
/// checksums: the user's own with all its settings, else one inside a build.
///
/// # Errors
/// [`Reason::ConnectorUnavailable`] if the repository does not give one of them: a refusal is final and is not asked
/// again; [`Reason::JarInvalid`] if what came is no jar; those of the build.
pub async fn fetch(artifacts: &[Artifact], engine: &Engine, env: &Env, cx: &StepCx) -> Result<Vec<PathBuf>> {
    let lock = process_lock("connectors");
    let _one = lock.lock().await;
    let mut missing = Vec::new();
    for artifact in artifacts {
        // a snapshot is made anew under the same version
        if is_snapshot(artifact) || !is_kept(&kept(env, artifact)).await {
            missing.push(artifact.clone());
        }
    }
    if !missing.is_empty() {
        let names: Vec<_> = missing.iter().map(|a| format!("{} {}", a.id, a.version)).collect();
        cx.waiting(format!("fetching {}", names.join(", ")));
        for (artifact, bytes) in run(&missing, engine, env, cx).await? {
            keep(&kept(env, &artifact), &bytes)?;
        }
    }
    Ok(artifacts.iter().map(|artifact| kept(env, artifact)).collect())
}

fn is_snapshot(artifact: &Artifact) -> bool {
    artifact.version.to_uppercase().ends_with("-SNAPSHOT")
}

/// What Maven is told to do. It asks for a newer snapshot once a day unless it is told to ask now.
fn goals(missing: &[Artifact]) -> Vec<&'static str> {
    let now = missing.iter().any(is_snapshot).then_some(maven::UPDATE_SNAPSHOTS);
    now.into_iter().chain([GOALS]).collect()
}

/// Where an artifact is kept.
fn kept(env: &Env, artifact: &Artifact) -> PathBuf {
    let Artifact { group, id, version } = artifact;
    env.cache_dir()
        .join("connectors")
        .join(group)
        .join(id)
        .join(version)
        .join(artifact.file())
}

fn sum_of(path: &Path) -> PathBuf {
    path.with_extension("jar.sha256")
}

/// Whether a file is there and is what was once fetched.
async fn is_kept(path: &Path) -> bool {
    let path = path.to_owned();
    let same = move || {
        let (Ok(bytes), Ok(sum)) = (fs_err::read(&path), fs_err::read_to_string(sum_of(&path))) else {
            return false;
        };
        sum.trim() == hex::encode(Sha256::digest(&bytes))
    };
    tokio::task::spawn_blocking(same).await.unwrap_or(false)
}

fn keep(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || {
        write_whole(path, bytes)?;
        // last, so that a file without it counts as not there
        write_whole(&sum_of(path), hex::encode(Sha256::digest(bytes)).as_bytes())
    };
    write()
        .map_err(|e| Failure::new(Reason::FileUnreadable, format!("{} cannot be written", path.display())).cause(&e))?;
    jar::read(path).map(|_| ()).inspect_err(|_| {
        // what is no jar is not to be taken for one the next time
        let _ = fs_err::remove_file(sum_of(path));
    })
}

async fn run(missing: &[Artifact], engine: &Engine, env: &Env, cx: &StepCx) -> Result<Vec<(Artifact, Vec<u8>)>> {
    let files = match maven::on_this_machine(env, None, cx.cancel()).await {
        Some(program) => on_this_machine(&program, missing, cx).await?,
        None => in_image(missing, engine, env, cx).await?,
    };
    missing
        .iter()
        .map(|artifact| {
            let name = artifact.file();
            let bytes = files.iter().find(|(path, _)| path.rsplit('/').next() == Some(&name));
            let bytes = bytes.map(|(_, bytes)| bytes.clone());
            bytes
                .map(|bytes| (artifact.clone(), bytes))
                .ok_or_else(|| Failure::new(Reason::ConnectorUnavailable, format!("Maven did not give {artifact}")))
        })
        .collect()
}

async fn on_this_machine(program: &Path, missing: &[Artifact], cx: &StepCx) -> Result<Vec<(String, Vec<u8>)>> {
    let unwritable = |e: std::io::Error| Failure::new(Reason::FileUnreadable, "no temporary folder").cause(&e);
    let dir = tempfile::tempdir().map_err(unwritable)?;
    fs_err::write(dir.path().join("pom.xml"), pom(missing)).map_err(unwritable)?;
    let run = Program::new(program)
        .args([
            "--batch-mode",
            "--no-transfer-progress",
            "--quiet",
            "--strict-checksums",
            "-Dstyle.color=never",
        ])
        .args(goals(missing))
        .cwd(dir.path())
        .tethered();
    let output = run.run(cx.cancel(), |line| cx.output(line)).await?;
    if !output.status.success() {
        return Err(failed(missing, &output.stdout, run.failed(&output)));
    }
    let read = || {
        let mut files = Vec::new();
        for entry in fs_err::read_dir(dir.path().join("target"))? {
            let entry = entry?;
            files.push((
                entry.file_name().to_string_lossy().into_owned(),
                fs_err::read(entry.path())?,
            ));
        }
        Ok(files)
    };
    read().map_err(|e: std::io::Error| Failure::new(Reason::ConnectorUnavailable, "Maven left no files").cause(&e))
}

async fn in_image(missing: &[Artifact], engine: &Engine, env: &Env, cx: &StepCx) -> Result<Vec<(String, Vec<u8>)>> {
    let mut context = Context::new();
    context.add("project/pom.xml", 0o644, pom(missing).into_bytes());
    maven::run_in_image(engine, env, context, &goals(missing).join(" "), true, cx)
        .await
        .map_err(|failure| {
            let output = failure.detail().evidence.join("\n");
            failed(missing, &output, failure)
        })
}

/// The failure in the user's words where the repository is what failed, else as it is.
fn failed(missing: &[Artifact], output: &str, otherwise: Failure) -> Failure {
    let Some(why) = maven::unavailable(output) else {
        return otherwise;
    };
    let errors = maven::errors(output);
    let named = missing.iter().find(|a| {
        let coordinates = format!("{}:{}:", a.group, a.id);
        errors.iter().any(|line| line.contains(&coordinates))
    });
    let what = match (named, missing) {
        (Some(artifact), _) | (None, [artifact]) => artifact.to_string(),
        (None, _) => missing.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    };
    Failure::new(Reason::ConnectorUnavailable, format!("{what} cannot be had: {why}"))
        .evidence(errors.iter().take(3).cloned().collect::<Vec<_>>().join("\n"))
        .next("give the jar's file: dev image build --lib FILE")
        .next("a repository that has it: a <mirror> in ~/.m2/settings.xml")
}

/// A project that depends on the artifacts and on nothing that these depend on: a connector for SQL holds all it needs.
fn pom(artifacts: &[Artifact]) -> String {
    let mut dependencies = String::new();
    for Artifact { group, id, version } in artifacts {
        let _ = write!(
            dependencies,
            "<dependency><groupId>{group}</groupId><artifactId>{id}</artifactId><version>{version}</version>\
             <exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions></dependency>"
        );
    }
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion>\
         <groupId>io.github.flinkdev</groupId><artifactId>connectors</artifactId><version>1</version><packaging>pom</packaging>\
         <dependencies>{dependencies}</dependencies>\
         <build><plugins><plugin><groupId>org.apache.maven.plugins</groupId><artifactId>maven-dependency-plugin</artifactId>\
         <version>{PLUGIN}</version><configuration><outputDirectory>${{project.basedir}}/target</outputDirectory></configuration>\
         </plugin></plugins></build></project>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::jar::testing;

    fn kafka() -> Artifact {
        Artifact {
            group: "org.apache.flink".to_owned(),
            id: "flink-sql-connector-kafka".to_owned(),
            version: "5.0.0-2.2".to_owned(),
        }
    }

    #[test]
    fn the_failure_names_the_artifact_that_cannot_be_had() {
        let other = Artifact {
            id: "flink-sql-avro".to_owned(),
            version: "2.2.1".to_owned(),
            ..kafka()
        };
        let output = "[ERROR] Failed to execute goal on project connectors: Could not resolve dependencies: \
                      org.apache.flink:flink-sql-avro:jar:2.2.1 was not found in https://r/maven2 during a previous attempt -> [Help 1]\n";
        let failure = failed(&[kafka(), other], output, Failure::new(Reason::ToolFailed, "x"));
        assert_eq!(failure.id(), Reason::ConnectorUnavailable);
        assert_eq!(
            failure.to_string(),
            "org.apache.flink:flink-sql-avro:2.2.1 cannot be had: the repository does not have it"
        );
        let otherwise = failed(
            &[kafka()],
            "[ERROR] out of memory",
            Failure::new(Reason::ToolFailed, "x"),
        );
        assert_eq!(otherwise.id(), Reason::ToolFailed);
    }

    #[test]
    fn a_newer_snapshot_is_asked_for_now() {
        let snapshot = Artifact {
            version: "5.1-SNAPSHOT".to_owned(),
            ..kafka()
        };
        assert_eq!(goals(&[kafka()]), [GOALS]);
        assert_eq!(goals(&[kafka(), snapshot]), ["--update-snapshots", GOALS]);
    }

    #[tokio::test]
    async fn what_is_kept_must_be_what_was_fetched() {
        let dir = tempfile::tempdir().unwrap();
        let jar = testing::jar(dir.path(), "x", &[("a/B.class", testing::class(17))]);
        let path = dir.path().join("cache/a.jar");
        keep(&path, &fs_err::read(jar).unwrap()).unwrap();
        assert!(is_kept(&path).await);
        fs_err::write(&path, b"another").unwrap();
        assert!(!is_kept(&path).await);
        // an error page is never kept
        assert_eq!(keep(&path, b"<html>").unwrap_err().id(), Reason::JarInvalid);
        assert!(!is_kept(&path).await);
    }
}
