//! What is wrong with jars is found before anything is made of them.

use std::io::{Cursor, Read, Seek};

use super::{Base, Jar};
use crate::diag::{Failure, Reason, Result};

/// What is checked.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The application's own jar.
    pub app: &'a Jar,
    /// Those that it needs.
    pub libraries: &'a [Jar],
    /// The class that Flink starts.
    pub main: Option<&'a str>,
    /// The image that they go into.
    pub base: &'a Base,
}

/// Checks jars that are to become an image.
///
/// # Errors
/// [`Reason::FileUnreadable`] for a file that is no jar, or one without the main class.
pub(super) fn jars(subject: &Subject<'_>) -> Result<()> {
    for jar in std::iter::once(subject.app).chain(subject.libraries) {
        let names = names(jar)?;
        if names.is_empty() {
            return Err(not_a_jar(jar).evidence("it is empty"));
        }
    }
    Ok(())
}

fn not_a_jar(jar: &Jar) -> Failure {
    Failure::new(Reason::FileUnreadable, "this is no jar").at(&jar.path, 0, 0)
}

/// Names of all that is in a jar.
fn names(jar: &Jar) -> Result<Vec<String>> {
    match &jar.bytes {
        Some(bytes) => list(jar, Cursor::new(bytes.as_ref())),
        None => {
            let file = fs_err::File::open(&jar.path).map_err(|e| not_a_jar(jar).cause(&e))?;
            list(jar, std::io::BufReader::new(file))
        }
    }
}

fn list(jar: &Jar, bytes: impl Read + Seek) -> Result<Vec<String>> {
    let archive = zip::ZipArchive::new(bytes).map_err(|e| not_a_jar(jar).cause(&e))?;
    Ok(archive.file_names().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::app::base::sample;

    fn checked(bytes: &[u8]) -> Result<()> {
        let jar = Jar {
            path: "x.jar".into(),
            bytes: Some(bytes::Bytes::copy_from_slice(bytes)),
        };
        jars(&Subject {
            app: &jar,
            libraries: &[],
            main: None,
            base: &sample("b", &["aa"], serde_json::Value::Null),
        })
    }

    #[test]
    fn what_is_no_jar_is_refused() {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        zip.start_file("a/B.class", zip::write::SimpleFileOptions::default())
            .unwrap();
        std::io::Write::write_all(&mut zip, b"class").unwrap();
        let whole = zip.finish().unwrap().into_inner();
        checked(&whole).unwrap();
        let empty = zip::ZipWriter::new(Cursor::new(Vec::new()))
            .finish()
            .unwrap()
            .into_inner();
        for bad in [&b""[..], b"no zip", &whole[..whole.len() - 3], &empty] {
            let error = checked(bad).unwrap_err();
            assert_eq!(error.id(), Reason::FileUnreadable);
            assert!(error.to_string().contains("x.jar: this is no jar"), "{error}");
        }
    }
}
