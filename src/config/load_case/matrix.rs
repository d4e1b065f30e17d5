//! `vars` and `matrix`: one file, many cases. `${var.NAME}` in texts of the case and in its script stands for a value.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::source::Place;
use crate::config::words::{listed, nearest};
use crate::config::yaml::{Entry, Node, Yaml};
use crate::diag::{Failure, Reason};

/// More cases than that of one file are a slip of the finger.
const MOST: usize = 500;
/// How what stands for a value begins.
const OPEN: &str = "${var.";

/// One set of values.
#[derive(Debug, Default)]
pub(super) struct Variant {
    /// What tells it from the others of the file, `a=1,b=x`; empty without a matrix.
    pub(super) label: String,
    /// The values by their names.
    vars: BTreeMap<String, Node>,
}

impl Variant {
    /// The values as they are spelt.
    pub(super) fn spelt(&self) -> BTreeMap<String, String> {
        let spelt = |node: &Node| node.spelling().unwrap_or_default().to_owned();
        self.vars
            .iter()
            .map(|(name, node)| (name.clone(), spelt(node)))
            .collect()
    }
}

/// The sets of values that a case asks for, at least one; what is wrong with some goes to `problems`.
pub(super) fn variants(tree: &Node, problems: &mut Vec<Failure>) -> Vec<Variant> {
    let mut common = BTreeMap::new();
    for entry in tree.get("vars").map(Node::entries).unwrap_or_default() {
        if let Some(value) = scalar(entry, &entry.node, problems) {
            common.insert(entry.key.clone(), value);
        }
    }
    let Some(matrix) = tree.entry("matrix") else {
        return vec![Variant {
            label: String::new(),
            vars: common,
        }];
    };
    let sets = match &matrix.node.value {
        Yaml::Map(axes) => product(axes, matrix, problems),
        Yaml::List(items) => items.iter().map(|item| set(item, problems)).collect(),
        _ => Vec::new(),
    };
    if sets.is_empty() {
        let failure = matrix
            .place
            .failure(Reason::CaseInvalid, "`matrix` has no values: there would be no case");
        problems.push(failure.next("write `matrix: {size: [1, 100]}`, or a list of mappings"));
    }
    let mut all = Vec::new();
    let mut known = BTreeSet::new();
    for set in sets {
        let told = set
            .iter()
            .map(|(name, node)| format!("{name}={}", node.spelling().unwrap_or_default()));
        let label = told.collect::<Vec<_>>().join(",");
        if !known.insert(label.clone()) {
            let message = format!("`matrix` has `{label}` twice");
            problems.push(matrix.place.failure(Reason::CaseInvalid, message));
        }
        let mut vars = common.clone();
        vars.extend(set);
        all.push(Variant { label, vars });
    }
    all
}

/// Every choice of one value for each name, in the order they are written.
fn product(axes: &[Entry], matrix: &Entry, problems: &mut Vec<Failure>) -> Vec<Vec<(String, Node)>> {
    let mut sets: Vec<Vec<(String, Node)>> = vec![Vec::new()];
    for axis in axes {
        let values = axis.node.items().iter().filter_map(|item| scalar(axis, item, problems));
        let values: Vec<Node> = values.collect();
        if axis.node.items().is_empty() {
            let message = format!("`{}` has no values: expected a list", axis.key);
            problems.push(axis.place.failure(Reason::CaseInvalid, message));
            continue;
        }
        if sets.len() * values.len() > MOST {
            let message = format!("`matrix` stands for more than {MOST} cases");
            problems.push(matrix.place.failure(Reason::CaseInvalid, message));
            return Vec::new();
        }
        let with = |set: &Vec<(String, Node)>, value: &Node| {
            let mut set = set.clone();
            set.push((axis.key.clone(), value.clone()));
            set
        };
        sets = sets
            .iter()
            .flat_map(|set| values.iter().map(move |value| with(set, value)))
            .collect();
    }
    if axes.is_empty() { Vec::new() } else { sets }
}

/// A set of values that is written as a mapping.
fn set(item: &Node, problems: &mut Vec<Failure>) -> Vec<(String, Node)> {
    if item.entries().is_empty() {
        let message = "expected a mapping of names to values, like `{size: 1, region: eu}`";
        problems.push(item.place.failure(Reason::CaseInvalid, message));
    }
    let value = |entry: &Entry| Some((entry.key.clone(), scalar(entry, &entry.node, problems)?));
    item.entries().iter().filter_map(value).collect()
}

