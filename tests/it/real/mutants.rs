//! No false pass: for every example, each way in which a result can be wrong turns it red, and an example that only went
//! through the same hands stays green. Some minutes: `scripts/test mutants`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::steps::dev;

/// A job that fails within half a second, whatever else it does, and stays so.
const FAILS: &str = "
CREATE TEMPORARY TABLE mutant_in (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '2',
  'fields.n.kind' = 'sequence', 'fields.n.start' = '0', 'fields.n.end' = '1000');
CREATE TEMPORARY TABLE mutant_out (n BIGINT) WITH ('connector' = 'blackhole');
INSERT INTO mutant_out SELECT 10 / (1 - n) FROM mutant_in;
";

/// An example, read.
struct Example {
    name: String,
    folder: PathBuf,
    case: Value,
}

fn examples() -> Vec<Example> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut all = Vec::new();
    for folder in ["orders", "sql"].map(|name| root.join(name)) {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let Some(name) = name.strip_suffix(".test.yaml") else {
                continue;
            };
            // as cases are read: `on` is a word
            let options = serde_saphyr::options! { strict_booleans: true };
            let text = std::fs::read_to_string(&path).unwrap();
            let mut case: Value = serde_saphyr::from_str_with_options(&text, options).unwrap();
            case.as_object_mut().unwrap().remove("name");
            if let Some(sets) = case.get_mut("matrix").and_then(Value::as_array_mut) {
                // its other sets have numbers of more digits than this way through JSON keeps
                sets.truncate(1);
            }
            case["within"] = json!("25s");
            all.push(Example {
                name: name.to_owned(),
                folder: folder.clone(),
                case,
            });
        }
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// The first topic of which something is expected, in its long form.
fn first(case: &mut Value) -> (String, &mut Map<String, Value>) {
    let expect = case["expect"].as_object_mut().unwrap();
    let (topic, expectation) = expect.iter_mut().next().unwrap();
    if expectation.is_array() {
        *expectation = json!({ "records": expectation.take() });
    }
    (topic.clone(), expectation.as_object_mut().unwrap())
}

/// The value of a record, which may be written with its key.
fn value_of(record: &mut Value) -> &mut Value {
    if record.get("value").is_some() {
        &mut record["value"]
    } else {
        record
    }
}

/// Changes one thing of a record; `false` if nothing of it can be.
fn change(record: &mut Value) -> bool {
    let value = value_of(record);
    let one = match value {
        Value::Object(fields) => {
            let number = fields.iter().position(|(_, value)| value.is_number());
            let text = fields.iter().position(|(_, value)| value.is_string());
            match number.or(text) {
                Some(index) => fields.values_mut().nth(index).unwrap(),
                None => return false,
            }
        }
        value => value,
    };
    *one = match &*one {
        Value::Number(number) => json!(number.as_f64().unwrap() + 1_000_001.0),
        Value::String(text) => json!(format!("{text}x")),
        _ => return false,
    };
    true
}

/// A record that no example writes; it has a key, and what names a window.
fn stranger() -> Value {
    json!({"key": {"mutant": 1}, "value": {
        "mutant": 1, "window_start": "2020-01-01 00:00:00", "window_end": "2020-01-01 00:01:00", "region": "mutant"}})
}

fn has_pattern(record: &Value) -> bool {
    ["$regex", "$any"].iter().any(|word| record.to_string().contains(word))
}

