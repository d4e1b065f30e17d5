//! Tests of comparison and verdicts, and of whole runs.

mod compare;
mod memory;
mod modes;
mod runs;

use serde_json::Value;

use std::time::Duration;

use super::{CaseReport, Exhibit, Mark, Summary};
use crate::config::{Case, CaseProgram, Record};
use crate::diag::{Failure, Reason};
use crate::event::Verdict;

/// A case without anything in it.
pub(super) fn plain_case() -> Case {
    Case {
        name: "plain".to_owned(),
        file: "plain.test.yaml".into(),
        program: CaseProgram::sql("plain.sql", ""),
        within: Duration::from_secs(1),
        ..Case::default()
    }
}

/// A run with every verdict.
pub(super) fn summary() -> Summary {
    let mut summary = Summary::default();
    let mark = |kind, label: &str, from, to, ok| Mark {
        kind,
        label: label.to_owned(),
        from: Duration::from_millis(from),
        to: Duration::from_millis(to),
        ok,
    };
    let report = |title: &str, verdict| CaseReport {
        took: Duration::from_millis(3250),
        ..CaseReport::new(title, format!("examples/{title}.test.yaml"), verdict)
    };
    summary.add(CaseReport {
        tags: vec!["sql".to_owned()],
        marks: vec![
            mark("step", "topics", 0, 120, true),
            mark("step", "job", 120, 2400, true),
            mark("read", "3 from totals", 2500, 2500, true),
            mark("checkpoint", "1 COMPLETED", 2000, 2030, true),
            mark("fault", "2. kill taskmanager", 2600, 2900, true),
        ],
        ..report("good", Verdict::Pass)
    });
    summary.add(CaseReport {
        detail: vec![
            "topic totals (unordered): expected 2, seen 2: 1 missing, 1 unexpected".to_owned(),
            "  - missing     value {\"a\":\"<1>\"}  (line 9)".to_owned(),
            "  + unexpected  value {\"b\":2}  (partition 0, offset 1)".to_owned(),
        ],
        marks: vec![
            mark("restart", "java.lang.Boom", 700, 700, false),
            mark("step", "job", 0, 900, false),
        ],
        evidence: vec![Exhibit {
            name: "jobmanager.log".to_owned(),
            text: "INFO <started> & \"well\"".to_owned(),
        }],
        folder: Some("/tmp/evidence/dev-1".into()),
        ..report("bad & \"worse\"", Verdict::Fail)
    });
    let failure = Failure::new(Reason::JobSubmitFailed, "no such column");
    summary.add(CaseReport {
        detail: vec!["x.sql:1:2: no such column [JOB_SUBMIT_FAILED]".to_owned()],
        failure: Some(failure),
        ..report("broken", Verdict::Error)
    });
    summary.add(CaseReport {
        detail: vec!["waits for FLINK-1".to_owned()],
        ..report("aside", Verdict::Skip)
    });
    summary.add(report("late", Verdict::Skip));
    summary.took = Duration::from_secs(9);
    summary
}

fn record(key: Option<Value>, value: Value, line: usize) -> Record {
    Record {
        key: key.map(Into::into),
        value: value.into(),
        line,
        ..Record::default()
    }
}
