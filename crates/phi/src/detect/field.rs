//! Values under a label: `Patient: Ann Lee`, `"birthDate": "1962-03-14"`, a form field.

use super::cue;
use super::date;
use super::label::{Field, Labels};
use super::lexicon::Lexicon;
use super::name::{self, Certainty};
use super::number::{finding, phrase_label};
use super::place;
use super::shape::Bytes;
use super::structure::Value;
use super::token::{Block, Case, Gap, Kind};
use super::value;
use crate::{Class, Finding};

/// Finds the values of `Label: value` in running text.
pub(crate) fn headers(
    block: &Block<'_>,
    labels: &Labels,
    lexicon: &Lexicon,
    out: &mut Vec<Finding>,
) {
    for i in 1..block.len() {
        let mark = block.at(i);
        if !mark.is_any_mark(b":=") || mark.gap > Gap::Space {
            continue;
        }
        let Some(field) = header_field(block, labels, i) else { continue };
        let (first, end) = header_value(block, labels, i + 1, field);
        if first < end {
            header(block, lexicon, field, first, end, out);
        }
    }
}

/// What the words before a colon label.
fn header_field(block: &Block<'_>, labels: &Labels, colon: usize) -> Option<Field> {
    let mut last = colon.checked_sub(1)?;
    let mut numbered = false;
    // `**Name**:`, `MRN #:`, `Name (print):`
    for _ in 0..3 {
        let token = block.at(last);
        if token.is_any_mark(b"*#\"_)]")
            || token.is(cue::NUMBER) && block.before(last, 1).kind == Kind::Word
        {
            numbered |= token.is_mark(b'#') || token.is(cue::NUMBER);
            last = last.checked_sub(1)?;
        }
    }
    phrase_label(block, labels, last, numbered).map(|l| l.field)
}

/// The tokens of the value after a colon: to the end of the line, a column gap or the next label.
fn header_value(block: &Block<'_>, labels: &Labels, from: usize, field: Field) -> (usize, usize) {
    /// No value of a header has more tokens.
    const MAX_TOKENS: usize = 40;
    let mut first = from;
    while block.at(first).is_any_mark(b"*\"'[_") && first < from + 4 {
        first += 1;
    }
    let mut end = first;
    while end < block.len() && end < first + MAX_TOKENS {
        let token = block.at(end);
        let breaks = match token.gap {
            Gap::Line | Gap::Wide => end > first,
            Gap::Space | Gap::None => false,
        };
        if breaks || token.is_any_mark(b";|\t<{}\"") {
            break;
        }
        // The next label on the same line ends the value before its own words.
        if token.is_any_mark(b":=") && end > first {
            let words = label_words(block, labels, first, end);
            return (first, end - words);
        }
        end += 1;
    }
    // A comma, full stop or bracket ends a place in a sentence.
    if matches!(field, Field::Address | Field::Place) {
        let stop = (first..end).find(|k| {
            block.at(*k).is_mark(b'(')
                || block.at(*k).is_mark(b'.')
                    && block.at(k + 1).gap >= Gap::Space
                    && block.before(*k, 1).end - block.before(*k, 1).start > 4
        });
        end = stop.unwrap_or(end);
    }
    (first, end)
}

/// How many tokens before a colon are its label.
fn label_words(block: &Block<'_>, labels: &Labels, first: usize, colon: usize) -> usize {
    let mut words = 0;
    for back in 1..=4 {
        let Some(k) = colon.checked_sub(back).filter(|k| *k >= first) else { break };
        let token = block.at(k);
        if token.kind != Kind::Word && !token.is_any_mark(b"#/") {
            break;
        }
        let labels_here = phrase_label(block, labels, k, false).is_some()
            || token.is(cue::NUMBER)
            || token.is_mark(b'#');
        let continues = words > 0 && token.is_capital() && back <= 2;
        if !labels_here && !continues {
            break;
        }
        words = back;
    }
    words.max(1)
}

fn header(
    block: &Block<'_>,
    lexicon: &Lexicon,
    field: Field,
    first: usize,
    end: usize,
    out: &mut Vec<Finding>,
) {
    match field {
        Field::Name | Field::Person | Field::NamePart | Field::NameOrPlace => {
            let before = out.len();
            name::in_field(block, lexicon, first, end, Certainty::Header, out);
            if out.len() == before && field == Field::Name {
                written_as_name(block, lexicon, first, end, out);
            }
        }
        Field::State => {
            let span = (block.at(first).start, block.before(end, 1).end);
            let value = Value { start: span.0, end: span.1, field };
            value::find(block, lexicon, value, out);
        }
        Field::Address | Field::Place => {
            let starts = block.at(first);
            if starts.kind == Kind::Digits || starts.is_capital() || starts.kind == Kind::Mixed {
                let prose = end - first > 14;
                if !prose && is_place_value(block, lexicon, first, end) {
                    place::whole_value(block, first, end, 84, out);
                }
            }
        }
        Field::Date => {
            let b = Bytes(block.text.as_bytes());
            let token = block.at(first);
            if token.kind == Kind::Digits
                && let Some(stop) = date::compact(b, token.start)
            {
                out.push(finding(
                    (token.start, stop),
                    Class::Date,
                    93,
                    "date.field",
                    "label of a date",
                ));
            }
        }
        Field::Whole(class) => whole(block, first, end, class, out),
        Field::Age
        | Field::Id(_)
        | Field::Code(_)
        | Field::Phone
        | Field::Fax
        | Field::Contact
        | Field::Zip
        | Field::Region
        | Field::Position
        | Field::Reference
        | Field::Neutral
        | Field::Technical
        | Field::Text(_)
        | Field::File
        | Field::Unknown => {}
    }
}

