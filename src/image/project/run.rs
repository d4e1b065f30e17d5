//! Builds a project.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::tool::{Tool, gradle, tool_of};
use super::{compiler, jars};
use crate::container::{Context, Engine};
use crate::diag::{Failure, Reason, Result};
use crate::engine::StepCx;
use crate::env::Env;
use crate::image::maven;
use crate::image::store::write_whole;
use crate::process::Program;

/// Files of a project that its build does not read.
const NOT_SENT: [&str; 5] = ["target", "build", "node_modules", ".git", ".gradle"];
/// Of all files that are sent into a build, in bytes: more is no project's sources.
const SENT: u64 = 512 << 20;

/// What a build made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The application's jar.
    pub jar: PathBuf,
    /// What built it, e.g. `./mvnw`, for people.
    pub tool: String,
}

/// Builds the project in `dir` without its tests and finds the jar: with its wrapper, else with the Maven or Gradle of
/// this machine, else, for Maven, inside a build of the engine. Output goes to `cx`. `main` is the class that a user
/// named: it tells which of several jars is meant.
///
/// # Errors
/// [`Reason::ProjectInvalid`], [`Reason::ToolMissing`] (Gradle); [`Reason::ProjectBuildFailed`] at the place of the
/// compiler's first error.
pub async fn build(dir: &Path, main: Option<&str>, engine: &Engine, env: &Env, cx: &StepCx) -> Result<Built> {
    let tool = tool_of(dir)?;
    // clocks of file systems count in coarser steps than this one
    let since = SystemTime::now() - Duration::from_secs(2);
    let program = match tool {
        Tool::Maven => maven::on_this_machine(env, Some(dir), cx.cancel()).await,
        Tool::Gradle => Some(gradle(env, dir)?),
    };
    let shown = match (&program, tool) {
        (Some(program), _) => program.strip_prefix(dir).map_or_else(
            |_| program.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            |name| format!("./{}", name.display()),
        ),
        (None, _) => "Maven in a build".to_owned(),
    };
    match program {
        Some(program) => on_this_machine(&program, dir, tool, &shown, env, cx).await?,
        None => in_image(dir, engine, env, cx).await?,
    }
    let project = dir.to_owned();
    let main = main.map(str::to_owned);
    let jar = tokio::task::spawn_blocking(move || jars::find(&project, tool, main.as_deref(), since))
        .await
        .map_err(|e| Failure::new(Reason::Internal, "looking for the jar panicked").cause(&e))??;
    Ok(Built { jar, tool: shown })
}

async fn on_this_machine(program: &Path, dir: &Path, tool: Tool, shown: &str, env: &Env, cx: &StepCx) -> Result<()> {
    let args: &[&str] = match tool {
        Tool::Maven => &[
            "--batch-mode",
            "--no-transfer-progress",
            "-Dstyle.color=never",
            "-DskipTests",
            "package",
        ],
        Tool::Gradle => &["--console=plain", "assemble"],
    };
    cx.waiting(format!("{shown} {}", args.last().unwrap_or(&"")));
    let run = Program::new(program).args(args.iter().copied()).cwd(dir).tethered();
    let output = run
        .run(cx.cancel(), |line| {
            if let Some(goal) = goal(line) {
                cx.waiting(goal);
            }
            cx.output(line);
        })
        .await?;
    if output.status.success() {
        return Ok(());
    }
    let all = format!("{}\n{}", output.stdout, output.stderr);
    Err(compiler::failure(dir, shown, &all, &env.cwd))
}

/// What a tool says that it does now: `[INFO] --- compiler:3.13.0:compile (default-compile) @ orders ---`,
/// `> Task :compileJava`.
fn goal(line: &str) -> Option<&str> {
    let maven = line
        .strip_prefix("[INFO] --- ")
        .map(|rest| rest.split(" (").next().unwrap_or(rest));
    maven.or_else(|| line.strip_prefix("> Task "))
}

