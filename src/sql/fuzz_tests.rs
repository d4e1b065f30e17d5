//! Half an hour of mutated scripts.

use std::time::{Duration, Instant};

use super::{lint, placeholders, split, substitute};

const LONG: Duration = Duration::from_secs(30 * 60);
/// A script of a few hundred bytes takes microseconds: one that takes this long hangs, even on a busy machine.
const HANGS: Duration = Duration::from_secs(20);
const PIECES: &[&str] = &[
    "'",
    "\"",
    "`",
    ";",
    "--",
    "//",
    "/*",
    "*/",
    "/*+",
    "\n",
    "\r",
    "\r\n",
    " ",
    "\t",
    "E'",
    "e'",
    "U&'",
    "\\",
    "(",
    ")",
    "=",
    "SET ",
    "RESET ",
    "BEGIN ",
    "END",
    "STATEMENT ",
    "EXECUTE ",
    "INSERT INTO ",
    "CREATE ",
    "TABLE ",
    "OR ",
    "REPLACE ",
    "MATERIALIZED ",
    "AS ",
    "WITH",
    "'connector'",
    "SELECT ",
    "COMPILE ",
    "PLAN ",
    "AND ",
    "x",
    "é",
    "😀",
    "\u{feff}",
    "\u{a0}",
    "\u{2028}",
    "\u{17f}",
    "$",
    "{",
    "}",
    "${a}",
    "${b:-",
    "$${",
    ":-",
    "\0",
    "\u{1c}",
    "\u{85}",
];

/// Xorshift: fast, and repeatable from its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound.max(1)
    }
}

fn mutated(random: &mut Random, pool: &[String]) -> String {
    let mut bytes = pool[random.below(pool.len())].clone().into_bytes();
    for _ in 0..=random.below(6) {
        let at = random.below(bytes.len() + 1);
        let to = at + random.below((bytes.len() - at).min(40) + 1);
        match random.below(6) {
            0 => drop(bytes.drain(at..to)),
            1 => drop(bytes.splice(at..at, PIECES[random.below(PIECES.len())].bytes())),
            2 => drop(bytes.splice(at..to, PIECES[random.below(PIECES.len())].bytes())),
            3 => {
                let copy = bytes[at..to].to_vec();
                let into = random.below(bytes.len() + 1);
                drop(bytes.splice(into..into, copy));
            }
            4 => {
                let other = pool[random.below(pool.len())].as_bytes();
                let from = random.below(other.len() + 1);
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = random.below(256) as u8;
                }
            }
        }
    }
    bytes.truncate(4000);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What must hold for any script; the statements, if it falls into some.
fn check(script: &str) -> Option<Vec<String>> {
    let _ = lint(script);
    let _ = placeholders(script);
    if let Ok(done) = substitute(script, |name| (name.len() < 3).then(|| "v'\"`;".to_owned())) {
        let _ = done.position(done.text.len());
        let _ = split(&done.text);
    }
    let statements = split(script).ok()?;
    let mut end = 0;
    for statement in &statements {
        assert!(statement.range.start >= end && statement.range.end > statement.range.start);
        assert_eq!(&script[statement.range.clone()], statement.text);
        end = statement.range.end;
        // a statement by itself is that statement
        let again = split(statement.text).unwrap();
        assert_eq!(again.len(), 1);
        assert_eq!((again[0].text, again[0].kind), (statement.text, statement.kind));
        assert_eq!(again[0].inner.len(), statement.inner.len());
    }
    Some(statements.iter().map(|statement| statement.text.to_owned()).collect())
}

#[test]
#[ignore = "runs for half an hour"]
#[expect(clippy::print_stderr, reason = "how much was tried is what the run is for")]
fn no_script_panics_hangs_or_falls_apart() {
    let mut pool: Vec<String> = super::tests::cases().into_iter().map(|case| case.script).collect();
    pool.extend(PIECES.iter().map(|piece| (*piece).to_owned()));
    let seed = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(1, |now| now.as_nanos() as u64 | 1);
    let mut random = Random(seed);
    let start = Instant::now();
    let (mut scripts, mut whole, mut slowest) = (0_u64, 0_u64, Duration::ZERO);
    let mut before = (String::new(), Vec::new());
    while start.elapsed() < LONG {
        for _ in 0..1000 {
            let script = mutated(&mut random, &pool);
            let begun = Instant::now();
            let outcome = std::panic::catch_unwind(|| check(&script));
            slowest = slowest.max(begun.elapsed());
            let Ok(statements) = outcome else {
                panic!("seed {seed}, script {scripts}: {script:?}");
            };
            assert!(
                begun.elapsed() < HANGS,
                "seed {seed}, script {scripts} hangs: {script:?}"
            );
            scripts += 1;
            let Some(statements) = statements else { continue };
            whole += 1;
            // two scripts one after the other are the statements of both; the line's end closes a comment
            let both = format!("{}\n;{script}", before.0);
            let found: Vec<String> = split(&both).unwrap().iter().map(|s| s.text.to_owned()).collect();
            let expected: Vec<String> = before.1.iter().chain(&statements).cloned().collect();
            assert_eq!(found, expected, "seed {seed}, script {scripts}: {both:?}");
            before = (script, statements);
        }
    }
    let seconds = start.elapsed().as_secs().max(1);
    let rate = scripts / seconds;
    eprintln!(
        "{scripts} scripts in {seconds} s ({rate} a second), {whole} of them whole, the slowest {slowest:?}, seed {seed}"
    );
}
