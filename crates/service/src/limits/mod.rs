//! Limits: how much may pass, for whom.
//!
//! [`House::limit`] is asked once, before an exchange is taken further, and takes what the exchange may use
//! at most; what it did use takes the place of that when its outcome is durable ([`Hold`]). Budgets of a day
//! and a month are written in the transactions of the exchange's own records, so that they are right after
//! a restart, and after a kill count too much rather than too little.

mod hold;
mod room;
mod share;
mod usage;
mod window;

pub(crate) use hold::Hold;
pub(crate) use room::Room;
pub use room::{Overloaded, Place};

use crate::house::{House, InForce};
use crate::identity::Principal;
use gate::rules::{Limit, Measure, Route};
use gate::{Code, Refusal};
use hold::Booking;
use ledger::{ApiKeyId, Clock, Time, Usage};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use store::Tenant;
use usage::{Amounts, Moment, Spending, Subject, Used};
use window::Steady;

/// Bytes of a request for each token that its prompt may have: what English has in the vocabularies in use,
/// with the JSON around it on top.
const BYTES_PER_TOKEN: u64 = 4;

/// Bytes of an answer's text for each token of it, where the model server does not count: English has some
/// four, other languages, digits and code have fewer, and a limit counts too much rather than too little.
const ANSWER_BYTES_PER_TOKEN: u64 = 3;

/// Tokens of an answer when the request does not bound them: a long page.
const ANSWER_TOKENS: u64 = 1024;

/// Tokens of an answer that are held for a request however many it asks for. Callers ask for far more than
/// they get, and what is held for one is kept from others until it ends.
const MAX_HELD_ANSWER_TOKENS: u64 = 32_768;

/// No exchange has more tokens, of the prompt or of the answer; a model server that counts more is wrong.
const MAX_TOKENS: u64 = 1_000_000_000;

/// How long a caller that has too many exchanges at once is asked to wait: when one ends is not known.
const CONCURRENT_WAIT: Duration = Duration::from_secs(1);

/// Of one API key, one refusal by a limit of rates and one by a limit of money is an exchange of its own in
/// so many seconds; the others are counted. A flood costs a durable write a minute.
const RECORDED_EVERY: i64 = 60;

/// Keys and routes that are remembered before those are forgotten of which nothing counts any more.
const SUBJECTS: usize = 4096;

/// Days for which what was spent stays in the database: this month and the one before.
const SPENT_DAYS: i64 = 62;

/// What counts against limits.
pub(crate) struct Limits {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

impl std::fmt::Debug for Limits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Limits")
    }
}

#[derive(Debug, Default)]
struct State {
    steady: Steady,
    calendar: usage::Calendar,
    subjects: BTreeMap<Subject, Used>,
    /// When there are more, those of which nothing counts are forgotten.
    tidy_at: usize,
    /// The second in which a refusal of this key was last recorded, by whether it was of money.
    recorded: BTreeMap<(ApiKeyId, bool), i64>,
}

/// A limit is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitReached {
    limit: String,
    measure: Measure,
    wait: Duration,
}

impl LimitReached {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        if self.measure.is_money() { Code::BudgetExceeded } else { Code::RateLimited }
    }

    /// After how long another try may pass; absent when waiting is no remedy.
    #[must_use]
    pub const fn wait(&self) -> Option<Duration> {
        if self.measure.is_money() { None } else { Some(self.wait) }
    }

    /// As an exchange is refused, and a caller told.
    #[must_use]
    pub fn refusal(&self) -> Refusal {
        let reached = match self.measure {
            Measure::RequestsPerMinute => "requests in a minute",
            Measure::TokensPerMinute => "tokens in a minute",
            Measure::TokensPerDay => "tokens in a day",
            Measure::Concurrent => "exchanges at once",
            Measure::MoneyPerDay => "money in a day",
            Measure::MoneyPerMonth => "money in a month",
        };
        Refusal {
            code: self.code(),
            message: format!("The limit \"{}\" of {reached} is reached.", self.limit).into(),
            classes: Vec::new(),
            reason: Some(self.measure.as_str()),
        }
    }
}

/// A request that a limit refused.
#[derive(Debug)]
pub struct Limited {
    /// The limit.
    pub over: LimitReached,
    /// The route that the request named, when there is one.
    pub route: Option<String>,
    /// The exchange that it was; absent when it was only counted, because others of the same key were
    /// refused in the same minute.
    pub ended: Option<crate::converse::Ended>,
}

/// Whether a request may go on.
pub(crate) enum Passage {
    /// It may, and this is what it holds meanwhile.
    Passed(Hold),
    /// It may not, and its refusal is recorded as an exchange.
    Recorded(LimitReached),
    /// It may not, and is counted.
    Counted(LimitReached),
}

