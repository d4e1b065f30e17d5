//! `dev ui` against an API server that forwards ports.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::fakes::flink::{Cluster, NAMESPACE, eventually, user_interface};

/// A run that goes on until it is interrupted, and the address that it told.
struct Served {
    child: Child,
    lines: std::sync::mpsc::Receiver<Value>,
    url: String,
}

impl Served {
    fn start(cluster: &Cluster, args: &[&str]) -> Self {
        let mut command = cluster
            .world
            .command(&[&["ui", "-o", "json", "--port", "0"], args].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (sender, lines) = std::sync::mpsc::channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let _ = sender.send(serde_json::from_str(&line).unwrap());
            }
        });
        let mut served = Self {
            child,
            lines,
            url: String::new(),
        };
        let told = served.wait_for(|line| line["url"].is_string());
        served.url = told["url"].as_str().unwrap().to_owned();
        served
    }

    #[track_caller]
    fn wait_for(&self, mut wanted: impl FnMut(&Value) -> bool) -> Value {
        eventually("a line", || self.lines.try_iter().find(|line| wanted(line)))
    }

    /// Flink's version, as it answers at the address.
    fn version(&self, cluster: &Cluster) -> Option<String> {
        let address = self.url.strip_prefix("http://")?.split('/').next()?.to_owned();
        cluster.runtime.block_on(async move {
            use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
            let mut stream = tokio::net::TcpStream::connect(&address).await.ok()?;
            let request = b"GET /overview HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
            stream.write_all(request).await.ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.ok()?;
            let body: Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1)?).ok()?;
            Some(body["flink-version"].as_str()?.to_owned())
        })
    }

    fn interrupt(mut self) -> Option<i32> {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), Signal::SIGINT).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

#[test]
fn it_leads_to_the_session_cluster_and_follows_its_job_manager() {
    let cluster = Cluster::new();
    let (first, second) = (
        user_interface(&cluster.runtime, "2.2.1"),
        user_interface(&cluster.runtime, "2.2.2"),
    );
    cluster.api.forward("session-jm-1", first);
    cluster.api.forward("session-jm-2", second);
    let served = Served::start(&cluster, &[]);
    assert_eq!(served.version(&cluster).as_deref(), Some("2.2.1"));

    cluster.api.remove(&format!("{NAMESPACE}/pods/session-jm-1"));
    served.wait_for(|line| {
        line["message"]
            .as_str()
            .is_some_and(|m| m.contains("session-jm-1 is gone"))
    });
    cluster.pod("session-jm-2", "session", "jobmanager", "2026-01-01T00:01:00Z");
    served.wait_for(|line| {
        line["message"]
            .as_str()
            .is_some_and(|m| m.contains("session-jm-2 has taken over"))
    });
    assert_eq!(served.version(&cluster).as_deref(), Some("2.2.2"));
    assert_eq!(served.interrupt(), Some(0));
}

#[test]
fn a_name_is_an_application_a_job_or_nothing() {
    let cluster = Cluster::new();
    cluster.job("orders", "savepoint");
    cluster.deployment("clicks", true);
    cluster.pod("clicks-jm", "clicks", "jobmanager", "2026-01-01T00:00:01Z");
    cluster.api.forward("clicks-jm", user_interface(&cluster.runtime, "1"));
    cluster
        .api
        .forward("session-jm-1", user_interface(&cluster.runtime, "2"));
    let application = Served::start(&cluster, &["clicks"]);
    assert_eq!(application.version(&cluster).as_deref(), Some("1"));
    assert_eq!(application.interrupt(), Some(0));
    let job = Served::start(&cluster, &["orders"]);
    assert!(job.url.contains("/#/job/running/ab12"), "{}", job.url);
    assert_eq!(job.version(&cluster).as_deref(), Some("2"));
    assert_eq!(job.interrupt(), Some(0));
    let unknown = cluster.run(&["ui", "click"]);
    assert_eq!(unknown.code, Some(84), "{}", unknown.stderr);
    assert!(unknown.stderr.contains("dev ui clicks"), "{}", unknown.stderr);
}

#[test]
fn a_taken_port_and_a_silent_job_manager_are_told() {
    let cluster = Cluster::new();
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port().to_string();
    let taken = cluster.run(&["ui", "--port", &port]);
    assert_eq!(taken.code, Some(32), "{}", taken.stderr);
    assert!(
        taken.stderr.contains(&format!("port {port} of this machine is taken")),
        "{}",
        taken.stderr
    );

    // nothing listens where the pod's port leads
    cluster.api.forward("session-jm-1", 1);
    let silent = cluster.run(&["ui", "--port", "0", "--within", "1s"]);
    assert_eq!(silent.code, Some(82), "{}", silent.stderr);
    assert!(silent.stderr.contains("does not answer"), "{}", silent.stderr);
    assert_eq!(silent.stdout, "");
}

#[test]
fn the_browser_is_started_and_one_that_is_missing_ends_nothing() {
    let cluster = Cluster::new();
    cluster
        .api
        .forward("session-jm-1", user_interface(&cluster.runtime, "2.2.1"));
    let bin = cluster.world.path("bin");
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let script = format!(
        "#!/bin/sh\nprintf %s \"$1\" >{}\n",
        cluster.world.path("opened").display()
    );
    let file = cluster.world.write(&format!("bin/{opener}"), &script);
    let mut permissions = std::fs::metadata(&file).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o755);
    std::fs::set_permissions(&file, permissions).unwrap();
    let Cluster { world, api, runtime } = cluster;
    let cluster = Cluster {
        world: world.with("PATH", format!("{}:/usr/bin:/bin", bin.display())),
        api,
        runtime,
    };
    let served = Served::start(&cluster, &["--open"]);
    let opened = eventually("the browser", || {
        std::fs::read_to_string(cluster.world.path("opened"))
            .ok()
            .filter(|url| !url.is_empty())
    });
    assert_eq!(opened, served.url);
    assert_eq!(served.interrupt(), Some(0));

    std::fs::remove_file(&file).unwrap();
    let Cluster { world, api, runtime } = cluster;
    let cluster = Cluster {
        world: world.with("PATH", bin.display().to_string()),
        api,
        runtime,
    };
    let served = Served::start(&cluster, &["--open"]);
    served.wait_for(|line| {
        line["message"]
            .as_str()
            .is_some_and(|m| m.contains("is not on the PATH"))
    });
    assert_eq!(served.version(&cluster).as_deref(), Some("2.2.1"));
    assert_eq!(served.interrupt(), Some(0));
}
