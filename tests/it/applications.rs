//! What is typed wrong for an image or a watch is found before an engine is asked: there is none in these worlds.

use crate::dev::World;

#[track_caller]
fn refused(world: &World, args: &[&str], code: i32, words: &[&str]) {
    let run = world.run(args);
    assert_eq!(run.code, Some(code), "{args:?}: {}", run.stderr);
    for word in words {
        assert!(run.stderr.contains(word), "{args:?} lacks `{word}`:\n{}", run.stderr);
    }
    assert_eq!(run.stdout, "");
}

#[test]
fn scripts_of_an_image_are_read_first() {
    let world = World::new();
    world.write("good.sql", "INSERT INTO b SELECT 1;\n");
    world.write("bad.sql", "INSERT INTO b SELECT 1;\n  SELECT 2;\n");
    refused(
        &world,
        &["image", "build", "--sql", "good.sql", "bad.sql"],
        23,
        &["error[SQL_INVALID]", "bad.sql:2:3"],
    );
    refused(
        &world,
        &["image", "build", "--sql", "none.sql"],
        20,
        &["error[FILE_UNREADABLE]", "none.sql"],
    );
    refused(&world, &["image", "build", "--python", "none.py"], 20, &["none.py"]);
    // what is right goes on to the engine
    refused(
        &world,
        &["image", "build", "--sql", "good.sql"],
        40,
        &["error[ENGINE_UNREACHABLE]"],
    );
}

#[test]
fn a_folder_without_a_project_is_told_with_the_one_beside_it() {
    let world = World::new();
    world.write("work/app/pom.xml", "<project/>");
    world.write("work/docs/x.md", "");
    refused(
        &world,
        &["image", "build", "--project", "work"],
        28,
        &["error[PROJECT_INVALID]", "no pom.xml", "work/app"],
    );
    refused(&world, &["image", "build", "--project", "nowhere"], 20, &["nowhere"]);
}

#[test]
fn sources_of_an_image_exclude_each_other() {
    let world = World::new();
    for args in [
        &["image", "build"][..],
        &["image", "build", "--jar", "a.jar", "--project", "."],
        &["image", "build", "--sql", "a.sql", "--main", "a.B"],
        &["watch"],
        &["watch", "--jar", "a.jar"],
        &["watch", "a.sql", "--jar", "a.jar", "--deployment", "x"],
    ] {
        let run = world.run(args);
        assert_eq!(run.code, Some(2), "{args:?}: {}", run.stderr);
    }
}
