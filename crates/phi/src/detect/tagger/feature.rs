//! What the tagger sees of each token: the rows of one table that are added up.
//!
//! A word of the dictionary has a row of its own (by hash), so that contexts are learnt by word. A
//! word in no dictionary has rows for its beginning and end instead, and every word has rows for what
//! the lists say of it, so that no name is learnt by heart.

use crate::detect::cue;
use crate::detect::entry::Entry;
use crate::detect::letters::Plain;
use crate::detect::lexicon::Lexicon;
use crate::detect::token::{Block, Case, Gap, Kind, Token};
use crate::{Class, Finding};

/// Rows for words, marks and shapes, by hash.
const WORDS: u32 = 32_768;
/// Rows for the beginnings and ends of words, by hash, for each of the three.
const AFFIXES: u32 = 4_096;
/// The first row after those by hash.
const FIXED: u32 = WORDS + 3 * AFFIXES;

/// First row of each group of fixed rows.
const GIVEN: u32 = FIXED;
const SURNAME: u32 = GIVEN + 64;
const FLAGS: u32 = SURNAME + 64;
const PLACE: u32 = FLAGS + 8;
const FORM: u32 = PLACE + 4;
const GAP: u32 = FORM + 16;
const CUES: u32 = GAP + 8;
const LENGTH: u32 = CUES + 64;
const NUMBER: u32 = LENGTH + 16;
const FOUND: u32 = NUMBER + 32;
const STYLE: u32 = FOUND + 64;
const PHRASE: u32 = STYLE + 8;

/// Rows of the table.
pub(crate) const ROWS: u32 = PHRASE + 8;

/// The rows of the tokens of a block.
#[derive(Debug, Default)]
pub(crate) struct Features {
    rows: Vec<u16>,
    ends: Vec<u32>,
}

impl Features {
    /// Number of tokens.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The rows of a token, below [`ROWS`].
    pub(crate) fn of(&self, i: usize) -> &[u16] {
        let end = self.ends.get(i).copied().unwrap_or(0) as usize;
        let start = i.checked_sub(1).and_then(|k| self.ends.get(k)).copied().unwrap_or(0) as usize;
        self.rows.get(start..end).unwrap_or_default()
    }

    /// Whether the lists know a word as one that stands for a disease, a sign or a device.
    pub(crate) fn is_eponym(&self, i: usize) -> bool {
        u16::try_from(FLAGS + 1).is_ok_and(|row| self.of(i).contains(&row))
    }

    /// Looks at every token of a block; `found` are the findings of the layers that read numbers.
    pub(crate) fn new(block: &Block<'_>, lexicon: &Lexicon, found: &[Finding]) -> Self {
        let mut this = Self {
            rows: Vec::with_capacity(block.len() * 10),
            ends: Vec::with_capacity(block.len()),
        };
        let marks = Found::new(block, found);
        let mut line = Line::default();
        let mut phrase_end = 0;
        let mut phrase_row = 0;
        for i in 0..block.len() {
            let token = block.at(i);
            if i == line.end {
                line = Line::at(block, i);
            }
            let mut push = |row: u32| this.rows.push(u16::try_from(row).unwrap_or(u16::MAX));
            push(FORM + form(token));
            push(GAP + gap(token) + if block.starts_sentence(i) { 4 } else { 0 });
            if line.style > 0 {
                push(STYLE + line.style);
            }
            match token.kind {
                Kind::Word => {
                    let entry = lexicon.word_at(block, i);
                    word(block.str(i), token, entry, &mut push);
                    if i >= phrase_end
                        && token.case != Case::Lower
                        && let Some((end, entry)) = lexicon.phrase(block, i)
                    {
                        phrase_end = end;
                        phrase_row = if entry.is_facility() { 2 } else { 0 };
                        push(PHRASE + phrase_row);
                    } else if i < phrase_end {
                        push(PHRASE + phrase_row + 1);
                    }
                }
                Kind::Digits => digits(block.str(i), &mut push),
                Kind::Mixed => push(hash(&shape(block.str(i))) % WORDS),
                Kind::Mark(_) => push(hash(block.str(i).as_bytes()) % WORDS),
                Kind::Possessive | Kind::Edge => {}
            }
            if let Some(row) = marks.of(i) {
                push(FOUND + row);
            }
            this.ends.push(u32::try_from(this.rows.len()).unwrap_or(u32::MAX));
        }
        this
    }
}

fn word(text: &str, token: &Token, entry: Entry, push: &mut impl FnMut(u32)) {
    let Some(plain) = Plain::of(text) else {
        push(hash(b"\x01foreign") % WORDS);
        return;
    };
    let bytes = plain.as_bytes();
    let ordinary = entry.word() > 0
        || entry.is_medical()
        || token.cues != 0
        || (entry.is_abbreviation() && entry.given() < 3 && entry.surname() < 3);
    if ordinary {
        push(hash(bytes) % WORDS);
    } else {
        let n = bytes.len();
        let head = bytes.get(..n.min(3)).unwrap_or_default();
        let tail = bytes.get(n.saturating_sub(3)..).unwrap_or_default();
        let short = bytes.get(n.saturating_sub(2)..).unwrap_or_default();
        push(WORDS + hash(head) % AFFIXES);
        push(WORDS + AFFIXES + hash(tail) % AFFIXES);
        push(WORDS + 2 * AFFIXES + hash(short) % AFFIXES);
        push(LENGTH + u32::try_from(n.min(15)).unwrap_or(15));
    }
    push(GIVEN + entry.given() * 8 + entry.word());
    push(SURNAME + entry.surname() * 8 + entry.word());
    if entry.place() > 0 {
        push(PLACE + entry.place());
    }
    for (k, flag) in
        [entry.is_medical(), entry.is_eponym(), entry.is_abbreviation(), !entry.is_known()]
            .into_iter()
            .enumerate()
    {
        if flag {
            push(FLAGS + u32::try_from(k).unwrap_or(0));
        }
    }
    let mut cues = token.cues;
    while cues != 0 {
        push(CUES + cues.trailing_zeros());
        cues &= cues - 1;
    }
}

