//! Whether a chain of words is a name.

use super::Style;
use super::around::{Left, is_eponym_use, is_shouted};
use super::unit::{Unit, unit};
use crate::detect::cue;
use crate::detect::lexicon::Lexicon;
use crate::detect::token::{Block, Gap, Kind};

pub(super) struct Verdict {
    pub(super) skip: usize,
    pub(super) end: Option<usize>,
    pub(super) percent: u8,
    pub(super) recogniser: &'static str,
    pub(super) why: &'static str,
}

#[expect(clippy::unnecessary_wraps, reason = "the counterpart of `None` in every judgement")]
pub(super) fn yes(percent: u8, recogniser: &'static str, why: &'static str) -> Option<Verdict> {
    Some(Verdict { skip: 0, end: None, percent, recogniser, why })
}

pub(super) fn judge(block: &Block<'_>, units: &[Unit], left: Left, right: u8) -> Option<Verdict> {
    let (first, last) = (units.first()?, units.last()?);
    if left.strength >= 4 {
        return if first.initial && units.len() == 1 {
            None
        } else {
            yes(96, "name.title", left.why)
        };
    }
    let eponym_use = is_eponym_use(block, last.end);
    if block.at(last.end).is(cue::FACILITY) && block.at(last.end).is_capital() {
        return None;
    }
    match units {
        [one] => judge_one(block, one, left, right, eponym_use),
        _ => judge_many(block, units, left, right, eponym_use, first, last),
    }
}

pub(super) fn judge_one(
    block: &Block<'_>,
    one: &Unit,
    left: Left,
    right: u8,
    eponym_use: bool,
) -> Option<Verdict> {
    if one.initial || eponym_use {
        return None;
    }
    let possessive = block.at(one.end).kind == Kind::Possessive;
    let suspect = one.not_name || one.entry.is_eponym() || one.entry.is_abbreviation() && one.upper;
    let strength = left.strength.max(right);
    if suspect && strength < 3 && !(one.entry.given() >= 5 && one.is_rare() && !one.not_name) {
        return None;
    }
    if suspect && possessive && strength < 4 && one.entry.is_eponym() && one.entry.given() < 5 {
        return None;
    }
    let before = block.before(one.first, 1);
    let placed = before.is(cue::PLACE) && before.is_lower();
    let town = one.region || one.entry.place() >= 2 && (one.entry.given() < 6 || placed);
    // `Theo-24`, `GIA-60`: a product.
    let hyphen = block.at(one.end).is_mark(b'-') && block.at(one.end).gap == Gap::None;
    if hyphen && matches!(block.at(one.end + 1).kind, Kind::Digits | Kind::Mixed) {
        return None;
    }
    let shouted = one.upper && is_shouted(block, one.first);
    if strength >= 3 {
        let named =
            one.is_rare() && (one.best() > 0 || one.is_unknown()) && !(shouted && one.is_unknown());
        let greeted = town && one.entry.given() >= 4 && block.before(one.first, 1).is_mark(b',');
        if (named && (!town || greeted)) || one.best() >= 3 {
            return yes(
                85,
                "name.cue",
                if left.strength >= 3 { left.why } else { "credential after it" },
            );
        }
        return None;
    }
    let acts = block.at(one.end).is(cue::ACT) && block.at(one.end).is_lower();
    let addressed = left.strength == 2 && block.before(one.first, 1).is(cue::CALL);
    let bearer = one.entry.given() >= 4 || one.entry.surname() >= 5;
    if (acts || addressed) && bearer && !shouted && !one.not_name && one.entry.word() < 7 {
        return yes(72, "name.cue", if acts { "what a person does after it" } else { left.why });
    }
    if town {
        return None;
    }
    if strength == 2 {
        let named = one.is_rare() && one.best() >= 20 && !shouted;
        let odd = one.is_unknown()
            && !one.upper
            && !block.starts_sentence(one.first)
            && left.strength == 2;
        if named || (one.best() >= 8 && !block.starts_sentence(one.first)) || odd {
            let why = if left.strength == 2 { left.why } else { "what a person does after it" };
            return yes(70, "name.cue", why);
        }
    }
    let start = block.starts_sentence(one.first);
    let settled = one.entry.place() < 2 || (one.entry.given() >= 6 && !placed);
    let common_given = one.is_rare() && one.entry.given() >= 4 && settled;
    if common_given && !shouted && !(one.upper && one.entry.is_abbreviation()) {
        return yes(if start { 50 } else { 60 }, "name.gazetteer", "given name, no ordinary word");
    }
    let likely = one.given >= 10 && one.entry.given() >= 6 && settled && !start && !shouted;
    if likely {
        return yes(55, "name.gazetteer", "given name, seldom an ordinary word");
    }
    let surname = one.is_rare()
        && one.entry.surname() >= 4
        && one.entry.place() < 2
        && !start
        && !shouted
        && !one.upper;
    if surname && (left.strength == 1 || possessive) {
        return yes(45, "name.gazetteer", "surname, no ordinary word");
    }
    None
}

