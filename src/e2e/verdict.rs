//! When a case is decided: pure, so that time and order of arrival can be tested.

use std::time::Duration;

use tokio::time::Instant;

use super::compare::Board;
use crate::config::Match;
use crate::flink::Phase;
use crate::kafka::Fetched;

/// How long nothing may come after the last expected record, so that a surplus record is seen.
pub(super) const QUIET: Duration = Duration::from_secs(1);
/// The same where no record tells that the job has got through its input: nothing at all is expected, or the verdict
/// is certain already and only the difference may still grow.
pub(super) const LONG_QUIET: Duration = Duration::from_secs(3);

/// All expectations of a case, and what was read.
#[derive(Debug)]
pub(super) struct Boards {
    /// The topics' names in Kafka, with the boards.
    boards: Vec<(String, Board)>,
    /// When the last record was read.
    last: Option<Instant>,
    /// When the job was first seen to run, or to have ended.
    ran: Option<Instant>,
}

impl Boards {
    pub(super) fn new(boards: Vec<(String, Board)>) -> Self {
        Self {
            boards,
            last: None,
            ran: None,
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Board> {
        self.boards.iter().map(|(_, board)| board)
    }

    /// Takes over records.
    pub(super) fn add(&mut self, records: &[Fetched]) {
        for record in records {
            if let Some((_, board)) = self.boards.iter_mut().find(|(topic, _)| *topic == record.topic) {
                board.add(record);
            }
        }
        if !records.is_empty() {
            self.last = Some(Instant::now());
        }
    }

    /// When the verdict can be given if nothing more is read; `None` while records are awaited. Without a running or
    /// ended job there is none.
    ///
    /// Only quiet is awaited once all expectations hold; or one can never hold again, because a record was written
    /// that is not expected (a last value can still be replaced, an append cannot); or the job has ended.
    pub(super) fn verdict_at(&mut self, phase: &Phase) -> Option<Instant> {
        if matches!(phase, Phase::Waiting(_)) {
            return None;
        }
        let ran = *self.ran.get_or_insert_with(Instant::now);
        let outcomes: Vec<_> = self.iter().map(|b| (b.expectation().mode, b.outcome())).collect();
        let lost = outcomes
            .iter()
            .any(|(mode, o)| *mode == Match::Unordered && !o.unexpected.is_empty());
        let nothing = self.iter().all(|b| b.expected_len() == 0);
        if *phase == Phase::Finished {
            // all that comes is in the topics already
            return Some(self.last.map_or(ran, |last| last.max(ran)) + QUIET);
        }
        if !lost && !outcomes.iter().all(|(_, o)| o.holds()) {
            return None;
        }
        match self.last {
            Some(last) if !lost && !nothing => Some(last + QUIET),
            last => Some(last.map_or(ran, |last| last.max(ran)) + LONG_QUIET),
        }
    }

    /// Whether every expectation holds at this moment.
    pub(super) fn hold(&self) -> bool {
        self.iter().all(|b| b.outcome().holds())
    }

    /// What is still awaited, for people.
    pub(super) fn waiting(&self) -> String {
        let open = self.iter().filter_map(|board| {
            let outcome = board.outcome();
            let (of, topic) = (board.expected_len(), &board.expectation().topic);
            (!outcome.holds()).then(|| {
                let matched = of - outcome.missing.len();
                format!(
                    "topic {topic}: {matched} of {of} expected records, {} read",
                    board.read()
                )
            })
        });
        let open = open.collect::<Vec<_>>().join("; ");
        if open.is_empty() {
            "all there; whether another one comes".to_owned()
        } else {
            open
        }
    }
}
