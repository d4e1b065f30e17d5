//! A node's containerd, by scripts in the node: what it has, and how it is given layers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::ctr;
use super::layout::Image;
use crate::container::{Engine, ExecOutput};
use crate::diag::{Failure, Reason, Result};
use crate::engine::StepCx;
use crate::image::bounds::{LOOKING, TAKING, within};

/// Label of an image in the node: its id in the engine. It is given last, when all of the image is there.
pub(in crate::image) const ID_LABEL: &str = "dev.flink/image-id";

/// How long a node's container may take to run; its containerd gets the same again.
const BOOT: Duration = Duration::from_secs(120);

/// How a node tells that its containerd did not come up.
const NO_CONTAINERD: i64 = 45;

/// Waits for containerd, then tells: snapshotter and root folder, snapshots, blobs, images. `$1`: tenths of seconds
/// to wait. A `ctr` that answers in vain costs 30 ms.
const STATE: &str = r#"
i=0
until ctr version >/dev/null 2>&1; do
  i=$((i + 1)); [ $i -lt "$1" ] || { systemctl status --no-pager containerd >&2 2>&1; exit 45; }
  sleep 0.1
done
config=$(containerd config dump 2>/dev/null)
echo "== config"; printf '%s\n' "$config"
echo "== snapshots"
s=$(printf '%s\n' "$config" | sed -n "s/^ *snapshotter = [\"']\(.*\)[\"'].*/\1/p" | head -n 1)
ctr -n k8s.io snapshots --snapshotter "${s:-overlayfs}" ls
echo "== blobs"; ctr -n k8s.io content ls -q
echo "== mounted"; ls /flink-dev/blobs 2>/dev/null; exit 0
"#;

/// Where the node of a cluster of ours has this machine's cache of layers, read-only, if it can see it.
pub const MOUNTED_BLOBS: &str = "/flink-dev/blobs";

/// Tells of the images named by `$@`.
const IMAGES: &str = r#"
for n in "$@"; do shift; set -- "$@" "name==$n"; done
echo "== images"; ctr -n k8s.io images ls "$@"
echo "== check"; ctr -n k8s.io images check "$@"
"#;

