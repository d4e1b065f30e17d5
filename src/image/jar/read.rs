//! Looks into a jar that nobody vouches for: names that lead out of it, links, bombs and cut files are refused, and
//! only a few bytes of each entry are read.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{BufReader, Cursor, Read, Seek};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zip::ZipArchive;
use zip::read::ZipFile;

use super::class;
use crate::diag::{Failure, Reason, Result};

/// More entries than any real jar has: fat ones come to some 50 000.
const ENTRIES: usize = 500_000;
/// Of a jar's uncompressed size, in bytes; beyond it the ratio counts.
const PLAIN: u64 = 1 << 30;
/// Class files are packed to a third; a bomb to a thousandth.
const RATIO: u64 = 100;
/// Of a manifest, a service file or a `pom.properties`, in bytes.
const TEXT: u64 = 1 << 20;

/// Where jars say which factories of tables they have; the second is the form of Flink before 1.11.
pub(super) const FACTORIES: [&str; 2] = [
    "META-INF/services/org.apache.flink.table.factories.Factory",
    "META-INF/services/org.apache.flink.table.factories.TableFactory",
];

/// A jar in a Maven repository, or what a jar was made of (`META-INF/maven/**/pom.properties`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Artifact {
    /// The group.
    pub group: String,
    /// The artifact's id.
    pub id: String,
    /// Its version.
    pub version: String,
}

impl Artifact {
    /// The name its file has in a repository.
    pub fn file(&self) -> String {
        format!("{}-{}.jar", self.id, self.version)
    }
}

impl fmt::Display for Artifact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.group, self.id, self.version)
    }
}

/// What was seen in a jar.
#[derive(Debug, Clone, Default)]
pub struct Jar {
    /// The file, as the user named it.
    pub path: PathBuf,
    /// Its classes by binary name (`com.acme.Job$1`) with the major version of their files. Those below
    /// `META-INF/versions` (multi-release jars) do not count: an older Java does not see them.
    pub classes: BTreeMap<String, u16>,
    /// The class that the manifest names: Flink's `program-class`, else `Main-Class`.
    pub main_class: Option<String>,
    /// Classes of its table factories.
    pub factories: BTreeSet<String>,
    /// What it was made of, itself and what was shaded into it.
    pub artifacts: BTreeSet<Artifact>,
}

