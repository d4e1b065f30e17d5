//! The ladder by which an image of the engine gets into nodes, each rung told: it is there; its layers are in the
//! cache; a push to this process; the engine's archive; the archive through `ctr`.

use std::fmt;

use futures::future::try_join_all;
use serde::Serialize;

use super::inventory::{self, Inventory, Thing};
use super::load::{self, Cache, LoadReport};
use super::{dockerfile, push};
use crate::container::{Engine, ImageInfo};
use crate::diag::{Failure, Reason, Result};
use crate::engine::StepCx;
use crate::env::Env;

/// What a load did in one node.
#[derive(Debug, Clone, Serialize)]
pub struct Brought {
    /// Name of the node's container.
    pub node: String,
    /// What it lacked, and how it got that.
    #[serde(flatten)]
    pub report: LoadReport,
    /// Older builds that nothing uses and that went.
    pub removed: Vec<String>,
}

impl fmt::Display for Brought {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.node, self.report)?;
        match self.removed.len() {
            0 => Ok(()),
            1 => write!(f, ", 1 older build removed"),
            n => write!(f, ", {n} older builds removed"),
        }
    }
}

/// Brings images of the engine into all nodes, side by side, and checks each there. What the nodes have is asked each
/// time, so a node that was replaced meanwhile gets everything again. Older builds under the same names go from a node
/// once nothing uses them.
///
/// # Errors
/// [`Reason::ImageUnavailable`] if the engine lacks one or if it is for another architecture than a node;
/// [`Reason::ImageLoadFailed`] if a node took it by no rung.
pub async fn bring(
    engine: &Engine,
    env: &Env,
    nodes: &[String],
    images: &[String],
    cx: &StepCx,
) -> Result<Vec<Brought>> {
    let found = try_join_all(images.iter().map(|name| look_up(engine, name))).await?;
    for node in nodes {
        fits(engine, node, images, &found).await?;
    }
    let missing = try_join_all(nodes.iter().map(|node| load::missing_in_node(engine, node, images))).await?;
    let cache = Cache::of(engine, env).await?;
    for (name, image) in images.iter().zip(&found) {
        let wanted = missing.iter().any(|missing| missing.contains(name));
        if wanted && cache.image(name, &image.id).is_none() {
            match push::into_cache(engine, env, &cache, name, image, cx).await {
                Ok(pushed) => cx.events().note(format!("{name}: pushed to this process, {pushed}")),
                Err(failure) => cx.events().note(format!(
                    "{name} goes the longer way, by the engine's archive: {}",
                    failure.detail().evidence.join("; ")
                )),
            }
        }
    }
    let each = nodes.iter().zip(&missing).map(|(node, missing)| async {
        if missing.is_empty() {
            let report = LoadReport {
                kept: images.to_vec(),
                ..LoadReport::default()
            };
            return Ok(Brought {
                node: node.clone(),
                report,
                removed: Vec::new(),
            });
        }
        let report = load::load(engine, env, node, images, cx).await?;
        let removed = match report.moved_anything() {
            true => inventory::remove_replaced(engine, node).await?,
            false => Vec::new(),
        };
        Ok::<_, Failure>(Brought {
            node: node.clone(),
            report,
            removed,
        })
    });
    let mut brought: Vec<Brought> = try_join_all(each).await?;
    if !missing.iter().all(Vec::is_empty) {
        if images.iter().any(|name| dockerfile::is_content_addressed(name)) {
            // what was asked for is done: what cannot be tidied up now is worth a note, not a failure
            if let Err(failure) = older_builds(engine, env, images, &mut brought).await {
                cx.events()
                    .note(format!("older builds could not be removed: {failure}"));
            }
        }
        match inventory::enforce(engine, env).await {
            Ok(0) => {}
            Ok(bytes) => cx.events().note(format!(
                "the cache of layers was over its cap: {} MB removed",
                bytes.div_ceil(1_000_000)
            )),
            Err(failure) => cx
                .events()
                .note(format!("the cache of layers is over its cap: {failure}")),
        }
    }
    Ok(brought)
}

/// Removes older builds of these images from nodes and engine, as far as nothing uses them.
async fn older_builds(engine: &Engine, env: &Env, images: &[String], brought: &mut [Brought]) -> Result<()> {
    let inventory = Inventory::names(engine).await?;
    let plan = inventory.older_builds_of(images);
    let done = inventory::carry_out(engine, env, &plan).await?;
    for item in done.removed {
        if let Thing::NodeImage { node, name } = item.thing
            && let Some(of) = brought.iter_mut().find(|b| b.node == node)
        {
            of.removed.push(name);
        }
    }
    Ok(())
}

async fn look_up(engine: &Engine, name: &str) -> Result<ImageInfo> {
    if let Some(image) = engine.image(name).await? {
        return Ok(image);
    }
    let failure = Failure::new(Reason::ImageUnavailable, format!("the engine has no image {name}"));
    let all = engine.image_names().await?;
    Err(match crate::config::nearest(name, all.iter().map(String::as_str)) {
        Some(near) => failure.next(format!("dev image load {near}")),
        None => failure
            .next(format!("docker pull {name}"))
            .next(format!("dev image build --file Dockerfile --name {name}")),
    })
}

/// Whether the node's machine runs programs of these images.
async fn fits(engine: &Engine, node: &str, names: &[String], images: &[ImageInfo]) -> Result<()> {
    let node_has = machine_of(engine, node).await?;
    for (name, image) in names.iter().zip(images) {
        if !image.architecture.is_empty() && image.architecture != node_has {
            return Err(Failure::new(
                Reason::ImageUnavailable,
                format!("{name} is for {}, the node {node} is {node_has}", image.architecture),
            )
            .next(format!("docker pull --platform linux/{node_has} {name}"))
            .next(format!("docker build --platform linux/{node_has} -t {name} .")));
        }
    }
    Ok(())
}

/// The architecture of the node's own image; what its kernel says if that is gone.
async fn machine_of(engine: &Engine, node: &str) -> Result<String> {
    if let Some(container) = engine.container(node).await?
        && let Some(image) = engine.image(&container.image_id).await?
        && !image.architecture.is_empty()
    {
        return Ok(image.architecture);
    }
    let machine = engine
        .exec(node, &["uname", "-m"], None, false)
        .await?
        .success("uname -m")?;
    Ok(architecture(machine.trim()).to_owned())
}

/// The kernel's name of a machine in OCI's names.
fn architecture(machine: &str) -> &str {
    match machine {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "armv7l" | "armv6l" => "arm",
        "i386" | "i686" => "386",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_have_ocis_names() {
        for (machine, oci) in [("x86_64", "amd64"), ("aarch64", "arm64"), ("riscv64", "riscv64")] {
            assert_eq!(architecture(machine), oci);
        }
    }
}
