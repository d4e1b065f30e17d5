//! The registry's API, reached through the API server's service proxy: no port is opened.

use std::time::Duration;

use http::Method;
use kube::Client;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{API, PORT, SERVICE};
use crate::avro::AvroSchema;
use crate::diag::{Failure, Reason, Result};
use crate::flink::percent_encoded;
use crate::kube::service_request;

/// How long one answer may take. It takes milliseconds; the first ones of a process that has just started, longer.
const ANSWER: Duration = Duration::from_secs(10);
/// Of an answer that is no JSON, so many characters are told.
const TOLD: usize = 500;

/// The subject of a topic's values, as Confluent's serializers and Flink's connector name it (`TopicNameStrategy`).
pub fn subject_of(topic: &str) -> String {
    format!("{topic}-value")
}

/// The schema registry of one environment.
#[derive(Clone)]
pub struct Registry {
    client: Client,
    namespace: String,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry")
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

impl Registry {
    /// The one in a namespace.
    pub fn new(client: Client, namespace: &str) -> Self {
        Self {
            client,
            namespace: namespace.to_owned(),
        }
    }

    /// All subjects, those that are deleted but not for good included.
    ///
    /// # Errors
    /// [`Reason::RegistryUnreachable`]; [`Reason::RegistryError`] with its words.
    pub async fn subjects(&self) -> Result<Vec<String>> {
        let path = "/subjects?deleted=true";
        let answer = self.call(Method::GET, path, None).await?.unwrap_or_default();
        let subjects = answer.as_array().map(|all| {
            let names = all.iter().filter_map(Value::as_str);
            names.map(str::to_owned).collect()
        });
        subjects.ok_or_else(|| strange(path, &answer))
    }

    /// Registers a schema under a subject, if it is not there yet; returns its id.
    ///
    /// # Errors
    /// As [`Self::subjects`], e.g. for a schema that is not compatible with the one before.
    pub async fn register(&self, subject: &str, schema: &AvroSchema) -> Result<u32> {
        let path = format!("/subjects/{}/versions", percent_encoded(subject));
        let body = json!({"schemaType": "AVRO", "schema": schema.text()});
        let answer = self.call(Method::POST, &path, Some(&body)).await?.unwrap_or_default();
        let id = answer["id"].as_u64().and_then(|id| u32::try_from(id).ok());
        id.ok_or_else(|| strange(&path, &answer))
    }

    /// The schema of an id; `None` if there is none.
    ///
    /// # Errors
    /// As [`Self::subjects`]; a schema that is none of Avro's is strange, too.
    pub async fn schema(&self, id: u32) -> Result<Option<AvroSchema>> {
        let path = format!("/schemas/ids/{id}");
        let Some(answer) = self.call(Method::GET, &path, None).await? else {
            return Ok(None);
        };
        let text = answer["schema"].as_str().ok_or_else(|| strange(&path, &answer))?;
        let schema = AvroSchema::parse(text);
        schema
            .map(Some)
            .map_err(|why| strange(&path, &answer).evidence(format!("this is no Avro schema: {why}")))
    }

    /// Deletes a subject for good; one that is not there is fine.
    ///
    /// # Errors
    /// As [`Self::subjects`].
    pub async fn delete(&self, subject: &str) -> Result<()> {
        let path = format!("/subjects/{}", percent_encoded(subject));
        // only what is deleted can be deleted for good
        self.call(Method::DELETE, &path, None).await?;
        self.call(Method::DELETE, &format!("{path}?permanent=true"), None)
            .await?;
        Ok(())
    }

    /// `None` where there is no such thing.
    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Option<Value>> {
        let unreachable = |why: String| {
            Failure::new(Reason::RegistryUnreachable, "the schema registry does not answer")
                .evidence(format!("{method} {path}: {why}"))
        };
        let at = format!("{API}{path}");
        let request = service_request(&self.client, method.clone(), &self.namespace, SERVICE, PORT, &at, body);
        let (status, answer) = match timeout(ANSWER, request).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(failure)) => return Err(unreachable(failure.to_string())),
            Err(_) => return Err(unreachable(format!("no answer in {} s", ANSWER.as_secs()))),
        };
        // an answer of kind Status is the API server's own: there is no Service, or nothing behind it
        let from_api_server = answer["kind"] == "Status" && answer["apiVersion"] == "v1";
        let words = || {
            let told = answer["message"]
                .as_str()
                .map_or_else(|| answer.to_string(), str::to_owned);
            format!("HTTP {status}: {}", told.chars().take(TOLD).collect::<String>())
        };
        match status {
            200..=299 => Ok(Some(answer)),
            _ if from_api_server => Err(unreachable(words())),
            404 => Ok(None),
            _ => {
                let message = "the schema registry answered with an error";
                Err(Failure::new(Reason::RegistryError, message).evidence(format!("{method} {path}: {}", words())))
            }
        }
    }
}

fn strange(path: &str, answer: &Value) -> Failure {
    let told: String = answer.to_string().chars().take(TOLD).collect();
    let message = "the schema registry answered with something else than was asked for";
    Failure::new(Reason::RegistryError, message).evidence(format!("{path}: {told}"))
}
