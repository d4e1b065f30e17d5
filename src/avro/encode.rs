//! From JSON to Avro, by a schema.

use std::str::FromStr;

use apache_avro::schema::{DecimalSchema, EnumSchema, RecordSchema, UnionSchema};
use apache_avro::types::Value;
use apache_avro::{Decimal, Schema};
use bigdecimal::BigDecimal;

use super::{Scope, Unfit, time};
use crate::config::{Json, bytes};

type Encoded = Result<Value, Unfit>;

/// A value as the schema has it.
pub(super) fn value(json: &Json, schema: &Schema, scope: &Scope<'_>) -> Encoded {
    match schema {
        Schema::Null => match json {
            Json::Null => Ok(Value::Null),
            other => expected("null", other),
        },
        Schema::Boolean => match json {
            Json::Bool(value) => Ok(Value::Boolean(*value)),
            other => expected("true or false", other),
        },
        Schema::Int => whole(json).map(Value::Int),
        Schema::Long => whole(json).map(Value::Long),
        Schema::Float => number(json).map(|number| Value::Float(number as f32)),
        Schema::Double => number(json).map(Value::Double),
        Schema::Bytes => octets(json).map(Value::Bytes),
        Schema::Fixed(fixed) => {
            let octets = octets(json)?;
            if octets.len() != fixed.size {
                return unfit(format!("expected {} bytes, found {}", fixed.size, octets.len()));
            }
            Ok(Value::Fixed(fixed.size, octets))
        }
        Schema::String => text(json, "text").map(|text| Value::String(text.to_owned())),
        Schema::Uuid => {
            let text = text(json, "a UUID as text")?;
            let uuid = Value::String(text.to_owned()).resolve(&Schema::Uuid);
            uuid.map_err(|_| Unfit::new(format!("`{text}` is no UUID")))
        }
        Schema::Enum(symbols) => symbol(json, symbols),
        Schema::Array(array) => match json {
            Json::List(items) => {
                let item = |(at, item)| value(item, &array.items, scope).map_err(|e| e.inside(&format!("[{at}]")));
                items
                    .iter()
                    .enumerate()
                    .map(item)
                    .collect::<Result<_, _>>()
                    .map(Value::Array)
            }
            other => expected("a list", other),
        },
        Schema::Map(map) => match json {
            Json::Map(fields) => {
                let field = |(name, field): &(String, Json)| {
                    let field = value(field, &map.types, scope).map_err(|e| e.inside(name))?;
                    Ok((name.clone(), field))
                };
                fields.iter().map(field).collect::<Result<_, _>>().map(Value::Map)
            }
            other => expected("a mapping", other),
        },
        Schema::Union(union) => one_of(json, union, scope),
        Schema::Record(schema) => record(json, schema, scope),
        Schema::Ref { name } => match scope.named(name) {
            Some(schema) => value(json, schema, scope),
            None => unfit(format!("the schema does not define `{name}`")),
        },
        Schema::Decimal(schema) => decimal(json, schema),
        Schema::BigDecimal => big_decimal(json).map(Value::BigDecimal),
        Schema::Duration => unfit("Avro's `duration` is not supported"),
        Schema::Date => time::date(json).map(Value::Date),
        Schema::TimeMillis => time::of_day(json, time::MILLIS).map(|n| Value::TimeMillis(n as i32)),
        Schema::TimeMicros => time::of_day(json, time::MICROS).map(Value::TimeMicros),
        Schema::TimestampMillis => time::instant(json, time::MILLIS).map(Value::TimestampMillis),
        Schema::TimestampMicros => time::instant(json, time::MICROS).map(Value::TimestampMicros),
        Schema::TimestampNanos => time::instant(json, time::NANOS).map(Value::TimestampNanos),
        Schema::LocalTimestampMillis => time::instant(json, time::MILLIS).map(Value::LocalTimestampMillis),
        Schema::LocalTimestampMicros => time::instant(json, time::MICROS).map(Value::LocalTimestampMicros),
        Schema::LocalTimestampNanos => time::instant(json, time::NANOS).map(Value::LocalTimestampNanos),
    }
}

fn unfit<T>(why: impl Into<String>) -> Result<T, Unfit> {
    Err(Unfit::new(why))
}

pub(super) fn expected<T>(what: &str, found: &Json) -> Result<T, Unfit> {
    unfit(format!("expected {what}, found {found}"))
}

