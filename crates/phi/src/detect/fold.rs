//! Removes what hides an identifier from a reader of bytes but not from a reader of pages.
//!
//! Characters that are not seen are dropped, look-alikes become the characters that they look like,
//! words that are cut at the end of a line or spaced letter by letter are joined.

mod likeness;
#[cfg(test)]
mod tests;

use likeness::{Likeness, likeness, look_alike};

/// A plain text, and the way back to places in the text as it came.
pub(crate) struct Folded {
    /// The plain text.
    pub(crate) text: String,
    /// For each byte of `text`, and for its end, the byte in the text as it came.
    origin: Vec<usize>,
}

impl Folded {
    /// The plain form of a text, or `None` when the text is plain as it is.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let strange = !text.is_ascii()
            && (text.chars().any(|c| likeness(c) != Likeness::Same) || mixes_scripts(text));
        let spaced = has_lone_letters(bytes) && next_spaced(bytes, 0).is_some();
        if !strange && !spaced && !wraps(bytes) {
            return None;
        }
        let mut folded = Self {
            text: String::with_capacity(text.len()),
            origin: Vec::with_capacity(text.len() + 1),
        };
        folded.characters(text);
        folded.origin.push(text.len());
        folded.words();
        folded.lines();
        folded.letters();
        Some(folded)
    }

    /// The place in the text as it came of a place in the plain text.
    pub(crate) fn start(&self, at: usize) -> usize {
        self.origin.get(at).copied().unwrap_or(0)
    }

    /// The end, in the text as it came, of what ends at `end` in the plain text.
    ///
    /// Accents after the last character belong to it; what was dropped otherwise stays outside.
    pub(crate) fn end(&self, end: usize, original: &str) -> usize {
        let last = self.start(end.saturating_sub(1));
        let rest = original.get(last..).unwrap_or_default();
        let len = rest.chars().next().map_or(0, char::len_utf8);
        let accents = rest.get(len..).unwrap_or_default().chars();
        last + len + accents.take_while(|c| is_accent(*c)).map(char::len_utf8).sum::<usize>()
    }

    fn push(&mut self, c: char, at: usize) {
        self.text.push(c);
        self.origin.extend(std::iter::repeat_n(at, c.len_utf8()));
    }

    /// Each character on its own.
    fn characters(&mut self, text: &str) {
        for (at, c) in text.char_indices() {
            match likeness(c) {
                Likeness::Same => self.push(c, at),
                Likeness::Nothing => {}
                Likeness::One(p) => self.push(p, at),
                Likeness::Many(pieces) => pieces.chars().for_each(|p| self.push(p, at)),
            }
        }
    }

    /// Cyrillic and Greek look-alikes inside words that hold Latin letters or digits.
    fn words(&mut self) {
        if !mixes_scripts(&self.text) {
            return;
        }
        let mut text = String::with_capacity(self.text.len());
        let mut origin = Vec::with_capacity(self.origin.len());
        let mut from = 0;
        let old = std::mem::take(&mut self.text);
        for word in old.split_inclusive(|c: char| !c.is_alphanumeric()) {
            let mixed = is_mixed(word);
            for (at, c) in word.char_indices() {
                let plain = if mixed { look_alike(c).unwrap_or(c) } else { c };
                text.push(plain);
                let place = self.start(from + at);
                origin.extend(std::iter::repeat_n(place, plain.len_utf8()));
            }
            from += word.len();
        }
        origin.push(self.start(from));
        (self.text, self.origin) = (text, origin);
    }

    /// Keeps only some bytes, which must leave whole characters.
    fn keep(&mut self, dropped: &[(usize, usize)]) {
        let mut text = String::with_capacity(self.text.len());
        let mut origin = Vec::with_capacity(self.origin.len());
        let mut from = 0;
        for &(start, end) in dropped.iter().chain([&(self.text.len(), self.text.len())]) {
            text.push_str(self.text.get(from..start).unwrap_or_default());
            origin.extend_from_slice(self.origin.get(from..start).unwrap_or_default());
            from = end;
        }
        origin.push(self.start(self.text.len()));
        (self.text, self.origin) = (text, origin);
    }

    /// `Mont-\ngomery` is one word and `617-555-\n0142` one number.
    fn lines(&mut self) {
        let bytes = self.text.as_bytes();
        let dropped: Vec<_> =
            memchr::memchr_iter(b'\n', bytes).filter_map(|at| wrapped(bytes, at)).collect();
        if !dropped.is_empty() {
            self.keep(&dropped);
        }
    }

    /// `S m i t h` is one word.
    fn letters(&mut self) {
        let bytes = self.text.as_bytes();
        let mut dropped = Vec::new();
        let mut at = 0;
        while let Some((start, end)) = next_spaced(bytes, at) {
            dropped.extend((start + 1..end).step_by(2).map(|space| (space, space + 1)));
            at = end;
        }
        if !dropped.is_empty() {
            self.keep(&dropped);
        }
    }
}

