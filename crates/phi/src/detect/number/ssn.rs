//! Social security numbers and the numbers that are built like them.

use super::context::{Context, context};
use super::finding;
use crate::detect::checksum;
use crate::detect::label::Labels;
use crate::detect::shape::Bytes;
use crate::detect::token::{Block, Kind};
use crate::{Class, Finding};

/// Groups of three, two and four digits with one kind of mark between: the end and the mark.
pub(super) fn form(b: Bytes<'_>, i: usize) -> Option<(usize, u8)> {
    if !b.exactly(i, 3) {
        return None;
    }
    let (second, mark) = between(b, i + 3)?;
    if !b.exactly(second, 2) {
        return None;
    }
    let (third, again) = between(b, second + 2)?;
    (b.exactly(third, 4) && again == mark).then_some((third + 4, mark))
}

/// The place after a mark with or without spaces around it, or after one space or line break.
fn between(b: Bytes<'_>, at: usize) -> Option<(usize, u8)> {
    let (mut k, mut mark) = (at, b' ');
    while k < at + 3 {
        match b.at(k) {
            b' ' | b'\n' => {}
            c @ (b'-' | b'.' | b'/') if mark == b' ' => mark = c,
            _ => break,
        }
        k += 1;
    }
    (k > at && (mark != b' ' || k == at + 1)).then_some((k, mark))
}

/// Finds a number of the form `123-45-6789` that begins here.
pub(super) fn ssn(block: &Block<'_>, labels: &Labels, i: usize, out: &mut Vec<Finding>) -> bool {
    let b = Bytes(block.text.as_bytes());
    let start = block.at(i).start;
    let Some((end, mark)) = form(b, start) else { return false };
    let text = block.text.as_bytes().get(start..end).unwrap_or_default();
    // The suffix of a claim number of Medicare before 2018: `123-45-6789A`, `123-45-6789C1`.
    let suffix = if b.at(end).is_ascii_uppercase() {
        1 + usize::from(b.at(end + 1).is_ascii_alphanumeric())
    } else {
        0
    };
    if suffix > 0 && mark == b'-' && b.ends(end + suffix) {
        let span = (start, end + suffix);
        let why = "form of a Medicare claim number";
        out.push(finding(span, Class::HealthPlanId, 88, "hicn", why));
        return true;
    }
    if !b.ends(end) {
        return false;
    }
    let dashed = mark == b'-' && end - start == 11;
    let span = (start, end);
    let found = context(block, labels, i);
    out.push(match found.and_then(Context::class) {
        Some(Class::Ssn) => finding(span, Class::Ssn, 99, "ssn", "form and label"),
        Some(class) if dashed || found.is_some_and(|c| c.marked) => {
            finding(span, class, 92, "id.label", "label before it")
        }
        _ if found.is_some_and(Context::is_neutral) && !dashed => return false,
        _ if checksum::is_ssn(text) => {
            let percent = match mark {
                _ if dashed => 95,
                b'-' | b'.' => 75,
                b' ' if !spaced_like_measures(block, i) => 70,
                _ => return false,
            };
            finding(span, Class::Ssn, percent, "ssn", "form and assigned ranges")
        }
        _ if checksum::is_itin(text) && dashed => {
            finding(span, Class::Ssn, 88, "ssn.itin", "form of a taxpayer number")
        }
        _ if dashed => finding(span, Class::OtherId, 80, "ssn", "form, outside assigned ranges"),
        _ => return false,
    });
    true
}

/// Whether numbers in a row stand around, as in a table of measures.
fn spaced_like_measures(block: &Block<'_>, i: usize) -> bool {
    block.before(i, 1).kind == Kind::Digits || block.at(i + 3).kind == Kind::Digits
}

