//! Takes images away, and checks that they are gone.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Serialize;

use super::plan::{Item, Plan, Thing, plan};
use super::{Inventory, hex, node};
use crate::container::Engine;
use crate::diag::{Failure, Reason, Result};
use crate::env::Env;
use crate::image::load::Cache;

/// What was removed, and what could not be.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Removed {
    /// What went.
    pub removed: Vec<Item>,
    /// What stayed, with the reason.
    pub kept: Vec<String>,
    /// Bytes that the cache got rid of.
    pub cache_bytes: u64,
}

impl Inventory {
    /// What is stale now; `cap` is what the cache may hold in bytes.
    pub fn plan(&self, cap: Option<u64>) -> Plan {
        plan(self, cap, std::time::SystemTime::now())
    }
}

/// Carries a plan out. What became used since it was made stays, and is told.
///
/// # Errors
/// What the engine or a node answers.
pub async fn carry_out(engine: &Engine, env: &Env, plan: &Plan) -> Result<Removed> {
    let cache = Cache::of(engine, env).await?;
    let mut done = Removed::default();
    let mut nodes: BTreeSet<&str> = BTreeSet::new();
    for item in &plan.items {
        let gone = match &item.thing {
            Thing::EngineImage { name } => engine.remove_unused_image(name).await?,
            Thing::NodeImage { node, name } => {
                nodes.insert(node);
                node::remove_unused(engine, node, name).await?
            }
            Thing::Unnamed { node, .. } => {
                nodes.insert(node);
                true
            }
            Thing::CachedImage { name } => {
                from_cache(&cache.entry(name))?;
                true
            }
            Thing::Layer { name } => {
                from_cache(&cache.blob(name))?;
                done.cache_bytes += item.bytes;
                true
            }
        };
        if gone {
            done.removed.push(item.clone());
        } else {
            done.kept.push(format!("{}: a container uses it", item.thing));
        }
    }
    // an image that lost its last name is still there under its digest
    for node in nodes {
        node::remove_replaced(engine, node).await?;
    }
    cache.tidy();
    Ok(done)
}

/// Removes images by their names everywhere: in all nodes, in the engine, in the cache. Each is looked up and checked
/// before anything is removed.
///
/// # Errors
/// [`Reason::ImageUnavailable`] if a name is nowhere; [`Reason::ImageInUse`] if a pod or a container uses it and it is
/// not forced.
pub async fn remove(engine: &Engine, env: &Env, names: &[String], force: bool) -> Result<Removed> {
    let inventory = Inventory::take(engine, env).await?;
    for name in names {
        check(engine, &inventory, name, force).await?;
    }
    let cache = Cache::of(engine, env).await?;
    let mut done = Removed::default();
    for name in names {
        let full = inventory.full(name);
        let mut gone = |thing| {
            done.removed.push(Item {
                thing,
                why: "asked for",
                bytes: 0,
            });
        };
        for stock in &inventory.nodes {
            if stock.images.iter().any(|image| image.name == full) {
                if force {
                    node::remove_names(engine, &stock.node, &[&full]).await?;
                } else if !node::remove_unused(engine, &stock.node, &full).await? {
                    return Err(used_in_node(engine, name, &full, &stock.node).await?);
                }
                node::remove_replaced(engine, &stock.node).await?;
                gone(Thing::NodeImage {
                    node: stock.node.clone(),
                    name: full.clone(),
                });
            }
        }
        let image = inventory
            .engine
            .iter()
            .find(|i| i.names.iter().any(|n| inventory.full(n) == full));
        if let Some(image) = image {
            if force {
                engine.remove_image_by_force(name).await?;
            } else if !engine.remove_unused_image(name).await? {
                return Err(Failure::new(
                    Reason::ImageInUse,
                    format!("a container of the engine uses {name}"),
                ));
            }
            gone(Thing::EngineImage { name: name.clone() });
            // its layers may be of use for others: `prune` looks at them
            if image.names.len() == 1 && inventory.cache.images.iter().any(|c| c.id == hex(&image.id)) {
                from_cache(&cache.entry(&image.id))?;
                gone(Thing::CachedImage {
                    name: hex(&image.id).to_owned(),
                });
            }
        }
    }
    let after = Inventory::take(engine, env).await?;
    for name in names {
        if !places(&after, name).is_empty() {
            return Err(Failure::new(
                Reason::EngineError,
                format!("{name} is still in {}", places(&after, name).join(", ")),
            ));
        }
    }
    Ok(done)
}

/// Where a name is.
fn places(inventory: &Inventory, name: &str) -> Vec<String> {
    let full = inventory.full(name);
    let mut found: Vec<String> = inventory
        .nodes
        .iter()
        .filter(|node| node.images.iter().any(|image| image.name == full))
        .map(|node| node.node.clone())
        .collect();
    if inventory
        .engine
        .iter()
        .any(|i| i.names.iter().any(|n| inventory.full(n) == full))
    {
        found.push("the engine".to_owned());
    }
    found
}

async fn check(engine: &Engine, inventory: &Inventory, name: &str, force: bool) -> Result<()> {
    if places(inventory, name).is_empty() {
        let failure = Failure::new(
            Reason::ImageUnavailable,
            format!("neither the engine nor a node has an image {name}"),
        );
        let known = inventory.engine.iter().flat_map(|i| i.names.iter().map(String::as_str));
        return Err(match crate::config::nearest(name, known) {
            Some(near) => failure.next(format!("dev image rm {near}")),
            None => failure.next("dev image ls --all"),
        });
    }
    if force {
        return Ok(());
    }
    let full = inventory.full(name);
    if let Some(stock) = inventory.nodes.iter().find(|stock| stock.used.contains(&full)) {
        return Err(used_in_node(engine, name, &full, &stock.node).await?);
    }
    let image = inventory
        .engine
        .iter()
        .find(|i| i.names.iter().any(|n| inventory.full(n) == full));
    match image {
        Some(image) if image.in_use && image.names.len() == 1 => Err(in_use(name, "a container of the engine")),
        _ => Ok(()),
    }
}

fn in_use(name: &str, who: &str) -> Failure {
    Failure::new(Reason::ImageInUse, format!("{name} is used by {who}"))
        .next("delete what uses it, then try again")
        .next(format!("dev image rm --force {name}"))
}

/// The refusal to take an image from a node that runs it, with the pods that do.
async fn used_in_node(engine: &Engine, name: &str, full: &str, node: &str) -> Result<Failure> {
    let pods = node::pods(engine, node, full).await?;
    Ok(match pods.as_slice() {
        [] => in_use(name, &format!("a container in {node}")),
        [one] => in_use(name, &format!("the pod {one}")),
        several => in_use(name, &format!("the pods {}", several.join(", "))),
    })
}

/// Removes a file of the cache; absent is fine.
pub(super) fn from_cache(path: &Path) -> Result<()> {
    match fs_err::remove_file(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => {
            Err(Failure::new(Reason::FileUnreadable, "a file of the cache could not be removed").cause(&error))
        }
    }
}
