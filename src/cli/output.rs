//! The only way out for text. Standard output is for results that can be piped, standard error for everything else.

use std::io::{self, Write};

use crate::env::Env;

/// When colours are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ColorChoice {
    /// On a terminal that understands them, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What may be drawn on the two outputs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    /// Colours and marks.
    pub(super) color: bool,
    /// Lines that are drawn over.
    pub(super) live: bool,
}

impl Style {
    /// The style of standard error.
    pub(super) fn stderr(env: &Env, choice: ColorChoice) -> Self {
        Self::of(env, choice, env.stderr_is_terminal)
    }

    /// The style of standard output.
    pub(super) fn stdout(env: &Env, choice: ColorChoice) -> Self {
        Self::of(env, choice, env.stdout_is_terminal)
    }

    fn of(env: &Env, choice: ColorChoice, is_terminal: bool) -> Self {
        let smart = env.smart_terminal(is_terminal);
        Self {
            color: match choice {
                ColorChoice::Auto => smart,
                ColorChoice::Always => true,
                ColorChoice::Never => false,
            },
            live: smart && choice != ColorChoice::Never,
        }
    }

    /// `text` in an ANSI colour (SGR parameter), or as it is.
    pub(super) fn paint(self, sgr: &str, text: &str) -> String {
        if self.color {
            format!("\x1b[{sgr}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// Green, for what is well.
    pub(super) fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// Red, for what failed.
    pub(super) fn bad(self, text: &str) -> String {
        self.paint("31;1", text)
    }

    /// Yellow, for what needs a look.
    pub(super) fn warn(self, text: &str) -> String {
        self.paint("33", text)
    }

    /// Dim, for details.
    pub(super) fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    /// Bold, for what a person looks for.
    pub(super) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// Cyan, for commands and paths.
    pub(super) fn code(self, text: &str) -> String {
        self.paint("36", text)
    }
}

/// Writes a result to standard output. A reader that went away (`dev status | head -1`) is not an error.
pub(super) fn result(text: &str) {
    write_all(&mut io::stdout().lock(), text);
}

/// Writes a line of progress or an error to standard error.
pub(super) fn message(text: &str) {
    write_all(&mut io::stderr().lock(), text);
}

/// Many lines for standard output, buffered; knows when nobody reads them any more.
#[derive(Debug)]
pub(super) struct Lines {
    out: io::BufWriter<io::StdoutLock<'static>>,
    open: bool,
}

impl Lines {
    pub(super) fn new() -> Self {
        Self {
            out: io::BufWriter::with_capacity(1 << 16, io::stdout().lock()),
            open: true,
        }
    }

    /// Adds a line.
    pub(super) fn line(&mut self, line: &[u8]) {
        if self.open {
            let written = self.out.write_all(line).and_then(|()| self.out.write_all(b"\n"));
            self.open = written.is_ok();
        }
    }

    /// Hands out what is buffered; tells whether somebody still reads.
    pub(super) fn flush(&mut self) -> bool {
        self.open = self.open && self.out.flush().is_ok();
        self.open
    }
}

/// Rows in columns, two blanks apart; the last column is as wide as it is.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let lines: Vec<String> = rows
        .iter()
        .map(|row| {
            let cells = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell}{}", " ".repeat(width.saturating_sub(cell.chars().count()))));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        })
        .collect();
    lines.join("\n")
}

fn write_all(out: &mut impl Write, text: &str) {
    // nobody is left to be told when this fails
    let _ = out
        .write_all(text.as_bytes())
        .and_then(|()| out.write_all(b"\n"))
        .and_then(|()| out.flush());
}

/// `1.2 s`, `2 min 05 s`.
pub(super) fn human_duration(duration: std::time::Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 59.95 {
        format!("{seconds:.1} s")
    } else {
        let whole = duration.as_secs_f64().round() as u64;
        format!("{} min {:02} s", whole / 60, whole % 60)
    }
}

/// `812 MB`, decimal as engines and disks count.
pub(super) fn human_bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 999.5 && unit < UNITS.len() - 1 {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 || value >= 99.95 {
        format!("{value:.0} {}", UNITS[unit])
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn durations_and_sizes_read_well() {
        assert_eq!(human_duration(Duration::from_millis(1234)), "1.2 s");
        assert_eq!(human_duration(Duration::from_millis(59_960)), "1 min 00 s");
        assert_eq!(human_duration(Duration::from_secs(125)), "2 min 05 s");
        assert_eq!(human_bytes(999), "999 B");
        assert_eq!(human_bytes(1_500_000), "1.5 MB");
        assert_eq!(human_bytes(999_700), "1.0 MB");
        assert_eq!(human_bytes(812_000_000), "812 MB");
    }
}
