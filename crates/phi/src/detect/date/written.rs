//! Dates with a month in letters.

use super::numeric::{is_day, is_month, is_year};
use super::words::{self, below_hundred, below_hundred_before};
use crate::detect::cue;
use crate::detect::shape::Bytes;
use crate::detect::token::{Block, Gap, Kind};

/// A date in words: its tokens, and how sure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// First token.
    pub(crate) first: usize,
    /// Last token.
    pub(crate) last: usize,
    /// How sure, in percent.
    pub(crate) percent: u8,
    /// The token of its year, if that is of digits.
    pub(crate) year: Option<usize>,
}

/// A date around the month at token `i`.
pub(crate) fn written(block: &Block<'_>, i: usize) -> Option<Written> {
    let month = block.at(i);
    // `may` and `march` in lower case are verbs unless a whole date stands around them, and `mars`
    // and `mayo` are words that need a day or a year in any case.
    let is_verb = month.is_lower() && block.word_is(i, &["may", "march", "mar"]);
    let abroad = !month.is(cue::MONTH);
    let (mut first, mut day_before) = days_before(block, i);
    let mut last = i;
    if block.at(i + 1).is_mark(b'.') && block.at(i + 1).gap == Gap::None {
        last = i + 1;
    }
    let date = |first, last, percent, year| Some(Written { first, last, percent, year });
    let after = days_after(block, last + 1).filter(|_| !abroad);
    // `15. March 17, 2008`: the number of a list item, or of anything else before a whole date.
    if after.is_some_and(|(_, year)| year.is_some()) {
        (first, day_before) = (i, false);
    }
    if !day_before && let Some((end, year)) = after {
        let has_year = year.is_some();
        let said = has_year
            || !is_verb
            || is_dated(block, i)
            || block.str(end).ends_with(|c: char| c.is_ascii_alphabetic());
        let year = year.flatten();
        return said
            .then_some(())
            .and_then(|()| date(i, end, if has_year { 97 } else { 85 }, year));
    }
    if let Some((end, year)) = year_after(block, last + 1, day_before) {
        let end = second_year(block, end);
        return date(first, end, if abroad { 90 } else { 97 }, year);
    }
    if let Some(before) = year_before(block, first) {
        return date(before, last, 90, Some(before));
    }
    if day_before {
        let said = !is_verb || is_dated(block, first) || block.word_is(i.wrapping_sub(1), &["of"]);
        return said.then_some(()).and_then(|()| date(first, i, 80, None));
    }
    if abroad {
        return None;
    }
    (is_alone(block, i, is_verb) && month.gap <= Gap::Space)
        .then_some(())
        .and_then(|()| date(i, i, 55, None))
}

const PERIOD: &[&str] = &["last", "this", "next", "early", "late", "mid", "of", "past"];

/// `in March`, `last june`, `mid-April`: a month without day and year.
fn is_alone(block: &Block<'_>, i: usize, is_verb: bool) -> bool {
    let month = block.at(i);
    let dash = block.before(i, 1).is_mark(b'-') && month.gap == Gap::None;
    let k = i.wrapping_sub(if dash { 2 } else { 1 });
    let before = block.at(k);
    if before.kind != Kind::Word {
        return false;
    }
    if month.is_lower() {
        let full = block.str(i).len() > 4;
        return if is_verb {
            block.word_is(k, &["in", "last", "next", "early", "late", "mid", "since"])
                && !block.word_is(i, &["mar"])
                && block.at(i + 1).kind != Kind::Word
        } else {
            full && (before.is(cue::WHEN) || block.word_is(k, PERIOD))
        };
    }
    month.is_capital() && (before.is(cue::WHEN) && !dash || block.word_is(k, PERIOD))
}

/// Whether a word of dates stands before: `on`, `since`, a weekday.
fn is_dated(block: &Block<'_>, first: usize) -> bool {
    let comma = block.before(first, 1).is_any_mark(b",:");
    block.before(first, 1 + usize::from(comma)).is(cue::SINCE)
}

