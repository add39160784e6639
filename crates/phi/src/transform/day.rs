//! Days of the calendar.

use std::fmt;
use std::str::FromStr;

/// A day of the Gregorian calendar, from the year 1 to the year 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day {
    /// Days since 1970-01-01.
    number: i32,
}

/// The text is not a day of the form `2026-03-14`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a day of the form YYYY-MM-DD")]
pub struct NotADay;

/// Days of 400 years, after which the calendar repeats.
const ERA_DAYS: i32 = 146_097;

/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_DAYS: i32 = 719_468;

impl Day {
    /// The day of that year, month (from 1) and day (from 1), if there is one.
    #[must_use]
    pub fn new(year: i32, month: u32, day: u32) -> Option<Self> {
        let month = i32::try_from(month).ok().filter(|month| (1..=12).contains(month))?;
        let day = i32::try_from(day).ok().filter(|day| (1..=31).contains(day))?;
        if !(1..=9999).contains(&year) {
            return None;
        }
        // Years begin in March here, so that a leap day is the last of its year.
        let shifted = if month > 2 { year } else { year - 1 };
        let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let of_era = shifted.rem_euclid(400);
        let number = shifted.div_euclid(400) * ERA_DAYS + of_era * 365 + of_era / 4 - of_era / 100
            + of_year
            - EPOCH_DAYS;
        let made = Self { number };
        // The 30th of February comes out as another day.
        (made.parts() == (year, month, day)).then_some(made)
    }

    /// The day, in UTC, of a moment in seconds since the Unix epoch.
    #[must_use]
    pub fn of_unix_seconds(seconds: i64) -> Option<Self> {
        let made = Self { number: i32::try_from(seconds.div_euclid(86_400)).ok()? };
        (1..=9999).contains(&made.year()).then_some(made)
    }

    /// The day so many days later, or earlier.
    #[must_use]
    pub fn plus(self, days: i32) -> Option<Self> {
        let made = Self { number: self.number.checked_add(days)? };
        (1..=9999).contains(&made.year()).then_some(made)
    }

    /// Year, month from 1, day from 1.
    fn parts(self) -> (i32, i32, i32) {
        let days = self.number + EPOCH_DAYS;
        let of_era = days.rem_euclid(ERA_DAYS);
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        (year + days.div_euclid(ERA_DAYS) * 400 + i32::from(month <= 2), month, day)
    }

    /// The year.
    #[must_use]
    pub fn year(self) -> i32 {
        self.parts().0
    }

    /// The month, from 1.
    #[must_use]
    pub fn month(self) -> u32 {
        self.parts().1.unsigned_abs()
    }

    /// The day of the month, from 1.
    #[must_use]
    pub fn day(self) -> u32 {
        self.parts().2.unsigned_abs()
    }

    /// The day of the week: 0 is Monday.
    #[must_use]
    pub fn weekday(self) -> u32 {
        (self.number + 3).rem_euclid(7).unsigned_abs()
    }

    /// Days from `earlier` to this.
    #[must_use]
    pub const fn days_since(self, earlier: Self) -> i32 {
        self.number - earlier.number
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.parts();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl FromStr for Day {
    type Err = NotADay;
    fn from_str(text: &str) -> Result<Self, NotADay> {
        let mut fields = text.split('-');
        let mut field = |len: usize| {
            let field = fields.next().filter(|field| field.len() == len)?;
            field.bytes().all(|b| b.is_ascii_digit()).then(|| field.parse::<u32>().ok())?
        };
        let (year, month, day) = (field(4), field(2), field(2));
        if fields.next().is_some() {
            return Err(NotADay);
        }
        let made = || Self::new(i32::try_from(year?).ok()?, month?, day?);
        made().ok_or(NotADay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_eight_centuries_follows_the_one_before() {
        let mut day = Day::new(1600, 1, 1).unwrap();
        while day.year() < 2400 {
            let next = day.plus(1).unwrap();
            assert_eq!(next.days_since(day), 1);
            assert_eq!((day.weekday() + 1) % 7, next.weekday());
            let same = Day::new(next.year(), next.month(), next.day());
            assert_eq!(same, Some(next));
            let follows = next.day() == day.day() + 1 || (next.day() == 1 && day.day() >= 28);
            assert!(follows, "{day} {next}");
            day = next;
        }
    }

    #[test]
    fn known_days_have_their_weekdays() {
        for (text, weekday) in [("1970-01-01", 3), ("2000-02-29", 1), ("2026-03-14", 5)] {
            let day: Day = text.parse().unwrap();
            assert_eq!((day.to_string().as_str(), day.weekday()), (text, weekday));
        }
        assert_eq!(Day::of_unix_seconds(951_827_696).unwrap().to_string(), "2000-02-29");
        assert_eq!(Day::of_unix_seconds(-1).unwrap().to_string(), "1969-12-31");
    }

    #[test]
    fn what_is_no_day_is_refused() {
        for text in ["2023-02-29", "2024-13-01", "2024-00-10", "2024-1-10", "0000-01-01", "x", ""] {
            assert_eq!(text.parse::<Day>(), Err(NotADay), "{text}");
        }
    }
}
