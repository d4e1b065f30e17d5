//! What a node's containerd has, by `ctr` in the node.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use crate::container::{Engine, ExecOutput};
use crate::diag::{Failure, Reason, Result};
use crate::image::bounds::within;
use crate::image::load::{ID_LABEL, LOADED_BY, STAGE, ctr};

/// Tells of images, of containers' images, of blobs.
const STOCK: &str = r#"
c() { ctr -n k8s.io "$@"; }
echo "== images"; c images ls || exit 1
echo "== containers"; c containers ls || exit 1
echo "== blobs"; c content ls -q || exit 1
"#;

/// Removes images that have no name but their digest and that `dev` loaded (`$1` is the mark in their manifests): what
/// was renamed away from them, and beginnings that images share. Layers that an image or a container needs stay.
const REPLACED: &str = r#"
mark=$1
c() { ctr -n k8s.io "$@"; }
# who only looks waits for nobody: what a load has just begun carries the mark, too, and is told a moment later again
[ "$2" = look ] || {
  exec 9>/run/flink-dev-load.lock
  flock -w 300 9 || { echo "another load runs in this node" >&2; exit 46; }
}
all=$(c images ls) || exit 1
named=$(echo "$all" | while read -r name type digest rest; do
  case $name in sha256:*) ;; *) echo "$digest" ;; esac
done)
echo "$all" | while read -r name type digest rest; do
  case $name in sha256:*) ;; *) continue ;; esac
  case $named in *"$digest"*) continue ;; esac
  c content get "$digest" 2>/dev/null | grep -q "$mark" || continue
  [ "$2" = look ] || c images rm "$name" >/dev/null || exit 1
  echo "$name"
done
"#;

/// Takes names (`$@`) from images, unless a container runs the image under that name; tells those that stay.
const UNUSED: &str = r#"
c() { ctr -n k8s.io "$@"; }
exec 9>/run/flink-dev-load.lock
flock -w 300 9 || { echo "another load runs in this node" >&2; exit 46; }
used=$(c containers ls) || exit 1
for name; do
  if echo "$used" | { while read -r id image rest; do [ "$image" != "$name" ] || exit 0; done; exit 1; }; then
    echo "$name"
  else
    c images rm "$name" >/dev/null || exit 1
  fi
done
"#;

/// An image in a node, under one of its names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeImage {
    /// Its full name.
    pub name: String,
    /// Digest of its manifest.
    pub digest: String,
    /// Bytes of its layers, as its manifest has them.
    pub bytes: u64,
    /// Its id in the engine when `dev` loaded it; empty if others did.
    pub id: String,
}

/// What a node has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeStock {
    /// Name of its container.
    pub node: String,
    /// Images with names.
    pub images: Vec<NodeImage>,
    /// Images without a name that `dev` loaded; nothing can start them.
    pub unnamed: Vec<String>,
    /// Full names of the images that containers run.
    pub used: BTreeSet<String>,
    /// Digests in hex of all blobs.
    pub blobs: BTreeSet<String>,
}

/// How long a node may take to answer; another load is waited for.
const ANSWER: Duration = Duration::from_secs(420);

async fn ask(engine: &Engine, node: &str, command: &[&str]) -> Result<ExecOutput> {
    within(ANSWER, node, "answer", engine.exec(node, command, None, false)).await
}

/// Asks a node what it has; what has no name is asked for by [`unnamed`].
pub(super) async fn stock(engine: &Engine, node: &str) -> Result<NodeStock> {
    let output = ask(engine, node, &["sh", "-c", STOCK, "sh"]).await?;
    Ok(parse(node, &ctr::told(node, output)?))
}

/// What has no name any more in a node and was loaded by `dev`, by its digests.
pub(super) async fn unnamed(engine: &Engine, node: &str) -> Result<Vec<String>> {
    replaced(engine, node, "look").await
}

/// Removes from a node what has no name any more and was loaded by `dev`; tells the digests.
pub(in crate::image) async fn remove_replaced(engine: &Engine, node: &str) -> Result<Vec<String>> {
    replaced(engine, node, "remove").await
}

async fn replaced(engine: &Engine, node: &str, what: &str) -> Result<Vec<String>> {
    let mark = format!("\"{LOADED_BY}\":\"dev\"");
    let output = ask(engine, node, &["sh", "-c", REPLACED, "sh", &mark, what]).await?;
    Ok(ctr::told(node, output)?.lines().map(str::to_owned).collect())
}

/// Takes names from a node's images.
pub(super) async fn remove_names(engine: &Engine, node: &str, names: &[&str]) -> Result<()> {
    let mut command = vec!["ctr", "-n", "k8s.io", "images", "rm"];
    command.extend(names);
    ask(engine, node, &command).await?.success("ctr images rm").map(|_| ())
}

/// Takes a name from a node's image unless a container runs it now; tells whether it is gone.
pub(super) async fn remove_unused(engine: &Engine, node: &str, name: &str) -> Result<bool> {
    let output = ask(engine, node, &["sh", "-c", UNUSED, "sh", name]).await?;
    if output.code != 0 {
        let failure = Failure::new(Reason::EngineError, format!("{node} does not remove {name}"));
        return Err(failure.evidence(crate::process::tail(&output.stderr, 15)));
    }
    Ok(output.stdout.trim().is_empty())
}

/// Pods (`NAMESPACE/NAME`) of a node whose containers run an image of this full name.
pub(super) async fn pods(engine: &Engine, node: &str, name: &str) -> Result<Vec<String>> {
    // a few containers at most, and only before a refusal
    const PODS: &str = r#"
ctr -n k8s.io containers ls | while read -r id image rest; do
  [ "$image" = "$1" ] && { ctr -n k8s.io containers info "$id" | tr -d '\n '; echo; }
done; exit 0"#;
    let output = ask(engine, node, &["sh", "-c", PODS, "sh", name]).await?;
    let mut found: Vec<String> = output.stdout.lines().filter_map(pod_of).collect();
    found.sort();
    found.dedup();
    Ok(found)
}

fn pod_of(info: &str) -> Option<String> {
    let info: serde_json::Value = serde_json::from_str(info).ok()?;
    let label = |name: &str| info["Labels"][name].as_str();
    Some(format!(
        "{}/{}",
        label("io.kubernetes.pod.namespace")?,
        label("io.kubernetes.pod.name")?
    ))
}

pub(super) fn parse(node: &str, text: &str) -> NodeStock {
    let mut stock = NodeStock {
        node: node.to_owned(),
        ..NodeStock::default()
    };
    for (section, line) in ctr::lines(text) {
        match section {
            "images" => {
                let named =
                    ctr::image(line).filter(|row| !row.name.starts_with("sha256:") && !row.name.starts_with(STAGE));
                stock.images.extend(named.map(|row| NodeImage {
                    name: row.name.to_owned(),
                    digest: row.digest.to_owned(),
                    bytes: row.bytes,
                    id: ctr::label(row.labels, ID_LABEL).unwrap_or_default().to_owned(),
                }));
            }
            "containers" => stock.used.extend(ctr::container(line).map(str::to_owned)),
            "blobs" => stock.blobs.extend(ctr::blob(line).map(str::to_owned)),
            _ => {}
        }
    }
    stock
}
