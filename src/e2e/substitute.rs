//! `${topic.NAME}`, `${kafka.bootstrap}` and `${registry.url}` in a case's SQL script.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::config::{Addresses, Case, REGISTRY_URL, lacking};
use crate::diag::{Failure, Reason, Result};
use crate::sql::placeholders;

/// A script with everything put in, and the way back to the user's columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Script {
    /// The text for the runner.
    pub(crate) text: String,
    /// By line (from 1): where something was put in (column in `text`, from 1), how long it is there, and how long it
    /// was in the user's file; in characters, in order.
    spans: BTreeMap<usize, Vec<(usize, usize, usize)>>,
}

impl Script {
    /// The user's column for a place in [`Self::text`]; nothing that is put in holds a line's end, so lines stay.
    pub(crate) fn column(&self, line: usize, column: usize) -> usize {
        let mut shift = 0isize;
        for &(at, long, was) in self.spans.get(&line).map_or(&[][..], Vec::as_slice) {
            if column < at {
                break;
            }
            if column < at + long {
                return at.saturating_add_signed(shift);
            }
            shift += was as isize - long as isize;
        }
        column.saturating_add_signed(shift)
    }
}

/// Puts the names into the case's script, and into those that its steps, setup and teardown run, by their files. `topic`
/// gives the name in Kafka of a topic of the case.
///
/// # Errors
/// [`Reason::SqlInvalid`] at the place of a `${…}` that is not known or not closed; [`Reason::CaseInvalid`] for a
/// topic of the case that the script never names: its records would say nothing about the script.
/// [`Reason::ConfigInvalid`] at what the environment has not.
pub(crate) fn substitute_all(
    case: &Case,
    addresses: Addresses<'_>,
    topic: impl Fn(&str) -> String,
) -> Result<(Script, Vec<(PathBuf, Script)>)> {
    let mut named = BTreeSet::new();
    let program = &case.program;
    let first = put_in(case, (program.script(), program.file()), addresses, &topic, &mut named)?;
    let mut others = Vec::new();
    for (sql, file) in case.other_scripts() {
        let script = put_in(case, (sql, file), addresses, &topic, &mut named)?;
        others.push((file.to_owned(), script));
    }
    let in_args = |topic: &str| program.args().iter().any(|arg| arg.contains(&placeholder_of(topic)));
    let topics = case.topics();
    let unused = topics
        .into_iter()
        .find(|topic| !named.contains(*topic) && !in_args(topic));
    let Some(unused) = unused else {
        return Ok((first, others));
    };
    let message = format!("the program never names topic `{unused}` of the case");
    Err(Failure::new(Reason::CaseInvalid, message)
        .at(&case.file, 0, 0)
        .evidence(format!("program {}", program.file().display()))
        .next(format!(
            "write 'topic' = '${{topic.{unused}}}' in the script, or take the topic out of the case"
        )))
}

fn placeholder_of(topic: &str) -> String {
    format!("${{topic.{topic}}}")
}

/// What a program is given, with everything put in.
pub(super) fn args(case: &Case, addresses: Addresses<'_>, topic: impl Fn(&str) -> String) -> Vec<String> {
    let put = |arg: &String| {
        let arg = arg.replace("${kafka.bootstrap}", addresses.kafka.unwrap_or_default());
        let arg = arg.replace("${registry.url}", addresses.registry.unwrap_or_default());
        let topics = case.topics().into_iter();
        topics.fold(arg, |arg, name| arg.replace(&placeholder_of(name), &topic(name)))
    };
    case.program.args().iter().map(put).collect()
}

/// As [`substitute_all`], for a case without steps.
///
/// # Errors
/// As [`substitute_all`].
pub(crate) fn substitute(case: &Case, addresses: Addresses<'_>, topic: impl Fn(&str) -> String) -> Result<Script> {
    substitute_all(case, addresses, topic).map(|(script, _)| script)
}

