//! What BuildKit's errors mean to whoever wrote the Dockerfile. Pure.

use crate::diag::{Failure, Reason};

/// What nobody answering looks like in an engine's words.
const SILENCE: [&str; 9] = [
    "no such host",
    "dial tcp",
    "i/o timeout",
    "connection refused",
    "connection reset",
    "network is unreachable",
    "TLS handshake",
    "certificate",
    "temporary failure in name resolution",
];

/// A failure with its place: `shown` is the Dockerfile as the user gave it, `text` what is in it, `step` the name and
/// the error of the step that failed, `error` what the engine said in the end.
pub(super) fn explain(shown: &str, text: &str, target: &str, step: Option<(&str, &str)>, error: &str) -> Failure {
    let (name, own) = step.unwrap_or_default();
    // the engine wraps the step's own words into its own
    let whole = if own.is_empty() || error.contains(own) {
        error
    } else {
        own
    };
    let failed = |line: Option<usize>, message: String| {
        Failure::new(Reason::ImageBuildFailed, message).at(shown, line.unwrap_or_default(), 0)
    };
    if let Some((line, what)) = parse_error(error) {
        return failed(Some(line), what).next(format!("correct {shown}"));
    }
    if !target.is_empty() && is_unknown_target(error, target) {
        let stages = stages(text);
        let failure = failed(None, format!("there is no stage `{target}`"));
        let near = crate::config::nearest(target, stages.iter().map(|(_, name)| name.as_str()));
        let known: Vec<String> = stages
            .iter()
            .map(|(line, name)| format!("{shown}:{line}: {name}"))
            .collect();
        let failure = failure.evidence(known.join("\n"));
        return match near {
            Some(near) => failure.next(format!("--target {near}")),
            None => failure.next("leave `--target` out to build the last stage"),
        };
    }
    if let Some(image) = missing_image(name, whole) {
        let (line, image) = match line_from(text, &image) {
            Some((line, written)) => (Some(line), written),
            None => (None, image),
        };
        let silent = SILENCE.iter().any(|word| whole.contains(word));
        let message = if silent {
            format!("{image} is not in the engine, and its registry does not answer")
        } else {
            format!("{image} is not in the engine, and no registry gives it")
        };
        let failure = Failure::new(Reason::ImagePullFailed, message).at(shown, line.unwrap_or_default(), 0);
        let stage_like = !image.contains(['/', '.']) && line.is_some_and(|l| copies_from(text, l));
        let failure = if stage_like {
            failure.next(format!("name a stage of {shown}, or an image"))
        } else {
            failure.next("dev up (it makes Flink's images from packages)")
        };
        return failure.next(format!("docker pull {image}")).evidence(last_words(whole));
    }
    let failure = failed(
        line_of(text, name),
        shorten(if name.is_empty() { "the build failed" } else { name }),
    );
    failure.evidence(last_words(whole))
}

/// The engine's words without the chain of wrappings before them.
fn last_words(error: &str) -> &str {
    error
        .trim_start_matches("failed to solve with frontend dockerfile.v0: ")
        .trim_start_matches("failed to solve: ")
        .trim_start_matches("failed to build LLB: ")
}

/// Line and words of `dockerfile parse error line 3: unknown instruction: RUNN`, as BuildKit has written it since 2018.
fn parse_error(error: &str) -> Option<(usize, String)> {
    let rest = &error[error.find("parse error")? + "parse error".len()..];
    let rest = rest.trim_start().trim_start_matches("on ").strip_prefix("line ")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit())?;
    let (line, what) = rest.split_at(digits);
    let what = what.trim_start_matches([':', ' ']).trim();
    // "(did you mean RUN?)" is worth keeping, the status that bollard adds is not
    let what = what.split(" (status ").next().unwrap_or(what);
    Some((line.parse().ok()?, what.to_owned()))
}

fn is_unknown_target(error: &str, target: &str) -> bool {
    let words = ["target stage", "failed to reach build target", "build target"];
    error.contains(target) && words.iter().any(|word| error.contains(word))
}

