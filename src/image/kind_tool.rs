//! The program `kind`: the user's own if it is new enough, else out of an image that is built for it.

use std::path::{Path, PathBuf};

use super::make::Maker;
use super::recipe::{KIND, Recipes};
use crate::container::Engine;
use crate::diag::{Failure, Reason, Result};
use crate::engine::StepCx;
use crate::env::Env;
use crate::process::{self, Program};

/// The oldest release that is used (major, minor): earlier ones write other configurations for containerd.
const OLDEST: (u32, u32) = (0, 31);

/// Whether its image is needed: there is neither a `kind` on the `PATH` nor one that was taken out before. A program
/// on the `PATH` that is too old is found out by [`kind_tool`], which then builds it by itself.
pub(super) fn needs_image(env: &Env) -> bool {
    process::find(env, "kind").is_none() && !kept(env).exists()
}

fn kept(env: &Env) -> PathBuf {
    env.cache_dir().join("tools").join(format!("kind-{KIND}"))
}

/// The program `kind`: on the `PATH` if it is 0.31 or newer, else the one in the cache, taken out of its image, which
/// is built if need be.
///
/// # Errors
/// Those of the build; [`Reason::ToolFailed`] if the program does not run.
pub async fn kind_tool(engine: &Engine, env: &Env, cx: &StepCx) -> Result<PathBuf> {
    if let Some(path) = process::find(env, "kind") {
        match version(&path, cx).await {
            Ok(found) if found >= OLDEST => return Ok(path),
            Ok((major, minor)) => {
                cx.events().note(format!(
                    "{} is kind {major}.{minor}, too old: {KIND} is used",
                    path.display()
                ));
            }
            Err(failure) => cx.events().note(format!("{} is not used: {failure}", path.display())),
        }
    }
    let path = kept(env);
    if path.exists() && version(&path, cx).await.is_ok() {
        return Ok(path);
    }
    let image = format!("flink-dev/kind:{KIND}");
    let recipes = Recipes::of_kind();
    Maker::of(recipes.clone(), engine, env)
        .make(&recipes, &image, cx)
        .await?;
    let mut files = engine.files_of_image(&image, "/kind").await?;
    let Some((_, bytes)) = files.pop() else {
        return Err(Failure::new(
            Reason::ImageUnavailable,
            format!("the image {image} has no program in it"),
        ));
    };
    install(&path, &bytes)
        .map_err(|e| Failure::new(Reason::ToolFailed, format!("{} cannot be written", path.display())).cause(&e))?;
    version(&path, cx).await?;
    Ok(path)
}

fn install(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    fs_err::create_dir_all(folder)?;
    let file = tempfile::NamedTempFile::new_in(folder)?;
    fs_err::write(file.path(), bytes)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs_err::set_permissions(file.path(), std::fs::Permissions::from_mode(0o755))?;
    }
    // closed before it is started: a program open for writing cannot be
    file.into_temp_path().persist(path)?;
    Ok(())
}

async fn version(program: &Path, cx: &StepCx) -> Result<(u32, u32)> {
    let output = Program::new(program).arg("version").output(cx.cancel()).await?;
    parse(&output).ok_or_else(|| {
        Failure::new(
            Reason::ToolFailed,
            format!("`{} version` is not understood", program.display()),
        )
        .evidence(output)
    })
}

/// Major and minor out of `kind v0.33.0 go1.24.4 linux/amd64`.
fn parse(output: &str) -> Option<(u32, u32)> {
    let version = output
        .split_whitespace()
        .find_map(|word| word.strip_prefix('v').filter(|v| v.contains('.')))?;
    let mut parts = version.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(parse("kind v0.33.0 go1.24.4 linux/amd64\n"), Some((0, 33)));
        assert_eq!(parse("kind v0.27.0-alpha+x go1.24"), Some((0, 27)));
        assert_eq!(parse("kind (unknown)"), None);
        assert!((0, 9) < OLDEST && (1, 0) > OLDEST);
    }
}