/// All that can be wrong with an example's result, each as a case of its own; with what is added to its script.
fn wrongs(case: &Value) -> Vec<(&'static str, Value, &'static str)> {
    let mut all = Vec::new();
    let mut whole = case.clone();
    let (topic, expectation) = first(&mut whole);
    let mode = expectation
        .get("match")
        .and_then(Value::as_str)
        .unwrap_or("unordered")
        .to_owned();
    let records = expectation["records"].as_array().unwrap().clone();
    let with = |records: Vec<Value>| {
        let mut case = case.clone();
        first(&mut case).1["records"] = Value::Array(records);
        case
    };
    let fed = |record: Value| {
        let mut case = case.clone();
        case["steps"] = json!([{ "feed": { &topic: [record] } }]);
        case
    };
    let mut changed = records.clone();
    if changed.iter_mut().any(change) {
        all.push(("changed", with(changed), ""));
    }
    let mut missing = records.clone();
    missing.push(match records.first() {
        // a line has no other columns
        Some(record) if expectation.contains_key("columns") => {
            let mut record = record.clone();
            assert!(change(&mut record));
            record
        }
        _ => stranger(),
    });
    all.push(("missing", with(missing), ""));
    if mode != "contains" {
        let mut surplus = records.clone();
        // values of a matrix have to be used
        if surplus.pop().is_some() && case.get("matrix").is_none() {
            all.push(("surplus", with(surplus), ""));
        }
        all.push(("fed", fed(stranger()), ""));
    }
    if mode == "unordered" || mode == "ordered" {
        let doubled = records.iter().find(|record| !has_pattern(record)).cloned();
        if let Some(mut doubled) = doubled {
            if doubled.get("repeat").is_some() {
                doubled["repeat"] = json!(1);
            }
            all.push(("doubled", fed(doubled), ""));
        }
    }
    if mode == "ordered" && records.len() > 1 {
        let mut swapped = records.clone();
        swapped.swap(0, 1);
        all.push(("swapped", with(swapped), ""));
    }
    all.push(("failing", case.clone(), FAILS));
    all
}

/// Writes a case with its files into a folder of its own.
fn write(dir: &Path, example: &Example, what: &str, case: &Value, more: &str) {
    let folder = dir.join(format!("{}-{what}", example.name));
    std::fs::create_dir_all(&folder).unwrap();
    let sql = case["sql"].as_str().unwrap();
    let script = std::fs::read_to_string(example.folder.join(sql)).unwrap();
    let before = if more.is_empty() {
        ""
    } else {
        "SET 'restart-strategy.type' = 'none';\n"
    };
    std::fs::write(folder.join(sql), format!("{before}{script}{more}")).unwrap();
    for part in ["given", "expect"] {
        for topic in case[part].as_object().into_iter().flat_map(Map::values) {
            if let Some(file) = topic.get("file").and_then(Value::as_str) {
                std::fs::copy(example.folder.join(file), folder.join(file)).unwrap();
            }
        }
    }
    let text = serde_json::to_string_pretty(case).unwrap();
    std::fs::write(folder.join(format!("{}-{what}.test.yaml", example.name)), text).unwrap();
}

#[test]
#[ignore = "needs a real Docker engine, and some minutes"]
fn whatever_is_wrong_with_a_result_turns_its_case_red() {
    dev(&["up"]).ends_with(0);
    let (dir, examples) = (tempfile::tempdir().unwrap(), examples());
    assert!(examples.len() >= 20, "{}", examples.len());
    let mut wrong = 0;
    for example in &examples {
        write(dir.path(), example, "control", &example.case, "");
        let all = wrongs(&example.case);
        assert!(all.len() >= 3, "{}: {}", example.name, all.len());
        wrong += all.len();
        for (what, case, more) in all {
            write(dir.path(), example, what, &case, more);
        }
    }
    let run = dev(&["test", dir.path().to_str().unwrap(), "-o", "json"]).ends_with(1);
    let verdicts: BTreeMap<String, String> = run
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|event| event["event"] == "case_finished")
        .map(|event| (event["case"].to_string(), event["verdict"].as_str().unwrap().to_owned()))
        .collect();
    assert_eq!(verdicts.len(), wrong + examples.len(), "{verdicts:?}");
    let is_well = |(case, verdict): &(&String, &String)| match verdict.as_str() {
        "pass" => case.contains("-control"),
        "fail" => !case.contains("-control"),
        // a job that failed has no result to be compared
        "error" => case.contains("-failing"),
        _ => false,
    };
    let ill: Vec<_> = verdicts.iter().filter(|one| !is_well(one)).collect();
    assert!(
        ill.is_empty(),
        "of {wrong} mutants and {} controls: {ill:#?}",
        examples.len()
    );
    println!(
        "{wrong} mutants of {} examples are red, all controls green",
        examples.len()
    );
}
