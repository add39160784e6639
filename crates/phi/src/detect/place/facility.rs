//! Hospitals, clinics, schools and the like.

use super::push;
use super::street::state_zip;
use crate::Finding;
use crate::detect::cue;
use crate::detect::entry::Entry;
use crate::detect::lexicon::Lexicon;
use crate::detect::token::{Block, Case, Gap, Kind};

/// The longest name of a facility, in tokens before and after the word for it.
const MAX_FACILITY: usize = 9;

/// A facility by the word at its end, from its first particular word on.
pub(super) fn facility(
    block: &Block<'_>,
    lexicon: &Lexicon,
    head: usize,
    out: &mut Vec<Finding>,
) -> Option<usize> {
    let head_token = block.at(head);
    // `hospital` in lower case ends a name only directly after a capital: `Mercy hospital`.
    let before = block.before(head, 1);
    let named_before =
        before.is_capital() || before.is(cue::FACILITY_INNER) || before.kind == Kind::Possessive;
    if head_token.is_lower() && !named_before {
        return None;
    }
    let (first, left) = facility_start(block, lexicon, head);
    let (end, right) = facility_end(block, lexicon, head);
    let children = block.word_is(first, &["children", "women"])
        && first + 2 == head
        && block.at(head).is_capital();
    if !left && !right && !children && !is_general(block, first, head) {
        return None;
    }
    // `good health` and `Good health` are no facilities, `Sutter Health` is.
    let weak = block.word_is(head, &["health"])
        || (first + 1 < head
            && block
                .word_is(head, &["college", "church", "academy", "school", "center", "institute"]));
    if weak && end == head + 1 && head_token.is_lower() {
        return None;
    }
    let tail = state_zip(block, end)
        .filter(|_| block.at(end).is_mark(b','))
        .or_else(|| town_after_comma(block, lexicon, end));
    let end = tail.unwrap_or(end);
    push(block, first, end, 88, "place.facility", "word for a facility at its end", out);
    Some(end)
}

/// The first token of a facility's name, and whether a word of it is particular.
pub(super) fn facility_start(block: &Block<'_>, lexicon: &Lexicon, head: usize) -> (usize, bool) {
    let mut first = head;
    let mut particular = false;
    let mut k = head;
    for _ in 0..MAX_FACILITY {
        let Some(before) = k.checked_sub(1) else { break };
        let token = block.at(before);
        if block.at(k).gap > Gap::Space {
            break;
        }
        if token.is_capital() || token.case == Case::Initial {
            let entry = lexicon.word_at(block, before);
            let borne = entry.given() >= 4 || entry.surname() >= 4;
            let verb = block.starts_sentence(before)
                && !block.before(before, 2).is(cue::SAINT)
                && (entry.word() >= 6 && !borne || entry.word() >= 5 && entry.given() == 0);
            if verb || token.is(cue::TITLE | cue::MONTH) {
                break;
            }
            first = before;
            particular |= is_particular(block, before, entry);
        } else if !joins(block, before, head) {
            break;
        }
        k = before;
    }
    (first, particular)
}

/// Whether a token that is no capital word may lie inside a facility's name.
pub(super) fn joins(block: &Block<'_>, i: usize, head: usize) -> bool {
    let token = block.at(i);
    let before = block.before(i, 1);
    match token.kind {
        Kind::Word if block.at(head).is_lower() && token.is(cue::FACILITY_INNER) => true,
        Kind::Word => {
            let after_name = before.is_capital() || before.kind == Kind::Possessive;
            let list = block.word_is(i, &["and", "&"]) && before.is(cue::FACILITY);
            let joiner = !list && token.is(cue::JOINER) && !block.word_is(i, &["at", "in", "the"]);
            let of_the = block.word_is(i, &["the"]) && block.word_is(i.wrapping_sub(1), &["of"]);
            (joiner && after_name) || of_the
        }
        Kind::Possessive | Kind::Mark(b'-' | b'&' | b'\'') => true,
        Kind::Mark(b'.') => {
            let short = before.end - before.start <= 3 && before.is_capital();
            before.is(cue::SAINT) || (short && token.gap == Gap::None)
        }
        // `Valentine, Bush and Jones Hospital`: a firm with a list of names.
        Kind::Mark(b',') => {
            before.is_capital() && (i + 1..head).any(|j| block.word_is(j, &["and", "&"]))
        }
        Kind::Digits | Kind::Mixed | Kind::Mark(_) | Kind::Edge => false,
    }
}