/// Puts the names into one script; those of topics that it has are added to `named`.
fn put_in(
    case: &Case,
    (sql, sql_file): (&str, &Path),
    addresses: Addresses<'_>,
    topic: &impl Fn(&str) -> String,
    named: &mut BTreeSet<String>,
) -> Result<Script> {
    let topics = case.topics();
    let mut script = Script {
        text: String::with_capacity(sql.len()),
        spans: BTreeMap::new(),
    };
    // as the script is split: those in comments mean nothing
    // and the SQL runner puts in what has a default
    let meant: BTreeMap<_, _> = placeholders(sql)
        .into_iter()
        .filter(|p| !p.has_default())
        .map(|p| ((p.position.line, p.position.column), p))
        .collect();
    let (mut line, mut column, mut column_out) = (1, 1, 1);
    let mut rest = sql;
    while let Some(c) = rest.chars().next() {
        let invalid = |message: String| Failure::new(Reason::SqlInvalid, message).at(sql_file, line, column);
        let name = rest.strip_prefix("${").zip(meant.get(&(line, column)));
        if let Some((name, placeholder, end)) = name.and_then(|(name, p)| Some((name, p, name.find('}')?))) {
            let name = &name[..end];
            let var = name.strip_prefix("var.").and_then(|name| case.vars.get(name));
            let value = match (addresses.of(name), name.strip_prefix("topic.")) {
                (Some(address), _) => {
                    let address = address.ok_or_else(|| not_there(name).at(sql_file, line, column))?;
                    address.to_owned()
                }
                (None, None) if var.is_some() => placeholder.spell(var.map_or("", String::as_str)),
                (None, Some(asked)) if topics.contains(asked) => {
                    named.insert(asked.to_owned());
                    topic(asked)
                }
                (None, Some(asked)) => {
                    let message = format!("`${{{name}}}`: the case has no topic `{asked}` under given or expect");
                    return Err(suggest(invalid(message), asked, &topics, "${topic.", "}"));
                }
                (None, None) => {
                    let message = format!(
                        "`${{{name}}}` is not known: there are ${{topic.NAME}}, ${{kafka.bootstrap}} and ${{registry.url}}"
                    );
                    return Err(invalid(message));
                }
            };
            let (long, was) = (value.chars().count(), name.chars().count() + "${}".len());
            script.spans.entry(line).or_default().push((column_out, long, was));
            script.text.push_str(&value);
            column += was;
            column_out += long;
            rest = &rest["${".len() + end + 1..];
            continue;
        }
        let line_end = rest.find('\n').unwrap_or(rest.len());
        if ["${topic.", "${kafka.", "${registry."]
            .iter()
            .any(|open| rest.starts_with(open))
            && !rest[..line_end].contains('}')
        {
            return Err(invalid("`${` without `}`".to_owned()));
        }
        script.text.push(c);
        rest = &rest[c.len_utf8()..];
        if c == '\n' {
            (line, column, column_out) = (line + 1, 1, 1);
        } else {
            (column, column_out) = (column + 1, column_out + 1);
        }
    }
    Ok(script)
}

/// The environment has not what a name stands for.
fn not_there(name: &str) -> Failure {
    let cure = match name {
        REGISTRY_URL => "schema_registry: {enabled: true}",
        _ => "kafka: {enabled: true}",
    };
    Failure::new(Reason::ConfigInvalid, lacking(name)).next(format!("set `{cure}` in the profile, then `dev up`"))
}