fn scalar(entry: &Entry, value: &Node, problems: &mut Vec<Failure>) -> Option<Node> {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_';
    let good = entry.key.starts_with(first) && entry.key.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    let problem = if !good {
        let message = format!(
            "`{}` is no name of a value: letters, digits, `_` and `-`, a letter first",
            entry.key
        );
        entry.place.failure(Reason::CaseInvalid, message)
    } else if value.spelling().is_none_or(|text| text.contains(['\n', '\r'])) {
        let message = format!(
            "the value of `{}` is a text of one line, a number, `true` or `false`",
            entry.key
        );
        value.place.failure(Reason::CaseInvalid, message)
    } else {
        return Some(value.clone());
    };
    problems.push(problem);
    None
}

/// Puts the values of a variant into the texts of a case; the names that were used go to `used`. A text that is nothing
/// else becomes the value, so that a number stays one.
pub(super) fn fill(tree: &mut Node, variant: &Variant, used: &mut BTreeSet<String>, problems: &mut Vec<Failure>) {
    if let Yaml::Map(entries) = &mut tree.value {
        for entry in entries
            .iter_mut()
            .filter(|entry| entry.key != "vars" && entry.key != "matrix")
        {
            fill_node(&mut entry.node, variant, used, problems);
        }
    }
}

fn fill_node(node: &mut Node, variant: &Variant, used: &mut BTreeSet<String>, problems: &mut Vec<Failure>) {
    match &mut node.value {
        Yaml::Map(entries) => {
            for entry in entries {
                fill_node(&mut entry.node, variant, used, problems);
            }
        }
        Yaml::List(items) => {
            for item in items {
                fill_node(item, variant, used, problems);
            }
        }
        Yaml::Text(text) if text.contains(OPEN) => match filled(text, &node.place, variant, used) {
            Ok(value) => node.value = value,
            Err(failure) => problems.push(failure),
        },
        _ => {}
    }
}

fn filled(text: &str, place: &Place, variant: &Variant, used: &mut BTreeSet<String>) -> Result<Yaml, Failure> {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(OPEN) {
        let behind = &rest[at + OPEN.len()..];
        let Some(end) = behind.find('}') else {
            return Err(place.failure(Reason::CaseInvalid, "`${` without `}`"));
        };
        let name = &behind[..end];
        let Some(value) = variant.vars.get(name) else {
            return Err(unknown(name, variant.vars.keys(), place));
        };
        used.insert(name.to_owned());
        if at == 0 && out.is_empty() && end + 1 == behind.len() {
            return Ok(value.value.clone());
        }
        out.push_str(&rest[..at]);
        out.push_str(value.spelling().unwrap_or_default());
        rest = &behind[end + 1..];
    }
    out.push_str(rest);
    Ok(Yaml::Text(out))
}

fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a String> + Clone, place: &Place) -> Failure {
    let hint = nearest(name, known.clone().map(String::as_str));
    let hint = hint
        .map(|near| format!(", did you mean `${{var.{near}}}`?"))
        .unwrap_or_default();
    let failure = place.failure(Reason::CaseInvalid, format!("unknown value `${{var.{name}}}`{hint}"));
    let known: Vec<&str> = known.map(String::as_str).collect();
    if known.is_empty() {
        return failure.next("give it a value below `vars:` or `matrix:`");
    }
    failure.next(format!("known in this case: {}", listed(known.into_iter())))
}

/// What is given a value and never used: a slip, or cases that are all the same.
pub(super) fn unused(tree: &Node, used: &BTreeSet<String>, problems: &mut Vec<Failure>) {
    let of = |part: &str| tree.get(part).map(Node::entries).unwrap_or_default();
    let listed = tree.get("matrix").map(Node::items).unwrap_or_default();
    let entries = of("vars")
        .iter()
        .chain(of("matrix"))
        .chain(listed.iter().flat_map(Node::entries));
    let mut told = BTreeSet::new();
    for entry in entries.filter(|entry| !used.contains(&entry.key)) {
        if told.insert(&entry.key) {
            let message = format!("nothing uses the value `{}`", entry.key);
            let next = format!("write `${{var.{}}}` in the case or its script, or remove it", entry.key);
            problems.push(entry.place.failure(Reason::CaseInvalid, message).next(next));
        }
    }
}