/// Whether what stands before a token is counted by it, so that it is no day and no year.
fn is_counted(block: &Block<'_>, last: usize) -> bool {
    let next = block.at(last + 1);
    let dashed = next.is_mark(b'-') && next.gap == Gap::None && block.at(last + 2).is(cue::AGE);
    let fraction = next.is_any_mark(b"/") && block.at(last + 2).kind == Kind::Digits;
    let decimal = next.is_mark(b'.')
        && next.gap == Gap::None
        && block.at(last + 2).kind == Kind::Digits
        && block.at(last + 2).gap == Gap::None
        && block.str(last + 2).len() != 4
        && block.str(last + 2).len() != 2;
    // `in` is short for inches, but after a date it is a word.
    let unit = next.is(cue::UNIT | cue::AGE) && !block.word_is(last + 1, &["in"]);
    (unit && next.is_lower() && next.gap <= Gap::Space)
        || next.is_mark(b'%')
        || dashed
        || fraction
        || decimal
}

/// A day of digits or words that begins here: its last token.
fn day_at(block: &Block<'_>, i: usize) -> Option<usize> {
    if is_day_token(block, i) {
        // `3 rd` with a space comes from superscripts.
        let raised = block.word_is(i + 1, &["st", "nd", "rd", "th"])
            && block.at(i + 1).is_lower()
            && block.at(i).kind == Kind::Digits
            && block.at(i + 1).gap <= Gap::Space;
        return Some(i + usize::from(raised));
    }
    let (day, last, _) = below_hundred(block, i)?;
    is_day(day).then_some(last)
}

/// A day of digits or words that ends here: its first token.
fn day_ending(block: &Block<'_>, i: usize) -> Option<usize> {
    if is_day_token(block, i) {
        return Some(i);
    }
    let raised = block.word_is(i, &["st", "nd", "rd", "th"]) && block.at(i).is_lower();
    let before = i.wrapping_sub(1);
    if raised && block.at(before).kind == Kind::Digits && is_day_token(block, before) {
        return Some(before);
    }
    let (day, first, _) = below_hundred_before(block, i)?;
    is_day(day).then_some(first)
}

fn is_day_token(block: &Block<'_>, i: usize) -> bool {
    let text = block.str(i);
    let b = Bytes(text.as_bytes());
    let count = b.digits(0, 3);
    let tail = text.get(count..).unwrap_or_default();
    (1..=2).contains(&count)
        && is_day(b.number(0, count))
        && (tail.is_empty()
            || ["st", "nd", "rd", "th", "er", "º", "ª", "o"]
                .iter()
                .any(|t| t.eq_ignore_ascii_case(tail)))
}

/// Words and marks between two days of one month: `12-14 March`, `March 3 and 4`.
fn joins_days(block: &Block<'_>, i: usize) -> bool {
    block.at(i).is_any_mark(b"-&/") || block.word_is(i, &["and", "to", "through", "thru", "or"])
}

/// `14`, `14th`, `14th of`, `14-`, `12-14`, `twenty first of` before a month: the first token.
fn days_before(block: &Block<'_>, i: usize) -> (usize, bool) {
    let Some(mut k) = i.checked_sub(1) else { return (i, false) };
    let mark = block.at(k).is_any_mark(b"-/,");
    let stop = block.at(k).is_mark(b'.') && block.at(k).gap == Gap::None;
    let of = block.word_is(k, &["of", "de"]);
    if mark || stop || of {
        let Some(before) = k.checked_sub(1) else { return (i, false) };
        k = before;
        if of && block.word_is(k, &["day"]) {
            k = k.saturating_sub(1);
        }
    }
    let comma = block.at(k + 1).is_mark(b',');
    let near = one_space(block, i) && !block.at(k).is(cue::UNIT | cue::PERSON);
    let Some(day) = day_ending(block, k).filter(|_| near) else { return (i, false) };
    // A cardinal word or a list's comma before a month counts something else: `one may`, `5, May`.
    let spoken = block.at(k).kind == Kind::Word && !is_day_token(block, day);
    let ordinal = below_hundred_before(block, k).is_some_and(|n| n.2);
    let counted = spoken && !ordinal && !of && year_after(block, i + 1, true).is_none();
    let listed = comma && year_after(block, i + 1, true).is_none();
    if counted || listed || !one_space(block, k + 1) {
        return (i, false);
    }
    let mut first = day;
    if day > 1
        && joins_days(block, day - 1)
        && let Some(from) = day_ending(block, day - 2)
        && !is_part(block, from)
    {
        first = from;
    }
    if is_part(block, first) { (i, false) } else { (first, true) }
}

