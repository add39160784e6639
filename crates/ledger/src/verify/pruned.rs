//! Records that were pruned: their leaf hashes are there, and a record says by which right they went.

use crate::{Hash, Time};
use serde::Serialize;

/// What was pruned, as the bundle and a record of the log tell it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PrunedAt {
    /// How many records are not here: positions 1 to this. Their leaf hashes are, and so they are under the
    /// signed root as before.
    pub records: u64,
    /// The position of the record that says so.
    pub at: u64,
    /// By which right.
    pub authority: String,
    /// The time of the first record that was kept; absent when none was.
    pub kept_from: Option<Time>,
}

/// The leaf hashes with which a bundle begins.
#[derive(Debug)]
struct Hashes {
    count: u64,
    first: Hash,
    root: Hash,
}

/// The record of the widest pruning so far.
#[derive(Debug)]
struct Told {
    size: u64,
    at: u64,
    authority: String,
}

/// All that bundle and log say of pruning.
#[derive(Debug, Default)]
pub(super) struct Pruned {
    hashes: Option<Hashes>,
    opened: bool,
    told: Option<Told>,
    kept_from: Option<Time>,
    begun: Option<Time>,
    too_early: Option<u64>,
}

type Checked = Result<(), String>;

/// Records are kept for six years at the least, unless somebody signed that they are not
/// (45 CFR 164.316(b)(2)(i)). In seconds.
const SIX_YEARS: i64 = 2192 * 86_400;

impl Pruned {
    /// Takes note of the hashes with which the bundle begins.
    pub(super) const fn begins_with(&mut self, count: u64, first: Hash, root: Hash) {
        self.hashes = Some(Hashes { count, first, root });
    }

    /// The hash of record 0, while the next line must be that record; afterwards absent.
    pub(super) fn opening(&mut self) -> Option<Hash> {
        let first = self.hashes.as_ref()?.first;
        (!std::mem::replace(&mut self.opened, true)).then_some(first)
    }

    /// Whether record 0 is still to come after the hashes.
    pub(super) const fn lacks_opening(&self) -> bool {
        self.hashes.is_some() && !self.opened
    }

    /// Takes note of the time of a record that was kept.
    pub(super) fn kept(&mut self, at: u64, time: Time) {
        if at > 0 && self.kept_from.is_none() {
            self.kept_from = Some(time);
        }
    }

    /// Takes note of when the log begins, with record 0.
    pub(super) fn begun(&mut self, at: u64, time: Time) {
        if at == 0 {
            self.begun = Some(time);
        }
    }

    /// Records were pruned without a signed decision. None of them is older than the log.
    pub(super) fn undecided(&mut self, at: u64, time: Time) {
        if self.begun.is_some_and(|begun| time < begun.plus_seconds(SIX_YEARS)) {
            self.too_early.get_or_insert(at);
        }
    }

    /// The position of the first record that prunes what must have been younger than six years, where
    /// something is pruned.
    pub(super) fn too_early(&self) -> Option<u64> {
        self.hashes.as_ref().and(self.too_early)
    }

    /// A record says that all before `size` but record 0 was pruned.
    pub(super) fn record(&mut self, at: u64, size: u64, root: Hash, authority: &str) -> Checked {
        if size < 2 {
            return Err("it prunes nothing".to_owned());
        }
        if size > at {
            return Err("it prunes what was still to come".to_owned());
        }
        if self.told.as_ref().is_none_or(|told| told.size < size) {
            self.told = Some(Told { size, at, authority: authority.to_owned() });
        }
        match &self.hashes {
            Some(hashes) if hashes.count == size && hashes.root != root => {
                Err("the root that it names is not that of the pruned records".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// What was pruned; or that nobody says that it was, in words.
    pub(super) fn finish(&mut self) -> Result<Option<PrunedAt>, String> {
        let Some(hashes) = &self.hashes else { return Ok(None) };
        let records = hashes.count.saturating_sub(1);
        match self.told.take().filter(|told| told.size >= hashes.count) {
            Some(Told { at, authority, .. }) => {
                Ok(Some(PrunedAt { records, at, authority, kept_from: self.kept_from }))
            }
            None => Err(format!(
                "records 1 to {records} are not here, and no record says that they were pruned"
            )),
        }
    }
}