/// The end of a facility's name (`Hospital of Philadelphia`), and whether it makes it particular.
pub(super) fn facility_end(block: &Block<'_>, lexicon: &Lexicon, head: usize) -> (usize, bool) {
    let mut particular = false;
    let mut end = head + 1;
    let capital = block.at(head).is_capital();
    while end < head + MAX_FACILITY {
        let token = block.at(end);
        if token.gap > Gap::Space {
            break;
        }
        // `Medical Center-arkadelphia`
        if token.is_mark(b'-')
            && token.gap == Gap::None
            && block.at(end + 1).kind == Kind::Word
            && block.at(end + 1).gap == Gap::None
        {
            end += 2;
            continue;
        }
        if token.is_mark(b',') && block.word_is(end + 1, &["inc", "llc", "pllc"]) {
            end += 2;
            continue;
        }
        let more = token.is(cue::FACILITY | cue::FACILITY_TAIL);
        // `Hospital Pavia Hato Rey`: the word for it comes first.
        let entry = lexicon.word_at(block, end);
        let first = block.word_is(head, &["hospital", "clinica"])
            && token.case == Case::Capital
            && block.word_is(head.wrapping_sub(1), &["at", "to", "from"])
            && (entry.word() == 0 || end > head + 1)
            && !token.is(cue::GENERIC | cue::TITLE | cue::MONTH);
        if token.is_capital() && (more || first || (capital && is_tail(block, lexicon, end))) {
            particular |= !more;
            end += 1;
            continue;
        }
        let next = block.at(end + 1);
        let of = block.word_is(end, &["of", "for", "at", "&"])
            && next.is_capital()
            && next.gap == Gap::Space;
        let entry = lexicon.word_at(block, end + 1);
        let subject = block.word_is(end, &["at", "for"]) && entry.is_medical();
        if !capital || !of || subject || next.is(cue::TITLE | cue::MONTH) {
            break;
        }
        particular |= is_particular(block, end + 1, entry);
        end += 2;
    }
    (end, particular)
}

/// `at Houston Memorial`, `at Chicago Med`: no word for a facility, but a place before it.
pub(super) fn weak_facility(
    block: &Block<'_>,
    lexicon: &Lexicon,
    last: usize,
    out: &mut Vec<Finding>,
) -> Option<usize> {
    let end = last + 1;
    if block.at(end).is(cue::FACILITY)
        || block.at(end).is_capital() && block.at(end).gap <= Gap::Space
    {
        return None;
    }
    let mut first = last;
    while first > 0
        && last - first < 4
        && block.at(first).gap == Gap::Space
        && block.at(first - 1).is_capital()
        && !block.at(first - 1).is(cue::TITLE | cue::GENERIC)
    {
        first -= 1;
    }
    let before = block.before(first, 1);
    let at = block.word_is(first.wrapping_sub(1), &["at", "to", "from", "in", "by", "@"])
        && before.is_lower();
    let entry = lexicon.word_at(block, first);
    let named = first < last
        && (entry.place() > 0
            || entry.given() >= 2
            || entry.surname() >= 2
            || block.at(first).is(cue::STATE));
    if !(at && named) {
        return None;
    }
    push(block, first, end, 72, "place.facility", "name of a facility after a word of place", out);
    Some(end)
}

/// `Children's Hospital Los Angeles`.
pub(super) fn is_tail(block: &Block<'_>, lexicon: &Lexicon, i: usize) -> bool {
    let token = block.at(i);
    let entry = lexicon.word_at(block, i);
    let town = entry.place() > 0
        || lexicon.phrase(block, i).is_some_and(|(_, e)| e.place() > 0)
        || lexicon.phrase(block, i.wrapping_sub(1)).is_some_and(|(e, p)| p.place() > 0 && e > i);
    town && !token.is(cue::TITLE | cue::MONTH | cue::NOT_NAME) && token.case == Case::Capital
}

/// `Brigham Hospital, Boston`.
pub(super) fn town_after_comma(block: &Block<'_>, lexicon: &Lexicon, i: usize) -> Option<usize> {
    if !block.at(i).is_mark(b',')
        || block.at(i + 1).gap > Gap::Space
        || !block.at(i + 1).is_capital()
    {
        return None;
    }
    if let Some((end, entry)) = lexicon.phrase(block, i + 1) {
        return (entry.place() > 0)
            .then(|| state_zip(block, end).filter(|_| block.at(end).is_mark(b',')).unwrap_or(end));
    }
    let entry = lexicon.word_at(block, i + 1);
    (entry.place() >= 2 && entry.given() < 6 && !block.at(i + 2).is_capital())
        .then(|| state_zip(block, i + 2).filter(|_| block.at(i + 2).is_mark(b',')).unwrap_or(i + 2))
}

/// `at General Hospital`: with capitals and a preposition it is a name.
pub(super) fn is_general(block: &Block<'_>, first: usize, head: usize) -> bool {
    first + 1 == head
        && block.word_is(first, &["general", "community", "university"])
        && block.at(head).is_capital()
        && block.word_is(first.wrapping_sub(1), &["at", "to", "from"])
}

/// Whether a word makes a facility this one and no other.
pub(super) fn is_particular(block: &Block<'_>, i: usize, entry: Entry) -> bool {
    let token = block.at(i);
    if token.is(cue::GENERIC | cue::PERSON) || block.at(i).case == Case::Initial {
        return false;
    }
    let named = entry.given() >= 3 || entry.surname() >= 3 || entry.place() > 0;
    if crate::detect::name::looks_medical(block.str(i)) && entry.place() == 0 {
        return false;
    }
    !entry.is_medical() || named
}
