//! What was disposed of, by which right, and what was held back from it.
//!
//! Destroying a key leaves no trace in the content itself, so whoever wants something gone could say
//! that it was never kept. Therefore: what a record commits to is in the bundle or was disposed of by a
//! record, and nothing is disposed of while a hold covers it.

use crate::glance::{Classes, Sealed};
use crate::{ContentClass, Day, Disposal, ExchangeId, Unit};
use serde::Serialize;
use std::collections::BTreeMap;

/// Holds in force at once, and units that were disposed of one by one; each has a person behind it.
const MAX_SINGLE: usize = 1_000_000;

/// Disposals that a verdict tells of, the newest first to go: one a day for 20 years.
const MAX_TOLD: usize = 10_000;

/// A disposal, as the log tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DisposedAt {
    /// The position of the record.
    pub at: u64,
    /// By which right.
    pub authority: String,
    /// Payloads that are named by records and absent from the bundle because of it; 0 in a bundle
    /// without content. What the records commit to them by is intact.
    pub payloads: u64,
}

/// A payload that a record names and the bundle does not hold.
#[derive(Debug)]
struct Missing {
    /// The record from which on the content was there.
    at: u64,
    exchange: ExchangeId,
    unit: Unit,
    key_day: Option<Day>,
    class: ContentClass,
}

/// All that the log says of disposals and holds.
#[derive(Debug, Default)]
pub(super) struct Disposals {
    /// Whether the bundle claims to hold all content that was not disposed of.
    complete: bool,
    holds: BTreeMap<String, Option<Unit>>,
    units: BTreeMap<Unit, Vec<(Classes, usize)>>,
    before: Vec<(Day, Classes, usize)>,
    everything: Option<usize>,
    told: Vec<DisposedAt>,
    missing: Vec<Missing>,
}

type Checked = Result<(), String>;

impl Disposals {
    /// The bundle says that it holds all content that was not disposed of.
    pub(super) const fn claim_complete(&mut self) {
        self.complete = true;
    }

    pub(super) fn place(&mut self, hold: &str, unit: Option<Unit>) -> Checked {
        if self.holds.len() >= MAX_SINGLE {
            return Err("more holds are in force than one log may have".to_owned());
        }
        match self.holds.insert(hold.to_owned(), unit) {
            None => Ok(()),
            Some(_) => Err(format!("the hold {hold} is placed a second time")),
        }
    }

    pub(super) fn release(&mut self, hold: &str) -> Checked {
        let released = self.holds.remove(hold).map(|_| ());
        released.ok_or_else(|| format!("the hold {hold} is released and was not in force"))
    }

    pub(super) fn dispose(
        &mut self,
        at: u64,
        scope: Disposal,
        classes: Classes,
        authority: &str,
        today: Day,
    ) -> Checked {
        if let Disposal::Before(day) = scope
            && day > today
        {
            return Err(format!("it disposes of what was still to come, before {day}"));
        }
        let number = self.tell(at, authority);
        let unit = match scope {
            Disposal::Before(day) => {
                self.before.push((day, classes, number));
                None
            }
            Disposal::Exchange(exchange) => Some(Unit::Exchange(exchange)),
            Disposal::Conversation(conversation) => Some(Unit::Conversation(conversation)),
        };
        if let Some(unit) = unit {
            if self.units.len() >= MAX_SINGLE {
                return Err("more was disposed of piece by piece than one log may tell".to_owned());
            }
            self.units.entry(unit).or_default().push((classes, number));
        }
        let covers = |held: &Option<Unit>| held.is_none() || unit.is_some() && *held == unit;
        match self.holds.iter().find(|(_, held)| covers(held)) {
            None => Ok(()),
            Some((name, _)) => Err(format!("it was disposed of while the hold {name} covered it")),
        }
    }

    /// The document of an agreement is disposed of: only a hold over everything covers it.
    pub(super) fn dispose_of_agreement(&self) -> Checked {
        match self.holds.iter().find(|(_, unit)| unit.is_none()) {
            None => Ok(()),
            Some((hold, _)) => Err(format!("it was disposed of while the hold {hold} covered it")),
        }
    }

    /// Records are pruned: nothing may be on hold.
    pub(super) fn prune(&self) -> Checked {
        match self.holds.first_key_value() {
            None => Ok(()),
            Some((hold, _)) => Err(format!("records were pruned under the hold {hold}")),
        }
    }

    /// The organisation left, and everything went.
    pub(super) fn dispose_of_everything(&mut self, at: u64, authority: &str) -> Checked {
        self.everything = Some(self.tell(at, authority));
        match self.holds.first_key_value() {
            None => Ok(()),
            Some((hold, _)) => Err(format!("everything was disposed of under the hold {hold}")),
        }
    }

    fn tell(&mut self, at: u64, authority: &str) -> usize {
        let number = self.told.len();
        if number < MAX_TOLD {
            self.told.push(DisposedAt { at, authority: authority.to_owned(), payloads: 0 });
        }
        number.min(MAX_TOLD - 1)
    }

    /// Notes that the bundle does not hold a payload that a record names.
    /// `at` is the record from which on the content was there: only a later one can dispose of it.
    pub(super) fn misses(&mut self, at: u64, about: &Sealed, class: ContentClass) -> Checked {
        if !self.complete {
            return Ok(());
        }
        if self.missing.len() >= super::MAX_EXCHANGES_WITH_CONTENT {
            return Err("more content is absent than one bundle may tell of".to_owned());
        }
        let unit = match about.conversation {
            Some(conversation) => Unit::Conversation(conversation),
            None => Unit::Exchange(about.exchange),
        };
        let Sealed { exchange, key_day, .. } = *about;
        self.missing.push(Missing { at, exchange, unit, key_day, class });
        Ok(())
    }

    /// The disposals, each with the payloads that are absent because of it; and the first payload that is
    /// absent without one, in words.
    pub(super) fn finish(&mut self) -> (Vec<DisposedAt>, Checked) {
        let mut checked = Ok(());
        for missing in std::mem::take(&mut self.missing) {
            let disposed = self.disposal_of(&missing);
            match disposed.and_then(|number| self.told.get_mut(number)) {
                Some(disposal) => disposal.payloads += 1,
                None if checked.is_ok() => {
                    let Missing { exchange, class, .. } = missing;
                    checked = Err(format!(
                        "{class} of {exchange}: named by a record, not in the bundle, and no record says \
                         that it was disposed of"
                    ));
                }
                None => {}
            }
        }
        (std::mem::take(&mut self.told), checked)
    }

    fn disposal_of(&self, missing: &Missing) -> Option<usize> {
        let single = self.units.get(&missing.unit).into_iter().flatten();
        let later = |number: &usize| {
            self.told.get(*number).is_some_and(|disposal| disposal.at > missing.at)
        };
        let single = single.filter(|(classes, it)| classes.has(missing.class) && later(it));
        // Keys of a day that is over seal nothing that comes later, so the position says nothing here.
        let by_day = self.before.iter().filter(|(day, classes, _)| {
            classes.has(missing.class) && missing.key_day.is_some_and(|of| of < *day)
        });
        let numbers = single.map(|(_, number)| *number).chain(by_day.map(|(.., number)| *number));
        numbers.chain(self.everything.filter(later)).min()
    }
}
