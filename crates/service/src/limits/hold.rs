//! What an exchange holds of its limits while it runs.

use super::usage::{Amounts, Moment, Spending, Subject};
use super::{ANSWER_BYTES_PER_TOKEN, Limits, MAX_TOKENS};
use crate::house::InForce;
use gate::rules::Name;
use ledger::{ApiKeyId, Event, Usage};
use std::sync::Arc;
use store::{Effect, SpentRow};

/// What an exchange holds until it ends: a place among those at once, and what it may use at most. Dropping
/// it gives back the place, and what was held for a text that never left.
#[derive(Debug)]
pub(crate) struct Hold(Option<Box<Held>>);

#[derive(Debug)]
struct Held {
    booking: Booking,
    stage: Stage,
    /// Bytes of text that the model said in a stream.
    said: usize,
}

/// What was taken, and from whom.
#[derive(Debug)]
pub(super) struct Booking {
    pub(super) limits: Arc<Limits>,
    pub(super) in_force: Arc<InForce>,
    pub(super) key: ApiKeyId,
    pub(super) route: Option<Name>,
    pub(super) subjects: Vec<Subject>,
    pub(super) amounts: Amounts,
    /// What the amounts were worked out from.
    pub(super) estimate: Usage,
    pub(super) moment: Moment,
}

/// How far an exchange is, as far as limits care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing left yet.
    Admitted,
    /// The text may have left, so what is held for it counts until it is known what was used.
    Departed,
    /// It is over, and counts what it used.
    Settled,
}

/// What a record means for limits, taken from it before it is made durable.
#[derive(Debug)]
pub(crate) struct Turn {
    step: Step,
    row: Option<SpentRow>,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Departs,
    Ends(Amounts),
    Nothing,
}

impl Turn {
    /// What becomes durable with the record.
    pub(crate) fn effects(&mut self) -> Vec<Effect> {
        self.row.take().map(Effect::Spend).into_iter().collect()
    }
}

impl Hold {
    /// Of an exchange that nothing limits.
    pub(crate) const fn none() -> Self {
        Self(None)
    }

    pub(super) fn of(booking: Booking) -> Self {
        Self(Some(Box::new(Held { booking, stage: Stage::Admitted, said: 0 })))
    }

    /// The model said so many bytes of text, which count when it does not say what was used.
    pub(crate) fn said(&mut self, bytes: usize) {
        if let Some(held) = &mut self.0 {
            held.said = bytes;
        }
    }

    /// What a record that is about to be made durable means.
    pub(crate) fn turn(&self, event: &Event) -> Turn {
        let nothing = Turn { step: Step::Nothing, row: None };
        let Some(held) = &self.0 else { return nothing };
        let Held { booking, stage, said } = &**held;
        if let Event::Intent(_) = event {
            let row = booking.row(Amounts::default(), booking.amounts);
            return Turn { step: Step::Departs, row };
        }
        // No other record is of an exchange.
        let Event::Outcome(outcome) = event else { return nothing };
        if *stage == Stage::Admitted {
            return Turn { step: Step::Ends(Amounts::default()), row: None };
        }
        let destination = outcome.about.destination.as_deref();
        let actual = match outcome.usage {
            Some(usage) => booking.actual(destination, usage),
            None => booking.uncounted(destination, *said),
        };
        Turn { step: Step::Ends(actual), row: booking.row(booking.amounts, actual) }
    }

    /// The record is durable.
    pub(crate) fn recorded(&mut self, turn: &Turn) {
        let Some(held) = &mut self.0 else { return };
        match turn.step {
            Step::Departs => held.stage = Stage::Departed,
            Step::Ends(actual) => held.settle(Some(actual)),
            Step::Nothing => {}
        }
    }
}

impl Booking {
    fn spending(&self) -> Spending {
        Spending::under(self.in_force.rules.limits())
    }

    fn actual(&self, destination: Option<&str>, usage: Usage) -> Amounts {
        let Usage { prompt, completion } = usage;
        let (prompt, completion) = (prompt.min(MAX_TOKENS), completion.min(MAX_TOKENS));
        let rules = &self.in_force.rules;
        let route = self.route.as_ref().and_then(|route| rules.route(route.as_str()));
        let usage = Usage { prompt, completion };
        let micros = route.map_or(0, |route| rules.limits().cost(route, destination, usage));
        Amounts { tokens: prompt + completion, micros }
    }

    /// What a model server that does not count is taken to have used: what was held, or as much as it said
    /// when that is more. A caller that leaves counting out saves nothing by it.
    fn uncounted(&self, destination: Option<&str>, said: usize) -> Amounts {
        let said = (said as u64).div_ceil(ANSWER_BYTES_PER_TOKEN);
        if said <= self.estimate.completion {
            return self.amounts;
        }
        self.actual(destination, Usage { completion: said, ..self.estimate })
    }

    /// How what is spent changes in the database; absent when it does not.
    fn row(&self, from: Amounts, to: Amounts) -> Option<SpentRow> {
        let Spending::Counted(currency) = self.spending() else { return None };
        let route = self.route.as_ref()?;
        let (tokens, micros) =
            (difference(from.tokens, to.tokens), difference(from.micros, to.micros));
        if (tokens, micros) == (0, 0) {
            return None;
        }
        Some(SpentRow {
            day: self.moment.day(),
            key: self.key,
            route: route.as_str().to_owned(),
            currency: currency.map(|code| code.as_str().to_owned()).unwrap_or_default(),
            tokens,
            micros,
        })
    }
}

/// `to - from`, as a column holds it.
fn difference(from: u64, to: u64) -> i64 {
    /// Two of them still make a number.
    const MOST: u64 = 1 << 62;
    let column = |number: u64| i64::try_from(number.min(MOST)).unwrap_or(i64::MAX);
    column(to) - column(from)
}

impl Held {
    /// Ends it, with what it used; without a word on that, with all that was held.
    fn settle(&mut self, actual: Option<Amounts>) {
        if std::mem::replace(&mut self.stage, Stage::Settled) == Stage::Settled {
            return;
        }
        let Booking { limits, subjects, amounts, moment, .. } = &self.booking;
        let spending = self.booking.spending();
        let mut state = limits.lock();
        let now = state.moment(&*limits.clock);
        for subject in subjects {
            // INVARIANT: nobody is forgotten while something of theirs runs.
            if let Some(used) = state.subjects.get_mut(subject) {
                used.end();
                if let Some(actual) = actual {
                    used.settle(moment, &now, (*amounts, actual), spending);
                }
            }
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let actual = match self.stage {
            Stage::Admitted => Some(Amounts::default()),
            Stage::Departed | Stage::Settled => None,
        };
        self.settle(actual);
    }
}
