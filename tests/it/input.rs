//! What users type wrong is found before anything is created: no engine is reachable here, and the error is still
//! about the file.

use crate::dev::{Run, World};

const SQL: &str = "CREATE TABLE o (a INT) WITH ('connector'='kafka','topic'='${topic.o}');\n\
                   CREATE TABLE t (a INT) WITH ('connector'='kafka','topic'='${topic.t}');\n\
                   INSERT INTO t SELECT a FROM o;\n";
const CASE: &str = "version: 1\nsql: job.sql\ngiven:\n  o:\n    records:\n      - {a: 1}\nexpect:\n  t:\n    match: unordered\n    records:\n      - {a: 1}\n";

fn case(case: &str, sql: Option<&str>) -> Run {
    let world = World::new();
    world.write("x.test.yaml", case);
    if let Some(sql) = sql {
        world.write("job.sql", sql);
    }
    world.run(&["test", "x.test.yaml"])
}

fn profile(text: &str) -> Run {
    let world = World::new();
    world.write("dev.yaml", text);
    world.run(&["up"])
}

fn expect(run: &Run, code: i32, parts: &[&str]) {
    assert_eq!(run.code, Some(code), "{}", run.stderr);
    for part in parts {
        assert!(run.stderr.contains(part), "`{part}` is not in:\n{}", run.stderr);
    }
}

#[test]
fn a_right_case_comes_as_far_as_the_engine() {
    expect(&case(CASE, Some(SQL)), 40, &["ENGINE_UNREACHABLE"]);
}

#[test]
fn unknown_keys_name_their_place_and_the_nearest_right_key() {
    let run = profile("version: 1\nextends: default\noperater:\n  version: 1.16.1\n");
    expect(&run, 21, &["CONFIG_INVALID", "dev.yaml:3:1", "operater", "operator"]);
    let run = case(&CASE.replace("match:", "mach:"), Some(SQL));
    expect(&run, 22, &["CASE_INVALID", "x.test.yaml:9:5", "mach", "match"]);
}

#[test]
fn duplicate_keys_are_errors() {
    let run = profile("version: 1\nkafka:\n  version: 4.1.1\nkafka:\n  port: 9092\n");
    expect(&run, 21, &["dev.yaml:4:1", "kafka"]);
    let run = case(&format!("{CASE}within: 5s\nwithin: 6s\n"), Some(SQL));
    expect(&run, 22, &["x.test.yaml:13:1", "within"]);
}

#[test]
fn versions_that_nobody_knows_are_errors() {
    let run = profile("version: 1\nextends: default\nflink:\n  version: 9.9.9\n");
    expect(&run, 25, &["VERSION_UNKNOWN", "dev.yaml:4", "9.9.9", "2.2.1"]);
}

#[test]
fn a_missing_sql_file_is_an_error_at_its_line() {
    expect(&case(CASE, None), 20, &["FILE_UNREADABLE", "x.test.yaml:2", "job.sql"]);
}

#[test]
fn scripts_that_give_no_job_are_errors() {
    expect(&case(CASE, Some("")), 23, &["SQL_INVALID", "job.sql"]);
    expect(&case(CASE, Some("-- nothing\n")), 23, &["SQL_INVALID", "job.sql"]);
    let run = case(CASE, Some("CREATE TABLE o (a INT);\n  SELECT * FROM o;\n"));
    expect(&run, 23, &["SQL_INVALID", "job.sql:2:3", "SELECT"]);
    let run = case(CASE, Some("INSERT INTO t SELECT 'open FROM o;\n"));
    expect(&run, 23, &["SQL_INVALID", "job.sql:1:22"]);
}

#[test]
fn a_case_that_expects_nothing_is_an_error() {
    let run = case(
        "version: 1\nsql: job.sql\ngiven:\n  o:\n    records:\n      - {a: 1}\n",
        Some(SQL),
    );
    expect(&run, 22, &["CASE_INVALID", "expect"]);
}

#[test]
fn an_invalid_record_names_its_line() {
    let world = World::new();
    world.write(
        "x.test.yaml",
        &CASE.replace("    records:\n      - {a: 1}\nexpect", "    file: in.jsonl\nexpect"),
    );
    world.write("job.sql", SQL);
    world.write("in.jsonl", "{\"a\": 1}\n{\"a\": 2}\n{\"a\": }\n");
    expect(
        &world.run(&["test", "x.test.yaml"]),
        24,
        &["RECORD_INVALID", "in.jsonl:3:7"],
    );
}

