//! How the house does, for whoever runs it: metrics and traces, neither with content.
//!
//! Each exchange is [watched](watch::Watch) while it is under way. What is counted of it and what its trace
//! says comes out of its records and a clock, so it holds nothing that a record does not. Neither can fail
//! or delay an exchange: counting is a few additions, and a trace that finds no room is dropped.

mod export;
mod figures;
mod meter;
mod trace;
mod watch;

pub use meter::{METRICS, Metric, MetricKind};
pub use trace::TraceParent;
pub(crate) use watch::Watch;

use crate::house::House;
use ledger::{ExchangeId, Time};
use meter::Meter;
use trace::{Traced, Traces};

/// What is counted, and what waits for the collector.
#[derive(Debug)]
pub(crate) struct Telemetry {
    meter: Meter,
    traces: Traces,
    started: Time,
    /// The page of metrics, and when it was made.
    page: figures::Made,
}

impl Telemetry {
    /// Nothing yet.
    pub(crate) fn new(started: Time) -> Self {
        let (meter, traces, page) = (Meter::default(), Traces::default(), figures::Made::default());
        Self { meter, traces, started, page }
    }

    pub(crate) const fn meter(&self) -> &Meter {
        &self.meter
    }
}

impl House {
    /// Watches an exchange from here to its end.
    pub(crate) fn watch(&self, exchange: ExchangeId, parent: Option<TraceParent>) -> Watch<'_> {
        let in_force = self.in_force.load();
        let wanted = in_force.as_ref().and_then(|in_force| in_force.rules.traces());
        let traced =
            wanted.and_then(|wanted| Traced::decide(parent, wanted.one_in(), &*self.entropy));
        Watch::new(&self.telemetry, exchange, self.clock.now(), traced)
    }
}
