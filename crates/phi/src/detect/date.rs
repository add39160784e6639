//! Dates and ages in their written forms.

use super::cue;
use super::shape::Bytes;
use super::token::{Block, Gap, Kind};

/// A date of digits.
pub(crate) struct Numeric {
    /// The byte after it, time of an ISO timestamp included.
    pub(crate) end: usize,
    /// Whether no context is needed.
    pub(crate) certain: bool,
}

const fn is_month(n: u32) -> bool {
    n >= 1 && n <= 12
}

const fn is_day(n: u32) -> bool {
    n >= 1 && n <= 31
}

const fn is_year(n: u32) -> bool {
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

/// A date with a month in letters: first and last token of it, and how sure, in percent.
///
/// `i` is the token of the month.
pub(crate) fn written(block: &Block<'_>, i: usize) -> Option<(usize, usize, u8)> {
    let month = block.at(i);
    // `may` and `march` in lower case are verbs unless a whole date stands around them.
    let is_verb =
        block.word_is(i, &["may", "march", "mar", "sept", "dec", "jan", "sep"]) && month.is_lower();
    let (first, day_before) = day_before(block, i);
    let mut last = i;
    if block.at(i + 1).is_mark(b'.') && block.at(i + 1).gap == Gap::None {
        last = i + 1;
    }
    if let Some((end, has_year)) = day_after(block, last + 1)
        && !day_before
    {
        return (!is_verb || has_year).then_some((i, end, if has_year { 97 } else { 85 }));
    }
    if let Some(end) = year_after(block, last + 1) {
        return Some((first, end, 97));
    }
    if day_before {
        return (!is_verb).then_some((first, i, 80));
    }
    let before = block.before(i, 1);
    let alone = (before.is(cue::WHEN) || block.word_is(i.wrapping_sub(1), PERIOD))
        && before.kind == Kind::Word
        && month.is_capital()
        && month.gap <= Gap::Space;
    alone.then_some((i, i, 55))
}

const PERIOD: &[&str] = &["last", "this", "next", "early", "late", "mid", "of", "past"];

/// `14`, `14th`, `14th of`, `14-` before a month.
fn day_before(block: &Block<'_>, i: usize) -> (usize, bool) {
    let Some(mut k) = i.checked_sub(1) else { return (i, false) };
    let joined =
        block.at(k).is_mark(b'-') || block.at(k).is_mark(b'/') || block.word_is(k, &["of"]);
    if joined {
        let Some(before) = k.checked_sub(1) else { return (i, false) };
        k = before;
    }
    let near = block.at(i).gap <= Gap::Space;
    if near && is_day_token(block, k) && !block.at(k).is(cue::UNIT) {
        (k, true)
    } else {
        (i, false)
    }
}

fn is_day_token(block: &Block<'_>, i: usize) -> bool {
    let b = Bytes(block.str(i).as_bytes());
    let count = b.digits(0, 3);
    let tail = block.str(i).get(count..).unwrap_or_default();
    (1..=2).contains(&count)
        && is_day(b.number(0, count))
        && (tail.is_empty()
            || ["st", "nd", "rd", "th"].iter().any(|t| t.eq_ignore_ascii_case(tail)))
}

/// The day, and the year if there is one, after a month.
fn day_after(block: &Block<'_>, i: usize) -> Option<(usize, bool)> {
    let mut k = i;
    if block.at(k).is_mark(b'-') || block.word_is(k, &["the"]) {
        k += 1;
    }
    if !is_day_token(block, k) || block.at(k).gap > Gap::Space {
        return None;
    }
    // `May 5 mg` is no date, nor `Mar 120/80`.
    if block.at(k + 1).is(cue::UNIT) && block.at(k + 1).is_lower() || block.at(k + 1).is_mark(b'%')
    {
        return None;
    }
    let mut end = k;
    // `10-12` and `10 and 11`: a range of days.
    if block.at(k + 1).is_mark(b'-')
        && is_day_token(block, k + 2)
        && block.at(k + 2).gap == Gap::None
    {
        end = k + 2;
    }
    Some(year_after(block, end + 1).map_or((end, false), |year| (year, true)))
}

/// A year after a comma, a dash or a space.
fn year_after(block: &Block<'_>, i: usize) -> Option<usize> {
    let mut k = i;
    if block.at(k).is_any_mark(b",-/.") || block.word_is(k, &["of"]) {
        k += 1;
    }
    let quoted = block.at(k).is_mark(b'\'');
    if quoted {
        k += 1;
    }
    let token = block.at(k);
    let b = Bytes(block.str(k).as_bytes());
    if token.kind != Kind::Digits || token.gap > Gap::Space {
        return None;
    }
    let count = token.end - token.start;
    let full = count == 4 && is_year(b.number(0, 4));
    let short = count == 2 && (quoted || block.at(i).is_mark(b'-') || block.at(i).is_mark(b','));
    // `May 10, 20 mg`: two digits after a comma are a year only when nothing counts them.
    let counted = block.at(k + 1).is(cue::UNIT) || block.at(k + 1).is_mark(b'%');
    (full || (short && !counted)).then_some(k)
}

/// An age whose number is this token: the token after the number's last, and how sure.
pub(crate) fn age(block: &Block<'_>, i: usize) -> Option<(usize, u8)> {
    let token = block.at(i);
    let b = Bytes(block.str(i).as_bytes());
    let count = b.digits(0, 4);
    if count == 0 || count > 3 || b.number(0, count) > 125 {
        return None;
    }
    let end = token.start + count;
    let glued = block.str(i).get(count..).unwrap_or_default().to_ascii_lowercase();
    if matches!(glued.as_str(), "yo" | "yof" | "yom" | "yrold" | "yearold" | "yrs") {
        return Some((end, 90));
    }
    if glued == "y" {
        let old = block.at(i + 1).is_mark(b'/') || block.at(i + 1).is(cue::PERSON);
        return old.then_some((end, 85));
    }
    if matches!(glued.as_str(), "f" | "m") {
        let shown = count == 2
            && (block.before(i, 1).is_mark(b'(')
                || block.at(i + 1).is_any_mark(b",;).")
                || block.starts_sentence(i)
                || block.word_is(
                    i.wrapping_sub(1),
                    &["a", "an", "is", "patient", "pt", "with", "for"],
                ));
        return shown.then_some((end, 60));
    }
    if token.kind != Kind::Digits || block.before(i, 1).is_mark(b'.') && token.gap == Gap::None {
        return None;
    }
    let plus = usize::from(block.at(i + 1).is_mark(b'+') && block.at(i + 1).gap == Gap::None);
    let end = end + plus;
    let k = i + 1 + plus;
    let k = if block.at(k).is_mark(b'-') { k + 1 } else { k };
    let unit = block.at(k).is(cue::AGE) && block.at(k).gap <= Gap::Space;
    if unit && is_old(block, k + 1) {
        return Some((end, 92));
    }
    if unit
        && block.word_is(k, &["yo", "y"])
        && (block.word_is(k, &["yo"]) || block.at(k + 1).is_mark(b'/'))
    {
        return Some((end, 90));
    }
    if b.number(0, count) >= 16 && turned(block, i) {
        return Some((end, 70));
    }
    let mut back = i;
    for _ in 0..3 {
        back = back.wrapping_sub(1);
        if block.word_is(back, &["age", "aged", "ages"]) {
            let labelled = block.at(back).gap != Gap::None
                || back == 0
                || block.before(back, 1).is_any_mark(b"(\"");
            return labelled.then_some((end, 88));
        }
        if !(block.at(back).is_any_mark(b":=(\"-")
            || block.word_is(back, &["of", "is", "was", "at"]))
        {
            break;
        }
    }
    None
}

/// `turned 60`, `when she was 64.`
fn turned(block: &Block<'_>, i: usize) -> bool {
    let k = i.wrapping_sub(1);
    if block.word_is(k, &["turn", "turned", "turning", "turns"]) {
        return !block.at(i + 1).is_mark(b'%') && !block.at(i + 1).is(cue::UNIT);
    }
    block.word_is(k, &["was", "is"])
        && block.word_is(k.wrapping_sub(1), &["he", "she", "i", "they"])
        && block.word_is(k.wrapping_sub(2), &["when", "since", "until"])
        && !matches!(block.at(i + 1).kind, Kind::Word)
}

/// `old`, `-old`, `/o`, `of age` after a unit of time.
fn is_old(block: &Block<'_>, i: usize) -> bool {
    let k = if block.at(i).is_any_mark(b"-.") { i + 1 } else { i };
    block.word_is(k, &["old", "o", "olds"])
        || (block.at(k).is_mark(b'/') && block.word_is(k + 1, &["o", "old"]))
        || (block.word_is(k, &["of"]) && block.word_is(k + 1, &["age"]))
}
