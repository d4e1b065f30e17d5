//! The loop and its watcher, without a cluster.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{Subject, Watched, Watcher, run};
use crate::diag::{Failure, Reason, Result};
use crate::engine::StepCx;
use crate::event::{EventKind, EventSink};

/// Long enough for any machine; nothing waits for it to pass.
const BOUND: Duration = Duration::from_secs(60);

fn touch(path: &Path, text: &str) {
    fs_err::write(path, text).unwrap();
}

async fn of(files: &[&Path]) -> Watcher {
    let files = files.iter().map(|p| p.to_path_buf()).collect();
    Watcher::new(Watched {
        files,
        folders: Vec::new(),
    })
    .await
}

#[tokio::test]
async fn a_new_content_is_a_change_and_a_new_time_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sql");
    touch(&path, "one");
    let mut watcher = of(&[&path]).await;
    // a new time alone is taken in silently; the content that comes then is the change
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(std::time::SystemTime::now() + Duration::from_secs(5))
        .unwrap();
    let quiet = timeout(Duration::from_millis(600), watcher.changed()).await;
    assert!(quiet.is_err(), "a touch is no change");
    touch(&path, "two");
    timeout(BOUND, watcher.changed()).await.unwrap();
    // replaced, as editors do: the file is gone for a moment
    fs_err::remove_file(&path).unwrap();
    assert!(
        timeout(Duration::from_millis(600), watcher.changed()).await.is_err(),
        "a missing file is waited for"
    );
    let new = dir.path().join("new");
    touch(&new, "three");
    fs_err::rename(&new, &path).unwrap();
    timeout(BOUND, watcher.changed()).await.unwrap();
}

#[tokio::test]
async fn what_is_being_written_is_left_alone_until_it_is_quiet() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.jar");
    touch(&path, "");
    let mut watcher = of(&[&path]).await;
    let writer = tokio::spawn({
        let path = path.clone();
        async move {
            for n in 1..=20 {
                touch(&path, &"x".repeat(n));
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    });
    timeout(BOUND, watcher.changed()).await.unwrap();
    // on a machine that stands still for longer than the quiet time a part may have been seen; the whole comes then
    writer.await.unwrap();
    while fs_err::read(&path).unwrap().len() != 20 {
        timeout(BOUND, watcher.changed()).await.unwrap();
    }
}

#[tokio::test]
async fn a_project_s_sources_are_watched_and_not_what_its_build_makes() {
    let dir = tempfile::tempdir().unwrap();
    let (source, made) = (dir.path().join("src/main/java/A.java"), dir.path().join("target/a.jar"));
    for path in [&source, &made] {
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        touch(path, "1");
    }
    let what = Watched {
        files: Vec::new(),
        folders: vec![dir.path().to_owned()],
    };
    let mut watcher = Watcher::new(what).await;
    touch(&made, "2");
    touch(&dir.path().join("src/main/java/.A.java.swp"), "2");
    assert!(timeout(Duration::from_millis(600), watcher.changed()).await.is_err());
    touch(&dir.path().join("src/main/java/B.java"), "new");
    timeout(BOUND, watcher.changed()).await.unwrap();
}

/// Reads its file in each round: `bad` fails, `hang` never ends.
struct Reader {
    file: std::path::PathBuf,
    seen: Arc<Mutex<Vec<String>>>,
    hangs: Arc<Notify>,
}

#[async_trait::async_trait]
impl Subject for Reader {
    fn title(&self) -> String {
        "a.sql".to_owned()
    }

    async fn round(&mut self, _: &StepCx) -> Result<String> {
        let text = fs_err::read_to_string(&self.file).unwrap();
        self.seen.lock().unwrap().push(text.clone());
        match text.as_str() {
            "bad" => Err(Failure::new(Reason::SqlInvalid, "no such column")
                .at("a.sql", 3, 7)
                .evidence("Flink says so")),
            "hang" => {
                self.hangs.notify_one();
                std::future::pending().await
            }
            other => Ok(format!("ran {other}")),
        }
    }

    async fn failed(&mut self) -> Failure {
        std::future::pending().await
    }

    async fn end(&mut self) -> Result<()> {
        self.seen.lock().unwrap().push("end".to_owned());
        Ok(())
    }
}

#[tokio::test]
async fn errors_are_shown_and_watching_goes_on_until_it_is_told_to_stop() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.sql");
    touch(&file, "one");
    let (events, mut stream) = EventSink::channel();
    let cancel = CancellationToken::new();
    let (seen, hangs) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Notify::new()));
    let mut subject = Reader {
        file: file.clone(),
        seen: seen.clone(),
        hangs: hangs.clone(),
    };
    let watching = tokio::spawn({
        let (events, cancel, file) = (events.clone(), cancel.clone(), file.clone());
        async move {
            let mut watcher = of(&[&file]).await;
            run(&mut subject, &mut watcher, &events, &cancel).await
        }
    });
    let mut told = Vec::new();
    let mut next = async |wanted: &str| loop {
        let event = timeout(BOUND, stream.recv()).await.unwrap().unwrap();
        let line = match event.kind {
            EventKind::StepFinished { title, evidence, .. } => format!("{title}: {evidence}"),
            EventKind::StepFailed { title, failure, .. } => format!("{title}: FAIL {}", failure.id().entry().id),
            EventKind::Note { message } => message,
            _ => continue,
        };
        told.push(line.clone());
        if line.contains(wanted) {
            break;
        }
    };
    next("ran one").await;
    touch(&file, "bad");
    next("a.sql:3:7").await;
    touch(&file, "hang");
    timeout(BOUND, hangs.notified()).await.unwrap();
    // a change while a round is under way ends it
    touch(&file, "two");
    next("ran two").await;
    cancel.cancel();
    timeout(BOUND, watching).await.unwrap().unwrap().unwrap();
    assert_eq!(*seen.lock().unwrap(), ["one", "bad", "hang", "two", "end"]);
    assert_eq!(
        told,
        [
            "a.sql: ran one",
            "a.sql, change 1: FAIL SQL_INVALID",
            "a.sql:3:7: no such column\n  | Flink says so\n  next: correct the script",
            "a.sql, change 2: given up: changed again",
            "a.sql, change 3: ran two",
        ]
    );
}
