//! Secrets in evidence: what looks like one is not shown to whoever reads a report.

use std::sync::LazyLock;

use regex::{Captures, Regex};

/// What stands for a secret.
const MASK: &str = "***";

/// A name that a secret stands behind, what is between, and the secret, with or without quotes.
static NAMED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let names = "password|passwd|passphrase|secret|token|credentials?|api[-_. ]?key|access[-_. ]?key|private[-_. ]?key";
    Regex::new(&format!(
        r#"(?i)((?:{names})[\w.-]*\\?["']?\s*(?:=>|[:=])\s*)("(?:[^"\\]|\\.)*"|\\+"[^"\\]*\\+"|'(?:[^']|'')*'|[^\s"',;}}\])]+)"#
    ))
    .ok()
});
/// `Bearer …` and `Basic …` of HTTP.
static HTTP: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i)\b(bearer|basic)(\s+)([A-Za-z0-9+/=_.~-]{8,})").ok());
/// The password of a URL.
static URL: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(://[^/\s:@]+:)([^/\s@]+)(@)").ok());

/// A text without what looks like a secret.
pub(super) fn mask(text: &str) -> String {
    let replace = |regex: &Option<Regex>, text: String, with: &dyn Fn(&Captures<'_>) -> String| match regex {
        Some(regex) => regex
            .replace_all(&text, |found: &Captures<'_>| with(found))
            .into_owned(),
        None => text,
    };
    let text = replace(&URL, text.to_owned(), &|found| {
        format!("{}{MASK}{}", &found[1], &found[3])
    });
    let text = replace(&HTTP, text, &|found| format!("{}{}{MASK}", &found[1], &found[2]));
    replace(&NAMED, text, &|found| {
        let secret = &found[2];
        // the quotes stay, with the backslashes of a text within a text
        let is_quote = |c: char| matches!(c, '\\' | '"' | '\'');
        let open = secret.len() - secret.trim_start_matches('\\').len();
        let open = if secret[open..].starts_with(['"', '\'']) {
            open + 1
        } else {
            0
        };
        let shut = match open {
            0 => "",
            1 => &secret[secret.len() - 1..],
            _ => &secret[secret.trim_end_matches(is_quote).len()..],
        };
        format!("{}{}{MASK}{shut}", &found[1], &secret[..open])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_secret_is_masked() {
        for (text, shown) in [
            (
                "'password' = 'hunter2', 'topic' = 'x'",
                "'password' = '***', 'topic' = 'x'",
            ),
            (
                r#"{"s3.secret-key": "abc", "n": 1}"#,
                r#"{"s3.secret-key": "***", "n": 1}"#,
            ),
            (
                r#"module required username="u" password="p w";"#,
                r#"module required username="u" password="***";"#,
            ),
            (r#""jaas": "u password=\"x\" z""#, r#""jaas": "u password=\"***\" z""#),
            (r#"password: "p\"w", n"#, r#"password: "***", n"#),
            ("ssl.keystore.password: changeit", "ssl.keystore.password: ***"),
            ("Authorization: Bearer abcdefgh.ijkl", "Authorization: Bearer ***"),
            ("jdbc:postgres://me:pw@host/db", "jdbc:postgres://me:***@host/db"),
            ("AWS_SECRET_ACCESS_KEY=AKIA/x+y", "AWS_SECRET_ACCESS_KEY=***"),
            ("token=a,b", "token=***,b"),
            ("'password' = 'ab''cd', 'n' = '1'", "'password' = '***', 'n' = '1'"),
        ] {
            assert_eq!(mask(text), shown);
        }
        let plain = "the tokenizer read 3 keys: id=17; key {\"region\":\"EU\"}";
        assert_eq!(mask(plain), plain);
    }
}
