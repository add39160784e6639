//! Pruning: records whose time is over go, their leaf hashes stay, and everything still verifies.
//!
//! The log is pruned from its first record on. Where it is cut no exchange and no hold is in two, all
//! feeds and copies have what goes, an authority vouched for it where there is one, and nothing is on
//! hold; else it is kept for longer.

use crate::export::{ReadError, parse};
use crate::house::{Error, House};
use crate::retention::{SCHEDULE, system};
use gate::rules::Decision;
use ledger::proof::TILE_WIDTH;
use ledger::tree::leaf_hash;
use ledger::{Day, Entry, Event, Hash, Record};
use std::collections::BTreeSet;
use store::{LogPosition, Sought, Term};

/// Records read at once.
const BATCH: usize = 1000;

/// What is begun and not yet ended at a point of the log.
#[derive(Default)]
struct Begun {
    intents: BTreeSet<u64>,
    holds: BTreeSet<String>,
}

impl Begun {
    fn see(&mut self, seq: u64, event: &Event) {
        if let Event::Intent(_) = event {
            self.intents.insert(seq);
        }
        if let Event::Outcome(outcome) = event
            && let Some(intent) = &outcome.intent
        {
            self.intents.remove(intent);
        }
        if let Event::HoldPlaced { hold, .. } = event {
            self.holds.insert(hold.clone());
        }
        if let Event::HoldReleased { hold, .. } = event {
            self.holds.remove(hold);
        }
    }

    fn nothing(&self) -> bool {
        self.intents.is_empty() && self.holds.is_empty()
    }
}

impl House {
    /// Prunes the records that the retention schedule no longer keeps. Says how many of the log's first
    /// records are pruned since.
    ///
    /// # Errors
    /// [`ReadError`] when the log cannot be read or written. What is recorded by then is carried out by
    /// the next sweep.
    pub async fn prune(&self) -> Result<u64, ReadError> {
        self.finish_pruning().await?;
        let retention = self.retention();
        let day = retention.records_kept_from(self.clock.now().day());
        let before = self.tenant.pruned().await?.size();
        let held = self.tenant.holds().await?.into_iter().any(|hold| hold.released.is_none());
        if held {
            return Ok(before);
        }
        let size = self.prunable(before, day).await?;
        if size <= before.max(1) {
            return Ok(before);
        }
        let root = self.tenant.root(size).await?;
        tracing::info!(size, %day, "the retention schedule prunes records");
        let event = Event::Pruned {
            actor: system(),
            size,
            root,
            authority: SCHEDULE.to_owned(),
            sha256: retention.decision().map(Decision::sha256),
        };
        let entry = Entry::bare(self.clock.now(), event);
        self.tenant.append_with(entry, Vec::new()).await.map_err(Error::from)?;
        self.finish_pruning().await?;
        self.tenant.publish_checkpoint(&self.signer).await?;
        Ok(size)
    }

    /// Takes away what is recorded as pruned and is still there.
    ///
    /// # Errors
    /// [`Error`] when it is not durable; the rest goes with the next sweep.
    pub async fn finish_pruning(&self) -> Result<(), Error> {
        let pruned = self.tenant.pruned().await?;
        if !pruned.is_under_way() {
            return Ok(());
        }
        if !self.is_recorded(pruned.size()).await? {
            tracing::error!(
                size = pruned.size(),
                "no record prunes what the database says; it stays"
            );
            return Ok(());
        }
        while self.tenant.prune().await? > 0 {}
        Ok(())
    }

    /// Whether a record says that all before `size` was pruned. A row of the database is no right to take
    /// anything away.
    async fn is_recorded(&self, size: u64) -> Result<bool, Error> {
        let end = self.tenant.head().await?.size();
        let sought = Sought { terms: vec![Term::kind("records.pruned")], ..Sought::default() };
        let mut next = Some(size);
        while let Some(from) = next {
            let candidates = self.tenant.candidates(&sought, from, end).await?;
            let says = |bytes: &[u8]| {
                let event = Record::from_bytes(bytes).map(|record| record.event);
                matches!(event, Ok(Event::Pruned { size: named, .. }) if named == size)
            };
            if candidates.records.iter().any(|(_, bytes)| says(bytes)) {
                return Ok(true);
            }
            next = candidates.next;
        }
        Ok(false)
    }

