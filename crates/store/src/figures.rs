//! What the writer counts of its work, for whoever watches the machine.

use std::sync::atomic::{AtomicU64, Ordering};

/// How often what was measured lay within which bound. Adding costs two additions.
#[derive(Debug)]
pub struct Histogram<const N: usize> {
    bounds: [u64; N],
    within: [AtomicU64; N],
    beyond: AtomicU64,
    sum: AtomicU64,
}

/// What a [`Histogram`] holds at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distribution {
    /// Each bound, ascending, and how much lay at or below it.
    pub up_to: Vec<(u64, u64)>,
    /// How much was measured.
    pub count: u64,
    /// Everything added up.
    pub sum: u64,
}

impl<const N: usize> Histogram<N> {
    /// An empty one with these bounds, ascending.
    #[must_use]
    pub const fn new(bounds: [u64; N]) -> Self {
        Self {
            bounds,
            within: [const { AtomicU64::new(0) }; N],
            beyond: AtomicU64::new(0),
            sum: AtomicU64::new(0),
        }
    }

    /// Adds what was measured.
    pub fn add(&self, value: u64) {
        let found = self.bounds.iter().zip(&self.within).find(|(bound, _)| value <= **bound);
        let count = found.map_or(&self.beyond, |(_, count)| count);
        count.fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// What it holds.
    #[must_use]
    pub fn read(&self) -> Distribution {
        let mut count = 0;
        let up_to = self.bounds.iter().zip(&self.within).map(|(bound, within)| {
            count += within.load(Ordering::Relaxed);
            (*bound, count)
        });
        let up_to = up_to.collect();
        count += self.beyond.load(Ordering::Relaxed);
        Distribution { up_to, count, sum: self.sum.load(Ordering::Relaxed) }
    }
}

/// What the writer of a [`Store`](crate::Store) did since it was opened.
#[derive(Clone, Debug)]
pub struct WriterFigures {
    /// Jobs in each transaction that became durable.
    pub batches: Distribution,
    /// Microseconds from the beginning of such a transaction to its end on the disk.
    pub commits: Distribution,
    /// Jobs that wait for the writer.
    pub waiting: u64,
}

/// The writer's own counts.
#[derive(Debug)]
pub(crate) struct Counts {
    pub(crate) batches: Histogram<9>,
    pub(crate) commits: Histogram<12>,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            batches: Histogram::new([1, 2, 4, 8, 16, 32, 64, 128, 256]),
            commits: Histogram::new([
                100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 500_000,
                1_000_000,
            ]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Histogram;

    #[test]
    fn what_lies_on_a_bound_is_within_it_and_nothing_is_lost() {
        let histogram = Histogram::new([1, 4, 16]);
        for value in [0, 1, 2, 4, 5, 16, 17, 1000] {
            histogram.add(value);
        }
        let read = histogram.read();
        assert_eq!(read.up_to, [(1, 2), (4, 4), (16, 6)]);
        assert_eq!((read.count, read.sum), (8, 1045));
    }
}