/// Whether a number is the end of a longer one: `7/10`, `1.5`.
fn is_part(block: &Block<'_>, i: usize) -> bool {
    let before = block.before(i, 1);
    block.at(i).gap == Gap::None && before.is_any_mark(b"/.") && before.gap == Gap::None
}

/// Whether at most one space or one line break stands before a token.
fn one_space(block: &Block<'_>, i: usize) -> bool {
    match block.at(i).gap {
        Gap::None | Gap::Space => true,
        Gap::Wide => false,
        Gap::Line => block.wraps(i),
    }
}

/// The last day after a month, and the year if there is one.
///
/// The year is `Some(None)` when it is spoken.
#[expect(clippy::option_option, reason = "no year, a spoken year, and a year at a token")]
fn days_after(block: &Block<'_>, i: usize) -> Option<(usize, Option<Option<usize>>)> {
    let mut k = i;
    if block.at(k).is_any_mark(b"-/,") || block.word_is(k, &["the"]) {
        k += 1;
    }
    let mut end = day_at(block, k)?;
    // `February two thousand four` has no day.
    if !one_space(block, k) || words::year(block, k).is_some() {
        return None;
    }
    let year = year_after(block, end + 1, false);
    // `May 5 mg` is no date, nor `Mar 120/80`, nor `May, 3 times`.
    if is_counted(block, end) && year.is_none() {
        return None;
    }
    let comma = block.at(i).is_mark(b',');
    if comma && year.is_none() {
        return None;
    }
    // `10-12`, `10 and 11`: more days of the month.
    for _ in 0..3 {
        let joined = joins_days(block, end + 1) && !block.at(end + 1).is_mark(b'/');
        let Some(more) = day_at(block, end + 2).filter(|_| joined) else { break };
        let glued = block.at(end + 2).gap == Gap::None;
        if is_counted(block, more) || glued && !block.at(end + 1).is_any_mark(b"-&") {
            break;
        }
        end = more;
    }
    Some(match year_after(block, end + 1, true) {
        Some((last, year)) => (last, Some(year)),
        None => match year_after(block, end + 1, false) {
            Some((last, year)) => (last, Some(year)),
            None => (end, None),
        },
    })
}

/// A year after a comma, a dash or a space: its last token, and its token if it is of digits.
///
/// `dated` tells that a day stands before, so that two digits need no mark.
fn year_after(block: &Block<'_>, i: usize, dated: bool) -> Option<(usize, Option<usize>)> {
    let mut k = i;
    if block.at(k).is_any_mark(b",-/.") || block.word_is(k, &["of", "in", "de", "del"]) {
        k += 1;
    }
    let mark = k > i && !block.at(i).is_mark(b'.') && block.at(i).kind != Kind::Word;
    let quoted = block.at(k).is_mark(b'\'');
    if quoted {
        k += 1;
    }
    let token = block.at(k);
    if !one_space(block, k) {
        return None;
    }
    // `July thirty first O eight`.
    let zero = block.word_is(k, &["o", "oh", "zero"]);
    if zero && (dated || block.word_is(i, &["of"])) && words::is_unit(block, k + 1) {
        return Some((k + 1, None));
    }
    if token.is(cue::NUMERAL) {
        if let Some((year, last)) = words::year(block, k) {
            return is_year(year).then_some((last, None));
        }
        // `march third sixty two`: two digits in words after a day in words.
        let (year, last, ordinal) = below_hundred(block, k)?;
        let spoken = dated && block.before(i, 1).is(cue::NUMERAL | cue::MONTH);
        return (spoken && year >= 10 && !ordinal && !is_counted(block, last))
            .then_some((last, None));
    }
    if token.kind != Kind::Digits {
        return None;
    }
    let text = block.str(k).as_bytes();
    let b = Bytes(text);
    let full = text.len() == 4 && is_year(b.number(0, 4));
    let glued = token.gap == Gap::None;
    let short = text.len() == 2
        && (quoted || mark && (glued || block.at(i).is_mark(b',')) || dated && k == i && !glued)
        && !(dated && k == i && block.at(k + 1).is_any_mark(b":"));
    // `May 10, 20 mg`: two digits after a comma are a year only when nothing counts them.
    ((full || short) && !is_counted(block, k)).then_some((k, Some(k)))
}

