//! An application image into a node by containerd's API: the same as [`super::node`], without a program in the node.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::APP_LABEL;
use super::archive::Inside;
use super::deliver::{By, Way};
use super::layer::Content;
use super::node::{Done, Outcome, SPARE, Wanted, disk_short};
use super::session::Answer;
use crate::diag::{Failure, Reason, Result};
use crate::engine::StepCx;
use crate::image::containerd::{Bytes, Expected, Manifest, Node, Refused, Work};
use crate::image::load::STAGE;

/// Label of a layer with the digest of its uncompressed bytes (`containerd/pkg/labels`).
const UNCOMPRESSED: &str = "containerd.io/uncompressed";

/// Looks, hands over those of the image's own layers that are missing, sees that it is there, tidies up.
///
/// # Errors
/// [`Reason::DiskShort`], [`Reason::TimedOut`] if containerd hangs: no other way would help.
pub(super) async fn bring(node: &Arc<Node>, wanted: &Wanted<'_>, cx: &StepCx) -> Result<Outcome> {
    let _lock = node.lock(cx).await?;
    let (state, kubelets) =
        tokio::try_join!(look(node, wanted), node.kubelets(&wanted.reference)).map_err(Refused::told)?;
    if wanted.is_in(&state) && wanted.is_labelled(&state) && kubelets.as_ref() == Some(&wanted.image.id) {
        // one that was killed right after it had loaded has not tidied up
        let alone = wanted.outdated(&state).is_empty() && wanted.unlabelled(&state).is_empty();
        let removed = if alone {
            Vec::new()
        } else {
            tidy(node, wanted, state).await.map_err(Refused::told)?
        };
        return Ok(Outcome::Done(Done {
            way: Way::Unchanged,
            by: By::Api,
            layers: 0,
            bytes: 0,
            removed,
        }));
    }
    let Some(missing) = wanted.missing(&state) else {
        return Ok(Outcome::Large { cold: true });
    };
    let mut inside = wanted.own();
    inside.drain(..inside.len() - missing);
    let bytes: u64 = inside.iter().map(|inside| inside.layer.size).sum();
    // the blobs, and what is unpacked from them
    let needed = 2 * bytes + SPARE;
    if let Some(free) = node.free().filter(|free| *free < needed) {
        let told = format!("{} MB are free, {} MB are needed", free >> 20, needed >> 20);
        return Err(disk_short(&node.name).evidence(told));
    }
    let staged: Vec<String> = state.names.iter().filter(|n| n.starts_with(STAGE)).cloned().collect();
    let work = node.begin().await.map_err(Refused::told)?;
    match hand_over(&work, node, wanted, &inside).await {
        Ok(None) => {}
        Ok(Some(lacks)) => {
            work.undo().await;
            let message = format!("{} took {} and does not have it", node.name, wanted.image.name);
            return Ok(Outcome::No(
                Failure::new(Reason::ImageLoadFailed, message).evidence(lacks),
            ));
        }
        Err(refused) => {
            work.undo().await;
            return Err(refused.told());
        }
    }
    let (removed, (), ()) =
        tokio::try_join!(tidy(node, wanted, state), node.remove(&staged), work.end()).map_err(Refused::told)?;
    Ok(Outcome::Done(Done {
        way: Way::Layers,
        by: By::Api,
        layers: missing,
        bytes,
        removed,
    }))
}

/// After a load of its layers by other means: sees that the image is there, labels it, and tidies up.
///
/// # Errors
/// [`Reason::ImageLoadFailed`] if it is not.
pub(super) async fn confirm(node: &Arc<Node>, wanted: &Wanted<'_>, cx: &StepCx) -> Result<Vec<String>> {
    let _lock = node.lock(cx).await?;
    let state = look(node, wanted).await.map_err(Refused::told)?;
    let work = node.begin().await.map_err(Refused::told)?;
    let told = Manifest::of(&wanted.image.config, &wanted.layers);
    let done = async {
        work.publish(&told, &wanted.reference, &wanted.labels()).await?;
        lacks(node, wanted, &told).await
    };
    let lacks = done.await;
    work.end().await.map_err(Refused::told)?;
    if let Some(lacks) = lacks.map_err(Refused::told)? {
        let message = format!("{} does not have {} after the load", node.name, wanted.image.name);
        return Err(Failure::new(Reason::ImageLoadFailed, message).evidence(lacks));
    }
    tidy(node, wanted, state).await.map_err(Refused::told)
}

