//! What an image runs: its Java and its Flink.

use std::fmt;

use crate::container::ImageInfo;

/// A minor version of Flink, e.g. 2.2: connectors are made for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minor(pub u16, pub u16);

impl Minor {
    /// From a version that begins with it: `2.2`, `2.2.1`, `1.20-SNAPSHOT`.
    pub fn of(version: &str) -> Option<Self> {
        let mut parts = version.split(['.', '-', '_', '+']);
        Some(Self(parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    }
}

impl fmt::Display for Minor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// What jars are checked against; what is not known is not checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The image, for messages.
    pub image: String,
    /// Its Java release.
    pub java: Option<u16>,
    /// Its Flink, the whole version.
    pub flink: Option<String>,
}

impl Target {
    /// What an image's name, variables and labels tell of it.
    pub fn of(image: &str, info: &ImageInfo) -> Self {
        // an image made by `dev`, or by others who keep to OCI's annotations, names its base
        let base = info.labels.get("org.opencontainers.image.base.name");
        let names = || std::iter::once(image).chain(base.map(String::as_str));
        let java = info
            .env("JAVA_VERSION")
            .and_then(java_of_version)
            .or_else(|| info.env("JAVA_HOME").and_then(java_of_path))
            .or_else(|| names().find_map(java_of_name));
        let flink = info
            .env("FLINK_VERSION")
            .filter(|version| Minor::of(version).is_some())
            .map(str::to_owned)
            .or_else(|| info.env("FLINK_TGZ_URL").and_then(flink_of_url))
            .or_else(|| names().find_map(flink_of_name));
        Self {
            image: image.to_owned(),
            java,
            flink,
        }
    }

    /// The minor version of its Flink.
    pub fn minor(&self) -> Option<Minor> {
        self.flink.as_deref().and_then(Minor::of)
    }
}

/// `17.0.9`, `jdk-17.0.10+7`, `jdk8u392-b08`, `1.8.0_392`.
fn java_of_version(version: &str) -> Option<u16> {
    let version = version.trim_start_matches(|c: char| !c.is_ascii_digit());
    let version = version.strip_prefix("1.").unwrap_or(version);
    leading_number(version).filter(|release| *release >= 5)
}

/// `/usr/lib/jvm/java-17-openjdk-amd64`, `/opt/jdk-21.0.1`; none in `/opt/java/openjdk`.
fn java_of_path(path: &str) -> Option<u16> {
    let last = path
        .rsplit('/')
        .find(|part| part.contains(|c: char| c.is_ascii_digit()))?;
    ["java-", "jdk-", "jre-", "java", "jdk", "jre", "temurin-"]
        .iter()
        .find_map(|prefix| {
            java_of_version(
                last.strip_prefix(prefix)
                    .filter(|r| r.starts_with(|c: char| c.is_ascii_digit()))?,
            )
        })
}

/// `flink:2.2.1-java17`.
fn java_of_name(image: &str) -> Option<u16> {
    let (_, tag) = repository_and_tag(image)?;
    tag.split(['-', '_'])
        .find_map(|part| leading_number(part.strip_prefix("java")?))
}

/// `…/flink-2.2.1-bin-scala_2.12.tgz`.
fn flink_of_url(url: &str) -> Option<String> {
    let file = url.rsplit('/').find_map(|part| part.strip_prefix("flink-"))?;
    let version = file.split('-').next()?;
    Minor::of(version).map(|_| version.to_owned())
}

/// `flink:2.2.1-java17`, `registry.example/team/cp-flink:2.1.0-cp1`, `flink-dev/sql-session:2.2.1`.
fn flink_of_name(image: &str) -> Option<String> {
    let (repository, tag) = repository_and_tag(image)?;
    let last = repository.rsplit('/').next()?;
    let ours = repository.starts_with("flink-dev/") && repository.ends_with("-session");
    if !ours && last != "flink" && !last.ends_with("-flink") {
        return None;
    }
    let version = tag.split('-').next()?;
    Minor::of(version).map(|_| version.to_owned())
}

fn repository_and_tag(image: &str) -> Option<(&str, &str)> {
    let image = image.split('@').next()?;
    image.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'))
}

fn leading_number(text: &str) -> Option<u16> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    fn target(image: &str, env: &[&str], base: Option<&str>) -> (Option<u16>, Option<String>) {
        let labels = base.map(|b| ("org.opencontainers.image.base.name".to_owned(), b.to_owned()));
        let info = ImageInfo {
            id: String::new(),
            diff_ids: Vec::new(),
            labels: BTreeMap::from_iter(labels),
            size: 0,
            architecture: "amd64".to_owned(),
            variant: String::new(),
            os: "linux".to_owned(),
            config: json!({ "Env": env }),
        };
        let target = Target::of(image, &info);
        (target.java, target.flink)
    }

    #[test]
    fn java_and_flink_are_found_where_images_tell_them() {
        let flink = |v: &str| Some(v.to_owned());
        // ours, from packages
        assert_eq!(
            target("flink:2.2.1-java17", &["JAVA_HOME=/usr/lib/jvm/java-17"], None),
            (Some(17), flink("2.2.1"))
        );
        // the published one
        let published = [
            "JAVA_HOME=/opt/java/openjdk",
            "JAVA_VERSION=jdk-11.0.27+6",
            "FLINK_TGZ_URL=https://example/flink/flink-1.20.4/flink-1.20.4-bin-scala_2.12.tgz",
        ];
        assert_eq!(target("mine:1", &published, None), (Some(11), flink("1.20.4")));
        assert_eq!(target("flink-dev/sql-session:2.2.1", &[], None), (None, flink("2.2.1")));
        assert_eq!(
            target("registry.example:5000/a/cp-flink:2.1.0-cp1-java21", &[], None),
            (Some(21), flink("2.1.0"))
        );
        assert_eq!(
            target("app:1.0", &[], Some("flink:2.2.1-java17")),
            (Some(17), flink("2.2.1"))
        );
        assert_eq!(target("app:1.0", &["JAVA_VERSION=1.8.0_392"], None), (Some(8), None));
        assert_eq!(
            target("debian:12", &["JAVA_HOME=/opt/java/openjdk"], None),
            (None, None)
        );
        assert_eq!(target("registry.example:5000/flink", &[], None), (None, None));
    }

    #[test]
    fn a_minor_is_what_connectors_are_made_for() {
        assert_eq!(Minor::of("2.2.1"), Some(Minor(2, 2)));
        assert_eq!(Minor::of("1.20-SNAPSHOT"), Some(Minor(1, 20)));
        assert_eq!(Minor::of("latest"), None);
        assert!(Minor(1, 20) < Minor(2, 0) && Minor(1, 9) < Minor(1, 20));
    }
}