#[test]
fn all_errors_of_all_cases_are_told_at_once() {
    let world = World::new();
    world.write("job.sql", SQL);
    world.write(
        "cases/a.test.yaml",
        &CASE
            .replace("sql: job.sql", "sql: ../job.sql")
            .replace("unordered", "sorted"),
    );
    let b = CASE
        .replace("sql: job.sql", "sql: ../job.sql")
        .replace("version: 1\n", "version: 1\ncolour: red\n");
    world.write("cases/b.test.yaml", &b.replace("  o:\n", "  o:\n    partitions: 0\n"));
    let run = world.run(&["test", "cases"]);
    expect(
        &run,
        22,
        &[
            "a.test.yaml:9:12",
            "b.test.yaml:2:1",
            "b.test.yaml:6:17",
            "3 errors; nothing was started",
        ],
    );
    let run = world.run(&["test", "cases", "-o", "json"]);
    assert_eq!(run.stdout.lines().count(), 3, "{}", run.stdout);
}

#[test]
fn cases_are_listed_and_checked_without_an_engine() {
    let world = World::new();
    world.write("job.sql", SQL);
    for (name, tags) in [("orders", "[sql]"), ("joins", "[sql, slow]"), ("windows", "[]")] {
        world.write(&format!("{name}.test.yaml"), &format!("{CASE}tags: {tags}\n"));
    }
    let names = |args: &[&str]| {
        let run = world.run(&[&["test", ".", "--list", "-o", "json"], args].concat());
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let lines = run
            .stdout
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        lines
            .map(|line| line["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&[]), ["joins", "orders", "windows"]);
    assert_eq!(names(&["-k", "o*", "-k", "JOIN"]), ["joins", "orders"]);
    assert_eq!(names(&["--tag", "sql", "--tag", "!slow"]), ["orders"]);
    assert_eq!(names(&["--shard", "2/2"]), ["orders"]);
    let run = world.run(&["test", ".", "--dry-run", "-k", "orders"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(
        run.stdout.contains("topics o, t; 1 records in, 1 expected") && run.stdout.contains("nothing was started"),
        "{}",
        run.stdout
    );
    expect(&world.run(&["test", ".", "-k", "nonsense"]), 22, &["none of 3 cases"]);
    expect(&world.run(&["test", "--rerun-failed"]), 22, &["no case is known"]);
    expect(&world.run(&["test"]), 2, &["PATHS"]);
    expect(
        &world.run(&["test", ".", "--shard", "3/2"]),
        2,
        &["`3/2` is no part of all"],
    );
}

#[test]
fn arguments_of_an_image_are_looked_at_before_the_engine() {
    let world = World::new();
    world.write("app/Dockerfile", "FROM scratch\n");
    let build = |more: &[&str]| world.run(&[&["image", "build", "--file", "app/Dockerfile"], more].concat());
    expect(&build(&["--name", "orders"]), 40, &["ENGINE_UNREACHABLE"]);
    expect(&build(&[]), 2, &["needs a name"]);
    expect(
        &build(&["--name", "orders:latest"]),
        2,
        &["would not be restarted", "--name orders"],
    );
    expect(&build(&["--name", "Orders"]), 2, &["is no name for an image"]);
    expect(&build(&["--name", "orders:a/b"]), 2, &["USAGE"]);
    expect(
        &build(&["--name", "orders", "--build-arg", "VERSION"]),
        2,
        &["the environment has no VERSION"],
    );
    expect(
        &build(&["--name", "orders", "--base", "flink:2"]),
        2,
        &["--base is of no use with --file"],
    );
    expect(
        &build(&["--name", "orders", "--context", "nowhere"]),
        20,
        &["nowhere is no folder"],
    );
    let run = world.run(&["image", "build", "--file", "app/Dokerfile", "--name", "orders"]);
    expect(&run, 20, &["the Dockerfile cannot be read", "--> app/Dokerfile"]);
    let run = world.run(&["image", "build", "--jar", "a.jar", "--target", "jobs"]);
    expect(&run, 2, &["--file"]);
    for command in [["image", "ls"], ["image", "prune"]] {
        expect(&world.run(&command), 40, &["ENGINE_UNREACHABLE"]);
    }
    let capped = World::new().with("FLINK_DEV_CACHE_MAX", "20");
    expect(
        &capped.run(&["image", "prune"]),
        2,
        &["FLINK_DEV_CACHE_MAX=`20` is no size", "20GB"],
    );
}
