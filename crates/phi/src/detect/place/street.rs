//! Addresses: streets, boxes, and the town, state and ZIP code after them.

use super::push;
use crate::Finding;
use crate::detect::cue;
use crate::detect::lexicon::Lexicon;
use crate::detect::token::{Block, Case, Gap, Kind};

/// `5083 Christina Cliff Apt. 163, Lake Johnview, RI 64766`, from its number on.
pub(super) fn street(
    block: &Block<'_>,
    lexicon: &Lexicon,
    i: usize,
    out: &mut Vec<Finding>,
) -> Option<usize> {
    let number = block.at(i);
    if number.end - number.start > 6
        || block.before(i, 1).is_any_mark(b"/.-") && number.gap == Gap::None
    {
        return None;
    }
    let (suffix, named) = street_suffix(block, lexicon, i)?;
    // `625 RBCs, Head CT`: a scan, unless the whole address is in capitals.
    let shouted = block.at(suffix).is_upper()
        && (i + 1..suffix).any(|j| block.at(j).kind == Kind::Word && !block.at(j).is_upper());
    if shouted {
        return None;
    }
    let mut end = suffix + 1;
    // A suffix in lower case with nothing capital before it is prose: `2 small court`.
    let lower = block.at(suffix).is_lower();
    let capital =
        (i + 1..suffix).any(|j| block.at(j).is_capital() || block.at(j).kind == Kind::Mixed);
    let plain = lower
        && named <= 3
        && block.word_is(
            suffix,
            &[
                "street",
                "avenue",
                "road",
                "boulevard",
                "lane",
                "st",
                "ave",
                "rd",
                "blvd",
                "ln",
                "drive",
                "dr",
            ],
        );
    if !capital && !plain {
        return None;
    }
    if block.at(end).is_mark(b'.')
        && block.at(end).gap == Gap::None
        && block.at(end).end - block.at(end).start == 1
        && block.at(suffix).end - block.at(suffix).start <= 4
    {
        end += 1;
    }
    while block.at(end).is(cue::DIRECTION)
        && block.at(end).is_capital()
        && block.at(end).gap == Gap::Space
    {
        end += 1;
    }
    end = dwelling(block, end);
    let end = town_tail(block, lexicon, end).unwrap_or(end);
    push(block, i, end, 90, "place.street", "number, name and street", out);
    Some(end)
}

/// The token that says what kind of street it is, and how many words stand before the end of it.
fn street_suffix(block: &Block<'_>, lexicon: &Lexicon, i: usize) -> Option<(usize, usize)> {
    /// Names of streets are this long at most.
    const MAX_WORDS: usize = 5;
    let mut k = i + 1;
    let mut named = 0;
    let mut suffix = None;
    while k <= i + MAX_WORDS + 1 {
        let token = block.at(k);
        if token.gap > Gap::Space {
            break;
        }
        let part = match token.kind {
            Kind::Word => {
                if token.is(cue::STREET) && named > 0 {
                    suffix = Some(k);
                    // `Avenue Road`, `Park Place Drive`: the last suffix counts.
                }
                // `70864 Lawrence Common Apt. 570`: what kind of street it is need not be known.
                let number = k + 1 + usize::from(block.at(k + 1).is_mark(b'.'));
                if named > 0
                    && suffix.is_none()
                    && token.is(cue::DWELLING)
                    && block.at(k - 1).is_capital()
                    && block.at(number).kind == Kind::Digits
                {
                    suffix = Some(k - 1);
                    break;
                }
                let ordinary = token.is_lower() && !token.is(cue::STREET | cue::DIRECTION);
                let common = ordinary && lexicon.word_at(block, k).word() > 5;
                if token.is(cue::UNIT) && token.is_lower() || common {
                    break;
                }
                true
            }
            Kind::Mixed | Kind::Digits => is_ordinal(block, k) && named == 0,
            Kind::Mark(b'.') => {
                let before = block.at(k - 1);
                token.gap == Gap::None
                    && block.at(k + 1).gap == Gap::Space
                    && (before.end - before.start <= 2 || before.is(cue::STREET | cue::DIRECTION))
            }
            Kind::Mark(b'\'' | b'-') => token.gap == Gap::None,
            Kind::Possessive | Kind::Mark(_) | Kind::Edge => false,
        };
        if !part || suffix.is_some_and(|s| k > s + 1 && !block.at(k).is(cue::DIRECTION)) {
            break;
        }
        named += usize::from(matches!(token.kind, Kind::Word | Kind::Mixed | Kind::Digits));
        k += 1;
    }
    suffix.map(|suffix| (suffix, named))
}

pub(super) fn is_ordinal(block: &Block<'_>, i: usize) -> bool {
    let text = block.str(i).to_ascii_lowercase();
    text.bytes().next().is_some_and(|b| b.is_ascii_digit())
        && (["st", "nd", "rd", "th"].iter().any(|t| text.ends_with(t)))
}

/// `, Apt. 4B`, `Suite 200`, `#12`.
pub(super) fn dwelling(block: &Block<'_>, end: usize) -> usize {
    let mut k = end;
    if block.at(k).is_mark(b',') {
        k += 1;
    }
    let named = block.at(k).is(cue::DWELLING) && block.at(k).kind == Kind::Word;
    if !named && !block.at(k).is_mark(b'#') {
        return end;
    }
    k += 1;
    while block.at(k).is_any_mark(b".#") {
        k += 1;
    }
    let value =
        matches!(block.at(k).kind, Kind::Digits | Kind::Mixed) || block.at(k).case == Case::Initial;
    if value && block.at(k).gap <= Gap::Space { dwelling(block, k + 1).max(k + 1) } else { end }
}

