//! The growing end of a log: all that must be known to seal its next record.

use crate::canon::Frame;
use crate::proof::TILE_LEVELS;
use crate::tree::{Complete, Frontier, leaf_hash};
use crate::{Event, Hash, LogId, Time, Unrecorded};
use std::borrow::Borrow;

/// The first byte of a stored head, so that another layout can be told apart.
const LAYOUT: u8 = 1;
const HASH_BYTES: usize = 32;

/// The end of a log: its size, the leaf hash of its last record, and the frontier of its tree.
///
/// Whoever appends holds one head per log and seals records through it, so that no record can get
/// a position or a previous hash other than the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    frontier: Frontier,
    last: Hash,
}

/// One sealed record: its exact bytes, its leaf hash, its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The bytes to store and to hash, never to be serialised again.
    pub bytes: Vec<u8>,
    /// The leaf hash of `bytes`.
    pub leaf: Hash,
    /// The position, from 0.
    pub seq: u64,
    /// Subtrees of 256, 65,536, ... leaves that it completes: what proofs are made of.
    pub complete: Vec<Complete>,
}

impl Default for Head {
    fn default() -> Self {
        Self::new()
    }
}

impl Head {
    /// The head of an empty log.
    #[must_use]
    pub fn new() -> Self {
        Self { frontier: Frontier::default(), last: Hash::ZERO }
    }

    /// Records in the log.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The root of the log's tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.frontier.root()
    }

    /// The leaf hash of the last record; all zeros when there is none.
    #[must_use]
    pub const fn last(&self) -> Hash {
        self.last
    }

    /// Seals `event` as the next record of `log` and moves the head behind it.
    ///
    /// That `log.opened` is the first record and no other is the caller's part; verification
    /// checks it.
    ///
    /// # Errors
    /// [`Unrecorded::TooLarge`] when the record is longer than [`crate::MAX_RECORD_BYTES`] or holds
    /// a number beyond 2^53 - 1. The head stays where it was.
    pub fn seal_next(
        &mut self,
        log: LogId,
        time: Time,
        event: impl Borrow<Event>,
    ) -> Result<Appended, Unrecorded> {
        let seq = self.size();
        let frame = Frame { v: crate::RECORD_VERSION, log, seq, prev: self.last, time };
        let (bytes, exact) = crate::canon::write(&frame, event.borrow());
        if !exact || bytes.len() > crate::MAX_RECORD_BYTES {
            return Err(Unrecorded::TooLarge);
        }
        // INVARIANT: what is sealed can be read back. The tests of the writer prove it; every test
        // that seals a record repeats it.
        debug_assert!(crate::is_canonical(&bytes), "a sealed record is canonical");
        let leaf = leaf_hash(&bytes);
        let complete = self.push(leaf);
        Ok(Appended { bytes, leaf, seq, complete })
    }

    /// Moves the head behind a leaf that is no record of this log: a checkpoint of another one.
    ///
    /// Returns the subtrees of 256, 65,536, ... leaves that it completes.
    pub fn push(&mut self, leaf: Hash) -> Vec<Complete> {
        let mut complete = Vec::new();
        self.frontier.push_and_tell(leaf, |subtree| {
            if subtree.level.is_multiple_of(TILE_LEVELS) {
                complete.push(subtree);
            }
        });
        self.last = leaf;
        complete
    }

    /// The head as bytes for one row of storage: at most 2,089.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let roots = self.frontier.roots();
        let mut bytes = Vec::with_capacity(1 + 8 + HASH_BYTES * (1 + roots.len()));
        bytes.push(LAYOUT);
        bytes.extend_from_slice(&self.size().to_be_bytes());
        bytes.extend_from_slice(self.last.as_bytes());
        for root in roots {
            bytes.extend_from_slice(root.as_bytes());
        }
        bytes
    }

    /// The reverse of [`Head::to_bytes`]; absent when the bytes are not a head.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(&[LAYOUT])?;
        let (size, rest) = rest.split_first_chunk::<8>()?;
        let (last, rest) = rest.split_first_chunk::<HASH_BYTES>()?;
        let size = u64::from_be_bytes(*size);
        let last = Hash::from_bytes(*last);
        let (roots, odd) = rest.as_chunks::<HASH_BYTES>();
        if !odd.is_empty() || (size == 0) != (last == Hash::ZERO) {
            return None;
        }
        let roots = roots.iter().map(|root| Hash::from_bytes(*root)).collect();
        Some(Self { frontier: Frontier::from_parts(size, roots)?, last })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Record, sample};

    #[test]
    fn a_head_comes_back_from_its_bytes_at_every_size() {
        let mut head = Head::new();
        for n in 0..70 {
            assert_eq!(Head::from_bytes(&head.to_bytes()).as_ref(), Some(&head), "size {n}");
            head.seal_next(sample::log(), sample::time(n), sample::started()).unwrap();
        }
    }

    #[test]
    fn bytes_that_are_no_head_are_refused() {
        let mut head = Head::new();
        for n in 0..3 {
            head.seal_next(sample::log(), sample::time(n), sample::started()).unwrap();
        }
        let good = head.to_bytes();
        for cut in 0..good.len() {
            assert_eq!(Head::from_bytes(&good[..cut]), None, "cut at {cut}");
        }
        let mut long = good.clone();
        long.push(0);
        assert_eq!(Head::from_bytes(&long), None);
        let mut other = good;
        other[0] = 2;
        assert_eq!(Head::from_bytes(&other), None);
    }

    #[test]
    fn each_record_names_its_position_and_the_leaf_before_it() {
        let mut head = Head::new();
        let first = head.seal_next(sample::log(), sample::time(0), sample::opened()).unwrap();
        let second = head.seal_next(sample::log(), sample::time(1), sample::started()).unwrap();
        let (one, two) =
            (Record::from_bytes(&first.bytes).unwrap(), Record::from_bytes(&second.bytes).unwrap());
        assert_eq!((one.seq, one.prev), (0, Hash::ZERO));
        assert_eq!((two.seq, two.prev), (1, leaf_hash(&first.bytes)));
        assert_eq!(head.last(), second.leaf);
        assert_eq!(head.root(), crate::tree::node_hash(&first.leaf, &second.leaf));
    }

    #[test]
    fn a_record_that_is_too_large_leaves_the_head_where_it_was() {
        let mut head = Head::new();
        let long =
            Event::Started { actor: sample::actor(), version: "x".repeat(crate::MAX_RECORD_BYTES) };
        let before = head.clone();
        assert_eq!(head.seal_next(sample::log(), sample::time(0), long), Err(Unrecorded::TooLarge));
        for size in [1 << 53, (1 << 53) + 1, u64::MAX] {
            let wide = Event::Exported { actor: sample::actor(), size };
            assert_eq!(
                head.seal_next(sample::log(), sample::time(0), wide),
                Err(Unrecorded::TooLarge)
            );
        }
        assert_eq!(head, before);
    }
}
