use serde_json::{Value, json};

use super::fake::ApiServer;
use super::*;

async fn server() -> (ApiServer, Client) {
    let server = ApiServer::start().await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kubeconfig");
    std::fs::write(&path, server.kubeconfig()).unwrap();
    (server, client(&path).await.unwrap())
}

fn namespace() -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flink"}})
}

fn config(value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "flink"}, "data": {"k": value}})
}

fn definition() -> Value {
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
           "metadata": {"name": "flinkdeployments.flink.apache.org"},
           "spec": {"group": "flink.apache.org", "names": {"plural": "flinkdeployments", "kind": "FlinkDeployment"},
                    "versions": [{"name": "v1beta1", "served": true}]}})
}

fn session() -> Value {
    json!({"apiVersion": "flink.apache.org/v1beta1", "kind": "FlinkDeployment",
           "metadata": {"name": "s", "namespace": "flink"}, "spec": {}})
}

const CONFIG: &str = "/api/v1/namespaces/flink/configmaps/c";

fn writes(server: &ApiServer) -> Vec<String> {
    server
        .take_requests()
        .into_iter()
        .filter(|r| !r.starts_with("GET"))
        .collect()
}

#[tokio::test]
async fn a_second_apply_writes_nothing_and_keeps_resource_versions() {
    let (server, client) = server().await;
    let objects = [config("1"), namespace()];
    let first = apply(&client, &objects).await.unwrap();
    assert_eq!((first.changed.len(), first.unchanged), (2, 0));
    let before = server.object(CONFIG).unwrap();
    assert_eq!(before["metadata"]["labels"][MANAGED_BY], MANAGER);
    server.take_requests();

    let second = apply(&client, &objects).await.unwrap();
    assert_eq!((second.changed.len(), second.unchanged), (0, 2));
    assert_eq!(writes(&server), Vec::<String>::new());
    assert_eq!(server.object(CONFIG).unwrap(), before);
}

#[tokio::test]
async fn only_what_differs_is_written() {
    let (server, client) = server().await;
    apply(&client, &[namespace(), config("1")]).await.unwrap();
    server.take_requests();
    let report = apply(&client, &[namespace(), config("2")]).await.unwrap();
    assert_eq!(
        report.changed.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["ConfigMap flink/c"]
    );
    assert_eq!(report.unchanged, 1);
    let writes = writes(&server);
    assert_eq!(writes.len(), 1, "{writes:?}");
    assert!(writes[0].starts_with(&format!("PATCH {CONFIG}?")), "{writes:?}");
    assert_eq!(server.object(CONFIG).unwrap()["data"]["k"], "2");
}

#[tokio::test]
async fn the_order_of_keys_makes_no_difference() {
    let (_server, client) = server().await;
    let one =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n", "labels": {"a": "1", "b": "2"}}});
    let two =
        json!({"kind": "Namespace", "metadata": {"labels": {"b": "2", "a": "1"}, "name": "n"}, "apiVersion": "v1"});
    apply(&client, &[one]).await.unwrap();
    assert_eq!(apply(&client, &[two]).await.unwrap().changed, []);
}

#[tokio::test]
async fn a_deleted_object_and_one_edited_by_hand_are_noticed_and_brought_back() {
    let (server, client) = server().await;
    let objects = [namespace(), config("1")];
    apply(&client, &objects).await.unwrap();
    server.remove(CONFIG);
    assert_eq!(observe(&client, &objects).await.unwrap()[1].1, State::Absent);
    assert_eq!(apply(&client, &objects).await.unwrap().changed.len(), 1);
    assert_eq!(observe(&client, &objects).await.unwrap()[1].1, State::Same);

    let mut edited = server.object(CONFIG).unwrap();
    edited["metadata"]["managedFields"] = json!([
        {"manager": MANAGER, "operation": "Apply", "time": "2026-01-01T00:00:00Z"},
        {"manager": "kube-controller-manager", "operation": "Update", "time": "2026-01-01T00:00:07Z"},
        {"manager": "kubectl-edit", "operation": "Update", "time": "2026-01-01T00:00:09Z"}]);
    server.put(CONFIG, edited);
    let seen = observe(&client, &objects).await.unwrap();
    assert_eq!(seen[1].1, State::Differs("kubectl-edit changed it since".to_owned()));
    assert_eq!(apply(&client, &objects).await.unwrap().changed.len(), 1);
}

