//! Dates of digits.

use crate::detect::shape::Bytes;

/// A date of digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Numeric {
    /// The byte after it, time of day included.
    pub(crate) end: usize,
    /// Whether no context is needed.
    pub(crate) certain: bool,
    /// The year, if it has one; two digits stand for themselves.
    pub(crate) year: Option<u32>,
}

pub(super) const fn is_month(n: u32) -> bool {
    n >= 1 && n <= 12
}

pub(super) const fn is_day(n: u32) -> bool {
    n >= 1 && n <= 31
}

pub(super) const fn is_year(n: u32) -> bool {
    n >= 1850 && n <= 2150
}

/// Whether a day and a month can be these two, in either order.
const fn is_day_and_month(n: u32, m: u32) -> bool {
    (is_month(n) && is_day(m)) || (is_day(n) && is_month(m))
}

/// `03/14/1962`, `14.3.62`, `1962-03-14T08:30:00Z`, `03/1962`, `3/14`, `3/1-3/5/21`, `3 / 14 / 62`.
pub(crate) fn numeric(b: Bytes<'_>, i: usize) -> Option<Numeric> {
    let count = b.digits(i, 3);
    let next = i + count + 1;
    let second = b.digits(next, 3);
    let (month, day) = (b.number(i, count), b.number(next, second));
    let pair = (1..=2).contains(&count) && (1..=2).contains(&second) && b.at(next - 1) == b'/';
    let dash = b.at(next + second) == b'-' || b.at(next + second + 1) == b'-';
    if pair && dash && is_month(month) && is_day(day) {
        let found = range(b, (month, day), next + second);
        if found.is_some() {
            return found;
        }
    }
    without_range(b, i)
}

/// A date of digits that is no range.
fn without_range(b: Bytes<'_>, i: usize) -> Option<Numeric> {
    let first = b.digits(i, 5);
    if first == 0 || first > 4 {
        return None;
    }
    let (sep, at) = separator(b, i + first)?;
    let n = b.number(i, first);
    let second = b.digits(at, 5);
    if second == 0 || second > 4 {
        return None;
    }
    let m = b.number(at, second);
    let next = at + second;
    if let Some((again, third)) = separator(b, next).filter(|s| s.0 == sep)
        && (b.at(third).is_ascii_digit() || b.at(third) == b'\'' && b.exactly(third + 1, 2))
    {
        let spaced = third > next + 1;
        return three(b, again, (n, first), (m, second), third)
            .map(|found| Numeric { certain: found.certain && (!spaced || found.full()), ..found });
    }
    // Spaces around the mark are for whole dates: `3 / 14` is a fraction.
    if at > i + first + 1 {
        return None;
    }
    two(b, sep, (n, first), (m, second), next)
}

impl Numeric {
    /// Whether the year has four digits.
    fn full(self) -> bool {
        self.year.is_some_and(is_year)
    }
}

/// The mark between two parts of a date, with a space on both sides or on none, and the place after.
fn separator(b: Bytes<'_>, at: usize) -> Option<(u8, usize)> {
    let is_mark = |c: u8| matches!(c, b'/' | b'-' | b'.');
    let c = b.at(at);
    if is_mark(c) {
        return Some((c, at + 1));
    }
    let mark = b.at(at + 1);
    (c == b' ' && is_mark(mark) && mark != b'.' && b.at(at + 2) == b' ').then_some((mark, at + 3))
}

/// Month and year, or month and day.
fn two(
    b: Bytes<'_>,
    sep: u8,
    (n, first): (u32, usize),
    (m, second): (u32, usize),
    next: usize,
) -> Option<Numeric> {
    if !b.ends(next) || b.at(next) == sep && b.at(next + 1).is_ascii_alphanumeric() {
        return None;
    }
    if is_month(n) && first <= 2 && second == 4 && is_year(m) {
        // `1/2000` is a dilution as well as a month.
        let certain = sep == b'/' && (1900..=2100).contains(&m) && !(n == 1 && m == 2000);
        return Some(Numeric { end: next, certain, year: Some(m) });
    }
    if sep == b'.' {
        return None;
    }
    if first == 4 && is_year(n) && second == 2 && is_month(m) {
        return Some(Numeric { end: next, certain: false, year: Some(n) });
    }
    // `11/97`: no month has 97 days.
    if sep == b'/' && is_month(n) && first <= 2 && second == 2 && m > 31 {
        return Some(Numeric { end: next, certain: false, year: Some(m) });
    }
    let short = first <= 2 && second <= 2;
    let padded = first == 2 && second == 2 && (n < 10 || m < 10);
    let pair = short
        && (sep == b'/' || padded)
        && (is_month(n) && is_day(m) || padded && is_day(n) && is_month(m));
    // `28/2` has its day first; sevenths and twelfths are weeks and years: `14/7`, `18/12`.
    let day_first =
        sep == b'/' && (13..=31).contains(&n) && is_month(m) && !matches!(m, 7 | 12) && second <= 2;
    (pair || day_first).then_some(Numeric { end: next, certain: false, year: None })
}

