//! One program in the node that is talked with: what it is told next depends on what it answered, and starting it once
//! costs as much as three calls of `ctr`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};

use super::APP_LABEL;
use crate::container::{Engine, ExecSession};
use crate::diag::{Failure, Reason, Result};
use crate::image::bounds::{LOOKING, within};
use crate::image::containerd::SETTINGS;
use crate::image::load::{LOADED_BY, ctr};

/// Reads a line for each thing to do and ends each answer with `== end CODE`:
///   state NAME ID       what is there under these two names; unpacked layers; free space; architecture
///   import SIZE APP     an archive of that many bytes, which follow; and what is there beside it: all names, those
///                       that are labelled as builds of the application, and what containers use
///   others APP          the same without an archive
///   marked NAME…        which of these were loaded by `dev`, by the mark in their manifests
///   seen NAME ID        the two names again, and whether what is under them is unpacked
///   label NAME KEY=VALUE…, remove NAME…   begun at once, side by side; the next answer waits for them
/// It holds the lock of all loads into this node. `$1`: seconds to wait for it; `$2`: the label's key; `$3`: the mark.
const TALK: &str = r#"
set -f
command -v ctr >/dev/null && command -v flock >/dev/null || { echo "this node has no ctr or no flock" >&2; exit 44; }
exec 9>/run/flink-dev-load.lock
label=$2 mark=$3
flock -w "$1" 9 || { echo "another load runs in this node" >&2; exit 46; }
"#;

/// The rest of it, after containerd's settings.
const REST: &str = r#"
t=/run/flink-dev-app w=$root/.flink-dev-app
rm -rf $t "$w"; mkdir $t || exit 44
trap 'rm -rf $t "$w"' EXIT
c() { ctr -n k8s.io "$@"; }
end() {
  r=$1
  [ -z "$lp" ] || wait $lp || r=$?
  [ -z "$rp" ] || wait $rp || r=$?
  lp= rp=
  echo "== log"; cat $t/e1 $t/e2 $t/e3 $t/e4 $t/e5 $t/e6 2>/dev/null; rm -f $t/e1 $t/e2 $t/e3 $t/e4 $t/e5 $t/e6
  echo "== end $r"
}
others() {
  c containers ls >$t/c 2>$t/e3 & o=$!
  c images ls -q "labels.\"$label\"==$1" >$t/l 2>$t/e6 & l=$!
  c images ls -q >$t/q 2>$t/e2; r=$?
  wait $o || r=$?
  wait $l || r=$?
  return $r
}
told() { echo "== names"; cat $t/q; echo "== ours"; cat $t/l; echo "== containers"; cat $t/c; }
lp= rp=
while read -r verb a b d; do
  case $verb in
    state)
      c images ls "name==$a" "name==$b" >$t/i 2>$t/e1 & p=$!
      echo "== snapshots"; c snapshots --snapshotter "$snapshotter" ls 2>$t/e2; r=$?
      echo "== free"; df -Pk "$root" | tail -n 1; echo "== machine"; uname -m
      wait $p || r=$?
      echo "== images"; cat $t/i
      end $r ;;
    import)
      mkdir -p "$w"
      head -c "$a" >"$w/tar" 2>$t/e1; r=$?
      if [ $r != 0 ]; then head -c $((a - $(wc -c <"$w/tar"))) >/dev/null
      elif [ "$(wc -c <"$w/tar")" != "$a" ]; then echo "the stream ended within the image" >&2; exit 47
      else
        # containerd waits for its disk: there is time to look
        others "$b" &
        p=$!
        c images import --snapshotter "$snapshotter" "$w/tar" >$t/e1 2>&1; r=$?
        wait $p || r=$?
      fi
      rm -rf "$w"
      told
      end $r ;;
    others) others "$a"; r=$?; told; end $r ;;
    marked)
      echo "== ours"
      for name in $a $b $d; do
        c images ls "name==$name" 2>$t/e1 | { read -r head; read -r name type digest rest; c content get "$digest"; } 2>/dev/null |
          grep -q -e "$mark" && echo "$name"
      done
      end 0 ;;
    seen)
      c images check --snapshotter "$snapshotter" "name==$a" "name==$b" >$t/i 2>$t/e1; r=$?
      echo "== check"; cat $t/i
      end $r ;;
    label) c images label $a $b $d >/dev/null 2>$t/e4 & lp=$! ;;
    remove) c images rm $a $b $d >/dev/null 2>$t/e5 & rp=$! ;;
    settle) end 0 ;;
    *) echo "not understood: $verb" >&2; exit 49 ;;
  esac
