//! What only looks like a date: fractions, scores, doses, pressures, levels of the spine.

use super::numeric::{Numeric, numeric};
use crate::detect::cue;
use crate::detect::shape::Bytes;
use crate::detect::token::{Block, Gap, Kind};
use crate::{Class, Finding};

/// Words before numbers with points that are no days: `version 10.11.12`.
pub(super) fn is_version(block: &Block<'_>, i: usize) -> bool {
    let b = Bytes(block.text.as_bytes());
    let dotted = matches!(b.at(block.at(i).end), b'.');
    dotted
        && block.word_is(
            i.wrapping_sub(1),
            &["version", "v", "ver", "section", "release", "build", "oid", "chapter", "paragraph"],
        )
}

/// Whether what follows says that digits like `3/14` measure something.
pub(super) fn is_measure(block: &Block<'_>, i: usize, end: usize) -> bool {
    let after = block.token_at(end);
    let next = block.at(after);
    let near = next.gap <= Gap::Space;
    let range = next.is_mark(b'-') && next.gap == Gap::None;
    let word = near && next.is(cue::RATIO | cue::UNIT);
    // `4/5 right upper extremity`, `2/6 systolic`.
    let far = near
        && next.kind == Kind::Word
        && block.at(after + 1).is(cue::RATIO)
        && block.at(after + 1).gap <= Gap::Space
        && !block.before(i, 1).is(cue::SINCE);
    word || far || range || near && next.is_mark(b'%')
}

/// How sure the neighbours make it that two numbers are a day; `None` when they do not.
pub(super) fn in_context(
    block: &Block<'_>,
    i: usize,
    found: Numeric,
    out: &[Finding],
) -> Option<u8> {
    let b = Bytes(block.text.as_bytes());
    if is_measure(block, i, found.end) || is_pressure(block, i) {
        return None;
    }
    let start = block.at(i).start;
    let before = block.before(i, 1);
    let first = b.digits(start, 4);
    let slash = b.at(start + first) == b'/';
    let count = b.digits(start + first + 1, 4);
    let parts = (b.number(start, first), b.number(start + first + 1, count));
    let padded = first == 2 && count == 2 && (b.at(start) == b'0' || b.at(start + 3) == b'0');
    let word = before.kind == Kind::Word && block.at(i).gap <= Gap::Space;
    let strong = word
        && (before.is(cue::WEEKDAY)
            || block.word_is(i.wrapping_sub(1), STRONG)
            || block.word_is(i.wrapping_sub(1), &["in"]) && found.year.is_some());
    let weak = word && before.is(cue::SINCE);
    let is_fraction = is_fraction(parts) && !padded;
    let paired = paired(block, i, found.end, out);
    if found.year.is_some() && (strong || weak || paired) {
        return Some(75);
    }
    if found.year.is_some() && !slash {
        return None;
    }
    if strong || (weak && !is_fraction) || paired {
        return (slash || padded).then_some(75);
    }
    // `3/14: febrile` at the beginning of a line.
    let next = block.at(block.token_at(found.end));
    if block.at(i).gap >= Gap::Line && next.is_mark(b':') && slash && !is_fraction {
        return Some(66);
    }
    (slash && padded && found.year.is_none() && !score(parts) && alone(block, i)).then_some(56)
}

/// Whether a breathing machine or a tonometer stands before: `BiPAP from 14/6`.
fn is_pressure(block: &Block<'_>, i: usize) -> bool {
    const MACHINES: &[&str] = &["bipap", "cpap", "niv", "ipap", "epap", "iop", "iops", "bp", "pip"];
    (1..=4).any(|back| block.word_is(i.wrapping_sub(back), MACHINES))
}

/// Words after which `3/14` can only be a day.
const STRONG: &[&str] = &[
    "on",
    "dated",
    "since",
    "until",
    "till",
    "starting",
    "beginning",
    "effective",
    "seen",
    "lmp",
    "edd",
    "appt",
    "booked",
    "nxt",
    "admitted",
    "discharged",
    "visited",
    "died",
    "mon",
    "tue",
    "tues",
    "wed",
    "thu",
    "thur",
    "thurs",
    "fri",
    "sat",
    "sun",
];

/// Fractions, and scores out of the usual sums.
fn is_fraction((n, m): (u32, u32)) -> bool {
    n <= m && matches!(m, 2..=6 | 8 | 10) || score((n, m))
}

/// Sums that scores are out of: pain, strength, Glasgow, gait, cognition.
fn score((n, m): (u32, u32)) -> bool {
    n <= m && matches!(m, 5 | 10 | 12 | 15 | 16 | 20 | 24 | 28 | 30)
}

/// Whether nothing measured stands before: `(04/05)` after `strength` is a grade.
fn alone(block: &Block<'_>, i: usize) -> bool {
    !(1..=4).any(|back| block.before(i, back).is(cue::RATIO))
        && !block.before(i, 1).is_any_mark(b".:")
}

/// Whether a date stands on the other side of a range: `3/1 to 3/5/21`, `03/14/21-3/16`.
fn paired(block: &Block<'_>, i: usize, end: usize, out: &[Finding]) -> bool {
    let b = Bytes(block.text.as_bytes());
    let joins = |k: usize| {
        block.at(k).is_any_mark(b"-&,")
            || block.word_is(k, &["to", "through", "thru", "and", "until"])
    };
    let after = block.token_at(end);
    let next = block.at(after + 1);
    let forward = joins(after)
        && next.kind == Kind::Digits
        && numeric(b, next.start).is_some_and(|d| d.certain);
    let joined = joins(i.wrapping_sub(1));
    let from = block.before(i, 2).end;
    let backward = joined && out.last().is_some_and(|f| f.class == Class::Date && f.end == from);
    forward || backward
}

/// Whether a sentence is about what happens every year, and not about somebody: `flu season usually peaks
/// between December and February`.
pub(super) fn is_general(block: &Block<'_>, i: usize) -> bool {
    /// Sentences are longer, but what they are about stands near.
    const REACH: usize = 24;
    const GENERAL: &[&str] = &[
        "season",
        "seasons",
        "seasonal",
        "peak",
        "peaks",
        "annual",
        "annually",
        "yearly",
        "awareness",
        "campaign",
        "busiest",
        "closed",
        "holidays",
        "people",
        "states",
        "pollen",
        "ragweed",
        "mosquito",
        "interns",
        "deductibles",
    ];
    const SOMEBODY: &[&str] = &[
        "he",
        "she",
        "they",
        "i",
        "we",
        "me",
        "my",
        "his",
        "her",
        "him",
        "their",
        "them",
        "our",
        "us",
        "hers",
        "pt",
        "mr",
        "mrs",
        "ms",
        "dr",
        "last",
        "this",
        "since",
        "seen",
        "admitted",
        "diagnosed",
        "born",
        "died",
        "started",
        "began",
        "scheduled",
        "appointment",
        "visit",
        "surgery",
    ];
    let ends = |k: usize| block.starts_sentence(k);
    let first =
        (i.saturating_sub(REACH)..=i).rev().find(|k| ends(*k)).unwrap_or(i.saturating_sub(REACH));
    let last = (i + 1..i + REACH).find(|k| ends(*k)).unwrap_or(i + REACH);
    let any = |words: &[&str]| (first..last).any(|k| block.word_is(k, words));
    let person =
        (first..last).any(|k| block.at(k).is(cue::PERSON) && !block.word_is(k, &["people"]));
    any(GENERAL) && !person && !any(SOMEBODY)
}
