//! Names of application images. Pure.

use std::path::Path;

use crate::diag::{Failure, Reason, Result};

/// How many digits of an image's id are its tag.
pub(super) const TAG_DIGITS: usize = 12;

/// Longest name that registries take.
const LONGEST: usize = 200;

/// The name for a jar: its file name without the ending and without a version, as Maven and Gradle write it
/// (`orders-1.2-SNAPSHOT.jar` is `orders`).
pub fn default_name(jar: &Path) -> String {
    let stem = jar.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
    let version = stem
        .match_indices('-')
        .find(|(at, _)| stem[at + 1..].starts_with(|c: char| c.is_ascii_digit()))
        .map_or(stem.len(), |(at, _)| at);
    let mut name = String::new();
    for c in stem[..version].chars() {
        match c {
            'a'..='z' | '0'..='9' => name.push(c),
            // one separator at a time, and none at either end
            _ if name.ends_with(|c: char| c.is_ascii_alphanumeric()) => name.push('-'),
            _ => {}
        }
    }
    let name = name.trim_end_matches('-').chars().take(LONGEST).collect::<String>();
    let name = name.trim_end_matches('-');
    if name.is_empty() {
        "app".to_owned()
    } else {
        name.to_owned()
    }
}

/// A name that a user gives: `NAME` or `REGISTRY/PATH/NAME`, without a tag (the rule of the distribution project's
/// `reference` package).
///
/// # Errors
/// [`Reason::Usage`] with what is wrong with it.
pub fn parse_name(name: &str) -> Result<String> {
    let bad = |why: &str| {
        Err(
            Failure::new(Reason::Usage, format!("`{name}` is no name for an image: {why}"))
                .next("--name orders, or --name team/orders"),
        )
    };
    if name.len() > LONGEST {
        return bad("it is too long");
    }
    let mut parts: Vec<&str> = name.split('/').collect();
    let is_host = |part: &str| part.contains(['.', ':']) || part == "localhost";
    if parts.len() > 1 && is_host(parts[0]) {
        let (host, port) = parts[0].split_once(':').unwrap_or((parts[0], "0"));
        let host_ok = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-".contains(c));
        if !host_ok || port.parse::<u16>().is_err() {
            return bad("its registry is no host, or host and port");
        }
        parts.remove(0);
    }
    for part in parts {
        if part.contains([':', '@']) {
            return bad("its tag comes from its content");
        }
        if !is_component(part) {
            return bad("its parts are small letters and digits, with single `.`, `_` or `-` between them");
        }
    }
    Ok(name.to_owned())
}

fn is_component(part: &str) -> bool {
    let mut rest = part;
    loop {
        let word = rest.trim_start_matches(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        if word.len() == rest.len() {
            return false;
        }
        if word.is_empty() {
            return true;
        }
        let dashes = word.trim_start_matches('-');
        rest = ["__", "_", "."]
            .iter()
            .find_map(|separator| word.strip_prefix(separator))
            .unwrap_or(dashes);
        if rest.len() == word.len() {
            return false;
        }
    }
}

/// Whether a tag is one that [`super::assemble`] gives.
pub(super) fn is_content_tag(tag: &str) -> bool {
    tag.len() == TAG_DIGITS && tag.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c))
}

/// Whether a name is that of a build of `app`.
pub(super) fn is_build_of(name: &str, app: &str) -> bool {
    name.strip_prefix(app)
        .and_then(|rest| rest.strip_prefix(':'))
        .is_some_and(is_content_tag)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_jars_version_is_no_part_of_its_name() {
        for (jar, name) in [
            ("target/orders-1.2-SNAPSHOT.jar", "orders"),
            ("orders-job-2.2.1.jar", "orders-job"),
            ("My Job_v2.jar", "my-job-v2"),
            ("app.jar", "app"),
            ("-1.jar", "app"),
            ("ÄÖ.jar", "app"),
            ("flink-sql-connector-kafka-4.0.1-2.0.jar", "flink-sql-connector-kafka"),
        ] {
            assert_eq!(default_name(Path::new(jar)), name, "{jar}");
        }
    }

    #[test]
    fn names_of_users_are_checked() {
        for good in [
            "orders",
            "team/orders",
            "localhost:5000/a",
            "registry.example/a/b",
            "a__b",
            "a--b",
            "a.b_c-d",
            "localhost/x",
        ] {
            assert_eq!(parse_name(good).unwrap(), good);
        }
        for bad in [
            "",
            "Orders",
            "a:1",
            "a@sha256:00",
            "a//b",
            "/a",
            "a/",
            "-a",
            "a-",
            "a___b",
            "a..b",
            "a b",
            "x:y/a",
            "é",
            "registry.example:99999/a",
        ] {
            assert_eq!(parse_name(bad).map_err(|e| e.id()), Err(Reason::Usage), "{bad:?}");
        }
    }

    #[test]
    fn builds_of_an_app_are_told_by_their_tags() {
        assert!(is_build_of("orders:0123456789ab", "orders"));
        for other in [
            "orders:latest",
            "orders:0123456789AB",
            "orders2:0123456789ab",
            "orders",
            "orders:0123456789abc",
        ] {
            assert!(!is_build_of(other, "orders"), "{other}");
        }
    }

    proptest! {
        #[test]
        fn every_jar_gives_a_right_name(file in "\\PC{0,40}") {
            let name = default_name(Path::new(&format!("{file}.jar")));
            prop_assert_eq!(parse_name(&name).unwrap(), name);
        }
    }
}