/// `December 2019-2020`, `winter 2019/20`.
fn second_year(block: &Block<'_>, last: usize) -> usize {
    let joined = block.at(last + 1).is_any_mark(b"-/") && block.at(last + 1).gap == Gap::None;
    let text = block.str(last + 2).as_bytes();
    let year = block.at(last + 2).kind == Kind::Digits
        && block.at(last + 2).gap == Gap::None
        && (text.len() == 4 && is_year(Bytes(text).number(0, 4)));
    if joined && year { last + 2 } else { last }
}

/// `2021 March`, `1962-Mar-14` begin with the year.
fn year_before(block: &Block<'_>, i: usize) -> Option<usize> {
    let mut k = i.checked_sub(1)?;
    let mark = block.at(k).is_any_mark(b"-/") && block.at(k).gap == Gap::None;
    if mark {
        k = k.checked_sub(1)?;
    }
    let text = block.str(k).as_bytes();
    let year = block.at(k).kind == Kind::Digits
        && text.len() == 4
        && (1900..=2100).contains(&Bytes(text).number(0, 4));
    (year && mark && block.at(i).gap == Gap::None).then_some(k)
}

/// `1962-Mar-14`, `2021/March/3`: the last token of a date that begins with this year.
pub(super) fn year_first(block: &Block<'_>, i: usize) -> Option<usize> {
    let sep = block.at(i + 1);
    let glued = sep.is_any_mark(b"-/") && sep.gap == Gap::None;
    let k = i + 1 + usize::from(glued);
    let month = block.at(k);
    if !month.is(cue::MONTH) || month.gap > Gap::Space {
        return None;
    }
    let text = block.str(i).as_bytes();
    let year = text.len() == 4 && is_year(Bytes(text).number(0, 4));
    let day = k + 1 + usize::from(block.at(k + 1).is_any_mark(b"-/"));
    (year && day_at(block, day) == Some(day) && !is_counted(block, day)).then_some(day)
}

