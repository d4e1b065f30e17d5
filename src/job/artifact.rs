//! A jar to where the operator fetches it for a session job.
//!
//! A `FlinkSessionJob` wants a `jarURI` that the *operator's* pod can read; it uploads the jar to the JobManager itself,
//! again at each upgrade and each resubmission, so the jar has to stay where it is. What there is to choose from:
//! * `http(s)`: a server of ours in the cluster is one more thing that has to run whenever a job is changed;
//! * a ConfigMap takes 1 MiB;
//! * the operator's own file system is gone with its pod;
//! * the session cluster's image: a new one restarts all its jobs.
//!
//! So it is a folder of the node, which the operator's pod mounts (`hostPath`, read only): nothing runs for it, it
//! survives the pod and a restart of the machine, and goes with the node. Files are named by their content, so what a job
//! was started from never changes under it.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use kube::Client;
use sha2::{Digest as _, Sha256};

use super::code::encoded;
use super::run::Workshop;
use crate::container::Engine;
use crate::diag::{Failure, Reason, Result};
use crate::kube::{get, list, text};

/// The folder in each node; `manifests/flink-operator/operator.yaml` mounts it.
const IN_NODE: &str = "/var/lib/flink-dev/artifacts";
/// The same folder in the operator's pod.
const IN_OPERATOR: &str = "/opt/flink/dev-artifacts";
/// The volume's name in the operator's pod.
const VOLUME: &str = "dev-artifacts";
/// How old a file has to be before it goes when no job names it: another `dev job run` may be about to.
const SPARED_MINUTES: &str = "10";

/// `$1` folder, `$2` file, `$3` its sha256: ends with 3 if the file is to be sent.
const THERE: &str = r#"f=$1/$2; [ -f "$f" ] && touch "$f" && exit 0; exit 3"#;
/// The same, with the file on standard input.
const TAKE: &str = r#"set -e; umask 022; mkdir -p "$1"; t=$(mktemp "$1/.new.XXXXXX"); trap 'rm -f "$t"' EXIT
cat >"$t"; s=$(sha256sum <"$t"); [ "${s%% *}" = "$3" ] || { echo "the jar did not arrive whole" >&2; exit 4; }
chmod 644 "$t"; mv "$t" "$1/$2""#;
/// `$1` folder, `$2` minutes, then names to keep: removes the others.
const SWEEP: &str = r#"d=$1 m=$2; shift 2; cd "$d" 2>/dev/null || exit 0
find . -maxdepth 1 -type f -mmin "+$m" | while read -r f; do
  f=${f#./}; k=; for n; do [ "$n" = "$f" ] && k=1; done; [ -n "$k" ] || rm -f "$f"; done"#;

/// Where jars are brought: the nodes of a cluster, and who fetches them there.
#[derive(Clone, Copy)]
pub struct Depot<'a> {
    /// The cluster.
    pub client: &'a Client,
    /// The engine that the nodes live in.
    pub engine: &'a Engine,
    /// The nodes' containers.
    pub nodes: &'a [String],
    /// The operator's namespace.
    pub operator: &'a str,
}

impl std::fmt::Debug for Depot<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Depot")
            .field("nodes", &self.nodes)
            .finish_non_exhaustive()
    }
}

impl<'a> Depot<'a> {
    /// That of an environment.
    pub(super) fn of(client: &'a Client, workshop: &'a Workshop) -> Self {
        Self {
            client,
            engine: &workshop.engine,
            nodes: &workshop.nodes,
            operator: &workshop.profile.operator.namespace,
        }
    }
}

/// Brings a jar into the nodes; returns its URI for the operator.
///
/// # Errors
/// [`Reason::FileUnreadable`]; [`Reason::ComponentNotReady`] where the operator does not see the folder;
/// [`Reason::ImageLoadFailed`] if a node does not take it.
pub async fn put(depot: &Depot<'_>, jar: &Path) -> Result<String> {
    mounted(depot).await?;
    let (sha, name) = named(jar.to_owned()).await?;
    if depot.nodes.is_empty() {
        return Err(Failure::new(
            Reason::ClusterNotFound,
            "the cluster has no node that runs",
        ));
    }
    for node in depot.nodes {
        let told = |script: &'static str| ["sh", "-c", script, "sh", IN_NODE, &name, &sha];
        if depot.engine.exec(node, &told(THERE), None, false).await?.code == 0 {
            continue;
        }
        let file = tokio::fs::File::open(jar)
            .await
            .map_err(|e| unreadable(jar).cause(&e))?;
        let file = Some(Box::pin(file) as _);
        let taken = depot.engine.exec(node, &told(TAKE), file, false).await?;
        if taken.code != 0 {
            let message = format!("the node {node} does not take {}", jar.display());
            return Err(Failure::new(Reason::ImageLoadFailed, message)
                .evidence(taken.stderr.trim())
                .next("dev doctor"));
        }
    }
    sweep(depot, &name).await;
    Ok(format!("file://{IN_OPERATOR}/{name}"))
}

/// Removes jars that no job names any more; what cannot be removed stays for the next time.
async fn sweep(depot: &Depot<'_>, kept: &str) {
    let Ok(jobs) = list(depot.client, "/apis/flink.apache.org/v1beta1/flinksessionjobs").await else {
        return;
    };
    let named = jobs.iter().map(|job| text(job, "/spec/job/jarURI"));
    let mut keep: BTreeSet<&str> = named
        .filter_map(|uri| {
            uri.strip_prefix("file://")?
                .strip_prefix(IN_OPERATOR)?
                .strip_prefix('/')
        })
        .collect();
    keep.insert(kept);
    let mut command = vec!["sh", "-c", SWEEP, "sh", IN_NODE, SPARED_MINUTES];
    command.extend(keep);
    for node in depot.nodes {
        let _ = depot.engine.exec(node, &command, None, false).await;
    }
}

/// Sees that the operator's pod has the folder: one of an older environment does not.
async fn mounted(depot: &Depot<'_>) -> Result<()> {
    let namespace = depot.operator;
    let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments/flink-kubernetes-operator");
    let operator = get(depot.client, &path).await?.unwrap_or_default();
    let volumes = operator
        .pointer("/spec/template/spec/volumes")
        .and_then(|v| v.as_array());
    if volumes.into_iter().flatten().any(|volume| volume["name"] == VOLUME) {
        return Ok(());
    }
    let message = "the Flink operator of this environment does not see jars of this machine";
    Err(Failure::new(Reason::ComponentNotReady, message)
        .evidence(format!(
            "deployment flink-kubernetes-operator in {namespace} has no volume {VOLUME}: an older dev made it"
        ))
        .next("dev up"))
}

/// A jar's digest, and its name in the folder.
async fn named(jar: PathBuf) -> Result<(String, String)> {
    let work = move || {
        let mut file = fs_err::File::open(&jar).map_err(|e| unreadable(&jar).cause(&e))?;
        let mut hash = Sha256::new();
        let mut part = vec![0; 1 << 20];
        loop {
            match file.read(&mut part).map_err(|e| unreadable(&jar).cause(&e))? {
                0 => break,
                read => hash.update(&part[..read]),
            }
        }
        let sha = hex::encode(hash.finalize());
        // the name of a jar is what Flink's UI shows; `%` would be taken apart again
        let name = format!("{}-{}", &sha[..12], encoded(&jar).replace('%', "_"));
        Ok((sha, name))
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| Failure::new(Reason::Internal, "reading a jar panicked").cause(&e))?
}

fn unreadable(jar: &Path) -> Failure {
    Failure::new(Reason::FileUnreadable, "a jar cannot be read").at(jar, 0, 0)
}
