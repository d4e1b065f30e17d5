//! What is stale, and why. Pure: only what `dev` made or what was derived from it is ever in a plan.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::node::NodeStock;
use super::{Inventory, content_tag, hex};
use crate::image::APP_LABEL;
use crate::image::dockerfile::UNNAMED;
use crate::image::push;

/// A file of the cache that is younger than this may be of a load that has not ended.
const YOUNG: Duration = Duration::from_secs(15 * 60);

/// One thing that would be removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "where", rename_all = "snake_case")]
pub enum Thing {
    /// A name in the engine; the image goes with its last name.
    #[serde(rename = "engine")]
    EngineImage {
        /// The name.
        name: String,
    },
    /// A name in a node.
    #[serde(rename = "node")]
    NodeImage {
        /// Name of the node's container.
        node: String,
        /// The full name.
        name: String,
    },
    /// What has no name in a node.
    #[serde(rename = "node_unnamed")]
    Unnamed {
        /// Name of the node's container.
        node: String,
        /// Its digest.
        name: String,
    },
    /// The cache's note of an image.
    #[serde(rename = "cache_image")]
    CachedImage {
        /// The image's id in hex.
        name: String,
    },
    /// A layer or a configuration in the cache.
    #[serde(rename = "cache_layer")]
    Layer {
        /// Its digest in hex.
        name: String,
    },
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = |digest: &str| hex(digest).chars().take(12).collect::<String>();
        match self {
            Self::EngineImage { name } => write!(f, "engine  {name}"),
            Self::NodeImage { node, name } => write!(f, "node    {name} in {node}"),
            Self::Unnamed { node, name } => write!(f, "node    {} in {node}", short(name)),
            Self::CachedImage { name } => write!(f, "cache   image {}", short(name)),
            Self::Layer { name } => write!(f, "cache   layer {}", short(name)),
        }
    }
}

/// A thing with the reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    /// What.
    #[serde(flatten)]
    pub thing: Thing,
    /// Why.
    pub why: &'static str,
    /// Bytes of it on the disk of this machine, where that is known.
    pub bytes: u64,
}

/// What `dev image prune` would do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// In the order of removal.
    pub items: Vec<Item>,
    /// Worth knowing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Plan {
    /// Only builds of these applications (names without a tag).
    #[must_use]
    pub fn only(mut self, inventory: &Inventory, names: &[String]) -> Self {
        let repository = |name: &str| inventory.full(name).rsplit_once(':').map(|(r, _)| r.to_owned());
        let wanted: BTreeSet<Option<String>> = names.iter().map(|name| repository(name)).collect();
        self.items.retain(|item| match &item.thing {
            Thing::EngineImage { name } | Thing::NodeImage { name, .. } => wanted.contains(&repository(name)),
            Thing::Unnamed { .. } | Thing::CachedImage { .. } | Thing::Layer { .. } => false,
        });
        self
    }

    /// Bytes that the cache gets rid of.
    pub fn cache_bytes(&self) -> u64 {
        let cached = self.items.iter().filter(|i| matches!(i.thing, Thing::Layer { .. }));
        cached.map(|item| item.bytes).sum()
    }
}

/// Finds what is stale; `cap` is what the cache may hold in bytes.
pub(super) fn plan(inventory: &Inventory, cap: Option<u64>, now: SystemTime) -> Plan {
    let mut plan = Plan::default();
    let newest = newest(inventory);
    older_builds(inventory, &newest, &mut plan);
    nodes(inventory, &newest, Sure::OfTheEngines, &mut plan);
    cache(inventory, cap, now, &mut plan);
    plan
}

impl Inventory {
    /// Older builds of the applications that these names are the newest builds of, in the engine and in nodes.
    pub(in crate::image) fn older_builds_of(&self, names: &[String]) -> Plan {
        let newest: BTreeMap<String, String> = names
            .iter()
            .map(|name| self.full(name))
            .filter_map(|full| Some((content_tag(&full)?.0.to_owned(), full)))
            .collect();
        let mut plan = Plan::default();
        nodes(self, &newest, Sure::OfAll, &mut plan);
        older_builds(self, &newest, &mut plan);
        plan.items.retain(|item| match &item.thing {
            Thing::EngineImage { name } | Thing::NodeImage { name, .. } => {
                content_tag(&self.full(name)).is_some_and(|(repository, _)| newest.contains_key(repository))
            }
            Thing::Unnamed { .. } | Thing::CachedImage { .. } | Thing::Layer { .. } => false,
        });
        plan
    }
}

/// Of which builds it is known whether they are older than the newest one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sure {
    /// Of all: the newest was made just now.
    OfAll,
    /// Of those that the engine has. One that only a node has may be newer than all of them.
    OfTheEngines,
}

/// Names of the newest build of each application, in full. Where two are of the same time nobody can tell.
fn newest(inventory: &Inventory) -> BTreeMap<String, String> {
    let mut builds: BTreeMap<String, Vec<(i64, i64, String)>> = BTreeMap::new();
    for image in inventory.engine.iter().filter(|i| i.labels.contains_key(APP_LABEL)) {
        for full in image.names.iter().map(|name| inventory.full(name)) {
            if let Some((repository, _)) = content_tag(&full) {
                let build = (image.tagged, image.created, full.clone());
                builds.entry(repository.to_owned()).or_default().push(build);
            }
        }
    }
    let last = builds.into_iter().filter_map(|(repository, mut builds)| {
        builds.sort();
        let (tagged, created, name) = builds.pop()?;
        let unsure = builds.last().is_some_and(|(t, c, _)| (*t, *c) == (tagged, created));
        (!unsure).then_some((repository, name))
    });
    last.collect()
}

