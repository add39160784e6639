//! The log for tools that were made elsewhere: C2SP tlog-tiles.
//!
//! What is served is what a checkpoint covers, and never changes, so every tile is cut from rows that
//! are there anyway: no reading costs more than 256 of them.

use crate::house::{Error, House};
use crate::identity::Principal;
use ledger::proof::{TILE_LEVELS, TILE_WIDTH};
use ledger::{ApiKeyId, Entry, Event};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// For how long one record of a reading speaks: whoever reads on and on makes one in this time.
const READING: Duration = Duration::from_mins(1);

/// Which rows of the tree a tile has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The records themselves.
    Entries,
    /// Hashes: of leaves at 0, of full tiles of the level below at the others.
    Hashes(u32),
}

/// A tile by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Its level.
    pub level: Level,
    /// Its number in the level, from 0.
    pub index: u64,
    /// How many it holds, from 1 to 256; 256 is a full one.
    pub width: u64,
}

impl Tile {
    /// Whether all of it is under a checkpoint of so many records.
    fn is_under(self, size: u64) -> bool {
        let level = match self.level {
            Level::Entries => 0,
            Level::Hashes(level) => level,
        };
        let rows = level.checked_mul(TILE_LEVELS).and_then(|levels| size.checked_shr(levels));
        let end = self.index.checked_mul(TILE_WIDTH).and_then(|at| at.checked_add(self.width));
        (1..=TILE_WIDTH).contains(&self.width) && end.is_some_and(|end| end <= rows.unwrap_or(0))
    }
}

/// When each reader's reading was last recorded.
#[derive(Debug, Default)]
pub(crate) struct Readings(tokio::sync::Mutex<BTreeMap<ApiKeyId, Instant>>);

impl House {
    /// The last signed checkpoint; absent before there is one.
    ///
    /// # Errors
    /// [`Error`] when the reading cannot be recorded.
    pub async fn read_checkpoint(&self, reader: &Principal) -> Result<Option<String>, Error> {
        let Some(last) = self.tenant.last_checkpoint().await? else { return Ok(None) };
        self.record_reading(reader, last.size).await?;
        Ok(Some(last.note))
    }

    /// The bytes of a tile; absent when the last checkpoint does not cover all of it, and where its records
    /// were pruned.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read, or the reading cannot be recorded.
    pub async fn read_tile(
        &self,
        reader: &Principal,
        tile: Tile,
    ) -> Result<Option<Vec<u8>>, Error> {
        let size = self.tenant.last_checkpoint().await?.map_or(0, |last| last.size);
        if !tile.is_under(size) {
            return Ok(None);
        }
        self.record_reading(reader, size).await?;
        match tile.level {
            Level::Hashes(level) => {
                let hashes = self.tenant.tile(level, tile.index, tile.width).await?;
                let bytes = hashes.iter().map(|hash| hash.as_bytes().as_slice());
                Ok(Some(bytes.collect::<Vec<_>>().concat()))
            }
            Level::Entries => self.entries(tile).await,
        }
    }

    /// Absent where records were pruned.
    async fn entries(&self, tile: Tile) -> Result<Option<Vec<u8>>, Error> {
        let missing = || Error::from(store::Error::Malformed { table: "records" });
        let width = usize::try_from(tile.width).unwrap_or(usize::MAX);
        let first = tile.index * TILE_WIDTH;
        let pruned = self.tenant.pruned().await?.size();
        if pruned > first {
            return Ok(None);
        }
        let records = self.tenant.records_from(first, width).await?;
        if records.len() != width {
            return Err(missing());
        }
        let mut bundle = Vec::new();
        for (_, record) in records {
            // No record is longer: ledger::MAX_RECORD_BYTES.
            let length = u16::try_from(record.len()).map_err(|_| missing())?;
            bundle.extend_from_slice(&length.to_be_bytes());
            bundle.extend_from_slice(&record);
        }
        Ok(Some(bundle))
    }

    /// Records that somebody reads, before the first tile is given out.
    async fn record_reading(&self, reader: &Principal, size: u64) -> Result<(), Error> {
        // Others wait, so that two first requests make one record.
        let mut readings = self.readings.0.lock().await;
        let recorded = readings.get(&reader.key());
        if recorded.is_none_or(|recorded| recorded.elapsed() >= READING) {
            let event = Event::TilesRead { actor: reader.actor(), size };
            self.tenant.append_with(Entry::bare(self.clock.now(), event), Vec::new()).await?;
            readings.insert(reader.key(), Instant::now());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tile_is_served_when_a_checkpoint_covers_all_of_it() {
        let under = |level, index, width, size| Tile { level, index, width }.is_under(size);
        let hashes = Level::Hashes;
        assert!(under(Level::Entries, 0, 256, 256) && !under(Level::Entries, 0, 256, 255));
        assert!(under(hashes(0), 0, 255, 255) && !under(hashes(0), 0, 0, 255));
        assert!(under(hashes(1), 0, 1, 256) && !under(hashes(1), 0, 2, 511));
        assert!(under(hashes(2), 0, 1, 70_000) && under(hashes(1), 1, 17, 70_000));
        assert!(!under(hashes(1), 1, 18, 70_000) && !under(hashes(0), 0, 257, 70_000));
        for level in [3, 8, 63, u32::MAX] {
            assert!(!under(hashes(level), 0, 1, 70_000));
        }
        assert!(!under(hashes(0), u64::MAX, 1, u64::MAX));
    }
}
