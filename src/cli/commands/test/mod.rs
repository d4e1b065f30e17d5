//! `dev test`.

pub(in crate::cli) mod args;
pub(in crate::cli) mod init;
mod memory;
mod projects;
pub(in crate::cli) mod update;
mod watch;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use serde_json::json;

use crate::cli::output;
use crate::cli::session::Session;
use crate::config::{Case, Part, Profile, find_cases};
use crate::diag::{Failure, Reason, Result};
use crate::e2e::{self, RunOptions, Selection, Summary, Target};
use crate::environment::{self, Context};
use crate::event::{EventKind, EventSink};
use crate::schema_registry;
use args::{TestArgs, TestCommand};

/// Runs of which evidence is kept; older ones are removed.
const KEPT_RUNS: usize = 10;

pub(super) async fn run(session: &Session, args: &TestArgs) -> Result<ExitCode> {
    if let Some(TestCommand::Init(args)) = &args.command {
        return init::run(session, args);
    }
    let profile = Profile::load(&session.env, args.profile.as_deref())?;
    let state = session.env.cluster_dir(&profile.name);
    if args.remove_kept {
        return remove_kept(session, profile).await;
    }
    // every case is read before the first one runs: what is typed wrong is found before anything is created
    let failed = if args.rerun_failed {
        Some(memory::failed(&state)?)
    } else {
        None
    };
    let mut cases = match read(&files(session, args, failed.as_ref())?) {
        Ok(cases) => cases,
        Err(problems) => return Ok(tell_all(session, &problems)),
    };
    if let Some(failed) = &failed {
        let did = |case: &Case| {
            failed
                .get(&case.file)
                .is_some_and(|names| names.contains(&case.name) || !case.of_matrix)
        };
        cases.retain(did);
    }
    let found = cases.len();
    let selection = Selection {
        words: args.words.clone(),
        tags: args.tags.clone(),
        shard: args.shard,
    };
    let mut cases = selection.choose(cases);
    if cases.is_empty() && args.shard.is_none() {
        let message = format!("none of {found} cases is what -k and --tag ask for");
        return Err(Failure::new(Reason::CaseInvalid, message).next("dev test --list PATH"));
    }
    if args.list || args.dry_run {
        list(session, &cases, args.dry_run);
        return Ok(ExitCode::SUCCESS);
    }
    let began = SystemTime::now();
    let context = Context::open(&session.env, profile).await?;
    let target = target(&context).await?;
    let (events, rendering) = session.render();
    for warning in cases.iter().flat_map(Case::warnings) {
        events.note(warning.to_string());
    }
    if args.watch {
        projects::add_sources(&mut cases);
    }
    if let Err(failure) = projects::build(session, &context.engine, &mut cases, &events).await {
        let summary = failure.to_string();
        events.emit(EventKind::RunFinished { ok: false, summary });
        drop(events);
        rendering.finish().await;
        return Err(failure);
    }
    let runs = state.join("evidence");
    let evidence = args.evidence.as_ref().map(|folder| session.env.absolute(folder));
    let options = RunOptions {
        jobs: args.jobs.map(usize::from),
        repeat: usize::from(args.repeat),
        fail_fast: args.fail_fast,
        keep: args.keep,
        bound: args.timeout,
        evidence: Some(evidence.unwrap_or_else(|| runs.join(stamp(began)))),
        history: args.report.is_some(),
    };
    if args.watch {
        let follow = watch::Follow {
            session,
            args,
            selection,
            target,
            events: &events,
        };
        let keep = |summary: &Summary| {
            reports(session, args, summary, SystemTime::now())?;
            memory::remember(&state, summary)
        };
        let result = follow.run(cases, &options, keep).await;
        if args.evidence.is_none() {
            prune(&runs);
        }
        let summary = match &result {
            Ok(()) => "watching ended; nothing of its cases is left".to_owned(),
            Err(failure) => failure.to_string(),
        };
        let ok = result.is_ok();
        events.emit(EventKind::RunFinished { ok, summary });
        drop(events);
        rendering.finish().await;
        return result.map(|()| ExitCode::SUCCESS);
    }
    let shared = update::shared(&cases);
    let summary = e2e::run_cases(cases, target, &options, events.clone(), session.cancel.clone()).await;
    let mended = match args.update {
        Some(what) if !summary.all_passed() => update::update(session, what, &summary, &shared, &events),
        _ => false,
    };
    let written = reports(session, args, &summary, began);
    let remembered = memory::remember(&state, &summary);
    if args.evidence.is_none() {
        prune(&runs);
    }
    let mut folders = summary.cases.iter().filter_map(|case| case.folder.as_deref()?.parent());
    if let Some(folder) = folders.next() {
        events.note(format!("evidence: {}", folder.display()));
    }
    if !summary.all_passed() {
        // people see no line for the end of a run that is not well: it is told by an error elsewhere
        events.note(summary.to_string());
    }
    events.emit(EventKind::RunFinished {
        ok: summary.all_passed(),
        summary: summary.to_string(),
    });
    drop(events);
    rendering.finish().await;
    written?;
    remembered?;
    Ok(if summary.all_passed() || mended {
        ExitCode::SUCCESS
    } else {
        exit_of_failed(session)
    })
}

