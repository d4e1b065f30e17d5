//! `dev image ls`.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use crate::cli::output::human_bytes;
use crate::cli::session::Session;
use crate::container::Engine;
use crate::diag::Result;
use crate::image::{self, Inventory, Row};

/// Arguments of `dev image ls`.
#[derive(Debug, Clone, Args)]
pub struct LsArgs {
    /// Also images that dev neither made nor loaded
    #[arg(short, long)]
    pub all: bool,
}

pub(super) async fn run(session: &Session, args: &LsArgs) -> Result<ExitCode> {
    let cap = image::cache_cap(&session.env)?;
    let engine = Engine::connect(&session.env).await?;
    let inventory = Inventory::take(&engine, &session.env).await?;
    let rows = image::rows(&inventory, args.all);
    let nodes: Vec<&str> = inventory.nodes.iter().map(|node| node.node.as_str()).collect();
    session.result(
        &text(session, &rows, &inventory, cap),
        &json!({
            "v": 1, "images": rows, "nodes": nodes, "silent_nodes": inventory.silent,
            "cache": {"bytes": inventory.cache.bytes(), "cap_bytes": cap, "layers": inventory.cache.files.len()},
        }),
    );
    Ok(ExitCode::SUCCESS)
}

fn text(session: &Session, rows: &[Row], inventory: &Inventory, cap: u64) -> String {
    let style = session.out;
    let short = |id: &str| id.trim_start_matches("sha256:").chars().take(12).collect::<String>();
    let width = rows
        .iter()
        .map(|row| row.name.len())
        .max()
        .unwrap_or_default()
        .clamp(4, 64);
    let mut lines = vec![style.dim(&format!(
        "{:width$}  {:12}  {:6}  {:>7}  {:>7}  {:>7}  NODES",
        "NAME", "ID", "ENGINE", "SIZE", "CACHED", "SHARED"
    ))];
    for row in rows {
        let size = |bytes: u64| if bytes == 0 { "-".to_owned() } else { human_bytes(bytes) };
        let nodes: Vec<String> = row
            .nodes
            .iter()
            .map(|place| match (place.current || !row.engine, place.used) {
                (true, true) => format!("{} (used)", place.node),
                (true, false) => place.node.clone(),
                (false, true) => format!("{} (another build, used)", place.node),
                (false, false) => format!("{} (another build)", place.node),
            })
            .collect();
        let name = if row.engine && row.name.starts_with("sha256:") {
            "<none>"
        } else {
            row.name.as_str()
        };
        lines.push(format!(
            "{name:width$}  {:12}  {:6}  {:>7}  {:>7}  {:>7}  {}",
            short(&row.id),
            if row.engine { "yes" } else { "-" },
            size(row.bytes),
            size(row.cached),
            size(row.shared),
            nodes.join(", "),
        ));
        if let Some(why) = &row.stale {
            lines.push(format!("  {}", style.warn(&format!("stale: {why}"))));
        }
    }
    for node in &inventory.nodes {
        match node.unnamed.len() {
            0 => {}
            n => lines.push(style.warn(&format!("{}: {n} replaced images without a name", node.node))),
        }
    }
    if !inventory.silent.is_empty() {
        let silent = format!("not seen, as it does not answer: {}", inventory.silent.join(", "));
        lines.push(style.warn(&silent));
    }
    lines.push(format!(
        "cache of layers: {} of {}",
        human_bytes(inventory.cache.bytes()),
        human_bytes(cap)
    ));
    if rows.iter().any(|row| row.stale.is_some()) {
        lines.push(format!("next: {}", style.code("dev image prune --dry-run")));
    }
    lines.join("\n")
}