pub(super) fn judge_many(
    block: &Block<'_>,
    units: &[Unit],
    left: Left,
    right: u8,
    eponym_use: bool,
    first: &Unit,
    last: &Unit,
) -> Option<Verdict> {
    let strength = left.strength.max(right);
    let given_first = first.is_given();
    let suspect = |u: &Unit| u.not_name || (u.entry.is_eponym() && u.entry.surname() < 6);
    let all_suspect = units.iter().filter(|u| !u.initial).all(suspect);
    if eponym_use && (all_suspect || !given_first) {
        return None;
    }
    if all_suspect && strength < 2 && !(given_first && first.entry.given() >= 5) {
        return None;
    }
    let shouted =
        first.upper && is_shouted(block, first.first) && units.iter().any(|u| !u.is_rare());
    if shouted && strength < 2 {
        return None;
    }
    let surname_last = last.is_surname() || last.is_unknown() || last.initial || last.surname >= -4;
    let town =
        units.iter().filter(|u| !u.initial).all(|u| u.entry.place() >= 2 && u.entry.given() < 6);
    if given_first && surname_last && !(town && strength < 2) {
        return yes(88, "name.gazetteer", "given name and surname");
    }
    if last.is_given() && (first.is_surname() || first.is_unknown()) && !town {
        return yes(75, "name.gazetteer", "surname and given name");
    }
    if first.initial
        && last.is_surname()
        && !last.initial
        && !last.not_name
        && !last.entry.is_medical()
    {
        return yes(75, "name.gazetteer", "initial and surname");
    }
    let dotted = last.initial && block.before(last.end, 1).is_mark(b'.');
    if dotted
        && units.len() == 2
        && first.surname >= 10
        && first.entry.surname() >= 5
        && !first.not_name
    {
        return yes(66, "name.gazetteer", "surname and initial");
    }
    if strength >= 2
        && units.iter().any(|u| u.is_given() || u.is_surname() || u.is_unknown())
        && !town
    {
        return yes(78, "name.cue", if left.strength >= 2 { left.why } else { "context after it" });
    }
    let rare = units.iter().all(|u| u.initial || (u.is_rare() && !u.upper));
    let known = units.iter().filter(|u| u.is_surname() || u.is_given()).count();
    if rare && known >= 1 && last.is_surname() && !town && !block.starts_sentence(first.first) {
        return yes(62, "name.gazetteer", "two words, no ordinary ones");
    }
    if rare && known >= 2 && !town {
        return yes(58, "name.gazetteer", "two words, no ordinary ones");
    }
    if strength >= 3 && first.entry.given() >= 4 && last.entry.surname() >= 3 {
        return yes(80, "name.cue", if left.strength >= 3 { left.why } else { "context after it" });
    }
    // Two words that no list holds, as names from afar are.
    let plain = units.iter().all(|u| u.initial || (u.is_rare() && !u.upper && !u.not_name));
    let unknown = units.iter().filter(|u| u.is_unknown() || u.is_surname() || u.is_given()).count();
    if plain && unknown >= 2 && !town && units.len() <= 3 {
        return yes(46, "name.unknown", "two words that no list holds");
    }
    // A given name inside: `Patient Will Ann Lee` starts one word late.
    if let Some(skip) = units.iter().skip(1).position(Unit::is_given).map(|p| p + 1) {
        return Some(Verdict {
            skip,
            end: None,
            percent: 60,
            recogniser: "name.gazetteer",
            why: "given name",
        });
    }
    None
}

