//! What a job's state is taken for, against answers as the operator 1.16.1 and Flink 2.2.1 gave them.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;

use super::fake::{Behaviour, Fake};
use super::job::object;
use super::observe::judge;
use super::{JobDetails, JobSpec, Phase, Refusal, SessionJob, refusal};
use crate::diag::{Failure, Reason};

/// `status.error` of a refused job, its frames left out.
fn status_error(last: &str) -> String {
    let message = format!(
        "org.apache.flink.util.FlinkRuntimeException: java.util.concurrent.ExecutionException: \
         org.apache.flink.runtime.rest.util.RestClientException: \
         [org.apache.flink.runtime.rest.handler.RestHandlerException: Could not execute application.\n\tat \
         org.apache.flink.runtime.webmonitor.handlers.JarRunHandler.lambda$handleRequest$1(JarRunHandler.java:114)\n\
         Caused by: org.apache.flink.util.FlinkRuntimeException: Could not execute application.\n\t... 1 more\n\
         Caused by: org.apache.flink.client.program.ProgramInvocationException: The main method caused an error: \
         {last}\n\tat org.apache.flink.client.program.PackagedProgram.callMainMethod(PackagedProgram.java:360)\n\
         Caused by: io.github.flinkdev.sqlrunner.SqlScriptException: {last}\n\tat \
         io.github.flinkdev.sqlrunner.ScriptRunner.failed(ScriptRunner.java:120)\n\t... 7 more\n]"
    );
    json!({
        "type": "org.apache.flink.kubernetes.operator.exception.ReconciliationException",
        "message": message, "additionalMetadata": {},
        "throwableList": [{ "type": "org.apache.flink.util.FlinkRuntimeException", "message": message }],
    })
    .to_string()
}

const MISSPELT: &str = "statement 3 at 3:1 (INSERT INTO totals SELECT region, SUM(amuont) FROM orders GR ...): \
                        error at 4:22: Column 'amuont' not found in any table";

#[test]
fn a_misspelt_column_is_told_with_statement_and_place() {
    let text = status_error(MISSPELT);
    let cut = &text[..text.find("callMainMethod").unwrap()];
    for text in [text.as_str(), cut] {
        let found = refusal(text);
        assert_eq!(
            found,
            Refusal {
                statement: 3,
                begins: (3, 1),
                place: (4, 22),
                head: "INSERT INTO totals SELECT region, SUM(amuont) FROM orders GR ...".to_owned(),
                message: "Column 'amuont' not found in any table".to_owned(),
                transient: false,
            }
        );
        let failure = found.failure(Path::new("jobs/totals.sql"));
        assert_eq!(failure.id(), Reason::JobSubmitFailed);
        assert_eq!(
            failure.to_string(),
            "jobs/totals.sql:4:22: statement 3: Column 'amuont' not found in any table"
        );
        assert!(failure.detail().evidence[0].starts_with("statement 3, from line 3 on: INSERT INTO totals"));
    }
}

#[test]
fn other_words_of_the_runner_are_taken_as_they_are() {
    let place = |text: &str| {
        let found = refusal(&status_error(text));
        (found.statement, found.begins, found.place, found.message)
    };
    assert_eq!(
        place("script at 7:3: a quote is not closed"),
        (0, (0, 0), (7, 3), "a quote is not closed".to_owned())
    );
    assert_eq!(
        place("statement 2 at 5:1 (SELECT f(x): 1): refused: a session job cannot show rows"),
        (
            2,
            (5, 1),
            (0, 0),
            "1): refused: a session job cannot show rows".to_owned()
        ),
        "a head with the closing mark in it loses its tail to the message, and nothing else"
    );
    assert_eq!(
        place("statement x at y"),
        (0, (0, 0), (0, 0), "statement x at y".to_owned())
    );
    assert_eq!(place("the script is empty").3, "the script is empty");
}

