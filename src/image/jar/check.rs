//! Whether jars can run together on an image: pure.

use std::collections::{BTreeMap, BTreeSet};

use super::class;
use super::read::{Artifact, Jar};
use super::target::{Minor, Target};
use crate::config::nearest;
use crate::diag::{Failure, Reason, Result};
use crate::image::connector::{Fit, fit, suffix};

/// Parts of Flink that an application must not bring along: the image's are loaded first, or clash with them.
const CORE: [&str; 9] = [
    "flink-clients",
    "flink-core",
    "flink-dist",
    "flink-runtime",
    "flink-streaming-java",
    "flink-table-api-java",
    "flink-table-planner-loader",
    "flink-table-planner_2.12",
    "flink-table-runtime",
];

/// What was found in jars that can run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The class that starts the job: the one asked for, else the manifest's; `None` if neither is there.
    pub main_class: Option<String>,
    /// What is most likely not meant, but can run; one line each.
    pub notes: Vec<String>,
}

/// Checks that jars can run on an image: the application's first, then what it needs. `main` is the class that a user
/// named; `base` are the jars in the image's `lib`, as far as their connectors count.
///
/// # Errors
/// [`Reason::JarInvalid`]: the class is not there (with the nearest that is), or classes are made for a newer Java;
/// [`Reason::ConnectorInvalid`]: a connector is made for another Flink, or two clash.
pub fn check(jars: &[Jar], main: Option<&str>, target: &Target, base: &[Jar]) -> Result<Checked> {
    let mut notes = Vec::new();
    let main_class = main_class(jars, main)?;
    if let Some(java) = target.java {
        for jar in jars {
            notes.extend(java_of(jar, main_class.as_deref(), java, target)?);
        }
    }
    if let Some(flink) = target.minor() {
        for jar in jars {
            notes.extend(flink_of(jar, flink, target)?);
        }
    }
    notes.extend(clashes(jars)?);
    notes.extend(clashes_with_base(jars, base, target)?);
    Ok(Checked { main_class, notes })
}

/// The class that starts the job: the one `asked` for, else the one that the manifest of the first jar names; `None` if
/// neither is there.
///
/// # Errors
/// [`Reason::JarInvalid`] if no jar has that class, with the nearest that one has.
pub fn main_class(jars: &[Jar], asked: Option<&str>) -> Result<Option<String>> {
    let Some(app) = jars.first() else { return Ok(None) };
    let (class, from) = match (asked, &app.main_class) {
        (Some(asked), _) => (asked, "--main"),
        (None, Some(named)) => (named.as_str(), "its manifest"),
        (None, None) => return Ok(None),
    };
    if jars.iter().any(|jar| jar.classes.contains_key(class)) {
        return Ok(Some(class.to_owned()));
    }
    let outer = |name: &&String| !name.contains('$');
    let all = || {
        jars.iter()
            .flat_map(|jar| jar.classes.keys())
            .filter(outer)
            .map(String::as_str)
    };
    let failure = Failure::new(
        Reason::JarInvalid,
        format!("{} has no class {class}", app.path.display()),
    )
    .evidence(format!("{from} names it; classes in the jar: {}", app.classes.len()));
    // most often only the package is missing, or another one
    let simple = |name: &str| name.rsplit(['.', '/']).next().unwrap_or_default().to_lowercase();
    let same: Vec<&str> = all().filter(|name| simple(name) == simple(class)).take(3).collect();
    let meant = if same.is_empty() {
        nearest(class, all()).into_iter().collect()
    } else {
        same
    };
    let failure = meant
        .iter()
        .fold(failure, |failure, near| failure.next(format!("--main {near}")));
    Err(if meant.is_empty() {
        let some: Vec<&str> = app.classes.keys().filter(outer).map(String::as_str).take(5).collect();
        failure
            .evidence(format!("for example: {}", some.join(", ")))
            .next("unzip -l JAR | grep class")
    } else {
        failure
    })
}