done
"#;

/// How long another load may hold the node, in seconds.
const WAIT: &str = "300";

/// How long an answer may take: another load is waited for, and gigabytes take their time.
const ANSWER: Duration = Duration::from_secs(1800);

/// What the node answers.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// Digest of the manifest by name, of the two names that were asked for.
    pub(super) images: BTreeMap<String, String>,
    /// Digest of the manifest by name, of those that are unpacked.
    pub(super) unpacked: BTreeMap<String, String>,
    /// Their labels, in the form of `ctr`.
    pub(super) labels: BTreeMap<String, String>,
    /// ChainIDs of unpacked layers.
    pub(super) chains: BTreeSet<String>,
    /// Free space for images in bytes.
    pub(super) free: Option<u64>,
    /// Architecture in OCI's names.
    pub(super) architecture: String,
    /// All names.
    pub(super) names: BTreeSet<String>,
    /// Names of builds of the application, by their label or their mark.
    pub(super) ours: BTreeSet<String>,
    /// Names of images that containers use.
    pub(super) used: BTreeSet<String>,
    /// What the programs had to say.
    pub(super) log: String,
    /// 0 if all went well.
    pub(super) code: i32,
}

/// The talk with a node.
#[derive(Debug)]
pub(super) struct Session {
    exec: ExecSession,
    node: String,
}

impl Session {
    /// Begins; from now on no other load changes the node's images.
    ///
    /// # Errors
    /// What the engine answers.
    pub(super) async fn open(engine: &Engine, node: &str) -> Result<Self> {
        let mark = format!("\"{LOADED_BY}\":\"dev\"");
        let script = format!("{TALK}{SETTINGS}{REST}");
        let command = ["sh", "-c", script.as_str(), "sh", WAIT, APP_LABEL, &mark];
        let exec = engine.exec_session(node, &command, true);
        let exec = within(LOOKING, node, "start a shell", exec).await?;
        Ok(Self {
            exec,
            node: node.to_owned(),
        })
    }

    /// Tells the node what to do, and waits for its answer.
    ///
    /// # Errors
    /// [`Reason::ImageLoadFailed`] with the node's words if it ended instead.
    pub(super) async fn ask(&mut self, lines: &str) -> Result<Answer> {
        self.exec.send(format!("{lines}\n").as_bytes()).await;
        self.answer().await
    }

    /// Hands an archive of a build of `app` over, and waits for what comes of it.
    ///
    /// # Errors
    /// As [`Self::ask`]; [`Reason::FileUnreadable`] if the archive cannot be read.
    pub(super) async fn import(&mut self, archive: impl AsyncRead, size: u64, app: &str) -> Result<Answer> {
        self.exec.send(format!("import {size} {app}\n").as_bytes()).await;
        tokio::pin!(archive);
        let mut buffer = vec![0; 1 << 18];
        loop {
            let length = archive
                .read(&mut buffer)
                .await
                .map_err(|e| Failure::new(Reason::FileUnreadable, "a layer cannot be read").cause(&e))?;
            if length == 0 {
                break;
            }
            self.exec.send(&buffer[..length]).await;
        }
        self.answer().await
    }

    async fn answer(&mut self) -> Result<Answer> {
        let told = self.exec.until("== end");
        match within(ANSWER, &self.node, "answer", told).await? {
            Some((text, code)) => Ok(Answer {
                code: code.parse().unwrap_or(-1),
                ..parse(&text)
            }),
            None => Err(
                Failure::new(Reason::ImageLoadFailed, format!("{} stopped to answer", self.node))
                    .evidence(self.exec.said()),
            ),
        }
    }