/// Where a caller stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// With requests; absent when no limit counts them.
    pub requests: Option<Numbers>,
    /// With tokens.
    pub tokens: Option<Numbers>,
}

/// Of several limits, the one of which the least is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// What it allows.
    pub limit: u64,
    /// What is left of it.
    pub remaining: u64,
    /// How long until all of it is there again.
    pub reset: Duration,
    /// When that is, up to a second later.
    pub again: Time,
}

/// The tokens that a request of so many bytes may use, which asks for at most so many in its answer.
fn estimate(bytes: usize, answer_tokens: Option<u64>) -> Usage {
    let completion = answer_tokens.unwrap_or(ANSWER_TOKENS).min(MAX_HELD_ANSWER_TOKENS);
    Usage { prompt: (bytes as u64).div_ceil(BYTES_PER_TOKEN), completion }
}

impl House {
    /// Asks whether a request may go on. `asked` is the name of its route and the most tokens that it asks
    /// for, once it was read.
    pub(crate) fn limit(
        &self,
        principal: &Principal,
        in_force: Option<&Arc<InForce>>,
        asked: Option<(&str, Option<u64>)>,
        bytes: usize,
    ) -> Passage {
        // Without rules nothing may leave, so there is nothing to limit.
        let Some(in_force) = in_force.filter(|it| !it.rules.limits().is_empty()) else {
            return Passage::Passed(Hold::none());
        };
        let route = asked.and_then(|(model, answer_tokens)| {
            let route = in_force.rules.route(model)?;
            Some((route, estimate(bytes, answer_tokens)))
        });
        let passage = self.limits.admit(principal, in_force, route);
        if let Passage::Counted(over) = &passage {
            self.denied.add((principal.key(), over.code().as_str()), principal.actor(), 1);
        }
        passage
    }

    /// Asks whether a line of a batch may go on. Nobody waits for it, so one that may not is not counted as
    /// denied: it is asked about again.
    pub(crate) fn limit_line(
        &self,
        principal: &Principal,
        in_force: &Arc<InForce>,
        route: &Route,
        (answer_tokens, bytes): (Option<u64>, usize),
    ) -> Result<Hold, LimitReached> {
        if in_force.rules.limits().is_empty() {
            return Ok(Hold::none());
        }
        let asked = Some((route, estimate(bytes, answer_tokens)));
        match self.limits.admit(principal, in_force, asked) {
            Passage::Passed(hold) => Ok(hold),
            Passage::Recorded(over) | Passage::Counted(over) => Err(over),
        }
    }

    /// Where a caller stands, on a route if one is named.
    #[must_use]
    pub fn standing(&self, principal: &Principal, route: Option<&str>) -> Standing {
        let in_force = self.in_force.load();
        match in_force.as_ref().filter(|it| !it.rules.limits().is_empty()) {
            Some(in_force) => self.limits.standing(principal, in_force, route),
            None => Standing::default(),
        }
    }

    /// Forgets what was spent in months that are over.
    pub(crate) async fn purge_spent(&self) -> Result<(), store::Error> {
        let before = self.clock.now().day().plus_days(-SPENT_DAYS);
        self.tenant.purge_spent(before).await.map(drop)
    }
}

