//! When a case is decided: pure, so that time and order of arrival can be tested.

use std::time::Duration;

use tokio::time::Instant;

use super::compare::Board;
use super::diff;
use super::forbid::Fence;
use super::observe::{Observed, observed};
use crate::config::{Expectation, Match};
use crate::flink::Phase;
use crate::kafka::Fetched;

/// How long nothing may come after the last expected record, so that a surplus record is seen.
pub(super) const QUIET: Duration = Duration::from_secs(1);
/// The same where no record tells that the job has got through its input: nothing at all is expected, or the verdict
/// is certain already and only the difference may still grow.
pub(super) const LONG_QUIET: Duration = Duration::from_secs(3);

/// How long it has to be quiet before the verdict: the longest that an expectation asks for; `forbids` tells whether records
/// are forbidden, too.
pub(super) fn quiet<'a>(expectations: impl Iterator<Item = &'a Expectation>, forbids: bool) -> Duration {
    let (mut asked, mut told) = (None, false);
    for expectation in expectations {
        let usual = if expectation.exactly { LONG_QUIET } else { QUIET };
        asked = asked.max(Some(expectation.quiet.unwrap_or(usual)));
        told |= !expectation.records.is_empty();
    }
    let asked = asked.unwrap_or(QUIET);
    // otherwise no record tells that the job has got through its input
    if told && !forbids { asked } else { asked.max(LONG_QUIET) }
}

/// All expectations of a case, and what was read.
#[derive(Debug)]
pub(super) struct Boards {
    /// The topics' names in Kafka, with the boards.
    boards: Vec<(String, Board)>,
    /// The topics' names in Kafka, with what is forbidden in them.
    fences: Vec<(String, Fence)>,
    /// When the last record was read.
    last: Option<Instant>,
    /// When the job was first seen to run, or to have ended.
    ran: Option<Instant>,
    /// When it was first seen that the job has taken one more checkpoint since.
    settled: Option<Instant>,
}

impl Boards {
    pub(super) fn new(boards: Vec<(String, Board)>, fences: Vec<(String, Fence)>) -> Self {
        Self {
            boards,
            fences,
            last: None,
            ran: None,
            settled: None,
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
            for (_, fence) in self.fences.iter_mut().filter(|(topic, _)| *topic == record.topic) {
                fence.add(record);
            }
        }
        if !records.is_empty() {
            self.last = Some(Instant::now());
        }
    }

    /// When the verdict can be given if nothing more is read; `None` while records are awaited. Without a running or
    /// ended job there is none.
    ///
    /// Only quiet is awaited once all expectations hold; or one can never hold again (see [`Board::lost`]), or a
    /// forbidden record came; or the job has ended. Where surplus is looked for with more patience, `settled` tells
    /// whether the job has taken one more checkpoint since.
    pub(super) fn verdict_at(&mut self, phase: &Phase, settled: bool) -> Option<Instant> {
        if matches!(phase, Phase::Waiting(_)) {
            return None;
        }
        self.settled = settled.then(|| self.settled.unwrap_or_else(Instant::now));
        let ran = *self.ran.get_or_insert_with(Instant::now);
        let quiet_from = self.last.map_or(ran, |last| last.max(ran));
        if *phase == Phase::Finished {
            // all that comes is in the topics already
            return Some(quiet_from + QUIET);
        }
        if self.lost() {
            return Some(quiet_from + LONG_QUIET);
        }
        if !self.boards_hold() || self.exactly() && !settled {
            return None;
        }
        let quiet = self.quiet();
        let at = match self.last {
            // records came before the job was seen to run: they are quiet since they came
            Some(last) if quiet <= QUIET => last + quiet,
            _ => quiet_from + quiet,
        };
        // a sink commits when it is told of the checkpoint, which is after the checkpoint is seen to be complete
        Some(match self.settled {
            Some(settled) if self.exactly() => at.max(settled + quiet),
            _ => at,
        })
    }

    /// How long after the end of its time a case may still wait for quiet.
    pub(super) fn patience(&self) -> Duration {
        self.quiet().max(LONG_QUIET) + QUIET
    }

    /// Whether more records than the expected ones are no matter.
    pub(super) fn others_may_come(&self) -> bool {
        self.iter().all(|b| b.expectation().mode == Match::Contains)
    }

    fn quiet(&self) -> Duration {
        quiet(self.iter().map(Board::expectation), !self.fences.is_empty())
    }

    /// Whether an expectation asks for one more checkpoint before its verdict.
    pub(super) fn exactly(&self) -> bool {
        self.iter().any(|board| board.expectation().exactly)
    }

    fn lost(&self) -> bool {
        self.iter().any(Board::lost) || self.fences.iter().any(|(_, fence)| !fence.hits().is_empty())
    }

    /// Whether all expected records are there, and no others.
    pub(super) fn boards_hold(&self) -> bool {
        self.iter().all(|b| b.outcome().holds())
    }

    /// Whether every expectation holds at this moment.
    pub(super) fn hold(&self) -> bool {
        self.boards_hold() && self.fences.iter().all(|(_, fence)| fence.hits().is_empty())
    }

    /// The difference of what was expected and what was seen, for people; none if all holds.
    pub(super) fn difference(&self) -> Vec<String> {
        let boards = self.iter().flat_map(|b| diff::lines(b, b.outcome()));
        boards
            .chain(self.fences.iter().flat_map(|(_, fence)| diff::forbidden(fence)))
            .collect()
    }

    /// What would have to be expected so that all holds; and whether that is enough, since nothing forbidden came.
    pub(super) fn observed(&self) -> (Vec<Observed>, bool) {
        let fences = self.fences.iter().all(|(_, fence)| fence.hits().is_empty());
        (self.iter().filter_map(observed).collect(), fences)
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