    /// Ends; the node is free for others when this returns.
    ///
    /// # Errors
    /// [`Reason::ImageLoadFailed`] if the program did not end well.
    pub(super) async fn close(self) -> Result<()> {
        let output = within(LOOKING, &self.node, "end a load", self.exec.finish()).await?;
        if output.code == 0 {
            return Ok(());
        }
        Err(Failure::new(
            Reason::ImageLoadFailed,
            format!("the load into {} ended with code {}", self.node, output.code),
        )
        .evidence(output.stderr))
    }
}

fn parse(text: &str) -> Answer {
    let mut answer = Answer::default();
    for (section, line) in ctr::lines(text) {
        let mut words = line.split_whitespace();
        match section {
            "images" => {
                if let Some(row) = ctr::image(line) {
                    answer.images.insert(row.name.to_owned(), row.digest.to_owned());
                    answer.labels.insert(row.name.to_owned(), row.labels.to_owned());
                }
            }
            "snapshots" => answer.chains.extend(ctr::committed(line).map(str::to_owned)),
            "check" => {
                if let Some(row) = ctr::check(line).filter(|row| row.unpacked) {
                    answer.unpacked.insert(row.name.to_owned(), row.digest.to_owned());
                }
            }
            "free" => {
                let kib = words.nth(3).and_then(|kib| kib.parse::<u64>().ok());
                answer.free = kib.map(|kib| kib * 1024);
            }
            "machine" => answer.architecture = architecture(line.trim()).to_owned(),
            "names" => answer.names.extend(words.next().map(str::to_owned)),
            "ours" => answer.ours.extend(words.next().map(str::to_owned)),
            "containers" => answer.used.extend(ctr::container(line).map(str::to_owned)),
            "log" => {
                answer.log.push_str(line);
                answer.log.push('\n');
            }
            _ => {}
        }
    }
    answer
}

/// The kernel's name of an architecture in OCI's names.
fn architecture(machine: &str) -> &str {
    match machine {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "armv7l" | "armv6l" => "arm",
        "i686" | "i386" => "386",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        let text = "== snapshots\nKEY PARENT KIND\nsha256:c1     Committed\nsha256:c2 sha256:c1 Committed\npod sha256:c2 Active\n\
            == free\n/dev/vda 264212084 49848132 45653132 53% /var\n== machine\nx86_64\n\
            == images\nREF TYPE DIGEST SIZE PLATFORMS LABELS\n\
            h/a:1 application/x sha256:d1 1.0 MiB linux/amd64 dev.flink/image-id=sha256:i1,x=y\n\
            sha256:i1 application/x sha256:d1 1.0 MiB linux/amd64 io.cri-containerd.image=managed\n\
            == check\nREF TYPE DIGEST STATUS SIZE UNPACKED\nh/a:1 application/x sha256:d1 complete (2/2) 1.0 MiB/1.0 MiB true\n\
            sha256:i1 application/x sha256:d1 incomplete (1/2) 1.0 MiB/2.0 MiB false\n\
            == names\nh/a:1\nsha256:i1\n== ours\nh/a:1\n== containers\nCONTAINER IMAGE RUNTIME\n012 h/a:0 io.containerd.runc.v2\n\
            == log\nctr: no space left on device\n";
        let answer = parse(text);
        let set = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(answer.chains, set(&["sha256:c1", "sha256:c2"]));
        assert_eq!(answer.images["h/a:1"], "sha256:d1");
        assert_eq!(answer.images["sha256:i1"], "sha256:d1");
        assert_eq!(
            answer.unpacked,
            BTreeMap::from([("h/a:1".to_owned(), "sha256:d1".to_owned())])
        );
        assert_eq!(answer.labels["h/a:1"], "dev.flink/image-id=sha256:i1,x=y");
        assert_eq!(
            (answer.free, answer.architecture.as_str()),
            (Some(45_653_132 * 1024), "amd64")
        );
        assert_eq!(answer.names, set(&["h/a:1", "sha256:i1"]));
        assert!(answer.used.contains("h/a:0"));
        assert_eq!(answer.ours, set(&["h/a:1"]));
        assert!(answer.log.contains("no space left"));
    }
}
