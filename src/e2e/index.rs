//! Where seen records are that fit an expected one: found by a number made of what they say, not by looking at each.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::pattern::{project, shape};
use super::seen::Seen;
use crate::config::{Fields, Json, Record};

/// Seen records by what expected ones want. Only what is wanted is held.
#[derive(Debug, Default)]
pub(super) struct Index {
    shapes: Vec<Shape>,
    by_name: HashMap<String, usize>,
    /// For each thing that is wanted, the records that are it, by their place, in order.
    slots: Vec<Vec<u32>>,
}

/// What is wanted by expected records that name the same fields.
#[derive(Debug)]
struct Shape {
    /// A value of this shape; `None` is the whole value.
    like: Option<Json>,
    /// The slot of each thing that is wanted.
    wanted: HashMap<u128, u32>,
    /// Whether one of them names a key, and one does not.
    keyed: bool,
    plain: bool,
}

impl Index {
    /// The slot of what an expected record wants: the same for equal ones. `key` is its key in canonical form.
    pub(super) fn want(&mut self, record: &Record, fields: Fields, key: Option<&str>) -> u32 {
        let name = match fields {
            Fields::Strict => String::new(),
            Fields::Partial => shape(&record.value),
        };
        let at = *self.by_name.entry(name).or_insert_with(|| {
            self.shapes.push(Shape {
                like: (fields == Fields::Partial).then(|| record.value.clone()),
                wanted: HashMap::new(),
                keyed: false,
                plain: false,
            });
            self.shapes.len() - 1
        });
        let shape = &mut self.shapes[at];
        shape.keyed |= key.is_some();
        shape.plain |= key.is_none();
        *shape
            .wanted
            .entry(digest(&record.value.canonical(), key))
            .or_insert_with(|| {
                self.slots.push(Vec::new());
                place(self.slots.len() - 1)
            })
    }

    /// Takes over the record that is the `at`th one; `keyed` tells whether it has a key.
    pub(super) fn add(&mut self, seen: &Seen, keyed: bool, at: usize) {
        for shape in &self.shapes {
            let value = match &shape.like {
                None => Some(seen.value.canonical()),
                Some(like) => project(like, &seen.value),
            };
            let Some(value) = value else { continue };
            let keys = seen
                .keys
                .iter()
                .filter(|_| keyed && shape.keyed)
                .map(|key| Some(key.as_str()));
            for key in keys.chain(shape.plain.then_some(None)) {
                if let Some(slot) = shape.wanted.get(&digest(&value, key)) {
                    self.slots[*slot as usize].push(place(at));
                }
            }
        }
    }

    /// The records of a slot, in order.
    pub(super) fn found(&self, slot: u32) -> impl ExactSizeIterator<Item = usize> + '_ {
        self.slots[slot as usize].iter().map(|at| *at as usize)
    }

    /// How many things are wanted.
    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// How many kinds of fields are named.
    pub(super) fn shapes(&self) -> usize {
        self.shapes.len()
    }
}

/// A place as it is held. Four thousand million records are more than a case has.
fn place(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// 128 bits of a value, alone or with a key, both in canonical form.
pub(super) fn digest(value: &str, key: Option<&str>) -> u128 {
    let half = |seed: u8| {
        let mut hasher = DefaultHasher::new();
        (seed, key, value).hash(&mut hasher);
        u128::from(hasher.finish())
    };
    half(0) << 64 | half(1)
}
