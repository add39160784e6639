//! Dates with a month in letters.

use super::numeric::{is_day, is_year};
use crate::detect::cue;
use crate::detect::shape::Bytes;
use crate::detect::token::{Block, Gap, Kind};

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
