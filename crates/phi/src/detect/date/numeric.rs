//! Dates of digits.

use crate::detect::shape::Bytes;

/// A date of digits.
pub(crate) struct Numeric {
    /// The byte after it, time of an ISO timestamp included.
    pub(crate) end: usize,
    /// Whether no context is needed.
    pub(crate) certain: bool,
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

/// `03/14/1962`, `14.3.62`, `1962-03-14T08:30:00Z`, `03/1962`, `3/14`.
pub(crate) fn numeric(b: Bytes<'_>, i: usize) -> Option<Numeric> {
    let first = b.digits(i, 5);
    let sep = b.at(i + first);
    if !matches!(sep, b'/' | b'-' | b'.') || first == 0 || first > 4 {
        return None;
    }
    let n = b.number(i, first);
    let at = i + first + 1;
    let second = b.digits(at, 5);
    let m = b.number(at, second);
    let next = at + second;
    if b.at(next) == sep && b.at(next + 1).is_ascii_digit() {
        return three(b, sep, (n, first), (m, second), next + 1);
    }
    if !b.ends(next) || sep == b'.' || (b.at(next) == sep) {
        return None;
    }
    // Two parts: month and year, or month and day.
    if is_month(n) && first <= 2 && second == 4 && is_year(m) {
        return Some(Numeric { end: next, certain: sep == b'/' });
    }
    if first == 4 && is_year(n) && second == 2 && is_month(m) {
        return Some(Numeric { end: next, certain: false });
    }
    let pair = is_month(n) && first <= 2 && (1..=2).contains(&second) && is_day(m) && sep == b'/';
    pair.then_some(Numeric { end: next, certain: false })
}

fn three(
    b: Bytes<'_>,
    sep: u8,
    (n, first): (u32, usize),
    (m, second): (u32, usize),
    at: usize,
) -> Option<Numeric> {
    let third = b.digits(at, 5);
    let y = b.number(at, third);
    let end = at + third;
    let day_month = (is_month(n) && is_day(m)) || (is_day(n) && is_month(m));
    let short = (1..=2).contains(&first) && (1..=2).contains(&second);
    let last = (third == 4 && is_year(y)) || third == 2;
    if short && last && day_month {
        let end = time(b, end);
        // `1.2.34` may be a version, a section or a dose list.
        return stops(b, sep, end).then_some(Numeric { end, certain: sep != b'.' || third == 4 });
    }
    let iso = first == 4 && is_year(n) && is_month(m) && second <= 2 && is_day(y) && third <= 2;
    if iso {
        let end = time(b, end);
        return stops(b, sep, end).then_some(Numeric { end, certain: true });
    }
    None
}

/// Whether a date ends here: another one may follow after a dash, but not a fourth part.
fn stops(b: Bytes<'_>, sep: u8, end: usize) -> bool {
    let next = b.at(end);
    let more = next == sep && b.at(end + 1).is_ascii_digit();
    let range = sep == b'/' && next == b'-';
    b.ends(end) || (range && !more)
}

/// The end of `T08:30:00.000-05:00` after a date.
fn time(b: Bytes<'_>, end: usize) -> usize {
    let stamp =
        b.at(end) == b'T' || (b.at(end) == b' ' && b.at(end + 3) == b':' && b.at(end + 6) == b':');
    if !stamp || b.digits(end + 1, 3) != 2 {
        return end;
    }
    let mut at = end + 3;
    while b.at(at) == b':' && b.digits(at + 1, 3) == 2 {
        at += 3;
    }
    if b.at(at) == b'.' {
        at += 1 + b.digits(at + 1, 9);
    }
    match b.at(at) {
        b'Z' => at + 1,
        b'+' | b'-' if b.digits(at + 1, 3) == 2 && b.at(at + 3) == b':' => at + 6,
        b'+' | b'-' if b.digits(at + 1, 5) == 4 => at + 5,
        _ => at,
    }
}

/// `19620314`, `196203140830`, `03141962`: only where a field says that it is a date.
pub(crate) fn compact(b: Bytes<'_>, i: usize) -> Option<usize> {
    let count = b.digits(i, 18);
    let year_first = is_year(b.number(i, 4))
        && is_month(b.number(i + 4, 2))
        && (count == 6 || is_day(b.number(i + 6, 2)));
    let year_last = count == 8
        && is_year(b.number(i + 4, 4))
        && is_month(b.number(i, 2))
        && is_day(b.number(i + 2, 2));
    if !(matches!(count, 6 | 8 | 10 | 12 | 14 | 17) && year_first || year_last) {
        return None;
    }
    let mut end = i + count;
    if b.at(end) == b'.' {
        end += 1 + b.digits(end + 1, 6);
    }
    if matches!(b.at(end), b'+' | b'-') && b.digits(end + 1, 5) == 4 {
        end += 5;
    }
    Some(end)
}
