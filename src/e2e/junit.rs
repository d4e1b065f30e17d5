//! A run as JUnit XML, which CI systems read.

use std::fmt::Write as _;

use super::report::{CaseReport, Summary};
use crate::event::Verdict;

/// The XML. `began` is when the run did, in RFC 3339.
pub fn junit(summary: &Summary, began: &str) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let count = |wanted: Verdict| summary.cases.iter().filter(|case| case.verdict == wanted).count();
    let (failures, errors, skipped) = (count(Verdict::Fail), count(Verdict::Error), count(Verdict::Skip));
    let totals = format!(
        "tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\" time=\"{:.3}\"",
        summary.cases.len(),
        summary.took.as_secs_f64()
    );
    let _ = writeln!(out, "<testsuites name=\"dev test\" {totals}>");
    let _ = writeln!(
        out,
        "  <testsuite name=\"dev test\" timestamp=\"{}\" {totals}>",
        escape(began)
    );
    for case in &summary.cases {
        one(&mut out, case);
    }
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}

fn one(out: &mut String, case: &CaseReport) {
    let file = case.file.to_string_lossy();
    let _ = write!(
        out,
        "    <testcase name=\"{}\" classname=\"{}\" file=\"{}\" time=\"{:.3}\"",
        escape(&case.title),
        escape(&file),
        escape(&file),
        case.took.as_secs_f64()
    );
    let first = case.detail.first().map(String::as_str).unwrap_or_default();
    let properties = faults(case);
    let (tag, kind) = match case.verdict {
        Verdict::Pass if properties.is_empty() => {
            out.push_str("/>\n");
            return;
        }
        Verdict::Pass => {
            let _ = write!(out, ">\n{properties}    </testcase>\n");
            return;
        }
        Verdict::Skip => {
            let why = if first.is_empty() {
                "not run: the run was stopped"
            } else {
                first
            };
            let _ = write!(
                out,
                ">\n      <skipped message=\"{}\"/>\n    </testcase>\n",
                escape(why)
            );
            return;
        }
        Verdict::Fail => ("failure", "TEST_FAILED"),
        Verdict::Error => ("error", case.failure.as_ref().map_or("INTERNAL", |f| f.id().entry().id)),
    };
    let _ = write!(
        out,
        ">\n{properties}      <{tag} type=\"{kind}\" message=\"{}\">{}</{tag}>\n",
        escape(first),
        escape(&case.detail.join("\n"))
    );
    if let Some(folder) = &case.folder {
        let _ = writeln!(
            out,
            "      <system-out>evidence: {}</system-out>",
            escape(&folder.to_string_lossy())
        );
    }
    out.push_str("    </testcase>\n");
}

/// The faults of a case as properties; empty if there were none.
fn faults(case: &CaseReport) -> String {
    let marks: Vec<_> = case.marks.iter().filter(|mark| mark.kind == "fault").collect();
    if marks.is_empty() {
        return String::new();
    }
    let mut out = String::from("      <properties>\n");
    for mark in marks {
        let value = format!("{} at {:.2} s", mark.label, mark.from.as_secs_f64());
        let _ = writeln!(out, "        <property name=\"fault\" value=\"{}\"/>", escape(&value));
    }
    out.push_str("      </properties>\n");
    out
}

/// Text for XML 1.0, in which most control characters cannot stand at all.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            c if c < ' ' || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::tests::summary;
    use super::*;

    #[test]
    fn ci_systems_read_every_verdict() {
        insta::assert_snapshot!(junit(&summary(), "2026-01-01T00:00:00Z"));
    }

    #[test]
    fn what_xml_does_not_take_is_replaced() {
        assert_eq!(escape("a<b & \"c\"\u{1b}\n"), "a&lt;b &amp; &quot;c&quot;\u{fffd}&#10;");
    }
}