/// Lines and names of stages.
fn stages(text: &str) -> Vec<(usize, String)> {
    let named = instructions(text).into_iter().filter_map(|(line, instruction)| {
        let words: Vec<&str> = instruction.split_whitespace().collect();
        let [from, .., r#as, name] = words.as_slice() else {
            return None;
        };
        (from.eq_ignore_ascii_case("from") && r#as.eq_ignore_ascii_case("as")).then(|| (line, (*name).to_owned()))
    });
    named.collect()
}

/// The image that could not be had.
fn missing_image(step: &str, error: &str) -> Option<String> {
    if let Some((_, image)) = step.split_once("load metadata for ") {
        return Some(plain(image));
    }
    let at = error.find("failed to resolve source metadata for ")?;
    let rest = &error[at + "failed to resolve source metadata for ".len()..];
    let end = rest.find(": ").unwrap_or(rest.len());
    Some(plain(&rest[..end]))
}

/// A name as people write it: without the default registry and `library/`, which stand before every name here.
fn plain(image: &str) -> String {
    let image = image.trim();
    match image.split_once("/library/") {
        Some((host, rest)) if host.contains('.') && !host.contains('/') => rest.to_owned(),
        _ => image.to_owned(),
    }
}

/// Line of the `FROM` or `--from=` that names an image, with or without its registry and `:latest`, and the name as it
/// stands there.
fn line_from(text: &str, image: &str) -> Option<(usize, String)> {
    let without_tag = image.strip_suffix(":latest").unwrap_or(image);
    let same = |word: &str| {
        let word = word.strip_suffix(":latest").unwrap_or(word);
        word == without_tag || without_tag.ends_with(&format!("/{word}"))
    };
    let all = instructions(text);
    for (line, instruction) in &all {
        let mut words = instruction.split_whitespace();
        let from = words.next().is_some_and(|first| first.eq_ignore_ascii_case("from"));
        let named = words.find_map(|word| match word.strip_prefix("--from=") {
            Some(image) => same(image).then_some(image),
            None => (from && same(word)).then_some(word),
        });
        if let Some(word) = named {
            return Some((*line, word.to_owned()));
        }
    }
    // `FROM $BASE`: the arguments are the engine's to fill in; one that is alone is meant
    let mut with = all
        .iter()
        .filter(|(_, i)| i.to_lowercase().starts_with("from ") && i.contains('$'));
    let alone = with.next().filter(|_| with.next().is_none());
    alone.map(|(line, _)| (*line, image.to_owned()))
}

fn copies_from(text: &str, line: usize) -> bool {
    instructions(text)
        .iter()
        .any(|(at, instruction)| *at == line && instruction.contains("--from="))
}

/// The instructions with the line that each begins at, its continuation lines joined and without comments.
fn instructions(dockerfile: &str) -> Vec<(usize, String)> {
    let lines: Vec<&str> = dockerfile.lines().collect();
    let mut all = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let first = at;
        let mut logical = String::new();
        while at < lines.len() {
            let line = lines[at];
            at += 1;
            if line.trim_start().starts_with('#') {
                // comments may stand between the lines of an instruction
                if logical.is_empty() { break } else { continue }
            }
            match line.trim_end().strip_suffix('\\') {
                Some(part) => logical.push_str(part),
                None => {
                    logical.push_str(line);
                    break;
                }
            }
            logical.push(' ');
        }
        let logical = squeeze(&logical);
        if !logical.is_empty() {
            all.push((first + 1, logical));
        }
    }
    all
}