/// The files of the cases that are asked for.
fn files(session: &Session, args: &TestArgs, failed: Option<&memory::Failed>) -> Result<Vec<PathBuf>> {
    let absolute: Vec<PathBuf> = args.paths.iter().map(|p| session.env.absolute(p)).collect();
    let Some(failed) = failed else {
        return find_cases(&absolute);
    };
    if absolute.is_empty() {
        return Ok(failed.keys().cloned().collect());
    }
    let below: Vec<_> = find_cases(&absolute)?
        .into_iter()
        .filter(|file| failed.contains_key(file))
        .collect();
    if below.is_empty() {
        let message = "no case of those did not pass the last time";
        return Err(Failure::new(Reason::CaseInvalid, message).next("dev test PATH"));
    }
    Ok(below)
}

/// Reads all cases, or tells all that is wrong with all of them.
fn read(files: &[PathBuf]) -> Result<Vec<Case>, Vec<Failure>> {
    let (mut cases, mut problems) = (Vec::new(), Vec::new());
    for file in files {
        match Case::read(file) {
            Ok(found) => cases.extend(found),
            Err(found) => problems.extend(found),
        }
    }
    if problems.is_empty() { Ok(cases) } else { Err(problems) }
}

/// Tells all problems; the exit code is that of the first.
fn tell_all(session: &Session, problems: &[Failure]) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for (index, problem) in problems.iter().enumerate() {
        let this = session.fail(problem);
        if index == 0 {
            code = this;
        }
    }
    if problems.len() > 1 {
        output::message(&format!("{} errors; nothing was started", problems.len()));
    }
    code
}

fn list(session: &Session, cases: &[Case], details: bool) {
    for case in cases {
        let given: usize = case.given.iter().map(|given| given.records.len()).sum();
        let expected: usize = case.expect.iter().map(|expect| expect.records.len()).sum();
        let told = json!({
            "v": 1, "name": case.name, "file": case.file, "program": case.program.file(), "tags": case.tags, "skip": case.skip,
            "vars": case.vars, "topics": case.topics(), "given": given, "expected": expected,
            "within_s": case.within.as_secs_f64(),
            "steps": case.steps.iter().map(|step| step.action.to_string()).collect::<Vec<_>>(),
            "alone": !case.faults().is_empty(), "faults": case.faults(), "needs": case.needs,
        });
        let tags: String = case.tags.iter().map(|tag| format!(" #{tag}")).collect();
        let skip = case
            .skip
            .as_ref()
            .map(|why| format!("  (skipped: {why})"))
            .unwrap_or_default();
        let file = case.file.strip_prefix(&session.env.cwd).unwrap_or(&case.file);
        let faults: Vec<_> = case.faults().into_iter().map(Part::word).collect();
        let alone = if faults.is_empty() {
            String::new()
        } else {
            format!("  (alone: it disturbs the {})", faults.join(", the "))
        };
        let mut text = format!("{}  {}{tags}{alone}{skip}", file.display(), case.name);
        if details {
            let topics = case.topics().into_iter().collect::<Vec<_>>().join(", ");
            text.push_str(&format!(
                "\n    topics {topics}; {given} records in, {expected} expected, within {} s",
                case.within.as_secs_f64()
            ));
            for (index, step) in case.steps.iter().enumerate() {
                text.push_str(&format!("\n    {}. {}", index + 1, step.action));
            }
        }
        session.result(&text, &told);
    }
    if details && !session.json() {
        output::result(&format!("{} cases are valid; nothing was started", cases.len()));
    }
}

async fn remove_kept(session: &Session, profile: Profile) -> Result<ExitCode> {
    let context = Context::open(&session.env, profile).await?;
    let removed = e2e::remove_kept(&target(&context).await?).await?;
    let text = if removed.is_empty() {
        "nothing was kept".to_owned()
    } else {
        format!("removed {}", removed.join("\nremoved "))
    };
    session.result(&text, &json!({"v": 1, "removed": removed}));
    Ok(ExitCode::SUCCESS)
}