impl Limits {
    /// With what was spent already.
    pub(crate) async fn load(tenant: &Tenant, clock: Arc<dyn Clock>) -> Result<Self, store::Error> {
        let mut state = State { tidy_at: SUBJECTS, ..State::default() };
        let moment = state.moment(&*clock);
        state.subjects = tenant
            .spent_since(moment.kept_from(), state.subjects, |subjects, row, owner| {
                usage::add_spent(subjects, &row, owner);
            })
            .await?;
        Ok(Self { clock, state: Mutex::new(state) })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admit(
        self: &Arc<Self>,
        principal: &Principal,
        in_force: &Arc<InForce>,
        route: Option<(&Route, Usage)>,
    ) -> Passage {
        let limits = in_force.rules.limits();
        let subjects = usage::subjects(principal, route.map(|(route, _)| route));
        let amounts = route.map_or_else(Amounts::default, |(route, usage)| Amounts {
            tokens: usage.prompt + usage.completion,
            micros: limits.cost(route, None, usage),
        });
        let currency = limits.currency();
        let mut state = self.lock();
        let moment = state.moment(&*self.clock);
        state.tidy(&moment);
        for subject in &subjects {
            state.subjects.entry(subject.clone()).or_default().slide(&moment);
        }
        let over = limits.iter().fold(None, |worst: Option<LimitReached>, limit| {
            let used = subjects.iter().find(|it| it.is_of(limit.per()));
            let used = used.and_then(|subject| state.subjects.get(subject));
            let over = used.and_then(|used| over(limit, used, amounts, currency, &moment));
            // Of money, because there is no use in trying again; then what takes longest.
            [worst, over].into_iter().flatten().max_by_key(|it| (it.measure.is_money(), it.wait))
        });
        if let Some(over) = over {
            return state.refuse(principal.key(), over, &moment);
        }
        let spending = Spending::under(limits);
        for subject in &subjects {
            if let Some(used) = state.subjects.get_mut(subject) {
                used.begin(&moment, amounts, spending);
            }
        }
        drop(state);
        Passage::Passed(Hold::of(Booking {
            limits: Arc::clone(self),
            in_force: Arc::clone(in_force),
            key: principal.key(),
            route: route.map(|(route, _)| route.model().clone()),
            subjects,
            amounts,
            estimate: route.map_or(Usage { prompt: 0, completion: 0 }, |(_, usage)| usage),
            moment,
        }))
    }

    fn standing(&self, principal: &Principal, in_force: &InForce, route: Option<&str>) -> Standing {
        let route = route.and_then(|route| in_force.rules.route(route));
        let subjects = usage::subjects(principal, route);
        let mut standing = Standing::default();
        let mut state = self.lock();
        let moment = state.moment(&*self.clock);
        let now = self.clock.now();
        for limit in in_force.rules.limits().iter() {
            let Some(subject) = subjects.iter().find(|it| it.is_of(limit.per())) else { continue };
            let mut nothing = Used::default();
            let used = state.subjects.get_mut(subject).unwrap_or(&mut nothing);
            used.slide(&moment);
            for (measure, most) in limit.bounds() {
                let shown = match measure {
                    Measure::RequestsPerMinute => &mut standing.requests,
                    Measure::TokensPerMinute | Measure::TokensPerDay => &mut standing.tokens,
                    Measure::Concurrent | Measure::MoneyPerDay | Measure::MoneyPerMonth => continue,
                };
                let reset = used.until(*measure, 0, &moment);
                let seconds = i64::try_from(reset.as_millis().div_ceil(1000)).unwrap_or(i64::MAX);
                let numbers = Numbers {
                    limit: *most,
                    remaining: most.saturating_sub(used.of(*measure, None, &moment)),
                    reset,
                    again: now.plus_seconds(seconds),
                };
                let rank = |it: &Numbers| (it.remaining, it.limit);
                if shown.as_ref().is_none_or(|shown| rank(&numbers) < rank(shown)) {
                    *shown = Some(numbers);
                }
            }
        }
        standing
    }
}

/// The bound of a limit that one more request would pass.
fn over(
    limit: &Limit,
    used: &Used,
    amounts: Amounts,
    currency: Option<gate::rules::Currency>,
    moment: &Moment,
) -> Option<LimitReached> {
    let mut reached = limit.bounds().iter().filter_map(|(measure, most)| {
        let need = match measure {
            Measure::RequestsPerMinute | Measure::Concurrent => 1,
            Measure::TokensPerMinute | Measure::TokensPerDay => amounts.tokens,
            Measure::MoneyPerDay | Measure::MoneyPerMonth => amounts.micros,
        };
        // What costs nothing passes. What may need more than the whole limit passes when nothing of it is
        // used; a limit of nothing lets nothing pass.
        let need = need.min((*most).max(1));
        if need == 0 || used.of(*measure, currency, moment).saturating_add(need) <= *most {
            return None;
        }
        let wait = used.until(*measure, most.saturating_sub(need), moment);
        Some(LimitReached { limit: limit.id().to_owned(), measure: *measure, wait })
    });
    let first = reached.next()?;
    Some(reached.fold(first, |worst, over| {
        let rank = |it: &LimitReached| (it.measure.is_money(), it.wait);
        if rank(&over) > rank(&worst) { over } else { worst }
    }))
}

impl State {
    /// The clock is read under the lock, so that no two moments change places.
    fn moment(&mut self, clock: &dyn Clock) -> Moment {
        let now = clock.now();
        let micros = self.steady.at(now);
        self.calendar.moment(now, micros)
    }

    fn refuse(&mut self, key: ApiKeyId, over: LimitReached, moment: &Moment) -> Passage {
        let of = (key, over.measure.is_money());
        let last = self.recorded.get(&of);
        if last.is_some_and(|last| moment.second() < last.saturating_add(RECORDED_EVERY)) {
            return Passage::Counted(over);
        }
        self.recorded.insert(of, moment.second());
        Passage::Recorded(over)
    }

    /// Forgets whom nothing counts against, now and then.
    fn tidy(&mut self, moment: &Moment) {
        if self.subjects.len() < self.tidy_at {
            return;
        }
        self.subjects.retain(|_, used| {
            used.slide(moment);
            !used.is_nothing()
        });
        self.recorded.retain(|_, last| moment.second() < last.saturating_add(RECORDED_EVERY));
        self.tidy_at = SUBJECTS.max(self.subjects.len().saturating_mul(2));
    }
}

#[cfg(test)]
mod tests;