/// Classes for a newer Java than the image's. Where only some of a jar's are, and not those of the job, they may never
/// be loaded: that is a note.
fn java_of(jar: &Jar, main_class: Option<&str>, java: u16, target: &Target) -> Result<Option<String>> {
    let newest = class::version(java);
    let mut newer: Vec<(&str, u16)> = jar
        .classes
        .iter()
        .filter(|(_, major)| **major > newest)
        .map(|(name, major)| (name.as_str(), *major))
        .collect();
    // the job's own class speaks loudest, then its package's, then the one that asks for most
    let package = main_class
        .and_then(|main| main.rsplit_once('.'))
        .map(|(package, _)| package);
    let own = |name: &str| package.is_some_and(|package| name.starts_with(package));
    newer.sort_by_key(|(name, major)| (Some(*name) != main_class, !own(name), std::cmp::Reverse(*major)));
    let Some(&(class, major)) = newer.first() else {
        return Ok(None);
    };
    let (count, all, needed) = (newer.len(), jar.classes.len(), class::release(major));
    if !own(class) && count * 2 < all {
        return Ok(Some(format!(
            "{}: {count} of {all} classes are for a newer Java than the image's {java} (e.g. {class}, Java {needed}): \
             they cannot be loaded",
            jar.name()
        )));
    }
    Err(Failure::new(
        Reason::JarInvalid,
        format!(
            "{} is compiled for Java {needed} (class file {major}), and {} has Java {java}",
            jar.path.display(),
            target.image
        ),
    )
    .evidence(format!("class {class}; {count} of {all} classes"))
    .next(format!(
        "compile for Java {java}: <maven.compiler.release>{java}</maven.compiler.release> (Maven), options.release = {java} (Gradle), --release {java} (javac)"
    ))
    .next(format!("a base with Java {needed}: --base IMAGE")))
}

/// Connectors for another Flink, and Flink itself inside of a jar.
fn flink_of(jar: &Jar, flink: Minor, target: &Target) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    let named = coordinates_of_name(&jar.name());
    let fits: BTreeSet<&Artifact> = jar.artifacts.iter().chain(&named).collect();
    for artifact in fits.into_iter().filter(|a| a.group == "org.apache.flink") {
        let Artifact { id, version, .. } = artifact;
        if CORE.contains(&id.as_str()) {
            match Minor::of(version) {
                Some(minor) if minor != flink => {
                    return Err(connector(format!(
                        "{} brings Flink {version} along ({id}), and {} has Flink {flink}",
                        jar.path.display(),
                        target.image
                    ))
                    .next(format!(
                        "build against Flink {flink}, with scope `provided` (Maven) or compileOnly (Gradle)"
                    )));
                }
                _ => notes.push(format!(
                    "{} brings Flink itself along ({id}): scope `provided` makes it smaller and keeps it from clashing",
                    jar.name()
                )),
            }
            continue;
        }
        let Some(made_for) = suffix(version) else { continue };
        match fit(id, made_for, flink) {
            Fit::Made => {}
            Fit::Earlier => notes.push(format!(
                "{}: {id} {version} was made for Flink {made_for}, not for {flink}",
                jar.name()
            )),
            Fit::Wrong(right) => {
                let failure = connector(format!(
                    "{} holds {id} {version}, made for Flink {made_for}, and {} has Flink {flink}",
                    jar.path.display(),
                    target.image
                ));
                return Err(failure.next(match right {
                    Some(right) => format!("take {id} {right}"),
                    None => format!("take the version of {id} for Flink {flink}, or a --base with Flink {made_for}"),
                }));
            }
        }
    }
    // one such line says it
    notes.dedup_by_key(|note| note.contains("brings Flink itself"));
    Ok(notes)
}

/// Where a jar has no Maven files (shading may drop them), its name tells: `flink-sql-connector-kafka-5.0.0-2.2.jar`.
fn coordinates_of_name(file: &str) -> Option<Artifact> {
    let stem = file.strip_suffix(".jar")?;
    let at = stem
        .match_indices('-')
        .map(|(at, _)| at)
        .find(|at| stem[at + 1..].starts_with(|c: char| c.is_ascii_digit()))?;
    let (id, version) = (&stem[..at], &stem[at + 1..]);
    (id.starts_with("flink-") && suffix(version).is_some()).then(|| Artifact {
        group: "org.apache.flink".to_owned(),
        id: id.to_owned(),
        version: version.to_owned(),
    })
}

