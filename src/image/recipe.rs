//! How each image is made from packages, and the hash of all that goes into it.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::embedded;
use crate::config::Profile;
use crate::container::{Context, ImageInfo};

/// Label of an image that `dev` built: the hash of everything it was built from.
pub const INPUTS_LABEL: &str = "dev.flink.inputs";

/// Whether `dev` built this image, or one that it is `FROM`.
pub fn is_own(image: &ImageInfo) -> bool {
    image.labels.contains_key(INPUTS_LABEL)
}

/// Release of kind that is built where none is installed.
pub(super) const KIND: &str = "v0.33.0";

/// Version of the hash's own form: a change rebuilds every image.
const HASH_FORM: &str = "1";

/// How one image is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// Name with its tag, as the published image is called where there is one.
    pub name: String,
    /// For step ids: `image/SHORT`.
    pub short: String,
    /// Folder below `dockerfiles/`.
    pub dir: &'static str,
    /// Stage of the `Dockerfile`; empty: the last.
    pub target: &'static str,
    /// Build arguments.
    pub args: BTreeMap<String, String>,
    /// Names of the images it is `FROM`.
    pub from: Vec<String>,
    /// Version, as lists of what can be had from packages name it; empty if it has none of its own.
    pub version: String,
    /// The Debian suite, if it is a base image.
    pub suite: Option<&'static str>,
}

impl Recipe {
    fn new(name: impl Into<String>, short: &str, dir: &'static str, from: &[&str]) -> Self {
        Self {
            name: name.into(),
            short: short.to_owned(),
            dir,
            target: "",
            args: BTreeMap::new(),
            from: from.iter().map(|f| (*f).to_owned()).collect(),
            version: String::new(),
            suite: None,
        }
    }

    fn target(mut self, target: &'static str) -> Self {
        self.target = target;
        self
    }

    fn arg(mut self, name: &str, value: impl Into<String>) -> Self {
        self.args.insert(name.to_owned(), value.into());
        self
    }

    fn version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.version);
        self
    }

    /// Whether only `dev` makes an image of this name: no registry has it.
    pub fn is_internal(&self) -> bool {
        self.name.starts_with("flink-dev/")
    }

    /// Where its `Dockerfile` is found in the repository.
    pub fn dockerfile(&self) -> String {
        format!("dockerfiles/{}/Dockerfile", self.dir)
    }

    /// The files of its build, without what differs from machine to machine.
    pub fn context(&self) -> Context {
        let mut context = Context::new();
        for (path, mode, bytes) in self.files() {
            context.add(path, mode, bytes);
        }
        context
    }

    fn files(&self) -> Vec<(String, u32, &'static [u8])> {
        let dir = format!("dockerfiles/{}", self.dir);
        let mut files: Vec<_> = embedded::below(&dir)
            .map(|(path, mode, bytes)| (path.to_owned(), mode, bytes))
            .collect();
        if ["go", "jdk"].contains(&self.dir) {
            files.extend(
                embedded::below("dockerfiles/shared").map(|(path, mode, bytes)| (path.to_owned(), mode, bytes)),
            );
        }
        if ["sql-runner", "pyflink"].contains(&self.dir) {
            // the runner in Python is a part of the one image, the runner in Java of the other
            let mine = |path: &str| path.starts_with("python/") == (self.dir == "pyflink");
            files.extend(
                embedded::below("sql-runner")
                    .filter(|(path, ..)| mine(path))
                    .map(|(path, mode, bytes)| (format!("sql-runner/{path}"), mode, bytes)),
            );
        }
        files
    }
}

const GO: &str = "flink-dev/go:trixie";
/// What Maven and Java run in.
pub(super) const JDK: &str = "flink-dev/jdk:17";
const JRE: &str = "flink-dev/jre:17";
/// Base of what runs on the newer suite.
pub(super) const TRIXIE: &str = "debian:trixie-slim";
/// Base of what runs on the older suite, which has Java 17.
pub(super) const BOOKWORM: &str = "debian:bookworm-slim";

/// All recipes of a profile by image name. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Recipes(Arc<BTreeMap<String, Recipe>>);

