//! The corpus that all splitters of the project share, and properties of any script.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde::Deserialize;

use super::{Kind, Statement, placeholders, split, substitute};

#[derive(Deserialize)]
pub(super) struct Case {
    name: String,
    pub(super) script: String,
    statements: Option<Vec<Expected>>,
    error: Option<ExpectedError>,
    #[serde(default)]
    variables: BTreeMap<String, String>,
    result: Option<String>,
}

#[derive(Deserialize, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
struct Expected {
    kind: Kind,
    line: usize,
    column: usize,
    text: String,
    #[serde(default)]
    inner: Vec<Self>,
    key: Option<String>,
    value: Option<String>,
    connector: Option<String>,
}

#[derive(Deserialize, Debug, PartialEq)]
struct ExpectedError {
    line: usize,
    column: usize,
    message: String,
}

fn seen(statement: &Statement<'_>) -> Expected {
    Expected {
        kind: statement.kind,
        line: statement.position.line,
        column: statement.position.column,
        text: statement.text.to_owned(),
        inner: statement.inner.iter().map(seen).collect(),
        key: statement.setting.as_ref().map(|setting| setting.key.clone()),
        value: statement.setting.as_ref().and_then(|setting| setting.value.clone()),
        connector: statement.connector.as_ref().map(|connector| connector.name.clone()),
    }
}

/// The cases of a folder of the corpus, with the file in their names.
fn cases_in(folder: &str) -> Vec<Case> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql-runner/src/test/resources/corpus");
    let folder = corpus.join(folder);
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let file = entry.unwrap().path();
        if file.extension().is_none_or(|end| end != "json") {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        let list: Vec<Case> = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let file = file.file_name().unwrap().to_string_lossy();
        cases.extend(list.into_iter().map(|case| Case {
            name: format!("{file}: {}", case.name),
            ..case
        }));
    }
    cases
}

/// The scripts of the corpus.
pub(super) fn cases() -> Vec<Case> {
    cases_in(".")
}

#[test]
fn the_corpus_is_split_as_the_sql_runner_splits_it() {
    let cases = cases();
    assert!(cases.len() > 160, "only {} cases in the corpus", cases.len());
    for case in cases {
        match split(&case.script) {
            Ok(statements) => {
                let statements: Vec<_> = statements.iter().map(seen).collect();
                assert_eq!(Some(statements), case.statements, "{}", case.name);
            }
            Err(error) => {
                let (line, column) = (error.position.line, error.position.column);
                let error = ExpectedError {
                    line,
                    column,
                    message: error.message.to_owned(),
                };
                assert_eq!(Some(error), case.error, "{}", case.name);
            }
        }
    }
}

#[test]
fn variables_are_put_in_as_the_sql_runner_puts_them_in() {
    let cases = cases_in("variables");
    assert!(cases.len() > 30, "only {} cases in the corpus", cases.len());
    for case in cases {
        match substitute(&case.script, |name| case.variables.get(name).cloned()) {
            Ok(done) => assert_eq!(Some(done.text), case.result, "{}", case.name),
            Err(problem) => {
                let (line, column) = (problem.position.line, problem.position.column);
                let error = ExpectedError {
                    line,
                    column,
                    message: problem.message,
                };
                assert_eq!(Some(error), case.error, "{}", case.name);
            }
        }
    }
}

/// What is linear takes a fraction of a second here; what is quadratic takes longer than the bound by far.
#[test]
fn long_scripts_take_no_longer_than_their_length() {
    let start = Instant::now();
    let one_line = "SELECT 'é;' /* c */ ${a:-1};".repeat(100_000);
    assert_eq!(split(&one_line).unwrap().len(), 100_000);
    assert_eq!(placeholders(&one_line).len(), 100_000);
    let lines = "CREATE TABLE t (x INT) WITH ('bootstrap.servers' = 'localhost:1');\n".repeat(40_000)
        + "INSERT INTO t SELECT 1";
    assert_eq!(super::lint(&lines).unwrap().warnings.len(), 40_000);
    let set = format!("BEGIN STATEMENT SET;{}END", "INSERT INTO t SELECT 1;".repeat(100_000));
    assert_eq!(split(&set).unwrap()[0].inner.len(), 100_000);
    for open in [
        "'",
        "`",
        "/*",
        "/*+",
        "${",
        "(",
        "STATEMENT SET BEGIN ",
        "BEGIN STATEMENT SET;",
        "--",
        "E'\\",
    ] {
        let script = open.repeat(300_000);
        let _ = (split(&script), super::lint(&script), placeholders(&script));
        let _ = substitute(&script, |_| None);
    }
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}

/// A statement that ends where its semicolon stands.
fn statement() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-z0-9_.,()<>=+ ]{1,12}",
        "'([^'\\\\]|''){0,8}'".prop_map(|text| format!(" {text} ")),
        "`([^`]|``){0,8}`".prop_map(|text| format!(" {text} ")),
        "[ \n\t]*/\\*[a-z;' ]{0,8}\\*/[ \n]*",
        " --[a-z;' ]{0,8}\n",
        " /\\*\\+ [A-Z]{1,5}\\('a;'='b'\\) \\*/ ",
    ];
    let first = prop_oneof![Just("INSERT INTO"), Just("CREATE VIEW"), Just("USE"), Just("SELECT")];
    (first, prop::collection::vec(piece, 0..6))
        // a last word, so that neither comment nor blank is at the statement's end
        .prop_map(|(first, pieces)| format!("{first} {} z", pieces.concat()))
}