#[test]
fn what_may_pass_is_told_from_what_is_final() {
    let error = |message: &str| json!({ "type": "x", "message": message, "throwableList": [] }).to_string();
    let refused =
        "org.apache.flink.shaded.AbstractChannel$AnnotatedConnectException: Connection refused: a/1.2.3.4:8081";
    let found = refusal(&error(refused));
    assert!(found.transient);
    assert_eq!(found.message, refused);
    assert!(refusal(&error("java.lang.RuntimeException: Failed to list jobs")).transient);
    let found = refusal(&error(
        "Could not execute application.\nCaused by: java.lang.ClassNotFoundException: a.B\n\tat c",
    ));
    assert_eq!(
        (found.transient, found.message.as_str()),
        (false, "java.lang.ClassNotFoundException: a.B")
    );
}

fn running() -> (Value, JobDetails) {
    let object = json!({
        "metadata": { "generation": 1 },
        "status": { "observedGeneration": 1, "lifecycleState": "STABLE", "jobStatus": { "jobId": "ab", "state": "RUNNING" } },
    });
    let answer = json!({ "state": "RUNNING", "vertices": [
        { "tasks": { "RUNNING": 1, "CREATED": 0 } }, { "tasks": { "RUNNING": 1, "FINISHED": 0 } }] });
    (object, JobDetails::from_answer(&answer))
}

fn judged(object: &Value, flink: Option<&JobDetails>) -> Result<Phase, Failure> {
    judge(object, flink, Path::new("a.sql"), 3)
}

#[test]
fn running_is_what_operator_generation_and_flink_agree_on() {
    let (object, flink) = running();
    assert_eq!(judged(&object, Some(&flink)).unwrap(), Phase::Running);
    let waits = |object: &Value, flink: Option<&JobDetails>| match judged(object, flink).unwrap() {
        Phase::Waiting(reason) => reason,
        other => panic!("{other:?}"),
    };
    assert!(waits(&object, None).contains("Flink does not know the job yet"));
    let mut old = object.clone();
    old["metadata"]["generation"] = json!(2);
    waits(&old, Some(&flink));
    let mut late = object.clone();
    late["status"]["jobStatus"]["state"] = json!("RECONCILING");
    waits(&late, Some(&flink));
    let half = JobDetails {
        tasks: vec![("RUNNING".to_owned(), 1), ("SCHEDULED".to_owned(), 1)],
        ..flink.clone()
    };
    assert!(waits(&object, Some(&half)).contains("1 SCHEDULED"));
    let mut failing = object.clone();
    failing["status"]["error"] = json!(status_error(MISSPELT));
    assert_eq!(
        judged(&failing, Some(&flink)).unwrap_err().id(),
        Reason::JobSubmitFailed,
        "a stale error beside RUNNING"
    );
}

#[test]
fn a_job_that_fails_again_and_again_has_failed() {
    let (object, flink) = running();
    let trace = "java.io.IOException: Failed to deserialize\n\tat a.b(C.java:1)\nCaused by: java.lang.ArithmeticException: / by zero\n\t... 2 more";
    let mut restarting = JobDetails {
        state: "RESTARTING".to_owned(),
        exceptions: vec![trace.to_owned(); 2],
        ..flink
    };
    assert!(restarting.troubled());
    match judged(&object, Some(&restarting)).unwrap() {
        Phase::Waiting(reason) => assert_eq!(
            reason,
            "Flink restarts the job: java.lang.ArithmeticException: / by zero"
        ),
        other => panic!("{other:?}"),
    }
    restarting.exceptions.push(trace.to_owned());
    let failure = judged(&object, Some(&restarting)).unwrap_err();
    assert_eq!(failure.id(), Reason::JobFailed);
    assert!(failure.to_string().contains("3 times"), "{failure}");
    assert_eq!(
        failure.detail().evidence,
        ["java.io.IOException: Failed to deserialize\nCaused by: java.lang.ArithmeticException: / by zero"]
    );
}