#[tokio::test]
async fn custom_resources_wait_until_their_kind_is_served() {
    let (server, client) = server().await;
    server.delay_kinds(3);
    let report = apply(&client, &[session(), namespace(), definition()]).await.unwrap();
    let last = report.changed.last().unwrap().to_string();
    assert_eq!((report.changed.len(), last.as_str()), (3, "FlinkDeployment flink/s"));
}

/// The Flink operator that starts without its kinds neither ends nor looks again, so a run that is killed meanwhile must
/// not leave it without them.
#[tokio::test]
async fn no_workload_is_there_before_the_kinds_that_it_looks_for() {
    const OPERATOR: &str = "/apis/apps/v1/namespaces/flink/deployments/operator";
    let operator = json!({"apiVersion": "apps/v1", "kind": "Deployment",
                          "metadata": {"name": "operator", "namespace": "flink"}, "spec": {}});
    let objects = [namespace(), operator, definition()];

    let (broken, client) = server().await;
    broken.fail(
        "customresourcedefinitions",
        503,
        "storage is (re)initializing",
        usize::MAX,
    );
    let bound = Duration::from_millis(300);
    apply_within(&client, &objects, bound, &|_| {}).await.unwrap_err();
    assert_eq!(broken.object(OPERATOR), None);

    let (whole, client) = server().await;
    apply(&client, &objects).await.unwrap();
    assert!(whole.object(OPERATOR).is_some());
}

#[tokio::test]
async fn a_kind_that_is_not_in_the_table_is_looked_up() {
    let (server, client) = server().await;
    let resources = json!([{"name": "leases", "kind": "Lease", "namespaced": true}]);
    server.answer("/apis/coordination.k8s.io/v1", 200, json!({"resources": resources}));
    let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l", "namespace": "flink"}});
    apply(&client, &[namespace(), lease]).await.unwrap();
    assert!(
        server
            .object("/apis/coordination.k8s.io/v1/namespaces/flink/leases/l")
            .is_some()
    );
}

#[tokio::test]
async fn errors_that_pass_are_tried_again_with_their_reason() {
    let (server, client) = server().await;
    server.fail("GET /api/v1/configmaps", 503, "apiserver not ready", 1);
    let refused = "Internal error occurred: failed calling webhook \"x\": connect: connection refused";
    server.fail("PATCH /api/v1/namespaces/flink/configmaps/c", 500, refused, 2);
    let reasons = std::sync::Mutex::new(Vec::new());
    let note = |reason: String| reasons.lock().unwrap().push(reason);
    apply_within(&client, &[namespace(), config("1")], Duration::from_secs(20), &note)
        .await
        .unwrap();
    let reasons = reasons.into_inner().unwrap();
    assert_eq!(reasons.len(), 3, "{reasons:?}");
    assert!(
        reasons[0].contains("not ready") && reasons[1].contains("connection refused"),
        "{reasons:?}"
    );
}

#[tokio::test]
async fn a_refused_object_fails_at_once_with_the_servers_words() {
    let (server, client) = server().await;
    server.fail("PATCH", 422, "spec.replicas: Invalid value: -1", 1);
    let failure = apply(&client, &[namespace()]).await.unwrap_err();
    assert_eq!(failure.id(), Reason::ApplyFailed);
    assert_eq!(failure.to_string(), "apply Namespace flink");
    assert!(failure.detail().evidence[0].contains("422: spec.replicas: Invalid value"));
    assert_eq!(writes(&server).len(), 1, "not tried again");
}

