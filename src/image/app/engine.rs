//! An application image into the engine, so that it can be run and pushed from there.

use super::archive::{Archive, Contents, Inside};
use super::deliver::Way;
use super::node::Wanted;
use super::{APP_LABEL, AppImage, name};
use crate::container::{Engine, ImageInfo};
use crate::diag::{Failure, Reason, Result};
use crate::engine::StepCx;

/// Less than this is handed over without asking what the engine has.
const WORTH_LOOKING: u64 = 4 << 20;

/// Loads the image if the engine lacks it, and sees that it has it. Tells how.
///
/// # Errors
/// [`Reason::ImageLoadFailed`] if the engine does not have it afterwards.
pub(super) async fn bring(
    engine: &Engine,
    wanted: &Wanted<'_>,
    whole: impl AsyncFnOnce() -> Result<Vec<Inside>>,
    cx: &StepCx,
) -> Result<Way> {
    let image = wanted.image;
    if has(engine, image).await? {
        return Ok(Way::Unchanged);
    }
    let mut own: Vec<Inside> = wanted.own();
    own.drain(..known(engine, image).await?.min(own.len()));
    let why = match load(engine, wanted, &own).await {
        Ok(()) if has(engine, image).await? => return Ok(Way::Layers),
        Ok(()) => Failure::new(Reason::ImageLoadFailed, "it took the layers and has no image"),
        Err(failure) => failure,
    };
    // an engine that does not know the base's layers by their digests is given all of them
    let words = why.detail().evidence.join(" ");
    cx.events().note(format!(
        "{} goes into the engine with all layers of its base: {why} {words}",
        image.name
    ));
    load(engine, wanted, &whole().await?).await?;
    if has(engine, image).await? {
        return Ok(Way::Archive);
    }
    Err(Failure::new(
        Reason::ImageLoadFailed,
        format!("the engine does not have {} after the load", image.name),
    ))
}

/// How many of the image's own layers, from the lowest, an older build in the engine has as well.
async fn known(engine: &Engine, image: &AppImage) -> Result<usize> {
    let own: Vec<String> = image
        .layers
        .iter()
        .map(|layer| format!("sha256:{}", layer.digest))
        .collect();
    let large = image.layers.iter().map(|layer| layer.size).sum::<u64>() > WORTH_LOOKING;
    let mut most = 0;
    if large && own.len() > 1 {
        for name in engine.names_with_label(&format!("{APP_LABEL}={}", image.app)).await? {
            let Some(info) = engine.image(&name).await? else {
                continue;
            };
            if let Some(above) = info.diff_ids.strip_prefix(image.base.info.diff_ids.as_slice()) {
                most = most.max(own.iter().zip(above).take_while(|(a, b)| a == b).count());
            }
        }
    }
    Ok(most)
}

async fn load(engine: &Engine, wanted: &Wanted<'_>, inside: &[Inside]) -> Result<()> {
    let archive = Archive::new(&Contents {
        image: wanted.image,
        reference: &wanted.reference,
        layers: &wanted.layers,
        inside,
    })
    .map_err(|e| Failure::new(Reason::Internal, "the image could not be packed").cause(&e))?;
    engine.import(archive.read()).await
}

async fn has(engine: &Engine, image: &AppImage) -> Result<bool> {
    Ok(engine.image(&image.name).await?.is_some_and(|info| is(&info, image)))
}

/// Whether it is this image: with containerd's store the id is that of a manifest, the layers are the same.
fn is(info: &ImageInfo, image: &AppImage) -> bool {
    let layers = image.digests().into_iter().map(|digest| format!("sha256:{digest}"));
    info.id == image.id || info.diff_ids.iter().cloned().eq(layers)
}

/// Removes older builds that no container uses. Tells their names.
///
/// # Errors
/// What the engine answers.
pub(super) async fn tidy(engine: &Engine, image: &AppImage) -> Result<Vec<String>> {
    let mut removed = Vec::new();
    for other in engine.names_with_label(&format!("{APP_LABEL}={}", image.app)).await? {
        if name::is_build_of(&other, &image.app) && other != image.name && engine.remove_unused_image(&other).await? {
            removed.push(other);
        }
    }
    removed.sort();
    Ok(removed)
}
