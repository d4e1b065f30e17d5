//! One integration binary: the built program against fakes at the wire, and (`real`, on demand) against a real
//! cluster.

mod cli;
mod dev;
mod input;
mod real;
