//! Cuts text into words, numbers and marks, and says what each word is a cue for.

use super::cue::{self, Cues};
use super::entry::Entry;
use std::cell::Cell;

/// What a token is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Letters, with apostrophes inside: `O'Brien`.
    Word,
    /// The ending `'s`.
    Possessive,
    /// Digits alone.
    Digits,
    /// Letters and digits: `A1c`, `12B`.
    Mixed,
    /// One mark; a non-ASCII one counts as `0`.
    Mark(u8),
    /// No token: beyond either end.
    Edge,
}

/// How a word is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    /// `word`, and everything that is not a word.
    Lower,
    /// `Word`, `McDonald`.
    Capital,
    /// `WORD`.
    Upper,
    /// `W`.
    Initial,
}

/// What stands before a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Gap {
    /// Nothing.
    None,
    /// One space.
    Space,
    /// A tab, or several spaces, as between columns.
    Wide,
    /// A line break, or the start of the text.
    Line,
}

/// One token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    /// First byte.
    pub(crate) start: usize,
    /// The byte after the last.
    pub(crate) end: usize,
    /// See [`Kind`].
    pub(crate) kind: Kind,
    /// See [`Case`].
    pub(crate) case: Case,
    /// See [`Gap`].
    pub(crate) gap: Gap,
    /// What the word is a cue for.
    pub(crate) cues: u64,
}

/// Stands for every token that is not there.
static EDGE: Token =
    Token { start: 0, end: 0, kind: Kind::Edge, case: Case::Lower, gap: Gap::Line, cues: 0 };

impl Token {
    /// Whether the word is one of these cues.
    pub(crate) const fn is(&self, cues: u64) -> bool {
        self.cues & cues != 0
    }

    /// Whether it is this mark.
    pub(crate) fn is_mark(&self, mark: u8) -> bool {
        self.kind == Kind::Mark(mark)
    }

    /// Whether it is one of these marks.
    pub(crate) fn is_any_mark(&self, marks: &[u8]) -> bool {
        matches!(self.kind, Kind::Mark(m) if m != 0 && marks.contains(&m))
    }

    /// Whether it is a word that begins with a capital.
    pub(crate) fn is_capital(&self) -> bool {
        self.kind == Kind::Word && matches!(self.case, Case::Capital | Case::Upper)
    }

    /// Whether it is a word of two letters or more, all capitals.
    pub(crate) fn is_upper(&self) -> bool {
        self.kind == Kind::Word && self.case == Case::Upper
    }

    /// Whether it is a word in lower case.
    pub(crate) fn is_lower(&self) -> bool {
        self.kind == Kind::Word && self.case == Case::Lower
    }
}

/// A text and its tokens.
pub(crate) struct Block<'a> {
    /// The text.
    pub(crate) text: &'a str,
    /// Its tokens, in order.
    tokens: Vec<Token>,
    /// What the lists know of each word, once it was asked: several layers ask for the same word.
    entries: Vec<Cell<Option<Entry>>>,
}

impl<'a> Block<'a> {
    /// Cuts a text into tokens.
    pub(crate) fn new(text: &'a str, cues: &Cues) -> Self {
        let mut cutter = Cutter { text, at: 0, gap: Gap::Line };
        let mut tokens = Vec::with_capacity(text.len() / 4 + 4);
        while let Some(mut token) = cutter.next() {
            if token.kind == Kind::Word {
                token.cues = cues.of(text.get(token.start..token.end).unwrap_or_default());
            }
            tokens.push(token);
        }
        let entries = vec![Cell::new(None); tokens.len()];
        Self { text, tokens, entries }
    }

    /// What the lists know of the word at a place; `look` is asked once for each place.
    pub(super) fn entry(&self, i: usize, look: impl FnOnce(&str) -> Entry) -> Entry {
        let Some(known) = self.entries.get(i) else { return Entry::default() };
        known.get().unwrap_or_else(|| {
            let entry = look(self.str(i));
            known.set(Some(entry));
            entry
        })
    }

