//! A job goes on with another program, and keeps its state.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::application::{self, Extras};
use super::check::{self, freed};
use super::code::Code;
use super::managed::{Kind, Look, Managed};
use super::report::{Verdict, verdict};
use super::run::{Cluster, Place, Wanted, Workshop};
use super::stage::Stage;
use super::state::{Kept, kept, kept_by};
use super::submit::{Ready, bring};
use crate::diag::{Failure, Result};
use crate::event::EventSink;
use crate::flink::UpgradeMode;
use crate::kube::text;

/// What a job is to become.
#[derive(Debug, Clone)]
pub struct Upgrade {
    /// What it runs.
    pub code: Code,
    /// What an application's image has besides.
    pub extras: Extras,
    /// Its parallelism; `None`: what the program sets, else the one that it has.
    pub parallelism: Option<u32>,
    /// Settings, over those that it has.
    pub settings: BTreeMap<String, String>,
    /// How its state is kept; `None`: as the job says, or by a savepoint where that says that it is lost.
    pub mode: Option<UpgradeMode>,
    /// The savepoint or checkpoint to begin from, instead of the state that it has now.
    pub from: Option<String>,
    /// State that the new program has no place for is dropped.
    pub drop_unknown: bool,
    /// How long it may take until it runs.
    pub within: Duration,
}

/// What became of an upgrade.
#[derive(Debug, Clone, Serialize)]
pub struct Upgraded {
    /// Version of this format.
    pub v: u32,
    /// The job.
    pub name: String,
    /// `RUNNING` or `FINISHED`.
    pub state: String,
    /// Flink's id of the job.
    pub job_id: String,
    /// Whether anything was changed: the same file with the same options changes nothing.
    pub changed: bool,
    /// The image of an application.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The state that it began from; `None`: it began anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<Kept>,
}

/// Upgrades a job: checks the new program, brings it into the cluster, and follows the job until it runs with it, from
/// the state of before.
///
/// # Errors
/// What the checks find, before anything is changed; [`crate::diag::Reason::StatePathMissing`] if there is no state that could be
/// kept; then why it does not run, with the state that was kept; [`crate::diag::Reason::JobFailed`] if it runs and began anew.
pub async fn upgrade(
    place: &Place,
    workshop: &Workshop,
    job: &Managed,
    upgrade: &Upgrade,
    events: &EventSink,
    cancel: &CancellationToken,
) -> Result<Upgraded> {
    let done = change(place, workshop, job, upgrade, events, cancel).await;
    done.map_err(|failure| upgrade.code.masked(failure))
}

async fn change(
    place: &Place,
    workshop: &Workshop,
    job: &Managed,
    upgrade: &Upgrade,
    events: &EventSink,
    cancel: &CancellationToken,
) -> Result<Upgraded> {
    let stage = |id: &str, title: String| Stage::start(events, cancel, id, title);
    let place = &Place {
        session: if job.kind == Kind::Session {
            job.cluster.clone()
        } else {
            place.session.clone()
        },
        ..place.clone()
    };
    let wanted = wanted(job, upgrade);
    let checking = stage("check", format!("check {}", upgrade.code.file().display()));
    let cx = checking.cx().clone();
    let checks = async {
        let before = job.look().await?;
        let mode = kept_by(job, &before, upgrade).await?;
        let (draft, told, topics) = check::program(place, Some(workshop), &wanted, &cx).await?;
        check_room(place, workshop, job, &wanted).await?;
        let told = [told, topics].into_iter().filter(|part| !part.is_empty());
        Ok((before, mode, draft, told.collect::<Vec<_>>().join(", ")))
    };
    let (before, mode, draft, _) = checking
        .run(upgrade.code.masking(checks), |seen| seen.3.clone())
        .await?;
    if let Some(draft) = &draft {
        draft.notes().iter().for_each(|note| events.note(note.clone()));
    }
    let ready = bring(place, Some(workshop), &wanted, draft, &stage).await?;

    let patch = patch(job, &wanted, upgrade, mode, &ready);
    let result = |look: &Look, changed, kept| Upgraded {
        v: 1,
        name: job.name.clone(),
        state: look.flink_state().to_owned(),
        job_id: look.id().to_owned(),
        changed,
        image: ready.image.clone(),
        kept,
    };
    if upgrade.from.is_none() && verdict(&before) == Verdict::Running && runs_already(&job.object, &patch) {
        // the operator takes a new mode without touching the job: it is for the next change
        if upgrade.mode.is_some_and(|mode| mode.as_str() != job.upgrade_mode()) {
            job.change(json!({ "spec": { "job": { "upgradeMode": mode.as_str() } } }))
                .await?;
        }
        return Ok(result(&before, false, None));
    }
    let changing = stage("job", format!("upgrade {}", job.name));
    let cx = changing.cx().clone();
    let work = async {
        if job.kind == Kind::Application {
            let owner = Some(&job.object);
            application::put_values(&place.client, &place.namespace, &job.name, &upgrade.code, owner).await?;
        }
        job.change(patch).await?;
        let old = (before.id().to_owned(), before.started());
        let other = |look: &Look| (look.id().to_owned(), look.started()) != old;
        let look = job
            .runs(upgrade.within, &cx, other)
            .await
            .map_err(|f| at_file(f, upgrade))?;
        let keeps = mode != UpgradeMode::Stateless || upgrade.from.is_some();
        let kept = if keeps {
            kept(job, &before, &look, &cx).await?
        } else {
            None
        };
        Ok(result(&look, true, kept))
    };
    let told = |done: &Upgraded| match &done.kept {
        Some(kept) => format!("{} from {}", done.state, kept.path),
        None => format!("{}, began anew", done.state),
    };
    match changing.run(upgrade.code.masking(work), told).await {
        Ok(done) => Ok(done),
        Err(failure) => Err(with_state(job, upgrade, failure).await),
    }
}