/// `, Springfield, IL 62704`, after a street: also on the next line.
pub(super) fn town_tail(block: &Block<'_>, lexicon: &Lexicon, end: usize) -> Option<usize> {
    let mut k = end;
    if block.at(k).is_any_mark(b",;") {
        k += 1;
    }
    if block.at(k).kind == Kind::Word && block.at(k).is_lower() && block.word_is(k, &["in"]) {
        k += 1;
    }
    let first = k;
    while k < first + 4
        && (block.at(k).is_capital() || is_lower_town(block, lexicon, k))
        && (k == first || block.at(k).gap <= Gap::Space)
    {
        if block.at(k).is(cue::STATE) && block.at(k).is_upper() && k > first {
            break;
        }
        k += 1;
        if block.at(k).is_mark(b'.') && block.at(k - 1).is(cue::SAINT) {
            k += 1;
        }
    }
    if k == first {
        return zip(block, first);
    }
    if let Some(end) = state_zip(block, k) {
        return Some(end);
    }
    let known = lexicon.phrase(block, first).is_some_and(|(_, e)| e.place() > 0)
        || lexicon.word_at(block, first).place() > 0;
    (known && block.at(first).gap <= Gap::Space && block.before(first, 1).is_mark(b','))
        .then_some(k)
}

/// `, IL 62704`, `, Illinois`, `IL 62704`.
pub(super) fn state_zip(block: &Block<'_>, i: usize) -> Option<usize> {
    let comma = block.at(i).is_mark(b',');
    let k = i + usize::from(comma);
    if block.at(k).gap > Gap::Space {
        return None;
    }
    let end = state(block, k)?;
    match zip(block, end) {
        Some(end) => Some(end),
        None if comma => Some(end),
        None => None,
    }
}

/// `springfield` in text without capitals.
pub(super) fn is_lower_town(block: &Block<'_>, lexicon: &Lexicon, i: usize) -> bool {
    block.at(i).is_lower()
        && block.at(i).gap <= Gap::Space
        && lexicon.word_at(block, i).place() > 0
        && lexicon.word_at(block, i).word() < 5
}

/// The end of the name or code of a state.
pub(super) fn state(block: &Block<'_>, i: usize) -> Option<usize> {
    let token = block.at(i);
    let two = block.word_is(i, &["new", "north", "south", "west", "rhode"])
        && block.word_is(
            i + 1,
            &["york", "jersey", "mexico", "hampshire", "carolina", "dakota", "virginia", "island"],
        );
    if two && block.at(i + 1).is_capital() {
        return Some(i + 2);
    }
    let code = token.is_upper() && token.end - token.start == 2;
    let name = token.is_capital() && token.end - token.start > 2;
    let lower = token.is_lower() && token.end - token.start == 2 && zip(block, i + 1).is_some();
    let dc = code && block.word_is(i, &["dc"]);
    (token.is(cue::STATE) && (code || name || dc || lower)).then_some(i + 1)
}

pub(super) fn zip(block: &Block<'_>, i: usize) -> Option<usize> {
    let mut k = i;
    if block.at(k).is_mark(b',') {
        k += 1;
    }
    let token = block.at(k);
    if token.kind != Kind::Digits || token.end - token.start != 5 || token.gap > Gap::Space {
        return None;
    }
    let plus = block.at(k + 1).is_mark(b'-')
        && block.at(k + 1).gap == Gap::None
        && block.at(k + 2).kind == Kind::Digits
        && block.at(k + 2).end - block.at(k + 2).start == 4;
    Some(if plus { k + 3 } else { k + 1 })
}

pub(super) fn zip_after_state(block: &Block<'_>, i: usize, out: &mut Vec<Finding>) {
    if let Some(end) = zip(block, i + 1) {
        push(block, i, end, 85, "place.zip", "state before it", out);
    }
}

pub(super) fn po_box(block: &Block<'_>, i: usize, out: &mut Vec<Finding>) -> Option<usize> {
    let mut k = i;
    if block.word_is(k, &["p"]) {
        k += 1;
        k += usize::from(block.at(k).is_mark(b'.'));
        if !block.word_is(k, &["o"]) {
            return None;
        }
        k += 1;
        k += usize::from(block.at(k).is_mark(b'.'));
    } else if block.word_is(k, &["po"]) {
        k += 1;
    } else {
        return None;
    }
    if !block.word_is(k, &["box"]) || block.at(k + 1).kind != Kind::Digits {
        return None;
    }
    push(block, i, k + 2, 92, "place.box", "post office box", out);
    Some(k + 2)
}

/// `Elm Street`, without a number.
pub(super) fn street_alone(
    block: &Block<'_>,
    lexicon: &Lexicon,
    last: usize,
    out: &mut Vec<Finding>,
) -> Option<usize> {
    let full = block.word_is(
        last,
        &["street", "avenue", "boulevard", "lane", "road", "parkway", "highway", "drive"],
    );
    let mut first = last;
    while first > 0
        && last - first < 3
        && block.at(first).gap == Gap::Space
        && (block.at(first - 1).is_capital() || is_ordinal(block, first - 1))
        && !block.at(first - 1).is(cue::TITLE | cue::PERSON)
    {
        first -= 1;
    }
    if !full
        || first == last
        || (block.starts_sentence(first) && lexicon.word_at(block, first).word() > 4)
    {
        return None;
    }
    if matches!(block.before(first, 1).kind, Kind::Digits | Kind::Mixed)
        || block.at(last + 1).is(cue::FACILITY)
        || block.at(last + 1).is_capital() && block.at(last + 1).gap <= Gap::Space
    {
        return None;
    }
    let end = town_tail(block, lexicon, last + 1).unwrap_or(last + 1);
    push(block, first, end, 64, "place.street", "name and word for a street", out);
    Some(end)
}
