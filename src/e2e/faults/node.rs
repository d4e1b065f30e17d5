//! Signals to the processes of a pod's container, from within its node.
//!
//! `ctr` is in every node image. Processes are stopped by SIGSTOP and not by the cgroup's freezer: it works with both
//! versions of cgroups, and a stopped process can still be killed.

use crate::container::Engine;
use crate::diag::{Failure, Reason, Result};

/// `$1` is the container's id, `$2` what is done. The last line of what it says is what was seen.
const SCRIPT: &str = r#"
id=$1
pids() {
  ctr -n k8s.io tasks ps "$id" | while read -r pid rest; do
    case $pid in ''|*[!0-9]*) ;; *) echo "$pid" ;; esac
  done
}
# T and t: stopped; Z and X: ended, and only not yet taken notice of
state() { s=$(cat "/proc/$1/stat" 2>/dev/null) || { echo X; return; }; s=${s##*) }; echo "${s%% *}"; }
case $2 in
kill)
  ctr -n k8s.io tasks kill -s SIGKILL "$id" || exit 1
  n=0
  while ctr -n k8s.io tasks ls | grep "^$id " | grep -q RUNNING; do
    n=$((n + 1)); [ $n -lt 100 ] || { echo "still runs" >&2; exit 1; }
    sleep 0.05
  done
  echo gone
  ;;
stop)
  n=0
  while :; do
    all=$(pids); count=0; running=
    [ -n "$all" ] || { echo "no process" >&2; exit 1; }
    for pid in $all; do
      kill -STOP "$pid" 2>/dev/null
      count=$((count + 1))
      case $(state "$pid") in T|t|Z|X) ;; *) running="$running $pid" ;; esac
    done
    # one that was made meanwhile is seen by a second look
    [ -z "$running" ] && [ "$all" = "$(pids)" ] && break
    n=$((n + 1)); [ $n -lt 100 ] || { echo "still run:$running" >&2; exit 1; }
    sleep 0.05
  done
  echo $count
  ;;
cont)
  n=0
  while :; do
    all=$(pids 2>/dev/null); stopped=
    [ -n "$all" ] || { echo "is not there any more"; exit 0; }
    for pid in $all; do
      kill -CONT "$pid" 2>/dev/null
      case $(state "$pid") in T) stopped="$stopped $pid" ;; esac
    done
    [ -z "$stopped" ] && break
    n=$((n + 1)); [ $n -lt 100 ] || { echo "still stand:$stopped" >&2; exit 1; }
    sleep 0.05
  done
  echo "goes on"
  ;;
esac
"#;

async fn run(engine: &Engine, node: &str, container: &str, what: &str) -> Result<String> {
    let output = engine
        .exec(node, &["sh", "-c", SCRIPT, "sh", container, what], None, true)
        .await?;
    let said = output.success(&format!("{what} a container of {node}"))?;
    Ok(said.lines().last().unwrap_or_default().trim().to_owned())
}

/// Ends the container's processes by SIGKILL; returns once containerd runs them no more.
///
/// # Errors
/// [`Reason::ToolFailed`] if they still run; [`Reason::EngineError`].
pub(super) async fn kill(engine: &Engine, node: &str, container: &str) -> Result<()> {
    run(engine, node, container, "kill").await.map(|_| ())
}

/// Stops them; returns how many, once each was seen to stand still.
///
/// # Errors
/// As [`kill`].
pub(super) async fn stop(engine: &Engine, node: &str, container: &str) -> Result<u32> {
    let said = run(engine, node, container, "stop").await?;
    said.parse().map_err(|_| {
        Failure::new(
            Reason::ToolFailed,
            "the node did not tell how many processes it stopped",
        )
        .evidence(said)
    })
}

/// Lets them go on; a container that is not there is fine. Returns what was seen.
///
/// # Errors
/// As [`kill`].
pub(super) async fn go_on(engine: &Engine, node: &str, container: &str) -> Result<String> {
    run(engine, node, container, "cont").await
}
