//! A schema registry beside Kafka, and cases of its format. `scripts/test registry` runs this: it makes two images first, which
//! takes minutes, and changes the session cluster; the next `dev up` changes it back.

use super::steps::{cluster, dev, edit, kubectl};
use super::topics::Topics;

const SUBJECTS: &str =
    "/api/v1/namespaces/kafka/services/schema-registry:8080/proxy/apis/ccompat/v7/subjects?deleted=true";

#[test]
#[ignore = "needs a real Docker engine, and makes images for minutes"]
fn values_go_by_the_ids_of_their_schemas_and_subjects_go_with_the_case() {
    let dir = tempfile::tempdir().unwrap();
    let profile = dir.path().join("dev.yaml");
    let text = format!("version: 1\nname: {}\nschema_registry: {{enabled: true}}\n", cluster());
    std::fs::write(&profile, text).unwrap();
    let profile = profile.to_str().unwrap();
    dev(&["up", profile]).ends_with(0);
    let status = dev(&["status", profile]).ends_with(0);
    assert!(status.stdout.contains("schema registry"), "{}", status.stdout);

    let example = "examples/avro-confluent";
    let passed = dev(&["test", example, "-p", profile, "-o", "json"]).ends_with(0);
    assert!(passed.stdout.contains("\"verdict\":\"pass\""), "{}", passed.stdout);
    let changed = dir.path().join("changed");
    std::fs::create_dir(&changed).unwrap();
    for name in ["order.avsc", "orders.sql", "orders.test.yaml"] {
        std::fs::copy(
            format!("{}/{example}/{name}", env!("CARGO_MANIFEST_DIR")),
            changed.join(name),
        )
        .unwrap();
    }
    edit(
        &changed.join("orders.test.yaml"),
        "with_tax: 119.00",
        "with_tax: 118.00",
    );
    let failed = dev(&["test", changed.to_str().unwrap(), "-p", profile, "-o", "json"]).ends_with(1);
    assert!(
        failed.stdout.contains("with_tax: expected 118.00, seen 119.00"),
        "{}",
        failed.stdout
    );
    assert_eq!(kubectl(&["get", "--raw", SUBJECTS]), "[]");

    // the case's script by itself: `${registry.url}` is the environment's
    let _topics = Topics(&["orders", "large_orders"]);
    dev(&[
        "topic",
        "create",
        "orders",
        "large_orders",
        "--if-not-exists",
        "-p",
        profile,
    ])
    .ends_with(0);
    let script = format!("{example}/orders.sql");
    dev(&["job", "run", &script, "--name", "it-registered", "-p", profile]).ends_with(0);
    dev(&["job", "rm", "it-registered", "-p", profile]).ends_with(0);
}
