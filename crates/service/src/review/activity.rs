//! The figures of a report: one pass over the records, no clock, no database.

use super::Review;
use ledger::{About, Actor, ActorKind, Event, Outcome, Record, Time};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The form of the document.
pub(super) const FORMAT: &str = "bulla-activity-1";

/// Items that one list of a report shows; the rest are counted. Nobody reads more.
const LISTED: usize = 1000;

/// How often each word stands there.
type Counts = BTreeMap<String, u64>;

/// A report, as its document has it.
#[derive(Debug, Serialize)]
pub(super) struct Activity {
    pub(super) format: &'static str,
    pub(super) log: String,
    pub(super) organisation: String,
    pub(super) verifier_key: String,
    /// When it was made.
    pub(super) made: String,
    pub(super) from: u64,
    pub(super) size: u64,
    /// The signed note over the records.
    pub(super) checkpoint: String,
    /// The last review before `size`.
    pub(super) last_review: Option<Review>,
    #[serde(flatten)]
    pub(super) figures: Figures,
}

/// What the records say, added up.
#[derive(Debug, Default, Serialize)]
pub(super) struct Figures {
    /// The time of the first record.
    pub(super) first: Option<Time>,
    /// The time of the last record.
    pub(super) last: Option<Time>,
    /// Records by kind.
    pub(super) records: Counts,
    pub(super) exchanges: Exchanges,
    /// Readings of content, by who read and why.
    pub(super) content_read: Counts,
    /// Readings of the log: exports, lines, tiles, searches, reports.
    pub(super) log_read: Counts,
    pub(super) refused: Refused,
    /// Changes of keys, holds, configuration and content.
    pub(super) changes: Listed,
    pub(super) anchors: Anchors,
    /// What did not work, and what ends soon.
    pub(super) warnings: Listed,
}

/// Exchanges that ended, by what their outcomes say.
#[derive(Debug, Default, Serialize)]
pub(super) struct Exchanges {
    pub(super) ended: u64,
    /// Prompts that left and whose exchange has not ended in these records.
    pub(super) open: u64,
    /// Exchanges that name a patient.
    pub(super) of_patients: u64,
    pub(super) outcomes: Counts,
    pub(super) owners: Counts,
    pub(super) purposes: Counts,
    pub(super) surfaces: Counts,
    pub(super) decisions: Counts,
    pub(super) destinations: Counts,
    /// Refusals and failures by code and reason.
    pub(super) codes: Counts,
}

/// Requests that were turned away before they were exchanges.
#[derive(Debug, Default, Serialize)]
pub(super) struct Refused {
    /// Nobody could be authenticated.
    pub(super) unknown: u64,
    /// The key was not for that: by owner and reason.
    pub(super) denied: Counts,
}

/// Who outside vouches for the records.
#[derive(Debug, Default, Serialize)]
pub(super) struct Anchors {
    /// Stamps by authority.
    pub(super) stamps: Counts,
    /// The longest time from a record to the first stamp over it; absent without a stamp.
    pub(super) longest_exposure_seconds: Option<i64>,
    /// Records that no stamp of these records covers.
    pub(super) uncovered: u64,
}

/// Single records that a reviewer looks at.
#[derive(Debug, Default, Serialize)]
pub(super) struct Listed {
    pub(super) items: Vec<Item>,
    /// How many more there are.
    pub(super) more: u64,
}

/// One record in a line.
#[derive(Debug, Serialize)]
pub(super) struct Item {
    pub(super) seq: u64,
    pub(super) time: Time,
    pub(super) kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) by: Option<String>,
    pub(super) what: String,
}

impl Listed {
    fn add(&mut self, record: &Record, what: String) {
        if self.items.len() >= LISTED {
            self.more += 1;
            return;
        }
        self.items.push(Item {
            seq: record.seq,
            time: record.time,
            kind: record.event.kind(),
            by: record.event.actor().map(named),
            what,
        });
    }
}

