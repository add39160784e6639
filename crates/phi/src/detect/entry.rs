//! What the word list knows of one word, packed into a small number.

/// What is known of a word. The default is "in no list".
///
/// Counts are kept as levels, because a log-odds of two counts needs no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry(u32);

/// Tenths of the decimal logarithm in the middle of each level of a count.
const COUNT_TENTHS: [i32; 8] = [0, 20, 28, 34, 41, 48, 54, 62];
/// Tenths of Zipf in the middle of each level of frequency.
const ZIPF_TENTHS: [i32; 8] = [0, 20, 29, 35, 41, 46, 51, 59];

impl Entry {
    /// From the number in the word list.
    pub(crate) const fn from_packed(packed: u64) -> Self {
        // All facts lie in the low 15 bits.
        Self((packed & 0x7fff) as u32)
    }

    const fn level(self, shift: u32) -> u32 {
        (self.0 >> shift) & 7
    }

    /// How common as a given name, `0` (not one) to `7`.
    pub(crate) const fn given(self) -> u32 {
        self.level(0)
    }

    /// How common as a surname, `0` (not one) to `7`.
    pub(crate) const fn surname(self) -> u32 {
        self.level(3)
    }

    /// How common as an ordinary word, `0` (not one) to `7`.
    pub(crate) const fn word(self) -> u32 {
        self.level(6)
    }

    /// How large a town of this name is, `0` (none) to `3`.
    pub(crate) const fn place(self) -> u32 {
        self.level(9) & 3
    }

    /// A medical term or a drug.
    pub(crate) const fn is_medical(self) -> bool {
        self.0 >> 11 & 1 == 1
    }

    /// A name that stands for a disease, sign or device.
    pub(crate) const fn is_eponym(self) -> bool {
        self.0 >> 12 & 1 == 1
    }

    /// A medical abbreviation, when in capitals.
    pub(crate) const fn is_abbreviation(self) -> bool {
        self.0 >> 13 & 1 == 1
    }

    /// A known facility, when the phrase is looked up.
    pub(crate) const fn is_facility(self) -> bool {
        self.0 >> 14 & 1 == 1
    }

    /// In some list.
    pub(crate) const fn is_known(self) -> bool {
        self.0 != 0
    }

    /// Tenths of the decimal log-odds that the word is a given name and not an ordinary word.
    pub(crate) fn given_odds(self) -> i32 {
        odds(self.given(), self.word())
    }

    /// Tenths of the decimal log-odds that the word is a surname and not an ordinary word.
    pub(crate) fn surname_odds(self) -> i32 {
        odds(self.surname(), self.word())
    }
}

/// Log-odds for a name not borne by anyone counted: none of it is evidence.
const NO_NAME: i32 = -60;

fn odds(count: u32, word: u32) -> i32 {
    if count == 0 {
        return NO_NAME;
    }
    let count = COUNT_TENTHS.get(count as usize).copied().unwrap_or(0);
    count - ZIPF_TENTHS.get(word as usize).copied().unwrap_or(0)
}
