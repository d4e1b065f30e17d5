//! Against the fake API server, whose reactors play the controllers.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::config;
use crate::diag::Reason;
use crate::event::EventSink;
use crate::kube::fake::ApiServer;

const SESSION: &str = "/apis/flink.apache.org/v1beta1/namespaces/flink/flinkdeployments/session";
const OVERVIEW: &str = "/api/v1/namespaces/flink/services/session-rest:8081/proxy/overview";
const SUBJECTS: &str = "/api/v1/namespaces/kafka/services/schema-registry:8080/proxy/apis/ccompat/v7/subjects";
const BROKER: &str = "/apis/apps/v1/namespaces/kafka/deployments/kafka";

fn profile() -> Profile {
    let resources = |memory_mib| config::Resources { memory_mib, cpu: 0.1 };
    Profile {
        name: "test".into(),
        cluster: config::ClusterSpec {
            kubernetes: "1.34.4".into(),
            timeout_s: 100,
        },
        images: config::Images {
            source: config::ImageSource::Auto,
            mirror: None,
        },
        cert_manager: config::CertManager {
            enabled: true,
            version: String::new(),
        },
        operator: config::Operator {
            version: "1.16.1".into(),
            webhook: config::Webhook::Off,
            namespace: "flink-operator".into(),
            config: BTreeMap::new(),
        },
        kafka: config::Kafka {
            enabled: true,
            version: "4.1.1".into(),
            namespace: "kafka".into(),
            port: config::Port::Auto,
            memory_mib: 1024,
        },
        schema_registry: config::SchemaRegistry::usual(),
        flink: config::FlinkSpec {
            version: "2.2.1".into(),
            state: config::State::usual(),
        },
        session: config::Session {
            enabled: true,
            name: "session".into(),
            namespace: "flink".into(),
            task_managers: 2,
            slots: 2,
            python: false,
            job_manager: resources(1024),
            task_manager: resources(1280),
            config: BTreeMap::new(),
        },
        topics: Vec::new(),
    }
}

async fn server() -> (ApiServer, Client) {
    let server = ApiServer::start().await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kubeconfig");
    std::fs::write(&path, server.kubeconfig()).unwrap();
    let client = crate::kube::client(&path).await.unwrap();
    (server, client)
}

fn cx() -> StepCx {
    StepCx::detached("test", EventSink::discard(), CancellationToken::new())
}

fn roll_out(object: &mut Value) {
    let generation = object["metadata"]["generation"].clone();
    object["status"] =
        json!({"observedGeneration": generation, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1});
}

fn find<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    objects.iter().find(|o| o["kind"] == kind).unwrap()
}

fn env<'a>(container: &'a Value, name: &str) -> &'a str {
    let env = container["env"].as_array().unwrap();
    env.iter().find(|e| e["name"] == name).unwrap()["value"]
        .as_str()
        .unwrap()
}

fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

#[test]
fn a_profile_moves_every_object_to_its_namespaces() {
    let mut profile = profile();
    profile.operator.namespace = "ops".into();
    profile.session.namespace = "jobs".into();
    profile.kafka.namespace = "broker".into();
    profile.schema_registry.enabled = true;
    let images = ["operator:1", "kafka:1", "registry:1", "session:1"];
    let objects = render_all(&profile, images, true, 40000);
    let text = Value::from(objects.clone()).to_string();
    for old in [
        "\"namespace\":\"flink-operator\"",
        "\"namespace\":\"flink\"",
        "\"namespace\":\"kafka\"",
        "flink-operator.svc",
        "kafka.kafka",
    ] {
        assert!(!text.contains(old), "{old} is left");
    }
    assert!(text.contains("kafka.broker.svc.cluster.local:9092,EXTERNAL://127.0.0.1:40000"));
    assert!(text.contains("flink-operator-webhook-service.ops.svc"));
    assert!(text.contains("ops/flink-operator-serving-cert"));
    for object in &objects {
        for container in object["spec"]["template"]["spec"]["containers"]
            .as_array()
            .into_iter()
            .flatten()
        {
            assert!(
                container["image"].as_str().is_some_and(|i| i.ends_with(":1")),
                "{container}"
            );
            assert_eq!(container["imagePullPolicy"], "IfNotPresent");
        }
    }
}

#[test]
fn one_namespace_for_everything_is_one_object() {
    let mut profile = profile();
    profile.operator.namespace = "flink".into();
    let objects = FlinkOperator::new(&profile, "o:1", false, Vec::new()).objects();
    assert_eq!(objects.iter().filter(|o| o["kind"] == "Namespace").count(), 1);
}