fn wanted(job: &Managed, upgrade: &Upgrade) -> Wanted {
    let has = job.object["spec"]["job"]["parallelism"].as_u64();
    let has = has.and_then(|n| u32::try_from(n).ok());
    Wanted {
        name: job.name.clone(),
        code: upgrade.code.clone(),
        cluster: match job.kind {
            Kind::Session => Cluster::Session,
            Kind::Application => Cluster::Application(upgrade.extras.clone()),
        },
        parallelism: upgrade.parallelism.or(upgrade.code.parallelism()).or(has),
        settings: upgrade.settings.clone(),
        upgrade_mode: UpgradeMode::Stateless,
        from: upgrade.from.clone(),
        replace: true,
        detach: false,
        within: upgrade.within,
    }
}

async fn check_room(place: &Place, workshop: &Workshop, job: &Managed, wanted: &Wanted) -> Result<()> {
    match job.kind {
        Kind::Session => {
            let freed = freed(place, Some(job)).await?;
            check::check_session(place, wanted, freed).await.map(|_| ())
        }
        Kind::Application => {
            let cluster = application::cluster(workshop, &wanted.code, &wanted.name, "");
            let parallelism = wanted.parallelism().unwrap_or(1);
            super::room::check_application(&place.client, &job.name, &cluster, parallelism)
                .await
                .map(|_| ())
        }
    }
}

/// The change of the object, as a merge patch.
fn patch(job: &Managed, wanted: &Wanted, upgrade: &Upgrade, mode: UpgradeMode, ready: &Ready) -> Value {
    let mut change = ready.program.spec(&job.name);
    change["upgradeMode"] = json!(mode.as_str());
    change["state"] = json!("running");
    if let Some(parallelism) = wanted.parallelism() {
        change["parallelism"] = json!(parallelism);
    }
    if upgrade.drop_unknown {
        change["allowNonRestoredState"] = json!(true);
    }
    if let Some(from) = &upgrade.from {
        // a new number is what makes the operator begin from the path
        let nonce = job.object["spec"]["job"]["savepointRedeployNonce"]
            .as_i64()
            .unwrap_or_default()
            + 1;
        change["initialSavepointPath"] = json!(from);
        change["savepointRedeployNonce"] = json!(nonce);
    }
    let mut spec = json!({ "job": change });
    if !upgrade.settings.is_empty() {
        spec["flinkConfiguration"] = json!(upgrade.settings);
    }
    if let Some(image) = &ready.image {
        spec["image"] = json!(image);
    }
    if let Some(cluster) = &ready.cluster {
        spec["jobManager"] = json!({ "podTemplate": cluster["spec"]["jobManager"]["podTemplate"] });
    }
    json!({ "spec": spec })
}

/// Whether an object has all of a change but how its state is kept.
fn runs_already(object: &Value, patch: &Value) -> bool {
    let mut patch = patch.clone();
    if let Some(job) = patch["spec"]["job"].as_object_mut() {
        job.remove("upgradeMode");
        // not there means running
        job.remove("state");
    }
    holds(&object["spec"], &patch["spec"])
}

/// Whether an object says already what a merge patch says.
fn holds(object: &Value, patch: &Value) -> bool {
    match (object, patch) {
        (_, Value::Object(patch)) => patch.iter().all(|(key, value)| holds(&object[key], value)),
        (object, patch) => object == patch,
    }
}

/// A failure of the new program is told at the user's file.
fn at_file(failure: Failure, upgrade: &Upgrade) -> Failure {
    match failure.detail().location.clone() {
        Some(place) if place.file == Path::new("(script)") => failure.at(upgrade.code.file(), place.line, place.column),
        _ => failure,
    }
}

/// A failed upgrade with the state that the operator kept of the job: it is what the next try begins from.
async fn with_state(job: &Managed, upgrade: &Upgrade, failure: Failure) -> Failure {
    let Ok(look) = job.look().await else { return failure };
    let path = text(&look.object, "/status/jobStatus/upgradeSavepointPath");
    if path.is_empty() || upgrade.from.as_deref() == Some(path) {
        return failure;
    }
    let again = format!("dev job upgrade {} FILE --from-savepoint {path}", job.name);
    let failure = failure.evidence(format!("its state was kept: {path}"));
    // Flink's own word for it is an option of another program
    if failure.detail().message.contains("allowNonRestoredState") {
        let dropping = format!("{again} --allow-non-restored-state");
        return failure.next_first(dropping).next_first(again);
    }
    failure.next_first(again)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_program_changes_nothing() {
        let object =
            json!({ "job": { "entryClass": "a.B", "args": ["x"], "upgradeMode": "stateless" }, "image": "a:1" });
        let same = json!({ "job": { "args": ["x"], "upgradeMode": "savepoint", "state": "running" } });
        assert!(runs_already(&json!({ "spec": object }), &json!({ "spec": same })));
        assert!(holds(
            &object,
            &json!({ "job": { "args": ["x"], "jarURI": null }, "image": "a:1" })
        ));
        for other in [
            json!({ "image": "a:2" }),
            json!({ "job": { "args": ["x", "y"] } }),
            json!({ "job": { "parallelism": 2 } }),
            json!({ "job": { "entryClass": null } }),
        ] {
            assert!(!holds(&object, &other), "{other}");
        }
    }
}