/// Names of a profile's images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// kind's node.
    pub node: String,
    /// The program `kind` alone.
    pub kind: String,
    /// Flink's operator.
    pub operator: String,
    /// The operator's CRDs alone.
    pub crds: String,
    /// Kafka.
    pub kafka: String,
    /// The schema registry.
    pub schema_registry: String,
    /// Flink.
    pub flink: String,
    /// What the session cluster runs: Flink with the SQL runner, with PyFlink if the profile wants it, and with the format
    /// `avro-confluent` if it has a schema registry.
    pub session: String,
    /// Flink with the SQL runner.
    pub sql_session: String,
    /// That, with PyFlink.
    pub pyflink: String,
    /// The one of these two that the profile wants.
    pub plain_session: String,
    /// That, with the format `avro-confluent`.
    pub registry_session: String,
}

impl Names {
    /// Those of this profile.
    pub fn of(profile: &Profile) -> Self {
        let (operator, flink) = (&profile.operator.version, &profile.flink.version);
        let sql_session = format!("flink-dev/sql-session:{flink}");
        let pyflink = format!("flink-dev/pyflink-session:{flink}");
        let (plain, kind) = match profile.session.python {
            true => (&pyflink, "pyflink-registry"),
            false => (&sql_session, "sql-registry"),
        };
        let registry_session = format!("flink-dev/{kind}-session:{flink}");
        let session = if profile.schema_registry.enabled {
            &registry_session
        } else {
            plain
        };
        Self {
            node: profile.node_image(),
            kind: format!("flink-dev/kind:{KIND}"),
            operator: format!("apache/flink-kubernetes-operator:{operator}"),
            crds: format!("flink-dev/flink-operator-crds:{operator}"),
            kafka: format!("apache/kafka:{}", profile.kafka.version),
            schema_registry: format!("apicurio/apicurio-registry:{}", profile.schema_registry.version),
            flink: format!("flink:{flink}-java17"),
            session: session.clone(),
            plain_session: plain.clone(),
            sql_session,
            pyflink,
            registry_session,
        }
    }
}

/// Name of the image with cert-manager's manifests.
pub(super) fn manifests_name(version: &str) -> String {
    format!("flink-dev/cert-manager-manifests:v{version}")
}

fn base(suite: &'static str) -> Recipe {
    Recipe {
        suite: Some(suite),
        ..Recipe::new(format!("debian:{suite}-slim"), &format!("debian-{suite}"), "base", &[])
    }
}

fn kind_recipe() -> Recipe {
    let os = if std::env::consts::OS == "macos" {
        "darwin"
    } else {
        std::env::consts::OS
    };
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    Recipe::new(format!("flink-dev/kind:{KIND}"), "kind", "kind", &[GO])
        .arg("VERSION", KIND)
        .arg("TARGET_OS", os)
        .arg("TARGET_ARCH", arch)
}

impl Recipes {
    /// What the program `kind` is made with.
    pub(super) fn of_kind() -> Self {
        Self::from_list([base("trixie"), go(), kind_recipe()])
    }

    /// What Maven runs in.
    pub(super) fn of_jdk() -> Self {
        Self::from_list([base("bookworm"), Recipe::new(JDK, "jdk", "jdk", &[BOOKWORM])])
    }