/// Who it was, in words.
fn named(actor: &Actor) -> String {
    match actor.kind {
        ActorKind::ApiKey => format!("{} ({})", actor.name, actor.id),
        ActorKind::Operator => format!("{} (operator, {})", actor.name, actor.id),
        ActorKind::System => "Bulla".to_owned(),
    }
}

fn count(counts: &mut Counts, word: impl Into<String>, by: u64) {
    *counts.entry(word.into()).or_default() += by;
}

/// The figures as they grow.
#[derive(Debug, Default)]
pub(super) struct Tally {
    figures: Figures,
    open: BTreeSet<u64>,
    /// Times of the records that no stamp covers yet, in order.
    uncovered: VecDeque<(u64, Time)>,
}

impl Tally {
    pub(super) fn add(&mut self, record: &Record) {
        let figures = &mut self.figures;
        figures.first.get_or_insert(record.time);
        figures.last = Some(record.time);
        count(&mut figures.records, record.event.kind(), 1);
        self.uncovered.push_back((record.seq, record.time));
        self.sort(record);
    }

    pub(super) fn finish(mut self) -> Figures {
        self.figures.exchanges.open = self.open.len() as u64;
        self.figures.anchors.uncovered = self.uncovered.len() as u64;
        self.figures
    }

    fn sort(&mut self, record: &Record) {
        let Figures { changes, warnings, content_read, log_read, refused, .. } = &mut self.figures;
        let mut read = |actor: &Actor, what: &str| {
            count(log_read, format!("{what}: {}", named(actor)), 1);
        };
        match &record.event {
            Event::Intent(_) => {
                self.open.insert(record.seq);
            }
            Event::Outcome(outcome) => {
                if let Some(intent) = outcome.intent {
                    self.open.remove(&intent);
                }
                self.figures.exchanges.add(outcome);
            }
            Event::ContentRead { actor, reason, .. } => {
                count(content_read, format!("{reason}: {}", named(actor)), 1);
            }
            Event::AnswerWithdrawn { exchange, .. } => changes.add(record, exchange.to_string()),
            Event::Exported { actor, .. } => read(actor, "exported"),
            Event::Streamed { actor, .. } => read(actor, "read as lines"),
            Event::TilesRead { actor, .. } => read(actor, "read as tiles"),
            Event::Searched { actor, .. } => read(actor, "searched"),
            Event::Reported { actor, .. } => read(actor, "reported"),
            Event::AccessRefused { count } => refused.unknown += count,
            Event::AccessDenied { actor, reason, count: times } => {
                count(&mut refused.denied, format!("{reason}: {}", named(actor)), *times);
            }
            Event::LogOpened { .. } => changes.add(record, "the log begins".to_owned()),
            Event::ConfigurationApplied { version, changes: objects, .. } => {
                let objects: Vec<&str> = objects.iter().map(|it| it.object.as_str()).collect();
                changes.add(record, format!("version {version}: {}", objects.join(", ")));
            }
            Event::ApiKeyCreated { key, owner, role, .. } => {
                let role = role.as_deref().unwrap_or("caller");
                changes.add(record, format!("{key} for {owner}, {role}"));
            }
            Event::ApiKeyRevoked { key, .. } => changes.add(record, key.to_string()),
            Event::Started { version, .. } => changes.add(record, format!("version {version}")),
            Event::Stopped { .. } => changes.add(record, "in good order".to_owned()),
            Event::Disposed { scope, reason, count, held, .. } => {
                let scope = crate::feed::scope_of(scope);
                changes.add(record, format!("{scope}, {reason}: {count} disposed of, {held} held"));
            }
            Event::HoldPlaced { hold, unit, .. } => {
                changes.add(record, format!("{hold}, over {}", crate::feed::held(unit.as_ref())));
            }
            Event::HoldReleased { hold, .. } => changes.add(record, hold.clone()),
            Event::KeyRotated { level, former, current, .. } => {
                changes.add(record, format!("{level}: from {former} to {current}"));
            }
            Event::Pruned { size, .. } => changes.add(record, format!("records before {size}")),
            Event::Offboarded { .. } => changes.add(record, "the organisation left".to_owned()),
            Event::Reviewed { reviewer, from, size, .. } => {
                changes.add(record, format!("{reviewer} reviewed {from} to before {size}"));
            }
            Event::AgreementFiled { agreement, sha256, .. }
            | Event::AgreementDisposed { agreement, sha256, .. } => {
                changes.add(record, format!("{agreement}, the document {sha256}"));
            }
            Event::AgreementRead { actor, agreement, .. } => {
                read(actor, &format!("read the document of {agreement}"));
            }
            Event::Anchored { size, authority, stamped, .. } => {
                self.figures.anchors.add(&mut self.uncovered, *size, authority, *stamped);
            }
            Event::AgreementExpiring { agreement, expires, days } => {
                warnings.add(record, format!("{agreement} ends at {expires}, within {days} days"));
            }
            Event::AnchorFailing { authority: part, reason }
            | Event::FeedFailing { feed: part, reason }
            | Event::CopyFailing { copy: part, reason } => {
                warnings.add(record, format!("{part}: {reason}"));
            }
            // Nothing of anybody's: it is counted as a record and as no exchange.
            Event::SelfTestPassed { .. } => {}
            Event::SelfTestFailed { reason, route, .. } => {
                let route = route.as_deref().unwrap_or("of its own");
                warnings.add(record, format!("the guard {reason}, on the route {route}"));
            }
            Event::CacheMismatch { reason, route } => {
                warnings.add(record, format!("{route}: {reason}"));
            }
            Event::BatchFile { batch, destination, outcome, reason, .. } => {
                if let Some(reason) = reason {
                    warnings.add(record, format!("{batch} at {destination}: {outcome}, {reason}"));
                }
            }
            Event::ClockSkewed { authority, stamped } => {
                warnings.add(record, format!("{authority} says {stamped}"));
            }
            Event::ReviewOverdue { expires, days } => {
                warnings.add(record, format!("due at {expires}, every {days} days"));
            }
        }
    }
}

