//! Connectors and formats by name: which artifact goes with which Flink, and how it is fetched.

mod choose;
mod fetch;

mod table;

pub(in crate::image) use choose::suffix;
pub use choose::{Choice, Fit, choose, fit};

pub use fetch::fetch;
pub use table::{Known, known};
