//! `dev job verify`.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use super::args::Where;
use crate::cli::session::Session;
use crate::cli::values::duration;
use crate::diag::Result;
use crate::event::{EventKind, EventSink};
use crate::job::verify::{self, Count, Moment, Proof, Recovered, Redeploy, Redeployed, Role, Trial};
use crate::job::{self, Managed, Stage};

/// `dev job verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// What is to be proved.
    #[command(subcommand)]
    pub what: What,
}

/// What is to be proved.
#[derive(Debug, Subcommand)]
pub enum What {
    /// That a job recovers from its latest checkpoint: a process under it is killed
    #[command(
        after_help = "The job's checkpoints have to be on, and one of them complete. The pod of a TaskManager that runs its tasks is\ndeleted at once; then the same job has to run again, restored from that checkpoint or a newer one. Other jobs on\nthe same TaskManager are restarted, too.\n\nWithout NAME, a job of its own counts numbers that go in all the while: each has to come out once, committed, and\nthe count, which is the job's state, has to go on. Nothing of it stays.\n\nEnds with 0 if it holds, 3 if it does not.\n\nExamples:\n  dev job verify checkpoint orders\n  dev job verify checkpoint\n  dev job verify checkpoint orders --kill jobmanager    needs high availability\n  dev job verify checkpoint -o json | tail -1 | jq '.recovered.after.restored, .count'"
    )]
    Checkpoint {
        /// The job [default: a counting job of its own]
        name: Option<String>,
        /// Which process is killed
        #[arg(long, value_name = "WHICH", default_value = "taskmanager")]
        kill: Kill,
        #[command(flatten)]
        /// How.
        how: HowLong,
    },
    /// That a job goes on from a savepoint: one is taken, and the job is deployed again from it
    #[command(
        after_help = "The job's upgrade mode has to keep its state. The job is deployed again by `initialSavepointPath` and\n`savepointRedeployNonce`, which are put back afterwards; Flink has to tell that its state came from that savepoint.\nThe savepoint stays.\n\nWithout NAME, a job of its own counts numbers before and afterwards: each has to come out once, and the count has\nto go on. Nothing of it stays.\n\nEnds with 0 if it holds, 3 if it does not.\n\nExamples:\n  dev job verify savepoint orders\n  dev job verify savepoint\n  dev job verify savepoint orders --path s3://bucket/savepoints"
    )]
    Savepoint {
        /// The job [default: a counting job of its own]
        name: Option<String>,
        /// Where the savepoint goes, if not where the cluster keeps its savepoints
        #[arg(long, value_name = "URI")]
        path: Option<String>,
        /// Drop the state on purpose: the proof has to fail
        #[arg(long, hide = true, conflicts_with = "name")]
        drop_state: bool,
        #[command(flatten)]
        /// How.
        how: HowLong,
    },
}

/// Which process is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kill {
    /// One that runs tasks of the job
    Taskmanager,
    /// The one that holds the job
    Jobmanager,
}

impl From<Kill> for Role {
    fn from(kill: Kill) -> Self {
        match kill {
            Kill::Taskmanager => Self::TaskManager,
            Kill::Jobmanager => Self::JobManager,
        }
    }
}

/// Where, and for how long.
#[derive(Debug, Args)]
pub struct HowLong {
    /// How long each part may take
    #[arg(long, value_name = "DURATION", default_value = "120s", value_parser = duration)]
    pub within: Duration,
    /// Between two checkpoints of the counting job
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration, conflicts_with = "name")]
    pub interval: Duration,
    #[command(flatten)]
    /// The environment.
    pub place: Where,
}

/// What was proved, with the facts that it rests on.
#[derive(Debug, Serialize)]
struct Proved {
    v: u32,
    /// `checkpoint` or `savepoint`.
    verified: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    recovered: Option<Recovered>,
    #[serde(skip_serializing_if = "Option::is_none")]
    redeployed: Option<Redeployed>,
    /// Of the counting job.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<Count>,
}

pub(super) async fn run(session: &Session, args: &VerifyArgs) -> Result<ExitCode> {
    let (What::Checkpoint { how, .. } | What::Savepoint { how, .. }) = &args.what;
    let place = super::place(session, &how.place).await?;
    let (events, rendering) = session.render();
    let result = prove(session, &place, &args.what, &events).await;
    events.emit(EventKind::RunFinished {
        ok: result.is_ok(),
        summary: match &result {
            Ok(proved) => summary(proved),
            Err(failure) => failure.to_string(),
        },
    });
    drop(events);
    rendering.finish().await;
    let proved = result?;
    session.result(&facts(&proved), &proved);
    Ok(ExitCode::SUCCESS)
}

async fn prove(session: &Session, place: &job::Place, what: &What, events: &EventSink) -> Result<Proved> {
    let cancel = &session.cancel;
    let trial = |how: &HowLong| Trial {
        interval: how.interval,
        within: how.within,
    };
    Ok(match what {
        What::Checkpoint { name: None, kill, how } => {
            let (recovered, count) =
                verify::counted_checkpoint(place, (*kill).into(), trial(how), events, cancel).await?;
            Proved::recovered(recovered, Some(count))
        }
        What::Checkpoint {
            name: Some(name),
            kill,
            how,
        } => {
            let job = Managed::find(place, name).await?;
            let role = Role::from(*kill);
            let title = format!("kill a {} under {name}", role.name());
            let stage = Stage::start(events, cancel, "verify", title);
            let cx = stage.cx().clone();
            let work = verify::checkpoint(&job, role, Proof::begin(how.within, &cx));
            let recovered = stage.run(work, |_| "the same job runs again".to_owned()).await?;
            Proved::recovered(recovered, None)
        }
        What::Savepoint {
            name: None,
            path,
            drop_state,
            how,
        } => {
            let redeploy = if *drop_state {
                Redeploy::Dropped
            } else {
                Redeploy::FromIt
            };
            let path = path.as_deref();
            let (redeployed, count) =
                verify::counted_savepoint(place, path, redeploy, trial(how), events, cancel).await?;
            Proved::redeployed(redeployed, Some(count))
        }
        What::Savepoint {
            name: Some(name),
            path,
            how,
            ..
        } => {
            let job = Managed::find(place, name).await?;
            let title = format!("deploy {name} again from a savepoint");
            let stage = Stage::start(events, cancel, "verify", title);
            let cx = stage.cx().clone();
            let work = verify::savepoint(&job, path.as_deref(), Redeploy::FromIt, Proof::begin(how.within, &cx));
            let redeployed = stage.run(work, |_| "it runs from the savepoint".to_owned()).await?;
            Proved::redeployed(redeployed, None)
        }
    })
}

