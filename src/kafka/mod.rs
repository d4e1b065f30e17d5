//! Kafka topics and records, over the Kafka protocol: as a test needs them, and as a user looks at them. Bounded
//! throughout, in time and in memory.

mod client;
mod read;
mod scan;
pub mod text;
mod topics;
mod write;

pub use client::{Topic, TopicClient};
pub use read::{Fetched, Reader};
pub use scan::{Incoming, Scan, Start};
pub use topics::{PartitionInfo, TopicInfo, unknown_topic};
pub use write::{Outgoing, Writer};

#[cfg(test)]
mod tests;
