//! What can be told about a jar without running it: whether it is one, its main class, the Java and the Flink it was
//! made for, and whether it clashes with another. Nothing is ever unpacked to disk.

mod check;
mod class;
mod read;
mod target;
#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;

pub use check::{Checked, check, main_class};
pub use read::{Artifact, Jar, read, read_bytes};
pub use target::{Minor, Target};