    /// Number of tokens.
    pub(crate) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// The token at a place; an edge for every place outside, so that looking around is simple.
    pub(crate) fn at(&self, i: usize) -> &Token {
        self.tokens.get(i).unwrap_or(&EDGE)
    }

    /// The token `back` places before.
    pub(crate) fn before(&self, i: usize, back: usize) -> &Token {
        i.checked_sub(back).map_or(&EDGE, |k| self.at(k))
    }

    /// The text of a token.
    pub(crate) fn str(&self, i: usize) -> &'a str {
        let token = self.at(i);
        self.text.get(token.start..token.end).unwrap_or_default()
    }

    /// Whether the token's text is this word, in any case.
    pub(crate) fn word_is(&self, i: usize, words: &[&str]) -> bool {
        let text = self.str(i);
        words.iter().any(|w| w.eq_ignore_ascii_case(text))
    }

    /// The first token that starts at this byte or after it.
    pub(crate) fn token_at(&self, byte: usize) -> usize {
        self.tokens.partition_point(|t| t.start < byte)
    }

    /// Whether exactly one line break stands before a token, as where a line wraps.
    pub(crate) fn wraps(&self, i: usize) -> bool {
        let from = self.before(i, 1).end;
        let gap = self.text.get(from..self.at(i).start).unwrap_or_default();
        i > 0
            && self.at(i).gap == Gap::Line
            && gap.bytes().filter(|b| *b == b'\n').count() + gap.matches("\\n").count() == 1
    }

    /// Whether a token begins a sentence, a line or a list item.
    pub(crate) fn starts_sentence(&self, i: usize) -> bool {
        let token = self.at(i);
        if token.gap >= Gap::Line {
            return true;
        }
        let mut before = self.before(i, 1);
        if before.is_any_mark(b"\"'(*-[") {
            before = if before.gap >= Gap::Line { &EDGE } else { self.before(i, 2) };
        }
        before.kind == Kind::Edge || before.is_any_mark(b".!?:;")
    }
}

struct Cutter<'a> {
    text: &'a str,
    at: usize,
    gap: Gap,
}

