//! Images of a user's own Dockerfile, by BuildKit in the engine.

mod folder;
mod ignore;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use self::ignore::Ignore;
use super::host;
use super::{APP_LABEL, is_content_tag};
use crate::container::{Build, Context, Engine, EngineImage};
use crate::diag::{Failure, Reason, Result};
use crate::engine::StepCx;
use crate::env::Env;

/// Names of images that are being built, until they get their own.
pub(super) const UNNAMED: &str = "flink-dev/unnamed:";

/// Digits of an image's id that are its tag.
const TAG_DIGITS: usize = 12;

/// A Dockerfile and what it is built with.
#[derive(Debug, Clone, Default)]
pub struct Dockerfile {
    /// The file, as the user gave it.
    pub file: PathBuf,
    /// Folder of the files that it copies from; without one, the file's own.
    pub context: Option<PathBuf>,
    /// Build arguments.
    pub args: BTreeMap<String, String>,
    /// Stage to build; empty: the last one.
    pub target: String,
    /// Name of the image; without a tag it gets one from its content.
    pub name: String,
}

impl Dockerfile {
    /// Looks at the file and its context's folder, before the engine is asked for anything.
    ///
    /// # Errors
    /// [`Reason::FileUnreadable`].
    pub fn check(&self, env: &Env) -> Result<()> {
        self.text(env)?;
        self.folder(env).map(|_| ())
    }

    fn text(&self, env: &Env) -> Result<String> {
        fs_err::read_to_string(env.absolute(&self.file)).map_err(|error| {
            let failure = Failure::new(Reason::FileUnreadable, "the Dockerfile cannot be read").at(&self.file, 0, 0);
            failure.cause(&error)
        })
    }

    /// The context's folder, and how the user would write it.
    fn folder(&self, env: &Env) -> Result<(PathBuf, PathBuf)> {
        let shown = match &self.context {
            Some(given) => given.clone(),
            None => self.file.parent().unwrap_or_else(|| Path::new("")).to_owned(),
        };
        let folder = env.absolute(&shown);
        if folder.is_dir() {
            return Ok((folder, shown));
        }
        Err(Failure::new(
            Reason::FileUnreadable,
            format!("the build context {} is no folder", shown.display()),
        ))
    }
}

/// An image that was built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BuiltImage {
    /// Its name with its tag.
    pub name: String,
    /// Its id in the engine.
    pub id: String,
    /// Steps that ran.
    pub ran: usize,
    /// Steps that were taken from the engine's cache.
    pub cached: usize,
}

/// What a build is given, read from this machine.
#[derive(Debug)]
struct Files {
    context: Context,
    /// Path of the Dockerfile in the context.
    path: String,
    /// What leaves files out: its path for people, and its patterns.
    ignore: Option<(String, Ignore)>,
    note: Option<String>,
}

/// Builds an image of a Dockerfile.
///
/// # Errors
/// [`Reason::FileUnreadable`] if the file or a file of the context cannot be read; [`Reason::ImageBuildFailed`] with
/// the line of the Dockerfile and the end of the step's log; [`Reason::ImagePullFailed`] if an image it is `FROM`
/// cannot be had.
pub async fn build(engine: &Engine, env: &Env, wanted: &Dockerfile, cx: &StepCx) -> Result<BuiltImage> {
    let (given, env_) = (wanted.clone(), env.clone());
    let files = tokio::task::spawn_blocking(move || read(&env_, &given))
        .await
        .map_err(|e| Failure::new(Reason::Internal, "reading the build context panicked").cause(&e))??;
    if let Some(note) = &files.note {
        cx.events().note(note.clone());
    }
    let (repository, tag) = split(&wanted.name);
    let temporary = format!("{UNNAMED}{}", random());
    let before = match tag {
        Some(_) => engine.image(&wanted.name).await?,
        None => None,
    };
    let proxies = host::Proxies::of(env, engine.is_local());
    let mut args = proxies.args;
    args.extend(wanted.args.clone());
    let build = Build {
        name: temporary.clone(),
        context: files.context,
        file: files.path,
        dockerfile: wanted.file.display().to_string(),
        target: wanted.target.clone(),
        args,
        labels: BTreeMap::from([(APP_LABEL.to_owned(), repository.to_owned())]),
        host_network: proxies.host_network,
    };
    let built = engine
        .build(&build, cx)
        .await
        .map_err(|failure| with_ignored(failure, files.ignore.as_ref()))?;
    let name = match tag {
        Some(_) => wanted.name.clone(),
        None => {
            let digits: String = built
                .id
                .trim_start_matches("sha256:")
                .chars()
                .take(TAG_DIGITS)
                .collect();
            format!("{repository}:{digits}")
        }
    };
    engine.tag(&built.id, &name).await?;
    engine.remove_image(&temporary).await?;
    if let Some(before) = before.filter(|before| before.id != built.id && before.labels.contains_key(APP_LABEL)) {
        // without a name it is of no use; under another one it is the user's, and what a container or another image
        // uses stays. That it could not be removed is no failure of the build
        let nameless = |images: Vec<EngineImage>| images.iter().any(|i| i.id == before.id && i.names.is_empty());
        if engine.images().await.is_ok_and(nameless) {
            let _ = engine.remove_unused_image(&before.id).await;
        }
    }
    match engine.image(&name).await? {
        Some(image) if image.id == built.id => Ok(BuiltImage {
            name,
            id: image.id,
            ran: built.ran,
            cached: built.cached,
        }),
        _ => Err(Failure::new(
            Reason::ImageBuildFailed,
            format!("{name} is not what was built; another build may have taken its name"),
        )),
    }
}

