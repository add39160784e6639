//! Who outside of the deployment vouches for the log, and since when.
//!
//! An anchor is a chain of three links: a signed checkpoint of this log is a leaf of the deployment's log;
//! a signed checkpoint of that one has the leaf in its tree; an authority stamped that checkpoint, or a
//! witness cosigned it. The first link is checked with the records, the others here, before them.
//!
//! From there two things follow for the times in the records. What a stamp covers was there by the time
//! of the stamp, so it cannot be dated later. And what stands after a record that names a token was
//! written after the token was made, so it cannot be dated earlier.

use super::{Problem, ProblemKind};
use crate::anchor::{self, Authority, NotAStamp};
use crate::bundle::{AnchorFile, Inclusion};
use crate::checkpoint::{self, Checkpoint, NoteError, WitnessKey};
use crate::proof::check_inclusion;
use crate::tree::leaf_hash;
use crate::{Hash, Time};
use serde::Serialize;
use std::collections::BTreeMap;

/// How far the clock of the machine may be from that of an authority, in seconds, beyond the accuracy of
/// the stamp. Ordinary synchronisation keeps it within one.
pub const MAX_SKEW_SECONDS: i64 = 60;

/// A stamp that holds, over records of this log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Anchored {
    /// Records that it covers: positions `0 <= i < size`.
    pub size: u64,
    /// They were there by this time, by the word of the authority.
    pub time: Time,
    /// How far the true time may lie from it, in microseconds; absent when the authority did not say.
    pub accuracy: Option<u64>,
    /// The authority, by the name in its certificate.
    pub authority: String,
    /// When that certificate ends. What the stamp says after that day rests on a later stamp over it.
    pub certificate_ends: Time,
}

/// A cosignature that holds, over records of this log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Witnessed {
    /// Records that it covers.
    pub size: u64,
    /// The witness saw that the deployment's log only grew, by this time of its clock.
    pub time: Time,
    /// The witness's name.
    pub witness: String,
}

/// The anchors of a bundle, while they are handed over.
#[derive(Debug, Default)]
pub(crate) struct Anchors {
    authority: Option<Authority>,
    witnesses: Vec<WitnessKey>,
    deployment_keys: Vec<checkpoint::VerifierKey>,
    current: Option<Current>,
    origins: Vec<String>,
    /// Stamps that hold, by the SHA-256 of their tokens.
    tokens: BTreeMap<Hash, (Time, i64)>,
    pub(crate) stamps: Vec<Anchored>,
    pub(crate) witnessed: Vec<Witnessed>,
    /// Tokens that were not checked because no authority is trusted, or are by another one.
    pub(crate) unchecked: u64,
    pub(crate) untrusted: u64,
}

/// The anchor whose files are being handed over.
#[derive(Debug)]
struct Current {
    size: u64,
    note: String,
    checkpoint: Checkpoint,
    /// Records of this log that it covers, once the proof of inclusion holds.
    covers: Option<u64>,
    cosignatures: String,
}

fn fault(words: impl AsRef<str>) -> Problem {
    Problem::nowhere(ProblemKind::Anchor, words.as_ref())
}

impl Anchors {
    pub(crate) fn new(trust: &super::Trust) -> Self {
        Self {
            authority: trust.authority.clone(),
            witnesses: trust.witnesses.clone(),
            deployment_keys: trust.keys.clone(),
            ..Self::default()
        }
    }

    /// Takes the archive of an authority: certificates and lists, none of which is believed.
    pub(crate) fn archive(&mut self, pem: &[u8]) -> Result<(), Problem> {
        let Some(authority) = self.authority.take() else { return Ok(()) };
        let before = authority.clone();
        match authority.with_archive(pem) {
            Ok(more) => {
                self.authority = Some(more);
                Ok(())
            }
            Err(error) => {
                self.authority = Some(before);
                Err(fault(format!("the archive of an authority: {error}")))
            }
        }
    }

    /// Takes a file of an anchor. `note` finds the signed note of a checkpoint of this log by its size.
    pub(crate) fn file(
        &mut self,
        size: u64,
        file: AnchorFile,
        bytes: &[u8],
        note: impl Fn(u64) -> Option<String>,
    ) -> Result<(), Problem> {
        let which = format!("the anchor of size {size}");
        if file == AnchorFile::Checkpoint {
            self.current = None;
            let text = std::str::from_utf8(bytes).unwrap_or_default().to_owned();
            let claimed = checkpoint::claimed(&text).filter(|claimed| claimed.size == size);
            let Some(checkpoint) = claimed else {
                return Err(fault(format!("{which} is not a signed checkpoint of that size")));
            };
            self.check_signature(&which, &checkpoint, &text)?;
            self.origins.push(checkpoint.origin.clone());
            let cosignatures = String::new();
            self.current =
                Some(Current { size, note: text, checkpoint, covers: None, cosignatures });
            return Ok(());
        }
        let Some(current) = self.current.as_mut().filter(|current| current.size == size) else {
            return Err(fault(format!("{which} has no checkpoint")));
        };
        match file {
            AnchorFile::Checkpoint => Ok(()),
            AnchorFile::Cosignatures => {
                let text = std::str::from_utf8(bytes).unwrap_or_default();
                text.clone_into(&mut current.cosignatures);
                Ok(())
            }
            AnchorFile::Inclusion => {
                let text = std::str::from_utf8(bytes).unwrap_or_default();
                let Ok(inclusion) = text.parse::<Inclusion>() else {
                    return Err(fault(format!("{which}: the inclusion is not of its form")));
                };
                let Some(note) = note(inclusion.of) else {
                    let words = format!("{which}: its checkpoint of {} is not here", inclusion.of);
                    return Err(fault(words));
                };
                let leaf = leaf_hash(note.as_bytes());
                let root = &current.checkpoint.root;
                check_inclusion(&leaf, inclusion.index, size, &inclusion.path, root)
                    .map_err(|error| fault(format!("{which}: {error}")))?;
                current.covers = Some(inclusion.of);
                self.check_cosignatures(&which)
            }
            AnchorFile::Stamp => self.check_stamp(&which, bytes),
        }
    }

