//! Where a chain broke, and what was done to it.
//!
//! A chain shows that two neighbours do not fit, not which of them is wrong, nor why. The lines
//! that follow, their number, and the signed root tell more. The rules here choose the smallest
//! alteration that explains what is seen; a log that was altered in several places may be named
//! by another word, but the first bad position stays where the first alteration is.

use super::{Problem, ProblemKind};
use crate::Hash;
use crate::checkpoint::Checkpoint;
use crate::tree::Frontier;
use std::cmp::Ordering;
use std::collections::VecDeque;

/// Leaf hashes kept of the records before a break, to recognise a repeated record. 1,024 of them
/// are 32 KiB.
pub(super) const RECENT: usize = 1024;

/// Lines kept after a break.
const KEPT: usize = 2;

/// One line of `records.jsonl`.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// Position and previous leaf hash, when the line is a record in canonical form.
    pub(super) read: Option<(u64, Hash)>,
    pub(super) leaf: Hash,
    /// Whether a line feed ended it.
    pub(super) ended: bool,
}

/// The last line that fitted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fitted {
    pub(super) leaf: Hash,
    pub(super) prev: Hash,
}

/// A chain from its first line that does not fit.
#[derive(Debug)]
pub(super) struct Break {
    /// Lines that fitted; the position that was expected next.
    at: u64,
    before: Option<Fitted>,
    /// The tree without the last line that fitted.
    frontier: Frontier,
    recent: VecDeque<Hash>,
    first: Line,
    after: Vec<Line>,
    lines: u64,
    /// The line at which the record that was expected stands after all.
    found: Option<u64>,
}

impl Break {
    pub(super) fn new(
        at: u64,
        before: Option<Fitted>,
        frontier: Frontier,
        recent: VecDeque<Hash>,
        first: Line,
    ) -> Self {
        Self { at, before, frontier, recent, first, after: Vec::new(), lines: at + 1, found: None }
    }

    /// Lines so far.
    pub(super) const fn lines(&self) -> u64 {
        self.lines
    }

    pub(super) fn add(&mut self, line: Line) {
        if self.found.is_none() && line.read == Some((self.at, self.last())) {
            self.found = Some(self.lines);
        }
        self.lines += 1;
        if self.after.len() < KEPT {
            self.after.push(line);
        }
    }

    fn last(&self) -> Hash {
        self.before.map_or(Hash::ZERO, |before| before.leaf)
    }

    /// Says what was done, given what the checkpoint claims.
    pub(super) fn conclude(&self, checkpoint: Option<&Checkpoint>) -> Problem {
        let at = self.at;
        let count = checkpoint.map(|checkpoint| self.lines.cmp(&checkpoint.size));
        if !self.first.ended {
            return Problem::at(
                at,
                ProblemKind::Truncated,
                "the file ends in the middle of this record",
            );
        }
        if let Some(problem) = self.repeated(count) {
            return problem;
        }
        if count == Some(Ordering::Greater)
            && let Some(problem) = self.inserted(checkpoint)
        {
            return problem;
        }
        match (self.first.read, self.found) {
            (Some((seq, _)), Some(line)) if seq != at => Problem::at(
                at,
                ProblemKind::Reordered,
                &format!("record {seq} stands here; record {at} stands in line {}", line + 1),
            ),
            (Some((seq, _)), None) if seq > at && count != Some(Ordering::Equal) => Problem::at(
                at,
                ProblemKind::Deleted,
                &match seq - at {
                    1 => format!("record {at} is missing; record {seq} stands here"),
                    _ => {
                        format!("records {at} to {} are missing; record {seq} stands here", seq - 1)
                    }
                },
            ),
            (_, Some(_)) => Problem::at(
                at,
                ProblemKind::Inserted,
                "this line is no record of the log; the right one follows",
            ),
            _ => self.edited(checkpoint),
        }
    }

    fn repeated(&self, count: Option<Ordering>) -> Option<Problem> {
        let (seq, _) = self.first.read?;
        let back = usize::try_from(self.at.checked_sub(seq)?).ok()?;
        let original = self.recent.len().checked_sub(back).and_then(|i| self.recent.get(i))?;
        // A copy in the place of another record, with nothing added, is told as an edit.
        (*original == self.first.leaf && (count != Some(Ordering::Equal) || self.found.is_some()))
            .then(|| {
                Problem::at(
                    self.at,
                    ProblemKind::Duplicated,
                    &format!("record {seq} stands here once more"),
                )
            })
    }

    fn inserted(&self, checkpoint: Option<&Checkpoint>) -> Option<Problem> {
        let at = self.at;
        let size = checkpoint.map(|checkpoint| checkpoint.size);
        // The line before fitted, but this one claims the same place and the rest follows it.
        if let (Some(before), Some((seq, prev))) = (self.before, self.first.read)
            && seq.checked_add(1) == Some(at)
            && prev == before.prev
            && self.follows_first(checkpoint, &[self.first.leaf])
        {
            return Some(Problem::at(
                seq,
                ProblemKind::Inserted,
                "two records claim this position; the log goes on from the second",
            ));
        }
        if size.is_some_and(|size| at >= size) {
            return Some(Problem::at(
                at,
                ProblemKind::Inserted,
                "this line is beyond the signed size",
            ));
        }
        // An unreadable line that replaced the expected record is an edit, not an addition.
        (self.found.is_some() || self.first.read.is_some_and(|(seq, _)| seq != at)).then(|| {
            Problem::at(
                at,
                ProblemKind::Inserted,
                "this line is no record of the log at this place",
            )
        })
    }

    fn edited(&self, checkpoint: Option<&Checkpoint>) -> Problem {
        let at = self.at;
        if let (Some(previous), Some((seq, prev))) = (at.checked_sub(1), self.first.read)
            && seq == at
            && self.follows_first(checkpoint, &[prev, self.first.leaf])
        {
            return Problem::at(
                previous,
                ProblemKind::Edited,
                "the records after it were made over other bytes than stand here",
            );
        }
        let words = match self.first.read {
            None => "the bytes are not a record in canonical form",
            Some((seq, _)) if seq != at => "the record claims another position",
            Some(_) => "the record does not follow from the one before it",
        };
        Problem::at(at, ProblemKind::Edited, words)
    }

    /// Whether the log goes on from the first line that did not fit: the next line names its leaf,
    /// or, when there is none, the signed root is that of the tree with `leaves` at the end.
    fn follows_first(&self, checkpoint: Option<&Checkpoint>, leaves: &[Hash]) -> bool {
        if let Some(next) = self.after.first() {
            return next.read.is_some_and(|(_, prev)| prev == self.first.leaf);
        }
        let mut frontier = self.frontier.clone();
        for leaf in leaves {
            frontier.push(*leaf);
        }
        checkpoint.is_some_and(|checkpoint| {
            checkpoint.size == frontier.size() && checkpoint.root == frontier.root()
        })
    }
}
