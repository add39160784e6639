//! A clock that a test sets.

use ledger::{Clock, Time};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// A clock that stands still until a test moves it. Copies share one hand.
#[derive(Clone, Debug)]
pub struct TestClock(Arc<AtomicI64>);

impl TestClock {
    /// A clock that shows `time`.
    #[must_use]
    pub fn at(time: Time) -> Self {
        Self(Arc::new(AtomicI64::new(time.as_micros())))
    }

    /// A clock that shows an RFC 3339 time: `2026-11-23T09:00:00Z`.
    ///
    /// # Panics
    /// When the text is not such a time: the test is wrong.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a literal in a test is right or the test is wrong")]
    pub fn starting(rfc3339: &str) -> Self {
        let time = serde_json::from_value(serde_json::Value::from(rfc3339))
            .expect("a test clock starts at an RFC 3339 time");
        Self::at(time)
    }

    /// Shows `time` from here on, earlier or later.
    pub fn set(&self, time: Time) {
        self.0.store(time.as_micros(), Ordering::SeqCst);
    }

    /// Moves by `seconds`; backwards when negative.
    pub fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds.saturating_mul(1_000_000), Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Time {
        Time::from_micros(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_stands_still_until_it_is_moved() {
        let clock = TestClock::starting("2026-11-23T09:00:00Z");
        let shared = clock.clone();
        assert_eq!(clock.now().to_string(), "2026-11-23T09:00:00.000000Z");
        shared.advance(61);
        assert_eq!(clock.now().to_string(), "2026-11-23T09:01:01.000000Z");
        clock.set(Time::from_micros(0));
        assert_eq!(shared.now().as_micros(), 0);
    }
}
