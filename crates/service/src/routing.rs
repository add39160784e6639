//! Which model servers are in order, and how often a request may leave again.
//!
//! All of it is in memory: a restart begins with every server in order, and asks it.

use crate::house::House;
use gate::UpstreamFailure;
use gate::rules::Route;
use ledger::{Clock, Entropy, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Failures one after the other that open a circuit. Fewer would shut a server out that hangs on a
/// few hard requests.
const FAILURES_IN_A_ROW: u32 = 10;

/// A share of failures opens a circuit too, for a server that answers now and then.
const FAILED_PERCENT: u32 = 50;

/// Answers before which a share says nothing.
const LEAST_ANSWERS: u32 = 20;

/// Over how long the share is taken.
const WINDOW_SECONDS: i64 = 60;

/// A window slides in steps of so many seconds.
const STEP_SECONDS: i64 = 10;

/// How long an open circuit lets nothing through; then it lets one request through to see.
const OPEN_SECONDS: i64 = 30;

/// Destinations that are remembered. A configuration has some dozens; those of configurations that are
/// gone must not pile up.
const MAX_CIRCUITS: usize = 1024;

/// Routes whose budget is remembered, for the same reason.
const MAX_BUDGETS: usize = 4096;

/// Hundredths of a retry that one retry takes.
const RETRY: u32 = 100;

/// The most that a budget holds: ten retries, so that a quiet route has some, and a busy one cannot
/// save up for a storm.
const MAX_SAVED: u32 = 10 * RETRY;

/// The longest wait before the first retry; it doubles from one to the next.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The longest wait before any retry: a caller waits for it.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// A model server that asks for a longer pause is not waited for.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Which model servers are in order.
pub(crate) struct Routing {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    circuits: Mutex<BTreeMap<String, Circuit>>,
    budgets: Mutex<BTreeMap<String, u32>>,
}

impl std::fmt::Debug for Routing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Routing")
    }
}

/// What is known of one model server.
#[derive(Debug, Default)]
struct Circuit {
    in_a_row: u32,
    steps: Vec<Step>,
    /// Nothing passes before this moment.
    open_until: Option<Time>,
}

/// Answers and failures of some seconds.
#[derive(Debug)]
struct Step {
    number: i64,
    answers: u32,
    failures: u32,
}

impl Circuit {
    /// Whether a request may pass. One that passes an open circuit is the trial, and shuts it again for
    /// as long as before, so that there is one trial at a time also when nobody says how it went.
    fn lets_pass(&mut self, now: Time) -> bool {
        let Some(until) = self.open_until else { return true };
        // A clock that was set back must not keep it open for longer.
        let waiting = now < until && until <= now.plus_seconds(OPEN_SECONDS);
        if !waiting {
            self.open_until = Some(now.plus_seconds(OPEN_SECONDS));
        }
        !waiting
    }

    fn tell(&mut self, failed: bool, now: Time) {
        let number = now.as_micros().div_euclid(1_000_000 * STEP_SECONDS);
        let steps = WINDOW_SECONDS / STEP_SECONDS;
        self.steps.retain(|step| step.number <= number && number - step.number < steps);
        if self.steps.last().is_none_or(|step| step.number != number) {
            self.steps.push(Step { number, answers: 0, failures: 0 });
        }
        if let Some(step) = self.steps.last_mut() {
            step.answers = step.answers.saturating_add(1);
            step.failures = step.failures.saturating_add(u32::from(failed));
        }
        if !failed {
            self.in_a_row = 0;
            if self.open_until.take().is_some() {
                self.steps.clear();
            }
            return;
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        let count = |of: fn(&Step) -> u32| self.steps.iter().map(of).fold(0, u32::saturating_add);
        let (answers, failures) = (count(|step| step.answers), count(|step| step.failures));
        let share = answers >= LEAST_ANSWERS
            && failures.saturating_mul(100) >= answers.saturating_mul(FAILED_PERCENT);
        if self.open_until.is_some() || self.in_a_row >= FAILURES_IN_A_ROW || share {
            self.open_until = Some(now.plus_seconds(OPEN_SECONDS));
        }
    }
}

impl House {
    /// How many model servers fail, so that nothing is sent there for now.
    #[must_use]
    pub fn failing_destinations(&self) -> usize {
        self.routing.open()
    }
}

impl Routing {
    pub(crate) fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { clock, entropy, circuits: Mutex::default(), budgets: Mutex::default() }
    }

