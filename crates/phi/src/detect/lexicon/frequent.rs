//! The words that most of a text consists of, in a table.
//!
//! An automaton holds a third of a million words in two megabytes, but decodes one of its nodes for each
//! letter: a seventh of all instructions of a scan went there. The table holds the ordinary words that
//! are used most, and says of them what the automata say.

use crate::detect::entry::Entry;
use crate::detect::letters::Plain;

/// Lines of a word and a number, made from the lists by `examples/build_gazetteers.rs`.
pub(super) static LIST: &str = include_str!("../../../data/frequent.txt");

/// Slots are a power of two, and more than a third of them stay empty.
const SLOT_BITS: u32 = 14;

/// The bit of the number that says that a phrase begins with the word.
const BEGINS_PHRASE: u16 = 1 << 15;

/// Up to sixteen letters, then zeros.
type Letters = [u64; 2];

/// No word.
const EMPTY: Letters = [0; 2];

/// What is known of a frequent word.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known(u16);

impl Known {
    /// What the lists say of the word.
    pub(super) fn entry(self) -> Entry {
        Entry::from_packed(u64::from(self.0))
    }

    /// Whether the list of phrases has one that begins with the word.
    pub(super) const fn begins_phrase(self) -> bool {
        self.0 & BEGINS_PHRASE != 0
    }
}

/// The table. The default is empty, and then everything is asked of the automata.
#[derive(Debug, Default)]
pub(super) struct Frequent {
    /// The word in each slot.
    words: Vec<Letters>,
    numbers: Vec<u16>,
}

impl Frequent {
    /// Reads the list.
    pub(super) fn new() -> Self {
        let mut this =
            Self { words: vec![EMPTY; 1 << SLOT_BITS], numbers: vec![0; 1 << SLOT_BITS] };
        let lines = LIST.lines().filter_map(|line| line.split_once(' '));
        for (word, number) in lines.take(this.words.len() * 2 / 3) {
            if let (Some(word), Ok(number)) = (letters(word.as_bytes()), number.parse()) {
                this.insert(word, number);
            }
        }
        this
    }

    fn insert(&mut self, word: Letters, number: u16) {
        let mut slot = slot(word);
        while self.words.get(slot).is_some_and(|there| *there != EMPTY && *there != word) {
            slot = next(slot);
        }
        if let (Some(to), Some(value)) = (self.words.get_mut(slot), self.numbers.get_mut(slot)) {
            (*to, *value) = (word, number);
        }
    }

    /// What is known of a word, if it is frequent.
    pub(super) fn get(&self, plain: &Plain) -> Option<Known> {
        let word = letters(plain.as_bytes())?;
        let mut slot = slot(word);
        // An empty slot ends it, and more than a third of them are.
        while let Some(there) = self.words.get(slot).filter(|there| **there != EMPTY) {
            if *there == word {
                return self.numbers.get(slot).copied().map(Known);
            }
            slot = next(slot);
        }
        None
    }
}

/// The letters of a word of up to sixteen; a plain form holds no byte that is zero.
fn letters(word: &[u8]) -> Option<Letters> {
    let mut halves = [[0; 8]; 2];
    halves.as_flattened_mut().get_mut(..word.len())?.copy_from_slice(word);
    Some(halves.map(u64::from_le_bytes))
}

fn slot([first, last]: Letters) -> usize {
    let mixed = (first ^ last.rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::try_from(mixed >> (64 - SLOT_BITS)).unwrap_or_default()
}

const fn next(slot: usize) -> usize {
    (slot + 1) & ((1 << SLOT_BITS) - 1)
}
