//! The detector: layers that each find candidates, and one place that chooses among them.
//!
//! | layer | module | finds by |
//! |---|---|---|
//! | structure | `structure`, `hl7`, `table`, `field` | names of JSON and XML fields, HL7 v2 positions, columns, `Label: value` |
//! | numbers | `number`, `shape`, `date`, `checksum` | form, check digits, labels by whole word |
//! | names, places | `name`, `place`, `lexicon` | word lists weighed against ordinary words, cues |
//! | document | `resolve` | what was found once is found everywhere |
//!
//! Every layer reads each token a bounded number of times, so the cost is linear in the text.

mod checksum;
mod cue;
mod date;
mod entry;
mod field;
mod fold;
mod hl7;
mod label;
mod letters;
mod lexicon;
mod name;
mod number;
mod place;
mod resolve;
mod self_test;
mod shape;
mod structure;
mod table;
#[cfg(test)]
mod tests;
mod token;

use crate::Finding;
use cue::Cues;
pub(crate) use fold::Folded;
use label::{Field, Labels};
use lexicon::Lexicon;
use resolve::Known;
use structure::Value;
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
}

/// The most bytes that one scan reads, over all parts.
///
/// It bounds the memory of a scan: folded text and findings, not tokens, grow with it.
pub const MAX_SCAN_BYTES: usize = 8 * 1024 * 1024;

/// Text is read in blocks of about this size, so that tokens take bounded memory.
const BLOCK_BYTES: usize = 64 * 1024;

/// The longest dose, code or unit.
const MAX_CODE_BYTES: usize = 80;

/// Finds identifiers. Built once, shared by all threads.
#[derive(Debug)]
pub struct Detector {
    cues: Cues,
    labels: Labels,
    lexicon: Lexicon,
}

impl Default for Detector {
    fn default() -> Self {
        Self::new()
    }
}

impl Detector {
    /// Name and version, for the record: `bulla-phi/0.1.0`.
    pub const NAME: &'static str = concat!("bulla-phi/", env!("CARGO_PKG_VERSION"));

    /// Builds the tables.
    #[must_use]
    pub fn new() -> Self {
        Self { cues: Cues::new(), labels: Labels::new(), lexicon: Lexicon::new() }
    }

    /// Scans the parts of one document together: what is found in one part is looked for in all.
    ///
    /// Returns one list per part, in order; each list is sorted by place and its findings do not
    /// overlap.
    ///
    /// # Errors
    /// [`Unscannable`] when the detector cannot vouch for the whole.
    pub fn scan(&self, parts: &[Part<'_>]) -> Result<Vec<Vec<Finding>>, Unscannable> {
        let bytes = parts.iter().map(|p| p.text.len()).fold(0, usize::saturating_add);
        if bytes > MAX_SCAN_BYTES {
            return Err(Unscannable::TooLong { bytes, limit: MAX_SCAN_BYTES });
        }
        let mut known = Known::default();
        let mut pages = Vec::with_capacity(parts.len());
        for part in parts {
            let folded = Folded::of(part.text);
            let text = folded.as_ref().map_or(part.text, |f| f.text.as_str());
            let found = resolve::choose(text, self.candidates(text, part.label));
            known.note(text, &found, &self.lexicon);
            pages.push((folded, found));
        }
        let mut lists = Vec::with_capacity(parts.len());
        for (part, (folded, mut found)) in parts.iter().zip(pages) {
            let text = folded.as_ref().map_or(part.text, |f| f.text.as_str());
            if !known.is_empty() {
                let before = found.len();
                for (start, piece) in blocks(text) {
                    let block = Block::new(piece, &self.cues);
                    let from = found.len();
                    known.find(&block, &mut found);
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

    /// All candidates of all layers in one text, in no order, overlapping.
    fn candidates(&self, text: &str, label: Option<&str>) -> Vec<Finding> {
        let mut values = structure::values(text, &self.labels);
        let field = label.and_then(|l| self.labels.of_key(l)).map(|l| l.field);
        if let Some(field) = field
            && values.is_empty()
        {
            values.push(Value { start: 0, end: text.len(), field });
        }
        let mut out = Vec::new();
        let mut next = 0;
        for (start, piece) in blocks(text) {
            let block = Block::new(piece, &self.cues);
            let from = out.len();
            number::find(&block, &self.labels, &mut out);
            name::find(&block, &self.lexicon, &mut out);
            place::find(&block, &self.lexicon, &mut out);
            field::headers(&block, &self.labels, &self.lexicon, &mut out);
            field::photos(&block, &mut out);
            while let Some(value) = values.get(next).filter(|v| v.start < start + piece.len()) {
                let end = value.end.min(start + piece.len()) - start;
                let value = Value { start: value.start - start, end, field: value.field };
                if value.field == Field::Neutral {
                    // A long text is prose, whatever its field is called (`system`).
                    if end - value.start <= MAX_CODE_BYTES {
                        soften(&mut out, from, value);
                    }
                } else {
                    field::value(&block, &self.lexicon, value, &mut out);
                }
                next += 1;
            }
            shift(&mut out, from, start);
        }
        out
    }
}

/// Drops what is only likely in a field that holds doses, codes or units.
fn soften(out: &mut Vec<Finding>, from: usize, value: Value) {
    /// Below this a finding rests on its form or on word lists alone.
    const SURE_PERCENT: u8 = 70;
    let mut k = from;
    while let Some(f) = out.get(k) {
        let inside = f.start >= value.start && f.end <= value.end;
        let weak = f.confidence.as_percent() < SURE_PERCENT || f.class == crate::Class::Url;
        if inside && weak {
            out.swap_remove(k);
        } else {
            k += 1;
        }
    }
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
