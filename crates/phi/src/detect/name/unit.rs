//! The words of which names are made.

use super::around::Left;
use crate::detect::cue;
use crate::detect::entry::Entry;
use crate::detect::lexicon::Lexicon;
use crate::detect::token::{Block, Case, Gap, Kind};

/// The most words in one name: title and credentials are outside.
const MAX_LOWER_UNITS: usize = 3;
/// The same for text with capitals.
const MAX_UNITS: usize = 6;

/// One word, compound or initial of a name.
#[expect(clippy::struct_excessive_bools, reason = "each answers a question of its own")]
#[derive(Clone, Copy)]
pub(super) struct Unit {
    /// First token.
    pub(super) first: usize,
    /// The token after the last.
    pub(super) end: usize,
    pub(super) initial: bool,
    /// Log-odds of a given name against an ordinary word, in tenths.
    pub(super) given: i32,
    /// The same for a surname.
    pub(super) surname: i32,
    pub(super) entry: Entry,
    pub(super) upper: bool,
    /// A device, a sign or a heading that looks like a name.
    pub(super) not_name: bool,
    /// A state or a country.
    pub(super) region: bool,
}

impl Unit {
    /// Not an ordinary word, not a medical one.
    pub(super) fn is_rare(&self) -> bool {
        self.entry.word() == 0 && !self.entry.is_medical()
    }

    /// In no list at all.
    pub(super) fn is_unknown(&self) -> bool {
        !self.initial && !self.entry.is_known()
    }

    pub(super) fn best(&self) -> i32 {
        self.given.max(self.surname)
    }

    pub(super) fn is_given(&self) -> bool {
        let common = self.given >= 0 && self.entry.given() >= 5;
        !self.initial && (self.given >= 8 || common || (self.is_rare() && self.entry.given() >= 2))
    }

    pub(super) fn is_surname(&self) -> bool {
        !self.initial && (self.surname >= 6 || (self.is_rare() && self.entry.surname() >= 1))
    }
}

/// Collects the words that could make one name.
pub(super) fn chain(
    block: &Block<'_>,
    lexicon: &Lexicon,
    start: usize,
    left: Left,
    lower: bool,
) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::new();
    let mut i = start;
    let most = if lower { MAX_LOWER_UNITS } else { MAX_UNITS };
    while units.len() < most {
        let token = block.at(i);
        // Without capitals nothing shows where a name ends but the next ordinary word.
        if lower
            && token.is(!(cue::PARTICLE | cue::STATE | cue::PERSON | cue::NOT_NAME))
            && !units.is_empty()
        {
            break;
        }
        if !units.is_empty() && token.gap > Gap::Space {
            break;
        }
        if !units.is_empty()
            && let Some(next) = particles(block, i, lower)
        {
            i = next;
            continue;
        }
        if let Some(after) = nickname(block, i).filter(|_| !units.is_empty()) {
            i = after;
            continue;
        }
        let Some(unit) = unit(block, lexicon, i, left.strength, lower, units.last()) else {
            break;
        };
        if lower && (unit.entry.is_abbreviation() || unit.entry.word() > 4 && unit.best() < 5) {
            break;
        }
        i = unit.end;
        units.push(unit);
    }
    units
}

/// Passes `van der` inside a name, when a capital (or any word, in lower-case text) follows.
pub(super) fn particles(block: &Block<'_>, i: usize, lower: bool) -> Option<usize> {
    let mut k = i;
    while k < i + 3
        && block.at(k).is(cue::PARTICLE)
        && block.at(k).gap <= Gap::Space
        && block.at(k).is_lower()
    {
        k += 1;
    }
    let follows = block.at(k).is_capital() || (lower && block.at(k).kind == Kind::Word);
    (k > i && follows && block.at(k).gap <= Gap::Space).then_some(k)
}