fn older_builds(inventory: &Inventory, newest: &BTreeMap<String, String>, plan: &mut Plan) {
    let used = inventory.used_in_nodes();
    for image in &inventory.engine {
        let mut add = |name: &str, why| {
            plan.items.push(Item {
                thing: Thing::EngineImage { name: name.to_owned() },
                why,
                bytes: 0,
            });
        };
        for name in image.names.iter().filter(|name| push::is_leftover(name)) {
            add(name, "left behind by a push that was killed");
        }
        for name in image.names.iter().filter(|name| name.starts_with(UNNAMED)) {
            add(name, "left behind by a build that was killed");
        }
        if image.in_use {
            continue;
        }
        // an image without a name is left to the engine's own prune: labels are inherited by what is FROM one of ours
        for name in &image.names {
            let full = inventory.full(name);
            let Some((repository, _)) = content_tag(&full) else {
                continue;
            };
            let older = newest.get(repository).is_some_and(|name| *name != full);
            let has = |node: &&NodeStock| node.images.iter().any(|image| image.name == full);
            let wanted = inventory
                .nodes
                .iter()
                .filter(has)
                .any(|node| !replaced(node, newest, repository, &full));
            if older && !wanted && image.labels.contains_key(APP_LABEL) && !used.contains(full.as_str()) {
                add(name, "an older build that nothing uses");
            }
        }
    }
}

/// Whether a node has the newest build of an application beside this one. A node without it may have a build that only
/// it has, newer than all that the engine knows, or be another cluster's, in which the newest was not loaded.
fn replaced(node: &NodeStock, newest: &BTreeMap<String, String>, repository: &str, name: &str) -> bool {
    let Some(newest) = newest.get(repository) else {
        return false;
    };
    newest != name && node.images.iter().any(|image| image.name == *newest)
}

fn nodes(inventory: &Inventory, newest: &BTreeMap<String, String>, sure: Sure, plan: &mut Plan) {
    let names = inventory.engine.iter().flat_map(|image| &image.names);
    let engines: BTreeSet<String> = names.map(|name| inventory.full(name)).collect();
    for node in &inventory.nodes {
        for image in &node.images {
            let Some((repository, _)) = content_tag(&image.name) else {
                continue;
            };
            if replaced(node, newest, repository, &image.name)
                && !image.id.is_empty()
                && !node.used.contains(&image.name)
                && (sure == Sure::OfAll || engines.contains(&image.name))
            {
                plan.items.push(Item {
                    thing: Thing::NodeImage {
                        node: node.node.clone(),
                        name: image.name.clone(),
                    },
                    why: "an older build that no pod uses",
                    bytes: 0,
                });
            }
        }
        for name in &node.unnamed {
            plan.items.push(Item {
                thing: Thing::Unnamed {
                    node: node.node.clone(),
                    name: name.clone(),
                },
                why: "it was replaced and has no name any more",
                bytes: 0,
            });
        }
    }
}

fn cache(inventory: &Inventory, cap: Option<u64>, now: SystemTime, plan: &mut Plan) {
    let going: BTreeSet<&str> = plan
        .items
        .iter()
        .filter_map(|item| match &item.thing {
            Thing::EngineImage { name } => Some(name.as_str()),
            _ => None,
        })
        .collect();
    // an image goes with the last of its names
    let stays = |image: &&crate::container::EngineImage| {
        image.names.is_empty() || image.names.iter().any(|n| !going.contains(n.as_str()))
    };
    let ids: BTreeSet<String> = inventory
        .engine
        .iter()
        .filter(stays)
        .map(|image| hex(&image.id).to_owned())
        .collect();
    let loaded: BTreeSet<&str> = inventory
        .nodes
        .iter()
        .flat_map(|n| &n.images)
        .map(|i| hex(&i.id))
        .collect();
    let mut items = Vec::new();
    let mut needed: BTreeSet<&str> = BTreeSet::new();
    for image in &inventory.cache.images {
        if ids.contains(&image.id) || loaded.contains(image.id.as_str()) {
            needed.extend(image.blobs.iter().map(String::as_str));
        } else {
            items.push(Item {
                thing: Thing::CachedImage { name: image.id.clone() },
                why: "neither the engine nor a node has this image",
                bytes: 0,
            });
        }
    }
    // layers lie in nodes as links into the cache
    let linked: BTreeSet<&str> = inventory
        .nodes
        .iter()
        .flat_map(|n| &n.blobs)
        .map(String::as_str)
        .collect();
    if !inventory.silent.is_empty() {
        plan.notes.push(format!(
            "{} does not answer: layers that it may use stay in the cache",
            inventory.silent.join(", ")
        ));
    }
    let old = |used: SystemTime| now.duration_since(used).is_ok_and(|age| age > YOUNG);
    let removable = |name: &str, used| inventory.silent.is_empty() && !linked.contains(name) && old(used);
    let mut left: u64 = inventory.cache.bytes();
    for (name, file) in &inventory.cache.files {
        if !needed.contains(name.as_str()) && removable(name, file.used) {
            left -= file.size;
            items.push(layer(name, file.size, "no image needs it"));
        }
    }
    if let Some(cap) = cap.filter(|cap| left > *cap) {
        plan.notes.push(format!(
            "what is left of the cache is {} MB more than its cap, and all of it is needed",
            (left - cap).div_ceil(1_000_000)
        ));
    }
    plan.items.extend(items);
}

fn layer(name: &str, bytes: u64, why: &'static str) -> Item {
    Item {
        thing: Thing::Layer { name: name.to_owned() },
        why,
        bytes,
    }
}
