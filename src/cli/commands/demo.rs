//! `dev demo`: the whole path in one command.

use std::process::ExitCode;

use super::{doctor as doctor_command, test, up};
use crate::cli::output;
use crate::cli::session::Session;
use crate::config::Profile;
use crate::diag::Result;
use crate::e2e;
use crate::environment::Context;

pub(super) async fn run(session: &Session, fix: bool, profile: Option<&str>) -> Result<ExitCode> {
    let profile = Profile::load(&session.env, profile)?;
    let (events, rendering) = session.render();
    let result = async {
        if fix {
            doctor_command::make_ready(session, &profile, &events).await?;
        }
        up::preflight(session, &profile).await?;
        let context = Context::open(&session.env, profile).await?;
        let up = up::bring_up(session, &context, &events).await?;
        events.note(up);
        let target = test::target_of_ready(&context).await?;
        Ok(test::run_cases(session, vec![e2e::demo_case()?], target, &events).await)
    }
    .await;
    drop(events);
    rendering.finish().await;
    if !result? {
        return Ok(test::exit_of_failed(session));
    }
    if !session.json() {
        let style = session.out;
        output::result(&format!(
            "\nnext: {}   what runs and where it listens\n  or: {}   the same case again, on the warm cluster\n  or: {}     take everything away",
            style.code("dev status"),
            style.code("dev test examples/orders"),
            style.code("dev down"),
        ));
    }
    Ok(ExitCode::SUCCESS)
}