/// Numbers by length and size, never by value: `1962` is a year, `7` could be a month.
fn digits(text: &str, push: &mut impl FnMut(u32)) {
    let length = u32::try_from(text.len().min(15)).unwrap_or(15);
    push(NUMBER + length);
    if text.len() <= 4
        && let Ok(value) = text.parse::<u32>()
    {
        let size = match value {
            0 => 0,
            1..=12 => 1,
            13..=31 => 2,
            32..=59 => 3,
            60..=99 => 4,
            100..=299 => 5,
            1880..=1999 => 6,
            2000..=2039 => 7,
            _ => 8,
        };
        push(NUMBER + 16 + size);
    }
}

/// `A1c` is `a0a`: letters and digits by kind, runs folded.
fn shape(text: &str) -> Vec<u8> {
    let mut out = vec![2];
    for c in text.chars() {
        let kind = if c.is_ascii_digit() {
            b'0'
        } else if c.is_uppercase() {
            b'A'
        } else {
            b'a'
        };
        let run = out.iter().rev().take_while(|k| **k == kind).count();
        if run < 3 {
            out.push(kind);
        }
    }
    out
}

const fn form(token: &Token) -> u32 {
    match (token.kind, token.case) {
        (Kind::Word, Case::Lower) => 0,
        (Kind::Word, Case::Capital) => 1,
        (Kind::Word, Case::Upper) => 2,
        (Kind::Word, Case::Initial) => 3,
        (Kind::Possessive, _) => 4,
        (Kind::Digits, _) => 5,
        (Kind::Mixed, Case::Lower) => 6,
        (Kind::Mixed, _) => 7,
        (Kind::Mark(0), _) => 8,
        (Kind::Mark(_), _) => 9,
        (Kind::Edge, _) => 10,
    }
}

const fn gap(token: &Token) -> u32 {
    match token.gap {
        Gap::None => 0,
        Gap::Space => 1,
        Gap::Wide => 2,
        Gap::Line => 3,
    }
}

/// How the line around a token is written.
#[derive(Default)]
struct Line {
    end: usize,
    /// `1` all in capitals, `2` none, `3` a capital on nearly every word, `0` as usual.
    style: u32,
}

impl Line {
    /// Longer lines are judged by their beginning.
    const MAX: usize = 400;

    fn at(block: &Block<'_>, start: usize) -> Self {
        let (mut words, mut upper, mut capital) = (0_u32, 0_u32, 0_u32);
        let mut end = start;
        while end < block.len() && end < start + Self::MAX {
            let token = block.at(end);
            if end > start && token.gap >= Gap::Line {
                break;
            }
            if token.kind == Kind::Word && token.case != Case::Initial {
                words += 1;
                upper += u32::from(token.case == Case::Upper);
                capital += u32::from(token.case == Case::Capital);
            }
            end += 1;
        }
        let style = if words >= 2 && upper * 10 >= words * 7 {
            1
        } else if words >= 4 && upper + capital == 0 {
            2
        } else if words >= 3 && (capital + upper) * 10 >= words * 8 {
            3
        } else {
            0
        };
        Self { end, style }
    }
}

/// What the layers that read numbers found, by token.
struct Found(Vec<u8>);

impl Found {
    fn new(block: &Block<'_>, found: &[Finding]) -> Self {
        let mut rows = vec![0_u8; if found.is_empty() { 0 } else { block.len() }];
        for f in found {
            let group = match f.class {
                Class::Date => 1,
                Class::Age => 2,
                Class::Phone | Class::Fax => 3,
                Class::Email | Class::Url | Class::Ip => 4,
                Class::Ssn
                | Class::Mrn
                | Class::HealthPlanId
                | Class::Account
                | Class::License
                | Class::Vehicle
                | Class::DeviceId
                | Class::Biometric
                | Class::Photo
                | Class::OtherId => 5,
                Class::Name | Class::Location | Class::Profession => continue,
            };
            let sure = match f.confidence.as_percent() {
                0..60 => 0,
                60..80 => 1,
                80.. => 2,
            };
            let from = block.token_at(f.start);
            let to = block.token_at(f.end).max(from + 1);
            for row in rows.iter_mut().take(to).skip(from) {
                *row = (*row).max(group * 4 + sure);
            }
        }
        Self(rows)
    }

    fn of(&self, i: usize) -> Option<u32> {
        self.0.get(i).filter(|row| **row > 0).map(|row| u32::from(*row))
    }
}

/// FNV-1a.
fn hash(bytes: &[u8]) -> u32 {
    let h =
        bytes.iter().fold(0x811c_9dc5_u32, |h, b| (h ^ u32::from(*b)).wrapping_mul(0x0100_0193));
    h ^ (h >> 15)
}

/// The names of the cues take one row each.
const _: () = assert!(cue::SINCE.trailing_zeros() < 64 && ROWS < u16::MAX as u32);