/// Writes the reports that are asked for.
fn reports(session: &Session, args: &TestArgs, summary: &Summary, began: SystemTime) -> Result<()> {
    let began = rfc3339(began);
    let made = [
        args.junit.as_ref().map(|file| (file, e2e::junit(summary, &began))),
        args.report.as_ref().map(|file| (file, e2e::html(summary, &began))),
    ];
    for (file, text) in made.into_iter().flatten() {
        let file = session.env.absolute(file);
        let folder = file.parent().map_or(Ok(()), fs_err::create_dir_all);
        folder.and_then(|()| fs_err::write(&file, text)).map_err(|error| {
            Failure::new(
                Reason::FileUnreadable,
                format!("the report {} cannot be written", file.display()),
            )
            .cause(&error)
        })?;
    }
    Ok(())
}

fn rfc3339(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time).map_or_else(|_| String::new(), |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// The name of a run's folder; in order of time.
fn stamp(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time).map_or_else(|_| "run".to_owned(), |at| at.strftime("%Y%m%dT%H%M%SZ").to_string())
}

/// Removes the evidence of all but the last runs. What cannot be removed is in nobody's way.
fn prune(runs: &Path) {
    let mut folders: Vec<PathBuf> = fs_err::read_dir(runs)
        .map(|all| all.filter_map(|e| Some(e.ok()?.path())).collect())
        .unwrap_or_default();
    folders.sort();
    let old = folders.len().saturating_sub(KEPT_RUNS);
    for folder in &folders[..old] {
        let _ = fs_err::remove_dir_all(folder);
    }
}

/// Runs cases as they are and reports the end of the run; tells whether all passed.
pub(super) async fn run_cases(session: &Session, cases: Vec<Case>, target: Target, events: &EventSink) -> bool {
    let options = RunOptions::default();
    let summary = e2e::run_cases(cases, target, &options, events.clone(), session.cancel.clone()).await;
    let ok = summary.all_passed();
    events.emit(EventKind::RunFinished {
        ok,
        summary: summary.to_string(),
    });
    ok
}

/// The exit code after cases that did not pass.
pub(super) fn exit_of_failed(session: &Session) -> ExitCode {
    let reason = if session.cancel.is_cancelled() {
        Reason::Interrupted
    } else {
        Reason::TestFailed
    };
    ExitCode::from(reason.entry().exit_code)
}

/// Where cases run: the environment has to be up.
pub(super) async fn target(context: &Context) -> Result<Target> {
    // what a killed run has paused would keep the environment from being ready
    recover(context, &|what| output::message(&format!("note  {what}"))).await?;
    let status = environment::status(context).await?;
    if !status.ready {
        let why: Vec<_> = status
            .parts
            .iter()
            .filter(|p| !p.ready)
            .map(|p| format!("{}: {}", p.title, p.reason))
            .collect();
        let reason = if status.cluster == "absent" {
            Reason::ClusterNotFound
        } else {
            Reason::ComponentNotReady
        };
        return Err(
            Failure::new(reason, format!("the environment `{}` is not ready", status.name))
                .evidence(why.join("\n"))
                .next("dev up"),
        );
    }
    target_of_ready(context).await
}

/// Lets go on what runs have paused that were killed; what happens is told line by line.
pub(super) async fn recover(context: &Context, tell: &(dyn Fn(String) + Sync)) -> Result<()> {
    // without a cluster there is nothing paused; the status says so in better words
    let Ok(client) = context.client().await else {
        return Ok(());
    };
    let namespace = &context.profile.session.namespace;
    match e2e::recover(&client, namespace, &context.engine, tell).await {
        Ok(told) => told.into_iter().for_each(tell),
        Err(failure) if failure.id() == Reason::ClusterUnreachable => {}
        Err(failure) => return Err(failure),
    }
    Ok(())
}

/// Where cases run in an environment that was just seen to be ready.
pub(super) async fn target_of_ready(context: &Context) -> Result<Target> {
    let endpoints = environment::listening(context).await?;
    let profile = &context.profile;
    let missing = |what: &str| Failure::new(Reason::ConfigInvalid, format!("cases need {what} in the profile"));
    if !profile.session.enabled {
        return Err(missing("a session cluster"));
    }
    let kafka = endpoints.iter().find(|e| e.name == "Kafka" && e.from == "this machine");
    let kafka_internal = endpoints
        .iter()
        .find(|e| e.name == "Kafka" && e.from == "in the cluster");
    let (Some(local), Some(internal)) = (kafka, kafka_internal) else {
        return Err(missing("Kafka"));
    };
    let nodes = context.kind.running_nodes(&context.engine).await?;
    Ok(Target {
        client: context.client().await?,
        namespace: profile.session.namespace.clone(),
        session: profile.session.name.clone(),
        operator: Some(profile.operator.namespace.clone()),
        kafka: Some(profile.kafka.namespace.clone()),
        engine: Some(context.engine.clone()),
        nodes: nodes.into_iter().map(|node| node.name).collect(),
        kafka_local: local.address.clone(),
        kafka_internal: internal.address.clone(),
        registry: schema_registry::url(profile).map(|url| (profile.kafka.namespace.clone(), url)),
    })
}
