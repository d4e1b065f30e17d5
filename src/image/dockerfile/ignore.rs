//! `.dockerignore` (<https://docs.docker.com/build/concepts/context/#dockerignore-files>). Pure.

/// The patterns of a file, the last one that matches decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ignore {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    line: usize,
    keep: bool,
    parts: Vec<String>,
}

impl Ignore {
    pub(super) fn parse(text: &str) -> Self {
        let rules = text.trim_start_matches('\u{feff}').lines().enumerate();
        let rules = rules.filter_map(|(number, line)| {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                return None;
            }
            let (keep, pattern) = match line.strip_prefix('!') {
                Some(rest) => (true, rest.trim()),
                None => (false, line),
            };
            let mut parts: Vec<String> = Vec::new();
            for part in pattern.split('/') {
                match part {
                    "" | "." => {}
                    ".." => {
                        parts.pop();
                    }
                    part => parts.push(part.to_owned()),
                }
            }
            // `.` and `/` alone mean nothing
            (!parts.is_empty()).then_some(Rule {
                line: number + 1,
                keep,
                parts,
            })
        });
        Self { rules: rules.collect() }
    }

    /// The line of the pattern that leaves a path out (relative, with `/`), if one does.
    pub(super) fn by(&self, path: &str) -> Option<usize> {
        let parts: Vec<&str> = path.split('/').collect();
        let decides = self
            .rules
            .iter()
            .rev()
            .find(|rule| (1..=parts.len()).any(|length| matches(&rule.parts, &parts[..length])))?;
        (!decides.keep).then_some(decides.line)
    }

    /// Whether something below a folder that is left out may come back by a `!`.
    pub(super) fn has_exceptions(&self) -> bool {
        self.rules.iter().any(|rule| rule.keep)
    }
}

/// Whether a pattern is that of a whole path; `**` stands for any number of folders.
fn matches(pattern: &[String], path: &[&str]) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (None, None) => true,
        (Some((first, rest)), _) if first == "**" => {
            // at its end it stands for what is below, as `/**` does with Go's matcher
            (0..=path.len()).any(|skip| matches(rest, &path[skip..])) && (!rest.is_empty() || !path.is_empty())
        }
        (Some((first, rest)), Some((name, below))) => {
            let (first, name): (Vec<char>, Vec<char>) = (first.chars().collect(), name.chars().collect());
            glob(&first, &name) && matches(rest, below)
        }
        _ => false,
    }
}

/// A pattern of one name: `*`, `?`, `[a-z]`, `[^a-z]`, `\` before a character that is meant as it is.
fn glob(pattern: &[char], name: &[char]) -> bool {
    match pattern {
        [] => name.is_empty(),
        ['*', rest @ ..] => (0..=name.len()).any(|skip| glob(rest, &name[skip..])),
        ['[', rest @ ..] => {
            let Some(end) = rest.iter().skip(1).position(|c| *c == ']').map(|at| at + 1) else {
                return false;
            };
            let Some((first, below)) = name.split_first() else {
                return false;
            };
            class(&rest[..end], *first) && glob(&rest[end + 1..], below)
        }
        [one, rest @ ..] => {
            let (one, rest) = match (one, rest) {
                ('\\', [escaped, rest @ ..]) => (Some(*escaped), rest),
                ('?', rest) => (None, rest),
                (one, rest) => (Some(*one), rest),
            };
            name.split_first()
                .is_some_and(|(first, below)| one.is_none_or(|one| one == *first) && glob(rest, below))
        }
    }
}

fn class(set: &[char], c: char) -> bool {
    let (not, mut set) = match set {
        ['^', rest @ ..] => (true, rest),
        set => (false, set),
    };
    let mut found = false;
    while let Some((low, rest)) = set.split_first() {
        if let ['-', high, after @ ..] = rest {
            found |= (*low..=*high).contains(&c);
            set = after;
        } else {
            found |= *low == c;
            set = rest;
        }
    }
    found != not
}

#[cfg(test)]
mod tests {
    use super::*;

    fn out(text: &str, path: &str) -> bool {
        Ignore::parse(text).by(path).is_some()
    }

    #[test]
    fn the_documented_patterns() {
        // the examples of Docker's documentation
        for (pattern, inside, outside) in [
            ("*/temp*", "somedir/temporary.txt", "a/b/temporary.txt"),
            ("*/*/temp*", "somedir/subdir/temporary.txt", "somedir/temporary.txt"),
            ("temp?", "tempa", "temp"),
            ("**/*.go", "a/b/c.go", "a/b/c.gone"),
            ("**/*.go", "c.go", "go"),
            ("/foo/bar/", "foo/bar/x", "foo/baz"),
            ("./target", "target/classes/A.class", "x/target"),
            ("docs/**", "docs/a/b", "doc"),
            ("[a-c]*.txt", "b1.txt", "d1.txt"),
            ("[^a-c].txt", "d.txt", "a.txt"),
            (r"a\*b", "a*b", "axb"),
        ] {
            assert!(out(pattern, inside), "{pattern} leaves out {inside}");
            assert!(!out(pattern, outside), "{pattern} lets {outside} in");
        }
    }

    #[test]
    fn the_last_one_that_matches_decides() {
        let text = "# all but one\n*.md\n!README*.md\nREADME-secret.md\n\n";
        let ignore = Ignore::parse(text);
        assert_eq!(ignore.by("a.md"), Some(2));
        assert_eq!(ignore.by("README.md"), None);
        assert_eq!(ignore.by("README-secret.md"), Some(4));
        assert!(ignore.has_exceptions());
        // what is below a folder that is left out can come back
        let ignore = Ignore::parse("target\n!target/app.jar");
        assert_eq!((ignore.by("target/x"), ignore.by("target/app.jar")), (Some(1), None));
        assert_eq!(Ignore::parse("\u{feff}.\n/\n!").rules.len(), 0);
    }

    proptest::proptest! {
        #[test]
        fn no_pattern_breaks_it(text in "[*?!\\[\\]^a\\\\/.\\-\n]{0,24}", path in "[a./]{1,12}") {
            let _ = Ignore::parse(&text).by(&path);
        }
    }
}
