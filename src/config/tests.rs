//! The corpus of good and bad files at `tests/corpus`, the shipped profiles and the examples; and the schemas.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::{Case, Fields, JobState, Json, Match, Part, Profile, SHIPPED, case_schema, find_cases, profile_schema};
use crate::diag::{Failure, Result};

/// Tests run in the package's folder; relative paths keep the snapshots the same everywhere.
fn files(folder: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{folder}: {error}"))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "yaml"))
        .collect();
    files.sort();
    files
}

/// As `serde_json` has it.
fn plain(value: &Json) -> Value {
    serde_json::to_value(value).unwrap()
}

fn is_case(path: &Path) -> bool {
    path.to_string_lossy().ends_with(".test.yaml")
}

fn read(path: &Path) -> Result<()> {
    if is_case(path) {
        return Case::load(path).map(|_| ());
    }
    Profile::parse(path, &std::fs::read_to_string(path).unwrap()).map(|_| ())
}

fn told(failure: &Failure) -> String {
    let detail = failure.detail();
    let mut text = format!("{} {failure}\n", detail.id.entry().id);
    for evidence in &detail.evidence {
        let _ = writeln!(text, "{evidence}");
    }
    for next in failure.next_steps() {
        let _ = writeln!(text, "  next: {next}");
    }
    text
}

#[test]
fn bad_profiles_are_refused_with_the_reason_and_the_place() {
    let bad = files("tests/corpus/bad");
    let mut report = String::new();
    for file in bad.iter().filter(|file| !is_case(file)) {
        match read(file) {
            Ok(()) => panic!("{} was accepted", file.display()),
            Err(failure) => writeln!(report, "{}", told(&failure)).unwrap(),
        }
    }
    insta::assert_snapshot!(report);
}

#[test]
fn bad_cases_are_refused_with_the_reason_and_the_place() {
    let bad = files("tests/corpus/bad");
    let mut report = String::new();
    for file in bad.iter().filter(|file| is_case(file)) {
        match read(file) {
            Ok(()) => panic!("{} was accepted", file.display()),
            Err(failure) => {
                assert!(
                    failure.detail().location.is_some(),
                    "{}: no place: {failure}",
                    file.display()
                );
                writeln!(report, "{}", told(&failure)).unwrap();
            }
        }
    }
    insta::assert_snapshot!(report);
}

