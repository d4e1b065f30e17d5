//! Server-side apply that writes only what differs: each object carries a hash of what was applied, and what is there
//! is read first, one metadata list a kind.

use std::collections::BTreeMap;
use std::time::Duration;

use ::kube::Client;
use ::kube::Error;
use futures::{StreamExt, TryStreamExt, stream};
use http::Method;
use serde_json::Value;
use tokio::time::Instant;

use super::edits::edited_since;
use super::resource::known;
use super::wanted::{HASH, MANAGED_BY, MANAGER, Rank, Wanted, rank, wanted};
use super::{Coordinates, coordinates, failure, get, request_accepting, text, transient};
use crate::diag::{Failure, Reason, Result};

/// How long [`apply`] tries: a booting API server or a webhook that starts needs some 10 s on a slow machine.
const BOUND: Duration = Duration::from_secs(60);
/// Requests in flight; more only wait for the API server's CPU.
const IN_FLIGHT: usize = 8;
/// The content type of a server-side apply; JSON is YAML.
const APPLY: &str = "application/apply-patch+yaml";
/// Answers without `spec` and `status`: a CRD has 500 KB of those.
const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";
const METADATA_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";

/// What an apply did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApplyReport {
    /// Objects that were written.
    pub changed: Vec<Coordinates>,
    /// Objects that were as they should be and were not written.
    pub unchanged: usize,
}

/// How an object in the cluster relates to the one that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is not there.
    Absent,
    /// It is there, but other than wanted; the text says what was seen.
    Differs(String),
    /// It is as it was applied.
    Same,
}

/// Brings objects to what is given, within a minute, silently; see [`apply_within`].
///
/// # Errors
/// As [`apply_within`].
pub async fn apply(client: &Client, objects: &[Value]) -> Result<ApplyReport> {
    apply_within(client, objects, BOUND, &|_| {}).await
}

/// Brings objects to what is given by server-side apply as [`MANAGER`], which takes fields over from others.
///
/// An object whose annotation [`HASH`] has the value already and that nobody edited since is not written: its
/// `resourceVersion` stays. Order: namespaces, then configuration and access rules (custom resource definitions beside
/// them), then workloads, then custom resources once their kinds are served; within a group several at a time.
/// Workloads come after definitions as the Flink operator, started without its kinds, neither ends nor looks again. What
/// may pass by itself ([`transient`]) is tried again until `bound`, each new reason goes to `waiting`.
///
/// # Errors
/// [`Reason::ApplyFailed`] with the server's answer if it refuses an object, or if `bound` is over;
/// [`Reason::ClusterUnreachable`] if it does not answer until then.
pub async fn apply_within(
    client: &Client,
    objects: &[Value],
    bound: Duration,
    waiting: &(dyn Fn(String) + Send + Sync),
) -> Result<ApplyReport> {
    let run = Run {
        client,
        end: Instant::now() + bound,
        bound,
        waiting,
    };
    let wanted: Vec<Wanted> = objects.iter().map(wanted).collect();
    let there = run.retry("list what is there", || metadata(client, &wanted)).await?;

    let mut report = ApplyReport::default();
    let mut groups: BTreeMap<Rank, Vec<&Wanted>> = BTreeMap::new();
    for want in &wanted {
        // kinds that are not in the table are looked up when their turn comes: they may be defined by this very call
        let same = match known(&want.object)? {
            Some(at) => compare(want, there.get(&at)) == State::Same,
            None => false,
        };
        if same {
            report.unchanged += 1;
        } else {
            groups.entry(rank(&want.object)).or_default().push(want);
        }
    }
    let mut take = |rank: Rank| groups.remove(&rank).unwrap_or_default();
    report.changed.extend(run.group(take(Rank::Namespace)).await?);
    let definitions = take(Rank::Definition);
    let kinds: Vec<&Value> = definitions.iter().map(|w| &w.object).collect();
    let (rules, kinds_there) = tokio::try_join!(run.group(take(Rank::Configuration)), run.group(definitions))?;
    // the kinds come to be served while pods start; a run that ends before this line leaves no pod without them
    let (workloads, ()) = tokio::try_join!(run.group(take(Rank::Workload)), run.served(&kinds))?;
    report
        .changed
        .extend(rules.into_iter().chain(kinds_there).chain(workloads));
    report.changed.extend(run.group(take(Rank::Custom)).await?);
    Ok(report)
}

