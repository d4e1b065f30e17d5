//! Writes into a case what came out instead of what is expected. Only records change: all else of the file, comments
//! and blanks with it, stays byte for byte, and a record keeps its own spelling as far as it is the same.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::case::Record;
use super::flow::flow;
use super::json::Json;
use super::records::{is_long, millis};
use super::source::Source;
use super::yaml::{Entry, Node, Yaml, parse};
use crate::diag::{Failure, Reason, Result};

/// What changes in the list of expected records of one topic.
#[derive(Debug, Clone)]
pub struct Rewrite {
    /// The topic, as it is named in the case.
    pub topic: String,
    /// By [`Record::item`]: what the record is from now on, or `None` if it goes. Those that are not named stay.
    pub changes: Vec<(usize, Option<Record>)>,
    /// Records that are new, at the end.
    pub added: Vec<Record>,
    /// Whether new records name their keys.
    pub keyed: bool,
}

/// The text of a case with other expected records.
///
/// # Errors
/// [`Reason::CaseInvalid`] at the place of what cannot be rewritten: records in a file of their own, or written in a way
/// that is not understood.
pub fn rewritten(file: &Path, text: &str, rewrites: &[Rewrite]) -> Result<String> {
    let source = Source::new(file, text);
    let tree = parse(&source, Reason::CaseInvalid)?;
    let mut edits = Vec::new();
    let mut wanted = tree.json();
    for rewrite in rewrites {
        let entry = tree.get("expect").and_then(|expect| expect.entry(&rewrite.topic));
        let missing = || Failure::new(Reason::Internal, format!("no topic {} is expected", rewrite.topic));
        let entry = entry.ok_or_else(missing)?;
        let long = !matches!(entry.node.value, Yaml::List(_));
        let list = if long { entry.node.entry("records") } else { Some(entry) };
        let Some(list) = list else {
            let message = format!("the records of `{}` lie in a file of their own", rewrite.topic);
            let failure = entry.place.failure(Reason::CaseInvalid, message);
            return Err(failure.next("write them into that file, or below `records:`"));
        };
        let new = List { source: &source, list }.rewrite(rewrite, &mut edits)?;
        let path = ["expect", rewrite.topic.as_str(), "records"];
        let path = if long { &path[..] } else { &path[..2] };
        set(&mut wanted, path, Json::List(new));
    }
    edits.sort_by_key(|edit: &(Range<usize>, String)| (edit.0.start, edit.0.end));
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for (range, new) in edits {
        if range.start < done {
            return Err(not_understood(&source));
        }
        out.push_str(&source.text[done..range.start]);
        out.push_str(&new);
        done = range.end;
    }
    out.push_str(&source.text[done..]);
    // what was written has to say what was meant, and nothing else may have changed
    let read = parse(&Source::new(file, &out), Reason::CaseInvalid).map_err(|_| not_understood(&source))?;
    if read.json() != wanted {
        return Err(not_understood(&source));
    }
    // a byte order mark is no part of the text that has places
    let mark = if text.starts_with('\u{feff}') { "\u{feff}" } else { "" };
    Ok(format!("{mark}{out}"))
}

fn not_understood(source: &Arc<Source>) -> Failure {
    let message = format!(
        "{} is written in a way in which dev cannot rewrite it",
        source.file.display()
    );
    Failure::new(Reason::CaseInvalid, message).next("write the records as a list below the topic, one a line")
}

/// Sets the value at a path that is there.
fn set(json: &mut Json, path: &[&str], value: Json) {
    let Some((first, rest)) = path.split_first() else {
        *json = value;
        return;
    };
    if let Json::Map(fields) = json
        && let Some((_, inner)) = fields.iter_mut().find(|(name, _)| name == first)
    {
        set(inner, rest, value);
    }
}

/// A list of records and where it is written.
struct List<'a> {
    source: &'a Arc<Source>,
    list: &'a Entry,
}

type Edits = Vec<(Range<usize>, String)>;