async fn in_image(dir: &Path, engine: &Engine, env: &Env, cx: &StepCx) -> Result<()> {
    let mut context = Context::new();
    let mut size = 0;
    send(dir, dir, &mut context, &mut size)
        .map_err(|e| Failure::new(Reason::FileUnreadable, format!("{} cannot be read", dir.display())).cause(&e))?;
    if size > SENT {
        return Err(Failure::new(
            Reason::ProjectInvalid,
            format!(
                "{} holds {} MB: too much to be sent into a build",
                dir.display(),
                size / 1_000_000
            ),
        )
        .next("install Maven, or build it yourself, then: dev image build --jar FILE"));
    }
    cx.waiting("no Maven on this machine: it runs in a build");
    let files = maven::run_in_image(engine, env, context, "-DskipTests package", false, cx)
        .await
        .map_err(|failure| {
            let output = failure
                .detail()
                .evidence
                .join("\n")
                .replace("/project/", &format!("{}/", dir.display()));
            if maven::errors(&output).is_empty() {
                failure
            } else {
                compiler::failure(dir, "Maven", &output, &env.cwd)
            }
        })?;
    for (path, bytes) in files {
        write_whole(&dir.join(&path), &bytes)
            .map_err(|e| Failure::new(Reason::FileUnreadable, format!("{path} cannot be written")).cause(&e))?;
    }
    Ok(())
}

/// Adds the files below `dir`; links and what the build makes itself are left out.
fn send(root: &Path, dir: &Path, context: &mut Context, size: &mut u64) -> std::io::Result<()> {
    for entry in fs_err::read_dir(dir)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() {
            if !NOT_SENT.contains(&&*entry.file_name().to_string_lossy()) {
                send(root, &path, context, size)?;
            }
        } else if kind.is_file() {
            *size += entry.metadata()?.len();
            let name = path
                .strip_prefix(root)
                .unwrap_or(&path)
                .to_string_lossy()
                .replace('\\', "/");
            context.add_file(format!("project/{name}"), 0o644, path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::event::EventSink;

    #[test]
    fn what_a_tool_does_is_told() {
        assert_eq!(
            goal("[INFO] --- compiler:3.13.0:compile (default-compile) @ orders ---"),
            Some("compiler:3.13.0:compile")
        );
        assert_eq!(goal("> Task :compileJava"), Some(":compileJava"));
        assert_eq!(goal("[INFO] BUILD SUCCESS"), None);
    }

    #[test]
    fn what_a_build_makes_itself_is_not_sent() {
        let dir = tempfile::tempdir().unwrap();
        for path in [
            "pom.xml",
            "src/main/java/A.java",
            "target/a.jar",
            ".git/x",
            "m/target/b.jar",
            "m/pom.xml",
        ] {
            write_whole(&dir.path().join(path), b"x").unwrap();
        }
        let (mut context, mut size) = (Context::new(), 0);
        send(dir.path(), dir.path(), &mut context, &mut size).unwrap();
        let mut tar = Vec::new();
        context.write(&mut tar).unwrap();
        let mut names = Vec::new();
        for entry in tar::Archive::new(tar.as_slice()).entries().unwrap() {
            let entry = entry.unwrap();
            if entry.header().entry_type().is_file() {
                names.push(entry.path().unwrap().display().to_string());
            }
        }
        assert_eq!(
            names,
            ["project/m/pom.xml", "project/pom.xml", "project/src/main/java/A.java"]
        );
        assert_eq!(size, 3);
    }

    /// A wrapper that compiles nothing: it says what a tool says.
    #[cfg(unix)]
    async fn with_wrapper(script: &str) -> Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let wrapper = dir.path().join("mvnw");
        fs_err::write(&wrapper, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs_err::set_permissions(&wrapper, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut env = Env::from_process();
        env.cwd = dir.path().to_owned();
        let cx = StepCx::detached("x", EventSink::discard(), CancellationToken::new());
        on_this_machine(&wrapper, dir.path(), Tool::Maven, "./mvnw", &env, &cx).await
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_failed_build_is_at_its_first_error() {
        with_wrapper("exit 0").await.unwrap();
        let failure = with_wrapper("echo \"[ERROR] $PWD/src/A.java:[3,7] cannot find symbol\"; exit 1")
            .await
            .unwrap_err();
        assert_eq!(failure.id(), Reason::ProjectBuildFailed);
        assert_eq!(
            failure.to_string(),
            "src/A.java:3:7: . does not build: cannot find symbol"
        );
    }
}
