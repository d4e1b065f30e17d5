//! Finds a profile, reads it, and lays it over the shipped one it extends.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::check;
use super::decode::decode;
use super::layer::over;
use super::profile::Profile;
use super::raw_profile::{Base, RawProfile};
use super::source::{Place, Source};
use super::words::{listed, nearest};
use super::yaml::{Node, Yaml, parse};
use crate::diag::{Failure, Reason, Result};
use crate::env::Env;

/// The profiles that ship with `dev`, by name.
pub const SHIPPED: [(&str, &str); 2] = [
    ("default", include_str!("../../profiles/default.yaml")),
    ("minimal", include_str!("../../profiles/minimal.yaml")),
];

/// The file that is taken when no profile is named.
pub const PROFILE_FILE: &str = "dev.yaml";

/// The one version of the formats of profiles and cases.
const FORMAT: i64 = 1;

/// Where a profile comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProfileSource {
    /// It ships with `dev`.
    Shipped(&'static str),
    /// A user's file.
    File(PathBuf),
}

impl ProfileSource {
    /// What `selector` means: the name of a shipped profile, or the path of a file (it has a slash or ends in
    /// `.yaml` or `.yml`). Without one: `dev.yaml` of the current directory or of the nearest directory above it, else
    /// the shipped `default`.
    ///
    /// # Errors
    /// `CONFIG_INVALID` if it is neither.
    pub fn find(env: &Env, selector: Option<&str>) -> Result<Self> {
        let Some(selector) = selector else {
            let found = env
                .cwd
                .ancestors()
                .map(|dir| dir.join(PROFILE_FILE))
                .find(|file| file.is_file());
            return Ok(found.map_or(Self::Shipped("default"), Self::File));
        };
        if let Some((name, _)) = SHIPPED.iter().find(|(name, _)| *name == selector) {
            return Ok(Self::Shipped(name));
        }
        let yaml = Path::new(selector)
            .extension()
            .is_some_and(|end| end == "yaml" || end == "yml");
        if yaml || selector.contains(['/', std::path::MAIN_SEPARATOR]) {
            return Ok(Self::File(PathBuf::from(selector)));
        }
        let names = SHIPPED.map(|(name, _)| name);
        let hint = nearest(selector, names)
            .map(|name| format!(", did you mean `{name}`?"))
            .unwrap_or_default();
        let mut failure = Failure::new(Reason::ConfigInvalid, format!("there is no profile `{selector}`{hint}"));
        for file in [
            selector.to_owned(),
            format!("{selector}.yaml"),
            format!("{selector}.yml"),
        ] {
            if env.absolute(Path::new(&file)).is_file() {
                failure = failure.next(format!("name it as a path: `./{file}`"));
            }
        }
        Err(failure.next(format!(
            "shipped profiles: {}; a file of yours: a path that ends in `.yaml`",
            listed(names)
        )))
    }
}

impl Profile {
    /// Reads the profile that `selector` means (see [`ProfileSource::find`]) and checks it as a whole.
    ///
    /// # Errors
    /// `FILE_UNREADABLE`, `CONFIG_INVALID` or `VERSION_UNKNOWN`, with the place in the file.
    pub fn load(env: &Env, selector: Option<&str>) -> Result<Self> {
        match ProfileSource::find(env, selector)? {
            ProfileSource::Shipped(name) => Self::from_source(&shipped(name)),
            ProfileSource::File(file) => {
                // a file below the current directory is called as the user would
                let shown = file.strip_prefix(&env.cwd).unwrap_or(&file);
                Self::from_source(&Source::read(&env.absolute(&file), shown)?)
            }
        }
    }

    /// Reads a profile from its text; `file` is what it is called in messages.
    ///
    /// # Errors
    /// Those of [`Profile::load`].
    pub fn parse(file: &Path, text: &str) -> Result<Self> {
        Self::from_source(&Source::new(file, text))
    }

    fn from_source(source: &Arc<Source>) -> Result<Self> {
        let tree = layered(source, 0)?;
        let raw: RawProfile = decode(&tree, Reason::ConfigInvalid)?;
        check::profile(raw, &tree)
    }
}

fn shipped(name: &str) -> Arc<Source> {
    let text = SHIPPED
        .iter()
        .find(|(known, _)| *known == name)
        .map_or("", |(_, text)| text);
    Source::new(format!("profiles/{name}.yaml"), text)
}

/// The file's tree over the trees of what it extends.
fn layered(source: &Arc<Source>, depth: usize) -> Result<Node> {
    let tree = parse(source, Reason::ConfigInvalid)?;
    format_version(&tree, source, "profile", Reason::ConfigInvalid)?;
    let named = match tree.get("extends") {
        Some(node) => decode::<Option<Base>>(node, Reason::ConfigInvalid)?,
        None => None,
    };
    let base = match named {
        Some(Base::Default) => "default",
        Some(Base::Minimal) => "minimal",
        // the shipped `default` itself extends nothing
        None if is_shipped(source, "default") => return Ok(tree),
        None => "default",
    };
    if depth > SHIPPED.len() {
        return Err(Place::start(source).failure(Reason::ConfigInvalid, "the profile extends itself"));
    }
    Ok(over(layered(&shipped(base), depth + 1)?, tree))
}

fn is_shipped(source: &Source, name: &str) -> bool {
    SHIPPED
        .iter()
        .any(|(known, text)| *known == name && *text == source.text)
}

