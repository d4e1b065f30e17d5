//! `dev image rm`.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use crate::cli::session::Session;
use crate::container::Engine;
use crate::diag::Result;
use crate::image;

/// Arguments of `dev image rm`.
#[derive(Debug, Clone, Args)]
pub struct RmArgs {
    /// Names of images
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<String>,
    /// Also what pods or stopped containers use; those that run go on
    #[arg(short, long)]
    pub force: bool,
}

pub(super) async fn run(session: &Session, args: &RmArgs) -> Result<ExitCode> {
    let engine = Engine::connect(&session.env).await?;
    let done = image::remove(&engine, &session.env, &args.images, args.force).await?;
    let lines: Vec<String> = done.removed.iter().map(|item| format!("- {}", item.thing)).collect();
    session.result(
        &lines.join("\n"),
        &json!({"v": 1, "event": "images_removed", "images": args.images, "removed": done.removed}),
    );
    Ok(ExitCode::SUCCESS)
}