/// Factories that are in two jars, and connectors that are there in two versions.
fn clashes(jars: &[Jar]) -> Result<Vec<String>> {
    let mut notes = BTreeSet::new();
    let mut seen: BTreeMap<&str, &Jar> = BTreeMap::new();
    for jar in jars {
        for factory in &jar.factories {
            let Some(other) = seen.insert(factory, jar) else {
                continue;
            };
            let (one, two) = (connectors_of(other), connectors_of(jar));
            if !one.is_empty() && one == two {
                notes.insert(format!(
                    "{} and {} hold the same connector twice",
                    other.name(),
                    jar.name()
                ));
                continue;
            }
            return Err(connector(format!(
                "{} and {} clash: both bring the connector {factory}",
                other.path.display(),
                jar.path.display()
            ))
            .evidence(held(other, &one))
            .evidence(held(jar, &two))
            .next("keep one of the two: the fat one (flink-sql-connector-…) for SQL, or the one in your own jar"));
        }
    }
    let mut versions: BTreeMap<&str, (&str, &Jar)> = BTreeMap::new();
    for jar in jars {
        for artifact in connectors_of(jar) {
            if let Some((version, other)) = versions.insert(&artifact.id, (&artifact.version, jar))
                && version != artifact.version
            {
                return Err(connector(format!(
                    "{} is there in two versions: {version} and {}",
                    artifact.id, artifact.version
                ))
                .evidence(format!("{}: {version}", other.path.display()))
                .evidence(format!("{}: {}", jar.path.display(), artifact.version))
                .next("keep one of the two"));
            }
        }
    }
    Ok(notes.into_iter().collect())
}

/// Connectors that the image has in another version, whose classes would be loaded instead of the jar's own.
fn clashes_with_base(jars: &[Jar], base: &[Jar], target: &Target) -> Result<Vec<String>> {
    let mut notes = BTreeSet::new();
    for jar in jars {
        for theirs in base
            .iter()
            .filter(|theirs| !theirs.factories.is_disjoint(&jar.factories))
        {
            let (own, other) = (connectors_of(jar), connectors_of(theirs));
            let versions = |of: &BTreeSet<&Artifact>| of.iter().map(|a| a.version.clone()).collect::<BTreeSet<_>>();
            let (own_versions, other_versions) = (versions(&own), versions(&other));
            if own_versions.is_subset(&other_versions) {
                notes.insert(format!(
                    "{} brings a connector that {} has already, in {}: the image's is the one that is used",
                    jar.name(),
                    target.image,
                    theirs.name()
                ));
                continue;
            }
            return Err(connector(format!(
                "{} brings a connector that {} has in another version, which is loaded first",
                jar.path.display(),
                target.image
            ))
            .evidence(held(jar, &own))
            .evidence(format!("in the image, {}", held(theirs, &other)))
            .next(format!(
                "leave it out of {} (scope `provided`), or take the version of the image",
                jar.name()
            ))
            .next("a base without it: --base IMAGE"));
        }
    }
    Ok(notes.into_iter().collect())
}

fn connectors_of(jar: &Jar) -> BTreeSet<&Artifact> {
    jar.artifacts
        .iter()
        .filter(|a| a.id.contains("-connector-") && suffix(&a.version).is_some())
        .collect()
}

fn held(jar: &Jar, connectors: &BTreeSet<&Artifact>) -> String {
    let all: Vec<_> = connectors.iter().map(|a| format!("{} {}", a.id, a.version)).collect();
    let what = if all.is_empty() {
        "no Maven files in it".to_owned()
    } else {
        all.join(", ")
    };
    format!("{}: {what}", jar.name())
}

fn connector(message: String) -> Failure {
    Failure::new(Reason::ConnectorInvalid, message)
}
