//! The corpus of broken cases, through the built program: each error with its place, all of them at once, and no engine
//! is asked for anything.

use std::path::Path;

use serde_json::Value;

use crate::dev::World;

/// Least number of broken cases.
const LEAST: usize = 40;

/// Copies the corpus, so that errors name files of the current folder.
fn corpus(world: &World) -> Vec<String> {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/bad");
    let mut cases = Vec::new();
    for folder in ["", "sql"] {
        for entry in std::fs::read_dir(from.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_file() {
                let copy = world.path(folder).join(name);
                std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
                std::fs::copy(&path, copy).unwrap();
            }
            if name.ends_with(".test.yaml") {
                cases.push(name.to_owned());
            }
        }
    }
    cases.sort();
    cases
}

/// The errors as `ID file:line:column: message`.
fn errors(stdout: &str) -> Vec<String> {
    let told = |line: &str| {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let failure = &event["failure"];
        let place = &failure["location"];
        assert!(place["line"].as_u64().is_some_and(|n| n > 0), "no place: {line}");
        let file = Path::new(place["file"].as_str().unwrap())
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        let (id, message) = (failure["id"].as_str().unwrap(), failure["message"].as_str().unwrap());
        format!("{id} {file}:{}:{}: {message}", place["line"], place["column"])
    };
    stdout.lines().map(told).collect()
}

#[test]
fn every_broken_case_is_told_with_its_places_and_nothing_is_started() {
    let world = World::new();
    let cases = corpus(&world);
    assert!(cases.len() >= LEAST, "{}", cases.len());
    let mut report = String::new();
    for case in &cases {
        let run = world.run(&["test", case, "-o", "json"]);
        let errors = errors(&run.stdout);
        assert!(!errors.is_empty(), "{case} was accepted: {}", run.stderr);
        // codes of files, not of the engine, which nobody can reach here
        assert!(
            run.code.is_some_and(|code| (20..30).contains(&code)),
            "{case}: {:?}",
            run.code
        );
        report.push_str(&format!("{case}\n"));
        errors.iter().for_each(|error| report.push_str(&format!("  {error}\n")));
    }
    insta::assert_snapshot!(report);
    // all at once
    let all = world.run(&["test", ".", "-o", "json"]);
    let told = report.lines().filter(|line| line.starts_with("  ")).count();
    assert_eq!(errors(&all.stdout).len(), told);
    assert!(
        all.stderr.contains(&format!("{told} errors; nothing was started")),
        "{}",
        all.stderr
    );
}