#[tokio::test]
async fn trying_ends_at_the_bound_with_the_last_reason() {
    let (server, client) = server().await;
    server.fail("PATCH", 503, "still booting", usize::MAX);
    let failure = apply_within(&client, &[namespace()], Duration::from_millis(200), &|_| {})
        .await
        .unwrap_err();
    assert_eq!(failure.id(), Reason::ApplyFailed);
    assert!(failure.detail().evidence[0].contains("still booting"));
}

#[tokio::test]
async fn a_dry_run_leaves_nothing_behind() {
    let (server, client) = server().await;
    dry_run(&client, &namespace()).await.unwrap();
    assert!(server.object("/api/v1/namespaces/flink").is_none());
    server.fail("dryRun=All", 400, "no", 1);
    assert_eq!(
        dry_run(&client, &namespace()).await.unwrap_err().id(),
        Reason::ApplyFailed
    );
}

#[tokio::test]
async fn an_unreachable_server_is_told_as_such() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kubeconfig");
    assert_eq!(client(&path).await.err().unwrap().id(), Reason::ClusterNotFound);
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let (server, _) = server().await;
    let config: Value = serde_json::from_str(&server.kubeconfig()).unwrap();
    let mut config = config;
    config["clusters"][0]["cluster"]["server"] = json!(format!("http://{free}"));
    std::fs::write(&path, config.to_string()).unwrap();
    let unreachable = client(&path).await.unwrap();
    let failure = get(&unreachable, "/version").await.unwrap_err();
    assert_eq!(failure.id(), Reason::ClusterUnreachable);
    assert!(failure.detail().evidence[0].contains("refused"), "{failure:?}");
}

#[tokio::test]
async fn services_answer_with_their_own_codes_and_bodies() {
    let (server, client) = server().await;
    let base = "/api/v1/namespaces/flink/services/s-rest:8081/proxy";
    server.answer(&format!("{base}/overview"), 200, json!({"slots-total": 4}));
    server.answer(&format!("{base}/jars"), 400, json!("plain text"));
    let seen = service_get(&client, "flink", "s-rest", 8081, "/overview")
        .await
        .unwrap();
    assert_eq!(seen, (200, json!({"slots-total": 4})));
    let seen = service_post(&client, "flink", "s-rest", 8081, "/jars", &json!({}))
        .await
        .unwrap();
    assert_eq!(seen, (400, json!("plain text")));
}

#[tokio::test]
async fn the_reason_of_a_crashing_pod_ends_with_its_last_log_lines() {
    let (server, client) = server().await;
    server.put(
        "/api/v1/namespaces/flink/pods/p-1",
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p-1", "labels": {"app": "p"}},
               "status": {"phase": "Running", "containerStatuses": [{"name": "c", "ready": false, "restartCount": 3,
                   "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                   "lastState": {"terminated": {"reason": "Error", "exitCode": 1}}}]}}),
    );
    server.answer(
        "/api/v1/namespaces/flink/pods/p-1/log",
        200,
        json!("starting\nno such class"),
    );
    let reason = pods_reason(&client, "flink", "app=p").await.unwrap().unwrap();
    assert!(
        reason.starts_with("pod p-1: container c ended with exit code 1 (Error)"),
        "{reason}"
    );
    assert!(reason.ends_with("\n    no such class"), "{reason}");
    let none = pods_reason(&client, "flink", "app=other").await.unwrap().unwrap();
    assert!(none.contains("no pod"), "{none}");
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_with_its_bound_and_its_last_reason() {
    let mut looks = 0;
    let failure = until::<(), _, _>(
        "it works",
        Duration::from_secs(1),
        Duration::from_secs(5),
        &|_| {},
        || {
            looks += 1;
            async move { Ok(Seen::NotYet(format!("look {looks}"))) }
        },
    )
    .await
    .unwrap_err();
    assert_eq!(failure.id(), Reason::ComponentNotReady);
    assert_eq!(failure.to_string(), "it works: not after 5 s");
    assert!(failure.detail().evidence[0].contains("look 6"), "{failure:?}");
}
