//! What Maven says of a failure: pure.

/// The lines that Maven marks as errors, without the mark, each once; the advice at its end is left out.
pub(in crate::image) fn errors(output: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for line in output.lines() {
        let Some(text) = plain(line).strip_prefix("[ERROR]").map(|t| t.trim().to_owned()) else {
            continue;
        };
        let advice = [
            "-> [Help",
            "To see the full stack trace",
            "Re-run Maven",
            "For more information",
            "[Help 1]",
            "After correcting",
        ];
        let text = match text.find(" -> [Help") {
            Some(at) => text[..at].to_owned(),
            None => text,
        };
        if !text.is_empty() && !advice.iter().any(|a| text.starts_with(a)) && !found.contains(&text) {
            found.push(text);
        }
    }
    found
}

/// Without the colours of a terminal.
fn plain(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find('\x1b') {
        out.push_str(&rest[..at]);
        rest = rest[at..].find('m').map_or("", |end| &rest[at + end + 1..]);
    }
    out.push_str(rest);
    out.trim_start().to_owned()
}

/// Why an artifact could not be had, in one sentence, if that is what went wrong.
pub(in crate::image) fn unavailable(output: &str) -> Option<String> {
    let errors = errors(output);
    let says = |needles: &[&str]| errors.iter().find(|line| needles.iter().any(|n| line.contains(n)));
    let why = if says(&["Checksum validation failed", "checksum validation failed"]).is_some() {
        "its checksum does not match"
    } else if says(&[
        "status code: 403",
        "Forbidden",
        "status code: 401",
        "Unauthorized",
        "status: 403",
        "status: 401",
    ])
    .is_some()
    {
        "the repository refuses it"
    } else if says(&["Could not find artifact", "was not found in", "status: 404"]).is_some() {
        "the repository does not have it"
    } else if says(&["PKIX", "certificate"]).is_some() {
        "the repository's certificate is not trusted"
    } else if says(&[
        "Could not transfer artifact",
        "Connection refused",
        "timed out",
        "Unknown host",
        "UnknownHost",
    ])
    .is_some()
    {
        "the repository cannot be reached"
    } else {
        return None;
    };
    Some(why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_once_and_without_advice() {
        let output = "\x1b[0m[INFO] x\n[\u{1b}[1;31mERROR\x1b[m] first\n[ERROR] first\n[ERROR] second -> [Help 1]\n[ERROR]\n\
                      [ERROR] Re-run Maven using the -X switch\n[ERROR] [Help 1] http://x\n";
        assert_eq!(errors(output), ["first", "second"]);
    }

    #[test]
    fn why_an_artifact_is_not_there_is_one_sentence() {
        for (output, why) in [
            (
                "[ERROR] a:b:jar:1 was not found in https://r during a previous attempt.",
                "does not have it",
            ),
            (
                "[ERROR] Could not find artifact a:b:jar:1 in central (https://r)",
                "does not have it",
            ),
            (
                "[ERROR] Could not transfer artifact a:b:jar:1 from/to central (https://r): status code: 403, reason phrase: Forbidden (403)",
                "refuses it",
            ),
            (
                "[ERROR] Could not transfer artifact a:b:jar:1: r: Temporary failure in name resolution",
                "cannot be reached",
            ),
            (
                "[ERROR] Could not transfer artifact a: PKIX path building failed",
                "certificate is not trusted",
            ),
            (
                "[ERROR] Could not transfer artifact a: Checksum validation failed, expected 1 but is 2",
                "checksum does not match",
            ),
        ] {
            assert!(unavailable(output).unwrap().contains(why), "{output}");
        }
        assert_eq!(unavailable("[ERROR] COMPILATION ERROR :"), None);
    }
}
