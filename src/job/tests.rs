//! A job's way against an API server, an operator and a Flink in this process.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{Cluster, Code, Managed, Place, Script, Started, Verdict, Wanted, report, rows, run};
use crate::config::Addresses;
use crate::diag::{Failure, Reason, Result};
use crate::event::EventSink;
use crate::flink::UpgradeMode;
use crate::flink::fake::{Behaviour, Fake};

const DEPLOYMENTS: &str = "/apis/flink.apache.org/v1beta1/namespaces/flink/flinkdeployments";
const SCRIPT: &str = "CREATE TABLE t (a INT) WITH ('connector' = 'blackhole');\nINSERT INTO t SELECT ${N:-1};";

struct Setup {
    fake: Fake,
    place: Place,
    cancel: CancellationToken,
}

impl Setup {
    fn new(behaviour: Behaviour) -> Self {
        let (fake, client, _created) = Fake::start(behaviour);
        let object = |name: &str, job: bool| {
            let mut object = json!({ "metadata": { "name": name },
                "spec": { "flinkConfiguration": { "taskmanager.numberOfTaskSlots": "4" },
                    "taskManager": { "resource": { "memory": "1g", "cpu": 1.0 } } },
                "status": { "jobManagerDeploymentStatus": "READY" } });
            if job {
                object["spec"]["job"] = json!({ "state": "running" });
            }
            object
        };
        fake.put(&format!("{DEPLOYMENTS}/session"), object("session", false));
        fake.put(&format!("{DEPLOYMENTS}/app"), object("app", true));
        Self {
            fake,
            place: Place {
                client,
                namespace: "flink".to_owned(),
                session: "session".to_owned(),
                kafka: None,
                registry: None,
            },
            cancel: CancellationToken::new(),
        }
    }

    async fn run(&self, change: impl FnOnce(&mut Wanted)) -> Result<Started> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.sql");
        fs_err::write(&file, SCRIPT).unwrap();
        let mut wanted = Wanted {
            name: "a".to_owned(),
            code: Code::Sql(Box::new(
                Script::load(&file, "a.sql".as_ref(), &BTreeMap::new(), Addresses::default()).unwrap(),
            )),
            cluster: Cluster::Session,
            from: None,
            parallelism: None,
            settings: BTreeMap::new(),
            upgrade_mode: UpgradeMode::Stateless,
            replace: false,
            detach: false,
            within: Duration::from_secs(20),
        };
        change(&mut wanted);
        run(&self.place, None, &wanted, &EventSink::discard(), &self.cancel).await
    }

    /// The session jobs that are there, and the states of Flink's jobs.
    fn left(&self) -> (Vec<String>, Vec<&'static str>) {
        let jobs = self.fake.paths().into_iter().filter(|p| p.contains("flinksessionjobs"));
        (jobs.collect(), self.fake.job_states())
    }
}

#[tokio::test]
async fn a_good_job_runs_and_is_reported() {
    let it = Setup::new(Behaviour::Runs);
    let started = it.run(|_| {}).await.unwrap();
    assert_eq!((started.state, started.name.as_str()), ("RUNNING", "a"));
    assert!(!started.job_id.is_empty());
    let failure = it.run(|_| {}).await.unwrap_err();
    assert_eq!(failure.id(), Reason::JobExists);
    it.run(|w| w.replace = true).await.unwrap();
    assert_eq!(it.fake.job_states(), ["CANCELED", "RUNNING"]);

    let rows = rows(&it.place).await.unwrap();
    let seen: Vec<_> = rows.iter().map(|r| (r.name.as_str(), r.flink.as_str())).collect();
    assert_eq!(seen, [("a", "RUNNING"), ("app", "")]);
    let failure = Managed::find(&it.place, "aa").await.unwrap_err();
    assert_eq!(
        (failure.id(), failure.next_steps()),
        (Reason::JobUnknown, vec!["did you mean `a`?"])
    );
    let job = Managed::find(&it.place, "a").await.unwrap();
    let seen = report(&job).await.unwrap();
    assert_eq!(
        (seen.verdict, seen.flink.as_str(), seen.tasks.len()),
        (Verdict::Running, "RUNNING", 1)
    );
}

#[tokio::test]
async fn what_does_not_run_leaves_nothing_behind() {
    let error = json!({ "type": "x", "throwableList": [], "message":
        "Could not execute application.\nCaused by: io.github.flinkdev.sqlrunner.SqlScriptException: \
         statement 2 at 2:1 (INSERT INTO t SELECT 1): error at 2:15: nope\n\tat x" });
    let it = Setup::new(Behaviour::Refuses(error.to_string()));
    let failure = it.run(|_| {}).await.unwrap_err();
    assert_eq!(failure.to_string(), "a.sql:2:15: statement 2: nope");
    assert_eq!(it.left().0, Vec::<String>::new());

    let it = Setup::new(Behaviour::Fails("a.B: x\nCaused by: c.D: y".to_owned()));
    let failure = it.run(|_| {}).await.unwrap_err();
    assert_eq!((failure.id(), it.left().0.len()), (Reason::JobFailed, 0));

    let it = Setup::new(Behaviour::Ignores);
    let failure = it.run(|w| w.within = Duration::from_millis(300)).await.unwrap_err();
    assert_eq!((failure.id(), it.left().0.len()), (Reason::TimedOut, 0));
    let cancel = it.cancel.clone();
    let (result, ()) = tokio::join!(it.run(|_| {}), async {
        while it.left().0.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        cancel.cancel();
    });
    assert_eq!((result.unwrap_err().id(), it.left().0.len()), (Reason::Interrupted, 0));
}

#[tokio::test]
async fn nothing_is_created_where_it_cannot_run() {
    let it = Setup::new(Behaviour::Runs);
    let refused = |result: Result<Started>| -> Failure {
        assert!(it.left().0.is_empty());
        result.unwrap_err()
    };
    let mut other = Setup::new(Behaviour::Runs);
    other.place.session = "sesion".to_owned();
    let failure = other.run(|_| {}).await.unwrap_err();
    assert_eq!(failure.id(), Reason::SessionNotFound);
    assert_eq!(failure.next_steps(), ["did you mean --session session?"]);
    other.place.session = "app".to_owned();
    assert_eq!(other.run(|_| {}).await.unwrap_err().id(), Reason::SessionNotFound);
    // three of four slots are free, and the node (there is none) has no room
    let failure = refused(it.run(|w| w.parallelism = Some(4)).await);
    assert_eq!(failure.id(), Reason::SlotsShort);
    assert!(
        failure.to_string().contains("wants 4 task slots, 3 of 4 are free"),
        "{failure}"
    );
    let detached = it.run(|w| w.detach = true).await.unwrap();
    assert_eq!(detached.state, "SUBMITTED");
}
