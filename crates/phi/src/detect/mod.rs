//! The detector: layers that each find candidates, and one place that chooses among them.
//!
//! | layer | module | finds by |
//! |---|---|---|
//! | structure | `structure`, `value`, `field` | names of JSON and XML fields, HL7 v2 positions, columns, `Label: value` |
//! | numbers | `number`, `shape`, `date`, `checksum` | form, check digits, labels by whole word |
//! | names, places | `name`, `place`, `lexicon` | word lists weighed against ordinary words, cues |
//! | scout, judge | `tagger` | two small trained networks: words and those around them |
//! | document | `resolve` | what was found once is found everywhere |
//!
//! Every layer reads each token a bounded number of times, so the cost is linear in the text.

mod checksum;
mod cue;
mod date;
mod entry;
mod field;
mod fold;
mod label;
mod layers;
mod letters;
mod lexicon;
mod name;
mod number;
mod place;
mod resolve;
mod roster;
mod self_test;
mod shape;
mod structure;
pub(crate) mod tagger;
#[cfg(test)]
mod tests;
mod token;
mod value;

use crate::Finding;
use cue::Cues;
pub(crate) use fold::Folded;
use label::{Field, Labels};
pub use layers::Layers;
use lexicon::Lexicon;
use resolve::Known;
pub use roster::{MAX_ROSTER_VALUES, Roster, UnusableRoster};
use std::panic::AssertUnwindSafe;
use structure::{Decoded, Escape, Value};
use tagger::Tagger;
use token::Block;

/// One piece of text to scan, with the label under which it stands, if any.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// The text.
    pub text: &'a str,
    /// The name of the JSON field, column or form field that holds it: `family`, `mrn`.
    pub label: Option<&'a str>,
}

/// The detector cannot vouch for the whole text, so nothing of it may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unscannable {
    /// More bytes than one scan reads.
    #[error("the text has {bytes} bytes, more than the {limit} that one scan reads")]
    TooLong {
        /// Bytes of text.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The detector's own test did not find what it must find.
    #[error("the detector did not pass its self-test")]
    SelfTest,
    /// The scan broke off, because of a defect.
    #[error("the detector broke off in the middle of the text")]
    BrokeOff,
}

/// The most bytes that one scan reads, over all parts.
///
/// It bounds the memory of a scan: folded text and findings, not tokens, grow with it.
pub const MAX_SCAN_BYTES: usize = 8 * 1024 * 1024;

/// Text is read in blocks of about this size, so that tokens take bounded memory.
const BLOCK_BYTES: usize = 64 * 1024;

/// The longest dose, code or unit.
const MAX_CODE_BYTES: usize = 80;

/// A token as the tagger sees it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// First byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
    /// Rows of the tagger's table, each below [`Seen::ROWS`].
    pub rows: Vec<u16>,
}

impl Seen {
    /// Rows of the tagger's table.
    pub const ROWS: u32 = tagger::ROWS;
}

/// Finds identifiers. Built once, shared by all threads.
#[derive(Debug)]
pub struct Detector {
    cues: Cues,
    labels: Labels,
    lexicon: Lexicon,
    tagger: Option<Tagger>,
    layers: Layers,
}

/// What a scan finds, if it comes to its end.
///
/// A defect that some text brings out must end as a scan that failed, which is recorded, and not take the
/// exchange with it, of which then nothing would be. Nothing that a scan changes outlives it.
fn to_its_end<T>(scan: impl FnOnce() -> Result<T, Unscannable>) -> Result<T, Unscannable> {
    std::panic::catch_unwind(AssertUnwindSafe(scan)).unwrap_or(Err(Unscannable::BrokeOff))
}

impl Default for Detector {
    fn default() -> Self {
        Self::new()
    }
}

impl Detector {
    /// Name and version, for the record: `bulla-phi/0.1.0`.
    pub const NAME: &'static str = concat!("bulla-phi/", env!("CARGO_PKG_VERSION"));

