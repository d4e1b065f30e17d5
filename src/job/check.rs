//! Everything about a job that can be known before anything is created.

use serde_json::Value;

use super::application::{self, Draft, Extras};
use super::code::{Code, JarCode};
use super::managed::{Kind, Managed};
use super::run::{Cluster, Place, Wanted, Workshop};
use super::{room, session};
use crate::diag::{Failure, Reason, Result};
use crate::engine::StepCx;
use crate::flink::Rest;
use crate::kafka::TopicClient;
use crate::kube::text;

/// What was found.
pub(super) struct Checked {
    /// One line for people.
    pub(super) told: String,
    /// A jar that was looked into, or an application's image that can be made.
    pub(super) draft: Option<Draft>,
    /// The job that is to be replaced.
    pub(super) old: Option<Managed>,
}

/// Checks a job that is to be run.
///
/// # Errors
/// The first thing that keeps it from running.
pub(super) async fn check(place: &Place, workshop: Option<&Workshop>, wanted: &Wanted, cx: &StepCx) -> Result<Checked> {
    let old = other(place, wanted).await?;
    let (draft, program, topics) = program(place, workshop, wanted, cx).await?;
    let cluster = match &wanted.cluster {
        Cluster::Session => {
            let freed = freed(place, old.as_ref()).await?;
            check_session(place, wanted, freed).await?
        }
        Cluster::Application(_) => {
            let cluster = application::cluster(workshop_of(workshop)?, &wanted.code, &wanted.name, "");
            let parallelism = wanted.parallelism().unwrap_or(1);
            room::check_application(&place.client, &wanted.name, &cluster, parallelism).await?
        }
    };
    let told = [program, topics, cluster];
    let told = told
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(", ");
    Ok(Checked { told, draft, old })
}

/// The program itself: its script's topics, its jar, its image.
pub(super) async fn program(
    place: &Place,
    workshop: Option<&Workshop>,
    wanted: &Wanted,
    cx: &StepCx,
) -> Result<(Option<Draft>, String, String)> {
    let topics = check_topics(place, wanted).await?;
    let draft = match (&wanted.cluster, &wanted.code) {
        (Cluster::Application(extras), code) => {
            Some(application::draft(workshop_of(workshop)?, code, &wanted.name, extras, cx).await?)
        }
        (Cluster::Session, Code::Sql(_)) => None,
        // against the session's image: what runs it is what it is checked for
        (Cluster::Session, code @ Code::Jar(jar)) => {
            let session = session::ready(&place.client, &place.namespace, &place.session).await?;
            fits_upload(jar, &session)?;
            let extras = Extras {
                base: Some(text(&session, "/spec/image").to_owned()),
                ..Extras::default()
            };
            Some(application::draft(workshop_of(workshop)?, code, &wanted.name, &extras, cx).await?)
        }
        (Cluster::Session, Code::Python(python)) => {
            session::ready(&place.client, &place.namespace, &place.session).await?;
            let rest = Rest::new(place.client.clone(), &place.namespace, &place.session);
            if !session::has_python(&rest).await? {
                return Err(no_python(&place.session, &python.shown));
            }
            None
        }
    };
    let told = match &wanted.code {
        Code::Sql(script) => format!("{} INSERTs in one job", script.inserts),
        Code::Jar(_) => format!("class {}", draft.as_ref().and_then(Draft::main).unwrap_or_default()),
        Code::Python(_) => String::new(),
    };
    Ok((draft, told, topics))
}

/// The JobManager takes uploads of up to 100 MiB, unless it was told otherwise; it would say no with an empty answer.
fn fits_upload(jar: &JarCode, session: &Value) -> Result<()> {
    const TAKES: u64 = 100 << 20;
    let size = std::fs::metadata(&jar.path).map_or(0, |meta| meta.len());
    let set = &session["spec"]["flinkConfiguration"]["rest.server.max-content-length"];
    if size <= TAKES || !set.is_null() {
        return Ok(());
    }
    let message = format!(
        "{} has {} MiB, the session cluster takes jars of 100 MiB",
        jar.shown.display(),
        size >> 20
    );
    Err(Failure::new(Reason::JarInvalid, message)
        .next("add --application")
        .next("set `session: {config: {rest.server.max-content-length: BYTES}}` in the profile, then `dev up`"))
}

