//! Kafka topics as a test needs them: create, produce, read from the beginning, delete. Bounded throughout.

mod client;
mod read;

pub use client::{Message, Topic, TopicClient};
pub use read::{Fetched, Reader};

#[cfg(test)]
mod tests;
