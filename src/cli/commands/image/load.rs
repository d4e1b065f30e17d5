//! `dev image load`.

use std::process::ExitCode;

use clap::Args;
use futures::future::join_all;
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
        let all = nodes.iter().map(|node| {
            let (engine, cx) = (&engine, &cx);
            async move {
                let report = image::load(engine, &session.env, &node.name, &args.images, cx).await?;
                Ok((node.name.clone(), report))
            }
        });
        let reports: Vec<_> = join_all(all).await.into_iter().collect::<Result<_>>()?;
        let summary: Vec<String> = reports
            .iter()
            .map(|(node, report)| format!("{node}: {report}"))
            .collect();
        Ok((reports, summary.join("; ")))
    });
    let loaded = loaded.await?;
    let text: Vec<String> = loaded
        .iter()
        .map(|(node, report)| format!("{node}: {report}"))
        .collect();
    let nodes: Vec<_> = loaded
        .iter()
        .map(|(node, report)| json!({"node": node, "report": report, "seconds": report.took.as_secs_f64()}))
        .collect();
    session.result(
        &text.join("\n"),
        &json!({"v": 1, "event": "images_loaded", "images": args.images, "nodes": nodes}),
    );
    Ok(ExitCode::SUCCESS)
}