/// Repository and tag, if it has one.
fn split(name: &str) -> (&str, Option<&str>) {
    match name.rsplit_once(':') {
        // a colon before a slash belongs to a port
        Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
        _ => (name, None),
    }
}

/// Whether a name has a tag of its content, so that a new build has a new name.
pub(super) fn is_content_addressed(name: &str) -> bool {
    split(name).1.is_some_and(is_content_tag)
}

fn random() -> String {
    use std::hash::{BuildHasher, Hasher};
    // a fresh random state each time
    let hasher = std::collections::hash_map::RandomState::new().build_hasher();
    format!("{:016x}", hasher.finish())
}

/// Reads the Dockerfile and its context.
fn read(env: &Env, wanted: &Dockerfile) -> Result<Files> {
    let file = env.absolute(&wanted.file);
    let text = wanted.text(env)?;
    let (folder, shown) = wanted.folder(env)?;
    let ignore = ignore_of(&file, &wanted.file, &folder, &shown)?;
    let patterns = ignore.as_ref().map(|(_, ignore)| ignore.clone()).unwrap_or_default();
    let mut context = folder::read(&folder, &shown, &patterns)?;
    let inside = inside(&file, &folder).filter(|path| patterns.by(path).is_none());
    let (path, note) = match inside {
        Some(path) => (path, None),
        None => {
            // the engine takes one archive: what it reads the instructions from is in the context, too
            let path = format!(".dockerfile.{}", random());
            let copies_all = text.lines().any(|line| {
                let words: Vec<&str> = line.split_whitespace().collect();
                matches!(words.as_slice(), [copy, .., "." | "./", _] if copy.eq_ignore_ascii_case("copy"))
            });
            let note = copies_all.then(|| {
                format!(
                    "{} is not a part of its context, so `COPY .` takes it along as {path}",
                    wanted.file.display()
                )
            });
            (path, note)
        }
    };
    context.add(path.clone(), 0o644, text.into_bytes());
    Ok(Files {
        context,
        path,
        ignore,
        note,
    })
}

/// Path of the Dockerfile in its context, with `/`.
fn inside(file: &Path, folder: &Path) -> Option<String> {
    let (file, folder) = (fs_err::canonicalize(file).ok()?, fs_err::canonicalize(folder).ok()?);
    let parts = file.strip_prefix(folder).ok()?.components();
    let parts: Option<Vec<&str>> = parts.map(|part| part.as_os_str().to_str()).collect();
    Some(parts?.join("/"))
}

/// `NAME.dockerignore` beside the Dockerfile, else `.dockerignore` of the context.
fn ignore_of(file: &Path, shown_file: &Path, folder: &Path, shown: &Path) -> Result<Option<(String, Ignore)>> {
    let beside = |path: &Path| {
        let mut name = path.as_os_str().to_owned();
        name.push(".dockerignore");
        PathBuf::from(name)
    };
    let places = [
        (beside(file), beside(shown_file)),
        (folder.join(".dockerignore"), shown.join(".dockerignore")),
    ];
    for (path, shown) in places {
        match fs_err::read_to_string(&path) {
            Ok(text) => return Ok(Some((shown.display().to_string(), Ignore::parse(&text)))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                let failure = Failure::new(Reason::FileUnreadable, "the file cannot be read").at(shown, 0, 0);
                return Err(failure.cause(&error));
            }
        }
    }
    Ok(None)
}

/// The path in the context that a build did not find: `"/a/b": not found`, or in engines before 23
/// `lstat .../buildkit-mount123/a/b: no such file or directory`.
fn not_found(seen: &str) -> Option<&str> {
    let quoted = seen
        .split_once("\": not found")
        .or_else(|| seen.split_once("\" not found"));
    if let Some((before, _)) = quoted {
        return before.rsplit('"').next().map(|path| path.trim_start_matches('/'));
    }
    let (before, _) = seen.split_once(": no such file or directory")?;
    let (_, mounted) = before.rsplit_once("/buildkit-mount")?;
    mounted.split_once('/').map(|(_, path)| path)
}

/// A path that is "not found" may be one that was left out.
fn with_ignored(failure: Failure, ignore: Option<&(String, Ignore)>) -> Failure {
    let Some((shown, ignore)) = ignore else { return failure };
    let seen = failure.detail().evidence.join("\n");
    let Some(path) = not_found(&seen) else {
        return failure;
    };
    match ignore.by(path) {
        Some(line) => failure.evidence(format!("{shown}:{line} leaves {path} out")),
        None => failure,
    }
}
