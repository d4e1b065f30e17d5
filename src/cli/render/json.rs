//! One JSON object a line on standard output.

use super::Renderer;
use crate::cli::output;
use crate::event::Event;

/// The JSON renderer.
pub(super) struct Json;

impl Renderer for Json {
    fn event(&mut self, event: &Event) {
        match serde_json::to_string(event) {
            Ok(line) => output::result(&line),
            Err(error) => output::message(&format!("event {}: {error}", event.seq)),
        }
    }
}