    /// Whether a request may be sent to the destination now.
    pub(crate) fn lets_pass(&self, destination: &str) -> bool {
        let now = self.clock.now();
        let mut circuits = self.circuits.lock().unwrap_or_else(PoisonError::into_inner);
        circuits.get_mut(destination).is_none_or(|circuit| circuit.lets_pass(now))
    }

    /// Notes how a request to the destination went.
    pub(crate) fn tell(&self, destination: &str, failure: Option<UpstreamFailure>) {
        let failed = failure.is_some_and(UpstreamFailure::is_ill_health);
        // Too many requests, or a credential that is wrong, say nothing of whether it is in order.
        if !failed && failure.is_some_and(|it| it.code().as_str() != "upstream_rejected") {
            return;
        }
        let now = self.clock.now();
        let mut circuits = self.circuits.lock().unwrap_or_else(PoisonError::into_inner);
        if circuits.len() >= MAX_CIRCUITS && !circuits.contains_key(destination) {
            circuits.retain(|_, circuit| circuit.open_until.is_some());
            if circuits.len() >= MAX_CIRCUITS {
                return;
            }
        }
        let circuit = circuits.entry(destination.to_owned()).or_default();
        let was_open = circuit.open_until.is_some();
        circuit.tell(failed, now);
        match (was_open, circuit.open_until.is_some()) {
            (false, true) => {
                tracing::warn!(destination, "a model server fails; nothing is sent there");
            }
            (true, false) => tracing::info!(destination, "a model server is in order again"),
            (true, true) | (false, false) => {}
        }
    }

    /// How many destinations get nothing for now.
    fn open(&self) -> usize {
        let circuits = self.circuits.lock().unwrap_or_else(PoisonError::into_inner);
        circuits.values().filter(|circuit| circuit.open_until.is_some()).count()
    }

    /// A request of the route arrived: its budget grows.
    pub(crate) fn arrived(&self, route: &Route) {
        if route.retry().attempts() > 1 {
            self.with_budget(route, |budget| {
                *budget = (*budget + route.retry().budget_percent()).min(MAX_SAVED);
            });
        }
    }

    /// How long to wait before the request leaves again, when it may. `tried` says where it was sent,
    /// and `elsewhere` whether its alternatives may have it.
    pub(crate) fn again(
        &self,
        route: &Route,
        tried: &[String],
        elsewhere: bool,
        failure: UpstreamFailure,
    ) -> Option<Duration> {
        let left = usize::try_from(route.retry().attempts()).unwrap_or(usize::MAX) > tried.len();
        if !left || !failure.may_be_retried() {
            return None;
        }
        let distinct: BTreeSet<&String> = tried.iter().collect();
        let wait = if elsewhere && distinct.len() <= route.alternatives().len() {
            // Another server need not be spared because this one failed.
            Duration::ZERO
        } else if let UpstreamFailure::RateLimited(Some(seconds)) = failure {
            let pause = Duration::from_secs(u64::from(seconds));
            if pause > LONGEST_PAUSE {
                return None;
            }
            pause + self.jitter(tried.len())
        } else {
            self.jitter(tried.len())
        };
        let paid = self.with_budget(route, |budget| {
            let rest = budget.checked_sub(RETRY);
            *budget = rest.unwrap_or(*budget);
            rest.is_some()
        });
        paid.then_some(wait)
    }

    fn with_budget<T>(&self, route: &Route, change: impl FnOnce(&mut u32) -> T) -> T {
        let mut budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        let name = route.model().as_str();
        if budgets.len() >= MAX_BUDGETS && !budgets.contains_key(name) {
            budgets.clear();
        }
        change(budgets.entry(name.to_owned()).or_insert(MAX_SAVED))
    }

    /// Full jitter: anything from nothing to a bound that doubles with each attempt, so that callers
    /// that failed together do not come back together.
    fn jitter(&self, attempts: usize) -> Duration {
        let doubled = 1_u32.checked_shl(u32::try_from(attempts.saturating_sub(1)).unwrap_or(31));
        let bound = FIRST_WAIT.saturating_mul(doubled.unwrap_or(u32::MAX)).min(LONGEST_WAIT);
        let mut bytes = [0; 4];
        self.entropy.fill(&mut bytes);
        let drawn = u64::from(u32::from_le_bytes(bytes));
        let micros = u64::try_from(bound.as_micros()).unwrap_or_default();
        Duration::from_micros(micros.saturating_mul(drawn) >> 32)
    }
}

#[cfg(test)]
mod tests;
