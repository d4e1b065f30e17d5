//! Jars that are right, wrong, and made to do harm.

use std::path::Path;

use proptest::prelude::*;

use super::testing::{class, connector, jar};
use super::{Jar, Target, check, read};
use crate::diag::{Failure, Reason};

fn target() -> Target {
    Target {
        image: "flink:2.2.1-java17".to_owned(),
        java: Some(17),
        flink: Some("2.2.1".to_owned()),
    }
}

fn app(dir: &Path, entries: &[(&str, Vec<u8>)]) -> Jar {
    read(&jar(dir, "app.jar", entries)).unwrap()
}

/// The failure without the folder of the test.
fn told(failure: &Failure, dir: &Path) -> String {
    let detail = failure.detail();
    let lines: Vec<_> = std::iter::once(format!("{}: {failure}", failure.id().entry().id))
        .chain(detail.evidence.iter().map(|e| format!("| {e}")))
        .chain(detail.next.iter().map(|n| format!("next: {n}")))
        .collect();
    lines.join("\n").replace(&format!("{}/", dir.display()), "")
}

#[test]
fn a_good_jar_is_read_and_runs() {
    let dir = tempfile::tempdir().unwrap();
    let jar = app(
        dir.path(),
        &[
            ("META-INF/MANIFEST.MF", b"Main-Class: com.acme.Job\n".to_vec()),
            ("com/acme/Job.class", class(17)),
            ("com/acme/Job$1.class", class(17)),
            // for newer Javas alone: an older one does not see it
            ("META-INF/versions/21/com/acme/Job.class", class(21)),
            ("module-info.class", class(21)),
            ("readme.class", b"no class".to_vec()),
        ],
    );
    assert_eq!(
        jar.classes.keys().collect::<Vec<_>>(),
        ["com.acme.Job", "com.acme.Job$1"]
    );
    let checked = check(&[jar], None, &target(), &[]).unwrap();
    assert_eq!(checked.main_class.as_deref(), Some("com.acme.Job"));
    assert_eq!(checked.notes, [""; 0]);
}

