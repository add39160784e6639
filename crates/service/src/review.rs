//! Reviews of activity: a report of what the log says, and the name of who looked at it.
//!
//! Records of activity are to be reviewed regularly (45 CFR 164.308(a)(1)(ii)(D)). A report is a pure
//! function of the log, the positions it is about and the moment it was made at, so whoever signs for it
//! signs for what the log says: a report that was altered is refused.

mod activity;
mod due;
mod page;

use crate::export::ReadError;
use crate::house::{Error, House};
use crate::identity::is_name;
use activity::{Activity, Tally};
use ledger::{Actor, Entry, Event, Hash, Receipt, Record, Time};
use serde::{Deserialize, Serialize};
use std::fmt;
use store::{Effect, Sought, Term};

/// The days between two reviews while no configuration says another number.
const REVIEW_DAYS: u32 = 30;

/// The longest remark of a reviewer.
const MAX_NOTE_BYTES: usize = 1000;

/// A review that was recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Review {
    /// Who reviewed.
    pub reviewer: String,
    /// When it was recorded.
    pub reviewed: Time,
    /// The activity from this position on.
    pub from: u64,
    /// Before this position.
    pub size: u64,
}

/// The last review and when the next one is due.
#[derive(Clone, Debug, Serialize)]
pub struct ReviewState {
    /// The last review; absent before the first.
    pub last: Option<Review>,
    /// When the next one is due.
    pub due: Time,
    /// How many days may lie between two.
    pub every_days: u32,
    /// Whether it is overdue.
    pub overdue: bool,
}

/// How far the log was searched for reviews, and the last one of them.
#[derive(Debug, Default)]
pub(crate) struct Reviews(tokio::sync::Mutex<(u64, Option<Review>)>);

/// A report of activity.
#[derive(Debug)]
pub struct ActivityReport {
    /// The document, for programs: what is signed for.
    pub json: String,
    /// The same, for people.
    pub html: String,
    /// The activity from this position on.
    pub from: u64,
    /// Before this position.
    pub size: u64,
    /// SHA-256 of the document.
    pub sha256: Hash,
}

/// From where on a report is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// The end of the last review.
    LastReview,
    /// A position.
    Position(u64),
    /// A time.
    Time(Time),
}

/// A report was not made, or not signed for.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    /// There is nothing to report.
    #[error("the log has no records from there on")]
    Nothing,
    /// The file is no report.
    #[error("this is no report of activity")]
    NoReport,
    /// It is another log's, or this log never made it.
    #[error("this log did not make that report: {0}")]
    Altered(&'static str),
    /// The reviewer's name cannot be shown.
    #[error("a reviewer is a name of 1 to 128 bytes without control characters")]
    Reviewer,
    /// The remark cannot be kept.
    #[error("a remark is one line of 1 to 1000 bytes")]
    Note,
    /// The report could not be written to the folder of the configuration.
    #[error("the report cannot be written to the folder of [review]: {0}")]
    Folder(std::io::Error),
    /// The log could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl From<Error> for ReviewError {
    fn from(error: Error) -> Self {
        Self::Read(error.into())
    }
}

impl From<store::Error> for ReviewError {
    fn from(error: store::Error) -> Self {
        Self::Read(error.into())
    }
}

/// Where a report says that it is from.
#[derive(Deserialize)]
struct Claims {
    format: String,
    from: u64,
    size: u64,
    made: String,
}

impl House {
    /// Makes a report of activity. That it was made is recorded, with its SHA-256.
    ///
    /// # Errors
    /// [`ReviewError`].
    pub async fn report(&self, since: Since, actor: Actor) -> Result<ActivityReport, ReviewError> {
        let (report, made) = self.make_report(since).await?;
        self.record_report(&report, made, actor, Vec::new()).await?;
        Ok(report)
    }

    async fn make_report(&self, since: Since) -> Result<(ActivityReport, Time), ReviewError> {
        self.tenant.publish_checkpoint(&self.signer).await?;
        let size = self.tenant.last_checkpoint().await?.ok_or(Error::Empty)?.size;
        let from = match since {
            Since::Position(from) => from,
            Since::LastReview => self.last_review(size).await?.map_or(0, |review| review.size),
            Since::Time(time) => self.first_since(time, size).await?.unwrap_or(size),
        };
        let made = self.clock.now();
        Ok((self.report_of(from, size, &made.to_string()).await?, made))
    }

