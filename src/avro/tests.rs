use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn schema(of: &Value) -> AvroSchema {
    AvroSchema::parse(&of.to_string()).unwrap()
}

fn record(fields: &Value) -> AvroSchema {
    schema(&json!({"type": "record", "name": "order", "namespace": "shop", "fields": fields}))
}

fn one(of: &Value) -> AvroSchema {
    record(&json!([{"name": "v", "type": of}]))
}

/// What becomes of a value on its way there and back.
fn way(of: &Value, value: &Value) -> Result<Value, String> {
    let schema = one(of);
    let bytes = schema.encode(&json!({"v": value}).into())?;
    let Json::Map(fields) = schema.decode(&bytes)? else {
        panic!("a record")
    };
    Ok(serde_json::from_str(&fields[0].1.to_string()).unwrap())
}

fn logical(of: &str, logical: &str) -> Value {
    json!({"type": of, "logicalType": logical})
}

#[test]
fn bytes_are_those_of_the_specification() {
    // https://avro.apache.org/docs/1.12.0/specification/#schema-record: a long 27, a string foo
    let schema = record(&json!([{"name": "a", "type": "long"}, {"name": "b", "type": "string"}]));
    let value = json!({"b": "foo", "a": 27});
    assert_eq!(schema.encode(&value.clone().into()).unwrap(), b"\x36\x06foo");
    assert_eq!(schema.decode(b"\x36\x06foo").unwrap(), value);
    // what Flink makes of a column that may be NULL
    let nullable = one(&json!(["null", "string"]));
    assert_eq!(nullable.encode(&json!({"v": "a"}).into()).unwrap(), b"\x02\x02a");
    assert_eq!(nullable.encode(&json!({"v": null}).into()).unwrap(), b"\x00");
    assert_eq!(nullable.encode(&json!({}).into()).unwrap(), b"\x00", "not named: NULL");
}

