//! What one subject has under way, used in the last minute, and spent in its days and months.

use super::CONCURRENT_WAIT;
use super::window::{Window, second};
use crate::identity::Principal;
use gate::rules::{Currency, Limits, Measure, Name, Per, Route};
use ledger::{ApiKeyId, Day, Time};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use store::SpentRow;

/// Periods that are kept for one subject before those that are over are forgotten: of a day and a month,
/// yesterday and the month before, tokens and money.
const PERIODS: usize = 8;

/// Whom something counts against.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    Key(ApiKeyId),
    Owner(Arc<str>),
    Route(Name),
    Tenant,
}

impl Subject {
    /// Whether a limit is for it.
    pub(super) fn is_of(&self, per: &Per) -> bool {
        match (self, per) {
            (Self::Key(key), Per::Key(of)) => of.is_none_or(|of| of == *key),
            (Self::Owner(owner), Per::Owner(of)) => {
                of.as_ref().is_none_or(|of| of.as_str() == &**owner)
            }
            (Self::Route(route), Per::Route(of)) => of.as_ref().is_none_or(|of| of == route),
            (Self::Tenant, Per::Tenant) => true,
            (Self::Key(_) | Self::Owner(_) | Self::Route(_) | Self::Tenant, _) => false,
        }
    }
}

/// All that a request of a caller counts against.
pub(super) fn subjects(principal: &Principal, route: Option<&Route>) -> Vec<Subject> {
    let mut subjects = Vec::with_capacity(4);
    subjects.push(Subject::Key(principal.key()));
    subjects.push(Subject::Owner(principal.owner()));
    subjects.extend(route.map(|route| Subject::Route(route.model().clone())));
    subjects.push(Subject::Tenant);
    subjects
}

/// Tokens, and what they cost in millionths of a unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Amounts {
    pub(super) tokens: u64,
    pub(super) micros: u64,
}

/// Whether what is spent is counted, and in which currency its money is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Spending {
    /// No limit is of a day or a month.
    Uncounted,
    /// Some limit is.
    Counted(Option<Currency>),
}

impl Spending {
    pub(super) const fn under(limits: &Limits) -> Self {
        if limits.has_budgets() { Self::Counted(limits.currency()) } else { Self::Uncounted }
    }
}

/// One moment: on the clock, which may be set back, and in steady time, which is not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    now: Time,
    micros: i64,
    day: Day,
    /// The first day of the month.
    month: Day,
}

impl Moment {
    /// The second of steady time.
    pub(super) const fn second(&self) -> i64 {
        second(self.micros)
    }

    /// The day, in UTC.
    pub(super) const fn day(&self) -> Day {
        self.day
    }

    /// The first day of which anything still counts: the month's first, or yesterday, to which the clock
    /// may be set back.
    pub(super) fn kept_from(&self) -> Day {
        self.month.min(self.day.plus_days(-1))
    }
}

/// Which month a day is of, worked out once a day.
#[derive(Debug, Default)]
pub(super) struct Calendar(Option<(Day, Day)>);

impl Calendar {
    pub(super) fn moment(&mut self, now: Time, micros: i64) -> Moment {
        let day = now.day();
        let month = match self.0 {
            Some((known, month)) if known == day => month,
            Some(_) | None => month_of(day),
        };
        self.0 = Some((day, month));
        Moment { now, micros, day, month }
    }
}

/// The first day of a day's month.
fn month_of(day: Day) -> Day {
    let mut text = day.to_string();
    text.truncate("YYYY-MM-".len());
    text.push_str("01");
    // INVARIANT: the first of a month is a day.
    text.parse().unwrap_or(day)
}

/// A day, or a month by its first day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Period {
    Day(Day),
    Month(Day),
}

/// What is counted of a period. Money of another currency is another count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Counted {
    Tokens,
    Money(Option<Currency>),
}

