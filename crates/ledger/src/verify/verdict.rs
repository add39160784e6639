//! What verification found, as data.

use super::{Anchored, DisposedAt, Exposure, PrunedAt, Witnessed};
use crate::{Hash, Time};
use serde::Serialize;
use std::fmt;

/// What kind of fault was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// A record's bytes were altered.
    Edited,
    /// Records are missing.
    Deleted,
    /// A line was added.
    Inserted,
    /// Records stand in another order.
    Reordered,
    /// A record stands twice.
    Duplicated,
    /// The end is missing.
    Truncated,
    /// The log was written anew after an earlier checkpoint.
    Rewritten,
    /// A record contradicts the records before it.
    Inconsistent,
    /// Sealed content is not what the records commit to.
    Content,
    /// A record's time contradicts a time stamp.
    Misdated,
    /// An anchor does not hold.
    Anchor,
    /// A signature does not hold, or is by a key that is not trusted.
    Signature,
    /// The bundle is not of the format.
    Format,
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Edited => "edited",
            Self::Deleted => "deleted",
            Self::Inserted => "inserted",
            Self::Reordered => "reordered",
            Self::Duplicated => "duplicated",
            Self::Truncated => "truncated",
            Self::Rewritten => "rewritten",
            Self::Inconsistent => "inconsistent",
            Self::Content => "content",
            Self::Misdated => "misdated",
            Self::Anchor => "anchor",
            Self::Signature => "signature",
            Self::Format => "format",
        })
    }
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The first bad position; absent when the fault is not at one record.
    pub at: Option<u64>,
    /// What kind of fault.
    pub kind: ProblemKind,
    /// What is wrong, in words.
    pub words: String,
}

impl Problem {
    pub(super) fn at(at: u64, kind: ProblemKind, words: &str) -> Self {
        Self { at: Some(at), kind, words: words.to_owned() }
    }

    pub(super) fn nowhere(kind: ProblemKind, words: &str) -> Self {
        Self { at: None, kind, words: words.to_owned() }
    }
}

/// Where the confidence in the signing key comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeySource {
    /// The key was given as trusted.
    Trusted,
    /// The first record names it, and a trusted earlier checkpoint covers that record.
    EarlierCheckpoint,
    /// Only the bundle itself names it: the check shows that the bundle agrees with itself.
    BundleOnly,
}

/// What verification found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Verdict {
    /// Whether nothing is wrong.
    pub good: bool,
    /// What is wrong, the first bad position first; at most [`MAX_PROBLEMS`](super::MAX_PROBLEMS).
    pub problems: Vec<Problem>,
    /// Problems beyond those.
    pub more_problems: u64,
    /// What is worth knowing and is no fault.
    pub warnings: Vec<String>,
    /// The log's name, when it is known.
    pub log: Option<String>,
    /// The organisation's name, as the first record has it.
    pub organisation: Option<String>,
    /// The verifier key, as the first record has it.
    pub verifier_key: Option<String>,
    /// Where the confidence in the key comes from; absent when the signature does not hold.
    pub key_source: Option<KeySource>,
    /// Lines of `records.jsonl`.
    pub records: u64,
    /// The size that the checkpoint states.
    pub checkpoint_size: Option<u64>,
    /// The root that the checkpoint states.
    pub checkpoint_root: Option<Hash>,
    /// Sizes of trusted earlier checkpoints that fit this log's beginning.
    pub earlier_trusted: Vec<u64>,
    /// Earlier checkpoints inside the bundle that fit, counted.
    pub earlier_inside: u64,
    /// Stamps of trusted authorities that hold, by the number of records that they cover.
    pub stamps: Vec<Anchored>,
    /// The longest time from what a record says to the first stamp over it: until then it could have
    /// been written anew.
    pub exposure: Option<Exposure>,
    /// Cosignatures of trusted witnesses that hold.
    pub witnessed: Vec<Witnessed>,
    /// Time of the first record.
    pub first: Option<Time>,
    /// Latest time of any record.
    pub last: Option<Time>,
    /// Prompts that were about to leave.
    pub intents: u64,
    /// Exchanges that ended.
    pub outcomes: u64,
    /// Intents without an outcome.
    pub open_intents: u64,
    /// Files of sealed content that were checked.
    pub blobs: u64,
    /// What was pruned; absent when all records are here.
    pub pruned: Option<PrunedAt>,
    /// What was disposed of, in order.
    pub disposed: Vec<DisposedAt>,
}

impl Verdict {
    /// The first problem.
    #[must_use]
    pub fn first_problem(&self) -> Option<&Problem> {
        self.problems.first()
    }
}
