//! Consumers of events: a live view on a terminal, plain lines elsewhere, JSON lines for programs.

mod human;
mod json;
mod lines;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::cli::output::Style;
use crate::event::{Event, EventSink};

/// What a run's events are turned into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Human,
    /// For programs: one JSON object a line on standard output.
    Json,
}

/// Takes events one by one.
pub(super) trait Renderer: Send {
    /// Shows one event.
    fn event(&mut self, event: &Event);
    /// Called now and then while nothing happens.
    fn tick(&mut self) {}
}

/// A renderer that runs beside the work.
#[derive(Debug)]
pub(super) struct Rendering {
    task: JoinHandle<()>,
}

impl Rendering {
    /// Starts to render; the sink goes to the work.
    pub(super) fn start(format: Format, style: Style, verbose: bool) -> (EventSink, Self) {
        let (sink, receiver) = EventSink::channel();
        let renderer: Box<dyn Renderer> = match format {
            Format::Json => Box::new(json::Json),
            Format::Human if style.live => Box::new(human::Human::new(style, verbose)),
            Format::Human => Box::new(lines::Lines::new(style, verbose)),
        };
        (
            sink,
            Self {
                task: tokio::spawn(drive(renderer, receiver)),
            },
        )
    }

    /// Waits until everything is shown. All sinks have to be dropped before.
    pub(super) async fn finish(self) {
        // a clone of the sink may live on in a task that is being torn down
        let _ = tokio::time::timeout(std::time::Duration::from_secs(2), self.task).await;
    }
}

async fn drive(mut renderer: Box<dyn Renderer>, mut receiver: mpsc::UnboundedReceiver<Event>) {
    let mut ticks = tokio::time::interval(std::time::Duration::from_millis(100));
    loop {
        tokio::select! {
            event = receiver.recv() => match event {
                Some(event) => renderer.event(&event),
                None => return,
            },
            _ = ticks.tick() => renderer.tick(),
        }
    }
}