/// `KOWALCZYK, Agnieszka B.`: the given name after the comma makes the surname before it.
pub(super) fn comma_form(
    block: &Block<'_>,
    lexicon: &Lexicon,
    units: &[Unit],
    left: Left,
) -> Option<Verdict> {
    let last = units.last()?;
    let comma = last.end;
    if units.len() > 2 || !block.at(comma).is_mark(b',') || block.at(comma + 1).gap > Gap::Space {
        return None;
    }
    let given =
        unit(block, lexicon, comma + 1, 0, false, None).filter(|u| !u.initial && !u.not_name)?;
    // `BISAP, APACHE II` are letters of scores: in capitals an unknown word needs more beside it.
    let begins = block.starts_sentence(units.first()?.first) || left.strength >= 2;
    let surname = units.iter().any(|u| u.is_surname() || u.is_unknown() && (!u.upper || begins));
    let shape = last.upper || block.starts_sentence(units.first()?.first) || left.strength >= 2;
    let state = given.region || units.iter().any(|u| u.region);
    if !(surname && given.is_given() && shape && last.entry.place() < 2) || state {
        return None;
    }
    let mut end = given.end;
    if let Some(middle) =
        unit(block, lexicon, end, 0, false, Some(&given)).filter(|u| u.initial || u.is_given())
        && block.at(end).gap <= Gap::Space
    {
        end = middle.end;
    }
    Some(Verdict {
        skip: 0,
        end: Some(end),
        percent: 80,
        recogniser: "name.comma",
        why: "surname, comma, given name",
    })
}

pub(super) fn judge_lower(units: &[Unit], left: Left, right: u8, style: Style) -> Option<Verdict> {
    let first = units.first()?;
    let rare_name = |u: &Unit| {
        u.is_rare()
            && !u.entry.is_abbreviation()
            && (u.entry.given() >= 3 || u.entry.surname() >= 4)
    };
    if left.strength >= 4 {
        let named = first.is_rare() && !first.not_name || first.surname >= 0 || first.given >= 5;
        return if named && first.best() > -20 { yes(85, "name.title", left.why) } else { None };
    }
    for count in (2..=units.len()).rev() {
        let Some(last) = units.get(count - 1) else { continue };
        let given = first.is_given() && first.entry.given() >= 4;
        let listed = last.is_surname() && (last.is_rare() || last.surname >= 8);
        let surname = (listed || (last.is_rare() && count == 2)) && !last.not_name;
        let rare = units.iter().take(count).any(Unit::is_rare) || left.strength >= 2;
        if given && surname && rare {
            return Some(Verdict {
                skip: 0,
                end: Some(last.end),
                percent: 72,
                recogniser: "name.lower",
                why: "given name and surname",
            });
        }
    }
    let cue = left.strength.max(right);
    let one = rare_name(first)
        && !first.not_name
        && (first.entry.given() >= 5 || (first.entry.place() < 2 && !first.entry.is_eponym()));
    let called = left.strength >= 3 && first.given >= 7 && !first.not_name;
    if called
        || one
            && first.entry.given() >= 3
            && (left.strength >= 2 || (style.lower && cue >= 1 && first.entry.given() >= 5))
    {
        return Some(Verdict {
            skip: 0,
            end: Some(first.end),
            percent: 65,
            recogniser: "name.lower",
            why: "name in lower case",
        });
    }
    None
}