    /// Builds the tables, for all layers.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Layers::ALL)
    }

    /// Builds the tables, for some layers.
    #[must_use]
    pub fn with(layers: Layers) -> Self {
        Self {
            cues: Cues::new(),
            labels: Labels::new(),
            lexicon: Lexicon::new(),
            // Weights that do not open leave a hole that the self-test finds.
            tagger: Tagger::new().ok().filter(|_| layers.has(Layers::SCOUT)),
            layers,
        }
    }

    /// Scans the parts of one document together: what is found in one part is looked for in all.
    ///
    /// Returns one list per part, in order; each list is sorted by place and its findings do not
    /// overlap.
    ///
    /// # Errors
    /// [`Unscannable`] when the detector cannot vouch for the whole.
    pub fn scan(&self, parts: &[Part<'_>]) -> Result<Vec<Vec<Finding>>, Unscannable> {
        self.scan_with(parts, &Roster::default())
    }

    /// The same as [`Detector::scan`], and what is on the caller's list is found wherever it stands.
    ///
    /// # Errors
    /// [`Unscannable`] when the detector cannot vouch for the whole.
    pub fn scan_with(
        &self,
        parts: &[Part<'_>],
        roster: &Roster,
    ) -> Result<Vec<Vec<Finding>>, Unscannable> {
        to_its_end(|| self.scan_all(parts, roster))
    }

    fn scan_all(
        &self,
        parts: &[Part<'_>],
        roster: &Roster,
    ) -> Result<Vec<Vec<Finding>>, Unscannable> {
        let bytes = parts.iter().map(|p| p.text.len()).fold(0, usize::saturating_add);
        if bytes > MAX_SCAN_BYTES {
            return Err(Unscannable::TooLong { bytes, limit: MAX_SCAN_BYTES });
        }
        let mut known = Known::default();
        let mut pages = Vec::with_capacity(parts.len());
        for part in parts {
            let folded = Folded::of(part.text);
            let text = folded.as_ref().map_or(part.text, |f| f.text.as_str());
            let (mut candidates, doubts) = self.candidates(text, part.label);
            roster.find(text, &mut candidates);
            let found = resolve::choose(text, candidates);
            if self.layers.has(Layers::DOCUMENT) {
                known.note(text, &found, &self.lexicon);
            }
            pages.push((folded, found, doubts));
        }
        let mut lists = Vec::with_capacity(parts.len());
        for (part, (folded, mut found, doubts)) in parts.iter().zip(pages) {
            let text = folded.as_ref().map_or(part.text, |f| f.text.as_str());
            if !known.is_empty() {
                let before = found.len();
                let mut doubts = doubts.as_slice();
                for (start, piece) in blocks(text) {
                    let block = Block::new(piece, &self.cues);
                    let from = found.len();
                    let (here, rest) = doubts.split_at_checked(block.len()).unwrap_or_default();
                    known.find(&block, here, &mut found);
                    doubts = rest;
                    shift(&mut found, from, start);
                }
                if found.len() > before {
                    found = resolve::choose(text, found);
                }
            }
            if let Some(folded) = &folded {
                for f in &mut found {
                    f.end = folded.end(f.end, part.text);
                    f.start = folded.start(f.start);
                }
            }
            lists.push(found);
        }
        Ok(lists)
    }

    /// Scans a fixed synthetic text that holds every class, and checks that all are found.
    ///
    /// # Errors
    /// [`Unscannable::SelfTest`] when one is missed.
    pub fn self_test(&self) -> Result<(), Unscannable> {
        self_test::run(self)
    }

    /// What the tagger sees of each token of a text: its bytes and the rows of the tagger's table.
    ///
    /// It is there for the program that trains the tagger, so that training and use see the same.
    #[must_use]
    pub fn seen(&self, text: &str) -> Vec<Seen> {
        let mut out = Vec::new();
        for (start, piece) in blocks(text) {
            let block = Block::new(piece, &self.cues);
            let mut found = Vec::new();
            number::find(&block, &self.labels, &mut found);
            let features = tagger::Features::new(&block, &self.lexicon, &found);
            for i in 0..features.len() {
                let token = block.at(i);
                let rows = features.of(i).to_vec();
                out.push(Seen { start: start + token.start, end: start + token.end, rows });
            }
        }
        out
    }

    /// All candidates of all layers in one text, in no order, overlapping; and for each token how
    /// likely the tagger finds it that the token is part of something, in 255ths.
    fn candidates(&self, text: &str, label: Option<&str>) -> (Vec<Finding>, Vec<u8>) {
        let mut values = Vec::new();
        if self.layers.has(Layers::STRUCTURE) {
            values = structure::values(text, &self.labels);
            let field = label.and_then(|l| self.labels.of_key(l)).map(|l| l.field);
            if let Some(field) = field
                && values.is_empty()
            {
                values.push(Value { start: 0, end: text.len(), field });
            }
        }
        let (mut out, mut doubts) = (Vec::new(), Vec::new());
        let mut next = 0;
        for (start, piece) in blocks(text) {
            let end = start + piece.len();
            let count = values.get(next..).unwrap_or_default().partition_point(|v| v.start < end);
            let here: Vec<Value> = values
                .get(next..next + count)
                .unwrap_or_default()
                .iter()
                .map(|v| Value { start: v.start - start, end: v.end.min(end) - start, ..*v })
                .collect();
            next += count;
            let from = out.len();
            self.piece(piece, &here, &mut doubts, &mut out);
            shift(&mut out, from, start);
        }
        (out, doubts)
    }

    /// All candidates in one block, whose values are given by their places in it.
    fn piece(&self, piece: &str, values: &[Value], doubts: &mut Vec<u8>, out: &mut Vec<Finding>) {
        let block = Block::new(piece, &self.cues);
        let from = out.len();
        let mut found = self.prose(&block, values, Some(doubts));
        out.append(&mut found);
        let decoded = decoded(piece, values);
        // An address of the net is found as it is written, and what it holds without its escapes.
        let hides = |value: &Value| value.field != Field::Text(Escape::Percent);
        let hidden: Vec<Value> = decoded.iter().map(|(v, _)| *v).filter(hides).collect();
        keep_outside(out, from, &hidden, |_| true);
        for (value, text) in &decoded {
            let block = Block::new(&text.text, &self.cues);
            out.extend(self.prose(&block, &[], None).into_iter().map(|mut f| {
                let (start, end) = text.place(f.start, f.end);
                f.start = value.start + start;
                f.end = value.start + end;
                f
            }));
        }
        soften(out, from, values);
        let mut fields = Vec::new();
        let mut certain = Vec::new();
        for v in values {
            let before = fields.len();
            value::find(&block, &self.lexicon, *v, &mut fields);
            if fields.len() > before {
                certain.push((v.start, v.end));
            }
        }
        let prose = out.split_off(from);
        resolve::cut_at(piece, prose, &certain, out);
        out.append(&mut fields);
    }

    /// What the layers for prose find; `doubts` receives what the tagger thinks of each token.
    fn prose(
        &self,
        block: &Block<'_>,
        values: &[Value],
        doubts: Option<&mut Vec<u8>>,
    ) -> Vec<Finding> {
        let mut out = Vec::new();
        if self.layers.has(Layers::NUMBERS) {
            number::find(block, &self.labels, &mut out);
        }
        let tagger = self.tagger.as_ref();
        let features = tagger.map(|_| tagger::Features::new(block, &self.lexicon, &out));
        if self.layers.has(Layers::LISTS) {
            name::find(block, &self.lexicon, &mut out);
            place::find(block, &self.lexicon, &mut out);
        }
        if self.layers.has(Layers::STRUCTURE) {
            field::headers(block, &self.labels, &self.lexicon, &mut out);
        }
        if self.layers.has(Layers::NUMBERS) {
            field::photos(block, &mut out);
        }
        if let (Some(tagger), Some(features)) = (tagger, features) {
            let fielded = tagger::fielded(block, values);
            let judge = self.layers.has(Layers::JUDGE);
            let opinion = tagger.tag(block, &features, &out, &fielded, judge);
            if let Some(doubts) = doubts {
                doubts.extend(opinion.doubts());
            }
            tagger::weigh(block, &features, &opinion, &fielded, &mut out);
        }
        out
    }
}

/// Drops what is only likely in a field that holds doses, codes or units, and everything in one
/// that holds names of schemas.
fn soften(out: &mut Vec<Finding>, from: usize, values: &[Value]) {
    /// Below this a finding rests on its form or on word lists alone.
    const SURE_PERCENT: u8 = 70;
    let ranges = |field: Field, most: usize| -> Vec<Value> {
        values.iter().filter(|v| v.field == field && v.end - v.start <= most).copied().collect()
    };
    // A long text is prose, whatever its field is called (`system`).
    keep_outside(out, from, &ranges(Field::Neutral, MAX_CODE_BYTES), |f| {
        f.confidence.as_percent() < SURE_PERCENT || f.class == crate::Class::Url
    });
    keep_outside(out, from, &ranges(Field::Technical, usize::MAX), |_| true);
}

/// Drops the findings after `from` that lie inside a range and that `doubtful` holds for.
///
/// The ranges come in order; where some overlap, the one that begins last before a finding counts.
fn keep_outside(
    out: &mut Vec<Finding>,
    from: usize,
    ranges: &[Value],
    doubtful: impl Fn(&Finding) -> bool,
) {
    if ranges.is_empty() {
        return;
    }
    let mut at = 0;
    out.retain(|f| {
        at += 1;
        let next = ranges.partition_point(|v| v.start <= f.start);
        let range = next.checked_sub(1).and_then(|k| ranges.get(k));
        at <= from || !range.is_some_and(|v| f.end <= v.end && doubtful(f))
    });
}

/// The texts among the values that have escapes, decoded; of two that overlap the first.
fn decoded(piece: &str, values: &[Value]) -> Vec<(Value, Decoded)> {
    let mut out = Vec::new();
    let mut end = 0;
    for value in values {
        let Field::Text(escape) = value.field else { continue };
        if value.start < end {
            continue;
        }
        let text = piece.get(value.start..value.end).unwrap_or_default();
        if let Some(decoded) = Decoded::of(text, escape) {
            end = value.end;
            out.push((*value, decoded));
        }
    }
    out
}

/// Moves findings of a block to their places in the text.
fn shift(found: &mut [Finding], from: usize, by: usize) {
    for f in found.iter_mut().skip(from) {
        f.start += by;
        f.end += by;
    }
}

/// Cuts a text into blocks at line breaks, else at spaces, else between characters.
fn blocks(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let rest = text.get(start..).filter(|r| !r.is_empty())?;
        let at = start;
        let len = if rest.len() <= BLOCK_BYTES * 2 { rest.len() } else { cut(rest) };
        start += len;
        Some((at, rest.get(..len)?))
    })
}

fn cut(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let window = bytes.get(BLOCK_BYTES..BLOCK_BYTES * 2).unwrap_or_default();
    if let Some(at) = memchr::memchr(b'\n', window).or_else(|| memchr::memchr(b' ', window)) {
        return BLOCK_BYTES + at + 1;
    }
    (BLOCK_BYTES..=bytes.len()).find(|at| rest.is_char_boundary(*at)).unwrap_or(bytes.len())
}
