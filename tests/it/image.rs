//! What is typed wrong for `dev image` is found before the engine is asked: none can be reached here.

use crate::dev::{Run, World};

fn build(args: &[&str]) -> Run {
    let world = World::new();
    world.write("text.jar", "no jar");
    world.run(&[&["image", "build"], args].concat())
}

fn expect(run: &Run, code: i32, parts: &[&str]) {
    assert_eq!(run.code, Some(code), "{}", run.stderr);
    for part in parts {
        assert!(run.stderr.contains(part), "`{part}` is not in:\n{}", run.stderr);
    }
}

#[test]
fn a_jar_has_to_be_named_and_there() {
    expect(&build(&[]), 2, &["--jar"]);
    expect(
        &build(&["--jar", "none.jar"]),
        20,
        &["FILE_UNREADABLE", "$DIR/none.jar"],
    );
    expect(&build(&["--jar", "."]), 20, &["FILE_UNREADABLE"]);
    expect(&build(&["--jar", "text.jar", "--lib", "none.jar"]), 20, &["none.jar"]);
}

#[test]
fn a_name_has_no_tag_and_no_capitals() {
    for (name, why) in [
        ("orders:1", "its tag comes from its content"),
        ("Orders", "small letters"),
    ] {
        expect(&build(&["--jar", "text.jar", "--name", name]), 2, &["USAGE", name, why]);
    }
}

#[test]
fn options_that_contradict_each_other_are_errors() {
    expect(
        &build(&["--jar", "text.jar", "--no-load", "--node", "x"]),
        2,
        &["--no-load"],
    );
    expect(
        &build(&["--jar", "text.jar", "--into", "plugins"]),
        2,
        &["usrlib", "lib"],
    );
    let world = World::new();
    expect(&world.run(&["image", "load"]), 2, &["IMAGE"]);
}

#[test]
fn without_an_engine_it_says_so() {
    let world = World::new();
    expect(&world.run(&["image", "load", "x:1"]), 40, &["ENGINE_UNREACHABLE"]);
}
