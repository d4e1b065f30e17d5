//! What SIGINT and SIGTERM do to the built program.

use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};

use crate::dev::World;

fn signal(name: &str, pid: u32) {
    let sent = Command::new("kill").args([name, &pid.to_string()]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn a_second_signal_right_behind_the_first_ends_the_program_at_once() {
    let world = World::new();
    // an engine that takes connections and never answers: a request to it is not dropped for the first signal
    let socket = world.path("silent.sock");
    let engine = UnixListener::bind(&socket).unwrap();
    let world = world.with("DOCKER_HOST", format!("unix://{}", socket.display()));
    let mut command = world.command(&["status"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // it is at its work
    let connection = engine.accept().unwrap();
    signal("-INT", child.id());
    signal("-TERM", child.id());
    let code = child.wait().unwrap().code();
    // it would be 40 if it had waited for the engine, and no code at all if the signals were not its own
    assert!(matches!(code, Some(130 | 143)), "{code:?}");
    drop(connection);
}