/// Passes `"Bob"` or `(Bob)` between two words of a name.
pub(super) fn nickname(block: &Block<'_>, i: usize) -> Option<usize> {
    let closed = (block.at(i).is_mark(b'"') && block.at(i + 2).is_mark(b'"'))
        || (block.at(i).is_mark(b'(') && block.at(i + 2).is_mark(b')'))
        || (block.at(i).is_mark(b'\'') && block.at(i + 2).is_mark(b'\''));
    let word = block.at(i + 1);
    (closed
        && word.case == Case::Capital
        && word.gap == Gap::None
        && block.at(i + 3).is_capital()
        && block.at(i + 3).gap == Gap::Space)
        .then_some(i + 3)
}

pub(super) fn unit(
    block: &Block<'_>,
    lexicon: &Lexicon,
    i: usize,
    left: u8,
    lower: bool,
    before: Option<&Unit>,
) -> Option<Unit> {
    let token = block.at(i);
    if token.kind != Kind::Word {
        return None;
    }
    if token.case == Case::Initial {
        return initial(block, i, before);
    }
    if token.case == Case::Lower && !lower {
        return None;
    }
    let mut entry = lexicon.word_at(block, i);
    let (mut given, mut surname) = (entry.given_odds(), entry.surname_odds());
    let mut end = i + 1;
    // `Anne-Marie`, `Garcia-Lopez`: as good as the better half.
    while block.at(end).is_mark(b'-')
        && block.at(end).gap == Gap::None
        && block.at(end + 1).gap == Gap::None
        && (block.at(end + 1).is_capital() || (lower && block.at(end + 1).is_lower()))
        && end < i + 6
    {
        let half = lexicon.word_at(block, end + 1);
        if half.is_medical() && half.given_odds().max(half.surname_odds()) < 0
            || half.is_abbreviation() && half.given() == 0 && half.surname() == 0
        {
            return None;
        }
        given = given.max(half.given_odds());
        surname = surname.max(half.surname_odds());
        if half.word() < entry.word() || !entry.is_known() {
            entry = half;
        }
        end += 2;
    }
    // The other half of a compound that is no name: `John-like`.
    if block.at(end).is_mark(b'-')
        && block.at(end).gap == Gap::None
        && block.at(end + 1).gap == Gap::None
        && block.at(end + 1).kind == Kind::Word
    {
        return None;
    }
    let unit = Unit {
        first: i,
        end,
        initial: false,
        given,
        surname,
        entry,
        upper: token.case == Case::Upper,
        not_name: token.is(cue::NOT_NAME | cue::WEEKDAY),
        region: token.is(cue::NATION | cue::STATE),
    };
    possible(block, &unit, left, before).then_some(unit)
}

pub(super) fn initial(block: &Block<'_>, i: usize, before: Option<&Unit>) -> Option<Unit> {
    let dot = block.at(i + 1).is_mark(b'.') && block.at(i + 1).gap == Gap::None;
    let next = block.at(i + 1 + usize::from(dot));
    // A letter alone is a grade, a vitamin or the pronoun; before a name it has a dot.
    let first = before.is_none();
    if first && (!dot || !(next.is_capital() || next.case == Case::Initial)) {
        return None;
    }
    if !dot && (block.word_is(i, &["I"]) || block.at(i + 1).is_any_mark(b"-'+=/%")) && !first {
        return None;
    }
    if before.is_some_and(|u| !u.initial && u.best() < 0 && !u.is_unknown()) {
        return None;
    }
    Some(Unit {
        first: i,
        end: i + 1 + usize::from(dot),
        initial: true,
        given: 0,
        surname: 0,
        entry: Entry::default(),
        upper: false,
        not_name: false,
        region: false,
    })
}

