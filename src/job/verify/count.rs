//! Whether a stream of numbers came through: each once, with a running count that never began anew. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::diag::{Failure, Reason, Result};

/// How many numbers of each kind are shown.
const SHOWN: usize = 5;

/// A counted stream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Numbers that went in: 1, 2, 3 and so on.
    pub fed: u64,
    /// Records that came out, committed.
    pub read: u64,
    /// Numbers that never came out.
    pub lost: u64,
    /// Records that came out once more.
    pub doubled: u64,
    /// Records whose running count is not their number: the state behind it was lost or counted twice.
    pub miscounted: u64,
    /// The first ones of each, for people.
    #[serde(skip)]
    pub examples: Vec<String>,
}

impl Count {
    /// Compares what came out (number, running count), in order, with the numbers from 1 to `fed`.
    pub fn of(fed: u64, records: &[(u64, u64)]) -> Self {
        let mut times: BTreeMap<u64, u64> = BTreeMap::new();
        let mut count = Self {
            fed,
            read: records.len() as u64,
            ..Self::default()
        };
        let mut wrong = Vec::new();
        for (number, seen) in records {
            *times.entry(*number).or_default() += 1;
            if number != seen {
                count.miscounted += 1;
                wrong.push(format!("{number} was counted as {seen}"));
            }
        }
        let lost: Vec<String> = (1..=fed)
            .filter(|n| !times.contains_key(n))
            .map(|n| n.to_string())
            .collect();
        let more: Vec<String> = times
            .iter()
            .filter(|(number, times)| **times > 1 || **number == 0 || **number > fed)
            .map(|(number, times)| format!("{number} ({times} times)"))
            .collect();
        count.lost = lost.len() as u64;
        count.doubled = times.values().map(|times| times - 1).sum();
        for (what, all) in [
            ("lost", lost),
            ("came out more than once", more),
            ("counted anew", wrong),
        ] {
            if !all.is_empty() {
                let dots = if all.len() > SHOWN { ", …" } else { "" };
                let first = all[..all.len().min(SHOWN)].join(", ");
                count.examples.push(format!("{what}: {first}{dots}"));
            }
        }
        count
    }

    /// Whether each number came out once, with its count.
    pub fn is_exact(&self) -> bool {
        self.examples.is_empty() && self.read == self.fed
    }

    /// The count itself, or what is wrong with it.
    ///
    /// # Errors
    /// [`Reason::VerifyFailed`] with the first numbers.
    pub fn exact(self) -> Result<Self> {
        if self.is_exact() {
            return Ok(self);
        }
        let message = format!(
            "the counted stream is not whole: {} lost, {} doubled, {} counted anew, of {}",
            self.lost, self.doubled, self.miscounted, self.fed
        );
        let failure = Failure::new(Reason::VerifyFailed, message);
        Err(self.examples.into_iter().fold(failure, Failure::evidence))
    }
}
