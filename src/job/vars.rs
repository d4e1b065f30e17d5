//! Values for the placeholders of a script that is run by itself. They are handed to the SQL runner beside the script,
//! which it logs as the user wrote it; and what a value says is not shown where Flink or the operator repeats it.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{Addresses, REGISTRY_URL, lacking, nearest};
use crate::diag::Failure;
use crate::sql::{Position, Problem, Substituted, placeholders, substitute};

/// Shorter values are no secrets, and would be found in all kinds of words.
const SHORTEST_SECRET: usize = 4;

/// What the SQL runner is to put in, by the names that the script has. `given` are the user's; `addresses` are what
/// `${kafka.bootstrap}` and `${registry.url}` stand for, and `${topic.NAME}` is NAME itself, so that the script of a test
/// case runs by itself, too.
///
/// # Errors
/// At the place of a placeholder that has no value; at the start, for a variable that the script does not have.
pub(super) fn values(
    script: &str,
    given: &BTreeMap<String, String>,
    addresses: Addresses<'_>,
) -> Result<BTreeMap<String, String>, Problem> {
    match unused([script], given) {
        Some(problem) => Err(problem),
        None => asked_for(script, given, addresses),
    }
}

/// A script as Flink is to read it, with the values put in. Variables that it does not have are let be: they
/// may be another script's, which [`unused`] tells.
///
/// # Errors
/// At the place of a placeholder that has no value.
pub fn fill(script: &str, given: &BTreeMap<String, String>, addresses: Addresses<'_>) -> Result<Substituted, Problem> {
    let values = asked_for(script, given, addresses)?;
    substitute(script, |name| values.get(name).cloned())
}

/// The problem, at the start, of the first variable that none of the scripts has.
pub fn unused<'a>(scripts: impl IntoIterator<Item = &'a str>, given: &BTreeMap<String, String>) -> Option<Problem> {
    let found: Vec<_> = scripts.into_iter().flat_map(placeholders).collect();
    let names: BTreeSet<&str> = found.iter().map(|p| name_of(p.name)).collect();
    let unused = given.keys().find(|name| !names.contains(name.as_str()))?;
    let next = match nearest(unused, names.iter().copied()) {
        Some(near) => format!("did you mean --var {near}=…?"),
        None => format!("write ${{{unused}}} in the script, or leave --var {unused} out"),
    };
    Some(Problem {
        position: Position { line: 1, column: 1 },
        width: 1,
        message: format!("the script has no `${{{unused}}}` for --var {unused}"),
        next: Some(next),
    })
}

fn asked_for(
    script: &str,
    given: &BTreeMap<String, String>,
    addresses: Addresses<'_>,
) -> Result<BTreeMap<String, String>, Problem> {
    let found = placeholders(script);
    let mut values = BTreeMap::new();
    for placeholder in &found {
        let name = name_of(placeholder.name);
        let value = match (given.get(name), name.strip_prefix("topic.")) {
            (Some(value), _) => Some(value.as_str()),
            (None, Some(topic)) => Some(topic),
            (None, None) => addresses.of(name).flatten(),
        };
        if let Some(value) = value {
            values.insert(name.to_owned(), value.to_owned());
        } else if !placeholder.has_default() {
            let (message, next) = without_value(name, given);
            return Err(Problem {
                position: placeholder.position,
                width: placeholder.name.chars().count() + "${}".len(),
                message,
                next: Some(next),
            });
        }
    }
    Ok(values)
}

fn without_value(name: &str, given: &BTreeMap<String, String>) -> (String, String) {
    let of_environment = match name {
        "kafka.bootstrap" => Some("add --var kafka.bootstrap=HOST:PORT"),
        REGISTRY_URL => Some("set `schema_registry: {enabled: true}` in the profile, or add --var registry.url=URL"),
        _ => None,
    };
    if let Some(next) = of_environment {
        return (lacking(name), next.to_owned());
    }
    let next = match nearest(name, given.keys().map(String::as_str)) {
        Some(near) => format!("did you mean ${{{near}}}?"),
        None => format!("add --var {name}=VALUE, or write ${{{name}:-DEFAULT}}"),
    };
    (format!("`${{{name}}}` has no value"), next)
}

