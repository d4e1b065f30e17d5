//! What the cache may hold.

use std::time::SystemTime;

use super::plan::{Thing, plan};
use super::{Inventory, remove};
use crate::container::Engine;
use crate::diag::{Failure, Reason, Result};
use crate::env::Env;
use crate::image::load::Cache;

/// Variable with what the cache of layers may hold, e.g. `20GB`.
const VARIABLE: &str = "FLINK_DEV_CACHE_MAX";

/// What it holds unless told otherwise: some twenty images of Flink with all that they stand on.
const DEFAULT: u64 = 20_000_000_000;

/// What the cache of layers may hold, in bytes.
///
/// # Errors
/// [`Reason::Usage`] if `FLINK_DEV_CACHE_MAX` is no size.
pub fn cache_cap(env: &Env) -> Result<u64> {
    let Some(text) = env.var(VARIABLE) else {
        return Ok(DEFAULT);
    };
    parse(text).ok_or_else(|| {
        Failure::new(Reason::Usage, format!("{VARIABLE}=`{text}` is no size")).next(format!("{VARIABLE}=20GB"))
    })
}

/// Bytes out of `500MB`, `1.5GB`, `2GiB`.
fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(end);
    let factor: f64 = match unit.trim().to_lowercase().as_str() {
        "mb" | "m" => 1e6,
        "gb" | "g" => 1e9,
        "tb" | "t" => 1e12,
        "mib" | "mi" => 1_048_576.0,
        "gib" | "gi" => 1_073_741_824.0,
        "tib" | "ti" => 1_099_511_627_776.0,
        _ => return None,
    };
    let bytes = number.parse::<f64>().ok()? * factor;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be positive and far below 2^63"
    )]
    (1.0..1e18).contains(&bytes).then_some(bytes as u64)
}

/// Removes layers from a cache that holds more than it may, the longest unused first, and only those that no image of
/// the engine and no node needs. Tells the bytes that went.
///
/// # Errors
/// What [`Inventory::take`] says; [`Reason::FileUnreadable`] if a file cannot be removed.
pub(in crate::image) async fn enforce(engine: &Engine, env: &Env) -> Result<u64> {
    let cap = cache_cap(env)?;
    let cache = Cache::of(engine, env).await?;
    let size = {
        let cache = cache.clone();
        tokio::task::spawn_blocking(move || cache.stock().bytes()).await
    };
    let size = size.map_err(|e| Failure::new(Reason::Internal, "reading the cache panicked").cause(&e))?;
    if size <= cap {
        return Ok(0);
    }
    let inventory = Inventory::take(engine, env).await?;
    let mut gone = 0;
    for name in least_recent(&inventory, cap, SystemTime::now()) {
        gone += inventory.cache.files.get(&name).map_or(0, |file| file.size);
        remove::from_cache(&cache.blob(&name))?;
    }
    Ok(gone)
}

/// Layers to be removed so that the cache holds no more than `cap`, the longest unused first.
pub(super) fn least_recent(inventory: &Inventory, cap: u64, now: SystemTime) -> Vec<String> {
    let plan = plan(inventory, None, now);
    let mut candidates: Vec<(SystemTime, u64, String)> = plan
        .items
        .into_iter()
        .filter_map(|item| match item.thing {
            Thing::Layer { name } => Some((inventory.cache.files.get(&name)?.used, item.bytes, name)),
            _ => None,
        })
        .collect();
    candidates.sort();
    let mut left = inventory.cache.bytes();
    let mut going = Vec::new();
    for (_, bytes, name) in candidates {
        if left <= cap {
            break;
        }
        left -= bytes;
        going.push(name);
    }
    going
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(parse("500MB"), Some(500_000_000));
        assert_eq!(parse("1.5 GiB"), Some(1_610_612_736));
        for wrong in ["", "20", "GB", "-1GB", "20XB", "1e9GB", "0GB"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