/// What counts against one subject.
#[derive(Debug, Default)]
pub(super) struct Used {
    running: u64,
    requests: Window,
    tokens: Window,
    spent: BTreeMap<(Period, Counted), u64>,
}

impl Used {
    /// Forgets what is over.
    pub(super) fn slide(&mut self, moment: &Moment) {
        self.requests.slide(moment.second());
        self.tokens.slide(moment.second());
        if self.spent.len() > PERIODS {
            let yesterday = moment.day.plus_days(-1);
            let before = month_of(moment.month.plus_days(-1));
            self.spent.retain(|(period, _), _| match period {
                Period::Day(day) => *day >= yesterday,
                Period::Month(month) => *month >= before,
            });
        }
    }

    /// Whether nothing counts.
    pub(super) fn is_nothing(&self) -> bool {
        self.running == 0
            && self.requests.is_empty()
            && self.tokens.is_empty()
            && self.spent.is_empty()
    }

    /// An exchange begins. What is spent is counted where there is a limit of it, with its currency.
    pub(super) fn begin(&mut self, moment: &Moment, amounts: Amounts, spending: Spending) {
        self.running += 1;
        self.requests.add(moment.second(), 1);
        self.tokens.add(moment.second(), amounts.tokens);
        if let Spending::Counted(currency) = spending {
            self.spend(moment, currency, Amounts::default(), amounts);
        }
    }

    /// An exchange ended.
    pub(super) fn end(&mut self) {
        self.running = self.running.saturating_sub(1);
    }

    /// An exchange that began at `begun` and took `held` used this instead.
    pub(super) fn settle(
        &mut self,
        begun: &Moment,
        now: &Moment,
        (held, actual): (Amounts, Amounts),
        spending: Spending,
    ) {
        if actual.tokens > held.tokens {
            // More than was expected is used when it is known of: its second may be forgotten.
            self.tokens.add(now.second(), actual.tokens - held.tokens);
        } else {
            self.tokens.give_back(begun.second(), held.tokens - actual.tokens);
        }
        if let Spending::Counted(currency) = spending {
            self.spend(begun, currency, held, actual);
        }
    }

    /// Replaces what was counted in the periods of a moment.
    fn spend(&mut self, at: &Moment, currency: Option<Currency>, from: Amounts, to: Amounts) {
        let money = Counted::Money(currency);
        let counts = [
            (Period::Day(at.day), Counted::Tokens, from.tokens, to.tokens),
            (Period::Day(at.day), money, from.micros, to.micros),
            (Period::Month(at.month), money, from.micros, to.micros),
        ];
        for (period, counted, from, to) in counts {
            if from != to {
                let sum = self.spent.entry((period, counted)).or_default();
                *sum = sum.saturating_add(to).saturating_sub(from);
            }
        }
    }

    /// How much is used of what a measure counts.
    pub(super) fn of(&self, measure: Measure, currency: Option<Currency>, at: &Moment) -> u64 {
        let spent = |period, counted| self.spent.get(&(period, counted)).copied().unwrap_or(0);
        match measure {
            Measure::RequestsPerMinute => self.requests.used(),
            Measure::TokensPerMinute => self.tokens.used(),
            Measure::Concurrent => self.running,
            Measure::TokensPerDay => spent(Period::Day(at.day), Counted::Tokens),
            Measure::MoneyPerDay => spent(Period::Day(at.day), Counted::Money(currency)),
            Measure::MoneyPerMonth => spent(Period::Month(at.month), Counted::Money(currency)),
        }
    }

    /// How long until at most `most` of it is used, when nothing more is.
    pub(super) fn until(&self, measure: Measure, most: u64, at: &Moment) -> Duration {
        match measure {
            Measure::RequestsPerMinute => self.requests.until(most, at.micros),
            Measure::TokensPerMinute => self.tokens.until(most, at.micros),
            Measure::Concurrent => CONCURRENT_WAIT,
            Measure::TokensPerDay | Measure::MoneyPerDay => {
                if self.spent.is_empty() {
                    Duration::ZERO
                } else {
                    until(at, at.day.plus_days(1))
                }
            }
            // No month has more than 31 days.
            Measure::MoneyPerMonth => until(at, month_of(at.month.plus_days(31))),
        }
    }
}