fn spec() -> JobSpec {
    JobSpec {
        name: "dev-ab12cd34-1-orders".to_owned(),
        program: "INSERT INTO a SELECT 1".to_owned().into(),
        script_file: "a.sql".into(),
        labels: BTreeMap::from([("flink-dev/run".to_owned(), "ab12cd34".to_owned())]),
        ..JobSpec::default()
    }
}

#[test]
fn the_object_has_no_jar() {
    let object = object(&spec(), "flink", "session");
    let job = &object["spec"]["job"];
    assert!(job.get("jarURI").is_none());
    assert_eq!(
        job["args"],
        json!([
            "--script-base64",
            "SU5TRVJUIElOVE8gYSBTRUxFQ1QgMQ==",
            "--name",
            "dev-ab12cd34-1-orders"
        ])
    );
    assert_eq!(
        object["metadata"]["labels"],
        json!({ "flink-dev/run": "ab12cd34", "app.kubernetes.io/managed-by": "flink-dev" })
    );
}

/// Follows a job of this behaviour until it fails, or runs or ends for good.
async fn followed(behaviour: Behaviour) -> (Fake, SessionJob, Result<Phase, Failure>) {
    let (fake, client, _created) = Fake::start(behaviour);
    let job = SessionJob::submit(&client, "flink", "session", &spec()).await.unwrap();
    let (report, mut phases) = watch::channel(Phase::Waiting(String::new()));
    let reached = async {
        let phase = phases.wait_for(|p| !matches!(p, Phase::Waiting(_))).await.unwrap();
        phase.clone()
    };
    let result = tokio::select! {
        failure = job.follow(&report) => Err(failure),
        phase = reached => Ok(phase),
        () = tokio::time::sleep(Duration::from_secs(120)) => panic!("neither runs nor fails"),
    };
    (fake, job, result)
}

#[tokio::test]
async fn a_job_is_followed_and_removed() {
    let (fake, job, result) = followed(Behaviour::Runs).await;
    assert_eq!(result.unwrap(), Phase::Running);
    assert_eq!(fake.job_states(), ["RUNNING"]);
    job.delete().await.unwrap();
    job.delete().await.expect("what is not there is fine");
    assert_eq!((fake.paths(), fake.job_states()), (vec![], vec!["CANCELED"]));
}

#[tokio::test]
async fn the_first_error_ends_it() {
    let (_, _, result) = followed(Behaviour::Refuses(status_error(MISSPELT))).await;
    assert_eq!(result.unwrap_err().detail().location.as_ref().unwrap().line, 4);
    let (_, _, result) = followed(Behaviour::Fails("a.B: x\nCaused by: c.D: y".to_owned())).await;
    assert_eq!(result.unwrap_err().to_string(), "the job failed: c.D: y");
}

#[tokio::test]
async fn what_is_told_of_a_new_job_is_heard_and_no_event_is_listed() {
    let (fake, client, _created) = Fake::start(Behaviour::Ignores);
    fake.tell("another", "ValidationError", "of another one");
    fake.tell(&spec().name, "ValidationError", "of one of the same name, before");
    let job = SessionJob::submit(&client, "flink", "session", &spec()).await.unwrap();
    // before anyone follows it
    fake.tell(&spec().name, "ValidationError", "no such session");
    let (report, _phases) = watch::channel(Phase::Waiting(String::new()));
    let failure = tokio::time::timeout(Duration::from_secs(20), job.follow(&report)).await;
    let failure = failure.expect("heard");
    assert_eq!(failure.id(), Reason::JobSubmitFailed);
    assert_eq!(failure.detail().evidence, ["no such session"]);
    let listed = fake.listed();
    assert!(!listed.iter().any(|path| path.ends_with("/events")), "{listed:?}");
}

#[tokio::test(start_paused = true)]
async fn where_the_operator_clings_the_job_goes_all_the_same() {
    let (fake, client, _created) = Fake::start(Behaviour::Clings);
    let job = SessionJob::submit(&client, "flink", "session", &spec()).await.unwrap();
    job.delete().await.unwrap();
    assert_eq!((fake.paths(), fake.job_states()), (vec![], vec!["CANCELED"]));
}
