//! Dates and ages in their written forms.
//!
//! Years alone identify no one (45 CFR 164.514(b)(2)(i)(C)) and are left, as are times that are
//! counted from now: `three weeks ago`.

mod age;
mod guard;
mod named;
mod numeric;
#[cfg(test)]
mod tests;
mod words;
mod written;

use super::cue;
use super::label::{Field, Labels, Need};
use super::number::{context, finding};
use super::shape::Bytes;
use super::token::{Block, Gap, Kind};
use crate::{Class, Finding};

pub(crate) use age::{age, age_finding, age_in_words, decade};
pub(crate) use numeric::{compact, numeric};
pub(crate) use words::{CUES, Size, numeral, year};
use written::Written;

/// Who was born in this year or before it is over 89 for every reader of this program, so the date
/// is one that 45 CFR 164.514(b)(2)(i)(C) wants gone with its year. The program has no clock; a later
/// reader only finds more people that old.
const LAST_OLD_BIRTH_YEAR: u32 = 1935;
/// Two digits above this are years of the last century.
const LAST_SHORT_YEAR: u32 = 26;

/// A finding of a date; the name of the recogniser says when it implies an age over 89.
fn date_finding(
    block: &Block<'_>,
    labels: &Labels,
    (first, span): (usize, (usize, usize)),
    percent: u8,
    (recogniser, why): (&'static str, &'static str),
    year: Option<u32>,
) -> Finding {
    let year = year.map(|y| match y {
        0..=LAST_SHORT_YEAR => 2000 + y,
        27..=99 => 1900 + y,
        _ => y,
    });
    let old = year.is_some_and(|y| y <= LAST_OLD_BIRTH_YEAR) && is_birth(block, labels, first);
    let start = weekday_before(block, first).unwrap_or(span.0);
    let (recogniser, why) = if old {
        ("date.over89", "birth date that implies an age over 89")
    } else {
        (recogniser, why)
    };
    finding((start, span.1), Class::Date, percent, recogniser, why)
}

/// Whether a word of birth stands a few words before a date.
fn is_birth(block: &Block<'_>, _labels: &Labels, first: usize) -> bool {
    (1..=6).any(|back| {
        block.word_is(
            first.wrapping_sub(back),
            &["dob", "born", "birth", "birthdate", "birthday", "bdate", "birthdt"],
        )
    })
}

const SHORT_WEEKDAYS: &[&str] =
    &["mon", "tue", "tues", "wed", "weds", "thu", "thur", "thurs", "fri", "sat", "sun"];

/// The first byte of a weekday that belongs to the date after it: `Friday, 11/02/07`.
fn weekday_before(block: &Block<'_>, first: usize) -> Option<usize> {
    let mut k = first.checked_sub(1)?;
    for _ in 0..2 {
        if block.at(k).is_any_mark(b",.") || block.word_is(k, &["the"]) {
            k = k.checked_sub(1)?;
        }
    }
    let near = block.at(first).gap <= Gap::Space && block.at(k + 1).gap <= Gap::Space;
    let weekday = block.at(k).is(cue::WEEKDAY)
        || block.word_is(k, SHORT_WEEKDAYS)
            && (!block.at(k).is_lower() || block.word_is(k, &["thurs"]));
    (weekday && near).then(|| block.at(k).start)
}

fn push_written(
    block: &Block<'_>,
    labels: &Labels,
    found: Written,
    why: (&'static str, &'static str),
    out: &mut Vec<Finding>,
) {
    let span = (block.at(found.first).start, block.at(found.last).end);
    let year = found.year.and_then(|k| block.str(k).parse().ok());
    out.push(date_finding(block, labels, (found.first, span), found.percent, why, year));
}

