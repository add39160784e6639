//! How the house stands, in a few lines.

use crate::house::House;
use crate::review::{ReviewError, ReviewState};
use gate::rules::Keep;
use ledger::{ContentClass, Day, Time};
use serde::Serialize;

/// How the house stands.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// The log.
    pub log: String,
    /// Its records.
    pub records: u64,
    /// How many of the first of them are pruned, record 0 counted; 0 when none is.
    pub pruned: u64,
    /// Records under the last signed checkpoint; absent before the first.
    pub checkpoint: Option<u64>,
    /// The last time stamp; absent without one.
    pub stamp: Option<Stamp>,
    /// How old the oldest record is that no stamp covers, in seconds; absent when all are covered.
    pub exposure_seconds: Option<i64>,
    /// The last review, and when the next one is due.
    pub review: ReviewState,
    /// Exchanges that are under way, or were cut off a moment ago.
    pub open_intents: u64,
    /// Feeds, and how many records they have still to deliver.
    pub feeds: Vec<FeedState>,
    /// Holds in force.
    pub holds: Vec<String>,
    /// What is kept of prompts and answers: `all`, `digests`.
    pub content: &'static str,
    /// The next day on which the retention schedule disposes of something.
    pub retention_due: Option<Day>,
}

/// The last time stamp.
#[derive(Clone, Debug, Serialize)]
pub struct Stamp {
    /// The authority.
    pub authority: String,
    /// The time that it gave.
    pub stamped: Time,
    /// Records that it covers.
    pub size: u64,
}

/// How far a feed is.
#[derive(Clone, Debug, Serialize)]
pub struct FeedState {
    /// The feed.
    pub id: String,
    /// Records that it has still to deliver.
    pub behind: u64,
}

impl House {
    /// How the house stands. Nothing of what the records say is shown, so it is not a reading of them.
    ///
    /// # Errors
    /// [`ReviewError`] when it cannot be read.
    pub async fn status(&self) -> Result<Status, ReviewError> {
        let records = self.tenant.head().await?.size();
        let checkpoint = self.tenant.last_checkpoint().await?.map(|last| last.size);
        let stamp = self.newest_stamp().await?;
        let pruned = self.tenant.pruned().await?;
        // What is pruned is exposed no more, and its time is gone.
        let covered = pruned.go_on_from(stamp.as_ref().map_or(0, |stamp| stamp.size));
        let exposure_seconds = if covered < records {
            let oldest = self.parsed(covered).await?.time;
            let age = self.clock.now().as_micros().saturating_sub(oldest.as_micros());
            Some(age.div_euclid(1_000_000).max(0))
        } else {
            None
        };
        let feeds = self.feeds().await?.into_iter().map(|feed| {
            let behind = feed.size.saturating_sub(feed.next);
            FeedState { id: feed.id, behind }
        });
        let holds = self.tenant.holds().await?;
        let holds = holds.into_iter().filter(|hold| hold.released.is_none());
        Ok(Status {
            log: self.log.to_string(),
            records,
            pruned: pruned.size(),
            checkpoint,
            stamp,
            exposure_seconds,
            review: self.review_state().await?,
            open_intents: self.tenant.open_intents().await?.len() as u64,
            feeds: feeds.collect(),
            holds: holds.map(|hold| hold.name).collect(),
            content: self.keep().as_str(),
            retention_due: self.retention_due().await?,
        })
    }

    fn keep(&self) -> Keep {
        self.in_force.load().as_ref().map(|it| it.rules.keep()).unwrap_or_default()
    }

    async fn newest_stamp(&self) -> Result<Option<Stamp>, ReviewError> {
        let own = self.store.own_log();
        let Some(anchor) = own.last_stamped().await? else { return Ok(None) };
        let Some((_, size)) = own.leaf_under(self.log.tenant, anchor.size).await? else {
            return Ok(None);
        };
        let newest = own.stamps(anchor.size).await?.into_iter().max_by_key(|stamp| stamp.stamped);
        Ok(newest.map(|it| Stamp { authority: it.authority, stamped: it.stamped, size }))
    }

    /// The first day on which a key of some shelf is due. What is held stays longer.
    async fn retention_due(&self) -> Result<Option<Day>, ReviewError> {
        let Some(in_force) = self.in_force.load_full() else { return Ok(None) };
        let retention = in_force.rules.retention();
        let shelves = self.store.keys().shelves(self.log.tenant).await?;
        let due = shelves.iter().flat_map(|shelf| {
            let kept = ContentClass::ALL.into_iter();
            let kept = kept.filter(|class| shelf.keys.get(*class).is_some());
            kept.map(|class| retention.due(class, shelf.day))
        });
        Ok(due.min())
    }
}
