//! Flink's own user interface: which cluster's it is, and a port of this machine that leads to it for as long as it is
//! wanted.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::Place;
use super::change::pods_of;
use super::managed::Managed;
use super::session::deployments;
use crate::config::nearest;
use crate::diag::{Failure, Reason, Result};
use crate::engine::StepCx;
use crate::kube::{Target, list, pods_reason, text};

/// The port of the JobManager's REST interface, which serves the user interface, too.
const REST: u16 = 8081;
/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(5);
/// Between two attempts.
const POLL: Duration = Duration::from_millis(200);

/// A Flink cluster, and what is to be seen of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The Flink cluster's name.
    pub cluster: String,
    /// `session cluster`, `application` or `job`, with its name.
    pub title: String,
    /// The page, from the root of the user interface on.
    pub page: String,
}

/// What is known of a user interface that answers.
#[derive(Debug, Clone, Serialize)]
pub struct Ui {
    /// Version of this format.
    pub v: u32,
    /// The Flink cluster.
    pub cluster: String,
    /// The address for a browser.
    pub url: String,
    /// Flink's version, as it tells.
    pub flink: String,
    /// Its TaskManagers.
    pub taskmanagers: u64,
    /// Its jobs that run.
    pub jobs: u64,
}

impl Shown {
    /// The session cluster of the place, or what has this name: a session cluster, an application, a session job.
    ///
    /// # Errors
    /// [`Reason::SessionNotFound`]; [`Reason::JobUnknown`] with the nearest name.
    pub async fn find(place: &Place, name: Option<&str>) -> Result<Self> {
        let all = list(&place.client, &deployments(&place.namespace)).await?;
        let wanted = name.unwrap_or(&place.session);
        if let Some(found) = all.iter().find(|o| text(o, "/metadata/name") == wanted) {
            let job = found["spec"].get("job").is_some_and(|job| !job.is_null());
            let kind = if job { "application" } else { "session cluster" };
            return Ok(Self {
                cluster: wanted.to_owned(),
                title: format!("{kind} {wanted}"),
                page: String::new(),
            });
        }
        let Some(name) = name else {
            let message = format!(
                "there is no session cluster `{wanted}` in namespace {}",
                place.namespace
            );
            return Err(Failure::new(Reason::SessionNotFound, message).next("dev up"));
        };
        let jobs = Managed::all(place).await?;
        if let Some(job) = jobs.iter().find(|job| job.name == name) {
            let id = text(&job.object, "/status/jobStatus/jobId");
            return Ok(Self {
                cluster: job.cluster.clone(),
                title: format!("job {name} in {}", job.cluster),
                page: match id {
                    "" => String::new(),
                    id => format!("#/job/running/{id}/overview"),
                },
            });
        }
        let mut names: Vec<&str> = all.iter().map(|o| text(o, "/metadata/name")).collect();
        names.extend(jobs.iter().map(|job| job.name.as_str()));
        names.sort_unstable();
        names.dedup();
        let message = format!(
            "there is no session cluster, application or job `{name}` in namespace {}",
            place.namespace
        );
        let failure = Failure::new(Reason::JobUnknown, message);
        Err(match nearest(name, names.iter().copied()) {
            Some(near) => failure.next(format!("dev ui {near}")),
            None if names.is_empty() => failure.next("dev up"),
            None => failure.evidence(format!("there are: {}", names.join(", "))),
        })
    }

    /// Its JobManager's port of the user interface.
    pub fn target(&self, place: &Place) -> Target {
        Target {
            client: place.client.clone(),
            namespace: place.namespace.clone(),
            selector: format!("{},component=jobmanager", pods_of(&self.cluster)),
            port: REST,
        }
    }

    /// Waits until Flink answers through `address`, which leads there, and tells what it says.
    ///
    /// # Errors
    /// [`Reason::FlinkUnreachable`] with the last answer and what keeps the JobManager's pod; [`Reason::Interrupted`].
    pub async fn answers(&self, place: &Place, address: SocketAddr, within: Duration, cx: &StepCx) -> Result<Ui> {
        let end = Instant::now() + within;
        loop {
            let reason = match overview(address).await {
                Ok(overview) => {
                    let number = |key: &str| overview[key].as_u64().unwrap_or_default();
                    return Ok(Ui {
                        v: 1,
                        cluster: self.cluster.clone(),
                        url: format!("http://{address}/{}", self.page),
                        flink: text(&overview, "/flink-version").to_owned(),
                        taskmanagers: number("taskmanagers"),
                        jobs: number("jobs-running"),
                    });
                }
                Err(why) => why,
            };
            cx.waiting(reason.clone());
            if Instant::now() >= end {
                let message = format!("the user interface of {} does not answer", self.title);
                let selector = self.target(place).selector;
                let pods = pods_reason(&place.client, &place.namespace, &selector).await;
                return Err(Failure::new(Reason::FlinkUnreachable, message)
                    .evidence(reason)
                    .evidence(pods.ok().flatten().unwrap_or_default())
                    .next("dev status"));
            }
            tokio::select! {
                () = sleep(POLL) => {}
                () = cx.cancel().cancelled() => return Err(Failure::new(Reason::Interrupted, "interrupted")),
            }
        }
    }
}

/// `GET /overview` of the address on this machine; why not, in words.
async fn overview(address: SocketAddr) -> Result<Value, String> {
    let exchange = async {
        let stream = TcpStream::connect(address).await.map_err(|e| e.to_string())?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|e| e.to_string())?;
        let connection = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(connection));
        let request = http::Request::get("/overview")
            .header(http::header::HOST, address.to_string())
            .body(Empty::<Bytes>::new())
            .map_err(|e| e.to_string())?;
        let answer = sender.send_request(request).await.map_err(|e| e.to_string())?;
        let status = answer.status();
        let body = answer
            .into_body()
            .collect()
            .await
            .map_err(|e| e.to_string())?
            .to_bytes();
        drop(connection);
        if !status.is_success() {
            return Err(format!("Flink answers with HTTP {status}"));
        }
        serde_json::from_slice(&body).map_err(|e| format!("what answers is no Flink: {e}"))
    };
    match timeout(ANSWER, exchange).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("no answer within {} s", ANSWER.as_secs())),
    }
}