#[test]
fn every_type_goes_there_and_back() {
    let decimal = json!({"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 18});
    let fixed = json!({"type": {"type": "fixed", "name": "d", "size": 8}, "logicalType": "decimal", "precision": 10, "scale": 2});
    for (of, value) in [
        (json!("boolean"), json!(true)),
        (json!("int"), json!(-7)),
        (json!("long"), json!(i64::MAX)),
        (json!("double"), json!(0.1)),
        (json!("float"), json!(0.1)),
        (json!("double"), json!("NaN")),
        (json!("bytes"), json!({"$hex": "ff00"})),
        (json!("bytes"), json!("as text")),
        (json!({"type": "fixed", "name": "f", "size": 2}), json!("ab")),
        (json!({"type": "enum", "name": "e", "symbols": ["A", "B"]}), json!("B")),
        (json!({"type": "array", "items": ["null", "int"]}), json!([1, null])),
        (json!({"type": "map", "values": "int"}), json!({"a": 1, "b": 2})),
        (json!(["null", "long", "string"]), json!("x")),
        (logical("string", "uuid"), json!("67e55044-10b1-426f-9247-bb680e5fe0c8")),
        (logical("int", "date"), json!("1969-12-31")),
        (logical("int", "time-millis"), json!("10:00:00.5")),
        (logical("long", "time-micros"), json!("23:59:59.999999")),
        (logical("long", "timestamp-millis"), json!("2026-01-31 10:00:00.123")),
        (logical("long", "timestamp-micros"), json!("1969-12-31 23:59:59.999999")),
        (logical("long", "local-timestamp-millis"), json!("2026-01-31 10:00:00")),
        (
            logical("long", "local-timestamp-micros"),
            json!("2026-01-31 10:00:00.000001"),
        ),
        (fixed, json!(-12.5)),
    ] {
        assert_eq!(way(&of, &value).as_ref(), Ok(&value), "{of}");
    }
    let exact: Json = Json::parse(r#"{"v":12345678901234567890.123456789012345678}"#).unwrap();
    let schema = one(&decimal);
    assert_eq!(schema.decode(&schema.encode(&exact).unwrap()).unwrap(), exact);
    assert_eq!(
        way(
            &logical("long", "timestamp-millis"),
            &json!("2026-01-31T10:00:00+02:00")
        ),
        Ok(json!("2026-01-31 08:00:00"))
    );
    assert_eq!(
        way(&logical("long", "timestamp-millis"), &json!(1500)),
        Ok(json!("1970-01-01 00:00:01.5"))
    );
    assert_eq!(way(&logical("int", "date"), &json!(1)), Ok(json!("1970-01-02")));
}

#[test]
fn named_types_are_found_in_their_namespace() {
    let schema = record(&json!([
        {"name": "from", "type": {"type": "record", "name": "place", "fields": [{"name": "city", "type": "string"}]}},
        {"name": "to", "type": "place"},
        {"name": "next", "type": ["null", "order"], "default": null},
    ]));
    let value = json!({"from": {"city": "A"}, "to": {"city": "B"}, "next": {"from": {"city": "B"}, "to": {"city": "C"}, "next": null}});
    assert_eq!(
        schema.decode(&schema.encode(&value.clone().into()).unwrap()).unwrap(),
        value
    );
}

#[test]
fn what_does_not_fit_is_told_with_its_field() {
    let decimal = json!({"type": "bytes", "logicalType": "decimal", "precision": 3, "scale": 1});
    let told = |of: Value, value: Value| way(&of, &value).unwrap_err();
    assert_eq!(
        told(json!("int"), json!("x")),
        "field `v`: expected a whole number of 32 bits, found \"x\""
    );
    assert_eq!(
        told(json!("int"), json!(3_000_000_000_i64)),
        "field `v`: expected a whole number of 32 bits, found 3000000000"
    );
    assert_eq!(
        told(json!("string"), json!(null)),
        "field `v`: expected text, found null"
    );
    assert_eq!(
        told(json!(["null", "int"]), json!("x")),
        "field `v`: expected a whole number of 32 bits, found \"x\""
    );
    assert_eq!(
        told(json!(["int", "boolean"]), json!("x")),
        "field `v`: \"x\" is of none of the union's types"
    );
    assert_eq!(
        told(json!({"type": "array", "items": "int"}), json!([1, "x"])),
        "field `v[1]`: expected a whole number of 32 bits, found \"x\""
    );
    assert_eq!(
        told(json!({"type": "enum", "name": "e", "symbols": ["A", "B"]}), json!("C")),
        "field `v`: `C` is none of A, B"
    );
    assert_eq!(
        told(decimal.clone(), json!(1.25)),
        "field `v`: 1.25 has more than 1 digits behind the point"
    );
    assert_eq!(told(decimal, json!(123.4)), "field `v`: 123.4 has more than 3 digits");
    assert_eq!(
        told(logical("int", "date"), json!("31.1.2026")),
        "field `v`: expected a date as `2026-01-31`, found \"31.1.2026\""
    );
    assert_eq!(
        told(logical("long", "timestamp-millis"), json!("2026-01-31 10:00:00.0001")),
        "field `v`: \"2026-01-31 10:00:00.0001\" has more digits than the schema's type holds"
    );
    let schema = record(
        &json!([{"name": "a", "type": "int"}, {"name": "in", "type": {"type": "record", "name": "r", "fields": [{"name": "b", "type": "int"}]}}]),
    );
    let told = |value: Value| schema.encode(&value.into()).unwrap_err();
    assert_eq!(
        told(json!({"a": 1})),
        "field `in`: it is missing, and the schema has no default"
    );
    assert_eq!(
        told(json!({"a": 1, "in": {"b": 1.5}})),
        "field `in.b`: expected a whole number of 32 bits, found 1.5"
    );
    assert_eq!(
        told(json!({"a": 1, "c": 1})),
        "`c` is none of the schema's fields a, in"
    );
    assert_eq!(told(json!([1])), "expected a mapping, found [1]");
}

#[test]
fn bytes_of_something_else_are_told() {
    let schema = one(&json!("int"));
    assert_eq!(
        schema.decode(b"\x02\x02").unwrap_err(),
        "1 bytes are left behind the value"
    );
    assert!(schema.decode(b"").is_err());
    assert!(AvroSchema::parse("{").is_err());
    let unknown = AvroSchema::parse(r#"{"type": "record", "name": "a", "fields": [{"name": "b", "type": "nothing"}]}"#);
    assert!(unknown.unwrap_err().contains("nothing"));
}

#[test]
fn a_value_of_another_schema_is_seen_as_one_of_this() {
    let decimal = json!(["null", {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}]);
    let writer = record(&json!([
        {"name": "id", "type": "long"}, {"name": "customer", "type": ["null", "string"]}, {"name": "tax", "type": decimal},
        {"name": "day", "type": ["null", logical("int", "date")]},
    ]));
    let bytes = writer
        .encode(&json!({"id": 1, "tax": 1.5, "day": "2026-01-31"}).into())
        .unwrap();
    let seen = |fields: &Value| record(fields).decode_from(&writer, &bytes);
    let known = json!([
        {"name": "id", "type": "double"}, {"name": "tax", "type": decimal}, {"name": "day", "type": ["null", "string"]},
        {"name": "customer", "type": ["string", "null"]}, {"name": "more", "type": "string", "default": "none"},
    ]);
    assert_eq!(
        seen(&known).unwrap(),
        json!({"id": 1.0, "tax": 1.50, "day": "2026-01-31", "customer": null, "more": "none"})
    );
    assert!(
        seen(&json!([{"name": "id", "type": "long"}]))
            .unwrap_err()
            .contains("`customer` is none")
    );
}

proptest! {
    #[test]
    fn values_survive(a in any::<i64>(), b in any::<String>(), c in any::<f64>(), d in proptest::option::of(any::<bool>())) {
        prop_assume!(c.is_finite());
        let schema = record(&json!([
            {"name": "a", "type": "long"}, {"name": "b", "type": "string"}, {"name": "c", "type": "double"},
            {"name": "d", "type": ["null", "boolean"]},
        ]));
        let value = Json::from(json!({"a": a, "b": b, "c": c, "d": d}));
        prop_assert_eq!(schema.decode(&schema.encode(&value).unwrap()).unwrap(), value);
    }

    #[test]
    fn no_bytes_bring_it_down(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let schema = record(&json!([
            {"name": "a", "type": ["null", "string", {"type": "array", "items": "bytes"}]},
            {"name": "t", "type": logical("long", "timestamp-millis")}, {"name": "d", "type": logical("int", "date")},
            {"name": "m", "type": {"type": "map", "values": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}}},
        ]));
        let _ = schema.decode(&bytes);
    }
}
