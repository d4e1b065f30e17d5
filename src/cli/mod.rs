//! The command line: arguments in, exit code out. The only part of the crate that prints.

mod args;
mod commands;
mod output;
mod render;
mod report;
mod session;
mod values;

use std::process::ExitCode;

use clap::Parser;

use crate::env::Env;
pub use args::{Cli, Command};

/// Parses the arguments of this process, runs the command, and tells the exit code.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // help and version are no errors; a reader that went away is none either
            let _ = error.print();
            return if error.use_stderr() {
                ExitCode::from(2)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    let env = Env::from_process();
    let session = session::Session::new(env, &cli.global);
    if let Some(code) = commands::without_runtime(&cli.command, &session) {
        return code;
    }
    // rustls needs one provider for the whole process; kube and bollard bring none of their own choice
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::message(&format!("error: no runtime: {error}"));
            return ExitCode::from(10);
        }
    };
    let code = runtime.block_on(commands::run(cli.command, &session));
    // tasks of a cancelled run may hang in a system call
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    code
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