    /// How many of the first records may go: all of them are of days before `day`, others have them, and
    /// nothing is cut in two.
    async fn prunable(&self, before: u64, day: Day) -> Result<u64, ReadError> {
        let (end, mut begun, mut quiet) = (self.had_by_others().await?, Begun::default(), 0);
        let mut next = before.max(1);
        while next < end {
            let batch = self.tenant.records_from(next, BATCH).await?;
            if batch.is_empty() {
                return Ok(quiet);
            }
            for (seq, bytes) in batch {
                let record = parse(&bytes)?;
                if seq >= end || record.time.day() >= day {
                    return Ok(quiet);
                }
                begun.see(seq, &record.event);
                next = seq + 1;
                if begun.nothing() {
                    quiet = next;
                }
            }
        }
        Ok(quiet)
    }

    /// How many of the first records all others have who are to have them: feeds, copies, and, where there
    /// is one, a time-stamping authority.
    async fn had_by_others(&self) -> Result<u64, ReadError> {
        let mut end = self.tenant.head().await?.size();
        for view in self.feeds().await? {
            end = end.min(view.next);
        }
        for view in self.copies().await? {
            end = end.min(view.next);
        }
        let in_force = self.in_force.load_full();
        if in_force.is_some_and(|it| it.rules.authorities().next().is_some()) {
            let own = self.store.own_log();
            let leaf = match own.last_stamped().await? {
                Some(anchor) => own.leaf_under(self.log.tenant, anchor.size).await?,
                None => None,
            };
            end = end.min(leaf.map_or(0, |(_, size)| size));
        }
        Ok(end)
    }

    /// The leaf hash of a record, also of one that was pruned; absent beyond the end of the log.
    pub(crate) async fn leaf_of(&self, seq: u64) -> Result<Option<Hash>, Error> {
        if self.tenant.pruned().await?.go_on_from(seq) != seq {
            let row = self.tenant.tile(0, seq / TILE_WIDTH, seq % TILE_WIDTH + 1).await?;
            return Ok(row.last().copied());
        }
        Ok(self.tenant.record(seq).await?.map(|bytes| leaf_hash(&bytes)))
    }

    /// Where reading goes on from: behind what was pruned when it stands in it, with the leaf hash of the
    /// record before.
    pub(crate) async fn behind_pruned(&self, at: LogPosition) -> Result<LogPosition, Error> {
        let next = self.tenant.pruned().await?.go_on_from(at.next);
        if next == at.next {
            return Ok(at);
        }
        let before = self.leaf_of(next - 1).await?.ok_or(Error::Empty)?;
        Ok(LogPosition { next, before })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::records;

    #[test]
    fn what_is_begun_is_ended_by_its_own_end() {
        let events = records::every_kind();
        let placed = events.iter().find(|event| matches!(event, Event::HoldPlaced { .. }));
        let released = events.iter().find(|event| matches!(event, Event::HoldReleased { .. }));
        let intent = events.iter().find(|event| matches!(event, Event::Intent(_)));
        let ends = |seq| {
            let mut outcome = events.iter().find_map(|event| {
                let Event::Outcome(outcome) = event else { return None };
                Some(outcome.clone())
            })?;
            outcome.intent = seq;
            Some(Event::Outcome(outcome))
        };
        let mut begun = Begun::default();
        let mut quiet = Vec::new();
        for (seq, event) in (1..).zip([
            intent.cloned(),
            placed.cloned(),
            ends(None),
            intent.cloned(),
            ends(Some(1)),
            released.cloned(),
            ends(Some(4)),
        ]) {
            begun.see(seq, &event.unwrap());
            quiet.push(begun.nothing());
        }
        assert_eq!(quiet, [false, false, false, false, false, false, true]);
    }
}
