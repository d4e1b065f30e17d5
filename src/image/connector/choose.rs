//! From a name, as a user writes it, to the artifacts for a version of Flink: pure.

use super::table::{Known, Release, Releases, known};
use crate::config::nearest;
use crate::diag::{Failure, Reason, Result};
use crate::image::jar::{Artifact, Minor};

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Its jars; none for what every Flink has.
    pub artifacts: Vec<Artifact>,
    /// What a user should know, one line each.
    pub notes: Vec<String>,
}

/// Whether a connector that was made for one Flink goes with another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fit {
    /// It was made for it.
    Made,
    /// It was made for an earlier minor version of the same major one, and there is none for this one.
    Earlier,
    /// It does not; the version that does, if one is known.
    Wrong(Option<String>),
}

/// Whether an artifact that was made for Flink `made_for` goes with `flink`.
///
/// Between minor versions of Flink, connectors use what is not promised to stay; they are released for each, and one
/// for an earlier minor is taken only where there is no other. Between major versions nothing is promised at all.
pub fn fit(artifact: &str, made_for: Minor, flink: Minor) -> Fit {
    if made_for == flink {
        return Fit::Made;
    }
    // an artifact's thin form (flink-connector-x) has the versions of its fat one (flink-sql-connector-x)
    let plain = |id: &str| id.replacen("flink-sql-", "flink-", 1);
    let release = known()
        .iter()
        .filter(|k| {
            k.own()
                .iter()
                .any(|r| r.artifacts.iter().any(|id| plain(id) == plain(artifact)))
        })
        .find_map(|k| best(k, flink));
    match release {
        Some(release) if release.flink == made_for => Fit::Earlier,
        Some(release) => Fit::Wrong(Some(release.version.to_owned())),
        None if made_for.0 == flink.0 && made_for < flink => Fit::Earlier,
        None => Fit::Wrong(None),
    }
}

/// The release for `flink`: the one made for it, else, where that is newer than all, the newest of its major version.
fn best(known: &Known, flink: Minor) -> Option<&'static Release> {
    let releases = known.own();
    releases.iter().find(|r| r.flink == flink).or_else(|| {
        let newest = releases
            .iter()
            .filter(|r| r.flink.0 == flink.0)
            .max_by_key(|r| r.flink)?;
        (newest.flink < flink).then_some(newest)
    })
}

/// What `asked` stands for on Flink `flink` (a whole version): `NAME`, `NAME:VERSION`, or `GROUP:ARTIFACT:VERSION` of
/// anything that is not known by name. `image` is for messages.
///
/// # Errors
/// [`Reason::ConnectorInvalid`] for an unknown name (with the nearest), a version for another Flink (with the right
/// one), and a Flink that the connector was never released for (with those that it was).
pub fn choose(asked: &str, flink: &str, image: &str) -> Result<Choice> {
    let parts: Vec<&str> = asked.split([':', '@']).collect();
    let (name, version) = match *parts.as_slice() {
        [name] => (name, None),
        [name, version] if !version.is_empty() => (name, Some(version)),
        [group, id, version] if !group.is_empty() && !id.is_empty() && !version.is_empty() => {
            refuse_signs(asked, &parts)?;
            return coordinates(group, id, version, flink, image);
        }
        _ => {
            return Err(
                invalid(format!("`--connector {asked}` is neither a name nor an artifact"))
                    .next("dev image build --connector NAME[:VERSION] or --connector GROUP:ARTIFACT:VERSION"),
            );
        }
    };
    refuse_signs(asked, &parts)?;
    let wanted = name.to_lowercase();
    let Some(known) = known()
        .iter()
        .find(|k| k.name == wanted || k.aliases.contains(&wanted.as_str()))
    else {
        return Err(unknown(name));
    };
    let Some(minor) = Minor::of(flink) else {
        return Err(invalid(format!("`{flink}` is no version of Flink")));
    };
    let also = known.also.iter().map(|text| format!("{}: {text}", known.name));
    match known.releases {
        Releases::Builtin => Ok(Choice {
            artifacts: Vec::new(),
            notes: vec![format!("`{name}` is part of every Flink: nothing is added for it")],
        }),
        Releases::WithFlink(_) if version.is_some_and(|v| Minor::of(v) != Some(minor)) => Err(invalid(format!(
            "{} {} is Flink {}'s, and {image} has Flink {flink}",
            known.name,
            version.unwrap_or_default(),
            version
                .and_then(Minor::of)
                .map_or_else(|| "?".to_owned(), |m| m.to_string()),
        ))
        .next(format!("--connector {}:{flink}, or without a version", known.name))),
        Releases::WithFlink(ids) => Ok(Choice {
            artifacts: Known::artifacts(ids, version.unwrap_or(flink)),
            notes: also.collect(),
        }),
        Releases::Own(_) => own(known, version, minor, image, also.collect()),
    }
}