/// Checks that the file says `version: 1`, before anything else of it is looked at.
pub(super) fn format_version(tree: &Node, source: &Arc<Source>, what: &str, reason: Reason) -> Result<()> {
    if !matches!(tree.value, Yaml::Map(_)) {
        let message = match tree.value {
            Yaml::Null => format!("the {what} is empty"),
            _ => format!("a {what} is a mapping of keys and values"),
        };
        return Err(tree.place.failure(reason, message));
    }
    match tree.get("version") {
        None => Err(Place::start(source)
            .failure(
                reason,
                format!("the key `version` is missing: the version of the {what}'s format"),
            )
            .next(format!("write `version: {FORMAT}` in its first line"))),
        Some(Node {
            value: Yaml::Int(FORMAT, _),
            ..
        }) => Ok(()),
        Some(node) => {
            let known = matches!(node.value, Yaml::Int(..) | Yaml::Uint(..) | Yaml::Float(..));
            let reason = if known { Reason::VersionUnknown } else { reason };
            let found = node.spelling().unwrap_or_default();
            Err(node
                .place
                .failure(
                    reason,
                    format!("unknown version `{found}` of the {what}'s format, known is `{FORMAT}`"),
                )
                .next(format!("write `version: {FORMAT}`; a later version needs a later dev")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Port, Webhook};

    fn parse(text: &str) -> Result<Profile> {
        Profile::parse(Path::new("dev.yaml"), text)
    }

    fn env(cwd: &Path) -> Env {
        Env {
            cwd: cwd.to_owned(),
            home: PathBuf::from("/nowhere"),
            vars: std::collections::BTreeMap::new(),
            stdout_is_terminal: false,
            stderr_is_terminal: false,
        }
    }

    #[test]
    fn an_empty_profile_is_the_default() {
        let default = Profile::from_source(&shipped("default")).unwrap();
        assert_eq!(parse("version: 1\n").unwrap(), default);
        assert_eq!(
            parse("version: 1\nextends: default\nkafka:\n").unwrap(),
            default,
            "a key without a value says nothing"
        );
        assert_eq!(default.cluster_name(), "flink-dev");
        assert!(default.cert_manager.enabled && default.kafka.enabled && default.session.enabled);
    }

    #[test]
    fn minimal_has_no_cert_manager_and_takes_less() {
        let (default, minimal) = (
            parse("version: 1\n").unwrap(),
            parse("version: 1\nextends: minimal\n").unwrap(),
        );
        assert!(!minimal.cert_manager.enabled);
        assert!(minimal.memory_mib() + 1000 < default.memory_mib());
        assert_eq!(minimal.flink, default.flink);
    }

    #[test]
    fn what_is_named_is_taken_and_the_rest_stays() {
        let text = "version: 1\nname: mine\nkafka: {port: 9092, memory: 1.5Gi}\nflink: {version: v2.2.1}\n\
                    operator: {webhook: off, config: {a: 1, b: 2 s, c: true}}\nsession:\n  task_manager: {memory: 2g}\n";
        let profile = parse(text).unwrap();
        assert_eq!(
            (profile.kafka.port, profile.kafka.memory_mib),
            (Port::Fixed(9092), 1536)
        );
        assert_eq!(profile.kafka.version, "4.1.1");
        assert_eq!(profile.flink.version, "2.2.1");
        assert_eq!(profile.operator.webhook, Webhook::Off);
        let config: Vec<_> = profile
            .operator
            .config
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        assert_eq!(config, ["a=1", "b=2 s", "c=true"]);
        assert_eq!(
            (
                profile.session.task_manager.memory_mib,
                profile.session.task_manager.cpu
            ),
            (2048, 0.2)
        );
    }

    #[test]
    fn a_profile_is_found_by_name_by_path_or_nearby() {
        let dir = tempfile::tempdir().unwrap();
        let below = dir.path().join("a/b");
        std::fs::create_dir_all(&below).unwrap();
        let env = env(&below);
        assert_eq!(Profile::load(&env, None).unwrap().name, "flink-dev");
        std::fs::write(dir.path().join("dev.yaml"), "version: 1\nname: upstairs\n").unwrap();
        assert_eq!(Profile::load(&env, None).unwrap().name, "upstairs");
        assert_eq!(Profile::load(&env, Some("minimal")).unwrap().name, "flink-dev");
        std::fs::write(below.join("other.yaml"), "version: 1\nname: other\n").unwrap();
        assert_eq!(Profile::load(&env, Some("other.yaml")).unwrap().name, "other");
        let failure = Profile::load(&env, Some("other")).unwrap_err();
        assert_eq!(failure.to_string(), "there is no profile `other`");
        assert_eq!(failure.next_steps()[0], "name it as a path: `./other.yaml`");
        let failure = Profile::load(&env, Some("minimall")).unwrap_err();
        assert_eq!(
            failure.to_string(),
            "there is no profile `minimall`, did you mean `minimal`?"
        );
        let failure = Profile::load(&env, Some("absent.yaml")).unwrap_err();
        assert_eq!(
            (failure.id(), failure.to_string().as_str()),
            (Reason::FileUnreadable, "there is no file `absent.yaml`")
        );
        std::fs::write(below.join("dev.yaml"), "version: 1\nnam: x\n").unwrap();
        let failure = Profile::load(&env, None).unwrap_err();
        assert_eq!(
            failure.to_string(),
            "dev.yaml:2:1: unknown key `nam`, did you mean `name`?"
        );
    }
}