impl List<'_> {
    /// Adds the edits; returns the list as it is to be.
    fn rewrite(&self, rewrite: &Rewrite, edits: &mut Edits) -> Result<Vec<Json>> {
        let items = self.list.node.items();
        let keyed = rewrite.keyed;
        let changed: Vec<Option<Json>> = items
            .iter()
            .enumerate()
            .map(
                |(at, item)| match rewrite.changes.iter().find(|(item, _)| *item == at) {
                    None => Some(item.json()),
                    Some((_, None)) => None,
                    Some((_, Some(record))) => Some(written(Some(&item.json()), record, keyed)),
                },
            )
            .collect();
        let added: Vec<Json> = rewrite
            .added
            .iter()
            .map(|record| written(None, record, keyed))
            .collect();
        let start = self.list.node.place.range().start;
        if self.text(start).starts_with('[') {
            self.flow_list(items, &changed, &added, edits)?;
        } else {
            self.block_list(items, &changed, &added, edits)?;
        }
        Ok(changed.into_iter().flatten().chain(added).collect())
    }

    fn text(&self, from: usize) -> &str {
        self.source.text.get(from..).unwrap_or_default()
    }

    /// `[…]`: written anew where an item goes or comes, with the text of those that stay.
    fn flow_list(&self, items: &[Node], changed: &[Option<Json>], added: &[Json], edits: &mut Edits) -> Result<()> {
        let start = self.list.node.place.range().start;
        let end = flow_end(&self.source.text, start).ok_or_else(|| not_understood(self.source))?;
        if items.is_empty() {
            let indent = " ".repeat(self.list.place.column - 1 + 2);
            let lines: String = added.iter().map(|new| format!("\n{indent}- {}", flow(new))).collect();
            if !lines.is_empty() {
                edits.push((start..end, lines));
                // no blank at the end of the line before
                let before = self.source.text[..start].trim_end_matches(' ').len();
                edits.push((before..start, String::new()));
            }
            return Ok(());
        }
        if added.is_empty() && changed.iter().all(Option::is_some) {
            for (item, new) in items.iter().zip(changed.iter().flatten()) {
                if !self.leaves(item, new, edits) {
                    let at = item.place.range().start;
                    let end = self.inline_end(item).ok_or_else(|| not_understood(self.source))?;
                    edits.push((at..end, flow(new)));
                }
            }
            return Ok(());
        }
        let mut all = Vec::new();
        for (item, new) in items.iter().zip(changed) {
            match new {
                Some(new) if item.json() == *new => {
                    let end = self.inline_end(item).ok_or_else(|| not_understood(self.source))?;
                    all.push(self.source.text[item.place.range().start..end].to_owned());
                }
                Some(new) => all.push(flow(new)),
                None => {}
            }
        }
        all.extend(added.iter().map(flow));
        edits.push((start..end, format!("[{}]", all.join(", "))));
        Ok(())
    }

    /// One item a dash.
    fn block_list(&self, items: &[Node], changed: &[Option<Json>], added: &[Json], edits: &mut Edits) -> Result<()> {
        let (Some(first), Some(last)) = (items.first(), items.last()) else {
            return Err(not_understood(self.source));
        };
        let dash = self.dash(first)?;
        let indent = " ".repeat(dash);
        for (at, (item, new)) in items.iter().zip(changed).enumerate() {
            if self.dash(item)? != dash {
                return Err(not_understood(self.source));
            }
            let lines = self.lines(item, items.get(at + 1), dash);
            match new {
                None => edits.push((lines, String::new())),
                Some(new) if self.leaves(item, new, edits) => {}
                Some(new) => {
                    let start = item.place.range().start;
                    let end = match self.inline_end(item) {
                        Some(end) => end,
                        // without the line's end
                        None => lines.start + self.source.text[lines].trim_end().len(),
                    };
                    edits.push((start..end, flow(new)));
                }
            }
        }
        let text = &self.source.text;
        let end = self.lines(last, None, dash).end;
        let line_end = if text[..end].ends_with('\n') || added.is_empty() {
            ""
        } else {
            "\n"
        };
        let lines: String = added.iter().map(|new| format!("{indent}- {}\n", flow(new))).collect();
        let lines = format!("{line_end}{lines}");
        if !added.is_empty() {
            edits.push((end..end, lines));
        } else if changed.iter().all(Option::is_none) {
            // an empty list is told from a key without a value
            let key = self.list.place.range().end;
            let colon = text[key..].find(':').ok_or_else(|| not_understood(self.source))?;
            edits.push((key + colon + 1..key + colon + 1, " []".to_owned()));
        }
        Ok(())
    }

    /// How far the dash of an item of a block list is in.
    fn dash(&self, item: &Node) -> Result<usize> {
        let at = self.dash_at(item).ok_or_else(|| not_understood(self.source))?;
        Ok(at - self.line_of(at))
    }

    /// Where the dash of an item stands: before it, or in the line above.
    fn dash_at(&self, item: &Node) -> Option<usize> {
        let before = self.source.text[..item.place.range().start].trim_end();
        let at = before.strip_suffix('-')?.len();
        before[self.line_of(at)..at].trim().is_empty().then_some(at)
    }

    /// Where the line of a byte begins.
    fn line_of(&self, at: usize) -> usize {
        self.source.text[..at].rfind('\n').map_or(0, |end| end + 1)
    }

    /// The lines of an item of a block list: to its last one that is neither empty nor a comment.
    fn lines(&self, item: &Node, next: Option<&Node>, dash: usize) -> Range<usize> {
        let text = &self.source.text;
        let start = self.line_of(self.dash_at(item).unwrap_or(item.place.range().start));
        let limit = next.map_or(text.len(), |next| next.place.range().start);
        let (mut at, mut end) = (start, start);
        for (number, line) in text[start..].split_inclusive('\n').enumerate() {
            let inner = line.trim();
            let indent = line.len() - line.trim_start().len();
            let content = !inner.is_empty() && !inner.starts_with('#');
            if number > 0 && (content && indent <= dash || at >= limit) {
                break;
            }
            at += line.len();
            if content {
                end = at;
            }
        }
        start..end
    }

    /// Where an item ends that is written on its own, as `{…}`, `[…]` or a scalar.
    fn inline_end(&self, item: &Node) -> Option<usize> {
        match item.value {
            Yaml::Map(_) | Yaml::List(_) => flow_end(&self.source.text, item.place.range().start),
            _ => self.scalar(item).map(|range| range.end),
        }
    }

    /// The bytes of a scalar, if it is written on its own.
    fn scalar(&self, node: &Node) -> Option<Range<usize>> {
        let mut range = node.place.range();
        if let Yaml::Bool(value) = node.value {
            range.end = range.start + value.to_string().len();
        } else if matches!(node.value, Yaml::Null) && self.text(range.start).starts_with("null") {
            range.end = range.start + "null".len();
        }
        (range.end <= self.source.text.len() && self.is(&range, node)).then_some(range)
    }

    /// Whether some bytes are what a node was read from.
    fn is(&self, range: &Range<usize>, node: &Node) -> bool {
        let Some(text) = self.source.text.get(range.clone()) else {
            return false;
        };
        let read = parse(&Source::new("", &format!("v: {text}\n")), Reason::CaseInvalid);
        !text.starts_with(['|', '>', '*', '&', '!'])
            && read.is_ok_and(|read| read.get("v").is_some_and(|v| v.json() == node.json()))
    }

    /// Changes scalars only, if that is enough.
    fn leaves(&self, node: &Node, new: &Json, edits: &mut Edits) -> bool {
        let mut found = Vec::new();
        let enough = self.leaf(node, new, &mut found);
        if enough {
            edits.append(&mut found);
        }
        enough
    }

    fn leaf(&self, node: &Node, new: &Json, edits: &mut Edits) -> bool {
        if node.json() == *new {
            return true;
        }
        match (&node.value, new) {
            (Yaml::Map(entries), Json::Map(fields)) => {
                entries.len() == fields.len()
                    && entries
                        .iter()
                        .all(|entry| new.get(&entry.key).is_some_and(|v| self.leaf(&entry.node, v, edits)))
            }
            (Yaml::List(items), Json::List(news)) => {
                items.len() == news.len() && items.iter().zip(news).all(|(item, new)| self.leaf(item, new, edits))
            }
            (Yaml::Map(_) | Yaml::List(_), _) | (_, Json::Map(_) | Json::List(_)) => false,
            _ => match self.scalar(node) {
                Some(range) => {
                    edits.push((range, flow(new)));
                    true
                }
                None => false,
            },
        }
    }
}