    async fn record_report(
        &self,
        report: &ActivityReport,
        made: Time,
        actor: Actor,
        effects: Vec<Effect>,
    ) -> Result<(), ReviewError> {
        let (from, size, sha256) = (report.from, report.size, report.sha256);
        let event = Event::Reported { actor, from, size, sha256 };
        self.tenant.append_with(Entry::bare(made, event), effects).await.map_err(Error::from)?;
        Ok(())
    }

    /// Records that somebody reviewed a report, after it was made anew from the log and is the same.
    ///
    /// # Errors
    /// [`ReviewError`].
    pub async fn sign_off(
        &self,
        (json, html): (&str, &str),
        reviewer: &str,
        note: Option<&str>,
        actor: Actor,
    ) -> Result<Receipt, ReviewError> {
        if !is_name(reviewer) {
            return Err(ReviewError::Reviewer);
        }
        let is_line = |note: &str| {
            !note.trim().is_empty()
                && note.len() <= MAX_NOTE_BYTES
                && !note.chars().any(char::is_control)
        };
        if note.is_some_and(|note| !is_line(note)) {
            return Err(ReviewError::Note);
        }
        let claims: Claims = serde_json::from_str(json).map_err(|_| ReviewError::NoReport)?;
        if claims.format != activity::FORMAT {
            return Err(ReviewError::NoReport);
        }
        let Claims { from, size, made, .. } = claims;
        let sha256 = Hash::of(json.as_bytes());
        if !self.was_reported(from, size, sha256).await? {
            return Err(ReviewError::Altered("no record says that it was made"));
        }
        let again = self.report_of(from, size, &made).await?;
        if again.json != json {
            return Err(ReviewError::Altered("the log says something else"));
        }
        if again.html != html {
            return Err(ReviewError::Altered("the page says something else than the document"));
        }
        let event = Event::Reviewed {
            actor,
            reviewer: reviewer.to_owned(),
            from,
            size,
            sha256,
            reason: note.map(str::to_owned),
        };
        let entry = Entry::bare(self.clock.now(), event);
        Ok(self.tenant.append_with(entry, Vec::new()).await.map_err(Error::from)?)
    }

    /// The last review, and when the next one is due.
    ///
    /// # Errors
    /// [`ReviewError`] when the log cannot be read.
    pub async fn review_state(&self) -> Result<ReviewState, ReviewError> {
        let last = self.known_review().await?;
        let in_force = self.in_force.load();
        let every_days = in_force
            .as_ref()
            .map_or(REVIEW_DAYS, |in_force| in_force.rules.oversight().reviews().days());
        let since = match &last {
            Some(review) => review.reviewed,
            None => self.parsed(0).await?.time,
        };
        let due = since.plus_seconds(i64::from(every_days) * 86_400);
        Ok(ReviewState { last, due, every_days, overdue: self.clock.now() >= due })
    }

    /// Tells once for each period that nobody reviewed the activity in time.
    ///
    /// # Errors
    /// [`Error`] when the log cannot be read or written.
    pub async fn tell_of_overdue_review(&self) -> Result<(), Error> {
        let state = match self.review_state().await {
            Ok(state) if state.overdue => state,
            Ok(_) => return Ok(()),
            Err(ReviewError::Read(ReadError::House(error))) => return Err(error),
            Err(error) => {
                tracing::error!(%error, "whether a review is overdue cannot be said");
                return Ok(());
            }
        };
        let now = self.clock.now();
        let period = i64::from(state.every_days) * 86_400_000_000;
        let late = now.as_micros() - state.due.as_micros();
        let expires = Time::from_micros(now.as_micros() - late.rem_euclid(period.max(1)));
        let name = format!("review/{expires}");
        if self.tenant.notice_given(&name).await? {
            return Ok(());
        }
        tracing::warn!(due = %state.due, "nobody reviewed the activity in time");
        let event = Event::ReviewOverdue { expires, days: state.every_days };
        self.tenant.append_with(Entry::bare(now, event), vec![Effect::Notice(name)]).await?;
        Ok(())
    }

    /// The last review of the log as it is now. What was looked through before is not looked through
    /// again.
    async fn known_review(&self) -> Result<Option<Review>, ReviewError> {
        let size = self.tenant.head().await?.size();
        let mut known = self.reviews.0.lock().await;
        let (from, mut last) = known.clone();
        self.each_of_kind("activity.reviewed", from, size, |record| {
            last = review_of(&record).or(last.take());
        })
        .await?;
        known.clone_from(&(size, last.clone()));
        Ok(last)
    }

