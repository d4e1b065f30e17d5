//! One integration binary: the built program against fakes at the wire, and (`real`, on demand) against a real
//! cluster.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the rules are the library's: a test starts programs, reads its environment and tells what it measured"
)]

mod applications;
mod bad_cases;
mod cli;
mod dev;
mod fakes;
mod image;
mod input;
mod jobs;
mod real;
#[cfg(unix)]
mod signals;
mod sql;
mod topics;
mod ui;
mod verify;
