//! A run as one HTML file that needs nothing else: verdicts, a timeline of each case, differences, evidence.

use std::fmt::Write as _;
use std::time::Duration;

use super::journal::Mark;
use super::report::{CaseReport, Summary};
use crate::event::Verdict;

const STYLE: &str = include_str!("report.css");
/// Width of a timeline's picture, in its own units.
const WIDTH: f64 = 1000.0;
/// What stands left of the bars.
const LEFT: f64 = 170.0;
/// Height of a row.
const ROW: f64 = 22.0;
/// The most of one exhibit that is shown, in characters; the folder has all of it.
const SHOWN: usize = 60_000;

/// The page. `began` is when the run did, in RFC 3339.
pub fn html(summary: &Summary, began: &str) -> String {
    let mut out = String::from("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n");
    let ok = summary.all_passed();
    let _ = write!(
        out,
        "<meta name=\"viewport\" content=\"width=device-width\"><title>dev test: {}</title>\n<style>{STYLE}</style></head><body>\n",
        escape(&summary.to_string())
    );
    let _ = write!(
        out,
        "<h1 class=\"{}\">{}</h1>\n<p class=\"dim\">began {}, took {}</p>\n",
        if ok { "pass" } else { "fail" },
        escape(&summary.to_string()),
        escape(began),
        seconds(summary.took)
    );
    out.push_str(
        "<table><thead><tr><th>verdict</th><th>case</th><th>file</th><th>began</th><th>took</th></tr></thead><tbody>\n",
    );
    for (index, case) in summary.cases.iter().enumerate() {
        let _ = writeln!(
            out,
            "<tr><td class=\"{}\">{}</td><td><a href=\"#case-{index}\">{}</a>{}</td><td class=\"dim\">{}</td><td>{}</td><td>{}</td></tr>",
            class(case.verdict),
            word(case.verdict),
            escape(&case.title),
            case.tags
                .iter()
                .map(|tag| format!(" <span class=\"tag\">{}</span>", escape(tag)))
                .collect::<String>(),
            escape(&case.file.to_string_lossy()),
            seconds(case.began),
            seconds(case.took)
        );
    }
    out.push_str("</tbody></table>\n");
    for (index, case) in summary.cases.iter().enumerate() {
        section(&mut out, index, case);
    }
    for failure in &summary.left_behind {
        let _ = writeln!(
            out,
            "<p class=\"fail\">left behind: {}</p>",
            escape(&failure.to_string())
        );
    }
    out.push_str("</body></html>\n");
    out
}

/// A case. What the table links to lies within: a browser that goes there opens what is closed.
fn section(out: &mut String, index: usize, case: &CaseReport) {
    let open = if matches!(case.verdict, Verdict::Fail | Verdict::Error) {
        " open"
    } else {
        ""
    };
    let _ = writeln!(
        out,
        "<details{open}><summary><span class=\"{}\">{}</span> {} <span class=\"dim\">{}</span></summary>\n<div id=\"case-{index}\"></div>",
        class(case.verdict),
        word(case.verdict),
        escape(&case.title),
        seconds(case.took)
    );
    out.push_str(&timeline(&case.marks));
    if !case.detail.is_empty() {
        out.push_str("<pre class=\"diff\">");
        for line in &case.detail {
            let class = match line.trim_start().chars().next() {
                Some('-') => "minus",
                Some('+') => "plus",
                Some('~') => "differs",
                _ => "",
            };
            let _ = writeln!(out, "<span class=\"{class}\">{}</span>", escape(line));
        }
        out.push_str("</pre>\n");
    }
    if let Some(folder) = &case.folder {
        let _ = writeln!(
            out,
            "<p class=\"dim\">all of the evidence: {}</p>",
            escape(&folder.to_string_lossy())
        );
    }
    for exhibit in &case.evidence {
        let (text, more) = last(&exhibit.text);
        let more = if more > 0 {
            format!(" <span class=\"dim\">(without the first {more} characters)</span>")
        } else {
            String::new()
        };
        let _ = writeln!(
            out,
            "<details class=\"exhibit\"><summary>{}{more}</summary><pre>{}</pre></details>",
            escape(&exhibit.name),
            escape(text)
        );
    }
    out.push_str("</details>\n");
}