fn no_python(session: &str, file: &std::path::Path) -> Failure {
    let message = format!(
        "the image of the session cluster `{session}` has no Python, which {} needs",
        file.display()
    );
    Failure::new(Reason::ImageUnavailable, message).next("set `session: {python: true}` in the profile, then `dev up`")
}

fn workshop_of(workshop: Option<&Workshop>) -> Result<&Workshop> {
    workshop.ok_or_else(|| Failure::new(Reason::Internal, "there is no engine to bring files with"))
}

/// Whatever has the wanted name: a job that may be replaced, or nothing.
async fn other(place: &Place, wanted: &Wanted) -> Result<Option<Managed>> {
    if matches!(wanted.cluster, Cluster::Application(_)) && wanted.name == place.session {
        let message = format!(
            "`{}` is the session cluster: an application would take its place",
            wanted.name
        );
        return Err(Failure::new(Reason::JobExists, message).next("choose another --name"));
    }
    let old = Managed::found(place, &wanted.name).await?;
    match old {
        Some(old) if !wanted.replace => {
            let kind = match old.kind {
                Kind::Session => "a job",
                Kind::Application => "an application",
            };
            let message = format!("{kind} `{}` is there already", wanted.name);
            Err(Failure::new(Reason::JobExists, message)
                .next(format!("dev job status {}", wanted.name))
                .next(format!(
                    "dev job upgrade {} {}",
                    wanted.name,
                    wanted.code.file().display()
                ))
                .next("add --replace, or choose another --name"))
        }
        old => Ok(old),
    }
}

/// Task slots of the session cluster that are free once a job is gone.
pub(super) async fn freed(place: &Place, old: Option<&Managed>) -> Result<u64> {
    match old {
        Some(old) if old.kind == Kind::Session && old.cluster == place.session => {
            let look = old.look().await?;
            // a job on its way between states holds some of them, none or all: it counts as none
            let runs = look.flink_state() == "RUNNING";
            Ok(if runs { look.parallelism() } else { 0 })
        }
        _ => Ok(0),
    }
}

pub(super) async fn check_session(place: &Place, wanted: &Wanted, freed: u64) -> Result<String> {
    let object: Value = session::ready(&place.client, &place.namespace, &place.session).await?;
    let rest = Rest::new(place.client.clone(), &place.namespace, &place.session);
    let parallelism = wanted.parallelism().unwrap_or(1);
    let (free, jars) = tokio::try_join!(
        room::check(&place.client, &object, &rest, parallelism, freed),
        session::jars(&rest)
    )?;
    if let Some(script) = wanted.code.script() {
        script.check_connectors(&jars)?;
    }
    Ok(format!("{free} slots free"))
}

async fn check_topics(place: &Place, wanted: &Wanted) -> Result<String> {
    let Some(script) = wanted.code.script() else {
        return Ok(String::new());
    };
    let Some((local, internal)) = &place.kafka else {
        return Ok("no Kafka".to_owned());
    };
    // `kafka.kafka:9092` and all the longer names of the same service
    let service: Vec<&str> = internal.split('.').take(2).collect();
    let (service, port) = (service.join("."), internal.rsplit(':').next().unwrap_or_default());
    let is_ours = |address: &str| {
        let (host, its_port) = address.trim().rsplit_once(':').unwrap_or((address, ""));
        its_port == port && (host == service || host.starts_with(&format!("{service}.")))
    };
    let topics = script.topics(is_ours);
    if topics.is_empty() {
        return Ok("no topic of ours".to_owned());
    }
    let known = TopicClient::connect(local).await?.list("").await?;
    let missing: Vec<String> = topics.iter().filter(|t| !known.contains(t)).cloned().collect();
    if missing.is_empty() {
        Ok(format!("{} topics there", topics.len()))
    } else {
        Err(script.missing_topics(&missing, &known))
    }
}