/// `14.III.1962`, `14-XI-62`, `14 III 1962`: the month in Roman figures; the last token.
pub(super) fn roman(block: &Block<'_>, i: usize) -> Option<usize> {
    const MONTHS: &[&str] =
        &["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];
    let sep = block.at(i + 1);
    let marked = sep.is_any_mark(b"./-") && sep.gap == Gap::None;
    let k = i + 1 + usize::from(marked);
    if !MONTHS.contains(&block.str(k)) || !is_day_token(block, i) {
        return None;
    }
    let last = if marked {
        let again = block.at(k + 1).kind == sep.kind && block.at(k + 1).gap == Gap::None;
        if !again {
            return None;
        }
        k + 2
    } else {
        k + 1
    };
    let text = block.str(last).as_bytes();
    let year = Bytes(text).number(0, 4);
    let full = text.len() == 4 && (1900..=2100).contains(&year);
    let short = marked && text.len() == 2 && sep.is_mark(b'.');
    let gap = if marked { Gap::None } else { Gap::Space };
    let digits = block.at(last).kind == Kind::Digits && block.at(last).gap == gap;
    (digits && (full || short)).then_some(last)
}

/// `oh three fourteen sixty two`, `three fourteen nineteen sixty two`, and after a word of birth `four,
/// twenty-three, thirty-six`: a date spoken as numbers.
pub(super) fn spoken(block: &Block<'_>, i: usize) -> Option<usize> {
    let (month, last, zero) = spoken_part(block, i)?;
    let (day_at, first_comma) = past_comma(block, last + 1);
    let (day, last, again) = spoken_part(block, day_at)?;
    if !is_month(month) || !is_day(day) {
        return None;
    }
    let (year_at, second_comma) = past_comma(block, last + 1);
    let listed = first_comma || second_comma;
    let zero = zero || again && listed;
    // Numbers with commas between are a list, unless a zero or the question says that they are a date.
    let born = || is_near_birth(block, i);
    if listed && !zero && !born() {
        return None;
    }
    if let Some((year, end)) = words::year(block, year_at) {
        return is_year(year).then_some(end);
    }
    // Two digits of a year are too little without the zero of a written date.
    let (year, end, ordinal) = below_hundred(block, year_at)?;
    let said = zero || born();
    (said && !ordinal && year >= 10 && !block.at(end + 1).is(cue::NUMERAL | cue::UNIT))
        .then_some(end)
}

/// The token after a comma, and whether there was one.
fn past_comma(block: &Block<'_>, i: usize) -> (usize, bool) {
    let comma = block.at(i).is_mark(b',') && block.at(i).gap == Gap::None;
    (i + usize::from(comma), comma)
}

/// Whether a word of birth stands before, also in the question that this answers.
fn is_near_birth(block: &Block<'_>, i: usize) -> bool {
    const BACK: usize = 16;
    (1..=BACK).any(|back| {
        block.word_is(i.wrapping_sub(back), &["dob", "born", "birth", "birthdate", "birthday"])
    })
}

/// A part of a spoken date, with or without a zero before it.
fn spoken_part(block: &Block<'_>, i: usize) -> Option<(u32, usize, bool)> {
    let zero = words::numeral(block, i).is_some_and(|n| n.value == 0);
    let k = i + usize::from(zero);
    let slash = usize::from(block.word_is(k, &["slash", "dash"]) || block.at(k).is_mark(b'/'));
    let (value, last, ordinal) = below_hundred(block, k + slash)?;
    (!ordinal && value > 0 && (!zero || value < 10)).then_some((value, last, zero))
}

/// `2nd of the 11th '58`, `third of the second fifty eight`: a day and a month as ordinals; the last token.
pub(super) fn ordinals(block: &Block<'_>, i: usize) -> Option<usize> {
    let (day, last) = ordinal(block, i)?;
    let the = last + 1 + usize::from(block.word_is(last + 1, &["of"]));
    let of_the = block.word_is(last + 1, &["of"]) && block.word_is(the, &["the"]);
    let (month, end) = ordinal(block, the + 1).filter(|_| of_the)?;
    if !is_day(day) || !is_month(month) {
        return None;
    }
    let comma = usize::from(block.at(end + 1).is_mark(b','));
    Some(year_after(block, end + 1 + comma, true).map_or(end, |(year, _)| year))
}

/// `2nd`, `second`, `twenty-first`: its number and its last token.
pub(super) fn ordinal(block: &Block<'_>, i: usize) -> Option<(u32, usize)> {
    if let Some((value, last, _)) = below_hundred(block, i).filter(|n| n.2) {
        return Some((value, last));
    }
    let text = block.str(i);
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let ends = text.get(digits.len()..).unwrap_or_default();
    let said = block.at(i).kind == Kind::Mixed && ["st", "nd", "rd", "th"].contains(&ends);
    said.then(|| digits.parse().ok()).flatten().map(|value| (value, i))
}