impl Jar {
    /// The file's name.
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// Looks into the jar `path`.
///
/// # Errors
/// [`Reason::FileUnreadable`] if there is no such file; [`Reason::JarInvalid`] if it is no jar, is cut off, or is made
/// to do harm.
pub fn read(path: &Path) -> Result<Jar> {
    let open = || {
        let file = fs_err::File::open(path)?;
        let info = file.metadata()?;
        Ok::<_, std::io::Error>((file, info))
    };
    let (file, info) = open().map_err(|e| {
        Failure::new(
            Reason::FileUnreadable,
            format!("the jar {} cannot be read", path.display()),
        )
        .cause(&e)
    })?;
    if !info.is_file() {
        let what = if info.is_dir() { "a folder" } else { "no regular file" };
        return Err(invalid(path, what));
    }
    look(path, BufReader::new(file), info.len())
}

/// The same for a jar that is held in memory; `path` is for messages.
///
/// # Errors
/// [`Reason::JarInvalid`] as [`read`].
pub fn read_bytes(path: &Path, bytes: &[u8]) -> Result<Jar> {
    look(path, Cursor::new(bytes), bytes.len() as u64)
}

fn look(path: &Path, source: impl Read + Seek, length: u64) -> Result<Jar> {
    let mut archive = ZipArchive::new(source).map_err(|e| {
        let what = match length {
            0 => "empty",
            _ => "no jar, or cut off",
        };
        invalid(path, what)
            .evidence(format!("{e} ({length} bytes)"))
            .next("build it again")
    })?;
    refuse_bombs(path, &archive)?;
    let mut jar = Jar {
        path: path.to_owned(),
        ..Jar::default()
    };
    let mut ends = Vec::with_capacity(archive.len());
    for index in 0..archive.len() {
        let mut entry = archive
            .by_index(index)
            .map_err(|e| invalid(path, "broken").evidence(format!("entry {index}: {e}")))?;
        let name = entry.name().to_owned();
        if entry.enclosed_name().is_none() || entry.is_symlink() {
            return Err(invalid(path, "made to write outside of where it is unpacked")
                .evidence(format!("entry {name:?}"))
                .next("do not use this file; build the jar yourself"));
        }
        // saturating: what an entry claims is anything
        ends.push((
            entry.header_start(),
            entry.data_start().saturating_add(entry.compressed_size()),
        ));
        jar.look_at(&name, &mut entry)
            .map_err(|e| invalid(path, "broken").evidence(format!("entry {name}: {e}")))?;
    }
    ends.sort_unstable();
    // entries that share their bytes are how a small file holds petabytes
    if ends.windows(2).any(|two| two[0].1 > two[1].0) || ends.iter().any(|(_, end)| *end > length) {
        return Err(invalid(path, "broken: its entries overlap or lie beyond its end"));
    }
    Ok(jar)
}

fn invalid(path: &Path, what: &str) -> Failure {
    Failure::new(Reason::JarInvalid, format!("{} is {what}", path.display()))
}

fn refuse_bombs<R: Read + Seek>(path: &Path, archive: &ZipArchive<R>) -> Result<()> {
    if archive.len() > ENTRIES {
        return Err(invalid(path, "no ordinary jar").evidence(format!("it has {} entries", archive.len())));
    }
    let plain = archive.decompressed_size().unwrap_or_default();
    let packed = u128::from(archive.central_directory_start().max(1));
    if plain > u128::from(PLAIN) && plain / packed > u128::from(RATIO) {
        return Err(invalid(path, "made to fill a disk")
            .evidence(format!("{packed} bytes that would unpack to {plain}"))
            .next("do not use this file; build the jar yourself"));
    }
    Ok(())
}

impl Jar {
    fn look_at<R: Read>(&mut self, name: &str, entry: &mut ZipFile<'_, R>) -> std::io::Result<()> {
        if name == "META-INF/MANIFEST.MF" {
            self.main_class = main_class(&text(entry)?);
        } else if FACTORIES.contains(&name) {
            self.factories.extend(services(&text(entry)?));
        } else if name.starts_with("META-INF/") {
            if name.starts_with("META-INF/maven/") && name.ends_with("/pom.properties") {
                self.artifacts.extend(artifact(&text(entry)?));
            }
        } else if let Some(class) = name.strip_suffix(".class")
            && class != "module-info"
        {
            let mut head = Vec::with_capacity(class::HEAD);
            entry.take(class::HEAD as u64).read_to_end(&mut head)?;
            // what is no class file is not loaded either
            if let Some(major) = class::major(&head) {
                self.classes.insert(class.replace('/', "."), major);
            }
        }
        Ok(())
    }
}

fn text<R: Read>(entry: &mut ZipFile<'_, R>) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    if entry.take(TEXT + 1).read_to_end(&mut bytes)? as u64 > TEXT {
        return Err(std::io::Error::other(format!("longer than {TEXT} bytes")));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Of a manifest's main section; a line that begins with a space goes on with the one before (JAR File Specification).
fn main_class(manifest: &str) -> Option<String> {
    let joined = manifest.replace("\r\n", "\n").replace('\r', "\n").replace("\n ", "");
    let main = joined.split("\n\n").next().unwrap_or_default();
    let value = |wanted: &str| {
        main.lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(key, _)| key.trim().eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value.trim().to_owned())
            .filter(|value| !value.is_empty())
    };
    value("program-class").or_else(|| value("Main-Class"))
}

/// Lines of a service file without comments.
fn services(text: &str) -> impl Iterator<Item = String> + '_ {
    text.lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
}

fn artifact(properties: &str) -> Option<Artifact> {
    let value = |wanted: &str| {
        let mut pairs = properties.lines().filter_map(|line| line.split_once('='));
        pairs
            .find(|(key, _)| key.trim() == wanted)
            .map(|(_, value)| value.trim().to_owned())
    };
    Some(Artifact {
        group: value("groupId")?,
        id: value("artifactId")?,
        version: value("version")?,
    })
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn a_manifest_names_the_program_before_the_main_class() {
        let manifest = "Manifest-Version: 1.0\r\nMain-Class: com.acme.a.very.long.package.that.goes.on.and.on.\r\n Job\r\n\r\nName: x\r\nMain-Class: no\r\n";
        assert_eq!(
            main_class(manifest).as_deref(),
            Some("com.acme.a.very.long.package.that.goes.on.and.on.Job")
        );
        let both = "main-class: a.B\nprogram-class: c.D\n";
        assert_eq!(main_class(both).as_deref(), Some("c.D"));
        assert_eq!(main_class("Manifest-Version: 1.0\n\nMain-Class: x\n"), None);
    }

    #[test]
    fn services_and_coordinates_are_read_as_java_reads_them() {
        let found: Vec<_> = services("# licence\n\n a.B # first\nc.D\n").collect();
        assert_eq!(found, ["a.B", "c.D"]);
        let read = artifact("#Created\nartifactId=x\ngroupId = g\nversion=1.0-2.2\n").unwrap();
        assert_eq!(
            (read.group.as_str(), read.id.as_str(), read.version.as_str()),
            ("g", "x", "1.0-2.2")
        );
        assert_eq!(artifact("version=1"), None);
    }
}
