//! Errors about the machine, found before anything is created. They need an engine that tells its memory.

use super::steps::docker;
use crate::dev::World;

/// A profile in a world of its own, with the real engine.
fn up(profile: &str) -> crate::dev::Run {
    let socket = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
    let world = World::new().with("DOCKER_HOST", socket);
    world.write("dev.yaml", profile);
    let run = world.run(&["up"]);
    assert_eq!(
        docker(&["ps", "-aq", "--filter", "label=io.x-k8s.kind.cluster=too-much"]),
        "",
        "nothing was created"
    );
    run
}

#[test]
#[ignore = "needs a real Docker engine"]
fn more_memory_than_there_is_is_an_error_with_numbers() {
    let run = up("version: 1\nextends: default\nname: too-much\nsession:\n  task_manager:\n    memory: 900Gi\n");
    assert_eq!(run.code, Some(30), "{}", run.stderr);
    assert!(
        run.stderr.contains("MEMORY_SHORT") && run.stderr.contains("MiB"),
        "{}",
        run.stderr
    );
}

#[test]
#[ignore = "needs a real Docker engine"]
fn a_port_in_use_is_an_error_that_names_it() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let run = up(&format!(
        "version: 1\nextends: default\nname: too-much\nkafka:\n  port: {port}\n"
    ));
    assert_eq!(run.code, Some(32), "{}", run.stderr);
    assert!(
        run.stderr.contains("PORT_IN_USE") && run.stderr.contains(&port.to_string()),
        "{}",
        run.stderr
    );
}
