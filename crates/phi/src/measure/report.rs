//! Sums over documents, with intervals.

use super::{Counts, Tally};
use crate::Class;

/// A share or a rate with its 95 % interval over documents.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// What was measured.
    pub value: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// How intervals are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How often the documents are drawn anew.
    pub resamples: usize,
    /// Where the drawing begins: one seed, one result.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { resamples: 1000, seed: 20_261_126 }
    }
}

/// One class, or all together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// The class; none for all together.
    pub class: Option<Class>,
    /// What was counted.
    pub counts: Counts,
    /// Spans found in full.
    pub full: Option<Estimate>,
    /// Spans touched.
    pub touched: Option<Estimate>,
    /// Spans touched by their own class.
    pub same: Option<Estimate>,
    /// Characters not covered.
    pub leaked: Option<Estimate>,
    /// Findings that touched a span.
    pub precision: Option<Estimate>,
}

/// What a set of documents says about a detector. Every estimate is absent where nothing was counted.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The sum over all documents.
    pub total: Tally,
    /// The classes of which anything was labelled or found, in the order of [`Class::ALL`].
    pub classes: Vec<Line>,
    /// All classes together.
    pub all: Line,
    /// Documents of which any identifier was not covered, of those that hold one.
    pub leaking: Option<Estimate>,
    /// Words covered outside gold spans, for each 1,000 words.
    pub over_redaction: Option<Estimate>,
    /// Look-alikes that a finding touched.
    pub negatives: Option<Estimate>,
}

/// A fraction of what is counted in a tally.
type Ratio = fn(&Tally, Option<Class>) -> (usize, usize);

/// The fractions of a line: full, touched, same class, leaked, precision.
const OF_CLASS: [Ratio; 5] = [
    |t, c| of(t, c, |n| (n.full, n.gold)),
    |t, c| of(t, c, |n| (n.touched, n.gold)),
    |t, c| of(t, c, |n| (n.same, n.gold)),
    |t, c| of(t, c, |n| (n.leaked, n.characters)),
    |t, c| of(t, c, |n| (n.right, n.found)),
];

/// The fractions of a whole report: leaking documents, over-redaction, negatives.
const OF_ALL: [Ratio; 3] = [
    |t, _| (t.leaking, t.with_gold),
    |t, _| (t.over_redacted, t.words),
    |t, _| (t.negatives_touched, t.negatives),
];

fn of(tally: &Tally, class: Option<Class>, ratio: fn(Counts) -> (usize, usize)) -> (usize, usize) {
    ratio(class.map_or_else(|| tally.all(), |class| tally.class(class)))
}

impl Report {
    /// Sums up, one tally for each document.
    #[must_use]
    pub fn of(tallies: &[Tally], settings: Settings) -> Self {
        let mut total = Tally::default();
        for tally in tallies {
            total += tally;
        }
        let present: Vec<Option<Class>> = Class::ALL
            .iter()
            .filter(|class| total.class(**class) != Counts::default())
            .map(|class| Some(*class))
            .chain([None])
            .collect();
        let asked: Vec<(Ratio, Option<Class>)> = present
            .iter()
            .flat_map(|class| OF_CLASS.iter().map(|ratio| (*ratio, *class)))
            .chain(OF_ALL.iter().map(|ratio| (*ratio, None)))
            .collect();
        let estimates = estimates(tallies, &total, &asked, settings);
        let mut next = estimates.into_iter();
        let mut lines: Vec<Line> = present
            .iter()
            .map(|class| Line {
                class: *class,
                counts: class.map_or_else(|| total.all(), |class| total.class(class)),
                full: next.next().flatten(),
                touched: next.next().flatten(),
                same: next.next().flatten(),
                leaked: next.next().flatten(),
                precision: next.next().flatten(),
            })
            .collect();
        let leaking = next.next().flatten();
        let over_redaction = next.next().flatten().map(|e| Estimate {
            value: e.value * 1000.0,
            low: e.low * 1000.0,
            // The bound of a perfect score counts documents, which is no unit for words.
            high: if e.value <= 0.0 { 0.0 } else { e.high * 1000.0 },
        });
        let negatives = next.next().flatten();
        let all = lines.pop().unwrap_or(Line {
            class: None,
            counts: Counts::default(),
            full: None,
            touched: None,
            same: None,
            leaked: None,
            precision: None,
        });
        Self { total, classes: lines, all, leaking, over_redaction, negatives }
    }

    /// The line of one class.
    #[must_use]
    pub fn class(&self, class: Class) -> Option<&Line> {
        self.classes.iter().find(|line| line.class == Some(class))
    }
}

fn estimates(
    tallies: &[Tally],
    total: &Tally,
    asked: &[(Ratio, Option<Class>)],
    settings: Settings,
) -> Vec<Option<Estimate>> {
    let mut drawn: Vec<Vec<f64>> = vec![Vec::with_capacity(settings.resamples); asked.len()];
    let mut random = Random(settings.seed);
    for _ in 0..settings.resamples {
        let mut sum = Tally::default();
        for _ in tallies {
            if let Some(tally) = tallies.get(random.below(tallies.len())) {
                sum += tally;
            }
        }
        for (values, (ratio, class)) in drawn.iter_mut().zip(asked) {
            values.extend(share(ratio(&sum, *class)));
        }
    }
    asked
        .iter()
        .zip(drawn)
        .map(|((ratio, class), values)| {
            let value = share(ratio(total, *class))?;
            let documents = tallies.iter().filter(|t| ratio(t, *class).1 > 0).count();
            Some(interval(value, values, documents))
        })
        .collect()
}

fn interval(value: f64, mut drawn: Vec<f64>, documents: usize) -> Estimate {
    // Where every document says the same, drawing them anew cannot tell how far the truth may be. With
    // n documents and no failure the exact 95 % bound is the n-th root of 0.025.
    if value <= 0.0 || value >= 1.0 {
        let bound = 0.025_f64.powf(1.0 / as_float(documents.max(1)));
        let (low, high) = if value <= 0.0 { (0.0, 1.0 - bound) } else { (bound, 1.0) };
        return Estimate { value, low, high };
    }
    drawn.sort_by(f64::total_cmp);
    let at = |per_mille: usize| {
        drawn
            .get((drawn.len().saturating_sub(1) * per_mille + 500) / 1000)
            .copied()
            .unwrap_or(value)
    };
    Estimate { value, low: at(25).min(value), high: at(975).max(value) }
}

fn share((part, whole): (usize, usize)) -> Option<f64> {
    (whole > 0).then(|| as_float(part) / as_float(whole))
}

#[expect(clippy::cast_precision_loss, reason = "counts of a corpus are far below 2^52")]
fn as_float(count: usize) -> f64 {
    count as f64
}

/// `SplitMix64`: it draws documents, and keeps no secret.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    fn below(&mut self, bound: usize) -> usize {
        let wide = u128::from(self.next()) * (bound as u128);
        usize::try_from(wide >> 64).unwrap_or_default()
    }
}