#[test]
fn the_users_settings_come_over_ours_and_new_ones_make_a_new_pod() {
    let mut profile = profile();
    let before = FlinkOperator::new(&profile, "o:1", false, Vec::new()).objects();
    let key = "kubernetes.operator.reconcile.interval";
    profile.operator.config.insert(key.into(), "7 s".into());
    profile
        .session
        .config
        .insert("taskmanager.numberOfTaskSlots".into(), "9".into());
    let after = FlinkOperator::new(&profile, "o:1", false, Vec::new()).objects();
    let yaml = |o: &[Value]| find(o, "ConfigMap")["data"]["config.yaml"].as_str().unwrap().to_owned();
    let settings: BTreeMap<String, String> = serde_saphyr::from_str(&yaml(&after)).unwrap();
    assert_eq!(settings[key], "7 s");
    assert_eq!(settings["kubernetes.operator.watched.namespaces"], "flink");
    assert!(yaml(&before).contains("reconcile.interval: \"1 s\""));
    let pod = |o: &[Value]| find(o, "Deployment")["spec"]["template"]["metadata"]["annotations"].clone();
    assert_ne!(pod(&before), pod(&after));
    let session = SessionCluster::new(&profile, "s:1").objects();
    assert_eq!(
        session[0]["spec"]["flinkConfiguration"]["taskmanager.numberOfTaskSlots"],
        "9"
    );
}

#[test]
fn memory_and_versions_come_from_the_profile() {
    let broker = Kafka::new(&profile(), "k:1", 9).objects();
    let container = &find(&broker, "Deployment")["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["resources"]["limits"]["memory"], "1024Mi");
    assert_eq!(env(container, "KAFKA_HEAP_OPTS"), "-Xmx512m -Xms512m");
    // records of any time stay, or a case's would go while it runs
    assert_eq!(env(container, "KAFKA_LOG_RETENTION_MS"), "-1");
    let session = &SessionCluster::new(&profile(), "s:1").objects()[0];
    assert_eq!(session["spec"]["flinkVersion"], "v2_2");
    assert_eq!(
        session["spec"]["jobManager"]["resource"],
        json!({"memory": "1024m", "cpu": 0.1})
    );
    assert_eq!(
        session["spec"]["flinkConfiguration"]["slotmanager.number-of-slots.min"],
        "4"
    );
}

#[test]
fn the_webhook_is_a_second_container_and_needs_cert_manager() {
    let with = FlinkOperator::new(&profile(), "o:1", true, Vec::new());
    assert_eq!(with.needs(), ["cert-manager"]);
    let deployment = find(&with.objects(), "Deployment").clone();
    assert_eq!(
        deployment["spec"]["template"]["spec"]["containers"][1]["name"],
        "flink-webhook"
    );
    let without = FlinkOperator::new(&profile(), "o:1", false, Vec::new());
    assert!(without.needs().is_empty());
    assert!(without.objects().iter().all(|o| o["kind"] != "Certificate"));
}

#[test]
fn only_the_blue_green_kind_loses_its_schema() {
    let definition = |name: &str| {
        json!({"kind": "CustomResourceDefinition", "metadata": {"name": name}, "spec": {"versions": [{"name": "v1beta1",
            "subresources": {"status": {}}, "schema": {"openAPIV3Schema": {"properties": {"spec": {"properties": {}}}}}}]}})
    };
    let names = [
        "flinkdeployments.flink.apache.org",
        "flinkbluegreendeployments.flink.apache.org",
    ];
    let objects = FlinkOperator::new(&profile(), "o:1", false, names.map(definition).to_vec()).objects();
    let seen =
        |name: &str| objects.iter().find(|o| o["metadata"]["name"] == name).unwrap()["spec"]["versions"][0].clone();
    assert_eq!(seen(names[0]), definition(names[0])["spec"]["versions"][0]);
    let relaxed = seen(names[1]);
    assert_eq!(
        relaxed["schema"]["openAPIV3Schema"]["properties"]["spec"]["x-kubernetes-preserve-unknown-fields"],
        true
    );
    assert_eq!(relaxed["subresources"], json!({"status": {}}));
}

#[test]
fn cert_managers_pods_start_without_election_or_delay() {
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "cert-manager", "labels": {"app.kubernetes.io/version": "v1.11.5"}},
        "spec": {"template": {"spec": {"containers": [{"name": "c", "readinessProbe": {"initialDelaySeconds": 5},
            "args": ["--v=2", "--leader-election-namespace=kube-system"]}]}}}});
    let component = CertManager::new(vec![Value::Null, deployment]);
    assert_eq!(component.title(), "cert-manager 1.11.5");
    let container = &component.objects()[0]["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["args"], json!(["--v=2", "--leader-elect=false"]));
    assert_eq!(container["readinessProbe"]["initialDelaySeconds"], 0);
    assert_eq!(container["livenessProbe"], Value::Null);
}

