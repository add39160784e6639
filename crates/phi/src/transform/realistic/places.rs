//! Places for places: streets, units, towns, counties, facilities; the state stays.

use super::{Dice, MAX_DRAWS, Seen, plain};
use crate::Class;
use crate::transform::place::{Tail, tail};
use crate::transform::written::cased;
use std::collections::BTreeMap;

type Values = BTreeMap<(Class, String), String>;

/// Beginnings and ends of names of towns and streets.
const BEGINNINGS: [&str; 28] = [
    "Ash", "Birch", "Brook", "Cedar", "Clear", "Clover", "Copper", "Crest", "Elder", "Fair",
    "Fern", "Glen", "Green", "Hazel", "Heather", "Laurel", "Linden", "Maple", "Meadow", "Mill",
    "Oak", "Pine", "Rock", "Rose", "Silver", "Stone", "Willow", "Winter",
];

const ENDS: [&str; 14] = [
    "bridge", "brook", "bury", "crest", "dale", "field", "ford", "grove", "ham", "mont", "port",
    "ton", "view", "ville",
];

/// Words that say what a place is, not which.
const GENERIC: [&str; 92] = [
    "north",
    "south",
    "east",
    "west",
    "n",
    "s",
    "e",
    "w",
    "ne",
    "nw",
    "se",
    "sw",
    "street",
    "st",
    "avenue",
    "ave",
    "road",
    "rd",
    "drive",
    "dr",
    "lane",
    "ln",
    "boulevard",
    "blvd",
    "court",
    "ct",
    "place",
    "pl",
    "way",
    "terrace",
    "ter",
    "circle",
    "cir",
    "highway",
    "hwy",
    "route",
    "rt",
    "parkway",
    "pkwy",
    "trail",
    "square",
    "sq",
    "apt",
    "apartment",
    "unit",
    "suite",
    "ste",
    "room",
    "rm",
    "floor",
    "fl",
    "bed",
    "ward",
    "box",
    "po",
    "p",
    "o",
    "county",
    "parish",
    "hospital",
    "hospitals",
    "clinic",
    "center",
    "centre",
    "medical",
    "health",
    "healthcare",
    "care",
    "general",
    "regional",
    "community",
    "memorial",
    "university",
    "rehabilitation",
    "rehab",
    "nursing",
    "home",
    "hospice",
    "school",
    "college",
    "church",
    "pharmacy",
    "laboratory",
    "institute",
    "department",
    "of",
    "the",
    "and",
    "at",
    "for",
    "in",
    "system",
];

/// The surrogate of a place; `None` when there is nothing in it to change but a state.
pub(super) fn place(
    value: &str,
    recogniser: &str,
    values: &mut Values,
    seen: &mut Seen,
    dice: Dice<'_>,
) -> Option<String> {
    let Tail { head, state, zip } = tail(value, recogniser);
    let mut out = String::with_capacity(value.len() + 8);
    let at = if head.is_empty() { 0 } else { value.find(head)? };
    let (before, rest) = value.split_at_checked(at)?;
    out.push_str(before);
    let mut segments = Vec::with_capacity(3);
    for segment in head.split(',') {
        segments.push(one(segment, values, seen, dice)?);
    }
    out.push_str(&segments.join(","));
    let mut after = rest.get(head.len()..)?;
    if let Some(zip) = zip {
        let at = after.rfind(zip)?;
        out.push_str(after.get(..at)?);
        out.push_str(&zip_code(zip, values, seen, dice)?);
        after = after.get(at + zip.len()..)?;
    }
    out.push_str(after);
    let changed = out.to_lowercase() != value.to_lowercase();
    (changed || (state.is_some() && head.is_empty())).then_some(out)
}

/// No ZIP code begins with 000.
fn zip_code(zip: &str, values: &mut Values, seen: &mut Seen, dice: Dice<'_>) -> Option<String> {
    let key = (Class::Location, zip.to_owned());
    if let Some(made) = values.get(&key) {
        return Some(made.clone());
    }
    for _ in 0..MAX_DRAWS {
        let mut digits = 0;
        let one = |c: char| {
            digits += usize::from(c.is_ascii_digit());
            if !c.is_ascii_digit() {
                c
            } else if digits <= 3 {
                '0'
            } else {
                dice.digit()
            }
        };
        let made: String = zip.chars().map(one).collect();
        if seen.take(&made) {
            values.insert(key, made.clone());
            return Some(made);
        }
    }
    None
}