/// Whether a word may stand in a name at all.
pub(super) fn possible(block: &Block<'_>, unit: &Unit, left: u8, before: Option<&Unit>) -> bool {
    let called = left >= 3;
    let strong = called && before.is_none();
    let titled = left >= 4;
    let token = block.at(unit.first);
    let best = unit.best();
    if token.is(cue::TITLE | cue::WEEKDAY) || (token.is(cue::CREDENTIAL) && token.is_upper()) {
        return false;
    }
    let beside =
        called && before.is_some_and(|b| b.entry.given() >= 4) && unit.entry.surname() >= 3;
    let after_name = beside || before.is_some_and(|b| b.initial || b.is_given());
    // `Dr. X. The patient`: the initial ended the sentence.
    if before.is_some_and(|b| b.initial) && unit.entry.word() >= 6 && best < 0 {
        return false;
    }
    if titled && token.case != Case::Lower {
        // After `Dr.` any word with a capital is a name, also `Pizza`; after `Dr. Randy` any word
        // that someone bears.
        let borne = unit.entry.surname() > 0 || unit.entry.given() > 0;
        let heading = block.at(unit.end).is_mark(b':');
        let after_given = after_name || before.is_some_and(|b| b.entry.given() >= 4);
        if before.is_none() && !heading || (after_given && borne) {
            return true;
        }
    }
    if token.is(cue::MONTH | cue::FACILITY | cue::SUFFIX) && !(strong || after_name) {
        return token.is(cue::MONTH) && unit.given >= 10 && block.at(unit.end).is_capital();
    }
    if token.is(cue::FACILITY) {
        return false;
    }
    if token.is(cue::PERSON | cue::EPONYM_TAIL) && best < 8 {
        return false;
    }
    if token.is(cue::STATE) && token.end - token.start == 2 {
        return false;
    }
    if is_contraction(block.str(unit.first)) {
        return false;
    }
    if unit.not_name && best < 0 {
        return false;
    }
    if unit.entry.is_medical()
        && best < 10
        && !(strong && best >= 0)
        && !(beside || after_name && best >= -6)
    {
        return false;
    }
    if !unit.entry.is_known()
        && (looks_medical(block.str(unit.first)) || is_contraction(block.str(unit.first)))
    {
        return false;
    }
    let length = token.end - token.start;
    if unit.upper && unit.entry.is_abbreviation() && length <= 4 && !after_name {
        return false;
    }
    if unit.upper && !unit.entry.is_known() && length <= 4 && !after_name {
        return false;
    }
    if unit.upper && length <= 3 && unit.entry.word() > 0 && best < 10 {
        return false;
    }
    if unit.upper && token.end - token.start <= 2 && unit.entry.surname() < 5 {
        return false;
    }
    if unit.entry.word() > 0 {
        // An ordinary word: only where a title or a name stands before it.
        return best >= -2
            || (strong && best >= -25)
            || (after_name && best >= -8)
            || (beside && best >= -25);
    }
    true
}

/// Whether a word in no list ends as medical words do: `nephrology`, `tendinopathy`.
pub(crate) fn looks_medical(word: &str) -> bool {
    const ENDINGS: &[&str] = &[
        "ology",
        "ologist",
        "ologists",
        "itis",
        "osis",
        "ectomy",
        "ostomy",
        "otomy",
        "emia",
        "pathy",
        "scopy",
        "plasty",
        "iatry",
        "iatrics",
        "graphy",
        "gram",
        "metry",
        "azole",
        "mycin",
        "cillin",
        "statin",
        "pril",
        "sartan",
        "olol",
        "mab",
        "nib",
        "vir",
        "carcinoma",
        "sarcoma",
        "phoma",
        "therapy",
        "genic",
        "static",
        "algia",
        "rrhea",
        "uria",
        "plegia",
        "paresis",
        "megaly",
        "oid",
        "ase",
        "amine",
        "tion",
    ];
    let bytes = word.as_bytes();
    ENDINGS.iter().any(|e| {
        bytes.len() > e.len() + 2
            && bytes
                .get(bytes.len() - e.len()..)
                .is_some_and(|tail| tail.eq_ignore_ascii_case(e.as_bytes()))
    })
}

/// `I'm`, `It'll`.
pub(super) fn is_contraction(word: &str) -> bool {
    let tail = word.rsplit('\'').next().unwrap_or_default();
    tail.len() < word.len()
        && ["m", "ve", "ll", "re", "d", "t"].iter().any(|t| t.eq_ignore_ascii_case(tail))
}
