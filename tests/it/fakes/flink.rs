//! A cluster that is up, with a session cluster and one job in it: the engine's node, the API server, the operator's
//! objects, and Flink's answers behind the proxy.

use std::time::Duration;

use serde_json::{Value, json};

use super::apiserver::ApiServer;
use super::docker;
use crate::dev::{Run, World, runtime};

pub(crate) const NAMESPACE: &str = "/api/v1/namespaces/flink";
const OBJECTS: &str = "/apis/flink.apache.org/v1beta1/namespaces/flink";
/// Flink's id of the job.
pub(crate) const ID: &str = "ab120000000000000000000000000000";

pub(crate) struct Cluster {
    pub(crate) world: World,
    pub(crate) api: ApiServer,
    // what answers lives in it
    pub(crate) runtime: tokio::runtime::Runtime,
}

/// What Flink tells of the job's checkpoints.
#[derive(Clone, Copy)]
pub(crate) struct Told {
    pub(crate) completed: u64,
    pub(crate) attempt: u64,
    pub(crate) restored: Option<(u64, i64)>,
}

impl Cluster {
    pub(crate) fn new() -> Self {
        let runtime = runtime();
        let world = World::new();
        let socket = world.path("docker.sock");
        let api = runtime.block_on(async {
            docker::start(&socket, "flink-dev", 9);
            ApiServer::start().await
        });
        world.write(".local/state/flink-dev/flink-dev/kubeconfig", &api.kubeconfig());
        let world = world.with("DOCKER_HOST", format!("unix://{}", socket.display()));
        for plural in ["flinkdeployments", "flinksessionjobs", "flinkstatesnapshots"] {
            let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{plural}.flink.apache.org");
            api.put(&path, json!({"kind": "CustomResourceDefinition"}));
        }
        api.put("/api/v1/namespaces/flink", json!({"kind": "Namespace"}));
        let cluster = Self { world, api, runtime };
        cluster.deployment("session", false);
        cluster.pod("session-jm-1", "session", "jobmanager", "2026-01-01T00:00:01Z");
        cluster.pod(
            "session-taskmanager-1-1",
            "session",
            "taskmanager",
            "2026-01-01T00:00:02Z",
        );
        cluster
    }

    pub(crate) fn run(&self, args: &[&str]) -> Run {
        self.world.run(args)
    }

    /// A session cluster, or an application.
    pub(crate) fn deployment(&self, name: &str, job: bool) {
        let mut object = json!({"apiVersion": "flink.apache.org/v1beta1", "kind": "FlinkDeployment",
            "metadata": {"name": name, "namespace": "flink"}, "spec": {},
            "status": {"jobManagerDeploymentStatus": "READY", "lifecycleState": "STABLE"}});
        if job {
            object["spec"]["job"] = json!({"upgradeMode": "savepoint"});
        }
        self.api.put(&format!("{OBJECTS}/flinkdeployments/{name}"), object);
    }

    pub(crate) fn pod(&self, name: &str, cluster: &str, component: &str, created: &str) {
        let labels = json!({"app": cluster, "component": component, "type": "flink-native-kubernetes"});
        self.api.put(
            &format!("{NAMESPACE}/pods/{name}"),
            json!({"apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": name, "namespace": "flink", "uid": format!("uid-{name}"), "labels": labels,
                    "creationTimestamp": created},
                "spec": {"containers": []},
                "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}),
        );
    }

    pub(crate) fn job_path(name: &str) -> String {
        format!("{OBJECTS}/flinksessionjobs/{name}")
    }

    /// A session job that runs, as operator and Flink have it. The operator sees each change at once.
    pub(crate) fn job(&self, name: &str, upgrade_mode: &str) {
        self.api.react("FlinkSessionJob", |object| {
            object["status"]["observedGeneration"] = object["metadata"]["generation"].clone();
        });
        self.api.put(
            &Self::job_path(name),
            json!({"apiVersion": "flink.apache.org/v1beta1", "kind": "FlinkSessionJob",
                "metadata": {"name": name, "namespace": "flink"},
                "spec": {"deploymentName": "session", "job": {"upgradeMode": upgrade_mode}},
                "status": {"lifecycleState": "STABLE", "jobStatus": {"jobId": ID, "state": "RUNNING"}}}),
        );
        self.api.flink(&format!("/jobs/{ID}"), &running(1));
        self.api.flink(
            &format!("/jobs/{ID}/exceptions"),
            &json!({"exceptionHistory": {"entries": [{"stacktrace": "java.lang.Exception: the cause"}]}}),
        );
        self.api.flink("/jobmanager/config", &json!([]));
        self.api.interval(Some(1000));
    }
}

fn running(start: i64) -> Value {
    json!({"state": "RUNNING", "start-time": start, "vertices": [{"id": "v1", "parallelism": 1, "tasks": {"RUNNING": 1}}]})
}

impl ApiServer {
    /// What Flink's REST interface of the session cluster answers.
    pub(crate) fn flink(&self, path: &str, body: &Value) {
        self.answer(
            &format!("{NAMESPACE}/services/session-rest:8081/proxy{path}"),
            200,
            body.clone(),
        );
    }

    pub(crate) fn interval(&self, millis: Option<u64>) {
        let millis = millis.unwrap_or(i64::MAX as u64);
        self.flink(&format!("/jobs/{ID}/checkpoints/config"), &json!({"interval": millis}));
    }

    pub(crate) fn tell(&self, told: Told) {
        let restored = told.restored.map(|(id, at)| {
            json!({"id": id, "restore_timestamp": at, "is_savepoint": false, "external_path": format!("file:/cp/chk-{id}")})
        });
        let mut latest = json!({"restored": restored});
        if told.completed > 0 {
            latest["completed"] =
                json!({"id": told.completed, "external_path": format!("file:/cp/chk-{}", told.completed)});
        } else {
            latest["failed"] = json!({"failure_message": "the folder is not writable"});
        }
        let counts = json!({"completed": told.completed, "in_progress": 1, "failed": 2});
        self.flink(
            &format!("/jobs/{ID}/checkpoints"),
            &json!({"counts": counts, "latest": latest}),
        );
        self.flink(
            &format!("/jobs/{ID}/vertices/v1"),
            &json!({"subtasks": [{"attempt": told.attempt, "taskmanager-id": "session-taskmanager-1-1"}]}),
        );
    }

    /// The job was started anew, with a savepoint as what it came from.
    pub(crate) fn redeployed(&self, from: Option<&str>) {
        self.flink(&format!("/jobs/{ID}"), &running(2));
        let restored =
            from.map(|path| json!({"id": 5, "restore_timestamp": 9, "is_savepoint": true, "external_path": path}));
        self.flink(
            &format!("/jobs/{ID}/checkpoints"),
            &json!({"counts": {}, "latest": {"restored": restored}}),
        );
    }
}

/// A Flink user interface: answers `/overview` with this version.
pub(crate) fn user_interface(runtime: &tokio::runtime::Runtime, version: &'static str) -> u16 {
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let port = listener.local_addr().unwrap().port();
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let service = hyper::service::service_fn(move |_| async move {
                    let body = json!({"flink-version": version, "taskmanagers": 1, "jobs-running": 2}).to_string();
                    Ok::<_, std::convert::Infallible>(http::Response::new(http_body_util::Full::new(
                        bytes::Bytes::from(body),
                    )))
                });
                let stream = hyper_util::rt::TokioIo::new(stream);
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(stream, service)
                    .await;
            });
        }
    });
    port
}

/// Looks until something holds, for half a minute.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = std::time::Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(std::time::Instant::now() < end, "not within 30 s: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
