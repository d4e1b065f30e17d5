//! Values of `format: avro-confluent`. The schemas of given records are registered before they are sent. Records that are
//! read are put into JSON as soon as they come, by the schemas of their ids: comparing and showing them asks nobody.

use std::collections::BTreeMap;

use super::names::{Names, run_of_topic};
use super::value::in_json;
use crate::avro::AvroSchema;
use crate::config::{Case, RecordFormat};
use crate::diag::Result;
use crate::kafka::Fetched;
use crate::schema_registry::{Registry, subject_of, unframed};

/// Registers the schemas of what a case gives; returns their ids by the topics' names in the case.
///
/// # Errors
/// What the registry answers, with the topic.
pub(super) async fn register(case: &Case, names: &Names, registry: &Registry) -> Result<BTreeMap<String, u32>> {
    let mut ids = BTreeMap::new();
    for given in &case.given {
        if let RecordFormat::AvroConfluent(Some(schema)) = &given.format {
            let id = registry.register(&subject_of(&names.topic(&given.topic)), schema).await;
            let id = id.map_err(|failure| failure.evidence(format!("the schema of topic {}", given.topic)))?;
            ids.insert(given.topic.clone(), id);
        }
    }
    Ok(ids)
}

/// Deletes what there may be of topics: what was registered for given records, and what Flink has registered for its own.
///
/// # Errors
/// The first thing that could not be deleted; the others are, all the same.
pub(super) async fn forget(topics: impl Iterator<Item = &str>, registry: &Registry) -> Result<()> {
    let mut result = Ok(());
    for topic in topics {
        // a key's subject is Flink's alone
        for subject in [subject_of(topic), format!("{topic}-key")] {
            result = result.and(registry.delete(&subject).await);
        }
    }
    result
}

/// Deletes the subjects of runs that are not `alive`; returns what was deleted, one line each.
///
/// # Errors
/// What the registry answers.
pub(super) async fn forget_dead(
    subjects: Vec<String>,
    alive: impl Fn(&str) -> bool,
    registry: &Registry,
) -> Result<Vec<String>> {
    let mut removed = Vec::new();
    for subject in subjects {
        if run_of_topic(&subject).is_some_and(|run| !alive(run)) {
            registry.delete(&subject).await?;
            removed.push(format!("subject {subject} of a run that is over"));
        }
    }
    Ok(removed)
}

/// Puts records into JSON.
pub(super) struct Decoder {
    registry: Option<Registry>,
    /// The topics of this format, by their names in Kafka, with the schema that the case sees their values as.
    topics: BTreeMap<String, Option<AvroSchema>>,
    /// Schemas by their ids, as they were looked up.
    known: BTreeMap<u32, AvroSchema>,
}

impl Decoder {
    /// For what a case expects and forbids.
    pub(super) fn new(case: &Case, names: &Names, registry: Option<Registry>) -> Self {
        let expected = case.expect.iter().map(|expect| (&expect.topic, &expect.format));
        let forbidden = case.forbid.iter().map(|forbid| (&forbid.topic, &forbid.format));
        let mut topics = BTreeMap::new();
        for (topic, format) in forbidden.chain(expected) {
            if let RecordFormat::AvroConfluent(schema) = format {
                topics.insert(names.topic(topic), schema.clone());
            }
        }
        Self {
            registry,
            topics,
            known: BTreeMap::new(),
        }
    }