#[tokio::test]
async fn kafka_goes_from_absent_to_ready_and_a_second_install_changes_nothing() {
    let (server, client) = server().await;
    server.react("Deployment", roll_out);
    let kafka = Kafka::new(&profile(), "k:1", 9);
    assert_eq!(kafka.probe(&client).await.unwrap(), Probe::Absent);
    assert!(kafka.install(&client, &cx()).await.unwrap().changed());
    assert_eq!(
        kafka.probe(&client).await.unwrap(),
        Probe::Ready("kafka: 1 of 1 pods ready".into())
    );
    server.take_requests();
    assert!(!kafka.install(&client, &cx()).await.unwrap().changed());
    assert!(server.take_requests().iter().all(|r| r.starts_with("GET")));

    server.remove(BROKER);
    assert_eq!(
        kafka.probe(&client).await.unwrap(),
        Probe::Drifted("Deployment kafka/kafka is missing".into())
    );
    let other = Kafka::new(&profile(), "k:2", 9);
    kafka.install(&client, &cx()).await.unwrap();
    assert!(matches!(other.probe(&client).await.unwrap(), Probe::Drifted(_)));
}

#[tokio::test]
async fn a_schema_registry_is_ready_when_its_api_answers() {
    let (server, client) = server().await;
    server.react("Deployment", roll_out);
    let registry = SchemaRegistry::new(&profile(), "r:1");
    assert_eq!(registry.probe(&client).await.unwrap(), Probe::Absent);
    crate::kube::apply(&client, &registry.objects()).await.unwrap();
    let nobody = json!({"kind": "Status", "apiVersion": "v1", "message": "no endpoints available"});
    server.answer(SUBJECTS, 503, nobody);
    let probe = registry.probe(&client).await.unwrap();
    assert!(
        matches!(&probe, Probe::NotReady(why) if why.contains("no endpoints available")),
        "{probe:?}"
    );
    server.answer(SUBJECTS, 200, json!(["a-value"]));
    assert!(!registry.install(&client, &cx()).await.unwrap().changed());
    let ready = Probe::Ready("its API answers, 1 subjects".into());
    assert_eq!(registry.probe(&client).await.unwrap(), ready);
}

#[tokio::test]
async fn a_workload_that_lost_its_pods_is_not_ready() {
    let (server, client) = server().await;
    server.react("Deployment", roll_out);
    let kafka = Kafka::new(&profile(), "k:1", 9);
    kafka.install(&client, &cx()).await.unwrap();
    for (field, value, why) in [
        ("/status/readyReplicas", json!(0), "kafka: 0 of 1 pods ready"),
        (
            "/status/observedGeneration",
            json!(0),
            "kafka: its controller has not seen it yet",
        ),
        ("/spec/replicas", json!(0), "kafka is scaled to 0 pods"),
    ] {
        let good = server.object(BROKER).unwrap();
        let mut bad = good.clone();
        *bad.pointer_mut(field).unwrap() = value;
        server.set(BROKER, bad);
        assert_eq!(
            kafka.probe(&client).await.unwrap(),
            Probe::NotReady(why.into()),
            "{field}"
        );
        server.set(BROKER, good);
    }
}

fn definitions(server: &ApiServer) {
    let name = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/flinkdeployments.flink.apache.org";
    server.set(name, json!({"kind": "CustomResourceDefinition"}));
    server.set("/api/v1/namespaces/flink", namespace("flink"));
}