fn squeeze(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The line of the `Dockerfile` whose instruction a step is, e.g. of `[jars 3/5] RUN make  all`.
fn line_of(dockerfile: &str, step: &str) -> Option<usize> {
    let instruction = squeeze(step.split_once("] ")?.1);
    let all = instructions(dockerfile);
    let exact = all.iter().find(|(_, logical)| same_instruction(logical, &instruction));
    // arguments are put in for variables of COPY and WORKDIR: what comes before the first one must do
    let beginning = || {
        all.iter().find(|(_, logical)| {
            let fixed = logical.split('$').next().unwrap_or_default().trim_end();
            fixed.len() > 4 && fixed.len() < logical.len() && instruction.starts_with(fixed)
        })
    };
    exact.or_else(beginning).map(|(line, _)| *line)
}

/// BuildKit writes an instruction's name in capitals, whatever the file has.
fn same_instruction(logical: &str, instruction: &str) -> bool {
    match (logical.split_once(' '), instruction.split_once(' ')) {
        (Some((name, rest)), Some((upper, same))) => name.eq_ignore_ascii_case(upper) && rest == same,
        _ => logical.eq_ignore_ascii_case(instruction),
    }
}

/// The first 100 characters: a `RUN` may be as long as a script.
pub(super) fn shorten(name: &str) -> String {
    let mut short: String = name.chars().take(100).collect();
    if short.len() < name.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCKERFILE: &str = "FROM scratch AS a\n# why\nRUN one && \\\n    # between\n    two\ncopy x /y\nWORKDIR /opt/flink/$A\n\
                              FROM flink:2.2.1 AS jobs\nCOPY --from=nowhere /a /b\n";

    fn shown(target: &str, step: Option<(&str, &str)>, error: &str) -> (Reason, String) {
        let failure = explain("jobs/Dockerfile", DOCKERFILE, target, step, error);
        (failure.id(), failure.to_string())
    }

    #[test]
    fn a_step_is_found_in_its_dockerfile() {
        assert_eq!(line_of(DOCKERFILE, "[a 2/3] RUN one &&     two"), Some(3));
        assert_eq!(line_of(DOCKERFILE, "[a 3/3] COPY x /y"), Some(6));
        assert_eq!(line_of(DOCKERFILE, "[a 3/3] WORKDIR /opt/flink/v1"), Some(7));
        assert_eq!(line_of(DOCKERFILE, "[a 3/3] RUN other"), None);
        assert_eq!(line_of(DOCKERFILE, "exporting to image"), None);
    }

    #[test]
    fn syntax_errors_have_their_line_in_every_wording() {
        for error in [
            "failed to solve with frontend dockerfile.v0: failed to create LLB definition: dockerfile parse error line 3: unknown instruction: RUNN",
            "failed to solve: dockerfile parse error on line 3: unknown instruction: RUNN (status 500)",
        ] {
            let expected = (
                Reason::ImageBuildFailed,
                "jobs/Dockerfile:3: unknown instruction: RUNN".to_owned(),
            );
            assert_eq!(shown("", None, error), expected);
        }
    }

    #[test]
    fn an_unknown_stage_names_those_that_there_are() {
        for error in [
            "failed to solve with frontend dockerfile.v0: failed to create LLB definition: failed to reach build target job in Dockerfile",
            "failed to solve: target stage \"job\" could not be found",
        ] {
            let failure = explain("Dockerfile", DOCKERFILE, "job", None, error);
            assert_eq!(failure.to_string(), "Dockerfile: there is no stage `job`");
            assert_eq!(failure.next_steps(), ["--target jobs"]);
            assert!(failure.detail().evidence[0].contains("Dockerfile:8: jobs"));
        }
    }

    #[test]
    fn a_base_that_cannot_be_had_tells_why() {
        let step = (
            "[internal] load metadata for r.example/library/flink:2.2.1",
            "dial tcp: lookup r.example: no such host",
        );
        let (reason, text) = shown("", Some(step), "failed to solve");
        assert_eq!(reason, Reason::ImagePullFailed);
        assert_eq!(
            text,
            "jobs/Dockerfile:8: flink:2.2.1 is not in the engine, and its registry does not answer"
        );
        let step = (
            "[internal] load metadata for r.example/library/nowhere:latest",
            "pull access denied",
        );
        let failure = explain("Dockerfile", DOCKERFILE, "", Some(step), "failed to solve");
        assert_eq!(
            failure.to_string(),
            "Dockerfile:9: nowhere is not in the engine, and no registry gives it"
        );
        assert_eq!(failure.next_steps()[0], "name a stage of Dockerfile, or an image");
    }

    #[test]
    fn a_file_that_is_not_there_has_its_line() {
        let step = (
            "[a 3/3] COPY x /y",
            "failed to compute cache key: \"/x\" not found: not found",
        );
        let failure = explain("Dockerfile", DOCKERFILE, "", Some(step), "failed to solve");
        assert_eq!(failure.to_string(), "Dockerfile:6: [a 3/3] COPY x /y");
        assert!(failure.detail().evidence[0].contains("\"/x\" not found"), "{failure:?}");
    }
}
