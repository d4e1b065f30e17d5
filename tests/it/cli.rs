//! The program as such: help, pipes, terminals, ids of errors.

use std::io::Read;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::dev::World;

#[test]
fn help_starts_at_once() {
    let world = World::new();
    let mut times: Vec<Duration> = (0..15)
        .map(|_| {
            let start = Instant::now();
            let run = world.run(&["--help"]);
            assert_eq!(run.code, Some(0));
            assert!(run.stdout.contains("Examples:"));
            start.elapsed()
        })
        .collect();
    times.sort();
    println!("dev --help: {:?} at best", times[0]);
    // 10 ms is the aim, and what a quiet machine shows; a busy one may never show it
    assert!(times[0] < Duration::from_millis(100), "{times:?}");
}

#[test]
fn every_command_has_help_with_examples() {
    let world = World::new();
    for command in [
        "up",
        "down",
        "status",
        "test",
        "job",
        "topic",
        "demo",
        "doctor",
        "schema",
        "explain",
        "completions",
        "image",
        "image build",
        "image load",
    ] {
        let args: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let run = world.run(&args);
        assert_eq!(run.code, Some(0), "{command}");
        assert!(run.stdout.contains("Examples:"), "{command}: {}", run.stdout);
    }
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let world = World::new();
    for args in [
        &["explain"][..],
        &["schema", "case"],
        &["completions", "bash"],
        &["--help"],
        &["doctor"],
    ] {
        let mut child = world
            .command(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        let status = child.wait().unwrap();
        assert!(
            !stderr.contains("panicked") && status.code().is_some(),
            "{args:?}: {status} {stderr}"
        );
    }
}

#[test]
fn nothing_but_text_goes_to_pipes_and_plain_terminals() {
    let world = World::new();
    for world in [
        world,
        World::new().with("NO_COLOR", "1").with("TERM", "xterm"),
        World::new().with("TERM", "dumb"),
    ] {
        for args in [&["doctor"][..], &["up"], &["explain", "nonsense"]] {
            let run = world.run(args);
            assert!(!run.stdout.contains('\x1b') && !run.stderr.contains('\x1b'), "{args:?}");
        }
    }
}

#[test]
fn a_terminal_gets_colours_unless_it_does_not_want_them() {
    // util-linux's `script` gives the program a terminal of its own
    let on_terminal = |vars: &[(&str, &str)]| {
        let mut world = World::new();
        for (name, value) in vars {
            world = world.with(name, *value);
        }
        let program = crate::dev::program();
        let mut command = world.command(&[]);
        let mut script = std::process::Command::new("script");
        script.args(["-qec", &format!("{} up", program.display()), "/dev/null"]);
        script
            .env_clear()
            .envs(command.get_envs().filter_map(|(k, v)| Some((k, v?))))
            .stdin(Stdio::null());
        let _ = &mut command;
        match script.output() {
            Ok(output) => Some(String::from_utf8_lossy(&output.stdout).into_owned()),
            Err(_) => None,
        }
    };
    let Some(coloured) = on_terminal(&[("TERM", "xterm-256color")]) else {
        return eprintln!("SKIPPED: there is no `script` program here");
    };
    assert!(coloured.contains("\x1b["), "{coloured}");
    for vars in [
        &[("TERM", "xterm-256color"), ("NO_COLOR", "1")][..],
        &[("TERM", "dumb")],
    ] {
        let plain = on_terminal(vars).unwrap();
        assert!(
            plain.contains("ENGINE_UNREACHABLE") && !plain.contains('\x1b'),
            "{vars:?}: {plain}"
        );
    }
}

#[test]
fn ids_of_errors_are_explained() {
    let world = World::new();
    let run = world.run(&["explain", "port_in_use"]);
    assert!(run.stdout.contains("PORT_IN_USE (exit code 32)"), "{}", run.stdout);
    let run = world.run(&["explain", "PORT_IN_USED"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("dev explain PORT_IN_USE"), "{}", run.stderr);
}

#[test]
fn without_an_engine_every_command_says_so_and_what_to_do() {
    let world = World::new();
    for args in [&["up"][..], &["down"], &["status"], &["demo"]] {
        let run = world.run(args);
        assert_eq!(run.code, Some(40), "{args:?}: {}", run.stderr);
        assert!(
            run.stderr.contains("error[ENGINE_UNREACHABLE]") && run.stderr.contains("dev doctor --fix"),
            "{}",
            run.stderr
        );
    }
    let run = world.run(&["up", "-o", "json"]);
    let line: serde_json::Value = serde_json::from_str(run.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&line["failure"]["id"], &line["exit_code"]),
        (&"ENGINE_UNREACHABLE".into(), &40.into())
    );
}

#[test]
fn a_socket_without_permission_is_told_from_a_missing_engine() {
    let world = World::new();
    let socket = world.path("docker.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::set_permissions(world.dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    // root may open everything: go as somebody else
    let copy = world.path("dev");
    std::fs::copy(crate::dev::program(), &copy).unwrap();
    let template = world.command(&[]);
    let mut command = std::process::Command::new("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&copy)
        .arg("up");
    command
        .env_clear()
        .envs(template.get_envs().filter_map(|(k, v)| Some((k, v?))));
    command
        .env("DOCKER_HOST", format!("unix://{}", socket.display()))
        .current_dir(world.dir.path());
    let Ok(output) = command.output() else {
        return eprintln!("SKIPPED: there is no setpriv here");
    };
    let stderr = String::from_utf8_lossy(&output.stderr);
    if stderr.contains("setpriv:") {
        return eprintln!("SKIPPED: not root, so nobody else can be had");
    }
    assert_eq!(output.status.code(), Some(41), "{stderr}");
    assert!(stderr.contains("error[ENGINE_PERMISSION]"), "{stderr}");
}