/// One part of an address: its generic words stay, its numbers and its name become others.
fn one(segment: &str, values: &mut Values, seen: &mut Seen, dice: Dice<'_>) -> Option<String> {
    let key = (Class::Location, plain(segment));
    if key.1.is_empty() {
        return Some(segment.to_owned());
    }
    if let Some(made) = values.get(&key) {
        // The spaces around it are this segment's own.
        let start = segment.len() - segment.trim_start().len();
        let end = segment.trim_end().len().max(start);
        let made = cased(made, segment);
        return Some(format!("{}{made}{}", segment.get(..start)?, segment.get(end..)?));
    }
    for _ in 0..MAX_DRAWS {
        let made = drawn(segment, seen, dice);
        if plain(&made) != key.1 && seen.take(&made) {
            values.insert(key, made.trim().to_owned());
            return Some(made);
        }
    }
    None
}

fn drawn(segment: &str, seen: &mut Seen, dice: Dice<'_>) -> String {
    let mut out = String::with_capacity(segment.len() + 8);
    let mut named = false;
    for piece in
        segment.split_inclusive(|c: char| !(c.is_alphanumeric() || matches!(c, '\'' | '’')))
    {
        let word =
            piece.trim_end_matches(|c: char| !(c.is_alphanumeric() || matches!(c, '\'' | '’')));
        let mark = piece.get(word.len()..).unwrap_or_default();
        let number = word.chars().any(char::is_numeric);
        if word.is_empty() {
            out.push_str(mark);
        } else if number {
            out.push_str(&numbered(word, dice));
            out.push_str(mark);
        } else if word.chars().count() == 1 && !is_generic(word) {
            out.push(dice.upper());
            out.push_str(mark);
        } else if is_generic(word) {
            out.push_str(word);
            out.push_str(mark);
        } else if !named {
            named = true;
            out.push_str(&cased(&town(seen, dice), word));
            out.push_str(mark);
        } else if !mark.trim().is_empty() || piece == word {
            // A name of several words becomes one word, and the space before the others goes.
            out.truncate(out.trim_end().len());
            out.push_str(mark);
        }
    }
    if !named && !out.chars().any(char::is_numeric) {
        // `Medical Center` is told from others by a name.
        out.insert(0, ' ');
        out.insert_str(0, &town(seen, dice));
    }
    out
}

fn is_generic(word: &str) -> bool {
    GENERIC.iter().any(|it| it.eq_ignore_ascii_case(word))
}

/// Other digits, none of them a leading zero; the end of an ordinal fits its number.
fn numbered(word: &str, dice: Dice<'_>) -> String {
    let ordinal = ["st", "nd", "rd", "th"].iter().any(|it| word.to_lowercase().ends_with(it));
    let mut out = String::with_capacity(word.len());
    for c in word.chars() {
        let digit = if out.is_empty() { dice.pick(b"123456789") } else { dice.pick(b"456789") };
        if c.is_numeric() {
            out.push(digit.map_or('4', char::from));
        } else if ordinal {
            break;
        } else {
            out.push(if c.is_alphabetic() { dice.upper() } else { c });
        }
    }
    if ordinal {
        let end = match out.as_str() {
            "1" => "st",
            "2" => "nd",
            "3" => "rd",
            _ => "th",
        };
        out.push_str(end);
    }
    out
}

fn town(seen: &mut Seen, dice: Dice<'_>) -> String {
    let draw = |more: &str| {
        let (begin, end) = (dice.pick(&BEGINNINGS), dice.pick(&ENDS));
        format!("{}{}{more}", begin.unwrap_or("Oak"), end.unwrap_or("ton"))
    };
    for _ in 0..MAX_DRAWS {
        let made = draw("");
        if seen.take_word(&made) {
            return made;
        }
    }
    // A document with hundreds of places: longer names.
    let more = dice.pick(&ENDS).unwrap_or("ton");
    let made = draw(more);
    seen.take_word(&made);
    made
}