/// `XXX-XX-1234`, `***-**-1234`, from its last four digits.
pub(super) fn masked(block: &Block<'_>, i: usize, out: &mut Vec<Finding>) -> bool {
    let token = block.at(i);
    if token.end - token.start != 4 {
        return false;
    }
    let b = Bytes(block.text.as_bytes());
    // Reads backwards: a mark, two hidden characters, the mark again, three hidden characters.
    let mut at = token.start;
    let hidden = |count: usize, at: &mut usize| {
        for _ in 0..count {
            let Some(before) = at.checked_sub(1) else { return false };
            *at = before;
            while !block.text.is_char_boundary(*at) && *at > 0 {
                *at -= 1;
            }
            let c = block.text.get(*at..).and_then(|t| t.chars().next()).unwrap_or(' ');
            if !matches!(c, 'x' | 'X' | '*' | '#' | '\u{2022}' | '\u{25cf}' | '_') {
                return false;
            }
        }
        true
    };
    let mark = b.at(at.wrapping_sub(1));
    if !matches!(mark, b'-' | b' ' | b'.') || at == 0 {
        return false;
    }
    at -= 1;
    let form = hidden(2, &mut at) && at > 0 && b.at(at - 1) == mark && {
        at -= 1;
        hidden(3, &mut at)
    };
    if !form || at > 0 && b.at(at - 1).is_ascii_alphanumeric() {
        return false;
    }
    out.push(finding(
        (at, token.end),
        Class::Ssn,
        90,
        "ssn.masked",
        "last four of a hidden number",
    ));
    true
}

/// `last four of her social are 1234`, `card ending in 1234`: four digits of a longer number.
pub(super) fn last_four(block: &Block<'_>, i: usize, out: &mut Vec<Finding>) -> bool {
    const BACK: usize = 9;
    let token = block.at(i);
    if token.end - token.start != 4 || token.kind != Kind::Digits {
        return false;
    }
    let any = |words: &[&str]| (1..=BACK).any(|back| block.word_is(i.wrapping_sub(back), words));
    let four = (2..=BACK).any(|back| {
        block.word_is(i.wrapping_sub(back), &["last"])
            && block.word_is(i.wrapping_sub(back).wrapping_add(1), &["4", "four"])
    });
    let ending = block.word_is(i.wrapping_sub(1), &["ending"])
        || block.word_is(i.wrapping_sub(1), &["in", "with"])
            && block.word_is(i.wrapping_sub(2), &["ending", "ends"]);
    if !four && !ending {
        return false;
    }
    let class = if any(&["ssn", "social", "ss", "itin"]) {
        Class::Ssn
    } else if any(&[
        "card",
        "visa",
        "mastercard",
        "amex",
        "account",
        "acct",
        "checking",
        "debit",
        "credit",
    ]) {
        Class::Account
    } else if any(&["mrn", "chart"]) {
        Class::Mrn
    } else if any(&["phone", "cell", "mobile", "number"]) && ending {
        Class::Phone
    } else if four && block.before(i, 1).is_any_mark(b":#") {
        Class::Ssn
    } else {
        return false;
    };
    let span = (token.start, token.end);
    out.push(finding(span, class, 82, "id.last", "last digits of a number"));
    true
}

/// `5 5 5 - 1 2 - 3 4 5 6` after a label.
pub(super) fn spaced_ssn(
    block: &Block<'_>,
    labels: &Labels,
    i: usize,
    out: &mut Vec<Finding>,
) -> bool {
    const MAX: usize = 24;
    let b = Bytes(block.text.as_bytes());
    let start = block.at(i).start;
    let (mut at, mut end, mut count) = (start, start, 0);
    while at - start < MAX && count < 10 {
        match b.at(at) {
            c if c.is_ascii_digit() => {
                count += 1;
                end = at + 1;
            }
            b' ' | b'-' => {}
            _ => break,
        }
        at += 1;
    }
    let labelled = || context(block, labels, i).and_then(Context::class) == Some(Class::Ssn);
    let found = count == 9 && b.ends(end) && labelled();
    if found {
        out.push(finding((start, end), Class::Ssn, 88, "ssn", "nine digits and label"));
    }
    found
}