/// A record as it is written where `old` was, or at the end of the list.
fn written(old: Option<&Json>, record: &Record, keyed: bool) -> Json {
    let wrap = |value: &Json| {
        if is_long(value.fields()) {
            return Json::Map(vec![("value".to_owned(), value.clone())]);
        }
        value.clone()
    };
    let Some(old) = old.filter(|old| is_long(old.fields())) else {
        return match record.key.as_ref().filter(|_| keyed) {
            Some(key) => Json::Map(vec![
                ("key".to_owned(), key.clone()),
                ("value".to_owned(), record.value.clone()),
            ]),
            None => wrap(&record.value),
        };
    };
    let part = |(name, before): &(String, Json)| {
        let value = match name.as_str() {
            "value" => record.value.clone(),
            "key" => record.key.clone().unwrap_or_default(),
            "headers" => record.headers.clone().map_or(Json::Null, Json::Map),
            "timestamp" => match record.timestamp {
                // in its own spelling, if it is the same
                Some(time) if millis(before) != Some(time) => jiff::Timestamp::from_millisecond(time)
                    .map_or_else(|_| Json::from(time), |time| Json::Text(time.to_string())),
                _ => before.clone(),
            },
            "partition" => record
                .partition
                .map_or(Json::Null, |partition| Json::from(i64::from(partition))),
            _ => before.clone(),
        };
        (name.clone(), value)
    };
    Json::Map(old.fields().iter().map(part).collect())
}

