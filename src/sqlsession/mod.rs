//! SQL on the session cluster, statement by statement: Flink's own gateway or client in a pod of the session image,
//! with topics offered as tables. The pod is this process's alone; what a killed one left behind is removed by the next.

mod gateway;
mod outcome;
mod pod;
mod shell;
mod tables;
#[cfg(test)]
mod tests;

pub use gateway::{Gateway, Limits};
pub use outcome::{Answer, Column, Outcome};
pub use pod::{Mode, SqlPod};
pub use shell::{Size, Terminal, shell};
pub use tables::{Offered, bounded, of_profile, of_script};