fn suggest(failure: Failure, asked: &str, known: &BTreeSet<&str>, before: &str, after: &str) -> Failure {
    let nearest = known.iter().map(|k| (strsim::damerau_levenshtein(asked, k), k)).min();
    match nearest {
        Some((distance, name)) if distance <= 2 => failure.next(format!("did you mean {before}{name}{after}?")),
        _ => failure.next(format!(
            "topics of the case: {}",
            known.iter().copied().collect::<Vec<_>>().join(", ")
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{CaseProgram, Expectation, Given, RecordFormat, Records};

    fn case(sql: &str) -> Case {
        Case {
            name: "c".to_owned(),
            file: "c.case.yaml".into(),
            program: CaseProgram::sql("c.sql", sql),
            given: vec![Given {
                topic: "orders".to_owned(),
                partitions: 1,
                format: RecordFormat::Json,
                records: Records::default(),
            }],
            expect: vec![Expectation {
                topic: "totals".to_owned(),
                ..Expectation::default()
            }],
            within: Duration::from_secs(1),
            ..Case::default()
        }
    }

    fn put_in(sql: &str) -> Result<Script> {
        let kafka = Addresses {
            kafka: Some("kafka:9092"),
            registry: None,
        };
        substitute(&case(sql), kafka, |t| format!("dev-ab12cd34-1-{t}"))
    }

    #[test]
    fn names_are_put_in_and_columns_lead_back() {
        let sql = "x é ${topic.orders}\nSELECT '${topic.totals}', '${kafka.bootstrap}' FROM x";
        let script = put_in(sql).unwrap();
        assert!(
            put_in(&format!("{sql} -- ${{not.known}}")).is_ok(),
            "comments are nobody's business"
        );
        let lines: Vec<_> = script.text.lines().collect();
        assert_eq!(
            lines,
            [
                "x é dev-ab12cd34-1-orders",
                "SELECT 'dev-ab12cd34-1-totals', 'kafka:9092' FROM x"
            ]
        );
        let column = |text: &str, word: &str| text[..text.find(word).unwrap()].chars().count() + 1;
        let user = sql.lines().nth(1).unwrap();
        for word in ["SELECT", "FROM", "x", "' FROM"] {
            assert_eq!(script.column(2, column(lines[1], word)), column(user, word), "{word}");
        }
        // inside of what was put in: the placeholder
        assert_eq!(
            script.column(2, column(lines[1], "kafka:9092") + 3),
            column(user, "${kafka")
        );
        assert_eq!(script.column(7, 5), 5);
    }

    #[test]
    fn values_of_a_case_are_put_in() {
        let mut case = case("${topic.orders}${topic.totals} WHERE n > ${var.least} AND name = '${var.name}' --");
        let vars = [("least", "3"), ("name", "O'Hara")];
        case.vars = vars.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let script = substitute(&case, Addresses::default(), str::to_owned).unwrap();
        assert_eq!(script.text, "orderstotals WHERE n > 3 AND name = 'O''Hara' --");
    }

    #[test]
    fn what_is_not_known_is_told_at_its_place() {
        let both = "${topic.orders}${topic.totals}";
        let failure = put_in(&format!("{both}\n  x ${{topic.oders}}")).unwrap_err();
        assert_eq!(failure.id(), Reason::SqlInvalid);
        assert_eq!(
            failure.to_string(),
            "c.sql:2:5: `${topic.oders}`: the case has no topic `oders` under given or expect"
        );
        assert_eq!(failure.next_steps(), ["did you mean ${topic.orders}?"]);
        let failure = put_in(&format!("{both} ${{kafka.bootsrap}}")).unwrap_err();
        assert_eq!(
            failure.detail().location.as_ref().map(|l| (l.line, l.column)),
            Some((1, 32))
        );
        assert_eq!(
            put_in("${topic.orders\n}").unwrap_err().to_string(),
            "c.sql:1:1: `${` without `}`"
        );
    }

    #[test]
    fn the_registrys_address_is_put_in_where_there_is_one() {
        let sql = "${topic.orders}${topic.totals} '${registry.url}'";
        let registry = Addresses {
            kafka: None,
            registry: Some("http://registry"),
        };
        let script = substitute(&case(sql), registry, str::to_owned).unwrap();
        assert_eq!(script.text, "orderstotals 'http://registry'");
        let failure = put_in(sql).unwrap_err();
        assert_eq!(
            failure.to_string(),
            "c.sql:1:33: `${registry.url}`: the profile has no schema registry"
        );
        assert!(failure.next_steps()[0].contains("schema_registry: {enabled: true}"));
    }

    #[test]
    fn a_topic_that_the_script_never_names_is_an_error() {
        let failure = put_in("${topic.orders}").unwrap_err();
        assert_eq!(failure.id(), Reason::CaseInvalid);
        assert!(failure.to_string().contains("never names topic `totals`"), "{failure}");
    }
}
