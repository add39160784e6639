//! Removes what hides an identifier from a reader of bytes but not from a reader of pages.

/// A text without zero-width characters, with plain digits, dashes, spaces and quotes, and the way
/// back to places in the text as it came.
pub(crate) struct Folded {
    /// The plain text.
    pub(crate) text: String,
    /// For each byte of `text`, and for its end, the byte in the text as it came.
    origin: Vec<usize>,
}

impl Folded {
    /// The plain form of a text, or `None` when the text is plain as it is.
    pub(crate) fn of(text: &str) -> Option<Self> {
        // Every character that folds begins with one of these bytes in UTF-8.
        let suspicious = |b: &u8| matches!(b, 0xc2 | 0xe2 | 0xe3 | 0xef | 0xcc | 0xcd);
        if !text.as_bytes().iter().any(suspicious) || !text.chars().any(|c| plain(c) != Some(c)) {
            return None;
        }
        let mut folded = Self {
            text: String::with_capacity(text.len()),
            origin: Vec::with_capacity(text.len()),
        };
        for (at, c) in text.char_indices() {
            if let Some(p) = plain(c) {
                folded.text.push(p);
                folded.origin.extend(std::iter::repeat_n(at, p.len_utf8()));
            }
        }
        folded.origin.push(text.len());
        Some(folded)
    }

    /// The place in the text as it came of a place in the plain text.
    pub(crate) fn start(&self, at: usize) -> usize {
        self.origin.get(at).copied().unwrap_or(0)
    }

    /// The end, in the text as it came, of what ends at `end` in the plain text.
    ///
    /// What was dropped after the last character stays outside.
    pub(crate) fn end(&self, end: usize, original: &str) -> usize {
        let last = self.start(end.saturating_sub(1));
        let len = original.get(last..).and_then(|s| s.chars().next()).map_or(0, char::len_utf8);
        last + len
    }
}

/// The plain form of a character; `None` when nothing is to be seen of it.
const fn plain(c: char) -> Option<char> {
    Some(match c {
        '\u{ad}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2064}'
        | '\u{2066}'..='\u{2069}'
        | '\u{feff}' => return None,
        '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => ' ',
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe63}' => '-',
        '\u{2018}' | '\u{2019}' | '\u{201b}' | '\u{2032}' => '\'',
        '\u{201c}' | '\u{201d}' => '"',
        '\u{2028}' | '\u{2029}' | '\u{85}' => '\n',
        '\u{ff01}'..='\u{ff5e}' => match char::from_u32(c as u32 - 0xfee0) {
            Some(ascii) => ascii,
            None => c,
        },
        _ => c,
    })
}
