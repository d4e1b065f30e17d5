//! `dev status`.

use std::process::ExitCode;

use crate::cli::session::Session;
use crate::config::Profile;
use crate::diag::{Reason, Result};
use crate::environment::{self, Context, Status};

pub(super) async fn run(session: &Session, profile: Option<&str>) -> Result<ExitCode> {
    let profile = Profile::load(&session.env, profile)?;
    let context = Context::open(&session.env, profile).await?;
    let status = environment::status(&context).await?;
    session.result(&text(session, &status), &status);
    let code = match (status.ready, status.cluster) {
        (true, _) => 0,
        (false, "absent") => Reason::ClusterNotFound.entry().exit_code,
        (false, _) => Reason::ComponentNotReady.entry().exit_code,
    };
    Ok(ExitCode::from(code))
}

fn text(session: &Session, status: &Status) -> String {
    let style = session.out;
    let mut lines = vec![format!("{} ({})", style.bold(&status.name), status.cluster)];
    for part in &status.parts {
        let mark = if part.ready {
            style.good("ready    ")
        } else {
            style.warn("not ready")
        };
        lines.push(format!("  {mark} {:40} {}", part.title, style.dim(&part.reason)));
    }
    for endpoint in &status.endpoints {
        lines.push(format!(
            "  {:15} {} {}",
            endpoint.name,
            style.code(&endpoint.address),
            style.dim(&format!("({})", endpoint.from))
        ));
    }
    if !status.ready {
        lines.push(format!("next: {}", style.code("dev up")));
    }
    lines.join("\n")
}
