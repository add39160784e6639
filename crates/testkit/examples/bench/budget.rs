//! The budgets of the design, held against what was measured.

use crate::report::{Own, Report};
use crate::row::{Kind, Measured, micros};
use testkit::load::Percentiles;

/// Durable appends a second of Tessera's POSIX driver with 64 writers, measured once on the machine
/// that the design was made on. Ours are to be twice as many.
const TESSERA_APPENDS: f64 = 2097.0;

/// One budget.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    pub(crate) what: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) limit: f64,
    /// None when the rows that it needs were not run, or were void.
    pub(crate) measured: Option<f64>,
    /// Whether more is better.
    pub(crate) at_least: bool,
}

impl Budget {
    /// How often the measured value fits into the budget or the other way round; met from 1 up.
    pub(crate) fn factor(&self) -> Option<f64> {
        let measured = self.measured?.max(f64::MIN_POSITIVE);
        Some(if self.at_least { measured / self.limit } else { self.limit / measured })
    }

    /// `met by 2.0`, `missed by 1.5`.
    pub(crate) fn verdict(&self) -> String {
        match self.factor() {
            None => "not measured".to_owned(),
            Some(factor) if factor >= 1.0 => format!("met by {factor:.1}"),
            Some(factor) => format!("**missed by {:.1}**", 1.0 / factor),
        }
    }
}

const MEGABYTE: f64 = 1e6;

/// Every budget of the design.
pub(crate) fn all(report: &Report, own: &Own) -> Vec<Budget> {
    let floor = micros(report.quiet_floor);
    let most =
        |what, unit, limit, measured| Budget { what, unit, limit, measured, at_least: false };
    let least =
        |what, unit, limit, measured| Budget { what, unit, limit, measured, at_least: true };
    let rows = &report.rows;
    vec![
        most("CPU of a 0.5 KB JSON exchange", "us", 150.0, worst_cpu(rows, Kind::Json)),
        most("CPU of a stream of 24 events", "us", 300.0, worst_cpu(rows, Kind::Stream)),
        most(
            "added latency, 1 client: 2 x fdatasync + 0.3 ms",
            "us",
            2.0 * floor + 300.0,
            single(rows, Kind::Json, Measured::added),
        ),
        most(
            "added time to first token: 2 x fdatasync + 1 ms",
            "us",
            2.0 * floor + 1000.0,
            single(rows, Kind::Stream, Measured::added_first),
        ),
        most(
            "the same at the pace of a model",
            "us",
            2.0 * floor + 1000.0,
            single(rows, Kind::Paced, Measured::added_first),
        ),
        most(
            "peak memory, 64 clients, beyond the detector's tables",
            "MB",
            64.0,
            own.loaded.map(|it| bytes(it.peak.saturating_sub(own.detector.table_bytes))),
        ),
        most("cold start to ready", "us", 300_000.0, cold_start(own)),
        least(
            "detection, one core, 0.5 KB note",
            "MB/s",
            1.0,
            Some(own.detector.short_bytes_per_second / MEGABYTE),
        ),
        least(
            "durable appends, 64 clients, as whole exchanges",
            "/s",
            2.0 * TESSERA_APPENDS,
            many(rows).map(|rate| 2.0 * rate),
        ),
    ]
}

/// Bytes as megabytes.
#[expect(clippy::cast_precision_loss, reason = "bytes of memory lie far below 2^52")]
pub(crate) fn bytes(count: u64) -> f64 {
    count as f64 / MEGABYTE
}

/// The most that any number of clients cost.
fn worst_cpu(rows: &[Measured], kind: Kind) -> Option<f64> {
    let rows = rows.iter().filter(|it| it.row.kind == kind);
    rows.filter_map(|it| it.median(|pair| pair.bulla.bulla_cpu)).max_by(f64::total_cmp)
}

fn single(rows: &[Measured], kind: Kind, of: impl Fn(&Measured) -> Option<f64>) -> Option<f64> {
    rows.iter().find(|it| it.row.kind == kind && it.row.connections == 1).and_then(of)
}

/// JSON exchanges a second at 64 clients; each is two durable records.
fn many(rows: &[Measured]) -> Option<f64> {
    let row = rows
        .iter()
        .find(|it| it.row.kind == Kind::Json && it.row.connections == crate::row::MANY)?;
    row.median(|pair| pair.bulla.rate)
}

fn cold_start(own: &Own) -> Option<f64> {
    (!own.cold_starts.is_empty()).then(|| micros(Percentiles::of(own.cold_starts.clone()).p50))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_met_at_its_limit_and_missed_beyond_it() {
        let budget = |measured, at_least| Budget {
            what: "x",
            unit: "us",
            limit: 100.0,
            measured: Some(measured),
            at_least,
        };
        assert_eq!(budget(100.0, false).verdict(), "met by 1.0");
        assert_eq!(budget(250.0, false).verdict(), "**missed by 2.5**");
        assert_eq!(budget(50.0, true).verdict(), "**missed by 2.0**");
        assert_eq!(Budget { measured: None, ..budget(0.0, true) }.verdict(), "not measured");
    }
}
