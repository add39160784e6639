//! Places smaller than a state: addresses, towns, ZIP codes, facilities.

mod facility;
mod street;

use super::cue;
use super::entry::Entry;
use super::lexicon::Lexicon;
use super::number::finding;
use super::token::{Block, Case, Gap, Kind};
use crate::{Class, Finding};
use facility::{facility, weak_facility};
use street::{po_box, state, state_zip, street, street_alone, zip_after_state};

/// Finds places.
pub(crate) fn find(block: &Block<'_>, lexicon: &Lexicon, out: &mut Vec<Finding>) {
    let mut i = 0;
    while i < block.len() {
        let next = at_token(block, lexicon, i, out);
        i = next.max(i + 1);
    }
}

fn at_token(block: &Block<'_>, lexicon: &Lexicon, i: usize, out: &mut Vec<Finding>) -> usize {
    let token = block.at(i);
    match token.kind {
        Kind::Digits | Kind::Mixed => street(block, lexicon, i, out).unwrap_or(i),
        Kind::Word if token.case != Case::Lower => {
            if token.is(cue::FACILITY) {
                return facility(block, lexicon, i, out).unwrap_or(i);
            }
            if token.is(cue::WEAK_FACILITY)
                && let Some(end) = weak_facility(block, lexicon, i, out)
            {
                return end;
            }
            if token.is(cue::STREET)
                && let Some(end) = street_alone(block, lexicon, i, out)
            {
                return end;
            }
            if token.is(cue::STATE) && token.is_upper() {
                zip_after_state(block, i, out);
            }
            if block.word_is(i, &["p", "po", "box"])
                && let Some(next) = po_box(block, i, out)
            {
                return next;
            }
            town(block, lexicon, i, out).unwrap_or(i)
        }
        Kind::Word if token.is(cue::FACILITY) => facility(block, lexicon, i, out).unwrap_or(i),
        Kind::Word | Kind::Possessive | Kind::Mark(_) | Kind::Edge => i,
    }
}

fn push(
    block: &Block<'_>,
    first: usize,
    end: usize,
    percent: u8,
    recogniser: &'static str,
    why: &'static str,
    out: &mut Vec<Finding>,
) {
    let span = (block.at(first).start, block.before(end, 1).end);
    if span.0 < span.1 {
        out.push(finding(span, Class::Location, percent, recogniser, why));
    }
}

/// A town by the list, by a state after it, or by `County`.
fn town(block: &Block<'_>, lexicon: &Lexicon, i: usize, out: &mut Vec<Finding>) -> Option<usize> {
    let token = block.at(i);
    if block.before(i, 1).is_any_mark(b"-_@") && token.gap == Gap::None {
        return None;
    }
    if token.is(cue::SAINT)
        && let Some(end) = saint(block, lexicon, i, out)
    {
        return Some(end);
    }
    let phrase = lexicon.phrase(block, i).filter(|_| token.case != Case::Initial);
    let entry = lexicon.word_at(block, i);
    if let Some((end, entry)) = phrase {
        let titled = (i..end)
            .all(|k| !block.at(k).is_lower() || block.at(k).is(cue::JOINER | cue::PARTICLE));
        let place = entry.place();
        let near = block.before(i, 1).is(cue::PLACE);
        if titled && is_state_name(block, i, end) {
            let tail = state_zip(block, end).filter(|_| block.at(end).is_mark(b','));
            let end = tail.unwrap_or(end);
            push(
                block,
                i,
                end,
                if near || tail.is_some() { 70 } else { 50 },
                "place.town",
                "list of towns",
                out,
            );
            return Some(end);
        }
        if titled
            && (entry.is_facility() || place >= 1)
            && !is_questionnaire(block, end)
            && !is_title_case_prose(block, lexicon, i, end)
        {
            let tail = state_zip(block, end);
            let person =
                lexicon.word_at(block, i).given() >= 4 && !near && tail.is_none() && place < 3;
            if !person {
                let percent = if tail.is_some() {
                    92
                } else if near {
                    80
                } else {
                    62
                };
                let why = if entry.is_facility() { "list of facilities" } else { "list of towns" };
                push(block, i, tail.unwrap_or(end), percent, "place.town", why, out);
                return Some(tail.unwrap_or(end));
            }
        }
    }
    if token.is(cue::KNOWN_FACILITY) && (token.is_upper() || token.end - token.start > 5) {
        push(block, i, i + 1, 85, "place.facility", "known facility", out);
        return None;
    }
    if let Some(end) = county(block, i, out) {
        return Some(end);
    }
    if let Some(end) = with_state(block, lexicon, i, out) {
        return Some(end);
    }
    single_town(block, i, entry, out)
}

