//! `dev down`.

use std::process::ExitCode;

use serde_json::json;

use crate::cli::session::Session;
use crate::config::Profile;
use crate::diag::Result;
use crate::environment::{self, Context};

pub(super) async fn run(session: &Session, profile: Option<&str>) -> Result<ExitCode> {
    let profile = Profile::load(&session.env, profile)?;
    let context = Context::open(&session.env, profile).await?;
    let removed = environment::down(&context).await?;
    let text = if removed.is_empty() {
        format!("there was nothing of `{}`", context.kind.name())
    } else {
        format!("removed:\n  {}", removed.join("\n  "))
    };
    session.result(&text, &json!({"v": 1, "name": context.kind.name(), "removed": removed}));
    Ok(ExitCode::SUCCESS)
}