impl Exchanges {
    fn add(&mut self, outcome: &Outcome) {
        let About { actor, surface, purpose, decision, destination, patient, .. } = &outcome.about;
        let or_none = |word: &Option<String>| word.clone().unwrap_or_else(|| "none".to_owned());
        self.ended += 1;
        self.of_patients += u64::from(patient.is_some());
        count(&mut self.outcomes, outcome.outcome.as_str(), 1);
        count(&mut self.owners, actor.name.as_str(), 1);
        count(&mut self.purposes, or_none(purpose), 1);
        count(&mut self.surfaces, surface.as_str(), 1);
        count(&mut self.decisions, or_none(decision), 1);
        count(&mut self.destinations, or_none(destination), 1);
        let code = match (&outcome.code, &outcome.reason) {
            (Some(code), Some(reason)) => format!("{code}: {reason}"),
            (Some(word), None) | (None, Some(word)) => word.clone(),
            (None, None) => return,
        };
        count(&mut self.codes, code, 1);
    }
}

impl Anchors {
    /// Takes note of a stamp over the first `size` records.
    fn add(
        &mut self,
        uncovered: &mut VecDeque<(u64, Time)>,
        size: u64,
        authority: &str,
        stamped: Time,
    ) {
        count(&mut self.stamps, authority, 1);
        while let Some((seq, time)) = uncovered.front().copied()
            && seq < size
        {
            let micros = stamped.as_micros().saturating_sub(time.as_micros());
            let seconds = micros.div_euclid(1_000_000).max(0);
            self.longest_exposure_seconds =
                Some(self.longest_exposure_seconds.map_or(seconds, |longest| longest.max(seconds)));
            uncovered.pop_front();
        }
    }
}