/// Coordinates go into a file for Maven and into paths.
fn refuse_signs(asked: &str, parts: &[&str]) -> Result<()> {
    let fine = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if parts
        .iter()
        .all(|part| part.chars().all(fine) && !part.starts_with('.'))
    {
        return Ok(());
    }
    Err(
        invalid(format!("`--connector {asked}` is neither a name nor an artifact"))
            .evidence("names, groups and versions are letters, digits, `.`, `_` and `-`"),
    )
}

fn own(known: &Known, version: Option<&str>, flink: Minor, image: &str, mut notes: Vec<String>) -> Result<Choice> {
    let Some(release) = best(known, flink) else {
        return Err(invalid(format!(
            "there is no {} connector for Flink {flink}, which {image} has",
            known.name
        ))
        .evidence(list(known))
        .next(match known.own().last() {
            Some(newest) => format!(
                "--base with Flink {}: {} {} is made for it",
                newest.flink, known.name, newest.version
            ),
            None => "dev image build --help".to_owned(),
        }));
    };
    let version = version.unwrap_or(release.version);
    if let Some(made_for) = suffix(version) {
        match fit(release.artifacts[0], made_for, flink) {
            Fit::Made => {}
            Fit::Earlier => notes.push(format!(
                "{} {version} was made for Flink {made_for}; none for Flink {flink} is known",
                known.name
            )),
            Fit::Wrong(_) => {
                return Err(invalid(format!(
                    "{} {version} is made for Flink {made_for}, and {image} has Flink {flink}",
                    known.name
                ))
                .evidence(list(known))
                .next(format!("--connector {}:{}", known.name, release.version)));
            }
        }
    }
    Ok(Choice {
        artifacts: Known::artifacts(release.artifacts, version),
        notes,
    })
}

fn coordinates(group: &str, id: &str, version: &str, flink: &str, image: &str) -> Result<Choice> {
    let mut notes = Vec::new();
    if let (Some(made_for), Some(minor)) = (suffix(version), Minor::of(flink)) {
        match fit(id, made_for, minor) {
            Fit::Made => {}
            Fit::Earlier => notes.push(format!("{id} {version} was made for Flink {made_for}, not for {minor}")),
            Fit::Wrong(right) => {
                let failure = invalid(format!(
                    "{id} {version} is made for Flink {made_for}, and {image} has Flink {minor}"
                ));
                return Err(failure.next(match right {
                    Some(right) => format!("--connector {group}:{id}:{right}"),
                    None => format!("take the version of {id} for Flink {minor}, or a --base with Flink {made_for}"),
                }));
            }
        }
    }
    Ok(Choice {
        artifacts: vec![Artifact {
            group: group.to_owned(),
            id: id.to_owned(),
            version: version.to_owned(),
        }],
        notes,
    })
}

/// The Flink that a connector's version ends with: 2.2 of `5.0.0-2.2`.
pub(in crate::image) fn suffix(version: &str) -> Option<Minor> {
    let (_, last) = version.rsplit_once('-')?;
    last.split_once('.')
        .filter(|(_, minor)| minor.bytes().all(|b| b.is_ascii_digit()))?;
    Minor::of(last)
}

fn invalid(message: String) -> Failure {
    Failure::new(Reason::ConnectorInvalid, message)
}

fn list(known: &Known) -> String {
    let releases = known.own().iter().map(|r| format!("Flink {}: {}", r.flink, r.version));
    format!(
        "{} is released for {}",
        known.name,
        releases.collect::<Vec<_>>().join(", ")
    )
}