/// The rest of `3/1-3/5/21` or `3/14-16/2024` after its first day.
fn range(b: Bytes<'_>, (month, day): (u32, u32), next: usize) -> Option<Numeric> {
    let spaced = b.at(next) == b' ' && b.at(next + 1) == b'-' && b.at(next + 2) == b' ';
    let from = match (b.at(next), spaced) {
        (b'-', _) => next + 1,
        (_, true) => next + 3,
        _ => return None,
    };
    let count = b.digits(from, 3);
    if !(1..=2).contains(&count) {
        return None;
    }
    let second = b.number(from, count);
    let whole = without_range(b, from).filter(|d| d.year.is_some() && d.certain);
    if whole.is_some() && is_month(second) {
        return whole;
    }
    // `12/23-1/2` has no year, but a day later than any month; sixteenths are of an inch.
    let days = from + count + 1;
    let last = b.digits(days, 3);
    let (end, until) = (days + last, b.number(days, last));
    let late = |day: u32| (13..=31).contains(&day) && day != 16;
    let pair =
        b.at(days - 1) == b'/' && (1..=2).contains(&last) && b.ends(end) && b.at(end) != b'%';
    if pair && is_month(second) && is_day(until) && (late(day) || late(until)) {
        return Some(Numeric { end, certain: true, year: None });
    }
    // `3/14-16/2024` has a day where `3/1-3/5/21` has a month.
    let year = from + count + 1;
    let days = b.at(year - 1) == b'/' && b.exactly(year, 4) && is_day(second) && is_month(month);
    days.then(|| Numeric { end: year + 4, certain: true, year: Some(b.number(year, 4)) })
}

fn three(
    b: Bytes<'_>,
    sep: u8,
    (n, first): (u32, usize),
    (m, second): (u32, usize),
    at: usize,
) -> Option<Numeric> {
    let quoted = b.at(at) == b'\'';
    let at = at + usize::from(quoted);
    let third = b.digits(at, 5);
    let y = b.number(at, third);
    let end = at + third;
    let short = (1..=2).contains(&first) && (1..=2).contains(&second);
    let last = (third == 4 && is_year(y)) || third == 2;
    if short && last && is_day_and_month(n, m) {
        let end = time(b, end);
        // `1.2.34` may be a version or a section; `01.02.34` is how much of Europe writes days.
        let padded = first == 2 && second == 2 && third == 2;
        let certain = sep != b'.' || third == 4 || padded;
        return stops(b, sep, end).then_some(Numeric { end, certain, year: Some(y) });
    }
    let iso = is_month(m) && (1..=2).contains(&second) && is_day(y) && (1..=2).contains(&third);
    if iso && first == 4 && is_year(n) {
        let end = time(b, end);
        return stops(b, sep, end).then_some(Numeric { end, certain: true, year: Some(n) });
    }
    // `62-03-14`: the year first, in two digits.
    if iso && sep == b'-' && first == 2 && second == 2 && third == 2 {
        return stops(b, sep, end).then_some(Numeric { end, certain: n > 31, year: Some(n) });
    }
    None
}

/// Whether a date ends here: another one may follow after a dash, but not a fourth part.
fn stops(b: Bytes<'_>, sep: u8, end: usize) -> bool {
    let next = b.at(end);
    let more = next == sep && b.at(end + 1).is_ascii_digit();
    let range = sep != b'-' && next == b'-';
    !more && (b.ends(end) || range)
}