#[test]
fn all_errors_of_a_case_are_told_at_once() {
    let problems = Case::read(Path::new("tests/corpus/bad/case-many-errors.test.yaml")).unwrap_err();
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn a_case_is_read_with_all_its_keys() {
    let case = Case::load(Path::new("tests/corpus/good/all-keys.test.yaml")).unwrap();
    assert_eq!(case.name, "every key of a case");
    assert_eq!(case.program.file(), Path::new("tests/corpus/good/sql/orders.sql"));
    assert!(case.program.script().starts_with("CREATE TABLE orders"));
    assert_eq!(case.within, Duration::from_secs(90));
    let [given] = case.given.as_slice() else {
        panic!("{:?}", case.given)
    };
    assert_eq!((given.topic.as_str(), given.partitions), ("orders", 2));
    let records: Vec<_> = given
        .records
        .iter()
        .map(|r| (r.line, r.key.as_ref().map(plain), plain(&r.value)))
        .collect();
    assert_eq!(
        records,
        [(1, None, json!({"id": 1})), (3, Some(json!("eu")), json!({"id": 2}))]
    );
    let [expected] = case.expect.as_slice() else {
        panic!("{:?}", case.expect)
    };
    assert_eq!(expected.mode, Match::LastPerKey);
    let records: Vec<_> = expected
        .records
        .iter()
        .map(|r| (r.line, r.key.as_ref().map(plain), plain(&r.value)))
        .collect();
    assert_eq!(
        records,
        [
            (12, Some(json!("eu")), json!({"total": 3})),
            (13, Some(json!({"region": "us"})), Value::Null)
        ]
    );
    assert!(case.warnings().is_empty());
}

#[test]
fn steps_are_read_in_their_order() {
    let case = Case::load(Path::new("tests/corpus/good/steps.test.yaml")).unwrap();
    let told: Vec<String> = case
        .steps
        .iter()
        .map(|step| format!("{}:{} {} ({:?})", step.line, step.column, step.action, step.within))
        .collect();
    insta::assert_snapshot!(told.join("\n"));
    let feeds: Vec<_> = case.feeds().map(|feed| (feed.given.records.len(), feed.rate)).collect();
    assert_eq!(
        feeds,
        [(1, None), (5, Some(0.5))],
        "closed in each partition that `given` says"
    );
    assert_eq!(
        case.faults().into_iter().map(Part::word).collect::<Vec<_>>(),
        ["taskmanager", "jobmanager", "broker", "operator"]
    );
    assert_eq!((case.slots(), case.needs.len()), (2, 2));
    assert_eq!(
        (case.job.state, case.job.restarts, case.job.restored),
        (Some(JobState::Running), Some((1, 3)), Some(true))
    );
}

#[test]
fn a_short_case_has_the_name_of_its_file_and_the_usual_bound() {
    let case = Case::load(Path::new("tests/corpus/good/short.test.yaml")).unwrap();
    assert_eq!((case.name.as_str(), case.within), ("short", Duration::from_secs(60)));
    let records: Vec<_> = case.given[0]
        .records
        .iter()
        .map(|r| (r.key.as_ref().map(plain), plain(&r.value)))
        .collect();
    let expected = [
        (None, json!({"id": 1})),
        (Some(json!("eu")), json!({"id": 2})),
        (None, json!("{\"id\": 3}")),
        (None, Value::Null),
    ];
    assert_eq!(records, expected);
    assert_eq!(case.expect[0].mode, Match::Unordered);
    assert!(case.expect[0].records.is_empty(), "nothing must come out");
}

#[test]
fn a_case_within_the_program_is_read_like_a_file() {
    let text = "version: 1\nsql: q.sql\nexpect: {out: [{x: 1}]}\n";
    let sql = "CREATE TABLE o (x INT) WITH ('topic' = '${topic.out}', 'properties.bootstrap.servers' = 'localhost:9092');\n\
               INSERT INTO o SELECT 1;";
    let case = Case::parse(Path::new("demo/x.test.yaml"), text, &[("q.sql", sql)]).unwrap();
    assert_eq!(
        (case.name.as_str(), case.program.file()),
        ("x", Path::new("demo/q.sql"))
    );
    let warnings: Vec<String> = case.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        ["demo/q.sql:1:90: `localhost` is the pod itself where the job runs, not this machine"]
    );
    let failure = Case::parse(Path::new("x.test.yaml"), text, &[]).unwrap_err();
    assert_eq!(failure.to_string(), "x.test.yaml:2:6: there is no file `q.sql`");
}

