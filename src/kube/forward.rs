//! A port of this machine that leads to a port of a pod, through the API server. The pod is named by labels: when it is
//! replaced, the next connection goes to the new one.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use ::kube::api::Api;
use ::kube::runtime::watcher::{self, Event};
use ::kube::runtime::{WatchStreamExt as _, watcher as watch_pods};
use ::kube::{Client, ResourceExt as _};
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use crate::diag::{Failure, Reason, Result};

/// How long a connection is held while no pod is ready: a JobManager that is replaced is back after some 10 s.
const HOLD: Duration = Duration::from_secs(30);
/// Between two attempts to reach a pod that refused: its process has only just started, or is about to go.
const AGAIN: Duration = Duration::from_millis(250);

/// Where a forward leads.
#[derive(Clone)]
pub struct Target {
    /// The cluster.
    pub client: Client,
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's labels, as a selector.
    pub selector: String,
    /// The pod's port.
    pub port: u16,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target")
            .field("namespace", &self.namespace)
            .field("selector", &self.selector)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

/// What happens to a forward.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// Connections go to this pod from now on.
    Pod(String),
    /// The pod of before is gone, or not ready any more; connections are held until there is one.
    NoPod(String),
    /// A connection could not be carried to its end: why.
    Broken(String),
}

/// A port of this machine that is listened at and not served yet.
#[derive(Debug)]
pub struct Forward {
    listener: TcpListener,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Forward {
    /// Listens at a port of the loopback address; 0 is a free one.
    ///
    /// # Errors
    /// [`Reason::PortInUse`] if it is taken or may not be used.
    pub async fn bind(port: u16) -> Result<Self> {
        let taken = |error: &io::Error| {
            let message = match error.kind() {
                io::ErrorKind::AddrInUse => format!("port {port} of this machine is taken"),
                _ => format!("port {port} of this machine cannot be used"),
            };
            Failure::new(Reason::PortInUse, message).cause(error)
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .map_err(|e| taken(&e))?;
        let address = listener.local_addr().map_err(|e| taken(&e))?;
        Ok(Self { listener, address })
    }

    /// Serves connections for ever; what happens is told. Dropped, it closes all of them.
    pub async fn serve(self, target: Target, told: mpsc::UnboundedSender<Told>) {
        let (pods, pod) = watch::channel(None);
        let mut following = std::pin::pin!(follow(&target, &pods, &told));
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        let (target, pod, told) = (target.clone(), pod.clone(), told.clone());
                        connections.spawn(async move {
                            if let Err(why) = carry(stream, &target, pod).await {
                                let _ = told.send(Told::Broken(why));
                            }
                        });
                    }
                    // too many open files, most likely: connections that end make room
                    Err(error) => {
                        let _ = told.send(Told::Broken(error.to_string()));
                        sleep(AGAIN).await;
                    }
                },
                Some(_) = connections.join_next() => {}
                () = &mut following => {}
            }
        }
    }
}

/// Keeps `pods` at the newest ready pod of the target. Never ends.
async fn follow(target: &Target, pods: &watch::Sender<Option<String>>, told: &mpsc::UnboundedSender<Told>) {
    let api: Api<Pod> = Api::namespaced(target.client.clone(), &target.namespace);
    let config = watcher::Config::default().labels(&target.selector);
    let events = watch_pods(api, config).default_backoff();
    tokio::pin!(events);
    // name to creation, of ready ones only
    let mut ready: BTreeMap<String, String> = BTreeMap::new();
    let mut listed: Option<BTreeMap<String, String>> = None;
    loop {
        match events.next().await {
            Some(Ok(Event::Init)) => listed = Some(BTreeMap::new()),
            Some(Ok(Event::InitApply(pod))) => {
                if is_ready(&pod)
                    && let Some(listed) = &mut listed
                {
                    listed.insert(pod.name_any(), created(&pod));
                }
                continue;
            }
            Some(Ok(Event::InitDone)) => ready = listed.take().unwrap_or_default(),
            Some(Ok(Event::Apply(pod))) if is_ready(&pod) => {
                ready.insert(pod.name_any(), created(&pod));
            }
            Some(Ok(Event::Apply(pod) | Event::Delete(pod))) => {
                ready.remove(&pod.name_any());
            }
            // the API server is away for a moment: what is known stays, and the watch begins again by itself
            Some(Err(_)) => continue,
            None => std::future::pending::<()>().await,
        }
        if listed.is_some() {
            continue;
        }
        let newest = ready.iter().max_by(|a, b| a.1.cmp(b.1)).map(|(name, _)| name.clone());
        let before = pods.send_replace(newest.clone());
        match (before, newest) {
            (before, Some(now)) if before.as_ref() != Some(&now) => {
                let _ = told.send(Told::Pod(now));
            }
            (Some(before), None) => {
                let _ = told.send(Told::NoPod(before));
            }
            _ => {}
        }
    }
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|s| s.conditions.as_ref());
    let ready = conditions
        .into_iter()
        .flatten()
        .any(|c| c.type_ == "Ready" && c.status == "True");
    ready && pod.metadata.deletion_timestamp.is_none()
}

fn created(pod: &Pod) -> String {
    let at = pod.creation_timestamp();
    at.and_then(|at| serde_json::to_string(&at).ok()).unwrap_or_default()
}

/// Carries one connection to the pod and back, until one side closes it.
async fn carry(mut local: TcpStream, target: &Target, mut pod: watch::Receiver<Option<String>>) -> Result<(), String> {
    let api: Api<Pod> = Api::namespaced(target.client.clone(), &target.namespace);
    let end = Instant::now() + HOLD;
    let mut last = "no pod is ready".to_owned();
    let mut forwarder = loop {
        let name = match timeout_at(end, pod.wait_for(Option::is_some)).await {
            Ok(Ok(name)) => name.clone().unwrap_or_default(),
            _ => return Err(last),
        };
        match api.portforward(&name, &[target.port]).await {
            Ok(forwarder) => break forwarder,
            Err(error) => last = format!("pod {name}: {error}"),
        }
        if Instant::now() + AGAIN >= end {
            return Err(last);
        }
        sleep(AGAIN).await;
    };
    let (Some(remote), Some(refused)) = (forwarder.take_stream(target.port), forwarder.take_error(target.port)) else {
        return Err("the API server forwards no port".to_owned());
    };
    let (mut from_pod, mut to_pod) = tokio::io::split(remote);
    let (mut from_user, mut to_user) = local.split();
    let ended = tokio::select! {
        // a closed side ends the connection: HTTP does not half-close
        _ = tokio::io::copy(&mut from_pod, &mut to_user) => Ok(()),
        _ = tokio::io::copy(&mut from_user, &mut to_pod) => Ok(()),
        // the API server's word: nobody listens in the pod; a sender that goes away says nothing
        Some(why) = refused => Err(why),
    };
    forwarder.abort();
    ended
}
