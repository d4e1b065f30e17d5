//! `dev ui`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::job;
use crate::cli::session::Session;
use crate::cli::values::duration;
use crate::diag::{Reason, Result};
use crate::event::{EventKind, EventSink};
use crate::job::{Place, Shown, Stage, Ui};
use crate::kube::{Forward, Told};
use crate::process::open_browser;

/// Where Flink itself listens, and where people look for it.
const USUAL: u16 = 8081;

/// `dev ui`.
#[derive(Debug, Args)]
pub struct UiArgs {
    /// A session cluster, an application or a job [default: the profile's session cluster]
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Open it in the browser
    #[arg(long)]
    pub open: bool,
    /// The port of this machine; 0: a free one [default: 8081, or a free one where that is taken]
    #[arg(long, value_name = "N")]
    pub port: Option<u16>,
    /// How long Flink may take until it answers
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    pub within: Duration,
    #[command(flatten)]
    /// The environment.
    pub place: job::args::Where,
}

pub(super) async fn run(session: &Session, args: &UiArgs) -> Result<ExitCode> {
    // a taken port is told before anything is asked
    let forward = match args.port {
        Some(port) => Forward::bind(port).await?,
        None => match Forward::bind(USUAL).await {
            Ok(forward) => forward,
            Err(_) => Forward::bind(0).await?,
        },
    };
    let place = job::place(session, &args.place).await?;
    let shown = Shown::find(&place, args.name.as_deref()).await?;
    let (events, rendering) = session.render();
    let result = serve(session, args, &place, &shown, forward, &events).await;
    events.emit(EventKind::RunFinished {
        ok: result.is_ok(),
        summary: match &result {
            Ok(()) => "the user interface is not served any more".to_owned(),
            Err(failure) => failure.to_string(),
        },
    });
    drop(events);
    rendering.finish().await;
    result.map(|()| ExitCode::SUCCESS)
}

async fn serve(
    session: &Session,
    args: &UiArgs,
    place: &Place,
    shown: &Shown,
    forward: Forward,
    events: &EventSink,
) -> Result<()> {
    let address = forward.address;
    let (told, mut happens) = mpsc::unbounded_channel();
    let _serving = AbortOnDropHandle::new(tokio::spawn(forward.serve(shown.target(place), told)));
    let title = format!("user interface of {}", shown.title);
    let stage = Stage::start(events, &session.cancel, "ui", title);
    let cx = stage.cx().clone();
    let answers = shown.answers(place, address, args.within, &cx);
    let ui = match stage.run(answers, |ui: &Ui| seen(ui)).await {
        // Ctrl-C is how one ends it, also before it answers
        Err(failure) if failure.id() == Reason::Interrupted => return Ok(()),
        answered => answered?,
    };
    session.result(&ui.url, &ui);
    if args.open {
        match open_browser(&session.env, &ui.url).await {
            Ok(()) => events.note("opened in the browser"),
            // the address is there: that no browser could be started ends nothing
            Err(failure) => events.note(format!("{failure}: {}", failure.next_steps().join(", "))),
        }
    }
    events.note("Ctrl-C ends it");
    let mut pod = None;
    let mut broken = String::new();
    loop {
        tokio::select! {
            () = session.cancel.cancelled() => return Ok(()),
            Some(what) = happens.recv() => match what {
                Told::Pod(now) => {
                    broken.clear();
                    // the first one is no news
                    if pod.replace(now.clone()).is_some() {
                        let again = shown.answers(place, address, args.within, &cx).await;
                        match again {
                            Ok(ui) => events.note(format!("pod {now} has taken over: {}", seen(&ui))),
                            Err(failure) if failure.id() == Reason::Interrupted => return Ok(()),
                            Err(failure) => events.note(format!("pod {now} has taken over, but {failure}")),
                        }
                    }
                }
                Told::NoPod(gone) => events.note(format!("pod {gone} is gone; connections wait for the next one")),
                // one that is broken in the same way many times is told once
                Told::Broken(why) if why != broken => {
                    events.note(format!("a connection broke: {why}"));
                    broken = why;
                }
                Told::Broken(_) => {}
            },
        }
    }
}

fn seen(ui: &Ui) -> String {
    format!(
        "{} leads to Flink {}, {} TaskManagers, {} running jobs",
        ui.url, ui.flink, ui.taskmanagers, ui.jobs
    )
}
