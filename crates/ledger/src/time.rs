//! Time and randomness, as arguments.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

const MICROS_A_DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// Days from 0000-03-01 to 1970-01-01 in the proleptic Gregorian calendar.
const DAYS_TO_EPOCH: i64 = 719_468;

/// A point in time: microseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
///
/// Written as RFC 3339 in UTC with six decimals (`2026-11-23T09:00:00.000000Z`), so that
/// text order is time order. It is always within the years 1 to 9998, which every calendar has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

impl Time {
    /// 0001-01-01T00:00:00.000000Z.
    pub(crate) const FIRST: Self = Self(Day::FIRST * MICROS_A_DAY);
    /// 9998-12-31T23:59:59.999999Z.
    pub(crate) const LAST: Self = Self((Day::LAST + 1) * MICROS_A_DAY - 1);

    /// From microseconds since the epoch; the first or last time that can be written when they are
    /// beyond, because a record with a saturated time is better than no record.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        if micros < Self::FIRST.0 {
            Self::FIRST
        } else if micros > Self::LAST.0 {
            Self::LAST
        } else {
            Self(micros)
        }
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// The same moment, `seconds` later (earlier when negative), saturating.
    #[must_use]
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self::from_micros(self.0.saturating_add(seconds.saturating_mul(1_000_000)))
    }

    /// The day that it falls on, in UTC.
    #[must_use]
    pub const fn day(self) -> Day {
        Day(self.0.div_euclid(MICROS_A_DAY))
    }

    /// How the time is written.
    pub(crate) fn plain_text(self) -> [u8; 27] {
        let (days, micros) = (self.0.div_euclid(MICROS_A_DAY), self.0.rem_euclid(MICROS_A_DAY));
        // The civil date of the days: years begin in March, so that the leap day is a year's last.
        let day = days + DAYS_TO_EPOCH;
        let (era, day) = (day.div_euclid(146_097), day.rem_euclid(146_097));
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let year = era * 400 + year + i64::from(month >= 10);
        let month = if month < 10 { month + 3 } else { month - 9 };
        let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let digit = |n: i64| b'0' + u8::try_from(n % 10).unwrap_or(0);
        let two = |n: i64| [digit(n / 10), digit(n)];
        let ([y3, y2], [y1, y0]) = (two(year / 100), two(year));
        let ([m1, m0], [d1, d0]) = (two(month), two(day));
        let ([h1, h0], [n1, n0], [s1, s0]) = (two(hour), two(minute), two(second));
        let ([f5, f4], [f3, f2], [f1, f0]) = (two(micros / 10_000), two(micros / 100), two(micros));
        [
            y3, y2, y1, y0, b'-', m1, m0, b'-', d1, d0, b'T', h1, h0, b':', n1, n0, b':', s1, s0,
            b'.', f5, f4, f3, f2, f1, f0, b'Z',
        ]
    }

    /// Reads `YYYY-MM-DDTHH:MM:SS.ffffffZ` in the years 1 to 9998; absent when it is anything
    /// else.
    pub(crate) fn from_plain_text(text: &[u8]) -> Option<Self> {
        let [
            y @ ..,
            b'-',
            m1,
            m0,
            b'-',
            d1,
            d0,
            b'T',
            h1,
            h0,
            b':',
            n1,
            n0,
            b':',
            s1,
            s0,
            b'.',
            f5,
            f4,
            f3,
            f2,
            f1,
            f0,
            b'Z',
        ] = text
        else {
            return None;
        };
        let [y3, y2, y1, y0] = y else { return None };
        let number = |digits: &[&u8]| {
            digits.iter().try_fold(0_i64, |sum, digit| {
                digit.is_ascii_digit().then(|| sum * 10 + i64::from(**digit - b'0'))
            })
        };
        let (year, month, day) =
            (number(&[y3, y2, y1, y0])?, number(&[m1, m0])?, number(&[d1, d0])?);
        let (hour, minute, second) = (number(&[h1, h0])?, number(&[n1, n0])?, number(&[s1, s0])?);
        let micros = number(&[f5, f4, f3, f2, f1, f0])?;
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let last = match month {
            2 => 28 + i64::from(leap),
            4 | 6 | 9 | 11 => 30,
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            _ => return None,
        };
        if year == 0
            || year == 9999
            || day < 1
            || day > last
            || hour > 23
            || minute > 59
            || second > 59
        {
            return None;
        }
        // Days from the civil date: years begin in March, so that the leap day is a year's last.
        let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
        let days = year * 365 + year.div_euclid(4) - year.div_euclid(100)
            + year.div_euclid(400)
            + (153 * month + 2) / 5
            + day
            - 1
            - DAYS_TO_EPOCH;
        let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
        Some(Self(seconds * 1_000_000 + micros))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.plain_text()).map_err(|_| fmt::Error)?)
    }
}

/// A day in UTC, in the years 1 to 9998: days since 1970-01-01.
///
/// Written `2026-11-23`, so that text order is time order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i64);

/// The text is not a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a day is written YYYY-MM-DD")]
pub struct MalformedDay;

impl Day {
    /// 0001-01-01.
    const FIRST: i64 = -719_162;
    /// 9998-12-31.
    const LAST: i64 = 2_932_531;

