//! The lines of the log for somebody at the command line.

use super::Logged;
use crate::export::ReadError;
use crate::house::{Error, House};
use gate::rules::LineFormat;
use ledger::{Actor, Entry, Event, Hash};
use std::time::Duration;

/// Records read at once.
const BATCH: usize = 256;

/// How often the end of the log is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// How far to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// To the end of the log, where the reading itself is recorded.
    Now,
    /// On and on, as the log grows.
    Dropped,
}

impl House {
    /// Hands out the records from a position on, each as one line. That they were read is recorded
    /// before.
    ///
    /// # Errors
    /// [`ReadError`], among them [`ReadError::Write`] of `each`, and a log that is no chain.
    pub async fn read_lines(
        &self,
        format: LineFormat,
        from: u64,
        until: Until,
        actor: Actor,
        each: &(dyn Fn(&str) -> std::io::Result<()> + Sync),
    ) -> Result<(), ReadError> {
        let size = match until {
            Until::Now => Some(self.tenant.head().await?.size().saturating_add(1)),
            Until::Dropped => None,
        };
        let event = Event::Streamed { actor, from, size };
        let entry = Entry::bare(self.clock.now(), event);
        let receipt = self.tenant.append_with(entry, Vec::new()).await.map_err(Error::from)?;
        // Other processes may have written between the two, so the record's own place is the end.
        let end = size.map(|_| receipt.seq + 1);
        let pruned = self.tenant.pruned().await?;
        let mut next = from;
        let mut before: Option<Hash> = None;
        while end.is_none_or(|end| next < end) {
            let records = self.tenant.records_from(next, BATCH).await?;
            if records.is_empty() && end.is_some() {
                return Ok(());
            }
            if records.is_empty() {
                tokio::time::sleep(LOOK_INTERVAL).await;
            }
            for (seq, bytes) in records {
                if seq > next && pruned.go_on_from(next) == seq {
                    (next, before) = (seq, None);
                }
                if end.is_some_and(|end| next >= end) {
                    return Ok(());
                }
                let logged = Logged::parse(bytes).map_err(|_| ReadError::Malformed)?;
                let follows = before.is_none_or(|before| logged.record.prev == before);
                if logged.record.seq != next || !follows {
                    return Err(ReadError::Broken { seq: next });
                }
                each(&logged.line(format)).map_err(ReadError::Write)?;
                (next, before) = (next + 1, Some(logged.leaf));
            }
        }
        Ok(())
    }
}