/// Takes layers and manifests from standard input, a line for each thing to do, followed by its bytes:
///   file NAME SIZE     a file
///   stage NAME         manifests from a file, under staging names: from now on their layers are referenced
///   layer DIGEST SIZE  a layer: laid into containerd's store as a file, then registered without being copied
///   mounted DIGEST SIZE a layer that the node can read itself, in this machine's cache: a link to it is laid into
///                      the store, and not a byte travels
///   wait               until all that was begun has ended
///   unpack DIGEST…     manifests, one after the other, beside all else
///   name STAGE NAME ID an image gets its name, then its label
///   drop STAGE         a staging name goes
///   end
/// Without `end` everything staged goes again. `$1`: containerd's root folder, `$2`: its snapshotter.
const TAKE: &str = r#"
root=$1 snapshotter=$2 laid=
store=$root/io.containerd.content.v1.content/blobs/sha256 work=$root/.flink-dev-load
[ -d "$store" ] || { echo "containerd has no store at $store" >&2; exit 44; }
c() { ctr -n k8s.io "$@"; }
unstage() { for n in $(c images ls -q | grep '^flink-dev\.load/'); do c images rm "$n" >/dev/null 2>&1; done; }
# one at a time: another one's staging names would be taken for leftovers
exec 9>/run/flink-dev-load.lock
flock -w 300 9 || { echo "another load runs in this node" >&2; exit 46; }
unstage
rm -rf "$work"; mkdir "$work"; cd "$work" || exit 44
trap 'wait; unstage; cd /; rm -rf "$work"' EXIT
take() {
  dd of="$1" bs=1M count="$2" iflag=fullblock,count_bytes status=none
  [ "$(stat -c %s "$1")" = "$2" ] || { echo "the stream ended within $1" >&2; exit 47; }
}
# containerd believes a file's name: bytes that were wrong must not stay for the next one to find
settle() {
  wait
  [ -s failed ] || return 0
  cat failed >&2
  for d in $laid; do c content rm "sha256:$d" >/dev/null 2>&1; rm -f "$store/$d"; done
  exit 48
}
register() {
  ln "$1" "$store/" 2>/dev/null
  c content ingest --expected-digest "sha256:$1" --expected-size "$2" "flink-dev-$1" <"$1" >"log-$1" 2>&1 ||
    { echo "layer $1:"; cat "log-$1"; } >>failed
  rm -f "$1"
}
lend() {
  ln -sf "/flink-dev/blobs/$1" "$store/$1"
  c content ingest --expected-digest "sha256:$1" --expected-size "$2" "flink-dev-$1" <"/flink-dev/blobs/$1" >"log-$1" 2>&1 ||
    { echo "layer $1:"; cat "log-$1"; } >>failed
}
unpack() {
  for d in "$@"; do
    c snapshots --snapshotter "$snapshotter" unpack "$d" >"log-$d" 2>&1 || { echo "unpack $d:"; cat "log-$d"; } >>failed
  done
}
while read -r verb a b d; do
  case $verb in
    file) take "$a" "$b" ;;
    stage) c images import --no-unpack "$a" >log 2>&1 || { cat log >&2; exit 48; } ;;
    layer) take "$a" "$b"; laid="$laid $a"; register "$a" "$b" & ;;
    mounted) laid="$laid $a"; lend "$a" "$b" & ;;
    wait) settle ;;
    unpack) unpack $a $b $d & ;;
    name) { c images tag --force "$a" "$b" && c images label "$b" "dev.flink/image-id=$d"; } >log 2>&1 || { cat log >&2; exit 48; } ;;
    drop) c images rm "$a" >/dev/null ;;
    end) settle; exit 0 ;;
    *) echo "not understood: $verb" >&2; exit 49 ;;
  esac
done
echo "the stream ended before its end" >&2
exit 47
"#;

/// What a node has.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) snapshotter: String,
    pub(super) root: String,
    /// ChainIDs of unpacked layers.
    pub(super) chains: BTreeSet<String>,
    /// Digests in hex of all blobs.
    pub(super) blobs: BTreeSet<String>,
    /// Digests in hex of the layers that the node can read in this machine's cache.
    pub(super) mounted: BTreeSet<String>,
}

/// What a node knows of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    /// Its id in the engine when it was loaded.
    pub(super) id: String,
    /// Digest of its manifest.
    pub(super) digest: String,
    /// Whether all of it is there and unpacked.
    pub(super) complete: bool,
}