    /// Those of a profile; cert-manager's are for these versions.
    pub(super) fn of(profile: &Profile, cert_manager: &[&str]) -> Self {
        let names = Names::of(profile);
        let kubernetes = format!("v{}", profile.cluster.kubernetes);
        let flink = profile.flink.version.as_str();
        let mut list = vec![
            base("trixie"),
            base("bookworm"),
            go(),
            kind_recipe(),
            Recipe::new(JRE, "jre", "jre", &[BOOKWORM]),
            Recipe::new(JDK, "jdk", "jdk", &[BOOKWORM]),
            Recipe::new(names.node, "node", "node", &[GO, TRIXIE])
                .arg("KUBERNETES_VERSION", &kubernetes)
                .version(&profile.cluster.kubernetes),
            Recipe::new(names.operator, "operator", "flink-operator", &[JDK, JRE])
                .target("operator")
                .version(&profile.operator.version),
            Recipe::new(names.crds, "operator-crds", "flink-operator", &[JDK])
                .target("crds")
                .version(&profile.operator.version),
            Recipe::new(names.kafka, "kafka", "kafka", &[JDK, JRE])
                .arg("VERSION", &profile.kafka.version)
                .version(&profile.kafka.version),
            Recipe::new(names.schema_registry, "schema-registry", "schema-registry", &[JDK, JRE])
                .arg("VERSION", &profile.schema_registry.version)
                .version(&profile.schema_registry.version),
            Recipe::new(
                names.registry_session,
                "session-registry",
                "avro-confluent",
                &[JDK, &names.plain_session],
            )
            .arg("BASE", &names.plain_session)
            .version(flink),
            Recipe::new(names.flink.clone(), "flink", "flink", &[JDK, JRE])
                .arg("VERSION", flink)
                .version(flink),
            Recipe::new(names.sql_session.clone(), "session", "sql-runner", &[JDK, &names.flink])
                .arg("FLINK_VERSION", flink)
                .version(flink),
            Recipe::new(names.pyflink.clone(), "pyflink", "pyflink", &[JDK, &names.sql_session])
                .arg("FLINK_VERSION", flink)
                .version(flink),
        ];
        for version in cert_manager {
            list.push(
                Recipe::new(manifests_name(version), "cert-manager-manifests", "cert-manager", &[GO])
                    .target("manifests")
                    .arg("VERSION", format!("v{version}"))
                    .arg("KUBERNETES_VERSION", &kubernetes),
            );
        }
        Self::from_list(list)
    }

    fn from_list(list: impl IntoIterator<Item = Recipe>) -> Self {
        Self(Arc::new(
            list.into_iter().map(|recipe| (recipe.name.clone(), recipe)).collect(),
        ))
    }

    /// These and one of cert-manager's programs, whose name its manifests tell (`…/cert-manager-TARGET:…`).
    pub(super) fn with_cert_manager(&self, name: &str, version: &str) -> Option<Self> {
        let targets = ["controller", "cainjector", "webhook"];
        let repository = name.rsplit_once(':').map_or(name, |(repository, _)| repository);
        let target = targets.into_iter().find(|target| repository.ends_with(target))?;
        let recipe = Recipe::new(name, "cert-manager", "cert-manager", &[GO])
            .target(target)
            .arg("VERSION", format!("v{version}"))
            .version(version);
        let mut all = (*self.0).clone();
        all.insert(name.to_owned(), recipe);
        Some(Self(Arc::new(all)))
    }

    /// These and one more under another name.
    #[cfg(test)]
    pub(super) fn with_copy(&self, of: &str, name: &str) -> Self {
        let mut all = (*self.0).clone();
        let copy = Recipe {
            name: name.to_owned(),
            ..all[of].clone()
        };
        all.insert(name.to_owned(), copy);
        Self(Arc::new(all))
    }