/// Finds a date whose month, season, quarter or holiday is this word.
pub(crate) fn at_word(
    block: &Block<'_>,
    labels: &Labels,
    i: usize,
    out: &mut Vec<Finding>,
) -> bool {
    let token = block.at(i);
    let found = if token.is(cue::MONTH | cue::MONTH_ABROAD) {
        written::written(block, i).map(|w| (w, ("date.written", "month by name")))
    } else if token.is(cue::SEASON) {
        named::season(block, i).map(|w| (w, ("date.season", "season and year")))
    } else {
        None
    };
    let found = found
        .or_else(|| {
            token
                .is(cue::HOLIDAY)
                .then(|| named::holiday(block, i))
                .flatten()
                .map(|w| (w, ("date.holiday", "name of a holiday")))
        })
        .or_else(|| {
            token
                .is(cue::QUARTER)
                .then(|| named::quarter(block, i))
                .flatten()
                .map(|w| (w, ("date.quarter", "quarter of a year")))
        });
    if let Some((found, why)) = found {
        // A month or a holiday alone says nothing of anybody in a general statement.
        if found.year.is_none() && lone(block, &found) && guard::is_general(block, found.first) {
            return true;
        }
        push_written(block, labels, found, why, out);
        return true;
    }
    if token.is(cue::NUMERAL) {
        if let Some(last) = written::spoken(block, i) {
            let span = (token.start, block.at(last).end);
            out.push(finding(span, Class::Date, 82, "date.spoken", "numbers of a date in words"));
            return true;
        }
        return starts_written(block, labels, i, out);
    }
    false
}

/// Whether a date has neither a day nor a year: `June`, `Christmas Day`.
fn lone(block: &Block<'_>, found: &Written) -> bool {
    (found.first..=found.last).all(|k| {
        !matches!(block.at(k).kind, Kind::Digits | Kind::Mixed) && !block.at(k).is(cue::NUMERAL)
    })
}

/// `14 March 1962`, `12-14 March`, `twenty first of June`, `14.III.1962` begin with the day.
pub(crate) fn starts_written(
    block: &Block<'_>,
    labels: &Labels,
    i: usize,
    out: &mut Vec<Finding>,
) -> bool {
    /// `twenty first to twenty third of` stands before the month at most.
    const MAX_BEFORE: usize = 8;
    const WHY: (&str, &str) = ("date.written", "day and month by name");
    for k in i + 1..=i + MAX_BEFORE {
        let token = block.at(k);
        if token.is(cue::MONTH | cue::MONTH_ABROAD) {
            let Some(found) = written::written(block, k).filter(|w| w.first == i) else { break };
            push_written(block, labels, found, WHY, out);
            return true;
        }
        let passes = token.is(cue::NUMERAL)
            || token.kind == Kind::Digits
            || token.kind == Kind::Mixed && block.str(k).len() <= 4
            || token.is_any_mark(b"-/,.&")
            || block.word_is(
                k,
                &["of", "de", "and", "to", "through", "day", "or", "thru", "th", "st", "nd", "rd"],
            );
        if !passes {
            break;
        }
    }
    let whole = written::year_first(block, i)
        .map(|last| (last, block.str(i).parse().ok()))
        .or_else(|| written::roman(block, i).map(|last| (last, block.str(last).parse().ok())))
        .or_else(|| written::ordinals(block, i).map(|last| (last, block.str(last).parse().ok())));
    if let Some((last, year)) = whole {
        let span = (block.at(i).start, block.at(last).end);
        out.push(date_finding(block, labels, (i, span), 90, WHY, year));
        return true;
    }
    false
}

/// `Monday the 3rd`: the weekday.
pub(crate) fn weekday(block: &Block<'_>, i: usize, out: &mut Vec<Finding>) -> bool {
    let k = i + 1 + usize::from(block.at(i + 1).is_any_mark(b",."));
    if !block.word_is(k, &["the"]) {
        return false;
    }
    let named = block.at(i).is(cue::WEEKDAY) || block.word_is(i, SHORT_WEEKDAYS);
    let day = written::ordinal(block, k + 1).filter(|d| named && (1..=31).contains(&d.0));
    let Some((_, last)) = day else { return false };
    if block.word_is(last + 1, &["of"]) || block.at(last + 1).is(cue::MONTH) {
        return false;
    }
    let span = (block.at(i).start, block.at(last).end);
    out.push(finding(span, Class::Date, 78, "date.weekday", "weekday and day of the month"));
    true
}

