//! Reports that are written by themselves before their review is due.

use super::{ReviewError, Since};
use crate::house::House;
use crate::retention::system;
use ledger::Time;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use store::Effect;

/// Microseconds.
const DAY: i64 = 86_400_000_000;

/// What a reviewer has between the report and the day that the review is due; half of the period where
/// that is less.
const TIME_TO_READ: i64 = 7 * DAY;

impl House {
    /// Writes the activity since the last review to the folder that the configuration names, a week
    /// before the review is due, and again in each period in which it is overdue. Says where the page of
    /// the report is; absent when there was nothing to do.
    ///
    /// # Errors
    /// [`ReviewError`] when the log cannot be read or written, or the folder cannot be written.
    pub async fn write_due_report(&self) -> Result<Option<PathBuf>, ReviewError> {
        let Some(in_force) = self.in_force.load_full() else { return Ok(None) };
        let Some(folder) = in_force.rules.oversight().reviews().folder() else { return Ok(None) };
        let state = self.review_state().await?;
        let period = i64::from(state.every_days) * DAY;
        let begin = state.due.as_micros() - TIME_TO_READ.min(period / 2);
        let periods = (self.clock.now().as_micros() - begin).div_euclid(period);
        if periods < 0 {
            return Ok(None);
        }
        let due = Time::from_micros(state.due.as_micros() + periods * period);
        let notice = format!("report/{due}");
        if self.tenant.notice_given(&notice).await? {
            return Ok(None);
        }
        let (report, made) = self.make_report(Since::LastReview).await?;
        let stem = folder.join(format!("activity-{}-to-{}", report.from, report.size - 1));
        let (document, page) = (stem.with_extension("json"), stem.with_extension("html"));
        write_new(&document, &report.json).map_err(ReviewError::Folder)?;
        if let Err(error) = write_new(&page, &report.html) {
            take_away(&document);
            return Err(ReviewError::Folder(error));
        }
        // The files come first: nobody can sign for a report that no record names, while a record
        // without its report would keep the next try from writing it.
        let recorded = self.record_report(&report, made, system(), vec![Effect::Notice(notice)]);
        if let Err(error) = recorded.await {
            take_away(&document);
            take_away(&page);
            return Err(error);
        }
        tracing::info!(page = %page.display(), %due, "a report of activity is there to be reviewed");
        Ok(Some(page))
    }
}

/// A new file, for its owner only, durable; or none at all.
fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    if written.is_err() {
        take_away(path);
    }
    written
}

fn take_away(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        tracing::error!(%error, file = %path.display(), "a report that is not recorded stays");
    }
}
