//! What is written comes back, and what is wrong is told with its place.

use bytes::Bytes;
use proptest::prelude::*;

use super::{Form, LineError, Records, json_line};
use crate::kafka::{Incoming, Outgoing};

fn read(text: &str, form: Form, key: Option<&str>) -> Result<Vec<Outgoing>, LineError> {
    Records::new(text.as_bytes(), form, key)
        .map(|r| r.map(|(_, record)| record))
        .collect()
}

/// Key and value as text.
fn shown(record: &Outgoing) -> (Option<&'static str>, Option<&'static str>) {
    let text = |bytes: &Option<Bytes>| -> Option<&'static str> {
        let text = String::from_utf8(bytes.as_ref()?.to_vec()).unwrap();
        Some(text.leak())
    };
    (text(&record.key), text(&record.value))
}

#[test]
fn the_long_form_is_told_from_a_value_and_spelling_is_kept() {
    let text = "\u{feff}{\"key\": \"a\", \"value\": {\"x\": 1.50, \"big\": 12345678901234567890123}}\r\n\n\
                {\"key\": {\"r\": \"EU\"}, \"value\": null}\n{\"id\": 1, \"value\": 2}\n\"text\"\nnull\n{\"key\":17,\"value\":1}";
    let records = read(text, Form::Json, None).unwrap();
    let seen: Vec<_> = records.iter().map(shown).collect();
    assert_eq!(
        seen,
        [
            (Some("a"), Some(r#"{"x": 1.50, "big": 12345678901234567890123}"#)),
            (Some(r#"{"r": "EU"}"#), None),
            (None, Some(r#"{"id": 1, "value": 2}"#)),
            (None, Some("\"text\"")),
            (None, None),
            (Some("17"), Some("1")),
        ]
    );
    let full =
        r#"{"value":1,"timestamp":"2026-11-25T14:00:00Z","partition":3,"headers":{"a":"b","n":null,"x":1},"offset":9}"#;
    let record = &read(full, Form::Json, None).unwrap()[0];
    assert_eq!((record.timestamp, record.partition), (Some(1_795_615_200_000), Some(3)));
    assert_eq!(
        record.headers,
        [
            ("a".to_owned(), Some(Bytes::from("b"))),
            ("n".to_owned(), None),
            ("x".to_owned(), Some(Bytes::from("1")))
        ]
    );
}

#[test]
fn a_bad_line_has_its_place() {
    let at = |text: &str, form| {
        let error = read(text, form, None).unwrap_err();
        (error.line, error.column, error.message)
    };
    let (line, column, message) = at("{\"a\": 1}\r\n\n{\"ä\": 1,, \"b\": 2}\n", Form::Json);
    assert_eq!((line, column), (3, 9));
    assert!(message.contains("key must be a string"), "{message}");
    assert_eq!(at("1\n{\"value\":1,\"partition\":-1}", Form::Json).1, 24);
    assert!(
        at("{\"value\":1,\"timestamp\":\"noon\"}", Form::Json)
            .2
            .contains("noon")
    );
    assert!(at("{\"value\":1,\"value_text\":\"x\"}", Form::Json).2.contains("twice"));
    assert_eq!(at("a,b\n1,2\n3\n", Form::Csv).0, 3);
    assert!(at("a,a\n", Form::Csv).2.contains("twice"));
    assert!(at("", Form::Csv).2.contains("header"));
    let bad = Records::new(&b"ok\n\xc3\xa9\xff"[..], Form::Plain, None)
        .last()
        .unwrap()
        .unwrap_err();
    assert_eq!((bad.line, bad.column), (2, 2));
}

#[test]
fn keys_come_out_of_values() {
    let keys = |text: &str, form| {
        let records = read(text, form, Some("id")).unwrap();
        records.iter().map(|r| shown(r).0).collect::<Vec<_>>()
    };
    assert_eq!(
        keys(
            "{\"id\": \"a\"}\n{\"id\": 1.0}\n{\"id\":null}\n{\"key\":\"k\",\"value\":2}",
            Form::Json
        ),
        [Some("a"), Some("1.0"), None, Some("k")]
    );
    assert_eq!(keys("id,x\n7,8\n\"7\",9\n", Form::Csv), [Some("7"), Some("7")]);
    assert_eq!(keys("{\"id\":\"p\"}", Form::Plain), [Some("p")]);
    let wrong = |text: &str, form| read(text, form, Some("id")).unwrap_err().message;
    assert!(wrong("{\"Id\": 1}", Form::Json).contains("did you mean `Id`?"));
    assert!(wrong("text", Form::Plain).contains("no JSON object"));
}

#[test]
fn csv_rows_are_objects() {
    let records = read("id,name,ok,x\n1,a b,true,\n\"1\",\"x, y\",no,1e3\n", Form::Csv, None).unwrap();
    let values: Vec<_> = records.iter().map(|r| shown(r).1.unwrap()).collect();
    assert_eq!(
        values,
        [
            r#"{"id":1,"name":"a b","ok":true,"x":null}"#,
            r#"{"id":"1","name":"x, y","ok":"no","x":1e3}"#
        ]
    );
}

fn bytes() -> impl Strategy<Value = Option<Bytes>> {
    let some = prop_oneof![
        any::<String>().prop_map(Bytes::from),
        any::<Vec<u8>>().prop_map(Bytes::from),
        prop_oneof![
            Just("null"),
            Just("{\"a\": 1.50}"),
            Just(" 1"),
            Just("[1,\n2]"),
            Just("\"x\""),
            Just(""),
            Just("17")
        ]
        .prop_map(Bytes::from),
    ];
    prop::option::of(some)
}

proptest! {
    #[test]
    fn every_record_comes_back_byte_for_byte(
        key in bytes(), value in bytes(), headers in prop::collection::vec(("[ab]{0,2}", bytes()), 0..4),
        timestamp in 0..i64::MAX, partition in 0..100i32, offset: i64
    ) {
        let record = Incoming { partition, offset, timestamp, key, value, headers };
        let line = json_line(&record);
        prop_assert!(!line.contains('\n') && !line.contains('\r'));
        let back = read(&line, Form::Json, None).unwrap();
        prop_assert_eq!(back.len(), 1);
        let Incoming { key, value, headers, .. } = record;
        let wanted = Outgoing { key, value, headers, timestamp: Some(timestamp), partition: Some(partition) };
        prop_assert_eq!(&back[0], &wanted);
    }
}