    /// The deployment's own signature, when its key is trusted.
    fn check_signature(
        &self,
        which: &str,
        checkpoint: &Checkpoint,
        note: &str,
    ) -> Result<(), Problem> {
        let mut keys = self.deployment_keys.iter().filter(|key| key.name() == checkpoint.origin);
        match keys.next() {
            None => Ok(()),
            Some(first) => {
                let held = first.open(note).is_ok() || keys.any(|key| key.open(note).is_ok());
                let words = || fault(format!("{which} is not signed by the deployment's key"));
                if held { Ok(()) } else { Err(words()) }
            }
        }
    }

    fn check_cosignatures(&mut self, which: &str) -> Result<(), Problem> {
        let Some(current) = &self.current else { return Ok(()) };
        let note = format!("{}{}", current.note, current.cosignatures);
        let Some(size) = current.covers else { return Ok(()) };
        for witness in &self.witnesses {
            match witness.seconds_of(&note) {
                Ok(seconds) => self.witnessed.push(Witnessed {
                    size,
                    time: Time::from_micros(0).plus_seconds(seconds.cast_signed()),
                    witness: witness.name().to_owned(),
                }),
                Err(NoteError::NotSigned) => {}
                Err(error) => {
                    return Err(fault(format!("{which}, {}: {error}", witness.name())));
                }
            }
        }
        Ok(())
    }

    fn check_stamp(&mut self, which: &str, token: &[u8]) -> Result<(), Problem> {
        let Some(current) = &self.current else { return Ok(()) };
        let Some(size) = current.covers else {
            return Err(fault(format!("{which} has a stamp and no inclusion")));
        };
        let Some(authority) = &self.authority else {
            self.unchecked += 1;
            return Ok(());
        };
        match anchor::check(token, current.note.as_bytes(), None, authority) {
            Ok(stamp) => {
                self.tokens.insert(Hash::of(token), (stamp.time, leeway(stamp.accuracy)));
                self.stamps.push(Anchored {
                    size,
                    time: stamp.time,
                    accuracy: stamp.accuracy,
                    authority: stamp.authority,
                    certificate_ends: stamp.certificate_ends,
                });
                Ok(())
            }
            // Another authority's word is nothing to who does not trust it, and no fault.
            Err(NotAStamp::Path) => {
                self.untrusted += 1;
                Ok(())
            }
            Err(error) => Err(fault(format!("{which}: {error}"))),
        }
    }

    /// What the times of records are held to, after the last anchor.
    pub(crate) fn bounds(&mut self) -> Bounds {
        let mut upper: Vec<(u64, Upper)> = self
            .stamps
            .iter()
            .map(|stamp| {
                let slack = MAX_SKEW_SECONDS.saturating_add(leeway(stamp.accuracy));
                (stamp.size, Upper { stamped: stamp.time, limit: stamp.time.plus_seconds(slack) })
            })
            .collect();
        upper.sort_unstable();
        // A record is held to the earliest of all stamps that cover it.
        let mut least: Option<Upper> = None;
        for (_, upper) in upper.iter_mut().rev() {
            let earliest = least.map_or(*upper, |least| least.min(*upper));
            *upper = earliest;
            least = Some(earliest);
        }
        Bounds { upper, tokens: std::mem::take(&mut self.tokens), ..Bounds::default() }
    }

    /// The name of the deployment's log in every anchor.
    pub(crate) fn origins(&self) -> &[String] {
        &self.origins
    }
}

/// How far a stamp may be from the true time, in whole seconds; of an unknown accuracy, one.
fn leeway(accuracy: Option<u64>) -> i64 {
    let seconds = accuracy.map_or(1, |micros| micros / 1_000_000 + 1);
    i64::try_from(seconds).unwrap_or(MAX_SKEW_SECONDS)
}

/// A stamp over a record, and the latest time that the record may state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Upper {
    limit: Time,
    stamped: Time,
}

/// How long a record could have been written anew before a stamp covered it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Exposure {
    /// From the time that the record states to the first stamp over it.
    pub seconds: i64,
    /// The record's position.
    pub at: u64,
}