#[test]
fn a_class_that_is_not_there_has_its_nearest() {
    let dir = tempfile::tempdir().unwrap();
    let classes = [
        ("com/acme/OrdersJob.class", class(17)),
        ("com/acme/OrdersJob$1.class", class(17)),
    ];
    let jar = app(dir.path(), &classes);
    let wrong = |main: &str| check(std::slice::from_ref(&jar), Some(main), &target(), &[]).unwrap_err();
    insta::assert_snapshot!(told(&wrong("com.acme.OrderJob"), dir.path()), @r"
    JAR_INVALID: app.jar has no class com.acme.OrderJob
    | --main names it; classes in the jar: 2
    next: --main com.acme.OrdersJob
    ");
    // without its package
    assert_eq!(wrong("OrdersJob").next_steps(), ["--main com.acme.OrdersJob"]);
    assert_eq!(wrong("com/acme/OrdersJob").next_steps(), ["--main com.acme.OrdersJob"]);
    assert!(wrong("io.x.Qqqqqqqqq").detail().evidence[1].contains("for example: com.acme.OrdersJob"));
    assert_eq!(check(&[jar], None, &target(), &[]).unwrap().main_class, None);
}

#[test]
fn a_class_for_a_newer_java_is_told_with_the_cure() {
    let dir = tempfile::tempdir().unwrap();
    let jar = app(
        dir.path(),
        &[("com/acme/Job.class", class(21)), ("com/acme/Old.class", class(8))],
    );
    let failure = check(&[jar], Some("com.acme.Job"), &target(), &[]).unwrap_err();
    insta::assert_snapshot!(told(&failure, dir.path()), @r"
    JAR_INVALID: app.jar is compiled for Java 21 (class file 65), and flink:2.2.1-java17 has Java 17
    | class com.acme.Job; 1 of 2 classes
    next: compile for Java 17: <maven.compiler.release>17</maven.compiler.release> (Maven), options.release = 17 (Gradle), --release 17 (javac)
    next: a base with Java 21: --base IMAGE
    ");
}

#[test]
fn a_few_foreign_classes_for_a_newer_java_are_a_note() {
    let dir = tempfile::tempdir().unwrap();
    let jar = app(
        dir.path(),
        &[
            ("com/acme/Job.class", class(17)),
            ("com/acme/A.class", class(17)),
            ("org/other/Vector.class", class(21)),
        ],
    );
    let checked = check(std::slice::from_ref(&jar), Some("com.acme.Job"), &target(), &[]).unwrap();
    assert!(
        checked.notes[0].contains("1 of 3 classes are for a newer Java"),
        "{:?}",
        checked.notes
    );
    let unknown = Target { java: None, ..target() };
    assert_eq!(check(&[jar], None, &unknown, &[]).unwrap().notes, [""; 0]);
}

#[test]
fn two_connectors_that_clash_are_both_named() {
    let dir = tempfile::tempdir().unwrap();
    let factory = "org.apache.flink.streaming.connectors.kafka.table.KafkaDynamicTableFactory";
    let fat = read(&connector(
        dir.path(),
        "flink-sql-connector-kafka",
        "5.0.0-2.2",
        factory,
    ))
    .unwrap();
    let thin = read(&connector(dir.path(), "flink-connector-kafka", "5.0.0-2.2", factory)).unwrap();
    let failure = check(&[fat.clone(), thin], None, &target(), &[]).unwrap_err();
    insta::assert_snapshot!(told(&failure, dir.path()), @r"
    CONNECTOR_INVALID: flink-sql-connector-kafka-5.0.0-2.2.jar and flink-connector-kafka-5.0.0-2.2.jar clash: both bring the connector org.apache.flink.streaming.connectors.kafka.table.KafkaDynamicTableFactory
    | flink-sql-connector-kafka-5.0.0-2.2.jar: flink-sql-connector-kafka 5.0.0-2.2
    | flink-connector-kafka-5.0.0-2.2.jar: flink-connector-kafka 5.0.0-2.2
    next: keep one of the two: the fat one (flink-sql-connector-…) for SQL, or the one in your own jar
    ");
    let twice = check(&[fat.clone(), fat.clone()], None, &target(), &[]).unwrap();
    assert!(twice.notes[0].contains("the same connector twice"), "{:?}", twice.notes);
    // a connector of one factory, in two versions of it
    let one = read(&connector(dir.path(), "flink-connector-x", "1.0.0-2.2", "a.One")).unwrap();
    let two = read(&connector(dir.path(), "flink-connector-x", "1.1.0-2.2", "a.Two")).unwrap();
    let failure = check(&[one, two], None, &target(), &[]).unwrap_err();
    assert_eq!(
        failure.to_string(),
        "flink-connector-x is there in two versions: 1.0.0-2.2 and 1.1.0-2.2"
    );
}

#[test]
fn a_connector_that_the_image_has_in_another_version_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let factory = "org.apache.flink.x.Factory";
    let own = read(&connector(dir.path(), "flink-connector-x", "1.0.0-2.2", factory)).unwrap();
    let image = |version: &str| vec![read(&connector(dir.path(), "flink-sql-connector-x", version, factory)).unwrap()];
    let failure = check(std::slice::from_ref(&own), None, &target(), &image("1.1.0-2.2")).unwrap_err();
    insta::assert_snapshot!(told(&failure, dir.path()), @r"
    CONNECTOR_INVALID: flink-connector-x-1.0.0-2.2.jar brings a connector that flink:2.2.1-java17 has in another version, which is loaded first
    | flink-connector-x-1.0.0-2.2.jar: flink-connector-x 1.0.0-2.2
    | in the image, flink-sql-connector-x-1.1.0-2.2.jar: flink-sql-connector-x 1.1.0-2.2
    next: leave it out of flink-connector-x-1.0.0-2.2.jar (scope `provided`), or take the version of the image
    next: a base without it: --base IMAGE
    ");
    let checked = check(std::slice::from_ref(&own), None, &target(), &image("1.0.0-2.2")).unwrap();
    assert!(checked.notes[0].contains("has already"), "{:?}", checked.notes);
    let other = vec![read(&connector(dir.path(), "flink-connector-y", "9.0.0-2.2", "a.Y")).unwrap()];
    assert_eq!(check(&[own], None, &target(), &other).unwrap().notes, [""; 0]);
}

#[test]
fn a_connector_for_another_flink_names_the_right_one() {
    let dir = tempfile::tempdir().unwrap();
    let old = read(&connector(dir.path(), "flink-sql-connector-kafka", "3.4.0-1.20", "a.K")).unwrap();
    let failure = check(&[old], None, &target(), &[]).unwrap_err();
    insta::assert_snapshot!(told(&failure, dir.path()), @r"
    CONNECTOR_INVALID: flink-sql-connector-kafka-3.4.0-1.20.jar holds flink-sql-connector-kafka 3.4.0-1.20, made for Flink 1.20, and flink:2.2.1-java17 has Flink 2.2
    next: take flink-sql-connector-kafka 5.0.0-2.2
    ");
    // shaded without Maven's files: the name tells
    let bare = jar(
        dir.path(),
        "flink-sql-connector-kafka-4.0.1-2.0.jar",
        &[("a/B.class", class(11))],
    );
    let failure = check(&[read(&bare).unwrap()], None, &target(), &[]).unwrap_err();
    assert_eq!(failure.next_steps(), ["take flink-sql-connector-kafka 5.0.0-2.2"]);
    // one that nobody knows: an earlier minor of the same major is a note
    let other = read(&connector(dir.path(), "flink-connector-x", "1.0.0-2.0", "a.X")).unwrap();
    let checked = check(&[other], None, &target(), &[]).unwrap();
    assert!(
        checked.notes[0].contains("made for Flink 2.0, not for 2.2"),
        "{:?}",
        checked.notes
    );
}

#[test]
fn flink_itself_in_a_jar_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let with = |version: &str| {
        let properties = format!("artifactId=flink-streaming-java\ngroupId=org.apache.flink\nversion={version}\n");
        app(
            dir.path(),
            &[
                ("a/Job.class", class(17)),
                (
                    "META-INF/maven/org.apache.flink/flink-streaming-java/pom.properties",
                    properties.into_bytes(),
                ),
            ],
        )
    };
    let failure = check(&[with("1.20.4")], None, &target(), &[]).unwrap_err();
    assert_eq!(failure.id(), Reason::ConnectorInvalid);
    assert!(failure.to_string().contains("brings Flink 1.20.4 along"), "{failure}");
    let checked = check(&[with("2.2.0")], None, &target(), &[]).unwrap();
    assert!(checked.notes[0].contains("scope `provided`"), "{:?}", checked.notes);
}

#[test]
fn what_is_no_jar_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        fs_err::write(&path, bytes).unwrap();
        path
    };
    let wrong = |path: &Path| read(path).unwrap_err();
    assert_eq!(wrong(&dir.path().join("none.jar")).id(), Reason::FileUnreadable);
    assert!(wrong(dir.path()).to_string().ends_with("is a folder"));
    assert!(wrong(&file("empty.jar", b"")).to_string().ends_with("is empty"));
    assert!(
        wrong(&file("text.jar", b"<html>404</html>"))
            .to_string()
            .contains("no jar, or cut off")
    );
    let good = jar(
        dir.path(),
        "good.jar",
        &[("a/B.class", class(17)), ("c", vec![7; 5000])],
    );
    let bytes = fs_err::read(&good).unwrap();
    for cut in [bytes.len() - 1, bytes.len() / 2, 30, 4] {
        assert_eq!(wrong(&file("cut.jar", &bytes[..cut])).id(), Reason::JarInvalid, "{cut}");
    }
}

#[test]
fn names_that_lead_out_of_the_jar_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["../../etc/cron.d/x", "/etc/passwd", "a/../../b"] {
        let path = jar(dir.path(), "evil.jar", &[(name, Vec::new())]);
        let failure = read(&path).unwrap_err();
        assert_eq!(failure.id(), Reason::JarInvalid, "{name}");
        assert!(failure.detail().evidence[0].contains(name), "{name}");
    }
    let path = dir.path().join("link.jar");
    let mut zip = zip::ZipWriter::new(fs_err::File::create(&path).unwrap());
    zip.add_symlink("lib/x", "/etc/passwd", zip::write::SimpleFileOptions::default())
        .unwrap();
    zip.finish().unwrap();
    assert_eq!(read(&path).unwrap_err().id(), Reason::JarInvalid);
}

