//! `dev image prune`.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use crate::cli::output::human_bytes;
use crate::cli::session::Session;
use crate::container::Engine;
use crate::diag::Result;
use crate::image::{self, Inventory, Item, PrunePlan, Thing};

/// Arguments of `dev image prune`.
#[derive(Debug, Clone, Args)]
pub struct PruneArgs {
    /// Only builds of these applications, by their names without a tag
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Print what would go, and remove nothing
    #[arg(long)]
    pub dry_run: bool,
}

pub(super) async fn run(session: &Session, args: &PruneArgs) -> Result<ExitCode> {
    let cap = image::cache_cap(&session.env)?;
    let engine = Engine::connect(&session.env).await?;
    let inventory = Inventory::take(&engine, &session.env).await?;
    let mut plan = inventory.plan(Some(cap));
    if !args.names.is_empty() {
        plan = plan.only(&inventory, &args.names);
    }
    if args.dry_run {
        session.result(
            &text(session, &plan, "would go"),
            &json!({"v": 1, "event": "prune_plan", "plan": plan, "cache_bytes": plan.cache_bytes()}),
        );
        return Ok(ExitCode::SUCCESS);
    }
    let done = image::carry_out(&engine, &session.env, &plan).await?;
    let removed = PrunePlan {
        items: done.removed.clone(),
        notes: [plan.notes, done.kept.clone()].concat(),
    };
    session.result(
        &text(session, &removed, "removed"),
        &json!({"v": 1, "event": "pruned", "removed": done.removed, "kept": done.kept, "cache_bytes": done.cache_bytes}),
    );
    Ok(ExitCode::SUCCESS)
}

fn text(session: &Session, plan: &PrunePlan, what: &str) -> String {
    let style = session.out;
    // of layers and notes there may be hundreds, and their digests say nothing to people
    let in_cache = |item: &&Item| matches!(item.thing, Thing::Layer { .. } | Thing::CachedImage { .. });
    let layers = plan.items.iter().filter(in_cache).count();
    let mut lines: Vec<String> = plan
        .items
        .iter()
        .filter(|item| session.verbose || !in_cache(item))
        .map(|item| {
            let bytes = if item.bytes == 0 {
                String::new()
            } else {
                format!(", {}", human_bytes(item.bytes))
            };
            format!("- {}  {}", item.thing, style.dim(&format!("({}{bytes})", item.why)))
        })
        .collect();
    if layers > 0 && !session.verbose {
        let bytes = human_bytes(plan.cache_bytes());
        lines.push(format!(
            "- cache   {layers} layers and notes of images that nothing needs, {bytes}"
        ));
    }
    lines.extend(plan.notes.iter().map(|note| style.warn(note)));
    lines.push(match plan.items.len() {
        0 => "nothing is stale".to_owned(),
        n => format!("{n} {what}, {} of the cache", human_bytes(plan.cache_bytes())),
    });
    lines.join("\n")
}