    /// Puts the values of this format into JSON. What is none, or of an id that the registry does not know, is a text.
    ///
    /// # Errors
    /// What the registry answers.
    pub(super) async fn put(&mut self, records: &mut [Fetched]) -> Result<()> {
        for record in records {
            let (Some(reader), Some(value)) = (self.topics.get(&record.topic), &record.value) else {
                continue;
            };
            let frame = unframed(value);
            if let (Some((id, _)), Some(registry)) = (frame, &self.registry)
                && !self.known.contains_key(&id)
                && let Some(schema) = registry.schema(id).await?
            {
                self.known.insert(id, schema);
            }
            let written = frame.and_then(|(id, encoded)| Some((self.known.get(&id)?, encoded)));
            record.value = Some(in_json(value, written, reader.as_ref()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::{Value, json};

    use super::*;
    use crate::config::{Expectation, Given, Json, Records};
    use crate::e2e::case::messages;
    use crate::e2e::tests::plain_case;
    use crate::e2e::value::decode_as;
    use crate::schema_registry::fake::FakeRegistry;
    use crate::schema_registry::framed;

    fn schema(fields: &Value) -> AvroSchema {
        AvroSchema::parse(&json!({"type": "record", "name": "order", "fields": fields}).to_string()).unwrap()
    }

    fn case(values: &[Value], reader: Option<AvroSchema>) -> Case {
        let format = RecordFormat::AvroConfluent(Some(schema(&json!([{"name": "id", "type": "long"}]))));
        let records = values.iter().map(|value| crate::config::Record {
            value: value.clone().into(),
            ..crate::config::Record::default()
        });
        Case {
            given: vec![Given {
                topic: "orders".to_owned(),
                partitions: 1,
                format,
                records: records.collect::<Records>(),
            }],
            expect: vec![Expectation {
                topic: "orders".to_owned(),
                format: RecordFormat::AvroConfluent(reader),
                ..Expectation::default()
            }],
            ..plain_case()
        }
    }

    fn read(value: Option<Bytes>, names: &Names) -> Fetched {
        Fetched {
            topic: names.topic("orders"),
            partition: 0,
            offset: 0,
            key: None,
            value,
            timestamp: 0,
            headers: Vec::new(),
        }
    }

    fn said(record: &Fetched) -> Json {
        decode_as(record.value.as_deref(), &RecordFormat::AvroConfluent(None))
    }

    #[tokio::test]
    async fn what_is_given_comes_back_by_the_id_of_its_schema() {
        let fake = FakeRegistry::default();
        let registry = Registry::new(fake.client(), "kafka");
        let names = Names::new("1b12cd34", 1, "a");
        let given = [json!({"id": 7}), json!({"id": 8}), json!(null), json!({"$hex": "ff"})];
        let case = case(&given, None);
        let ids = register(&case, &names, &registry).await.unwrap();
        assert_eq!(ids, BTreeMap::from([("orders".to_owned(), 1)]));
        let (_, sent) = messages(&names, &case.given, Some(&ids)).pop_first().unwrap();
        let sent: Vec<_> = sent.map(|message| message.value).collect();
        assert_eq!(sent[0].as_deref(), Some(&b"\0\0\0\0\x01\x0e"[..]));
        assert_eq!(sent[3].as_deref(), Some(&b"\xff"[..]), "as it was written");

        let mut decoder = Decoder::new(&case, &names, Some(registry.clone()));
        let mut records: Vec<_> = sent.into_iter().map(|value| read(value, &names)).collect();
        // another schema than the registry knows, and what is JSON and no Avro
        records.push(read(Some(framed(9, b"\x0e").into()), &names));
        records.push(read(Some(r#"{"id":7}"#.into()), &names));
        decoder.put(&mut records).await.unwrap();
        let all: Vec<_> = records.iter().map(said).collect();
        assert_eq!(all[..4], given.map(Json::from));
        assert_eq!(all[5], json!("{\"id\":7}"), "a text, which equals no record");
        assert!(all[4].fields().is_empty(), "{}", all[4]);
        let looked_up = fake.asked().iter().filter(|one| one.ends_with("ids/1")).count();
        assert_eq!(looked_up, 1);

        forget([names.topic("orders").as_str()].into_iter(), &registry)
            .await
            .unwrap();
        assert!(registry.subjects().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_schema_of_the_case_is_how_values_are_seen() {
        let fake = FakeRegistry::default();
        let registry = Registry::new(fake.client(), "kafka");
        let names = Names::new("1b12cd34", 1, "a");
        let reader = schema(&json!([{"name": "id", "type": "long"}, {"name": "more", "type": "int", "default": 3}]));
        let case = case(&[json!({"id": 7})], Some(reader));
        register(&case, &names, &registry).await.unwrap();
        let mut records = [read(Some(framed(1, b"\x0e").into()), &names)];
        Decoder::new(&case, &names, Some(registry))
            .put(&mut records)
            .await
            .unwrap();
        assert_eq!(said(&records[0]), json!({"id": 7, "more": 3}));
    }

    #[tokio::test]
    async fn only_subjects_of_runs_that_are_over_go() {
        let fake = FakeRegistry::default();
        let registry = Registry::new(fake.client(), "kafka");
        let one = schema(&json!([]));
        let (dead, alive) = (Names::new("1b12cd34", 1, "a"), Names::new("2b12cd35", 1, "a"));
        let subjects = [
            subject_of(&dead.topic("x")),
            subject_of(&alive.topic("x")),
            "orders-value".to_owned(),
        ];
        for subject in &subjects {
            registry.register(subject, &one).await.unwrap();
        }
        let listed = registry.subjects().await.unwrap();
        let removed = forget_dead(listed, |run| run == "2b12cd35", &registry).await.unwrap();
        assert_eq!(removed, [format!("subject {} of a run that is over", subjects[0])]);
        assert_eq!(
            registry.subjects().await.unwrap(),
            [subjects[1].as_str(), "orders-value"]
        );
    }
}
