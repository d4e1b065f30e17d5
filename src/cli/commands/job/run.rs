//! `dev job run`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use super::args::{Run, What};
use crate::cli::output::human_duration;
use crate::cli::session::Session;
use crate::diag::{Failure, Reason, Result};
use crate::event::EventKind;
use crate::flink::state;
use crate::job::{self, Cluster, Code, Extras, JarCode, Place, PythonCode, Script, Started, Wanted, Workshop};

pub(super) async fn run(session: &Session, args: &Run) -> Result<ExitCode> {
    // what is typed wrong is told before a cluster is asked
    let name = job::job_name(args.name.as_deref(), &args.file)?;
    let cluster = cluster(session, &args.what, args.application)?;
    let (mut place, workshop) = super::opened(session, &args.place).await?;
    if let Some(name) = &args.session {
        place.session.clone_from(name);
    }
    let wanted = Wanted {
        name,
        code: code(session, &args.file, &args.what, &args.args, &place)?,
        cluster,
        parallelism: args.what.parallelism,
        settings: settings(&workshop, &args.what),
        upgrade_mode: args.upgrade_mode.into(),
        from: args.from_savepoint.clone(),
        replace: args.replace,
        detach: args.detach,
        within: args.within,
    };
    let (events, rendering) = session.render();
    let result = job::run(&place, Some(&workshop), &wanted, &events, &session.cancel).await;
    events.emit(EventKind::RunFinished {
        ok: result.is_ok(),
        summary: match &result {
            Ok(started) => summary(started),
            Err(failure) => failure.to_string(),
        },
    });
    drop(events);
    rendering.finish().await;
    let started = result?;
    let next = format!(
        "next: {}",
        session.out.code(&format!("dev job status {}", started.name))
    );
    session.result(&next, &started);
    Ok(ExitCode::SUCCESS)
}

/// Those of a job that is meant to stay, and what was set over them.
fn settings(workshop: &Workshop, what: &What) -> BTreeMap<String, String> {
    let mut settings = state::of_jobs(&workshop.profile.flink.state);
    settings.extend(what.set.iter().cloned());
    settings
}

/// What the file is, by its ending; only what goes with it may be said of it.
pub(super) fn code(session: &Session, file: &Path, what: &What, args: &[String], place: &Place) -> Result<Code> {
    let (path, shown) = (session.env.absolute(file), file.to_owned());
    let ending = file.extension().and_then(|e| e.to_str()).unwrap_or_default();
    let refuse = |option: &str, of: &str| {
        let message = format!("{option} is for {of}, and `{}` is none", file.display());
        Err(Failure::new(Reason::Usage, message).next("dev job run --help"))
    };
    if ending != "jar" && what.main.is_some() {
        return refuse("--main", "a jar");
    }
    if matches!(ending, "jar" | "py") && !what.var.is_empty() {
        return refuse("--var", "a SQL script");
    }
    if matches!(ending, "jar" | "py") && !path.is_file() {
        let message = format!("there is no file `{}`", file.display());
        return Err(Failure::new(Reason::FileUnreadable, message));
    }
    match ending {
        "jar" => Ok(Code::Jar(JarCode {
            path,
            shown,
            main: what.main.clone(),
            args: args.to_vec(),
        })),
        "py" => Ok(Code::Python(PythonCode {
            path,
            shown,
            args: args.to_vec(),
        })),
        _ if !args.is_empty() => refuse("`-- ARGS`", "a jar or a Python program"),
        _ => {
            let vars = what.var.iter().cloned().collect();
            let script = Script::load(&path, &shown, &vars, place.addresses())?;
            Ok(Code::Sql(Box::new(script)))
        }
    }
}

/// Where the job runs, and what an application's image has besides.
pub(super) fn cluster(session: &Session, what: &What, application: bool) -> Result<Cluster> {
    let extras = Extras {
        base: what.base.clone(),
        connectors: what.connectors.clone(),
        libraries: what.libraries.iter().map(|path| session.env.absolute(path)).collect(),
    };
    if application {
        return Ok(Cluster::Application(extras));
    }
    if extras.base.is_some() || !extras.connectors.is_empty() || !extras.libraries.is_empty() {
        let message = "--base, --connector and --lib are for an application's image: a session cluster has its own";
        return Err(Failure::new(Reason::Usage, message).next("add --application"));
    }
    Ok(Cluster::Session)
}

fn summary(started: &Started) -> String {
    let took = human_duration(std::time::Duration::from_secs_f64(started.seconds));
    let place = if started.image.is_some() {
        "an application".to_owned()
    } else {
        format!("in session {}", started.cluster)
    };
    format!("job {} is {}, {place} ({took})", started.name, started.state)
}