    /// From days since 1970-01-01; absent outside of the years that can be written.
    #[must_use]
    pub fn from_number(days: i64) -> Option<Self> {
        (Self::FIRST..=Self::LAST).contains(&days).then_some(Self(days))
    }

    /// Days since 1970-01-01.
    #[must_use]
    pub const fn number(self) -> i64 {
        self.0
    }

    /// So many days later (earlier when negative), as far as days can be written.
    #[must_use]
    pub fn plus_days(self, days: i64) -> Self {
        Self(self.0.saturating_add(days).clamp(Self::FIRST, Self::LAST))
    }

    /// Its first moment.
    #[must_use]
    pub const fn start(self) -> Time {
        Time(self.0 * MICROS_A_DAY)
    }

    /// How it is written.
    pub(crate) fn plain_text(self) -> [u8; 10] {
        self.start().plain_text().first_chunk().copied().unwrap_or_default()
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.plain_text()).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for Day {
    type Err = MalformedDay;
    fn from_str(text: &str) -> Result<Self, MalformedDay> {
        let day: &[u8; 10] = text.as_bytes().try_into().map_err(|_| MalformedDay)?;
        let mut time = *b"YYYY-MM-DDT00:00:00.000000Z";
        for (to, from) in time.iter_mut().zip(day) {
            *to = *from;
        }
        Time::from_plain_text(&time).map(Time::day).ok_or(MalformedDay)
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <std::borrow::Cow<'de, str>>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let stamp: jiff::Timestamp =
            text.parse().map_err(|_| de::Error::custom("not an RFC 3339 time"))?;
        let time = Self::from_micros(stamp.as_microsecond());
        if time.0 == stamp.as_microsecond() {
            Ok(time)
        } else {
            Err(de::Error::custom("the year of a time is 1 to 9998"))
        }
    }
}

/// Where the time comes from. The real one lives in the server; tests hand in their own.
pub trait Clock: Send + Sync {
    /// The time of this call.
    fn now(&self) -> Time;
}

/// Where randomness comes from. The real one lives in the server; tests hand in a seeded one.
pub trait Entropy: Send + Sync {
    /// Fills `bytes` with unpredictable bytes.
    ///
    /// The real source aborts the process when the operating system has none to give: going on
    /// with predictable keys would be worse.
    fn fill(&self, bytes: &mut [u8]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(micros: i64, text: &str) {
        let time = Time::from_micros(micros);
        assert_eq!(time.to_string(), text);
        let json = serde_json::to_string(&time).unwrap();
        assert_eq!(serde_json::from_str::<Time>(&json).unwrap(), time);
    }

    #[test]
    fn a_time_has_six_decimals_and_a_z() {
        check(0, "1970-01-01T00:00:00.000000Z");
        check(1, "1970-01-01T00:00:00.000001Z");
        check(-1, "1969-12-31T23:59:59.999999Z");
        check(1_795_424_400_000_000, "2026-11-23T09:00:00.000000Z");
    }

    #[test]
    fn a_day_is_written_and_read_in_one_form() {
        for (micros, text) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (1_795_424_400_000_000, "2026-11-23"),
            (i64::MAX, "9998-12-31"),
            (i64::MIN, "0001-01-01"),
        ] {
            let day = Time::from_micros(micros).day();
            assert_eq!(day.to_string(), text);
            assert_eq!(text.parse(), Ok(day));
            assert_eq!(day.start().day(), day);
        }
        for text in
            ["", "2026-11-3", "2026-02-29", "2026-13-01", "9999-01-01", "0000-12-31", "+026-01-01"]
        {
            assert_eq!(text.parse::<Day>(), Err(MalformedDay), "{text}");
        }
        let day: Day = "2026-03-01".parse().unwrap();
        assert_eq!(day.plus_days(-1).to_string(), "2026-02-28");
        assert_eq!(Day::from_number(day.number()), Some(day));
        assert_eq!(Day::from_number(i64::MAX), None);
    }

    #[test]
    fn a_clock_far_out_of_range_still_gives_a_record_a_time() {
        check(i64::MAX, "9998-12-31T23:59:59.999999Z");
        check(i64::MIN, "0001-01-01T00:00:00.000000Z");
        assert_eq!(Time::from_micros(i64::MAX).plus_seconds(1), Time::from_micros(i64::MAX));
        assert_eq!(Time::from_micros(0).plus_seconds(i64::MIN), Time::from_micros(i64::MIN));
    }

    proptest! {
        #[test]
        fn a_plain_text_is_what_the_calendar_library_writes_and_reads(
            micros in Time::FIRST.0..=Time::LAST.0
        ) {
            let text = jiff::Timestamp::from_microsecond(micros).map(|stamp| format!("{stamp:.6}"));
            let time = Time::from_micros(micros);
            prop_assert_eq!(time.to_string(), text.unwrap());
            prop_assert_eq!(Time::from_plain_text(time.to_string().as_bytes()), Some(time));
        }

        #[test]
        fn text_order_is_time_order(a in Time::FIRST.0..=Time::LAST.0, b in Time::FIRST.0..=Time::LAST.0) {
            let (a, b) = (Time::from_micros(a), Time::from_micros(b));
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        }
    }
}