    /// The recipe of a name.
    pub fn get(&self, name: &str) -> Option<&Recipe> {
        self.0.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Recipe> {
        self.0.values()
    }

    /// The hash of everything that goes into an image: target, arguments, files, and the same of the images it is
    /// `FROM`. The host's CA bundle and proxies are no part of it.
    pub fn inputs(&self, recipe: &Recipe) -> String {
        let mut hash = Sha256::new();
        let mut add = |key: &str, value: &[u8]| {
            // lengths keep two neighbours from being taken for one
            hash.update(format!("{key} {}\n", value.len()));
            hash.update(value);
        };
        add("form", HASH_FORM.as_bytes());
        add("target", recipe.target.as_bytes());
        add("suite", recipe.suite.unwrap_or_default().as_bytes());
        for (name, value) in &recipe.args {
            add(&format!("arg {name}"), value.as_bytes());
        }
        for (path, mode, bytes) in recipe.files() {
            add(&format!("file {path} {mode:o}"), bytes);
        }
        for name in &recipe.from {
            let inner = self.get(name).map(|inner| self.inputs(inner)).unwrap_or_default();
            add(&format!("from {name}"), inner.as_bytes());
        }
        hex::encode(hash.finalize())
    }
}

fn go() -> Recipe {
    Recipe::new(GO, "go", "go", &[TRIXIE])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::testing::profile;

    #[test]
    fn every_from_of_a_dockerfile_is_known() {
        let recipes = Recipes::of(&profile(), &["1.11.5"]);
        for recipe in recipes.iter() {
            let context = recipe.context();
            let text = context
                .text("Dockerfile")
                .unwrap_or_else(|| panic!("{} has no Dockerfile", recipe.dir));
            let mut stages = vec!["scratch"];
            for line in text.lines().filter_map(|line| line.strip_prefix("FROM ")) {
                let words: Vec<&str> = line.split_whitespace().collect();
                let known = stages.contains(&words[0])
                    || recipes.get(words[0]).is_some()
                    || words[0].contains('$') && recipe.from.len() > 1;
                assert!(known, "{}: FROM {}", recipe.dockerfile(), words[0]);
                if recipe.target != "crds" && !words[0].contains('$') && !stages.contains(&words[0]) {
                    assert!(
                        recipe.from.iter().any(|f| f == words[0]),
                        "{} misses FROM {}",
                        recipe.name,
                        words[0]
                    );
                }
                stages.extend(words.get(2));
            }
        }
    }

    #[test]
    fn inputs_change_with_what_goes_in_and_with_nothing_else() {
        let recipes = Recipes::of(&profile(), &["1.11.5"]);
        let kafka = recipes.get("apache/kafka:4.1.1").unwrap();
        let inputs = recipes.inputs(kafka);
        assert_eq!(inputs, Recipes::of(&profile(), &[]).inputs(kafka));
        let other_arg = kafka.clone().arg("VERSION", "4.1.2");
        let other_target = kafka.clone().target("x");
        let mut other_from = (*recipes.0).clone();
        other_from.insert(
            BOOKWORM.to_owned(),
            Recipe {
                suite: Some("forky"),
                ..base("bookworm")
            },
        );
        let other_from = Recipes(Arc::new(other_from));
        // the base is two images below Kafka's
        let all = [
            recipes.inputs(&other_arg),
            recipes.inputs(&other_target),
            other_from.inputs(kafka),
            inputs,
        ];
        let different: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len());
    }

    #[test]
    fn python_is_in_an_image_of_its_own() {
        let usual = profile();
        let mut with_python = usual.clone();
        with_python.session.python = true;
        assert_eq!(Names::of(&usual).session, "flink-dev/sql-session:2.2.1");
        let name = Names::of(&with_python).session;
        assert_eq!(name, "flink-dev/pyflink-session:2.2.1");
        let recipes = Recipes::of(&with_python, &[]);
        let paths = |name: &str| -> Vec<String> {
            let files = recipes.get(name).unwrap().files();
            files.into_iter().map(|(path, ..)| path).collect()
        };
        let runner = "sql-runner/python/flinkdev_sql/runner.py".to_owned();
        assert!(paths(&name).contains(&runner) && !paths(&name).iter().any(|p| p.ends_with("Splitter.java")));
        // what changes there makes no other image anew
        assert!(!paths("flink-dev/sql-session:2.2.1").iter().any(|p| p.ends_with(".py")));
    }

    #[test]
    fn a_schema_registry_brings_its_format_to_the_session() {
        let mut profile = profile();
        profile.schema_registry.enabled = true;
        let of = |profile: &Profile| {
            let name = Names::of(profile).session;
            let from = Recipes::of(profile, &[]).get(&name).unwrap().from.clone();
            (name, from[1].clone())
        };
        let name = |kind: &str| format!("flink-dev/{kind}-session:2.2.1");
        assert_eq!(of(&profile), (name("sql-registry"), name("sql")));
        profile.session.python = true;
        assert_eq!(of(&profile), (name("pyflink-registry"), name("pyflink")));
    }

    #[test]
    fn cert_managers_images_are_recognized_by_their_names() {
        let recipes = Recipes::of(&profile(), &["1.11.5"]);
        let name = "registry.example/jetstack/cert-manager-webhook:v1.11.5";
        let with = recipes.with_cert_manager(name, "1.11.5").unwrap();
        assert_eq!(with.get(name).unwrap().target, "webhook");
        assert!(
            recipes
                .with_cert_manager("registry.example/other:v1", "1.11.5")
                .is_none()
        );
    }
}