    /// The last review before a position.
    async fn last_review(&self, size: u64) -> Result<Option<Review>, ReviewError> {
        let mut last = None;
        self.each_of_kind("activity.reviewed", 0, size, |record| {
            last = review_of(&record).or(last.take());
        })
        .await?;
        Ok(last)
    }

    async fn was_reported(&self, from: u64, size: u64, sha256: Hash) -> Result<bool, ReviewError> {
        let head = self.tenant.head().await?.size();
        let mut found = false;
        self.each_of_kind("activity.reported", size, head, |record| {
            if let Event::Reported { from: of, size: to, sha256: hash, .. } = record.event {
                found |= (of, to, hash) == (from, size, sha256);
            }
        })
        .await?;
        Ok(found)
    }

    async fn each_of_kind(
        &self,
        kind: &str,
        from: u64,
        size: u64,
        mut visit: impl FnMut(Record),
    ) -> Result<(), ReviewError> {
        let sought = Sought { terms: vec![Term::kind(kind)], ..Sought::default() };
        let mut next = Some(from);
        while let Some(from) = next {
            let candidates = self.tenant.candidates(&sought, from, size).await?;
            for (seq, bytes) in candidates.records {
                let record = Record::from_bytes(&bytes).map_err(|_| ReadError::Broken { seq })?;
                if record.event.kind() == kind {
                    visit(record);
                }
            }
            next = candidates.next;
        }
        Ok(())
    }

    /// The position of the first record that is not older than a time.
    async fn first_since(&self, time: Time, size: u64) -> Result<Option<u64>, ReviewError> {
        let sought = Sought { since: Some(time), ..Sought::default() };
        let mut next = Some(0);
        while let Some(from) = next {
            let candidates = self.tenant.candidates(&sought, from, size).await?;
            for (seq, bytes) in candidates.records {
                let record = Record::from_bytes(&bytes).map_err(|_| ReadError::Broken { seq })?;
                if record.time >= time {
                    return Ok(Some(seq));
                }
            }
            next = candidates.next;
        }
        Ok(None)
    }

    pub(crate) async fn parsed(&self, seq: u64) -> Result<Record, ReviewError> {
        let bytes = self.tenant.record(seq).await?.ok_or(Error::Empty)?;
        Ok(Record::from_bytes(&bytes).map_err(|_| ReadError::Broken { seq })?)
    }

    /// The report of the records from one position to before another, as of a moment.
    async fn report_of(
        &self,
        from: u64,
        size: u64,
        made: &str,
    ) -> Result<ActivityReport, ReviewError> {
        let checkpoint = self.tenant.checkpoint(size).await?;
        let checkpoint = checkpoint.ok_or(ReviewError::Altered("no checkpoint ends there"))?;
        if from >= size {
            return Err(ReviewError::Nothing);
        }
        let last_review = self.last_review(size).await?;
        let mut tally = Tally::default();
        let pruned = self.tenant.pruned().await?;
        let mut next = pruned.go_on_from(from);
        while next < size {
            let batch = self.tenant.records_from(next, 1000).await?;
            if batch.is_empty() {
                return Err(ReadError::Broken { seq: next }.into());
            }
            for (seq, bytes) in batch.into_iter().filter(|(seq, _)| *seq < size) {
                let record = Record::from_bytes(&bytes).map_err(|_| ReadError::Broken { seq })?;
                if seq != next {
                    return Err(ReadError::Broken { seq: next }.into());
                }
                tally.add(&record);
                next = pruned.go_on_from(seq + 1);
            }
        }
        let activity = Activity {
            format: activity::FORMAT,
            log: self.log.to_string(),
            organisation: self.organisation.clone(),
            verifier_key: self.verifier_key(),
            made: made.to_owned(),
            from,
            size,
            checkpoint: checkpoint.note,
            last_review,
            figures: tally.finish(),
        };
        let mut json =
            serde_json::to_string_pretty(&activity).map_err(|_| ReviewError::NoReport)?;
        json.push('\n');
        let sha256 = Hash::of(json.as_bytes());
        let html = page::write(&activity, sha256).map_err(|_: fmt::Error| ReviewError::NoReport)?;
        Ok(ActivityReport { json, html, from, size, sha256 })
    }
}

fn review_of(record: &Record) -> Option<Review> {
    let Event::Reviewed { reviewer: by, from, size, .. } = &record.event else { return None };
    Some(Review { reviewer: by.clone(), reviewed: record.time, from: *from, size: *size })
}