fn yaml(path: &Path) -> Value {
    serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn schema_for(path: &Path) -> Value {
    if is_case(path) { case_schema() } else { profile_schema() }
}

#[test]
fn good_files_are_read_and_fit_the_schemas() {
    let mut good = files("tests/corpus/good");
    assert!(good.len() >= 4);
    good.extend(files("profiles"));
    // examples are kept by others; what is there has to fit
    good.extend(find_cases(&[PathBuf::from("examples")]).unwrap_or_default());
    for file in good {
        read(&file).unwrap_or_else(|failure| panic!("{}", told(&failure)));
        let validator = jsonschema::validator_for(&schema_for(&file)).unwrap();
        let errors: Vec<String> = validator
            .iter_errors(&yaml(&file))
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{}: {errors:?}", file.display());
    }
}

#[test]
fn the_schemas_refuse_what_an_editor_can_tell() {
    for name in [
        "profile-unknown-key.yaml",
        "profile-unknown-key-at-top.yaml",
        "profile-no-version.yaml",
        "profile-unknown-version.yaml",
        "profile-is-a-list.yaml",
        "profile-unknown-base.yaml",
        "profile-port-out-of-range.yaml",
        "profile-memory-without-unit.yaml",
        "profile-memory-with-a-slip.yaml",
        "profile-unknown-source.yaml",
        "profile-wrong-type.yaml",
        "profile-nested-setting.yaml",
        "profile-negative-slots.yaml",
        "profile-bad-timeout.yaml",
        "case-unknown-key.test.yaml",
        "case-unknown-key-in-topic.test.yaml",
        "case-unknown-match.test.yaml",
        "case-no-expectation.test.yaml",
        "case-empty-expectation.test.yaml",
        "case-expectation-without-records.test.yaml",
        "case-records-are-no-list.test.yaml",
        "case-bad-duration.test.yaml",
        "case-duration-without-unit.test.yaml",
        "case-no-sql.test.yaml",
        "case-no-version.test.yaml",
        "case-unknown-version.test.yaml",
        "case-step-unknown-action.test.yaml",
        "case-step-without-action.test.yaml",
        "case-step-with-two-actions.test.yaml",
        "case-step-unknown-part.test.yaml",
        "case-step-unknown-fact.test.yaml",
        "case-step-two-facts.test.yaml",
        "case-step-unknown-state.test.yaml",
        "case-step-unknown-restart.test.yaml",
        "case-step-scale-to-nothing.test.yaml",
        "case-step-feeds-too-slowly.test.yaml",
        "case-steps-are-no-list.test.yaml",
        "case-job-says-nothing.test.yaml",
        "case-job-unknown-key.test.yaml",
        "case-needs-unknown.test.yaml",
    ] {
        let file = Path::new("tests/corpus/bad").join(name);
        assert!(
            !jsonschema::is_valid(&schema_for(&file), &yaml(&file)),
            "{name} fits the schema"
        );
    }
}

#[test]
fn every_key_of_the_schemas_is_described() {
    fn walk(schema: &Value, path: &str, missing: &mut Vec<String>) {
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            for (key, property) in properties {
                if property.get("description").is_none() {
                    missing.push(format!("{path}/{key}"));
                }
            }
        }
        match schema {
            Value::Object(keys) => keys
                .iter()
                .for_each(|(key, value)| walk(value, &format!("{path}/{key}"), missing)),
            Value::Array(items) => items.iter().for_each(|value| walk(value, path, missing)),
            _ => {}
        }
    }
    let mut missing = Vec::new();
    walk(&profile_schema(), "profile", &mut missing);
    walk(&case_schema(), "case", &mut missing);
    assert_eq!(missing, Vec::<String>::new());
}

fn committed() -> [(&'static str, Value); 2] {
    [
        ("schemas/profile.schema.json", profile_schema()),
        ("schemas/case.schema.json", case_schema()),
    ]
}

fn pretty(schema: &Value) -> String {
    serde_json::to_string_pretty(schema).unwrap() + "\n"
}

#[test]
fn the_committed_schemas_are_current() {
    for (file, schema) in committed() {
        let found = std::fs::read_to_string(file).unwrap_or_default();
        assert!(
            found == pretty(&schema),
            "{file} is stale: cargo test --lib write_schemas -- --ignored"
        );
    }
}

#[test]
#[ignore = "writes schemas/*.json"]
fn write_schemas() {
    for (file, schema) in committed() {
        std::fs::write(file, pretty(&schema)).unwrap();
    }
}

#[test]
fn shipped_profiles_are_those_of_the_folder() {
    let names: Vec<String> = files("profiles")
        .iter()
        .map(|p| p.file_stem().unwrap().to_string_lossy().into())
        .collect();
    assert_eq!(names, SHIPPED.map(|(name, _)| name));
}

#[test]
fn the_newer_keys_of_a_case_are_read() {
    let case = Case::load(Path::new("tests/corpus/good/everything.test.yaml")).unwrap();
    assert_eq!(case.tags, ["slow", "sql"]);
    assert_eq!(case.skip.as_deref(), Some("only to be read"));
    let records: Vec<_> = case.given[0]
        .records
        .iter()
        .map(|r| {
            (
                plain(&r.value),
                r.partition,
                r.timestamp.is_some(),
                r.headers.iter().flatten().count(),
            )
        })
        .collect();
    let close = json!({"id": "close", "region": "none"});
    assert_eq!(
        records,
        [
            (json!({"id": 1, "region": "eu"}), Some(1), false, 0),
            (json!({"id": 2, "region": "eu"}), Some(1), false, 0),
            (json!(["3", "us"]), None, true, 1),
            (close.clone(), Some(0), false, 0),
            (close, Some(1), false, 0),
        ],
        "the closing record goes to each partition"
    );
    let expectation = &case.expect[0];
    assert_eq!((expectation.mode, expectation.fields), (Match::Window, Fields::Partial));
    assert_eq!(expectation.quiet, Some(Duration::from_secs(2)));
    assert!(expectation.exactly && expectation.by == ["w"] && expectation.tolerance > 0.4);
    assert_eq!(case.forbid[0].records.as_ref().unwrap().len(), 1);
}