#[test]
fn a_bomb_is_refused_before_it_is_unpacked() {
    let dir = tempfile::tempdir().unwrap();
    let path = jar(dir.path(), "bomb.jar", &[("zeros", vec![0; 20 << 20])]);
    // the size that an entry claims is all that is looked at: it is raised to 3 GiB in both of its records
    let mut bytes = fs_err::read(&path).unwrap();
    let (real, claimed) = ((20u32 << 20).to_le_bytes(), (3u32 << 30).to_le_bytes());
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(4).position(|four| four == real) {
        at += found;
        bytes[at..at + 4].copy_from_slice(&claimed);
    }
    fs_err::write(&path, bytes).unwrap();
    let failure = read(&path).unwrap_err();
    assert!(failure.to_string().contains("made to fill a disk"), "{failure}");
    // a text that is read is bounded too
    let path = jar(
        dir.path(),
        "manifest.jar",
        &[("META-INF/MANIFEST.MF", vec![b' '; 2 << 20])],
    );
    assert!(read(&path).unwrap_err().detail().evidence[0].contains("longer than"));
}

proptest! {
    /// Whatever is in the file, an answer comes: no panic, no endless reading.
    #[test]
    fn broken_jars_are_refused_or_read(position in 0usize..2000, value: u8, cut in 0usize..2000) {
        let dir = tempfile::tempdir().unwrap();
        let path = jar(dir.path(), "a.jar", &[
            ("META-INF/MANIFEST.MF", b"Main-Class: a.B\n".to_vec()),
            ("a/B.class", class(17)),
            ("META-INF/services/org.apache.flink.table.factories.Factory", b"a.F\n".to_vec()),
        ]);
        let mut bytes = fs_err::read(&path).unwrap();
        let at = position % bytes.len();
        bytes[at] = value;
        bytes.truncate(bytes.len() - cut % bytes.len());
        fs_err::write(&path, &bytes).unwrap();
        if let Err(failure) = read(&path) {
            prop_assert_eq!(failure.id(), Reason::JarInvalid);
        }
    }
}
