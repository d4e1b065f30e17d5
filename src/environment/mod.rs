//! A whole environment: observed, planned, brought up, told about, taken down.

mod context;
mod down;
mod status;
mod up;

pub use context::Context;
pub use down::down;
pub use status::{Endpoint, PartStatus, Status, listening, status};
pub use up::{Prepared, contents, prepare};
