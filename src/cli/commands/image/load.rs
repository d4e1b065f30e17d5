//! `dev image load`.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::{nodes, open, rendered};
use crate::cli::session::Session;
use crate::diag::{Failure, Reason, Result};
use crate::engine::StepCx;
use crate::image;

/// Arguments of `dev image load`.
#[derive(Debug, Clone, Args)]
pub struct LoadArgs {
    /// Names of images in the engine
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<String>,
    /// A container with containerd in it, instead of the nodes of the profile's cluster
    #[arg(long = "node", value_name = "CONTAINER")]
    pub nodes: Vec<String>,
    /// The environment's profile
    #[arg(short, long, value_name = "PROFILE")]
    pub profile: Option<String>,
}

pub(super) async fn run(session: &Session, args: &LoadArgs) -> Result<ExitCode> {
    let (_, engine, kind) = open(session, args.profile.as_deref()).await?;
    let nodes = nodes(&engine, &kind, &args.nodes).await?;
    if nodes.is_empty() {
        return Err(Failure::new(
            Reason::ClusterNotFound,
            format!("the cluster `{}` is not up", kind.name()),
        )
        .next("dev up"));
    }
    let loaded = rendered(session, async |events| {
        let cx = StepCx::detached("load", events, session.cancel.clone());
        let names: Vec<String> = nodes.iter().map(|node| node.name.clone()).collect();
        let brought = image::bring(&engine, &session.env, &names, &args.images, &cx).await?;
        let summary: Vec<String> = brought.iter().map(ToString::to_string).collect();
        Ok((brought, summary.join("; ")))
    });
    let loaded = loaded.await?;
    let text: Vec<String> = loaded.iter().map(ToString::to_string).collect();
    let nodes: Vec<_> = loaded.iter().map(as_json).collect();
    session.result(
        &text.join("\n"),
        &json!({"v": 1, "event": "images_loaded", "images": args.images, "nodes": nodes}),
    );
    Ok(ExitCode::SUCCESS)
}

/// What a load did in one node.
pub(super) fn as_json(brought: &image::Brought) -> serde_json::Value {
    json!({
        "node": brought.node, "report": brought.report, "removed": brought.removed,
        "seconds": brought.report.took.as_secs_f64(),
    })
}
