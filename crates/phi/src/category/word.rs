//! Cuts text into the words that the terms are made of.

/// One word of the vocabulary in a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word {
    /// First byte.
    pub(super) start: usize,
    /// The byte after the last.
    pub(super) end: usize,
    /// Its number in the vocabulary.
    pub(super) id: u32,
    /// Counts sentences and lines, so that "no" reaches no further than its own.
    pub(super) clause: u32,
}

/// A stretch of letters and digits, and what stands before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    /// First byte.
    pub(super) start: usize,
    /// The byte after the last.
    pub(super) end: usize,
    /// Whether only space, or one mark that joins, stands before it.
    pub(super) joined: bool,
    /// See [`Word::clause`].
    pub(super) clause: u32,
}

/// The runs of a text, each byte read once.
pub(super) struct Runs<'a> {
    bytes: &'a [u8],
    at: usize,
    clause: u32,
}

impl<'a> Runs<'a> {
    pub(super) const fn of(text: &'a str) -> Self {
        Self { bytes: text.as_bytes(), at: 0, clause: 0 }
    }

    fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    /// Passes what stands between words, and says whether a term may reach over it.
    fn gap(&mut self) -> bool {
        let (mut marks, mut spaces, mut lines) = (0_u32, 0_u32, 0_u32);
        let (mut ends, mut binds) = (false, true);
        while let Some(&byte) = self.bytes.get(self.at) {
            if is_word(byte) {
                break;
            }
            let mut step = 1;
            match byte {
                b'\n' | 0x0b | 0x0c => lines += 1,
                b' ' | b'\t' | b'\r' => spaces += 1,
                // The written form of a line break inside a JSON string.
                b'\\' if matches!(self.byte(self.at + 1), b'n' | b'r' | b't') => {
                    lines += u32::from(self.byte(self.at + 1) == b'n');
                    spaces += 1;
                    step = 2;
                }
                // A possessive ending belongs to the word before.
                b'\''
                    if matches!(self.byte(self.at + 1), b's' | b'S')
                        && !is_word(self.byte(self.at + 2)) =>
                {
                    step = 2;
                }
                b'-' | b'&' | b'/' | b'+' | b'_' | b'\'' => marks += 1,
                _ => {
                    marks += 1;
                    binds = false;
                    let next = self.byte(self.at + 1);
                    ends |= matches!(byte, b'.' | b';' | b'!' | b'?' | b'|') && !is_word(next);
                }
            }
            self.at += step;
        }
        // A line that goes on with a small letter is a folded one.
        let folded = lines == 1 && self.byte(self.at).is_ascii_lowercase();
        if ends || (lines > 0 && !folded) {
            self.clause = self.clause.saturating_add(1);
        }
        let space = spaces + lines > 0;
        lines < 2 && (marks == 0 || (marks == 1 && (binds || !space)))
    }
}

impl Iterator for Runs<'_> {
    type Item = Run;

    fn next(&mut self) -> Option<Run> {
        let joined = self.gap();
        let start = self.at;
        while self.bytes.get(self.at).is_some_and(|b| is_word(*b)) {
            self.at += 1;
        }
        (self.at > start).then_some(Run { start, end: self.at, joined, clause: self.clause })
    }
}

/// Letters, digits and every byte of other scripts.
const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80
}

/// The words of all terms, found by hash.
#[derive(Debug, Default)]
pub(super) struct Vocabulary {
    words: Vec<Box<[u8]>>,
    /// Numbers of words, plus one; 0 is an empty place. Its length is a power of two.
    slots: Vec<u32>,
}

/// The longest word that is looked up. No term has a longer one.
const MAX_WORD_BYTES: usize = 40;

impl Vocabulary {
    /// The number of a word, which is added when it is not there.
    pub(super) fn add(&mut self, word: &[u8]) -> u32 {
        let word = stem(word).to_ascii_lowercase();
        if let Some(id) = self.exact(&word) {
            return id;
        }
        let id = u32::try_from(self.words.len()).unwrap_or(u32::MAX);
        self.words.push(word.into_boxed_slice());
        if self.words.len() * 4 > self.slots.len() {
            self.slots = vec![0; (self.words.len() * 8).next_power_of_two()];
            for k in 0..self.words.len() {
                self.place(k);
            }
        } else {
            self.place(self.words.len() - 1);
        }
        id
    }

    fn place(&mut self, index: usize) {
        let Some(word) = self.words.get(index) else { return };
        let mut at = self.slot(hash(word));
        while self.slots.get(at).is_some_and(|s| *s != 0) {
            at = (at + 1) & self.slots.len().wrapping_sub(1);
        }
        if let (Some(slot), Ok(id)) = (self.slots.get_mut(at), u32::try_from(index + 1)) {
            *slot = id;
        }
    }

    /// The number of a word in any case, with or without a plural `s`.
    pub(super) fn id(&self, word: &[u8]) -> Option<u32> {
        if word.len() > MAX_WORD_BYTES {
            return None;
        }
        self.exact(stem(word)).or_else(|| match word {
            [short @ .., b's' | b'S'] if short.len() == 3 => self.exact(short),
            _ => None,
        })
    }

    fn exact(&self, word: &[u8]) -> Option<u32> {
        let mut at = self.slot(hash(word));
        // INVARIANT: at most a quarter of the places is taken, so an empty one ends the search.
        loop {
            let id = self.slots.get(at).copied()?.checked_sub(1)?;
            let known = self.words.get(usize::try_from(id).ok()?)?;
            if known.eq_ignore_ascii_case(word) {
                return Some(id);
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    fn slot(&self, hash: u32) -> usize {
        usize::try_from(hash).unwrap_or(0) & self.slots.len().wrapping_sub(1)
    }
}

/// A word without a plural `s`. Words of four letters keep theirs, for `aids` is no `aid`.
fn stem(word: &[u8]) -> &[u8] {
    match word {
        [.., b's' | b'S' | b'u' | b'U' | b'i' | b'I', b's' | b'S'] => word,
        [stem @ .., b's' | b'S'] if stem.len() >= 4 => stem,
        _ => word,
    }
}

/// FNV-1a over the small letters, with its high bits mixed in. The words are ours or a site's, so
/// nobody gains by collisions, and a caller's text is only looked up.
fn hash(word: &[u8]) -> u32 {
    let mut hash = 0x811c_9dc5_u32;
    for byte in word {
        hash = (hash ^ u32::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0193);
    }
    hash ^ (hash >> 15)
}