/// What the times of records are held to.
#[derive(Debug, Default)]
pub(crate) struct Bounds {
    /// Records before each size are not later than its limit; ascending.
    upper: Vec<(u64, Upper)>,
    next: usize,
    tokens: BTreeMap<Hash, (Time, i64)>,
    /// Records from here on are not earlier than this.
    floor: Option<Time>,
    /// How far the clock is from the authorities' time by the log's own word, in microseconds; 0 when right.
    skew: i64,
    /// The record dated furthest after a stamp over it, since the skew was last settled.
    late: Option<Misdated>,
    /// The record dated furthest before a stamp that it stands after.
    early: Option<Misdated>,
    longest: Option<Exposure>,
}

/// A record whose time contradicts a stamp.
#[derive(Clone, Debug)]
pub(crate) struct Misdated {
    pub(super) at: u64,
    /// By how many microseconds: after what is possible, or before it when negative.
    by: i64,
    pub(crate) words: String,
}

/// What the log explains of its times, and what it does not.
#[derive(Debug, Default)]
pub(super) struct Settled {
    pub(super) explained: Vec<Misdated>,
    pub(super) faults: Vec<Misdated>,
}

fn apart(time: Time, from: Time) -> i64 {
    time.as_micros().saturating_sub(from.as_micros())
}

impl Bounds {
    /// Whether the time of the record at a position contradicts a stamp.
    pub(crate) fn contradicted(&mut self, at: u64, time: Time) -> Option<Misdated> {
        while self.upper.get(self.next).is_some_and(|(size, _)| *size <= at) {
            self.next += 1;
        }
        let upper = self.upper.get(self.next);
        if let Some((_, upper)) = upper {
            let exposure =
                Exposure { seconds: (apart(upper.stamped, time) / 1_000_000).max(0), at };
            if self.longest.is_none_or(|longest| exposure.seconds > longest.seconds) {
                self.longest = Some(exposure);
            }
        }
        if let Some((size, upper)) = upper.filter(|(_, upper)| time > upper.limit) {
            let words = format!(
                "the record says {time}; a stamp over {size} records shows that it was there by {}",
                upper.stamped
            );
            return Some(Misdated { at, by: apart(time, upper.limit), words });
        }
        let floor = self.floor.filter(|floor| time < *floor)?;
        let words = format!(
            "the record says {time}; it stands after a record that could not be written before {floor}"
        );
        Some(Misdated { at, by: apart(time, floor), words })
    }

    /// Takes the time of the record at a position; whether it contradicts a stamp. What it means shows
    /// when the log next says how its clock stands.
    pub(super) fn see(&mut self, at: u64, time: Time) -> bool {
        let Some(misdated) = self.contradicted(at, time) else { return false };
        let held = if misdated.by > 0 { &mut self.late } else { &mut self.early };
        if held.as_ref().is_none_or(|held| misdated.by.abs() > held.by.abs()) {
            *held = Some(misdated);
        }
        true
    }

    /// A record names a token: what follows is later than its stamp. Absent when the token does not count.
    pub(super) fn anchored(&mut self, token: &Hash, time: Time) -> Option<Settled> {
        let (stamped, leeway) = self.tokens.get(token).copied()?;
        let slack = MAX_SKEW_SECONDS.saturating_add(leeway);
        let skew = apart(time, stamped);
        let right = skew.saturating_abs() <= slack.saturating_mul(1_000_000);
        // That the clock is wrong has to be said; how wrong it is by then, every stamp shows.
        let settled = self.settle(if right || self.skew == 0 { 0 } else { skew });
        self.floor = self.floor.max(Some(stamped.plus_seconds(-slack)));
        Some(settled)
    }

    /// The log says at `time` that its clock is wrong, by a stamp at `stamped`. Absent when there was no
    /// such stamp, as far as the bundle shows.
    pub(super) fn skewed(&mut self, at: u64, time: Time, stamped: Time) -> Option<Settled> {
        let over = self.upper.get(self.next).filter(|(size, _)| *size > at);
        let between = over.is_some_and(|(_, upper)| stamped <= upper.limit)
            && self.floor.is_none_or(|floor| stamped >= floor);
        let known = self.tokens.values().any(|(token, _)| *token == stamped);
        (between || known).then(|| self.settle(apart(time, stamped)))
    }

    /// What was held is explained when the clock was off by as much at the last word of the log about it, or
    /// is by this one.
    pub(super) fn settle(&mut self, skew: i64) -> Settled {
        let (least, most) = (self.skew.min(skew), self.skew.max(skew));
        self.skew = skew;
        let mut settled = Settled::default();
        for misdated in [self.late.take(), self.early.take()].into_iter().flatten() {
            let explained =
                if misdated.by > 0 { misdated.by <= most } else { misdated.by >= least };
            if explained { &mut settled.explained } else { &mut settled.faults }.push(misdated);
        }
        settled
    }

    /// How far off the log says that its clock is, in microseconds.
    pub(super) const fn skew(&self) -> i64 {
        self.skew
    }

    /// The longest time that a record stood without a stamp.
    pub(super) const fn longest(&self) -> Option<Exposure> {
        self.longest
    }
}
