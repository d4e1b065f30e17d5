//! The corpus that all splitters of the project share, and properties of any script.

use std::path::Path;

use proptest::prelude::*;
use serde::Deserialize;

use super::{Kind, Statement, split};

#[derive(Deserialize)]
struct Case {
    name: String,
    script: String,
    statements: Option<Vec<Expected>>,
    error: Option<ExpectedError>,
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
    }
}

#[test]
fn the_corpus_is_split_as_the_sql_runner_splits_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql-runner/src/test/resources/corpus");
    let mut cases = 0;
    for entry in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let file = entry.unwrap().path();
        if file.extension().is_none_or(|end| end != "json") {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        let list: Vec<Case> = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        for case in list {
            let context = format!("{}: {}", file.file_name().unwrap().to_string_lossy(), case.name);
            match split(&case.script) {
                Ok(statements) => {
                    let statements: Vec<_> = statements.iter().map(seen).collect();
                    assert_eq!(Some(statements), case.statements, "{context}");
                }
                Err(error) => {
                    let (line, column) = (error.position.line, error.position.column);
                    let error = ExpectedError {
                        line,
                        column,
                        message: error.message.to_owned(),
                    };
                    assert_eq!(Some(error), case.error, "{context}");
                }
            }
            cases += 1;
        }
    }
    assert!(cases > 100, "only {cases} cases in the corpus");
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
    fn any_words_are_split_or_refused_at_a_place_within(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "BEGIN", "STATEMENT", "SET", "END", "EXECUTE", ";", "INSERT", "RESET", "=", "'a'", "E'\\", "'", "/*+",
                "*/", "--", "\n", "CREATE", "TABLE", "AS", "(", ")", "SELECT", "COMPILE", "AND", "x",
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
        "INSERT INTO a SELECT 1;\n  CREATE TABLE b WITH ('connector' = 'x') AS SELECT * FROM a;",
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
                  INSERT INTO a SELECT 1;\nEXECUTE STATEMENT SET BEGIN INSERT INTO a SELECT 1; INSERT INTO a SELECT 2; END;";
    let lint = super::lint(script).unwrap();
    assert_eq!(lint.inserts, 3);
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
