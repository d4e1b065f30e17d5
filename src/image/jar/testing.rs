//! Jars for tests, made from bytes: there is no compiler for another Java around.

use std::io::Write;
use std::path::{Path, PathBuf};

use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

/// A class file's head for this Java release, with a little body.
pub(in crate::image) fn class(release: u16) -> Vec<u8> {
    let mut bytes = vec![0xCA, 0xFE, 0xBA, 0xBE, 0, 0];
    bytes.extend((release + 44).to_be_bytes());
    bytes.extend([0; 40]);
    bytes
}

/// Writes a jar of these entries.
pub(in crate::image) fn jar(dir: &Path, name: &str, entries: &[(&str, Vec<u8>)]) -> PathBuf {
    let path = dir.join(name);
    let mut zip = zip::ZipWriter::new(fs_err::File::create(&path).unwrap());
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (name, bytes) in entries {
        zip.start_file(*name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
    path
}

/// A connector's jar as Maven makes it: its coordinates and its factory.
pub(in crate::image) fn connector(dir: &Path, id: &str, version: &str, factory: &str) -> PathBuf {
    let properties = format!("artifactId={id}\ngroupId=org.apache.flink\nversion={version}\n");
    jar(
        dir,
        &format!("{id}-{version}.jar"),
        &[
            (
                &format!("META-INF/maven/org.apache.flink/{id}/pom.properties"),
                properties.into_bytes(),
            ),
            (super::read::FACTORIES[0], factory.as_bytes().to_vec()),
            (&format!("{}.class", factory.replace('.', "/")), class(11)),
        ],
    )
}
