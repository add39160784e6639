//! Who may read the log, and how often its activity is reviewed.

use super::name::{Fault, Title, words};
use serde::Deserialize;
use std::collections::BTreeSet;

/// A month, which is what a reviewer can still remember.
const REVIEW_DAYS: u32 = 30;

/// A year: a review that comes later is none (45 CFR 164.308(a)(1)(ii)(D) asks for regular ones).
const MAX_REVIEW_DAYS: u32 = 366;

/// Owners that may be listed. More than that is everybody.
const MAX_READERS: usize = 1000;

/// Who may read the log, and how often its activity is reviewed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oversight {
    readers: Option<BTreeSet<Title>>,
    review_days: u32,
}

impl Default for Oversight {
    fn default() -> Self {
        Self { readers: None, review_days: REVIEW_DAYS }
    }
}

impl Oversight {
    /// Whether the log may be read with an auditor's key of this owner.
    #[must_use]
    pub fn may_read(&self, owner: &str) -> bool {
        self.readers.as_ref().is_none_or(|readers| readers.contains(owner))
    }

    /// How many days may lie between two reviews, from 1 to 366.
    #[must_use]
    pub const fn review_days(&self) -> u32 {
        self.review_days
    }

    pub(super) fn log(raw: Option<&RawLog>) -> Result<Option<BTreeSet<Title>>, Fault> {
        let Some(readers) = raw.and_then(|raw| raw.readers.as_ref()) else { return Ok(None) };
        if readers.len() > MAX_READERS {
            return Err(Fault::new("readers", format!("at most {MAX_READERS} readers")));
        }
        let readers: Vec<Title> = words("readers", readers)?;
        Ok(Some(readers.into_iter().collect()))
    }

    pub(super) fn review(raw: Option<&RawReview>) -> Result<u32, Fault> {
        match raw.map_or(REVIEW_DAYS, |raw| raw.every_days) {
            days @ 1..=MAX_REVIEW_DAYS => Ok(days),
            _ => Err(Fault::new("every_days", format!("days from 1 to {MAX_REVIEW_DAYS}"))),
        }
    }

    pub(super) const fn new(readers: Option<BTreeSet<Title>>, review_days: u32) -> Self {
        Self { readers, review_days }
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
    every_days: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readers(text: &str) -> Result<Oversight, &'static str> {
        let raw: RawLog = toml::from_str(text).unwrap();
        let readers = Oversight::log(Some(&raw)).map_err(|fault| fault.field)?;
        Ok(Oversight::new(readers, REVIEW_DAYS))
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
        let days = |days: u32| {
            Oversight::review(Some(&RawReview { every_days: days })).map_err(|fault| fault.field)
        };
        assert_eq!(Oversight::review(None).ok(), Some(30));
        assert_eq!((days(1), days(366)), (Ok(1), Ok(366)));
        assert_eq!((days(0), days(367)), (Err("every_days"), Err("every_days")));
    }
}
