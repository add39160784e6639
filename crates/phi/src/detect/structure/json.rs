//! Values in JSON, whole, cut or inside other text.
//!
//! This is no parser: broken input must still yield the fields that can be seen. One pass, no
//! recursion beyond strings that hold JSON themselves.

use super::decode::Escape;
use super::tree::Tree;
use super::{Field, Value, dicom};
use crate::detect::label::Labels;

/// JSON in a string in a string: tool arguments inside a message inside a log.
const MAX_NESTED: u8 = 3;

/// Adds the values of the JSON in a text.
pub(super) fn values(text: &str, labels: &Labels, out: &mut Vec<Value>) {
    let mut json = Json { text, texts: Vec::new(), tree: Tree::new(labels, out) };
    json.walk(0, text.len(), 0);
    json.tree.finish();
    let texts = json.texts;
    out.extend(texts);
}

struct Json<'a, 'o> {
    text: &'a str,
    /// Strings with escapes, which the layers for prose read without them, and keys of the standard.
    texts: Vec<Value>,
    tree: Tree<'a, 'o>,
}

impl<'a> Json<'a, '_> {
    fn byte(&self, i: usize) -> u8 {
        self.text.as_bytes().get(i).copied().unwrap_or(0)
    }

    fn space(&self, mut i: usize, end: usize) -> usize {
        while i < end {
            match self.byte(i) {
                b' ' | b'\t' | b'\n' | b'\r' => i += 1,
                b'\\' if matches!(self.byte(i + 1), b'n' | b't' | b'r') => i += 2,
                _ => break,
            }
        }
        i
    }

    /// The content of the string whose quote lies at `i`: its ends and the byte after the quote.
    ///
    /// `escapes` backslashes stand before each quote of this level.
    fn string(&self, i: usize, end: usize, escapes: u8) -> Option<(usize, usize, usize)> {
        let start = i + 1;
        let mut at = start;
        while at < end {
            let step = memchr::memchr3(b'"', b'\n', b'\\', self.text.as_bytes().get(at..end)?)?;
            at += step;
            if self.byte(at) == b'\n' {
                return None;
            }
            let mut slashes = 0;
            while self.byte(at + slashes) == b'\\' {
                slashes += 1;
            }
            if self.byte(at + slashes) != b'"' {
                at += slashes.max(1);
                continue;
            }
            if slashes <= usize::from(escapes) {
                return Some((start, at, at + slashes + 1));
            }
            at += slashes + 1;
        }
        None
    }

    fn walk(&mut self, from: usize, end: usize, nested: u8) {
        let escapes = if nested == 0 { 0 } else { (1_u8 << nested.min(4)) - 1 };
        let mut key: Option<&'a str> = None;
        let mut i = from;
        while i < end {
            let rest = self.text.as_bytes().get(i..end).unwrap_or_default();
            // Outside a structure only a quote or an opening bracket can begin something.
            match self.byte(i) {
                b'"' => {
                    let Some((start, stop, after)) = self.string(i, end, escapes) else {
                        i += memchr::memchr(b'\n', rest).map_or(rest.len(), |n| n + 1);
                        key = None;
                        continue;
                    };
                    let next = self.space(after, end);
                    if self.byte(next) == b':' {
                        key = self.text.get(start..stop);
                        let tag = key.filter(|k| k.starts_with("00")).and_then(dicom::tag_of_key);
                        if tag.is_some() {
                            let field = Field::Technical;
                            self.texts.push(Value { start, end: stop, field });
                        }
                        i = next + 1;
                        continue;
                    }
                    self.string_value(key, start, stop, nested);
                    key = None;
                    i = after;
                }
                b'{' | b'[' => {
                    self.tree.open(key);
                    key = None;
                    i += 1;
                }
                b'}' | b']' => {
                    self.tree.close();
                    key = None;
                    i += 1;
                }
                b'0'..=b'9' | b'-' | b'+' if key.is_some() => {
                    let stop = i + rest
                        .iter()
                        .take_while(|b| b.is_ascii_alphanumeric() || b"-+.".contains(b))
                        .count();
                    let number = self.text.get(i..stop).unwrap_or_default();
                    self.tree.scalar(key, number, i, stop);
                    key = None;
                    i = stop.max(i + 1);
                }
                b' ' | b'\t' | b'\n' | b'\r' | b'\\' => i += 1,
                _ => {
                    // Prose, a literal, or a comma.
                    key = None;
                    // One search for all marks: a search for each would look far ahead each time.
                    i += rest
                        .iter()
                        .skip(1)
                        .position(|b| matches!(b, b'"' | b'{' | b'}' | b'[' | b']'))
                        .map_or(rest.len(), |n| n + 1);
                }
            }
        }
    }

    fn string_value(&mut self, key: Option<&'a str>, start: usize, stop: usize, nested: u8) {
        let Some(content) = self.text.get(start..stop) else { return };
        let inner = self.space(start, stop);
        if matches!(self.byte(inner), b'{' | b'[') && nested < MAX_NESTED {
            let held = self.tree.set_aside();
            self.walk(start, stop, nested + 1);
            self.tree.put_back(held);
            return;
        }
        self.tree.scalar(key, content, start, stop);
        if content.contains('\\') {
            self.texts.push(Value { start, end: stop, field: Field::Text(Escape::Json) });
        }
    }
}
