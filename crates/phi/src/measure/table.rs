//! Reports as tables of words.

use super::{Estimate, Line, Report};
use std::fmt::Write as _;

/// How much a table shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Fits 80 columns: an interval for recall only.
    Narrow,
    /// Intervals for what matters most; about 110 columns.
    Wide,
}

/// A table of words. The first column is text, the others are numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The heads of the columns.
    pub head: Vec<String>,
    /// The rows, each as long as the head.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// The classes of a report, and all together in the last row.
    #[must_use]
    pub fn classes(report: &Report, detail: Detail) -> Self {
        let mut table = match detail {
            Detail::Narrow => {
                Self::with(&["class", "gold", "full", "same", "leaked", "found", "precision"])
            }
            Detail::Wide => Self::with(&[
                "class",
                "gold",
                "full",
                "touched",
                "same",
                "leaked",
                "found",
                "precision",
            ]),
        };
        for line in report.classes.iter().chain([&report.all]) {
            let name = line.class.map_or("ALL", crate::Class::label);
            table.line(name, line, detail);
        }
        table
    }

    /// One row for each named report: what matters most of all classes together.
    #[must_use]
    pub fn summary(first: &str, reports: &[(&str, &Report)], detail: Detail) -> Self {
        let rate = |e: Option<Estimate>| e.map_or_else(none, |e| format!("{:.1}", e.value));
        let narrow = |e| shown(e, Detail::Narrow);
        let mut table = match detail {
            Detail::Narrow => {
                Self::with(&[first, "gold", "full", "leaked", "precision", "over", "negatives"])
            }
            Detail::Wide => Self::with(&[
                first,
                "docs",
                "gold",
                "full",
                "leaked",
                "leaking",
                "precision",
                "over",
                "negatives",
            ]),
        };
        for (name, report) in reports {
            let all = &report.all;
            let (name, gold) = ((*name).to_owned(), all.counts.gold.to_string());
            let (over, negatives) = (rate(report.over_redaction), narrow(report.negatives));
            table.rows.push(match detail {
                Detail::Narrow => vec![
                    name,
                    gold,
                    narrow(all.full),
                    narrow(all.leaked),
                    narrow(all.precision),
                    over,
                    negatives,
                ],
                Detail::Wide => vec![
                    name,
                    report.total.documents.to_string(),
                    gold,
                    with_interval(all.full),
                    narrow(all.leaked),
                    narrow(report.leaking),
                    with_interval(all.precision),
                    over,
                    negatives,
                ],
            });
        }
        table
    }

    /// As lines of plain text, in columns.
    #[must_use]
    pub fn plain(&self) -> Vec<String> {
        let width = |at: usize| {
            let cells = self.rows.iter().chain([&self.head]).filter_map(|row| row.get(at));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        let mut lines = Vec::new();
        for row in [&self.head].into_iter().chain(&self.rows) {
            let mut line = String::new();
            for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
                // Writing to a String cannot fail.
                let written = if at == 0 {
                    write!(line, "{cell:<width$}")
                } else {
                    write!(line, "  {cell:>width$}")
                };
                if written.is_err() {
                    line.push_str(cell);
                }
            }
            lines.push(line);
        }
        lines
    }

    fn with(head: &[&str]) -> Self {
        Self { head: head.iter().map(|word| (*word).to_owned()).collect(), rows: Vec::new() }
    }

    fn line(&mut self, name: &str, line: &Line, detail: Detail) {
        let more = |e| shown(e, detail);
        let mut row = vec![name.to_owned(), line.counts.gold.to_string(), with_interval(line.full)];
        if detail == Detail::Wide {
            row.push(shown(line.touched, Detail::Narrow));
        }
        row.extend([
            shown(line.same, Detail::Narrow),
            more(line.leaked),
            line.counts.found.to_string(),
            more(line.precision),
        ]);
        self.rows.push(row);
    }
}

fn none() -> String {
    "-".to_owned()
}

fn shown(estimate: Option<Estimate>, detail: Detail) -> String {
    match detail {
        Detail::Narrow => estimate.map_or_else(none, |e| format!("{:.3}", e.value)),
        Detail::Wide => with_interval(estimate),
    }
}

/// `0.957 (.941-.970)`
fn with_interval(estimate: Option<Estimate>) -> String {
    let end = |share: f64| {
        let text = format!("{share:.3}");
        text.strip_prefix('0').map_or(text.clone(), str::to_owned)
    };
    estimate.map_or_else(none, |e| format!("{:.3} ({}-{})", e.value, end(e.low), end(e.high)))
}