fn whole<T: TryFrom<i64>>(json: &Json) -> Result<T, Unfit> {
    let fits = json.as_i64().and_then(|whole| T::try_from(whole).ok());
    fits.map_or_else(
        || expected(&format!("a whole number of {} bits", size_of::<T>() * 8), json),
        Ok,
    )
}

fn number(json: &Json) -> Result<f64, Unfit> {
    match json {
        Json::Number(number) => Ok(number.as_f64()),
        // JSON has no numbers for these
        Json::Text(text) if matches!(text.as_str(), "NaN" | "Infinity" | "-Infinity") => {
            Ok(text.parse().unwrap_or(f64::NAN))
        }
        other => expected("a number", other),
    }
}

fn text<'a>(json: &'a Json, what: &str) -> Result<&'a str, Unfit> {
    json.as_str().map_or_else(|| expected(what, json), Ok)
}

fn octets(json: &Json) -> Result<Vec<u8>, Unfit> {
    match (bytes(json), json) {
        (Some(bytes), _) => Ok(bytes),
        (None, Json::Text(text)) => Ok(text.clone().into_bytes()),
        (None, other) => expected("text or `{$hex: …}`", other),
    }
}

fn symbol(json: &Json, schema: &EnumSchema) -> Encoded {
    let text = text(json, "one of the symbols")?;
    match schema.symbols.iter().position(|symbol| symbol == text) {
        Some(at) => Ok(Value::Enum(at as u32, text.to_owned())),
        None => unfit(format!("`{text}` is none of {}", schema.symbols.join(", "))),
    }
}

/// The first type of a union that takes the value.
fn one_of(json: &Json, union: &UnionSchema, scope: &Scope<'_>) -> Encoded {
    let mut refused = Vec::new();
    for (at, schema) in union.variants().iter().enumerate() {
        // `null` is no value of any other type
        if json.is_null() != matches!(schema, Schema::Null) {
            continue;
        }
        match value(json, schema, scope) {
            Ok(value) => return Ok(Value::Union(at as u32, Box::new(value))),
            Err(why) => refused.push(why),
        }
    }
    match (refused.pop(), refused.is_empty()) {
        (None, _) => expected("a value that is not null", json),
        (Some(why), true) => Err(why),
        (Some(_), false) => unfit(format!("{json} is of none of the union's types")),
    }
}

fn record(json: &Json, schema: &RecordSchema, scope: &Scope<'_>) -> Encoded {
    let Json::Map(fields) = json else {
        return expected("a mapping", json);
    };
    if let Some((name, _)) = fields.iter().find(|(name, _)| !schema.lookup.contains_key(name)) {
        let known: Vec<&str> = schema.fields.iter().map(|field| field.name.as_str()).collect();
        return unfit(format!("`{name}` is none of the schema's fields {}", known.join(", ")));
    }
    let within = scope.within(&schema.name);
    let mut all = Vec::with_capacity(schema.fields.len());
    for field in &schema.fields {
        let said = json.get(&field.name).cloned();
        let default = || field.default.clone().map(Json::from);
        let nullable = || match &field.schema {
            Schema::Union(union) => union.variants().contains(&Schema::Null).then_some(Json::Null),
            _ => None,
        };
        let Some(said) = said.or_else(default).or_else(nullable) else {
            return Err(Unfit::new("it is missing, and the schema has no default").inside(&field.name));
        };
        let value = value(&said, &field.schema, &within).map_err(|e| e.inside(&field.name))?;
        all.push((field.name.clone(), value));
    }
    Ok(Value::Record(all))
}

fn big_decimal(json: &Json) -> Result<BigDecimal, Unfit> {
    let read = match json {
        Json::Number(number) => BigDecimal::from_str(&number.to_string()).ok(),
        Json::Text(text) => BigDecimal::from_str(text).ok(),
        _ => None,
    };
    read.map_or_else(|| expected("a number", json), Ok)
}

fn decimal(json: &Json, schema: &DecimalSchema) -> Encoded {
    let number = big_decimal(json)?;
    let scaled = number.with_scale(schema.scale as i64);
    if scaled != number {
        return unfit(format!("{json} has more than {} digits behind the point", schema.scale));
    }
    let (digits, _) = scaled.into_bigint_and_exponent();
    let count = digits.magnitude().to_string().len();
    if count > schema.precision {
        return unfit(format!("{json} has more than {} digits", schema.precision));
    }
    Ok(Value::Decimal(Decimal::from(digits.to_signed_bytes_be())))
}