fn is_state_name(block: &Block<'_>, i: usize, end: usize) -> bool {
    end == i + 2 && state(block, i) == Some(end)
}

/// `Kansas City Cardiomyopathy Questionnaire`: a town in the name of something else.
fn is_questionnaire(block: &Block<'_>, end: usize) -> bool {
    let named = |k: usize| block.at(k).is_capital() && block.at(k).gap == Gap::Space;
    named(end)
        && (block.at(end).is(cue::EPONYM_TAIL)
            || named(end + 1) && block.at(end + 1).is(cue::EPONYM_TAIL))
}

/// Whether all words are ordinary ones, as in a heading: `Long Island` is none, `High Point` is.
fn is_title_case_prose(block: &Block<'_>, lexicon: &Lexicon, i: usize, end: usize) -> bool {
    let near = block.before(i, 1).is(cue::PLACE);
    !near
        && (i..end).all(|k| {
            let e = lexicon.word_at(block, k);
            e.word() >= 4 || e.is_medical() || block.at(k).kind != Kind::Word
        })
}

/// `St. Mary's`, `Mount Sinai`: alone a facility or a town.
fn saint(block: &Block<'_>, lexicon: &Lexicon, i: usize, out: &mut Vec<Finding>) -> Option<usize> {
    let token = block.at(i);
    if !token.is_capital() || block.word_is(i, &["ste"]) {
        return None;
    }
    let mut k = i + 1;
    k += usize::from(block.at(k).is_mark(b'.') && block.at(k).gap == Gap::None);
    let name = block.at(k);
    if !name.is_capital()
        || name.gap > Gap::Space
        || name.is(cue::STATE | cue::FACILITY | cue::TITLE | cue::STREET)
    {
        return None;
    }
    // `5th St. Boston`: the street came first.
    if matches!(block.before(i, 1).kind, Kind::Mixed | Kind::Digits) {
        return None;
    }
    let entry = lexicon.word_at(block, k);
    if entry.given() < 2
        && entry.surname() < 2
        && entry.place() == 0
        && !entry.is_eponym()
        && entry.is_known()
    {
        return None;
    }
    let mut end = k + 1;
    while block.at(end).is_mark(b'-')
        && block.at(end).gap == Gap::None
        && block.at(end + 1).is_capital()
        && end < k + 7
    {
        end += 2;
    }
    end += usize::from(block.at(end).kind == Kind::Possessive);
    if is_eponym_tail(block, end) {
        return None;
    }
    let tail = state_zip(block, end).filter(|_| block.at(end).is_mark(b','));
    push(block, i, tail.unwrap_or(end), 68, "place.saint", "saint or mount before it", out);
    Some(end)
}

fn is_eponym_tail(block: &Block<'_>, end: usize) -> bool {
    block.at(end).is(cue::EPONYM_TAIL) && block.at(end).is_lower()
}

/// `Middlesex County`, `Orleans Parish`.
fn county(block: &Block<'_>, i: usize, out: &mut Vec<Finding>) -> Option<usize> {
    let mut k = i;
    while k < i + 3 && block.at(k).is_capital() && (k == i || block.at(k).gap == Gap::Space) {
        if k > i && block.word_is(k, &["county", "parish", "township", "borough"]) {
            if block.at(k + 1).is(cue::FACILITY) && block.at(k + 1).is_capital() {
                return None;
            }
            let end =
                state_zip(block, k + 1).filter(|_| block.at(k + 1).is_mark(b',')).unwrap_or(k + 1);
            push(block, i, end, 85, "place.county", "word County after it", out);
            return Some(end);
        }
        k += 1;
    }
    None
}