const fn is_accent(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}')
}

/// Whether any word has letters of two scripts.
fn mixes_scripts(text: &str) -> bool {
    // Greek and Cyrillic begin with these bytes in UTF-8.
    text.as_bytes().iter().any(|b| (0xcd..=0xd3).contains(b))
        && text.split(|c: char| !c.is_alphanumeric()).any(is_mixed)
}

/// Whether a word has Latin letters or digits, and look-alikes of Latin letters.
fn is_mixed(word: &str) -> bool {
    !word.is_ascii()
        && word.chars().any(|c| c.is_ascii_alphanumeric())
        && word.chars().any(|c| look_alike(c).is_some())
        // `β2`, `α1` and `μg` are written so on purpose.
        && word.chars().filter(|c| c.is_alphabetic()).count() > 1
        && word.chars().all(|c| c.is_ascii() || look_alike(c).is_some() || !is_foreign(c))
}

/// Whether a letter is Greek or Cyrillic.
const fn is_foreign(c: char) -> bool {
    matches!(c, '\u{370}'..='\u{52f}')
}

/// Whether any line ends within a word or a number.
fn wraps(bytes: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', bytes).any(|at| wrapped(bytes, at).is_some())
}

/// What is to be dropped at a line break at `at`, so that the word or number around it is whole.
fn wrapped(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    /// Text that wraps is indented no deeper.
    const MAX_INDENT: usize = 8;
    let byte = |i: usize| bytes.get(i).copied().unwrap_or(0);
    let mark = at.checked_sub(1)?;
    let mark = if byte(mark) == b'\r' { mark.checked_sub(1)? } else { mark };
    let before = byte(mark.checked_sub(1)?);
    let mut next = at + 1;
    while next - at <= MAX_INDENT && byte(next) == b' ' {
        next += 1;
    }
    let after = byte(next);
    let digits = before.is_ascii_digit() && after.is_ascii_digit();
    match byte(mark) {
        b'-' | b'/' if digits => Some((mark + 1, next)),
        b'-' if before.is_ascii_alphanumeric() && after.is_ascii_alphabetic() => {
            // `45-year-\nold` and `Smith-\nJones` have the mark of their own.
            let word = (1..24).map(|k| byte(mark.wrapping_sub(k)));
            let compound = word.take_while(|c| c.is_ascii_alphanumeric() || *c == b'-');
            let own = after.is_ascii_uppercase()
                || before.is_ascii_digit()
                || compound.into_iter().any(|c| c == b'-');
            Some(if own { (mark + 1, next) } else { (mark, next) })
        }
        _ => None,
    }
}

/// Whether single characters stand between spaces; nearly every text is turned away by it, so it
/// looks at all bytes without a branch, which the compiler makes wide.
fn has_lone_letters(bytes: &[u8]) -> bool {
    let (second, third) = (bytes.get(2..).unwrap_or_default(), bytes.get(4..).unwrap_or_default());
    let space = |b: &u8| u8::from(*b == b' ');
    let short = bytes.len() < 9;
    let runs = bytes.iter().zip(second).zip(third);
    short || runs.fold(0, |any, ((a, b), c)| any | (space(a) & space(b) & space(c))) != 0
}

/// The next run of four letters or more with one space between each: its ends.
fn next_spaced(bytes: &[u8], from: usize) -> Option<(usize, usize)> {
    /// Shorter runs are initials and lists: `A B C`.
    const LEAST: usize = 4;
    let byte = |i: usize| bytes.get(i).copied().unwrap_or(b' ');
    let single = |i: usize| {
        byte(i).is_ascii_alphabetic()
            && (i == 0 || !byte(i - 1).is_ascii_alphanumeric() && byte(i - 1) < 0x80)
            && !byte(i + 1).is_ascii_alphanumeric()
            && byte(i + 1) < 0x80
    };
    let mut at = from;
    loop {
        let space = at + memchr::memchr(b' ', bytes.get(at..)?)?;
        at = space + 1;
        let Some(start) = space.checked_sub(1).filter(|s| *s >= from) else { continue };
        if byte(space + 2) != b' ' || !single(start) {
            continue;
        }
        let mut end = start + 1;
        while byte(end) == b' ' && end + 1 < bytes.len() && single(end + 1) {
            end += 2;
        }
        // `I` and `a` are words: `a b c d` in lower case is a list unless it is long.
        if end - start >= 2 * LEAST - 1 {
            return Some((start, end));
        }
        at = end.max(at);
    }
}