/// Waits for the node and its containerd, and asks what they have.
pub(super) async fn state(engine: &Engine, node: &str, cx: &StepCx) -> Result<State> {
    let tenths = (BOOT.as_secs() * 10).to_string();
    let asked = async {
        loop {
            match engine
                .exec(node, &["sh", "-c", STATE, "sh", &tenths], None, false)
                .await
            {
                Ok(output) => return Ok(output),
                Err(failure) => {
                    let running = engine.container(node).await?.is_some_and(|c| c.running);
                    if running && failure.id() != Reason::EngineError {
                        return Err(failure);
                    }
                    cx.waiting(if running {
                        failure.to_string()
                    } else {
                        format!("the node {node} does not run yet")
                    });
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let output: ExecOutput = tokio::time::timeout(2 * BOOT, asked).await.map_err(|_| {
        Failure::new(Reason::ImageLoadFailed, format!("the node {node} did not come up")).evidence(cx.last_reason())
    })??;
    match output.code {
        0 => Ok(parse_state(&output.stdout)),
        NO_CONTAINERD => Err(
            Failure::new(Reason::ImageLoadFailed, format!("containerd of {node} did not come up"))
                .evidence(crate::process::tail(&output.stderr, 15)),
        ),
        _ => Err(Failure::new(
            Reason::ImageLoadFailed,
            format!("the node {node} does not tell what images it has"),
        )
        .evidence(crate::process::tail(&output.stderr, 15))),
    }
}

/// What the node knows of images, by their full names; absent ones are left out.
pub(super) async fn known(engine: &Engine, node: &str, names: &[String]) -> Result<BTreeMap<String, Known>> {
    let mut command = vec!["sh", "-c", IMAGES, "sh"];
    command.extend(names.iter().map(String::as_str));
    let asked = engine.exec(node, &command, None, false);
    let output = within(LOOKING, node, "tell what images it has", asked).await?;
    Ok(parse_known(&ctr::told(node, output)?))
}

/// Runs the script that takes layers, with its input.
pub(super) async fn take(engine: &Engine, node: &str, state: &State, input: crate::container::Stdin) -> Result<()> {
    let command = ["sh", "-c", TAKE, "sh", &state.root, &state.snapshotter];
    let output = within(
        TAKING,
        node,
        "take layers",
        engine.exec(node, &command, Some(input), true),
    )
    .await?;
    if output.code == 0 {
        return Ok(());
    }
    Err(Failure::new(
        Reason::ImageLoadFailed,
        format!("{node} did not take the images (code {})", output.code),
    )
    .evidence(crate::process::tail(&output.stderr, 15)))
}

/// The usual way: the whole archive through `ctr`, then the labels.
pub(super) async fn import(
    engine: &Engine,
    node: &str,
    state: &State,
    images: &[(String, String, String)],
) -> Result<()> {
    let names: Vec<String> = images.iter().map(|(name, ..)| name.clone()).collect();
    // without --all-platforms: an archive may name platforms whose layers it does not hold
    let command = [
        "ctr",
        "-n",
        "k8s.io",
        "images",
        "import",
        "--snapshotter",
        &state.snapshotter,
        "-",
    ];
    let handed = engine.exec(node, &command, Some(Box::pin(engine.export(&names))), true);
    let output = within(TAKING, node, "take an archive", handed).await?;
    if output.code != 0 {
        return Err(Failure::new(
            Reason::ImageLoadFailed,
            format!("{node} could not import {}", names.join(", ")),
        )
        .evidence(crate::process::tail(&output.stderr, 15)));
    }
    for (_, reference, id) in images {
        let label = format!("{ID_LABEL}={id}");
        let command = ["ctr", "-n", "k8s.io", "images", "label", reference, &label];
        let labelled = engine.exec(node, &command, None, false);
        within(LOOKING, node, "label an image", labelled)
            .await?
            .success("ctr images label")?;
    }
    Ok(())
}

fn parse_state(text: &str) -> State {
    let mut state = State {
        snapshotter: String::new(),
        root: String::new(),
        ..State::default()
    };
    for (section, line) in ctr::lines(text) {
        match section {
            "config" => {
                let value = line
                    .split_once(" = ")
                    .map(|(_, value)| value.trim().trim_matches(['"', '\'']).to_owned());
                let (key, value) = (
                    line.split_whitespace().next().unwrap_or_default(),
                    value.unwrap_or_default(),
                );
                if key == "snapshotter" && state.snapshotter.is_empty() {
                    state.snapshotter = value;
                } else if line.starts_with("root = ") && state.root.is_empty() {
                    state.root = value;
                }
            }
            "snapshots" => state.chains.extend(ctr::committed(line).map(str::to_owned)),
            "blobs" => state.blobs.extend(ctr::blob(line).map(str::to_owned)),
            "mounted" => {
                state.mounted.insert(line.trim().to_owned());
            }
            _ => {}
        }
    }
    if state.snapshotter.is_empty() {
        state.snapshotter = "overlayfs".to_owned();
    }
    if state.root.is_empty() {
        state.root = "/var/lib/containerd".to_owned();
    }
    state
}

/// Reads `ctr images ls` and `ctr images check`.
fn parse_known(text: &str) -> BTreeMap<String, Known> {
    let mut all: BTreeMap<String, Known> = BTreeMap::new();
    for (section, line) in ctr::lines(text) {
        if section == "images" {
            let Some(row) = ctr::image(line) else { continue };
            let known = Known {
                id: ctr::label(row.labels, ID_LABEL).unwrap_or_default().to_owned(),
                digest: row.digest.to_owned(),
                complete: false,
            };
            all.insert(row.name.to_owned(), known);
        } else if let Some(row) = ctr::check(line)
            && let Some(known) = all.get_mut(row.name)
        {
            known.complete = row.complete && row.unpacked;
        }
    }
    all
}

/// Names of those that the node lacks: not there under this name, from another image, or not complete.
pub(super) fn lacking<'a>(
    known: &BTreeMap<String, Known>,
    images: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Vec<&'a str> {
    let lacks = |(name, id): &(&str, &str)| !known.get(*name).is_some_and(|known| known.complete && known.id == *id);
    images.into_iter().filter(lacks).map(|(name, _)| name).collect()
}

/// What of `images` the node does not have after all, with what it says instead.
pub(super) fn unverified(known: &BTreeMap<String, Known>, images: &[Image], digests: &[String]) -> Vec<String> {
    images
        .iter()
        .zip(digests)
        .filter_map(|(image, digest)| match known.get(&image.reference) {
            Some(known) if known.complete && known.id == image.id && known.digest == *digest => None,
            Some(known) => Some(format!("{}: {known:?}", image.reference)),
            None => Some(format!("{}: absent", image.reference)),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nodes_state_is_read() {
        let text = "== config\nroot = \"/var/lib/containerd\"\n[x]\n    root = \"/no\"\n      snapshotter = \"native\"\n\
                    snapshotter = \"overlayfs\"\n== snapshots\nKEY PARENT KIND\nsha256:a           Committed\n\
                    sha256:b sha256:a Committed\npod sha256:b Active\n== blobs\nsha256:1\nsha256:2\n";
        let state = parse_state(text);
        assert_eq!(
            (state.snapshotter.as_str(), state.root.as_str()),
            ("native", "/var/lib/containerd")
        );
        assert_eq!(
            state.chains,
            BTreeSet::from(["sha256:a".to_owned(), "sha256:b".to_owned()])
        );
        assert_eq!(state.blobs, BTreeSet::from(["1".to_owned(), "2".to_owned()]));
        // a dump that says nothing leaves containerd's own defaults
        assert_eq!(parse_state("").root, "/var/lib/containerd");
    }

    #[test]
    fn an_image_counts_only_when_it_is_whole_and_from_the_same_id() {
        let text = "== images\nREF TYPE DIGEST SIZE PLATFORMS LABELS\n\
            r/a:1 application/x sha256:aa 1.0 MiB linux/amd64 dev.flink/image-id=sha256:1,io.cri-containerd.image=managed\n\
            r/b:1 application/x sha256:bb 1.0 MiB linux/amd64 io.cri-containerd.image=managed\n\
            r/c:1 application/x sha256:cc 1.0 MiB linux/amd64 dev.flink/image-id=sha256:3\n\
            == check\nREF TYPE DIGEST STATUS SIZE UNPACKED\n\
            r/a:1 application/x sha256:aa complete (2/2) 1.0 MiB/1.0 MiB true\n\
            r/b:1 application/x sha256:bb complete (2/2) 1.0 MiB/1.0 MiB true\n\
            r/c:1 application/x sha256:cc incomplete (1/2) 1.0 MiB/2.0 MiB true\n";
        let known = parse_known(text);
        assert_eq!(
            known["r/a:1"],
            Known {
                id: "sha256:1".into(),
                digest: "sha256:aa".into(),
                complete: true
            }
        );
        let asked = [
            ("r/a:1", "sha256:1"),
            ("r/b:1", "sha256:2"),
            ("r/c:1", "sha256:3"),
            ("r/d:1", "sha256:4"),
        ];
        assert_eq!(lacking(&known, asked), ["r/b:1", "r/c:1", "r/d:1"]);
        assert_eq!(lacking(&known, [("r/a:1", "sha256:9")]), ["r/a:1"]);
    }
}
