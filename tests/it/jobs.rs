//! `dev job` against an API server, an operator and a Docker engine in this process: what it asks for, what it prints,
//! how it ends.

use serde_json::{Value, json};

use crate::dev::{Run, World, runtime};
use crate::fakes::apiserver::ApiServer;
use crate::fakes::docker;
use crate::fakes::flink::{Cluster, NAMESPACE};

const JOBS: &str = "/apis/flink.apache.org/v1beta1/namespaces/flink/flinksessionjobs";
const REST: &str = "/api/v1/namespaces/flink/services/session-rest:8081/proxy";
const ID: &str = "0123456789abcdef0123456789abcdef";
const SCRIPT: &str =
    "CREATE TABLE t (a STRING) WITH ('connector' = 'blackhole');\nINSERT INTO t SELECT '${NAME:-x}';\n";

/// An environment with a session cluster of four slots, and the program beside it.
struct Setup {
    world: World,
    api: ApiServer,
    // the fakes live in it
    _runtime: tokio::runtime::Runtime,
}

impl Setup {
    fn new() -> Self {
        let runtime = runtime();
        let world = World::new();
        let socket = world.path("docker.sock");
        let world = world.with("DOCKER_HOST", format!("unix://{}", socket.display()));
        world.write(
            "dev.yaml",
            "version: 1\nextends: minimal\nname: fake\nkafka: {enabled: false}\n",
        );
        world.write("orders.sql", SCRIPT);
        let api = runtime.block_on(async {
            docker::start(&socket, "fake", 1);
            ApiServer::start().await
        });
        world.write(".local/state/flink-dev/fake/kubeconfig", &api.kubeconfig());
        for kind in ["flinksessionjobs", "flinkdeployments", "flinkstatesnapshots"] {
            let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{kind}.flink.apache.org");
            api.set(&path, json!({}));
        }
        api.set("/api/v1/namespaces/flink", json!({}));
        let session = json!({ "metadata": { "name": "session" }, "status": { "jobManagerDeploymentStatus": "READY" },
            "spec": { "image": "session:1", "flinkConfiguration": { "taskmanager.numberOfTaskSlots": "4" },
                "taskManager": { "resource": { "memory": "1g", "cpu": 1.0 } } } });
        api.set(&JOBS.replace("flinksessionjobs", "flinkdeployments/session"), session);
        let it = Self {
            world,
            api,
            _runtime: runtime,
        };
        it.flink(4, "RUNNING");
        it.operator(|job| {
            job["status"] = json!({ "lifecycleState": "STABLE", "observedGeneration": job["metadata"]["generation"],
                "jobStatus": { "jobId": ID, "state": "RUNNING" } });
        });
        it
    }

    /// What Flink says: its free slots, and its one job, which nobody finds in the list of those that run.
    fn flink(&self, free: u64, state: &str) {
        let answer = |path: &str, body: Value| self.api.answer(&format!("{REST}{path}"), 200, body);
        answer(
            "/overview",
            json!({ "slots-total": 4, "slots-available": free, "taskmanagers": 1 }),
        );
        answer("/jobs/overview", json!({ "jobs": [] }));
        answer(
            "/jobmanager/environment",
            json!({ "classpath": ["/opt/flink/lib/flink-table-api-java-uber-2.2.1.jar"] }),
        );
        answer(
            &format!("/jobs/{ID}"),
            json!({ "jid": ID, "state": state, "vertices": [{ "parallelism": 4, "tasks": { state: 4 } }] }),
        );
        answer(&format!("/jobs/{ID}/exceptions"), json!({}));
    }

    /// What the operator does with each object that is written.
    fn operator(&self, reconcile: impl Fn(&mut Value) + Send + 'static) {
        self.api.react("FlinkSessionJob", reconcile);
    }

    #[track_caller]
    fn job(&self, args: &[&str]) -> Run {
        let mut all = vec!["job"];
        all.extend(args);
        self.world.run(&all)
    }

    fn object(&self, name: &str) -> Option<Value> {
        self.api.object(&format!("{JOBS}/{name}"))
    }
}

#[track_caller]
fn ends(run: Run, code: i32, parts: &[&str]) -> Run {
    assert_eq!(run.code, Some(code), "stdout: {}\nstderr: {}", run.stdout, run.stderr);
    for part in parts {
        let all = format!("{}{}", run.stdout, run.stderr);
        assert!(all.contains(part), "`{part}` is not in: {all}");
    }
    run
}

#[test]
fn a_script_becomes_a_job_that_is_listed_and_removed() {
    let it = Setup::new();
    let run = ends(
        it.job(&["run", "orders.sql", "--var", "NAME=geheim", "-o", "json"]),
        0,
        &[],
    );
    let last: Value = serde_json::from_str(run.stdout.lines().last().unwrap()).unwrap();
    assert_eq!((&last["state"], &last["job_id"]), (&json!("RUNNING"), &json!(ID)));
    let args = it.object("orders").unwrap()["spec"]["job"]["args"].to_string();
    // the script as it was written, and the value beside it
    assert!(
        args.contains("\"--var\",\"NAME=geheim\"") && !run.stdout.contains("geheim"),
        "{args}"
    );

    ends(
        it.job(&["run", "orders.sql"]),
        85,
        &["JOB_EXISTS", "dev job upgrade orders orders.sql", "--replace"],
    );
    ends(it.job(&["ls"]), 0, &["orders", "STABLE", ID]);
    ends(it.job(&["status", "order"]), 84, &["did you mean `orders`?"]);
    ends(it.job(&["status", "orders"]), 0, &["running"]);
    ends(it.job(&["rm", "orders"]), 0, &[]);
    assert_eq!(it.object("orders"), None);
}

