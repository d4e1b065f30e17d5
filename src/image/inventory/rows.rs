//! The inventory as a table: a row for each name. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::plan::{Thing, plan};
use super::{Inventory, hex};
use crate::image::{APP_LABEL, INPUTS_LABEL};

/// An image in one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Name of the node's container.
    pub node: String,
    /// Whether it is the engine's image of that name.
    pub current: bool,
    /// Whether a container runs it.
    pub used: bool,
}

/// A name, and where there is an image of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// As the engine writes it; the full name if only a node has it.
    pub name: String,
    /// Its id in the engine, else the one that a node was given.
    pub id: String,
    /// Whether the engine has it.
    pub engine: bool,
    /// Nodes that have it.
    pub nodes: Vec<Place>,
    /// Bytes: as the engine counts them, else as the node's manifest has them.
    pub bytes: u64,
    /// Bytes of its layers in the cache; 0 if it is not there.
    pub cached: u64,
    /// Of those, bytes of layers that other images have, too.
    pub shared: u64,
    /// Whether `dev` made it.
    pub own: bool,
    /// Why `dev image prune` would remove it, if it would.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale: Option<String>,
}

/// All rows, sorted by name: what `dev` made, loaded or keeps layers of; with `all`, everything that was found.
pub fn rows(inventory: &Inventory, all: bool) -> Vec<Row> {
    let why = stale(inventory);
    let counts = layer_counts(inventory);
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    for image in &inventory.engine {
        let (cached, shared) = in_cache(inventory, &image.id, &counts);
        let own = [INPUTS_LABEL, APP_LABEL]
            .iter()
            .any(|label| image.labels.contains_key(*label));
        let unnamed = vec![image.id.clone()];
        for name in if image.names.is_empty() { &unnamed } else { &image.names } {
            let row = Row {
                name: name.clone(),
                id: image.id.clone(),
                engine: true,
                nodes: Vec::new(),
                bytes: image.size,
                cached,
                shared,
                own,
                stale: why.get(&("engine", name.as_str())).map(|w| (*w).to_owned()),
            };
            rows.insert(inventory.full(name), row);
        }
    }
    for node in &inventory.nodes {
        for image in &node.images {
            let row = rows.entry(image.name.clone()).or_insert_with(|| {
                let (cached, shared) = in_cache(inventory, &image.id, &counts);
                Row {
                    name: image.name.clone(),
                    id: image.id.clone(),
                    engine: false,
                    nodes: Vec::new(),
                    bytes: image.bytes,
                    cached,
                    shared,
                    own: false,
                    stale: None,
                }
            });
            row.nodes.push(Place {
                node: node.node.clone(),
                current: row.id == image.id && !image.id.is_empty(),
                used: node.used.contains(&image.name),
            });
            if row.stale.is_none() {
                row.stale = why
                    .get(&(node.node.as_str(), image.name.as_str()))
                    .map(|w| (*w).to_owned());
            }
        }
    }
    let ours = |row: &Row| row.own || row.cached > 0 || row.stale.is_some() || (row.engine && !row.nodes.is_empty());
    rows.into_values().filter(|row| all || ours(row)).collect()
}

/// Why things would be removed, by place and name.
fn stale(inventory: &Inventory) -> BTreeMap<(&str, &str), &'static str> {
    let plan = plan(inventory, None, std::time::SystemTime::now());
    let mut found = BTreeMap::new();
    for item in &plan.items {
        // names are looked up in the inventory again: the plan owns its own
        match &item.thing {
            Thing::EngineImage { name } => {
                let all = inventory.engine.iter().flat_map(|i| i.names.iter().chain([&i.id]));
                if let Some(known) = all.into_iter().find(|n| *n == name) {
                    found.insert(("engine", known.as_str()), item.why);
                }
            }
            Thing::NodeImage { node, name } => {
                let stock = inventory.nodes.iter().find(|n| n.node == *node);
                if let Some((stock, image)) = stock.and_then(|s| Some((s, s.images.iter().find(|i| i.name == *name)?)))
                {
                    found.insert((stock.node.as_str(), image.name.as_str()), item.why);
                }
            }
            Thing::Unnamed { .. } | Thing::CachedImage { .. } | Thing::Layer { .. } => {}
        }
    }
    found
}

/// In how many images each layer of the cache is.
fn layer_counts(inventory: &Inventory) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for image in &inventory.cache.images {
        // one image may have the same layer twice
        let layers: BTreeSet<&str> = image.layers.iter().map(String::as_str).collect();
        for layer in layers {
            *counts.entry(layer).or_default() += 1;
        }
    }
    counts
}

/// Bytes of an image's layers in the cache, and of those that others have, too.
fn in_cache(inventory: &Inventory, id: &str, counts: &BTreeMap<&str, usize>) -> (u64, u64) {
    let Some(image) = inventory.cache.images.iter().find(|image| image.id == hex(id)) else {
        return (0, 0);
    };
    let layers: BTreeSet<&str> = image.layers.iter().map(String::as_str).collect();
    let size = |layer: &str| inventory.cache.files.get(layer).map_or(0, |file| file.size);
    let all = layers.iter().map(|layer| size(layer)).sum();
    let shared = layers
        .iter()
        .filter(|layer| counts.get(**layer).is_some_and(|n| *n > 1))
        .map(|layer| size(layer))
        .sum();
    (all, shared)
}