/// What the node has of the image, and all names.
async fn look(node: &Node, wanted: &Wanted<'_>) -> Result<Answer, Refused> {
    let base = wanted.layers.len() - wanted.image.layers.len();
    let (images, chains) = tokio::try_join!(node.images(), node.unpacked(&wanted.chains[base.saturating_sub(1)..]))?;
    let ours = images
        .iter()
        .filter(|(_, record)| record.labels.get(APP_LABEL) == Some(&wanted.image.app));
    let mut answer = Answer {
        chains,
        ours: ours.map(|(name, _)| name.clone()).collect(),
        names: images.keys().cloned().collect(),
        ..Answer::default()
    };
    for name in [&wanted.reference, &wanted.image.id] {
        if let Some(record) = images.get(name) {
            let labels: Vec<String> = record
                .labels
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            answer.images.insert(name.clone(), record.digest.clone());
            answer.labels.insert(name.clone(), labels.join(","));
        }
    }
    Ok(answer)
}

/// Layers, texts, names; then what the node lacks after all.
async fn hand_over(
    work: &Work,
    node: &Node,
    wanted: &Wanted<'_>,
    inside: &[Inside],
) -> Result<Option<String>, Refused> {
    let layers = async {
        let first = wanted.layers.len() - inside.len();
        for (n, inside) in (first..).zip(inside) {
            let digest = format!("sha256:{}", inside.layer.digest);
            let bytes = match &inside.content {
                Content::Memory(bytes) => Bytes::Here(bytes.clone()),
                Content::Cached(path) => Bytes::File(path.clone()),
            };
            let labels = BTreeMap::from([(UNCOMPRESSED.to_owned(), digest.clone())]);
            work.keep(&digest, inside.layer.size, bytes, labels).await?;
            let parent = n.checked_sub(1).map_or("", |below| &wanted.chains[below]);
            work.unpack(&inside.layer, parent, &wanted.chains[n]).await?;
        }
        Ok(())
    };
    let texts = work.texts(&wanted.image.config, &wanted.layers, wanted.top());
    let ((), manifest) = tokio::try_join!(layers, texts)?;
    work.publish(&manifest, &wanted.reference, &wanted.labels()).await?;
    let lacks = lacks(node, wanted, &manifest).await?;
    if lacks.is_some() {
        // what is not whole must not be found by its name
        node.remove(std::slice::from_ref(&wanted.reference)).await?;
    }
    Ok(lacks)
}

async fn lacks(node: &Node, wanted: &Wanted<'_>, manifest: &Manifest) -> Result<Option<String>, Refused> {
    let own = wanted.image.layers.iter();
    let blobs: Vec<(String, u64)> = own
        .map(|layer| (format!("sha256:{}", layer.digest), layer.size))
        .collect();
    node.lacks(&Expected {
        name: &wanted.reference,
        manifest,
        blobs: &blobs,
        top: wanted.top(),
    })
    .await
}

/// Removes older builds that nothing uses.
async fn tidy(node: &Node, wanted: &Wanted<'_>, mut state: Answer) -> Result<Vec<String>, Refused> {
    // a load that was killed before it gave the label has left its mark in the manifest
    let mut marked = Vec::new();
    for name in wanted.unlabelled(&state) {
        if node.is_marked(name).await? {
            marked.push(name.to_owned());
        }
    }
    state.ours.extend(marked);
    let candidates = wanted.outdated(&state);
    state.used = node.used(&candidates).await?;
    let outdated = wanted.outdated(&state);
    node.remove(&outdated).await?;
    let names: BTreeSet<String> = outdated.into_iter().filter(|n| !n.starts_with("sha256:")).collect();
    Ok(names.into_iter().collect())
}

#[cfg(all(test, target_os = "linux"))]
#[path = "direct_tests.rs"]
mod tests;
