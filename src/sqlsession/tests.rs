//! Tables, answers and errors: pure.

use serde_json::json;

use super::outcome::{columns, error, rows};
use super::{bounded, of_profile, of_script};
use crate::config::TopicTable;

#[test]
fn a_topic_is_offered_as_a_table() {
    let topic = TopicTable {
        name: "orders".to_owned(),
        topic: "orders-1".to_owned(),
        columns: vec!["id INT".to_owned(), "at TIMESTAMP(3)".to_owned()],
        format: "json".to_owned(),
        watermark: Some(("at".to_owned(), "at - INTERVAL '5' SECOND".to_owned())),
        options: [
            ("scan.startup.mode".to_owned(), "latest-offset".to_owned()),
            ("x".to_owned(), "it's".to_owned()),
        ]
        .into(),
    };
    let offered = of_profile(&[topic], "kafka:9092", true);
    insta::assert_snapshot!(offered.script(), @r"
    CREATE TEMPORARY TABLE `orders` (
      `id` INT,
      `at` TIMESTAMP(3),
      WATERMARK FOR `at` AS at - INTERVAL '5' SECOND
    ) WITH (
      'connector' = 'kafka',
      'topic' = 'orders-1',
      'properties.bootstrap.servers' = 'kafka:9092',
      'format' = 'json',
      'scan.bounded.mode' = 'latest-offset',
      'scan.startup.mode' = 'latest-offset',
      'x' = 'it''s'
    );
    ");
    assert_eq!(offered.names, ["orders"]);
}

#[test]
fn of_a_script_only_what_it_creates_is_taken() {
    let script = "SET 'a' = 'b'; CREATE TABLE t (a INT) WITH ('connector' = 'print');\nINSERT INTO t SELECT 1; CREATE VIEW v AS SELECT 1;";
    let taken = of_script(script, true).unwrap();
    assert_eq!(taken.len(), 3);
    assert!(taken[1].starts_with("CREATE TABLE t") && taken[2].starts_with("CREATE VIEW v"));
    assert!(of_script("SELECT 'a", false).is_err());
    let kafka = "create table t (a INT) WITH ('connector' = 'kafka', 'topic' = 'x')";
    let ends =
        "create table t (a INT) WITH ('connector' = 'kafka', 'scan.bounded.mode' = 'latest-offset', 'topic' = 'x')";
    assert_eq!(bounded(kafka), ends);
    assert_eq!(bounded(ends), ends);
    assert_eq!(bounded("SELECT 'connector' = 'kafka'"), "SELECT 'connector' = 'kafka'");
    assert_eq!(of_script(&format!("{kafka};"), false).unwrap(), [kafka]);
}

#[test]
fn rows_have_their_columns_names_and_what_is_taken_back_is_marked() {
    let results = json!({ "columns": [{"name": "EXPR$0", "logicalType": {"type": "INTEGER"}}, {"name": "EXPR$0", "logicalType": {"type": "VARCHAR"}}],
        "data": [{"kind": "INSERT", "fields": [1, "a"]}, {"kind": "UPDATE_BEFORE", "fields": [1, "a"]}] });
    let head = columns(&results);
    assert_eq!((head[0].name.as_str(), head[1].kind.as_str()), ("EXPR$0", "VARCHAR"));
    let rows = rows(&results, &head);
    assert_eq!(
        json!(rows),
        json!([{"EXPR$0": 1, "EXPR$0_": "a"}, {"op": "-U", "EXPR$0": 1, "EXPR$0_": "a"}])
    );
}

#[test]
fn an_error_is_its_deepest_cause_with_the_place_that_any_of_them_tells() {
    let trace = "<Exception on server side:\norg.apache.flink.table.gateway.api.utils.SqlGatewayException: Failed\n\tat a.b(C.java:1)\n\
                 Caused by: org.apache.calcite.runtime.CalciteContextException: From line 1, column 8 to line 1, column 9: Column 'x' not found in any table\n\
                 Caused by: org.apache.calcite.sql.validate.SqlValidatorException: Column 'x' not found in any table\n\tat c.d(E.java:2)\n\nEnd of exception on server side>";
    let (message, place) = error(&json!({ "errors": ["Internal server error.", trace] }));
    assert!(message.ends_with("Column 'x' not found in any table"), "{message}");
    assert_eq!(place, Some((1, 8)));
    let parse = "Caused by: org.apache.flink.sql.parser.impl.ParseException: Encountered \"one\" at line 2, column 13.";
    assert_eq!(error(&json!({ "errors": [parse] })).1, Some((2, 13)));
    assert_eq!(error(&json!({ "errors": ["on this line of reasoning"] })).1, None);
    assert_eq!(error(&json!("no endpoints")), ("no endpoints".to_owned(), None));
}
