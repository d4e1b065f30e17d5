//! Very many scripts that nobody wrote: the SQL runner's tests make the same ones, by the same rule, and both must come
//! to the same digests (see the corpus' README).

use std::fmt::Write as _;

use serde::Deserialize;

use super::{Statement, split, substitute};

#[derive(Deserialize)]
struct Generated {
    seed: u64,
    block: usize,
    pieces: Vec<String>,
    digests: Vec<String>,
}

struct Generator<'a> {
    pieces: &'a [String],
    state: u64,
}

impl Generator<'_> {
    fn next(&mut self, bound: usize) -> usize {
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) as usize % bound
    }

    fn script(&mut self) -> String {
        let mut script = String::new();
        for _ in 0..=self.next(24) {
            script.push_str(&self.pieces[self.next(self.pieces.len())]);
            if self.next(2) == 1 {
                script.push(' ');
            }
        }
        script
    }
}

/// FNV-1a of 64 bits.
struct Digest(u64);

impl Digest {
    fn put(&mut self, text: &str) {
        for byte in text.bytes().chain([b'\n']) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
    }

    fn script(&mut self, script: &str) {
        match split(script) {
            Ok(statements) => self.statements(&statements),
            Err(error) => self.put(&format!(
                "!{}:{} {}",
                error.position.line, error.position.column, error.message
            )),
        }
        match substitute(script, |name| (name.len() == 1).then(|| format!("it's; \"{name}\""))) {
            Ok(done) => self.put(&format!("={}", done.text)),
            Err(problem) => self.put(&format!("!{}:{}", problem.position.line, problem.position.column)),
        }
    }

    fn statements(&mut self, statements: &[Statement<'_>]) {
        for statement in statements {
            let kind = serde_json::to_string(&statement.kind).unwrap();
            let place = statement.position;
            self.put(&format!(
                "{} {}:{} {}",
                kind.trim_matches('"'),
                place.line,
                place.column,
                statement.text
            ));
            if let Some(setting) = &statement.setting {
                let mut line = format!("{}=", setting.key);
                write!(line, "{}", setting.value.as_deref().unwrap_or_default()).unwrap();
                self.put(&line);
            }
            if let Some(connector) = &statement.connector {
                self.put(&connector.name);
            }
            self.put("[");
            self.statements(&statement.inner);
            self.put("]");
        }
    }
}

#[test]
fn generated_scripts_are_split_as_the_sql_runner_splits_them() {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/sql-runner/src/test/resources/corpus/generated/scripts.json"
    );
    let file: Generated = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let mut generator = Generator {
        pieces: &file.pieces,
        state: file.seed,
    };
    let found: Vec<String> = file
        .digests
        .iter()
        .map(|_| {
            let mut digest = Digest(0xcbf2_9ce4_8422_2325);
            for _ in 0..file.block {
                digest.script(&generator.script());
            }
            format!("{:016x}", digest.0)
        })
        .collect();
    assert!(found.len() >= 20);
    assert_eq!(found, file.digests);
}
