//! From jars to what an image is made of.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bytes::Bytes;

use super::check::{self, Subject};
use super::{Base, File, Group, MAIN_LABEL, Source, Spec};
use crate::diag::{Failure, Reason, Result};

/// A jar of less is read once: what was checked is what goes into the image.
const IN_MEMORY: u64 = 4 << 20;

/// Where libraries go; the application's own jar always goes into `usrlib`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Into {
    /// `/opt/flink/usrlib`: loaded with the job's own classes.
    #[default]
    Usrlib,
    /// `/opt/flink/lib`: loaded by Flink itself, before anything else.
    Lib,
}

impl Into {
    /// The folder in the image.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Usrlib => "/opt/flink/usrlib",
            Self::Lib => "/opt/flink/lib",
        }
    }
}

/// A jar on this machine.
#[derive(Debug, Clone)]
pub struct Jar {
    /// Where it lies.
    pub path: PathBuf,
    /// Its bytes, if it is small.
    pub bytes: Option<Bytes>,
}

impl Jar {
    /// Finds a jar, and sees that it is a file.
    ///
    /// # Errors
    /// [`Reason::FileUnreadable`].
    pub fn open(path: PathBuf) -> Result<Self> {
        let failed = |path: &PathBuf| Failure::new(Reason::FileUnreadable, "a jar cannot be read").at(path, 0, 0);
        let meta = fs_err::metadata(&path).map_err(|e| failed(&path).cause(&e))?;
        if !meta.is_file() {
            return Err(failed(&path).evidence("it is no file"));
        }
        let bytes = if meta.len() < IN_MEMORY {
            Some(Bytes::from(fs_err::read(&path).map_err(|e| failed(&path).cause(&e))?))
        } else {
            None
        };
        Ok(Self { path, bytes })
    }

    fn file(&self, folder: &str) -> File {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        File {
            target: format!("{folder}/{name}"),
            source: match &self.bytes {
                Some(bytes) => Source::Bytes(bytes.clone()),
                None => Source::Path(self.path.clone()),
            },
            mode: 0o644,
        }
    }
}

/// An application of jars.
#[derive(Debug, Clone)]
pub struct Jars {
    /// Its own.
    pub app: Jar,
    /// Those that it needs.
    pub libraries: Vec<Jar>,
    /// Where those go.
    pub into: Into,
    /// The class that Flink starts.
    pub main: Option<String>,
}

/// Checks jars against the base, and says what an image of them is made of: libraries below, for they change least.
///
/// # Errors
/// What `check::jars` finds.
pub fn from_jars(name: &str, jars: &Jars, base: &Base) -> Result<Spec> {
    check::jars(&Subject {
        app: &jars.app,
        libraries: &jars.libraries,
        main: jars.main.as_deref(),
        base,
    })?;
    let group = |title: &str, files: Vec<File>| Group {
        title: title.to_owned(),
        files,
    };
    let libraries = jars.libraries.iter().map(|jar| jar.file(jars.into.folder()));
    let labels = jars.main.iter().map(|main| (MAIN_LABEL.to_owned(), main.clone()));
    Ok(Spec {
        name: name.to_owned(),
        groups: vec![
            group("libraries", libraries.collect()),
            group("application", vec![jars.app.file(Into::Usrlib.folder())]),
        ],
        env: BTreeMap::new(),
        labels: labels.collect(),
    })
}