#[test]
fn the_session_has_its_state_in_the_volume_unless_told_otherwise() {
    let mut profile = profile();
    let objects = SessionCluster::new(&profile, "s:1").objects();
    let session = find(&objects, "FlinkDeployment");
    let pod = &session["spec"]["podTemplate"]["spec"];
    assert_eq!(
        pod["containers"][0]["volumeMounts"],
        json!([{"name": "flink-state", "mountPath": "/flink-data"}])
    );
    let key = "execution.checkpointing.savepoint-dir";
    let set = |session: &Value| session["spec"]["flinkConfiguration"][key].clone();
    assert_eq!(set(session), "file:///flink-data/session/savepoints");
    profile
        .session
        .config
        .insert(key.into(), "s3://bucket/savepoints".into());
    profile.flink.state.volume = config::StateVolume::DefaultClass;
    let objects = SessionCluster::new(&profile, "s:1").objects();
    assert_eq!(set(find(&objects, "FlinkDeployment")), "s3://bucket/savepoints");
    assert_eq!(
        find(&objects, "PersistentVolumeClaim")["metadata"]["namespace"],
        "flink"
    );
}

fn observed(job_manager: &'static str, error: &'static str) -> impl Fn(&mut Value) + Send + 'static {
    move |object| {
        let generation = object["metadata"]["generation"].clone();
        object["status"] =
            json!({"observedGeneration": generation, "jobManagerDeploymentStatus": job_manager, "error": error});
    }
}

#[tokio::test]
async fn a_session_cluster_is_ready_when_flink_and_the_operator_agree() {
    let (server, client) = server().await;
    definitions(&server);
    let session = SessionCluster::new(&profile(), "s:1");
    server.react("FlinkDeployment", observed("READY", ""));
    server.answer(
        OVERVIEW,
        200,
        json!({"slots-total": 4, "taskmanagers": 2, "flink-version": "2.2.1"}),
    );
    let done = session.install(&client, &cx()).await.unwrap();
    assert_eq!(done, Done::Changed("Flink 2.2.1: 2 TaskManagers, 4 slots".into()));

    server.answer(OVERVIEW, 200, json!({"slots-total": 2}));
    assert_eq!(
        session.probe(&client).await.unwrap(),
        Probe::NotReady("2 of 4 task slots registered".into())
    );
    server.answer(OVERVIEW, 503, json!({"kind": "Status"}));
    assert!(matches!(session.probe(&client).await.unwrap(), Probe::NotReady(why) if why.contains("does not answer")));
    let mut object = server.object(SESSION).unwrap();
    object["metadata"]["generation"] = json!(9);
    server.set(SESSION, object);
    assert!(matches!(session.probe(&client).await.unwrap(), Probe::NotReady(why) if why.contains("last change")));
}

#[tokio::test]
async fn a_session_cluster_that_the_operator_refuses_fails_soon_with_its_words() {
    let (server, client) = server().await;
    definitions(&server);
    server.react(
        "FlinkDeployment",
        observed("MISSING", "{\"type\":\"ValidationException\",\"message\":\"no image\"}"),
    );
    let session = SessionCluster::new(&profile(), "s:1");
    let start = std::time::Instant::now();
    let failure = session.install(&client, &cx()).await.unwrap_err();
    assert_eq!(failure.id(), Reason::ComponentNotReady);
    assert!(failure.detail().evidence[0].contains("no image"), "{failure:?}");
    assert!(start.elapsed().as_secs() < 100, "{:?}", start.elapsed());
}

#[tokio::test]
async fn the_operator_is_seen_to_take_up_a_resource_which_does_not_stay() {
    let (server, client) = server().await;
    definitions(&server);
    server.react("Deployment", roll_out);
    server.react("FlinkDeployment", |o| o["metadata"]["finalizers"] = json!(["x"]));
    let operator = FlinkOperator::new(&profile(), "o:1", false, Vec::new());
    let done = operator.install(&client, &cx()).await.unwrap();
    assert!(done.evidence().contains("taken up"), "{done:?}");
    let requests = server.take_requests();
    assert!(
        requests.iter().any(|r| r.contains("dryRun=All")),
        "a dry run came first"
    );
    let canary = "/apis/flink.apache.org/v1beta1/namespaces/flink/flinkdeployments/flink-dev-canary";
    assert!(requests.contains(&format!("DELETE {canary}")) && server.object(canary).is_none());
}

#[tokio::test]
async fn an_operator_that_takes_nothing_up_is_not_ready_and_nothing_stays() {
    let (server, client) = server().await;
    definitions(&server);
    server.react("Deployment", roll_out);
    let operator = FlinkOperator::new(&profile(), "o:1", false, Vec::new());
    let failure = operator
        .reconciles(&client, std::time::Duration::from_millis(300), &|_| {})
        .await
        .unwrap_err();
    assert_eq!(failure.id(), Reason::ComponentNotReady);
    assert!(server.take_requests().iter().any(|r| r.starts_with("DELETE")));
}
