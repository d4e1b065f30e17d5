//! The tables of `ctr`, as scripts in nodes print them: sections that begin with `== NAME`, and in them a line a thing.
//! Pure.

use crate::container::ExecOutput;
use crate::diag::{Failure, Reason, Result};

/// A line of `ctr images ls`: REF TYPE DIGEST SIZE PLATFORMS LABELS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::image) struct ImageRow<'a> {
    pub(in crate::image) name: &'a str,
    /// Digest of its manifest.
    pub(in crate::image) digest: &'a str,
    /// Bytes of its layers, as its manifest has them; 0 if that is not told.
    pub(in crate::image) bytes: u64,
    /// `KEY=VALUE,…`
    pub(in crate::image) labels: &'a str,
}

/// A line of `ctr images check`: REF TYPE DIGEST STATUS SIZE UNPACKED.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::image) struct CheckRow<'a> {
    pub(in crate::image) name: &'a str,
    pub(in crate::image) digest: &'a str,
    /// Whether all its blobs are there.
    pub(in crate::image) complete: bool,
    pub(in crate::image) unpacked: bool,
}

/// All lines of a script's answer, each with the name of its section. Headings of tables are lines as well.
pub(in crate::image) fn lines(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut section = "";
    text.lines().filter_map(move |line| match line.strip_prefix("== ") {
        Some(name) => {
            section = name;
            None
        }
        None => Some((section, line)),
    })
}

pub(in crate::image) fn image(line: &str) -> Option<ImageRow<'_>> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let at = digest_at(&words)?;
    let bytes = match (words.get(at + 1), words.get(at + 2)) {
        (Some(number), Some(unit)) => bytes(number, unit),
        _ => 0,
    };
    Some(ImageRow {
        name: words[0],
        digest: words[at],
        bytes,
        labels: words.last()?,
    })
}

pub(in crate::image) fn check(line: &str) -> Option<CheckRow<'_>> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let at = digest_at(&words)?;
    Some(CheckRow {
        name: words[0],
        digest: words[at],
        complete: words.get(at + 1) == Some(&"complete"),
        unpacked: words.last() == Some(&"true"),
    })
}

/// The name of a snapshot that is committed, of a line of `ctr snapshots ls`: KEY PARENT KIND.
pub(in crate::image) fn committed(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    let key = words.next()?;
    (words.next_back() == Some("Committed")).then_some(key)
}

/// The image of a container, of a line of `ctr containers ls`: CONTAINER IMAGE RUNTIME.
pub(in crate::image) fn container(line: &str) -> Option<&str> {
    let image = line.split_whitespace().nth(1)?;
    (image != "IMAGE" && image != "-").then_some(image)
}

/// A digest in hex, of a line of `ctr content ls -q`.
pub(in crate::image) fn blob(line: &str) -> Option<&str> {
    line.trim().strip_prefix("sha256:")
}

/// The value of a label in a table.
pub(in crate::image) fn label<'a>(labels: &'a str, key: &str) -> Option<&'a str> {
    labels
        .split(',')
        .find_map(|label| label.strip_prefix(key)?.strip_prefix('='))
}

/// What a script in a node says, if it ended well.
///
/// # Errors
/// [`Reason::ImageLoadFailed`] with its last words.
pub(in crate::image) fn told(node: &str, output: ExecOutput) -> Result<String> {
    if output.code == 0 {
        return Ok(output.stdout);
    }
    Err(Failure::new(
        Reason::ImageLoadFailed,
        format!("the node {node} does not tell what images it has"),
    )
    .evidence(crate::process::tail(&output.stderr, 15)))
}

/// Where the digest is; a name may be one as well.
fn digest_at(words: &[&str]) -> Option<usize> {
    let after = words.iter().skip(1).position(|word| word.starts_with("sha256:"))?;
    Some(after + 1)
}

/// `702.5 MiB`, as `ctr` writes sizes.
fn bytes(number: &str, unit: &str) -> u64 {
    let factor = match unit {
        "KiB" => 1_u64 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => 1,
    };
    let number: f64 = number.parse().unwrap_or_default();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "sizes are positive and shown rounded anyway"
    )]
    let bytes = (number * factor as f64) as u64;
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_read_and_headings_are_no_rows() {
        let row = image("sha256:i1 application/x sha256:d1 1.5 MiB linux/amd64 a=b,dev.flink/app=c").unwrap();
        assert_eq!((row.name, row.digest, row.bytes), ("sha256:i1", "sha256:d1", 3 << 19));
        assert_eq!(label(row.labels, "dev.flink/app"), Some("c"));
        assert_eq!(label(row.labels, "dev.flink"), None);
        assert_eq!(image("REF TYPE DIGEST SIZE PLATFORMS LABELS"), None);
        let row = check("h/a:1 x sha256:d1 incomplete (1/2) 1.0 MiB/2.0 MiB true").unwrap();
        assert!(!row.complete && row.unpacked);
        assert!(
            check("h/a:1 x sha256:d1 complete (2/2) 1.0 MiB/1.0 MiB false")
                .unwrap()
                .complete
        );
        assert_eq!(committed("sha256:c2 sha256:c1 Committed"), Some("sha256:c2"));
        assert_eq!(committed("pod sha256:c2 Active"), None);
        assert_eq!(container("CONTAINER IMAGE RUNTIME"), None);
        assert_eq!(container("012 h/a:0 io.containerd.runc.v2"), Some("h/a:0"));
        assert_eq!(blob("sha256:ab "), Some("ab"));
        let all: Vec<_> = lines("x\n== one\na\n== two\nb\n").collect();
        assert_eq!(all, [("", "x"), ("one", "a"), ("two", "b")]);
    }
}
