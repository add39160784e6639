//! Who may read the log, and how often its activity is reviewed.

use super::destination::absolute;
use super::name::{Fault, Title, words};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A month, which is what a reviewer can still remember.
const REVIEW_DAYS: u32 = 30;

/// A year: a review that comes later is none (45 CFR 164.308(a)(1)(ii)(D) asks for regular ones).
const MAX_REVIEW_DAYS: u32 = 366;

/// Owners that may be listed. More than that is everybody.
const MAX_READERS: usize = 1000;

/// Who may read the log, and how often its activity is reviewed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Oversight {
    readers: Option<BTreeSet<Title>>,
    reviews: Reviews,
}

/// How often activity is reviewed, and where reports of it are written by themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reviews {
    days: u32,
    folder: Option<PathBuf>,
}

impl Default for Reviews {
    fn default() -> Self {
        Self { days: REVIEW_DAYS, folder: None }
    }
}

impl Reviews {
    /// How many days may lie between two reviews, from 1 to 366.
    #[must_use]
    pub const fn days(&self) -> u32 {
        self.days
    }

    /// The folder that a report is written to before its review is due.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }
}

impl Oversight {
    /// Whether the log may be read with an auditor's key of this owner.
    #[must_use]
    pub fn may_read(&self, owner: &str) -> bool {
        self.readers.as_ref().is_none_or(|readers| readers.contains(owner))
    }

    /// Whether the file says who may read the log; else whoever has an auditor's key may.
    #[must_use]
    pub const fn names_readers(&self) -> bool {
        self.readers.is_some()
    }

    /// How often activity is reviewed.
    #[must_use]
    pub const fn reviews(&self) -> &Reviews {
        &self.reviews
    }

    pub(super) fn log(raw: Option<&RawLog>) -> Result<Option<BTreeSet<Title>>, Fault> {
        let Some(readers) = raw.and_then(|raw| raw.readers.as_ref()) else { return Ok(None) };
        if readers.len() > MAX_READERS {
            return Err(Fault::new("readers", format!("at most {MAX_READERS} readers")));
        }
        let readers: Vec<Title> = words("readers", readers)?;
        Ok(Some(readers.into_iter().collect()))
    }

    pub(super) fn review(raw: Option<&RawReview>) -> Result<Reviews, Fault> {
        let Some(raw) = raw else { return Ok(Reviews::default()) };
        let days = raw.every_days.unwrap_or(REVIEW_DAYS);
        if !(1..=MAX_REVIEW_DAYS).contains(&days) {
            return Err(Fault::new("every_days", format!("days from 1 to {MAX_REVIEW_DAYS}")));
        }
        let folder = raw.folder.as_deref().map(|folder| {
            absolute(folder).ok_or_else(|| Fault::new("folder", "write an absolute path"))
        });
        Ok(Reviews { days, folder: folder.transpose()? })
    }

    pub(super) const fn new(readers: Option<BTreeSet<Title>>, reviews: Reviews) -> Self {
        Self { readers, reviews }
    }
}

/// The readers of the log as the file writes them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLog {
    readers: Option<Vec<String>>,
}

/// Reviews as the file writes them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawReview {
    every_days: Option<u32>,
    folder: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readers(text: &str) -> Result<Oversight, &'static str> {
        let raw: RawLog = toml::from_str(text).unwrap();
        let readers = Oversight::log(Some(&raw)).map_err(|fault| fault.field)?;
        Ok(Oversight::new(readers, Reviews::default()))
    }

    #[test]
    fn readers_are_everybody_until_some_are_named() {
        assert!(Oversight::default().may_read("Ada Example"));
        assert!(readers("").unwrap().may_read("Ada Example"));
        let named = readers("readers = [\"Ada Example\"]").unwrap();
        assert!(named.may_read("Ada Example"));
        assert!(!named.may_read("ada example") && !named.may_read(""));
        assert!(!readers("readers = []").unwrap().may_read("Ada Example"));
        assert_eq!(readers("readers = [\" \"]"), Err("readers"));
    }

    #[test]
    fn reviews_come_within_a_year() {
        let review = |text: &str| {
            let raw: RawReview = toml::from_str(text).unwrap();
            Oversight::review(Some(&raw)).map_err(|fault| fault.field)
        };
        let days = |days: u32| review(&format!("every_days = {days}")).map(|it| it.days());
        assert_eq!(Oversight::review(None).map(|it| it.days()).ok(), Some(30));
        assert_eq!(review("folder = \"reviews\""), Err("folder"));
        let monthly = review("folder = \"/var/lib/reviews\"").unwrap();
        assert_eq!((monthly.days(), monthly.folder()), (30, Some(Path::new("/var/lib/reviews"))));
        assert_eq!((days(1), days(366)), (Ok(1), Ok(366)));
        assert_eq!((days(0), days(367)), (Err("every_days"), Err("every_days")));
    }
}
