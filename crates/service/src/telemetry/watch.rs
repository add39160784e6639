//! One exchange, watched: how long its phases took, and what its records say.
//!
//! What is known here comes out of the records as they are appended, so a figure or a trace can hold
//! nothing that a record does not.

use super::Telemetry;
use super::trace::{Trace, Traced};
use gate::rules::Dialect;
use ledger::{Event, ExchangeId, Receipt, Time, Unrecorded, Usage};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use tokio::time::Instant;

/// What an exchange spends time on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Identifiers are searched for.
    Scan,
    /// The record that the prompt leaves becomes durable.
    Intent,
    /// The prompt left, and the model server has not begun to answer.
    Upstream,
    /// The last record becomes durable.
    Outcome,
    /// All of it.
    Whole,
}

impl Phase {
    pub(super) const ALL: &'static [Self] =
        &[Self::Scan, Self::Intent, Self::Upstream, Self::Outcome, Self::Whole];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Scan => "scan",
            Self::Intent => "intent",
            Self::Upstream => "upstream",
            Self::Outcome => "outcome",
            Self::Whole => "whole",
        }
    }
}

/// From when to when something went on, in microseconds since the exchange began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: u64,
    pub(super) until: u64,
}

/// How an exchange ended, as its record says: words of short lists, configured names, counts.
#[derive(Clone, Debug)]
pub(super) struct Ending {
    pub(super) route: Option<String>,
    pub(super) destination: Option<String>,
    pub(super) decision: Option<String>,
    pub(super) outcome: String,
    pub(super) code: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) in_prompt: BTreeMap<String, u64>,
    pub(super) in_answer: BTreeMap<String, u64>,
    pub(super) treatments: BTreeMap<String, String>,
    pub(super) restored: u64,
    pub(super) unknown: u64,
    pub(super) usage: Option<Usage>,
}

impl Ending {
    fn of(outcome: &ledger::Outcome) -> Self {
        let about = &outcome.about;
        let reply = outcome.reply.as_ref();
        Self {
            route: about.route.clone(),
            destination: about.destination.clone(),
            decision: about.decision.clone(),
            outcome: outcome.outcome.clone(),
            code: outcome.code.clone(),
            reason: outcome.reason.clone(),
            in_prompt: about.findings.clone(),
            in_answer: reply.map(|reply| reply.findings.clone()).unwrap_or_default(),
            treatments: about.treatments.clone(),
            restored: reply.map_or(0, |reply| reply.restored),
            unknown: reply.map_or(0, |reply| reply.unknown),
            usage: outcome.usage,
        }
    }
}

/// A record of the exchange that is about to be appended.
pub(crate) struct Noted {
    from: u64,
    phase: Phase,
    ending: Option<Box<Ending>>,
}

/// What was seen so far.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) scan: Option<Span>,
    pub(super) intent: Option<Span>,
    /// When the prompt left, and when the model server began to answer.
    pub(super) left: Option<u64>,
    /// The dialect in which it left.
    pub(super) dialect: Option<Dialect>,
    pub(super) answered: Option<u64>,
    pub(super) outcome: Option<Span>,
    pub(super) windows: u64,
    pub(super) ending: Option<Box<Ending>>,
    pub(super) receipt: Option<Receipt>,
}

/// One exchange while it is under way. When it is dropped the exchange is counted, and its trace waits for
/// the collector, when it has one.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    telemetry: &'a Telemetry,
    exchange: ExchangeId,
    began: Time,
    start: Instant,
    traced: Option<Traced>,
    seen: Mutex<Seen>,
}

impl<'a> Watch<'a> {
    pub(super) fn new(
        telemetry: &'a Telemetry,
        exchange: ExchangeId,
        began: Time,
        traced: Option<Traced>,
    ) -> Self {
        let (start, seen) = (Instant::now(), Mutex::default());
        Self { telemetry, exchange, began, start, traced, seen }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn measured(&self, phase: Phase, span: Span) -> Span {
        self.telemetry.meter.phase(phase, span.until.saturating_sub(span.from));
        span
    }

    /// Searches for identifiers, and takes the time.
    pub(crate) fn scan<T>(&self, work: impl FnOnce() -> T) -> T {
        let from = self.now();
        let done = work();
        let span = self.measured(Phase::Scan, Span { from, until: self.now() });
        self.seen().scan = Some(span);
        done
    }

    /// The prompt leaves for a server of this dialect.
    pub(crate) fn left(&self, dialect: Dialect) {
        let now = self.now();
        let mut seen = self.seen();
        seen.left = Some(now);
        seen.dialect = Some(dialect);
    }

    /// The model server began to answer, or failed to.
    pub(crate) fn answered(&self) {
        let until = self.now();
        let mut seen = self.seen();
        if let Some(from) = seen.left {
            seen.answered = Some(self.measured(Phase::Upstream, Span { from, until }).until);
        }
    }

    /// A window of the answer is durable.
    pub(crate) fn window(&self) {
        self.telemetry.meter.window();
        self.seen().windows += 1;
    }

    /// Notes what a record says, before it is appended; `None` for one that is of no exchange.
    pub(crate) fn note(&self, event: &Event) -> Option<Noted> {
        let (phase, ending) = if let Event::Outcome(outcome) = event {
            (Phase::Outcome, Some(Box::new(Ending::of(outcome))))
        } else if matches!(event, Event::Intent(_)) {
            (Phase::Intent, None)
        } else {
            return None;
        };
        Some(Noted { from: self.now(), phase, ending })
    }

    /// The record is durable, or is not.
    pub(crate) fn recorded(&self, noted: Option<Noted>, receipt: &Result<Receipt, Unrecorded>) {
        let (Some(Noted { from, phase, ending }), Ok(receipt)) = (noted, receipt) else { return };
        let span = Some(self.measured(phase, Span { from, until: self.now() }));
        let mut seen = self.seen();
        if let Some(ending) = ending {
            (seen.outcome, seen.ending, seen.receipt) = (span, Some(ending), Some(*receipt));
        } else {
            seen.intent = span;
        }
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let whole = Span { from: 0, until: self.now() };
        self.measured(Phase::Whole, whole);
        let seen = std::mem::take(self.seen.get_mut().unwrap_or_else(PoisonError::into_inner));
        self.telemetry.meter.ended(seen.ending.as_deref());
        if let Some(traced) = self.traced.take() {
            let (exchange, began) = (self.exchange, self.began);
            self.telemetry.traces.add(Trace { traced, exchange, began, whole, seen });
        }
    }
}