/// `Patient: Summer Rain`: ordinary words, but all of the value and each with a capital.
fn written_as_name(
    block: &Block<'_>,
    lexicon: &Lexicon,
    first: usize,
    end: usize,
    out: &mut Vec<Finding>,
) {
    let word = |k: usize| {
        let token = block.at(k);
        token.is_capital()
            && token.case == Case::Capital
            && (k == first || token.gap == Gap::Space)
            && !token.is(cue::FACILITY | cue::GENERIC | cue::TITLE | cue::NOT_NAME)
            && !block.word_is(k, name::NO_VALUE)
    };
    // `Chest Pain` is none: some word is borne as a name, and some is no medical word.
    let entries = || (first..end).map(|k| lexicon.word_at(block, k));
    let borne =
        entries().any(|e| e.given() >= 3 || e.surname() >= 3) && entries().any(|e| !e.is_medical());
    let after = block.at(end);
    let ends = after.gap >= Gap::Wide || after.kind == Kind::Edge;
    if ends && borne && (2..=3).contains(&(end - first)) && (first..end).all(word) {
        let span = (block.at(first).start, block.before(end, 1).end);
        out.push(finding(span, Class::Name, 72, "name.field", "label of a name before it"));
    }
}

/// Whether what stands after `Location:` or `City:` can be a place of the map: `left arm` is not.
pub(crate) fn is_place_value(
    block: &Block<'_>,
    lexicon: &Lexicon,
    first: usize,
    end: usize,
) -> bool {
    let mut named = block.at(first).kind == Kind::Digits && end > first + 1;
    for k in first..end {
        let token = block.at(k);
        let entry = lexicon.word_at(block, k);
        if token.kind == Kind::Word
            && block.at(first).kind != Kind::Digits
            && entry.is_medical()
            && entry.place() == 0
            && !token.is(cue::FACILITY | cue::STREET | cue::GENERIC)
            && entry.surname() < 4
        {
            return false;
        }
        named |= token.kind == Kind::Mixed
            || token.is_capital()
                && (entry.place() > 0
                    || entry.given() >= 3
                    || entry.surname() >= 3
                    || !entry.is_known()
                    || token.is(cue::FACILITY));
    }
    named
}

pub(crate) fn whole(
    block: &Block<'_>,
    first: usize,
    end: usize,
    class: Class,
    out: &mut Vec<Finding>,
) {
    let mut stop = (first..end)
        .find(|k| block.at(*k).is_any_mark(b",;.(") && block.at(k + 1).gap > Gap::None)
        .unwrap_or(end);
    if class == Class::Photo {
        // Only the name of a file refers to a picture.
        let Some(dot) =
            (first..end).find(|k| is_picture(block, k + 1) && block.at(*k).is_mark(b'.'))
        else {
            return;
        };
        stop = dot + 2;
    }
    if stop > first && !block.word_is(first, name::NO_VALUE) && stop - first <= 8 {
        let span = (block.at(first).start, block.before(stop, 1).end);
        out.push(finding(span, class, 75, "field.whole", "label before it"));
    }
}

fn is_picture(block: &Block<'_>, i: usize) -> bool {
    block.word_is(
        i,
        &["jpg", "jpeg", "png", "heic", "tif", "tiff", "gif", "bmp", "webp", "dcm", "raw"],
    )
}

/// Finds the names of picture files near a word for a photograph: `face_12.jpg`.
pub(crate) fn photos(block: &Block<'_>, out: &mut Vec<Finding>) {
    const NEAR: usize = 8;
    for i in 2..block.len() {
        if !is_picture(block, i) || !block.at(i - 1).is_mark(b'.') || block.at(i).gap > Gap::None {
            continue;
        }
        let mut first = i - 1;
        while first > 0
            && block.at(first).gap == Gap::None
            && (block.at(first - 1).is_any_mark(b"-_/.")
                || matches!(block.at(first - 1).kind, Kind::Word | Kind::Mixed | Kind::Digits))
            && i - first < 16
        {
            first -= 1;
        }
        let shown = (first.saturating_sub(NEAR)..i).any(|k| {
            block.word_is(
                k,
                &[
                    "photo",
                    "photos",
                    "photograph",
                    "face",
                    "facial",
                    "image",
                    "images",
                    "picture",
                    "headshot",
                    "portrait",
                    "selfie",
                    "img",
                    "avatar",
                    "pic",
                    "full-face",
                    "photographs",
                    "pictures",
                    "scan",
                ],
            )
        });
        let span = (block.at(first).start, block.at(i).end);
        let (percent, why) = if shown {
            (90, "picture file and word for a photograph")
        } else {
            (62, "name of a picture file")
        };
        out.push(finding(span, Class::Photo, percent, "photo", why));
    }
}