fn until(at: &Moment, day: Day) -> Duration {
    let micros = day.start().as_micros().saturating_sub(at.now.as_micros());
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

/// Adds what the database says was spent.
pub(super) fn add_spent(subjects: &mut BTreeMap<Subject, Used>, row: &SpentRow, owner: String) {
    let amount = |number: i64| u64::try_from(number).unwrap_or(0);
    let spent = Amounts { tokens: amount(row.tokens), micros: amount(row.micros) };
    let at = Moment { now: row.day.start(), micros: 0, day: row.day, month: month_of(row.day) };
    let currency = row.currency.parse().ok();
    // A route that is no longer there has a name all the same.
    let route = row.route.parse().ok().map(Subject::Route);
    let of = [Subject::Key(row.key), Subject::Owner(owner.into()), Subject::Tenant];
    for subject in of.into_iter().chain(route) {
        let used = subjects.entry(subject).or_default();
        used.spend(&at, currency, Amounts::default(), spent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(calendar: &mut Calendar, seconds: i64) -> Moment {
        let micros = 1_767_225_600_000_000 + seconds * 1_000_000;
        calendar.moment(Time::from_micros(micros), micros)
    }

    #[test]
    fn a_month_begins_on_its_first_day() {
        for (day, month) in [
            ("2026-11-27", "2026-11-01"),
            ("2026-11-01", "2026-11-01"),
            ("2028-02-29", "2028-02-01"),
            ("2026-12-31", "2026-12-01"),
        ] {
            assert_eq!(month_of(day.parse().unwrap()).to_string(), month);
        }
    }

    proptest! {
        /// Exchanges begin, depart and end in any order, with more or less used than was held: in the end
        /// exactly what was used is counted, and nobody runs.
        #[test]
        fn in_the_end_exactly_what_was_used_is_counted(
            steps in prop::collection::vec((0_i64..20, 0_u64..500, 0_u64..1000, 0_usize..8), 1..60),
        ) {
            let (mut used, mut calendar, mut seconds) = (Used::default(), Calendar::default(), 0);
            let (mut open, mut ended) = (Vec::new(), Vec::new());
            let amounts = |tokens| Amounts { tokens, micros: 3 * tokens };
            let mut end = |used: &mut Used, (begun, held): (Moment, Amounts), now, actual| {
                used.end();
                used.settle(&begun, &now, (held, actual), Spending::Counted(None));
                ended.push(actual.tokens);
            };
            for (step, held, actual, which) in steps {
                seconds += step;
                let now = at(&mut calendar, seconds);
                used.slide(&now);
                used.begin(&now, amounts(held), Spending::Counted(None));
                open.push((now, amounts(held)));
                if which < open.len() {
                    end(&mut used, open.swap_remove(which), now, amounts(actual));
                }
            }
            let now = at(&mut calendar, seconds);
            for exchange in open {
                end(&mut used, exchange, now, amounts(7));
            }
            let sum: u64 = ended.iter().sum();
            let of = |measure| used.of(measure, None, &now);
            prop_assert_eq!(of(Measure::TokensPerDay), sum);
            prop_assert_eq!(of(Measure::MoneyPerDay), 3 * sum);
            prop_assert_eq!(of(Measure::MoneyPerMonth), 3 * sum);
            prop_assert_eq!(of(Measure::Concurrent), 0);
            // A minute later none of it counts for the minute any more.
            used.slide(&at(&mut calendar, seconds + 61));
            prop_assert_eq!((used.tokens.used(), used.requests.used()), (0, 0));
        }
    }
}