impl Cutter<'_> {
    fn byte(&self, i: usize) -> u8 {
        self.text.as_bytes().get(i).copied().unwrap_or(0)
    }

    fn char_at(&self, i: usize) -> Option<char> {
        self.text.get(i..).and_then(|rest| rest.chars().next())
    }

    fn next(&mut self) -> Option<Token> {
        self.skip_space();
        let start = self.at;
        let byte = *self.text.as_bytes().get(start)?;
        let gap = std::mem::replace(&mut self.gap, Gap::None);
        let c = if byte.is_ascii() { char::from(byte) } else { self.char_at(start)? };
        if c.is_alphanumeric() {
            let (kind, case) = self.run();
            return Some(Token { start, end: self.at, kind, case, gap, cues: 0 });
        }
        if byte == b'\'' && gap == Gap::None && self.is_possessive(start) {
            self.at = start + 2;
            let kind = Kind::Possessive;
            return Some(Token { start, end: self.at, kind, case: Case::Lower, gap, cues: 0 });
        }
        self.at = start + c.len_utf8();
        let kind = Kind::Mark(if byte.is_ascii() { byte } else { 0 });
        Some(Token { start, end: self.at, kind, case: Case::Lower, gap, cues: 0 })
    }

    fn is_possessive(&self, quote: usize) -> bool {
        matches!(self.byte(quote + 1), b's' | b'S')
            && !self.char_at(quote + 2).is_some_and(char::is_alphanumeric)
    }

    /// Passes white space, and the written form of line breaks inside JSON strings.
    fn skip_space(&mut self) {
        loop {
            let (step, gap) = match self.byte(self.at) {
                b' ' => (1, Gap::Space),
                b'\t' => (1, Gap::Wide),
                b'\n' | b'\r' | 0x0b | 0x0c => (1, Gap::Line),
                b'\\' => match self.byte(self.at + 1) {
                    b'n' | b'r' => (2, Gap::Line),
                    b't' => (2, Gap::Wide),
                    _ => return,
                },
                _ => return,
            };
            self.gap = match (self.gap, gap) {
                (Gap::Space, Gap::Space) => Gap::Wide,
                (a, b) => a.max(b),
            };
            self.at += step;
        }
    }

    /// Reads a run of letters and digits from here.
    fn run(&mut self) -> (Kind, Case) {
        let (mut letters, mut digits, mut upper, mut lower) = (0_u32, 0_u32, 0_u32, 0_u32);
        let mut first_upper = false;
        let mut i = self.at;
        loop {
            let byte = self.byte(i);
            if byte.is_ascii_lowercase() {
                letters += 1;
                lower += 1;
                i += 1;
            } else if byte.is_ascii_uppercase() {
                first_upper |= letters == 0;
                letters += 1;
                upper += 1;
                i += 1;
            } else if byte.is_ascii_digit() {
                digits += 1;
                i += 1;
            } else if byte == b'\'' {
                let inside = letters > 0
                    && digits == 0
                    && self.char_at(i + 1).is_some_and(char::is_alphabetic)
                    && !self.is_possessive(i);
                if !inside {
                    break;
                }
                i += 1;
            } else if byte >= 0x80 {
                let Some(c) = self.char_at(i).filter(|c| c.is_alphanumeric() || is_mark(*c)) else {
                    break;
                };
                if c.is_numeric() {
                    digits += 1;
                } else {
                    first_upper |= letters == 0 && c.is_uppercase();
                    letters += 1;
                    upper += u32::from(c.is_uppercase());
                    lower += u32::from(c.is_lowercase());
                }
                i += c.len_utf8();
            } else {
                break;
            }
        }
        self.at = i;
        let kind = match (letters, digits) {
            (0, _) => Kind::Digits,
            (_, 0) => Kind::Word,
            _ => Kind::Mixed,
        };
        let case = match (first_upper, upper, lower) {
            (true, 1, 0) if letters == 1 => Case::Initial,
            (true, _, 0) => Case::Upper,
            (true, ..) => Case::Capital,
            _ => Case::Lower,
        };
        (kind, case)
    }
}

/// Combining marks continue a word.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{0300}'..='\u{036f}')
}

/// A phrase of a few words, lower case, one space between, for lookups.
#[derive(Clone, Copy)]
pub(crate) struct Phrase {
    bytes: [u8; Self::MAX],
    len: usize,
}

impl Phrase {
    /// The longest phrase in any table is shorter.
    const MAX: usize = 64;

    /// No words yet.
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; Self::MAX], len: 0 }
    }

    /// Adds a word; `false` when it does not fit.
    pub(crate) fn push(&mut self, word: &[u8]) -> bool {
        let gap = usize::from(self.len > 0);
        let end = self.len + gap + word.len();
        if end > Self::MAX || word.is_empty() {
            return false;
        }
        if gap == 1
            && let Some(space) = self.bytes.get_mut(self.len)
        {
            *space = b' ';
        }
        let Some(room) = self.bytes.get_mut(self.len + gap..end) else { return false };
        room.copy_from_slice(word);
        room.make_ascii_lowercase();
        self.len = end;
        true
    }

    /// Adds bytes to the last word.
    pub(crate) fn push_joined(&mut self, bytes: &[u8]) -> bool {
        let end = self.len + bytes.len();
        let Some(room) = self.bytes.get_mut(self.len..end) else { return false };
        room.copy_from_slice(bytes);
        self.len = end;
        true
    }

    /// The bytes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// Whether a token may stand between a label and its value.
pub(crate) fn is_connector(token: &Token) -> bool {
    token.is(cue::CONNECT) || token.is_any_mark(b":#=-([\"'*.>")
}