/// What is there of the objects, in their order. Kinds that are not served count as absent. Changes nothing.
///
/// # Errors
/// [`Reason::ClusterUnreachable`] or [`Reason::ApplyFailed`], at once.
pub async fn observe(client: &Client, objects: &[Value]) -> Result<Vec<(Coordinates, State)>> {
    let wanted: Vec<Wanted> = objects.iter().map(wanted).collect();
    let there = metadata(client, &wanted)
        .await
        .map_err(|error| failure(Reason::ClusterUnreachable, "list what is there", &error))?;
    let mut seen = Vec::with_capacity(wanted.len());
    for want in &wanted {
        let at = coordinates(client, &want.object).await?;
        let state = compare(want, there.get(&at));
        seen.push((at, state));
    }
    Ok(seen)
}

/// Asks the API server to check an object as if it were applied, admission webhooks included, and to forget it.
///
/// # Errors
/// [`Reason::ApplyFailed`] with the answer. Tried once: whoever waits for a webhook looks at [`transient`]'s reasons
/// through [`super::until`].
pub async fn dry_run(client: &Client, object: &Value) -> Result<()> {
    let at = coordinates(client, object).await?;
    patch(client, &at, object, true)
        .await
        .map_err(|error| failure(Reason::ApplyFailed, format!("dry run of {at}"), &error))
}

/// As [`dry_run`], with what may pass by itself as a reason to wait: `Some(reason)`.
pub(crate) async fn dry_run_or_reason(client: &Client, object: &Value) -> Result<Option<String>> {
    let at = coordinates(client, object).await?;
    match patch(client, &at, object, true).await {
        Ok(()) => Ok(None),
        Err(error) => match transient(&error) {
            Some(reason) => Ok(Some(reason)),
            None => Err(failure(Reason::ApplyFailed, format!("dry run of {at}"), &error)),
        },
    }
}

struct Run<'a> {
    client: &'a Client,
    end: Instant,
    bound: Duration,
    waiting: &'a (dyn Fn(String) + Send + Sync),
}