#[test]
fn a_refused_script_is_told_at_its_place_and_leaves_nothing() {
    let it = Setup::new();
    it.operator(|job| {
        let error = "Could not execute application.\nCaused by: io.github.flinkdev.sqlrunner.SqlScriptException: \
             statement 2 at 2:1 (INSERT INTO t SELECT 1): error at 2:15: no s3cr3t here\n\tat x";
        job["status"] = json!({ "lifecycleState": "UPGRADING", "observedGeneration": 1,
            "error": json!({ "message": error }).to_string(), "jobStatus": { "jobId": ID, "state": "RECONCILING" } });
    });
    std::fs::write(it.world.path("orders.sql"), SCRIPT.replace("NAME:-x", "DB_PASSWORD")).unwrap();
    let run = ends(
        it.job(&["run", "orders.sql", "--var", "DB_PASSWORD=s3cr3t"]),
        80,
        &["JOB_SUBMIT_FAILED", "orders.sql:2:15", "no ${DB_PASSWORD} here"],
    );
    assert!(!run.stderr.contains("s3cr3t"), "{}", run.stderr);
    assert_eq!(it.object("orders"), None);
}

#[test]
fn what_cannot_be_is_told_before_anything_is_created() {
    let it = Setup::new();
    let long = "a".repeat(46);
    ends(
        it.job(&["run", "orders.sql", "--name", &long]),
        2,
        &["46 characters", "--name"],
    );
    ends(
        it.job(&["run", "orders.sql", "--session", "sesion"]),
        83,
        &["did you mean --session session?"],
    );
    ends(
        it.job(&["run", "orders.sql", "--connector", "jdbc"]),
        2,
        &["add --application"],
    );
    ends(
        it.job(&["run", "orders.sql", "--main", "a.B"]),
        2,
        &["--main is for a jar"],
    );
    ends(it.job(&["run", "none.sql"]), 20, &["there is no file `none.sql`"]);
    ends(
        it.job(&["run", "orders.sql", "--var", "NAM=x"]),
        23,
        &["did you mean --var NAME=…?"],
    );
    ends(
        it.job(&["run", "orders.sql", "--parallelism", "5"]),
        86,
        &["wants 5 task slots, 4 of 4 are free"],
    );
    ends(it.job(&["upgrade", "orders", "orders.sql"]), 84, &["JOB_UNKNOWN"]);
    let run = ends(it.job(&["run", "none.jar"]), 20, &["none.jar"]);
    assert!(!run.stderr.contains("panicked"));
    assert_eq!(it.object("orders"), None);
    // somebody else is quicker than the check can see
    it.api.fail(&format!("POST {JOBS}"), 409, "already exists", 1);
    ends(it.job(&["run", "orders.sql"]), 85, &["came to be at this moment"]);
}

#[test]
fn a_job_is_replaced_in_the_very_slots_that_it_has() {
    let it = Setup::new();
    ends(it.job(&["run", "orders.sql", "--parallelism", "4"]), 0, &[]);
    it.flink(0, "RUNNING");
    ends(
        it.job(&["run", "orders.sql", "--name", "other", "--parallelism", "4"]),
        86,
        &["SLOTS_SHORT"],
    );
    ends(
        it.job(&["run", "orders.sql", "--parallelism", "4", "--replace"]),
        0,
        &[],
    );
}

#[test]
fn a_change_of_a_job_that_has_ended_does_not_say_that_it_runs() {
    let it = Setup::new();
    it.flink(4, "FINISHED");
    it.operator(|job| {
        job["status"] = json!({ "lifecycleState": "STABLE", "observedGeneration": job["metadata"]["generation"],
            "jobStatus": { "jobId": ID, "state": "FINISHED" } });
    });
    ends(it.job(&["run", "orders.sql"]), 0, &["job orders is FINISHED"]);
    let run = ends(it.job(&["resume", "orders"]), 0, &["FINISHED"]);
    assert!(!run.stderr.contains("RUNNING"), "{}", run.stderr);
}

#[test]
fn an_application_goes_without_waiting_for_task_managers_that_have_no_job_manager() {
    let cluster = Cluster::new();
    cluster.deployment("clicks", true);
    let (job_manager, task_manager) = (
        format!("{NAMESPACE}/pods/clicks-1"),
        format!("{NAMESPACE}/pods/clicks-taskmanager-1-1"),
    );
    cluster.pod("clicks-1", "clicks", "jobmanager", "2026-01-01T00:00:01Z");
    cluster.pod(
        "clicks-taskmanager-1-1",
        "clicks",
        "taskmanager",
        "2026-01-01T00:00:02Z",
    );
    // the operator ends the JobManager, and holds the object until its Deployment is gone, which owns the TaskManager
    let object = JOBS.replace("flinksessionjobs", "flinkdeployments/clicks");
    let held = object.clone();
    let still_there = cluster.api.object(&object).unwrap();
    cluster.api.on_delete(&object, move |api| {
        if api.object(&job_manager).is_some() {
            api.remove(&job_manager);
            api.put(&held, still_there.clone());
        }
    });
    let held = object.clone();
    cluster.api.on_delete(&task_manager, move |api| api.remove(&held));
    cluster.api.take_requests();
    ends(cluster.run(&["job", "rm", "clicks"]), 0, &["clicks"]);
    assert!(cluster.api.object(&object).is_none());
    let at_once = format!("DELETE {task_manager}?gracePeriodSeconds=0");
    let requests = cluster.api.take_requests();
    assert!(requests.iter().any(|r| r.contains(&at_once)), "{requests:?}");
}
