//! A Maven or Gradle project: built with its own tool, and the jar that came out of it found.

mod compiler;
mod jars;
mod run;
mod tool;

pub use run::{Built, build};
pub use tool::{Tool, build_files, tool_of};
