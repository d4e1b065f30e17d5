//! Values in Avro's binary encoding (specification 1.12), as JSON and back. What JSON has no form for is written as
//! Flink's SQL shows it: dates, times and timestamps as text, bytes as the text they are or as `{$hex: …}`.

mod decode;
mod encode;
mod time;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use apache_avro::Schema;
use apache_avro::schema::{Name, Namespace, ResolvedSchema};
use serde::{Serialize, Serializer};

use crate::config::Json;
use crate::diag::with_sources;

/// A schema, and the named types within it.
#[derive(Clone)]
pub struct AvroSchema {
    /// As it was written.
    text: Arc<str>,
    whole: Arc<Schema>,
    names: Arc<HashMap<Name, Schema>>,
}

/// Why a value and a schema do not go together, and where in the value.
#[derive(Debug, PartialEq, Eq)]
struct Unfit {
    path: String,
    why: String,
}

impl AvroSchema {
    /// Reads a schema from its JSON.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let whole = Schema::parse_str(text).map_err(|error| with_sources(&error))?;
        let names = ResolvedSchema::try_from(&whole).map_err(|error| with_sources(&error))?;
        let names = names.get_names().iter();
        let names = names.map(|(name, schema)| (name.clone(), (*schema).clone())).collect();
        Ok(Self {
            text: text.into(),
            whole: Arc::new(whole),
            names: Arc::new(names),
        })
    }

    /// As it was written, in JSON.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The bytes of a value.
    ///
    /// # Errors
    /// Which field does not fit, and why.
    pub fn encode(&self, value: &Json) -> Result<Vec<u8>, String> {
        let value = encode::value(value, &self.whole, &self.scope()).map_err(|unfit| unfit.to_string())?;
        apache_avro::to_avro_datum(&self.whole, value).map_err(|error| with_sources(&error))
    }

    /// The value of bytes.
    ///
    /// # Errors
    /// Why they are none of this schema, e.g. as bytes are left.
    pub fn decode(&self, mut bytes: &[u8]) -> Result<Json, String> {
        let value =
            apache_avro::from_avro_datum(&self.whole, &mut bytes, None).map_err(|error| with_sources(&error))?;
        if !bytes.is_empty() {
            return Err(format!("{} bytes are left behind the value", bytes.len()));
        }
        decode::value(value, &self.whole, &self.scope())
    }

    /// The value of bytes that were written with another schema, as one of this schema. Not by the library's own schema
    /// resolution: it refuses decimals that are shorter than their precision lets them be.
    ///
    /// # Errors
    /// Why they are none of the writer's schema, or do not fit this one.
    pub fn decode_from(&self, writer: &Self, bytes: &[u8]) -> Result<Json, String> {
        self.decode(&self.encode(&writer.decode(bytes)?)?)
    }

    fn scope(&self) -> Scope<'_> {
        Scope {
            names: &self.names,
            namespace: None,
        }
    }
}

/// What names mean at a place in a schema.
struct Scope<'a> {
    names: &'a HashMap<Name, Schema>,
    namespace: Namespace,
}

impl<'a> Scope<'a> {
    /// The type that a name stands for.
    fn named(&self, name: &Name) -> Option<&'a Schema> {
        self.names.get(&name.fully_qualified_name(&self.namespace))
    }

    /// The scope within a record: names without a namespace are of its own.
    fn within(&self, record: &Name) -> Self {
        Self {
            names: self.names,
            namespace: record.fully_qualified_name(&self.namespace).namespace,
        }
    }
}

impl Unfit {
    fn new(why: impl Into<String>) -> Self {
        Self {
            path: String::new(),
            why: why.into(),
        }
    }

    /// The same, seen from what a field or an item is in.
    fn inside(mut self, part: &str) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') {
            ""
        } else {
            "."
        };
        self.path = format!("{part}{dot}{}", self.path);
        self
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.why)
        } else {
            write!(f, "field `{}`: {}", self.path, self.why)
        }
    }
}

impl fmt::Debug for AvroSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for AvroSchema {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for AvroSchema {}

impl Serialize for AvroSchema {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

#[cfg(test)]
mod tests;