/// Finds a date of digits that begins here.
pub(crate) fn dates(block: &Block<'_>, labels: &Labels, i: usize, out: &mut Vec<Finding>) -> bool {
    let b = Bytes(block.text.as_bytes());
    let token = block.at(i);
    let start = token.start;
    let ranged = out.last().is_some_and(|f| f.class == Class::Date && f.end + 1 == start);
    let joined = start > 1
        && token.gap == Gap::None
        && matches!(b.at(start - 1), b'/' | b'-' | b'.')
        && b.at(start - 2).is_ascii_alphanumeric();
    if joined && !ranged {
        return false;
    }
    if let Some(found) = numeric(b, start) {
        return of_digits(block, labels, i, found, out);
    }
    if token.kind == Kind::Mixed {
        return glued(block, labels, i, out);
    }
    if let Some(found) = named::quarter_code(block, i) {
        push_written(block, labels, found, ("date.quarter", "quarter of a year"), out);
        return true;
    }
    let digits = b.digits(start, 9);
    let label = matches!(digits, 1..=2 | 6 | 8).then(|| context(block, labels, i)).flatten();
    let labelled = label.is_some_and(|c| c.label.field == Field::Date);
    let year = |at: usize| Some(b.number(at, 4));
    if labelled && let Some(end) = compact(b, start).filter(|_| b.at(start + digits) != b'-') {
        let year =
            if digits == 8 && b.number(start, 4) >= 1850 { year(start) } else { year(start + 4) };
        let why = ("date.compact", "label of a date");
        out.push(date_finding(block, labels, (i, (start, end)), 90, why, year));
        return true;
    }
    if labelled && let Some(end) = numeric::spaced(b, start) {
        let why = ("date.spaced", "label of a date");
        let year = b.exactly(end - 4, 4).then(|| b.number(end - 4, 4));
        out.push(date_finding(block, labels, (i, (start, end)), 85, why, year));
        return true;
    }
    let calendar = numeric::is_calendar(b, start) && b.ends(start + 8);
    let other = label.is_some_and(|c| c.class().is_some() || c.is_neutral());
    if calendar && !other {
        let percent = if block.before(i, 1).is(cue::SINCE) { 85 } else { 62 };
        let span = (start, start + 8);
        out.push(finding(span, Class::Date, percent, "date.compact", "eight digits of a day"));
        return true;
    }
    false
}

/// `14MAR2021` and the stamps `20210314T0830`.
fn glued(block: &Block<'_>, labels: &Labels, i: usize, out: &mut Vec<Finding>) -> bool {
    let b = Bytes(block.text.as_bytes());
    let token = block.at(i);
    if let Some(found) = numeric::glued(b, token.start, token.end)
        && (found.certain || block.before(i, 1).is(cue::SINCE))
        && b.ends(found.end)
    {
        let why = ("date.written", "day and month in one run");
        let span = (token.start, found.end);
        out.push(date_finding(block, labels, (i, span), 88, why, found.year));
        return true;
    }
    if let Some(found) = named::quarter_code(block, i) {
        push_written(block, labels, found, ("date.quarter", "quarter of a year"), out);
        return true;
    }
    let start = token.start;
    let stamp = b.digits(start, 9) == 8
        && matches!(b.at(start + 8), b'T' | b't')
        && b.digits(start + 9, 5) >= 4;
    if stamp && compact(b, start).is_some() {
        let span = (start, token.end);
        out.push(finding(span, Class::Date, 85, "date.compact", "form of a timestamp"));
        return true;
    }
    false
}

/// A date of digits with marks: certain by its form, or by what stands around it.
fn of_digits(
    block: &Block<'_>,
    labels: &Labels,
    i: usize,
    found: numeric::Numeric,
    out: &mut Vec<Finding>,
) -> bool {
    let start = block.at(i).start;
    let span = (start, found.end);
    if found.certain && !guard::is_version(block, i) {
        let why = ("date.numeric", "form of a date");
        out.push(date_finding(block, labels, (i, span), 96, why, found.year));
        return true;
    }
    let field = context(block, labels, i);
    let dated = field.is_some_and(|c| c.label.field == Field::Date);
    let other = field
        .filter(|c| c.marked || c.label.need == Need::Nothing)
        .filter(|c| c.class().is_some() || c.is_neutral())
        .is_some_and(|c| c.class() != Some(Class::Phone));
    let percent = if dated && !guard::is_measure(block, i, found.end) {
        Some(80)
    } else if other {
        None
    } else {
        guard::in_context(block, i, found, out)
    };
    let Some(percent) = percent else { return false };
    let why = ("date.numeric", "form of a date and context");
    out.push(date_finding(block, labels, (i, span), percent, why, found.year));
    true
}
