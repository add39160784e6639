//! Time that never goes back, and what was used in the last minute of it.

use ledger::Time;
use std::collections::VecDeque;
use std::time::Duration;

/// Seconds of which a window forgets nothing.
const SECONDS: i64 = 60;

/// Microseconds in a second.
const SECOND: i64 = 1_000_000;

/// A clock that goes on when the one on the wall is set back, instead of standing still or going back
/// with it.
#[derive(Debug, Default)]
pub(super) struct Steady {
    wall: Option<Time>,
    micros: i64,
}

impl Steady {
    /// Microseconds since some moment, of which no later call gets fewer.
    pub(super) fn at(&mut self, now: Time) -> i64 {
        let before = self.wall.replace(now).unwrap_or(now);
        let passed = now.as_micros().saturating_sub(before.as_micros()).max(0);
        self.micros = self.micros.saturating_add(passed);
        self.micros
    }
}

/// The second in which a moment of steady time lies.
pub(super) const fn second(micros: i64) -> i64 {
    micros.div_euclid(SECOND)
}

/// What was used in the last minute, second by second: at most 61 of them.
///
/// The second that began up to 61 seconds ago still counts as a whole, so what any 60 seconds hold is
/// never more than what was allowed, at the price of up to one second more of waiting.
#[derive(Debug, Default)]
pub(super) struct Window {
    seconds: VecDeque<(i64, u64)>,
    used: u64,
}

impl Window {
    /// Forgets what is older than a minute.
    pub(super) fn slide(&mut self, now: i64) {
        while let Some((second, amount)) = self.seconds.front().copied()
            && second < now - SECONDS
        {
            self.seconds.pop_front();
            self.used -= amount;
        }
    }

    /// What was used in the last minute.
    pub(super) const fn used(&self) -> u64 {
        self.used
    }

    pub(super) fn is_empty(&self) -> bool {
        self.seconds.is_empty()
    }

    /// Adds what is used now. INVARIANT: `now` is not before any second that something was added in.
    pub(super) fn add(&mut self, now: i64, amount: u64) {
        let amount = amount.min(u64::MAX - self.used);
        self.used += amount;
        match self.seconds.back_mut() {
            Some((second, used)) if *second == now => *used += amount,
            Some(_) | None => self.seconds.push_back((now, amount)),
        }
    }

    /// Gives back what was added in a second and not used after all. What was forgotten stays so.
    pub(super) fn give_back(&mut self, second: i64, amount: u64) {
        let added = self.seconds.iter_mut().rev().find(|(at, _)| *at == second);
        if let Some((_, used)) = added {
            let amount = amount.min(*used);
            *used -= amount;
            self.used -= amount;
        }
    }

    /// How long until at most `most` is used, when nothing is added.
    pub(super) fn until(&self, most: u64, micros: i64) -> Duration {
        let (mut left, mut free) = (self.used, None);
        for (second, amount) in &self.seconds {
            if left <= most {
                break;
            }
            left -= amount;
            free = Some((second + SECONDS + 1) * SECOND);
        }
        let wait = free.map_or(0, |free| free.saturating_sub(micros));
        Duration::from_micros(u64::try_from(wait).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: i64 = 1_795_000_000_000_000;

    #[test]
    fn a_clock_that_is_set_back_changes_nothing() {
        let mut steady = Steady::default();
        let mut at = |micros| steady.at(Time::from_micros(START + micros));
        assert_eq!(at(0), 0);
        assert_eq!(at(10), 10);
        // An hour back: time goes on from there as if nothing had happened.
        assert_eq!(at(-3_600_000_000), 10);
        assert_eq!(at(-3_600_000_000 + 5), 15);
        assert_eq!(at(0), 15 + 3_600_000_000 - 5);
    }

    #[test]
    fn what_is_given_back_is_what_was_added() {
        let mut window = Window::default();
        window.add(5, 10);
        window.add(6, 20);
        window.give_back(5, 4);
        assert_eq!(window.used(), 26);
        // No more than was added, and nothing of another second.
        window.give_back(5, 100);
        assert_eq!(window.used(), 20);
        window.give_back(4, 100);
        window.slide(67);
        window.give_back(6, 100);
        assert_eq!((window.used(), window.is_empty()), (0, true));
        window.add(70, u64::MAX);
        window.add(70, 1);
        assert_eq!(window.used(), u64::MAX);
    }

    #[test]
    fn room_comes_back_when_the_window_says_so() {
        let mut window = Window::default();
        window.add(0, 3);
        window.add(30, 3);
        let wait = |most| window.until(most, 40 * SECOND + 500_000).as_millis();
        assert_eq!((wait(6), wait(5), wait(3), wait(2)), (0, 20_500, 20_500, 50_500));
    }

    proptest! {
        /// Whatever comes when, no 60 seconds hold more than the limit, a refused request is let in
        /// when the answer said so, and what is refused costs nothing.
        #[test]
        fn no_minute_holds_more_than_the_limit(
            steps in prop::collection::vec((0_i64..40_000_000, 1_u64..5), 1..200),
            most in 1_u64..20,
        ) {
            let (mut window, mut now, mut passed) = (Window::default(), 0_i64, Vec::new());
            for (step, amount) in steps {
                now += step;
                window.slide(second(now));
                if window.used() + amount.min(most) <= most {
                    window.add(second(now), amount.min(most));
                    passed.push((now, amount.min(most)));
                } else {
                    let wait = window.until(most - amount.min(most), now);
                    let then = now + i64::try_from(wait.as_micros()).unwrap();
                    prop_assert!(then > now && then - now <= 61 * SECOND);
                    let mut later = Window { seconds: window.seconds.clone(), used: window.used };
                    later.slide(second(then));
                    prop_assert!(later.used() + amount.min(most) <= most);
                }
                prop_assert!(window.seconds.len() <= 61);
            }
            for (end, _) in &passed {
                let minute = passed.iter().filter(|(at, _)| (end - 60 * SECOND..=*end).contains(at));
                prop_assert!(minute.map(|(_, amount)| amount).sum::<u64>() <= most);
            }
        }
    }
}