fn unknown(name: &str) -> Failure {
    let names = known()
        .iter()
        .flat_map(|k| std::iter::once(&k.name).chain(k.aliases))
        .copied();
    let all: Vec<&str> = known().iter().map(|k| k.name).collect();
    let failure = invalid(format!("no connector has the name `{name}`")).evidence(format!("known: {}", all.join(", ")));
    let failure = match nearest(name, names.collect::<Vec<_>>()) {
        Some(near) => failure.next(format!("--connector {near}")),
        None => failure,
    };
    failure.next("any other one: --connector GROUP:ARTIFACT:VERSION, or its file with --lib")
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: &str = "flink:2.2.1-java17";

    fn artifacts(asked: &str, flink: &str) -> Vec<String> {
        let choice = choose(asked, flink, IMAGE).unwrap();
        choice.artifacts.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_name_becomes_the_artifact_for_this_flink() {
        assert_eq!(
            artifacts("kafka", "2.2.1"),
            ["org.apache.flink:flink-sql-connector-kafka:5.0.0-2.2"]
        );
        assert_eq!(
            artifacts("Kafka", "1.20.4"),
            ["org.apache.flink:flink-sql-connector-kafka:3.4.0-1.20"]
        );
        assert_eq!(
            artifacts("jdbc", "1.20.4"),
            ["org.apache.flink:flink-connector-jdbc:3.3.0-1.20"]
        );
        assert_eq!(artifacts("jdbc", "2.2.1").len(), 3);
        assert_eq!(
            artifacts("avro-confluent", "2.2.1"),
            ["org.apache.flink:flink-sql-avro-confluent-registry:2.2.1"]
        );
        assert_eq!(artifacts("com.acme:x:1.0", "2.2.1"), ["com.acme:x:1.0"]);
        let json = choose("json", "2.2.1", IMAGE).unwrap();
        assert!(json.artifacts.is_empty() && json.notes[0].contains("part of every Flink"));
    }

    #[test]
    fn where_there_is_none_the_one_before_is_taken_and_told() {
        let choice = choose("kafka", "2.3.0", IMAGE).unwrap();
        assert_eq!(choice.artifacts[0].version, "5.0.0-2.2");
        assert_eq!(
            choice.notes,
            ["kafka 5.0.0-2.2 was made for Flink 2.2; none for Flink 2.3 is known"]
        );
    }

    #[test]
    fn a_wrong_pairing_names_the_right_one() {
        let failure = choose("kafka:3.4.0-1.20", "2.2.1", IMAGE).unwrap_err();
        assert_eq!(failure.id(), Reason::ConnectorInvalid);
        assert_eq!(
            failure.to_string(),
            "kafka 3.4.0-1.20 is made for Flink 1.20, and flink:2.2.1-java17 has Flink 2.2"
        );
        assert_eq!(failure.next_steps(), ["--connector kafka:5.0.0-2.2"]);
        let failure = choose("org.apache.flink:flink-connector-kafka:4.0.1-2.0", "2.2.1", IMAGE).unwrap_err();
        assert_eq!(
            failure.next_steps(),
            ["--connector org.apache.flink:flink-connector-kafka:5.0.0-2.2"]
        );
        let failure = choose("avro:1.20.4", "2.2.1", IMAGE).unwrap_err();
        assert_eq!(failure.next_steps(), ["--connector avro:2.2.1, or without a version"]);
    }

    #[test]
    fn a_missing_pairing_lists_what_there_is() {
        let failure = choose("mongodb", "2.2.1", IMAGE).unwrap_err();
        assert_eq!(
            failure.to_string(),
            "there is no mongodb connector for Flink 2.2, which flink:2.2.1-java17 has"
        );
        assert!(
            failure.detail().evidence[0].contains("Flink 1.20: 2.0.0-1.20"),
            "{:?}",
            failure.detail()
        );
        let failure = choose("kafka", "1.12.1", IMAGE).unwrap_err();
        assert!(
            failure
                .to_string()
                .starts_with("there is no kafka connector for Flink 1.12")
        );
    }

    #[test]
    fn an_unknown_name_has_its_nearest() {
        let failure = choose("kafak", "2.2.1", IMAGE).unwrap_err();
        assert_eq!(failure.next_steps()[0], "--connector kafka");
        assert!(failure.detail().evidence[0].contains("avro-confluent"));
        assert_eq!(
            choose("a:b:c:d", "2.2.1", IMAGE).unwrap_err().id(),
            Reason::ConnectorInvalid
        );
        assert_eq!(
            choose("kafka:", "2.2.1", IMAGE).unwrap_err().id(),
            Reason::ConnectorInvalid
        );
    }

    #[test]
    fn what_is_not_in_the_table_is_judged_by_its_version_alone() {
        let (old, new) = (Minor(2, 0), Minor(2, 2));
        assert_eq!(fit("flink-connector-x", new, new), Fit::Made);
        assert_eq!(fit("flink-connector-x", old, new), Fit::Earlier);
        assert_eq!(fit("flink-connector-x", new, old), Fit::Wrong(None));
        assert_eq!(fit("flink-connector-x", Minor(1, 20), new), Fit::Wrong(None));
        assert_eq!(
            fit("flink-connector-kafka", old, new),
            Fit::Wrong(Some("5.0.0-2.2".to_owned()))
        );
        assert_eq!(suffix("5.0.0-2.2"), Some(new));
        assert_eq!(suffix("1.0-SNAPSHOT"), None);
        assert_eq!(suffix("42.7.3"), None);
    }
}
