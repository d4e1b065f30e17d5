//! Against the fake registry.

use super::fake::FakeRegistry;
use super::*;
use crate::avro::AvroSchema;
use crate::diag::Reason;

fn schema(name: &str) -> AvroSchema {
    AvroSchema::parse(&format!(r#"{{"type": "record", "name": "{name}", "fields": []}}"#)).unwrap()
}

#[tokio::test]
async fn a_schema_is_registered_found_by_its_id_and_deleted_for_good() {
    let fake = FakeRegistry::default();
    let registry = Registry::new(fake.client(), "kafka");
    let subject = subject_of("dev-1b12cd34-1-a-orders");
    let id = registry.register(&subject, &schema("order")).await.unwrap();
    assert_eq!(registry.register(&subject, &schema("order")).await.unwrap(), id);
    assert_eq!(registry.schema(id).await.unwrap(), Some(schema("order")));
    assert_eq!(registry.schema(id + 1).await.unwrap(), None);
    assert_eq!(registry.subjects().await.unwrap(), ["dev-1b12cd34-1-a-orders-value"]);
    registry.delete(&subject).await.unwrap();
    assert!(registry.subjects().await.unwrap().is_empty());
    // what is gone stays gone
    registry.delete(&subject).await.unwrap();
}

#[tokio::test]
async fn what_it_refuses_and_that_it_is_not_there_are_told_apart() {
    let fake = FakeRegistry::default();
    let registry = Registry::new(fake.client(), "kafka");
    let failure = registry.register("a-value", &schema("refused")).await.unwrap_err();
    assert_eq!(failure.id(), Reason::RegistryError);
    assert_eq!(
        failure.detail().evidence,
        ["POST /subjects/a-value/versions: HTTP 409: is not compatible"]
    );
    let elsewhere = Registry::new(fake.client(), "other");
    let failure = elsewhere.subjects().await.unwrap_err();
    assert_eq!(failure.id(), Reason::RegistryUnreachable);
    assert!(
        failure.detail().evidence[0].contains("no endpoints available"),
        "{failure:?}"
    );
}
