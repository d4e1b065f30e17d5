//! The `dev` program; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    flink_dev::cli::main()
}
