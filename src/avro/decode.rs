//! From Avro to JSON.

use apache_avro::Schema;
use apache_avro::types::Value;
use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;

use super::{Scope, time};
use crate::config::{Json, text_of};

/// A value of a schema as JSON. Types within a union, by a name and a decimal's scale are only in the schema.
pub(super) fn value(read: Value, schema: &Schema, scope: &Scope<'_>) -> Result<Json, String> {
    if let Schema::Ref { name } = schema {
        let schema = scope.named(name);
        return value(
            read,
            schema.ok_or_else(|| format!("the schema does not define `{name}`"))?,
            scope,
        );
    }
    Ok(match (read, schema) {
        (Value::Null, _) => Json::Null,
        (Value::Boolean(value), _) => Json::Bool(value),
        (Value::Int(value), _) => number(&value.to_string()),
        (Value::Long(value), _) => number(&value.to_string()),
        (Value::Float(value), _) if value.is_finite() => number(&format!("{value:?}")),
        (Value::Double(value), _) if value.is_finite() => number(&format!("{value:?}")),
        (Value::Float(value), _) => Json::Text(unbounded(f64::from(value)).to_owned()),
        (Value::Double(value), _) => Json::Text(unbounded(value).to_owned()),
        (Value::Bytes(bytes) | Value::Fixed(_, bytes), _) => text_of(&bytes),
        (Value::String(text) | Value::Enum(_, text), _) => Json::Text(text),
        (Value::Uuid(uuid), _) => Json::Text(uuid.to_string()),
        (Value::Union(at, inner), Schema::Union(union)) => {
            let variant = union.variants().get(at as usize);
            value(*inner, variant.ok_or("a union of fewer types")?, scope)?
        }
        (Value::Array(items), Schema::Array(array)) => {
            let items = items.into_iter().map(|item| value(item, &array.items, scope));
            Json::List(items.collect::<Result<_, _>>()?)
        }
        (Value::Map(fields), Schema::Map(map)) => {
            let fields = fields
                .into_iter()
                .map(|(name, field)| Ok((name, value(field, &map.types, scope)?)));
            let mut fields = fields.collect::<Result<Vec<_>, String>>()?;
            // Avro's maps have no order
            fields.sort_by(|a, b| a.0.cmp(&b.0));
            Json::Map(fields)
        }
        (Value::Record(fields), Schema::Record(record)) => {
            let within = scope.within(&record.name);
            let fields = fields.into_iter().zip(&record.fields);
            let fields = fields.map(|((name, field), known)| Ok((name, value(field, &known.schema, &within)?)));
            Json::Map(fields.collect::<Result<_, String>>()?)
        }
        (Value::Decimal(decimal), Schema::Decimal(schema)) => {
            number(&BigDecimal::new(BigInt::from(decimal), schema.scale as i64).to_plain_string())
        }
        (Value::BigDecimal(decimal), _) => number(&decimal.to_plain_string()),
        (Value::Date(days), _) => time::date_text(days)?,
        (Value::TimeMillis(n), _) => time::of_day_text(n.into(), time::MILLIS)?,
        (Value::TimeMicros(n), _) => time::of_day_text(n, time::MICROS)?,
        (Value::TimestampMillis(n) | Value::LocalTimestampMillis(n), _) => time::instant_text(n, time::MILLIS)?,
        (Value::TimestampMicros(n) | Value::LocalTimestampMicros(n), _) => time::instant_text(n, time::MICROS)?,
        (Value::TimestampNanos(n) | Value::LocalTimestampNanos(n), _) => time::instant_text(n, time::NANOS)?,
        (other, _) => return Err(format!("{other:?} has no form here")),
    })
}

/// A number by its digits.
fn number(digits: &str) -> Json {
    Json::parse(digits).unwrap_or_else(|_| Json::from(digits))
}

fn unbounded(value: f64) -> &'static str {
    match value {
        _ if value.is_nan() => "NaN",
        _ if value > 0.0 => "Infinity",
        _ => "-Infinity",
    }
}