impl Run<'_> {
    /// Applies objects side by side.
    async fn group(&self, group: Vec<&Wanted>) -> Result<Vec<Coordinates>> {
        // futures first, then the stream: a closure in it would not be general enough over lifetimes
        let requests: Vec<_> = group.into_iter().map(|want| self.one(want)).collect();
        stream::iter(requests).buffer_unordered(IN_FLIGHT).try_collect().await
    }

    async fn one(&self, want: &Wanted) -> Result<Coordinates> {
        let at = match known(&want.object)? {
            Some(at) => at,
            None => self.discover(&want.object).await?,
        };
        self.retry(&format!("apply {at}"), || patch(self.client, &at, &want.object, false))
            .await?;
        Ok(at)
    }

    /// Looks a kind up until it is served.
    async fn discover(&self, object: &Value) -> Result<Coordinates> {
        loop {
            match coordinates(self.client, object).await {
                Ok(at) => return Ok(at),
                Err(failure) if Instant::now() > self.end => return Err(failure),
                Err(failure) => (self.waiting)(failure.to_string()),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until the kinds of custom resource definitions are served.
    async fn served(&self, definitions: &[&Value]) -> Result<()> {
        for definition in definitions {
            let (group, plural) = (text(definition, "/spec/group"), text(definition, "/spec/names/plural"));
            let versions = definition.pointer("/spec/versions").and_then(Value::as_array);
            let served = versions.into_iter().flatten().find(|v| v["served"] == true);
            let path = format!(
                "/apis/{group}/{}/{plural}?limit=1",
                served.map_or("v1", |v| text(v, "/name"))
            );
            loop {
                if get(self.client, &path).await?.is_some() {
                    break;
                }
                let reason = format!("the kind {plural}.{group} is not served yet");
                if Instant::now() > self.end {
                    return Err(Failure::new(Reason::ApplyFailed, reason));
                }
                (self.waiting)(reason);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(())
    }

    /// Does something until it goes through, is refused for good, or time is over.
    async fn retry<T, Work, Fut>(&self, tried: &str, mut work: Work) -> Result<T>
    where
        Work: FnMut() -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        let mut pause = Duration::from_millis(50);
        loop {
            let error = match work().await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            match transient(&error) {
                Some(reason) if Instant::now() + pause < self.end => {
                    (self.waiting)(format!("{tried}: {reason}"));
                    tokio::time::sleep(pause).await;
                    pause = (pause * 3 / 2).min(Duration::from_millis(500));
                }
                Some(_) => {
                    let message = format!("{tried}: not within {} s", self.bound.as_secs());
                    return Err(failure(Reason::ApplyFailed, message, &error));
                }
                None => return Err(failure(Reason::ApplyFailed, tried, &error)),
            }
        }
    }
}

/// The metadata of all objects of ours of the wanted kinds, one list a kind, side by side.
async fn metadata(client: &Client, wanted: &[Wanted]) -> Result<BTreeMap<Coordinates, Value>, Error> {
    let mut kinds: BTreeMap<String, Coordinates> = BTreeMap::new();
    for want in wanted {
        if let Ok(Some(at)) = known(&want.object) {
            kinds.entry(at.collection()).or_insert(at);
        }
    }
    let requests: Vec<_> = kinds
        .into_iter()
        .map(|(collection, sample)| async move {
            let uri = format!("{collection}?labelSelector={MANAGED_BY}%3D{MANAGER}");
            let list = match request_accepting(client, Method::GET, &uri, METADATA_LIST, None).await {
                Ok(list) => list,
                // a custom kind whose definition is not there yet
                Err(Error::Api(status)) if status.code == 404 => Value::Null,
                Err(error) => return Err(error),
            };
            Ok((sample, list))
        })
        .collect();
    let lists: Vec<_> = stream::iter(requests).buffer_unordered(IN_FLIGHT).try_collect().await?;
    let mut there = BTreeMap::new();
    for (sample, mut list) in lists {
        let Some(Value::Array(items)) = list.get_mut("items").map(Value::take) else {
            continue;
        };
        for item in items {
            let at = Coordinates {
                name: text(&item, "/metadata/name").to_owned(),
                namespace: sample
                    .namespace
                    .is_some()
                    .then(|| text(&item, "/metadata/namespace").to_owned()),
                ..sample.clone()
            };
            there.insert(at, item);
        }
    }
    Ok(there)
}

fn compare(want: &Wanted, there: Option<&Value>) -> State {
    let Some(there) = there else { return State::Absent };
    if !text(there, "/metadata/deletionTimestamp").is_empty() {
        return State::Differs("it is being deleted".to_owned());
    }
    let seen = there["metadata"]["annotations"][HASH].as_str().unwrap_or_default();
    if seen != want.hash {
        return State::Differs(format!("another version was applied ({seen})"));
    }
    match edited_since(there, &want.object) {
        Some(editor) => State::Differs(format!("{editor} changed it since")),
        None => State::Same,
    }
}

async fn patch(client: &Client, at: &Coordinates, object: &Value, dry: bool) -> Result<(), Error> {
    let dry = if dry { "&dryRun=All" } else { "" };
    let uri = format!(
        "{}?fieldManager={MANAGER}&force=true&fieldValidation=Strict{dry}",
        at.path()
    );
    request_accepting(
        client,
        Method::PATCH,
        &uri,
        METADATA,
        Some((APPLY, object.to_string().into_bytes())),
    )
    .await
    .map(drop)
}
