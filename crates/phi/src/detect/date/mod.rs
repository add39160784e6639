//! Dates and ages in their written forms.

mod age;
mod numeric;
mod written;

use super::cue;
use super::label::{Field, Labels, Need};
use super::number::{Context, context, finding};
use super::shape::Bytes;
use super::token::{Block, Gap, Kind};
use crate::{Class, Finding};

pub(crate) use age::age;
pub(crate) use numeric::{compact, numeric};
pub(crate) use written::written;

/// `14 March 1962` begins with the day.
pub(crate) fn starts_written(block: &Block<'_>, i: usize, out: &mut Vec<Finding>) -> bool {
    for k in [i + 1, i + 2] {
        if block.at(k).is(cue::MONTH)
            && let Some((first, last, percent)) = written(block, k)
            && first == i
        {
            let span = (block.at(first).start, block.at(last).end);
            out.push(finding(span, Class::Date, percent, "date.written", "day and month by name"));
            return true;
        }
    }
    false
}

/// Finds a date of digits that begins here.
pub(crate) fn dates(block: &Block<'_>, labels: &Labels, i: usize, out: &mut Vec<Finding>) -> bool {
    let b = Bytes(block.text.as_bytes());
    let start = block.at(i).start;
    let ranged = out.last().is_some_and(|f| f.class == Class::Date && f.end + 1 == start);
    let joined = start > 1
        && matches!(b.at(start - 1), b'/' | b'-' | b'.')
        && b.at(start - 2).is_ascii_alphanumeric();
    if joined && !ranged {
        return false;
    }
    if let Some(numeric) = numeric(b, start) {
        let after = block.token_at(numeric.end);
        let ratio = block.at(after).is(cue::RATIO | cue::UNIT)
            || block.at(after).is_mark(b'%')
            || (block.at(after).is_mark(b'-') && block.at(after).gap == Gap::None);
        let when = block.before(i, 1).is(cue::SINCE);
        let field = context(block, labels, i);
        let dated = field.is_some_and(|c| c.label.field == Field::Date);
        let other =
            field.filter(|c| c.marked || c.label.need == Need::Nothing).and_then(Context::class);
        if numeric.certain {
            let span = (start, numeric.end);
            out.push(finding(span, Class::Date, 96, "date.numeric", "form of a date"));
            return true;
        }
        if dated || (when && !ratio && other.is_none() && block.before(i, 1).kind == Kind::Word) {
            let span = (start, numeric.end);
            out.push(finding(span, Class::Date, 75, "date.numeric", "form of a date and context"));
            return true;
        }
        return false;
    }
    if block.at(i).kind != Kind::Digits && b.digits(start, 9) != 8 {
        return false;
    }
    let labelled = context(block, labels, i).is_some_and(|c| c.label.field == Field::Date);
    if labelled && let Some(end) = compact(b, start) {
        out.push(finding((start, end), Class::Date, 90, "date.compact", "label of a date"));
        return true;
    }
    let stamp = b.digits(start, 9) == 8 && b.at(start + 8) == b'T' && b.digits(start + 9, 5) >= 4;
    if stamp && compact(b, start).is_some() {
        let end = block.at(i).end;
        out.push(finding((start, end), Class::Date, 85, "date.compact", "form of a timestamp"));
        return true;
    }
    false
}