/// `NAME` of `NAME:-default`.
fn name_of(inside: &str) -> &str {
    inside.split_once(":-").map_or(inside, |(name, _)| name)
}

/// A text without the values of variables whose names say that they are secrets.
pub fn mask(text: &str, values: &BTreeMap<String, String>) -> String {
    const SECRET: [&str; 6] = ["pass", "secret", "token", "credential", "key", "jaas"];
    let secrets = values.iter().filter(|(name, value)| {
        let name = name.to_lowercase();
        value.len() >= SHORTEST_SECRET && SECRET.iter().any(|word| name.contains(word))
    });
    secrets.fold(text.to_owned(), |text, (name, value)| {
        // as it stands, and as it stands in a quoted text
        let quoted = value.replace('\'', "''");
        let shown = format!("${{{name}}}");
        text.replace(value.as_str(), &shown).replace(&quoted, &shown)
    })
}

/// A failure without the values of variables whose names say that they are secrets.
pub(super) fn masked(failure: Failure, values: &BTreeMap<String, String>) -> Failure {
    failure.map_texts(|text| mask(text, values))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Reason;

    fn vars(all: &[(&str, &str)]) -> BTreeMap<String, String> {
        all.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    const AT: Addresses<'static> = Addresses {
        kafka: Some("kafka:9092"),
        registry: Some("http://registry"),
    };

    #[test]
    fn values_are_those_that_the_script_asks_for() {
        let script = "-- ${no}\nSELECT '${A}', '${B:-b c}', $${x} FROM ${topic.orders}; '${kafka.bootstrap:-y}'";
        let values = values(script, &vars(&[("A", "it's")]), AT).unwrap();
        let wanted = [
            ("A", "it's"),
            ("kafka.bootstrap", "kafka:9092"),
            ("topic.orders", "orders"),
        ];
        assert_eq!(values, vars(&wanted));
        let values = super::values("'${registry.url}'", &vars(&[]), AT).unwrap();
        assert_eq!(values, vars(&[("registry.url", "http://registry")]));
    }

    #[test]
    fn what_has_no_value_is_told_at_its_place() {
        let problem = values("a\n b ${REGON}", &vars(&[]), Addresses::default()).unwrap_err();
        assert_eq!((problem.position.line, problem.position.column), (2, 4));
        assert!(problem.next.unwrap().contains("--var REGON=VALUE"));
        let problem = values("${REGION}", &vars(&[("REGON", "EU")]), Addresses::default()).unwrap_err();
        assert!(problem.message.contains("--var REGON"), "{}", problem.message);
        assert_eq!(problem.next.as_deref(), Some("did you mean --var REGION=…?"));
        assert!(values("'${kafka.bootstrap}'", &vars(&[]), Addresses::default()).is_err());
        let problem = values("'${registry.url}'", &vars(&[]), Addresses::default()).unwrap_err();
        assert!(problem.next.unwrap().contains("schema_registry: {enabled: true}"));
        assert!(
            values("'${kafka.bootstrap:-x}'", &vars(&[]), Addresses::default())
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn a_variable_is_used_by_one_script_of_several() {
        let given = vars(&[("A", "it's")]);
        assert_eq!(
            fill("SELECT '${A}'", &given, Addresses::default()).unwrap().text,
            "SELECT 'it''s'"
        );
        assert_eq!(fill("SELECT 1", &given, Addresses::default()).unwrap().text, "SELECT 1");
        assert!(unused(["SELECT 1", "SELECT '${A}'"], &given).is_none());
        assert!(unused(["SELECT 1"], &given).unwrap().message.contains("--var A"));
    }

    #[test]
    fn secrets_are_not_repeated() {
        let values = vars(&[("DB_PASSWORD", "s'cret"), ("REGION", "Europe"), ("KEY", "a")]);
        let failure = Failure::new(Reason::JobFailed, "no s'cret in Europe").evidence("'s''cret' a");
        let failure = masked(failure, &values);
        assert_eq!(failure.detail().message, "no ${DB_PASSWORD} in Europe");
        assert_eq!(failure.detail().evidence, ["'${DB_PASSWORD}' a"]);
    }
}