/// `Lake Johnview, RI 64766`: words that no list holds, with a state after a comma.
fn with_state(
    block: &Block<'_>,
    lexicon: &Lexicon,
    i: usize,
    out: &mut Vec<Finding>,
) -> Option<usize> {
    let mut k = i;
    while k < i + 3 && block.at(k).is_capital() && (k == i || block.at(k).gap == Gap::Space) {
        k += 1;
    }
    if k == i || !block.at(k).is_mark(b',') {
        return None;
    }
    let state_at = k + 1;
    let end = state_zip(block, k)?;
    let coded = block.at(state_at).end - block.at(state_at).start == 2;
    let zipped = end > state_at + 1 && block.before(end, 1).kind == Kind::Digits;
    // `John Smith, MD` and `Ann Lee, PA` are people.
    let credential = coded && block.at(state_at).is(cue::CREDENTIAL);
    // `Hope Best, MD`: an ordinary word is a town only after a word of place.
    let ordinary = lexicon.word_at(block, k - 1).word() >= 4 && !block.before(i, 1).is(cue::PLACE);
    if credential && ordinary && !zipped {
        return None;
    }
    // `Tennessee, Texas and Ohio` are states.
    if !coded && state(block, i) == Some(k) {
        return None;
    }
    let known = (i..k).any(|j| lexicon.word_at(block, j).place() > 0);
    let person = lexicon.word_at(block, i).given() >= 4 && k > i + 1;
    if zipped || (known && !(credential && (person || block.before(i, 1).is(cue::TITLE)))) {
        let first = if zipped || person {
            i
        } else {
            (i..k).find(|j| lexicon.word_at(block, *j).place() > 0).unwrap_or(i)
        };
        push(block, first, end, if zipped { 92 } else { 82 }, "place.town", "state after it", out);
        return Some(end);
    }
    None
}

fn single_town(block: &Block<'_>, i: usize, entry: Entry, out: &mut Vec<Finding>) -> Option<usize> {
    let token = block.at(i);
    if token.case != Case::Capital && !(token.is_upper() && token.end - token.start > 4) {
        return None;
    }
    if entry.place() == 0
        || token.is(cue::STATE | cue::NATION | cue::NOT_NAME | cue::MONTH | cue::TITLE)
        || entry.is_medical()
    {
        return None;
    }
    let end = i + 1;
    let after = block.at(end);
    // A town before another capital word is a part of a name or a facility.
    let inside = after.is_capital() && after.gap == Gap::Space
        || after.kind == Kind::Possessive
        || after.is_mark(b'-') && after.gap == Gap::None;
    let before = block.before(i, 1);
    let article = block.word_is(i.wrapping_sub(1), &["the"]) && block.before(i, 2).is(cue::PLACE);
    let near = (before.is(cue::PLACE) || article) && before.is_lower() && token.gap <= Gap::Space;
    if is_eponym_tail(block, end)
        || before.is(cue::TITLE)
        || before.is_mark(b'.') && block.before(i, 2).is(cue::TITLE)
        || (inside && !near)
    {
        return None;
    }
    let rare = entry.word() == 0;
    let lives = (2..=3).any(|back| {
        let k = i.wrapping_sub(back);
        block.word_is(
            k,
            &[
                "lives", "lived", "living", "resides", "residing", "born", "raised", "moved",
                "resident",
            ],
        )
    });
    let bearers = entry.given().max(entry.surname());
    let listed = before.is_mark(b',') && token.gap == Gap::Space;
    let percent = match (entry.place(), near) {
        (3, true) if entry.word() <= 3 => 80,
        (2, true) if rare => 75,
        (1, true) if rare && !entry.is_eponym() && (bearers < 5 || lives) => 55,
        (3, false) if rare && entry.given() < 5 => 65,
        (2, false) if rare && listed && entry.given() < 4 => 50,
        _ => return None,
    };
    push(
        block,
        i,
        end,
        percent,
        "place.town",
        if near { "list of towns and word of place" } else { "list of towns" },
        out,
    );
    Some(end)
}

/// The end of a value that is a place as a whole, for fields of addresses.
pub(crate) fn whole_value(
    block: &Block<'_>,
    first: usize,
    end: usize,
    percent: u8,
    out: &mut Vec<Finding>,
) {
    let mut last = None;
    let mut letters = false;
    for k in first..end {
        let token = block.at(k);
        if matches!(token.kind, Kind::Word | Kind::Digits | Kind::Mixed) {
            last = Some(k);
            letters |= token.kind != Kind::Word || token.case != Case::Lower;
        }
    }
    let Some(last) = last else { return };
    let dot = block.at(last + 1).is_mark(b'.')
        && block.at(last + 1).gap == Gap::None
        && last + 1 < end
        && block.at(last).is(cue::STREET | cue::DWELLING);
    if letters && !block.word_is(first, super::name::NO_VALUE) {
        push(
            block,
            first,
            last + 1 + usize::from(dot),
            percent,
            "place.field",
            "label of a place before it",
            out,
        );
    }
}