/// The end of `T08:30:00.000-05:00`, ` 08:30` or ` 8:30 AM` after a date.
fn time(b: Bytes<'_>, end: usize) -> usize {
    let stamp = matches!(b.at(end), b'T' | b't');
    let gap = match (b.at(end), b.at(end + 1)) {
        (b'T' | b't' | b' ' | b'_', _) => 1,
        (b',', b' ') => 2,
        _ => return end,
    };
    let hours = b.digits(end + gap, 3);
    let colon = end + gap + hours;
    if !(1..=2).contains(&hours) || b.number(end + gap, hours) > 24 {
        return end;
    }
    // `T0830` of a timestamp without colons.
    if b.at(colon) != b':' || !b.exactly(colon + 1, 2) {
        return if stamp && hours == 2 && b.ends(colon) { colon } else { end };
    }
    let mut at = colon;
    while b.at(at) == b':' && b.digits(at + 1, 3) == 2 {
        at += 3;
    }
    if matches!(b.at(at), b'.' | b',') && b.at(at + 1).is_ascii_digit() {
        at += 1 + b.digits(at + 1, 9);
    }
    let at = match b.at(at) {
        b'Z' | b'z' => at + 1,
        b'+' | b'-' if b.digits(at + 1, 3) == 2 && b.at(at + 3) == b':' => at + 6,
        b'+' | b'-' if b.digits(at + 1, 5) == 4 => at + 5,
        _ => at,
    };
    let noon = at + usize::from(b.at(at) == b' ');
    let half = matches!(b.at(noon), b'a' | b'A' | b'p' | b'P')
        && matches!(b.at(noon + 1), b'm' | b'M')
        && !b.at(noon + 2).is_ascii_alphanumeric();
    let at = if half { noon + 2 } else { at };
    if b.at(at).is_ascii_alphanumeric() { end } else { at }
}

/// `19620314`, `196203140830`, `03141962`: only where a field says that it is a date.
pub(crate) fn compact(b: Bytes<'_>, i: usize) -> Option<usize> {
    let count = b.digits(i, 18);
    let year_first = is_year(b.number(i, 4))
        && is_month(b.number(i + 4, 2))
        && (count == 6 || is_day(b.number(i + 6, 2)));
    let year_last = count == 8
        && is_year(b.number(i + 4, 4))
        && is_day_and_month(b.number(i, 2), b.number(i + 2, 2));
    let short = count == 6 && is_day_and_month(b.number(i, 2), b.number(i + 2, 2));
    if !(matches!(count, 6 | 8 | 10 | 12 | 14 | 17) && year_first || year_last || short) {
        return None;
    }
    let mut end = i + count;
    if b.at(end) == b'.' && b.at(end + 1).is_ascii_digit() {
        end += 1 + b.digits(end + 1, 6);
    }
    if matches!(b.at(end), b'+' | b'-') && b.digits(end + 1, 5) == 4 {
        end += 5;
    }
    Some(end)
}

/// Eight digits that are a day of this or the last century: `20210314`.
pub(super) fn is_calendar(b: Bytes<'_>, i: usize) -> bool {
    b.exactly(i, 8)
        && (1900..=2099).contains(&b.number(i, 4))
        && is_month(b.number(i + 4, 2))
        && is_day(b.number(i + 6, 2))
}

/// `03 14 1962` and `14 03 62`, where a label says that it is a date.
pub(super) fn spaced(b: Bytes<'_>, i: usize) -> Option<usize> {
    let first = b.digits(i, 3);
    let at = i + first + 1;
    let second = b.digits(at, 3);
    let last = at + second + 1;
    let third = b.digits(last, 5);
    let spaces = b.at(i + first) == b' ' && b.at(at + second) == b' ';
    let sizes = (1..=2).contains(&first) && (1..=2).contains(&second) && matches!(third, 2 | 4);
    let year = third == 2 || is_year(b.number(last, 4));
    let day = is_day_and_month(b.number(i, first), b.number(at, second));
    (spaces && sizes && year && day && b.ends(last + third)).then_some(last + third)
}

/// `14MAR2021`, `14Mar21`, `MAR2021`, `2021MAR14`: digits and a month in one run, which ends at `end`.
pub(super) fn glued(b: Bytes<'_>, i: usize, end: usize) -> Option<Numeric> {
    const MONTHS: [&[u8; 3]; 12] = [
        b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov",
        b"dec",
    ];
    let before = b.digits(i, 5);
    let at = i + before;
    let letters = (0..10).take_while(|k| b.at(at + k).is_ascii_alphabetic()).count();
    let named = MONTHS
        .iter()
        .any(|m| m.iter().enumerate().all(|(k, c)| b.at(at + k).eq_ignore_ascii_case(c)));
    let after = b.digits(at + letters, 5);
    if letters != 3 || !named || at + letters + after != end {
        return None;
    }
    let (n, y) = (b.number(i, before), b.number(at + letters, after));
    let day_first = (1..=2).contains(&before) && is_day(n);
    let (certain, year) = match (before, after) {
        (1 | 2, 4) if day_first && is_year(y) => (true, Some(y)),
        (1 | 2, 2) if day_first => (true, Some(y)),
        (1 | 2, 0) if day_first => (false, None),
        (0, 4) if is_year(y) => (true, Some(y)),
        (4, 2) if is_year(n) && is_day(y) => (true, Some(n)),
        _ => return None,
    };
    Some(Numeric { end, certain, year })
}