proptest! {
    #[test]
    fn statements_that_are_put_together_split_back(
        statements in prop::collection::vec(statement(), 0..6),
        gap in "[ \n\r\t;]{0,4}",
    ) {
        let script: String = statements.iter().map(|statement| format!("{gap}{statement}{gap};")).collect();
        let found: Vec<String> = split(&script).unwrap().iter().map(|found| found.text.to_owned()).collect();
        prop_assert_eq!(found, statements);
    }

    #[test]
    fn any_text_is_split_or_refused_at_a_place_within(script in "[A-Za-z'\"`;/*+\\-\n\r\t (){}=é\u{feff}😀]{0,60}") {
        check(&script)?;
    }

    #[test]
    fn any_bytes_are_split_or_refused_at_a_place_within(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check(&String::from_utf8_lossy(&bytes))?;
    }

    #[test]
    fn a_value_in_quotes_stays_in_them(value in any::<String>(), quote in "['`\"]") {
        let script = format!("USE x; USE {quote}a${{v}}b{quote}; USE ${{w:-z}}");
        let done = substitute(&script, |name| (name == "v").then(|| value.clone())).unwrap();
        let texts: Vec<_> = split(&done.text).unwrap().iter().map(|found| found.text.to_owned()).collect();
        let doubled = value.replace(&quote, &quote.repeat(2));
        prop_assert_eq!(texts, ["USE x".to_owned(), format!("USE {quote}a{doubled}b{quote}"), "USE z".to_owned()]);
    }

    #[test]
    fn any_words_are_split_or_refused_at_a_place_within(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "BEGIN", "STATEMENT", "SET", "END", "EXECUTE", ";", "INSERT", "RESET", "=", "'a'", "E'\\", "'", "/*+",
                "*/", "--", "\n", "CREATE", "TABLE", "AS", "(", ")", "SELECT", "COMPILE", "AND", "x", "WITH", "'connector'", "${a}", "$${",
                "${b:-", "}",
            ]),
            0..20,
        ),
    ) {
        check(&words.join(" "))?;
    }
}

fn check(script: &str) -> Result<(), TestCaseError> {
    let lines = script.lines().count().max(1) + script.matches('\r').count();
    let _ = super::lint(script);
    let _ = placeholders(script);
    if let Ok(done) = substitute(script, |_| Some("it's".to_owned())) {
        prop_assert!(done.position(done.text.len()).line <= lines + 1);
    }
    match split(script) {
        Ok(statements) => {
            let mut end = 0;
            for statement in &statements {
                prop_assert!(statement.range.start >= end, "in order, apart");
                prop_assert_eq!(&script[statement.range.clone()], statement.text);
                prop_assert!(!statement.text.is_empty());
                end = statement.range.end;
            }
        }
        Err(error) => prop_assert!(error.position.line <= lines && error.position.column >= 1),
    }
    Ok(())
}

#[test]
fn what_cannot_run_as_one_job_is_told_at_its_place() {
    let told: Vec<String> = [
        "",
        "-- nothing\n;",
        "CREATE TABLE a (x INT);\n",
        "CREATE TABLE a (x INT);\nSELECT * FROM a;\n",
        "INSERT INTO a SELECT 1;\n  CREATE MATERIALIZED TABLE b WITH ('connector' = 'x') AS SELECT * FROM a;",
        "INSERT INTO a VALUES ('x;\n",
        "BEGIN STATEMENT SET; INSERT INTO a SELECT 1; USE x; END;",
        "SET 'table.dml-sync' = 'true'; INSERT INTO a SELECT 1;",
        "INSRT INTO a SELECT 1;",
        "UPDATE a SET x = 1;",
        "EXECUTE PLAN '/p';",
    ]
    .iter()
    .map(|script| match super::lint(script) {
        Ok(lint) => panic!("{script}: {lint:?}"),
        Err(problem) => format!(
            "{script:?}\n{}:{}: {}\n  next: {}\n",
            problem.position.line,
            problem.position.column,
            problem.message,
            problem.next.unwrap_or_default()
        ),
    })
    .collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn inserts_are_counted_and_local_brokers_warned_of() {
    let script = "SHOW TABLES; SET 'a' = 'b';\n\
                  CREATE TABLE a (x INT) WITH ('properties.bootstrap.servers' =\n  'localhost:9092');\n\
                  INSERT INTO a SELECT 1;\nEXECUTE STATEMENT SET BEGIN INSERT INTO a SELECT 1; INSERT INTO a SELECT 2; END;\n\
                  CREATE TABLE b AS SELECT 1; REPLACE TABLE b AS SELECT 1;";
    let lint = super::lint(script).unwrap();
    assert_eq!(lint.inserts, 5);
    let [warning] = lint.warnings.as_slice() else {
        panic!("{:?}", lint.warnings)
    };
    assert_eq!(
        (warning.position.line, warning.position.column, warning.width),
        (3, 4, 9)
    );
    assert_eq!(
        warning.message,
        "`localhost` is the pod itself where the job runs, not this machine"
    );
}
