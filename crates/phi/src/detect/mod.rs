//! The detector: layers that each find candidates, and one place that chooses among them.
//!
//! | layer | module | finds by |
//! |---|---|---|
//! | structure | `structure`, `value`, `field` | names of JSON and XML fields, HL7 v2 positions, columns, `Label: value` |
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
#[cfg(test)]
mod tests;
mod token;
mod value;

use crate::Finding;
use cue::Cues;
use fold::Folded;
use label::{Field, Labels};
use lexicon::Lexicon;
use resolve::Known;
use structure::{Decoded, Escape, Value};
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
            self.piece(piece, &here, &mut out);
            shift(&mut out, from, start);
        }
        out
    }

    /// All candidates in one block, whose values are given by their places in it.
    fn piece(&self, piece: &str, values: &[Value], out: &mut Vec<Finding>) {
        let from = out.len();
        let block = Block::new(piece, &self.cues);
        self.prose(&block, out);
        let decoded = decoded(piece, values);
        // An address of the net is found as it is written, and what it holds without its escapes.
        let hides = |value: &Value| value.field != Field::Text(Escape::Percent);
        let hidden: Vec<Value> = decoded.iter().map(|(v, _)| *v).filter(hides).collect();
        keep_outside(out, from, &hidden, |_| true);
        for (value, text) in &decoded {
            let before = out.len();
            let block = Block::new(&text.text, &self.cues);
            self.prose(&block, out);
            for f in out.iter_mut().skip(before) {
                let (start, end) = text.place(f.start, f.end);
                f.start = value.start + start;
                f.end = value.start + end;
            }
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

    /// What the layers for prose find.
    fn prose(&self, block: &Block<'_>, out: &mut Vec<Finding>) {
        number::find(block, &self.labels, out);
        name::find(block, &self.lexicon, out);
        place::find(block, &self.lexicon, out);
        field::headers(block, &self.labels, &self.lexicon, out);
        field::photos(block, out);
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