/// The byte behind `{…}` or `[…]` that begins at `start`; `None` if it is something else.
fn flow_end(text: &str, start: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    if !matches!(bytes.get(start), Some(b'{' | b'[')) {
        return None;
    }
    let (mut depth, mut at) = (0usize, start);
    // a quote opens a text only where a value or key may begin
    let mut opens = true;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'{' | b'[' => {
                depth += 1;
                opens = true;
            }
            b'}' | b']' => {
                depth -= 1;
                opens = false;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            b'"' if opens => {
                at += 1;
                while *bytes.get(at)? != b'"' {
                    at += 1 + usize::from(bytes[at] == b'\\');
                }
                opens = false;
            }
            b'\'' if opens => {
                at += 1;
                while *bytes.get(at)? != b'\'' || bytes.get(at + 1) == Some(&b'\'') {
                    at += if bytes[at] == b'\'' { 2 } else { 1 };
                }
                opens = false;
            }
            b'#' if bytes[at - 1].is_ascii_whitespace() => {
                at += text[at..].find('\n')?;
            }
            b',' => opens = true,
            b':' => opens = bytes.get(at + 1).is_none_or(u8::is_ascii_whitespace) || !opens,
            b if b.is_ascii_whitespace() => {}
            _ => opens = false,
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn record(key: Option<Value>, value: Value) -> Record {
        Record {
            key: key.map(Json::from),
            value: value.into(),
            ..Record::default()
        }
    }

    fn update(text: &str, topic: &str, changes: Vec<(usize, Option<Record>)>, added: Vec<Record>) -> Result<String> {
        let rewrite = Rewrite {
            topic: topic.to_owned(),
            changes,
            added,
            keyed: topic == "totals",
        };
        rewritten(Path::new("x.test.yaml"), text, &[rewrite])
    }

    const CASE: &str = "# about\nversion: 1\nsql: x.sql   # the script\n\nexpect:\n  totals:\n    match: last-per-key\n    records:\n\
        \x20     # the first\n      - {key: {region: EU}, value: {region: EU,   total: 17}}  # seventeen\n\n\
        \x20     - key: {region: US}\n        value:\n          region: US   # here\n          total: 349\n      # the third\n\
        \x20     - {key: {region: APAC}, value: {region: APAC, total: 1.50}}\n  # between\n  big:\n    - {id: 'o,2', amount: 250}\n\
        \x20   - {id: o4, amount: 100}\n  none: []\nwithin: 60s\n";

    #[test]
    fn only_what_differs_is_written() {
        let total = |region: &str, total: i32| {
            record(
                Some(json!({"region": region})),
                json!({"region": region, "total": total}),
            )
        };
        let text = update(
            CASE,
            "totals",
            vec![(0, Some(total("EU", 18))), (1, Some(total("US", 350)))],
            vec![],
        )
        .unwrap();
        let expected = CASE
            .replace("total: 17}", "total: 18}")
            .replace("total: 349", "total: 350");
        assert_eq!(text, expected);
        let text = update(CASE, "totals", vec![(1, None)], vec![total("XX", 1)]).unwrap();
        let expected = CASE
            .replace(
                "      - key: {region: US}\n        value:\n          region: US   # here\n          total: 349\n",
                "",
            )
            .replace(
                "total: 1.50}}\n",
                "total: 1.50}}\n      - {key: {region: XX}, value: {region: XX, total: 1}}\n",
            );
        assert_eq!(text, expected);
    }

    #[test]
    fn records_come_go_and_get_other_fields() {
        let text = update(
            CASE,
            "big",
            vec![(1, Some(record(None, json!({"id": "o4", "amount": 100, "note": "x y"}))))],
            vec![],
        );
        assert_eq!(
            text.unwrap(),
            CASE.replace("{id: o4, amount: 100}", "{id: o4, amount: 100, note: \"x y\"}")
        );
        let all = update(CASE, "big", vec![(0, None), (1, None)], vec![]).unwrap();
        assert!(all.contains("  big: []\n  none: []\n"), "{all}");
        let some = update(
            CASE,
            "none",
            vec![],
            vec![record(None, json!({"n": 1})), record(Some(json!("k")), json!(2))],
        );
        assert!(some.unwrap().contains("  none:\n    - {n: 1}\n    - 2\nwithin"));
        let text = "version: 1\nexpect: {a: [{x: 1}, {y: 'it''s, ]'}, 3], b: []}\n";
        let told = update(
            text,
            "a",
            vec![(0, Some(record(None, json!({"x": 2})))), (2, None)],
            vec![record(None, json!("new"))],
        );
        assert_eq!(
            told.unwrap(),
            text.replace("{x: 1}, {y: 'it''s, ]'}, 3]", "{x: 2}, {y: 'it''s, ]'}, new]")
        );
        let told = update(text, "a", vec![(2, Some(record(None, Value::Null)))], vec![]);
        assert_eq!(told.unwrap(), text.replace("3]", "null]"));
    }

    #[test]
    fn scalars_of_every_spelling_are_found() {
        let text = "version: 1\nexpect:\n  a:\n  - {a: \"ä \\\" }\", b: 'x', c: true, d: null, e: -1.5e3, f: plain text}\n  -\n    g: >\n      folded\n      text\n    h: 2\n  - last";
        let new = json!({"a": "b", "b": "y", "c": false, "d": 1, "e": 2, "f": "other"});
        let told = update(
            text,
            "a",
            vec![(0, Some(record(None, new)))],
            vec![record(None, json!(1))],
        )
        .unwrap();
        assert!(
            told.contains("- {a: b, b: y, c: false, d: 1, e: 2, f: other}\n"),
            "{told}"
        );
        assert!(told.ends_with("  - last\n  - 1\n"), "{told}");
        let told = update(
            text,
            "a",
            vec![(1, Some(record(None, json!({"g": "x", "h": 3}))))],
            vec![],
        );
        assert!(
            told.is_err() || told.as_ref().is_ok_and(|t| t.contains("{g: x, h: 3}")),
            "{told:?}"
        );
    }

    #[test]
    fn what_cannot_be_rewritten_is_told() {
        let text = "version: 1\nexpect:\n  a:\n    file: out.jsonl\n  b: &b\n    - {x: 1}\n  c: *b\n";
        let failure = update(text, "a", vec![(0, None)], vec![]).unwrap_err();
        assert_eq!(
            failure.to_string(),
            "x.test.yaml:3:3: the records of `a` lie in a file of their own"
        );
        assert!(
            update(text, "b", vec![(0, None)], vec![]).is_err(),
            "what is named elsewhere changes there, too"
        );
    }

    #[test]
    fn times_keep_their_spelling() {
        let text = "expect:\n  a:\n    - {value: 1, timestamp: 2026-01-01T00:00:00Z, partition: 0, headers: {h: x}}\n";
        let mut new = record(None, json!(2));
        new.timestamp = Some(1_767_225_600_000);
        new.partition = Some(1);
        new.headers = Some(vec![("h".to_owned(), Json::from("x"))]);
        let told = update(text, "a", vec![(0, Some(new.clone()))], vec![]).unwrap();
        assert_eq!(
            told,
            text.replace("value: 1", "value: 2")
                .replace("partition: 0", "partition: 1")
        );
        new.timestamp = Some(1_767_225_601_000);
        let told = update(text, "a", vec![(0, Some(new))], vec![]).unwrap();
        assert!(told.contains("timestamp: \"2026-01-01T00:00:01Z\""), "{told}");
    }
}