impl Proved {
    fn recovered(recovered: Recovered, count: Option<Count>) -> Self {
        Self {
            v: 1,
            verified: "checkpoint",
            recovered: Some(recovered),
            redeployed: None,
            count,
        }
    }

    fn redeployed(redeployed: Redeployed, count: Option<Count>) -> Self {
        Self {
            v: 1,
            verified: "savepoint",
            recovered: None,
            redeployed: Some(redeployed),
            count,
        }
    }
}

fn summary(proved: &Proved) -> String {
    match (&proved.recovered, &proved.redeployed) {
        (Some(r), _) => format!("{} recovers from its latest checkpoint", r.job),
        (_, Some(r)) => format!("{} goes on from its savepoint", r.job),
        _ => String::new(),
    }
}

/// The facts that a proof rests on, for people.
fn facts(proved: &Proved) -> String {
    let mut rows = Vec::new();
    let mut row = |name: &str, value: String| rows.push(format!("  {name:14} {value}"));
    if let Some(r) = &proved.recovered {
        row("job id", format!("{}, before and afterwards", r.after.job_id));
        row(
            "killed",
            format!("{} {} (uid {})", r.killed.role.name(), r.killed.pod, r.killed.uid),
        );
        row(
            "before",
            format!(
                "checkpoint {} complete, one every {} s{}",
                r.before.checkpoint,
                r.interval_ms as f64 / 1000.0,
                at(&r.before.checkpoint_path)
            ),
        );
        row("restored", restored(&r.after));
        row(
            "restarts",
            format!("{} before, {} afterwards", r.before.restarts, r.after.restarts),
        );
        row("RUNNING again", format!("after {:.1} s", r.seconds));
    }
    if let Some(r) = &proved.redeployed {
        row(
            "job id",
            format!("{} before, {} afterwards", r.before.job_id, r.after.job_id),
        );
        row("upgrade mode", r.upgrade_mode.clone());
        row("savepoint", format!("number {}{}", r.savepoint_id, at(&r.savepoint)));
        row("restored", restored(&r.after));
        row("RUNNING again", format!("after {:.1} s", r.seconds));
    }
    if let Some(count) = &proved.count {
        row(
            "counted",
            format!(
                "{} numbers in, {} out; {} lost, {} doubled, {} counted anew",
                count.fed, count.read, count.lost, count.doubled, count.miscounted
            ),
        );
    }
    format!("verified: {}\n{}", summary(proved), rows.join("\n"))
}

fn restored(moment: &Moment) -> String {
    match &moment.restored {
        None => "from nothing".to_owned(),
        Some(r) => {
            let what = if r.savepoint { "savepoint" } else { "checkpoint" };
            format!("{what} {}{}", r.id, at(&r.path))
        }
    }
}

fn at(path: &str) -> String {
    if path.is_empty() {
        ", in the JobManager's memory".to_owned()
    } else {
        format!(", {path}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Kind;
    use crate::job::verify::{Killed, Restored};

    #[test]
    fn a_proof_reads_as_its_facts() {
        let moment = |checkpoint, restarts, restored| Moment {
            job_id: "ab12".to_owned(),
            checkpoint,
            restarts,
            restored,
            ..Moment::default()
        };
        let restored = Restored {
            id: 15,
            savepoint: false,
            path: "file:/flink-data/checkpoints/ab12/chk-15".to_owned(),
            at_ms: 1,
        };
        let proved = Proved::recovered(
            Recovered {
                job: "orders".to_owned(),
                kind: Kind::Session,
                cluster: "session".to_owned(),
                interval_ms: 1500,
                killed: Killed {
                    role: Role::TaskManager,
                    pod: "session-taskmanager-1-1".to_owned(),
                    uid: "u".to_owned(),
                },
                before: moment(14, 0, None),
                after: moment(15, 1, Some(restored)),
                seconds: 6.25,
            },
            Some(Count {
                fed: 900,
                read: 900,
                ..Count::default()
            }),
        );
        insta::assert_snapshot!(facts(&proved), @r"
        verified: orders recovers from its latest checkpoint
          job id         ab12, before and afterwards
          killed         TaskManager session-taskmanager-1-1 (uid u)
          before         checkpoint 14 complete, one every 1.5 s, in the JobManager's memory
          restored       checkpoint 15, file:/flink-data/checkpoints/ab12/chk-15
          restarts       0 before, 1 afterwards
          RUNNING again  after 6.2 s
          counted        900 numbers in, 900 out; 0 lost, 0 doubled, 0 counted anew
        ");
        let json = serde_json::to_value(&proved).unwrap();
        assert_eq!(json["recovered"]["after"]["restored"]["id"], 15);
        assert_eq!(
            (&json["verified"], &json["count"]["lost"]),
            (&"checkpoint".into(), &0.into())
        );
        assert!(json.get("redeployed").is_none());
    }
}
