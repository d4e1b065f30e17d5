//! What is found before an engine is asked.

use std::path::PathBuf;

use super::{Inputs, Origin, choose_all};
use crate::diag::Reason;
use crate::image::app;
use crate::image::jar::Target;

fn inputs(origin: Origin) -> Inputs {
    Inputs {
        origin,
        main: None,
        libraries: Vec::new(),
        connectors: Vec::new(),
        into: app::Into::Usrlib,
        name: None,
    }
}

#[test]
fn scripts_are_checked_first() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| -> PathBuf {
        let path = dir.path().join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(&path, text).unwrap();
        path
    };
    let good = file(
        "a.sql",
        "CREATE TABLE b (x INT) WITH ('connector' = 'print');\nINSERT INTO b SELECT 1;\n",
    );
    let check = |files: &[&PathBuf]| {
        let files = files.iter().map(|p| (*p).clone()).collect();
        inputs(Origin::Sql(files)).check(dir.path())
    };
    check(&[&good]).unwrap();
    let bad = file("b.sql", "INSERT INTO b SELECT 1;\nSELECT 2;\n");
    let failure = check(&[&good, &bad]).unwrap_err();
    assert_eq!(failure.id(), Reason::SqlInvalid);
    assert!(failure.to_string().starts_with("b.sql:2:1: "), "{failure}");
    let case = file("c.sql", "INSERT INTO b\n SELECT '${topic.a}';\n");
    let failure = check(&[&case]).unwrap_err();
    assert!(
        failure.to_string().starts_with("c.sql:2:10: `${topic.a}` is put in by"),
        "{failure}"
    );
    let twin = file("sub/a.sql", "INSERT INTO b SELECT 1;");
    assert_eq!(check(&[&good, &twin]).unwrap_err().id(), Reason::Usage);
    assert_eq!(
        check(&[&dir.path().join("none.sql")]).unwrap_err().id(),
        Reason::FileUnreadable
    );
    let no_project = inputs(Origin::Project(dir.path().join("sub")));
    assert_eq!(no_project.check(dir.path()).unwrap_err().id(), Reason::ProjectInvalid);
}

#[test]
fn a_base_that_does_not_tell_its_flink_gets_no_connector_by_name() {
    let target = |flink: Option<&str>| Target {
        image: "mine:1".to_owned(),
        java: None,
        flink: flink.map(str::to_owned),
    };
    let asked = ["kafka".to_owned(), "json".to_owned()];
    let failure = choose_all(&asked, &target(None)).unwrap_err();
    assert_eq!(failure.id(), Reason::ConnectorInvalid);
    assert!(failure.to_string().contains("which Flink mine:1 has"), "{failure}");
    assert_eq!(choose_all(&asked, &target(Some("2.2.1"))).unwrap().len(), 2);
}