/// The last part of a text, and how many characters are before it.
fn last(text: &str) -> (&str, usize) {
    let length = text.chars().count();
    let skipped = length.saturating_sub(SHOWN);
    let from = text.char_indices().nth(skipped).map_or(text.len(), |(at, _)| at);
    (&text[from..], skipped)
}

/// Marks as a picture: a row for each step, one for records, checkpoints and restarts each.
fn timeline(marks: &[Mark]) -> String {
    let end = marks.iter().map(|mark| mark.to).max().unwrap_or_default();
    if end.is_zero() {
        return String::new();
    }
    let scale = (WIDTH - LEFT - 10.0) / end.as_secs_f64();
    let x = |at: Duration| LEFT + at.as_secs_f64() * scale;
    // steps have a row each, everything else a row by its kind
    let mut rows: Vec<(&str, Vec<&Mark>)> = Vec::new();
    for mark in marks {
        let name = if mark.kind == "step" {
            mark.label.as_str()
        } else {
            mark.kind
        };
        match rows.iter_mut().find(|(known, _)| *known == name) {
            Some((_, row)) => row.push(mark),
            None => rows.push((name, vec![mark])),
        }
    }
    let height = ROW * rows.len() as f64 + 24.0;
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"timeline\">\n");
    let step = tick(end.as_secs_f64());
    let ticks = (end.as_secs_f64() / step).floor() as u32;
    for n in 0..=ticks {
        // three tenths are no third of a second
        let at = (f64::from(n) * step * 10.0).round() / 10.0;
        let here = LEFT + at * scale;
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{here:.1}\" y1=\"0\" x2=\"{here:.1}\" y2=\"{:.1}\"/><text class=\"axis\" x=\"{here:.1}\" y=\"{:.1}\">{at} s</text>",
            height - 18.0,
            height - 4.0
        );
    }
    for (index, (name, row)) in rows.iter().enumerate() {
        let y = ROW * index as f64;
        let _ = writeln!(
            svg,
            "<text class=\"lane\" x=\"0\" y=\"{:.1}\">{}</text>",
            y + 15.0,
            escape(name)
        );
        for mark in row {
            let (from, to) = (x(mark.from), x(mark.to));
            let title = format!("{} ({} to {})", mark.label, seconds(mark.from), seconds(mark.to));
            let class = if mark.ok { mark.kind } else { "bad" };
            let shape = if mark.from == mark.to {
                format!(
                    "<circle class=\"{class}\" cx=\"{from:.1}\" cy=\"{:.1}\" r=\"5\">",
                    y + 10.0
                )
            } else {
                let width = (to - from).max(2.0);
                format!(
                    "<rect class=\"{class}\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"14\" rx=\"3\">",
                    y + 3.0
                )
            };
            let end = if mark.from == mark.to { "circle" } else { "rect" };
            let _ = writeln!(svg, "{shape}<title>{}</title></{end}>", escape(&title));
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// A round distance between two lines of the grid, in seconds, so that there are not many.
fn tick(end: f64) -> f64 {
    [
        0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0,
    ]
    .into_iter()
    .find(|step| end / step <= 12.0)
    .unwrap_or(3600.0)
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "PASS",
        Verdict::Fail => "FAIL",
        Verdict::Error => "ERROR",
        Verdict::Skip => "SKIP",
    }
}

fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail | Verdict::Error => "fail",
        Verdict::Skip => "skip",
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::super::tests::summary;
    use super::*;

    #[test]
    fn the_page_has_verdicts_timelines_differences_and_evidence() {
        insta::assert_snapshot!(html(&summary(), "2026-01-01T00:00:00Z").replace(STYLE, "STYLE"));
    }

    #[test]
    fn the_page_needs_nothing_else_and_runs_nothing() {
        let page = html(&summary(), "2026-01-01T00:00:00Z");
        for outside in ["http://", "https://", "<script", "src=", "@import", "url("] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn of_a_long_text_the_end_is_shown() {
        let text = format!("{}é", "x".repeat(SHOWN));
        let (shown, more) = last(&text);
        assert!(more == 1 && shown.ends_with('é'));
        assert_eq!(last("abc"), ("abc", 0));
        assert!(
            [0.3, 11.0, 100.0, 5000.0, 90_000.0]
                .iter()
                .all(|end| end / tick(*end) <= 30.0)
        );
    }
}
